"""What `serve` and `connect` can be told in Python, they can be told on a command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import refimpl.cli.connect
import refimpl.cli.serve
from refimpl import connect, serve
from refimpl.cli import main
from tests.test_cli import complaint

# What no option sets, and why.
ONLY_IN_PYTHON = {
    "serve": {
        "handler": "--app names it",
        "process_request": "it is a function",
    },
    "connect": {
        "additional_headers": "--header gives them one by one",
        "backoff": "it is for iterating, and the command connects once",
        "resume": "it is a function",
        "ssl": "--insecure is the one context the command offers beside the default",
    },
}
COMMANDS = {
    "serve": (serve, refimpl.cli.serve.serve),
    "connect": (connect, refimpl.cli.connect.connect),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_setting_has_its_option_or_a_reason_to_have_none(name: str) -> None:
    function, command = COMMANDS[name]
    settings = set(inspect.signature(function).parameters)
    options = {option.name for option in command.params}
    exceptions = ONLY_IN_PYTHON[name].keys()
    assert settings - options - exceptions == set()
    assert exceptions <= settings, "an exception for a setting that is gone"
    assert exceptions & options == set(), "an exception for a setting that has its option"


class Called(Exception):
    """Raised in place of a server or a connection, with what it was asked for."""

    def __init__(self, **settings: object) -> None:
        self.settings = settings


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Return what a command line asks of `serve` or `connect`; neither is called."""

    def call(*_: object, **settings: object) -> None:
        raise Called(**settings)

    monkeypatch.setattr("refimpl.cli.serve.serve_websockets", call)
    monkeypatch.setattr("refimpl.cli.connect.connect_websocket", call)

    def settings_of(*arguments: str) -> dict[str, object]:
        with pytest.raises(Called) as called:
            main.run(arguments)
        return called.value.settings

    return settings_of


@pytest.mark.parametrize("name", COMMANDS)
def test_without_options_the_defaults_are_those_of_the_function(
    name: str, settings_of: Callable[..., dict[str, object]]
) -> None:
    function, _ = COMMANDS[name]
    defaults = {
        setting.name: setting.default
        for setting in inspect.signature(function).parameters.values()
        if setting.kind is setting.KEYWORD_ONLY
    }
    given = settings_of(name, *(["ws://a.example"] if name == "connect" else []))
    for setting, value in given.items():
        assert (value or None) == (defaults[setting] or None), setting


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--allowed-host", "a.example", "--allowed-host", "*"], "allowed_hosts",
         ("a.example", "*")),
        (["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1"], "trusted_proxies",
         ("10.0.0.0/8", "::1")),
        (["--max-memory", "1000000"], "max_memory", 1_000_000),
        (["--max-memory", "none"], "max_memory", None),
        (["--max-header-line", "1000"], "max_header_line", 1000),
        (["--max-head", "2000"], "max_head", 2000),
        (["--backlog", "7"], "backlog", 7),
        (["--reuse-port"], "reuse_port", True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_what_serve_is_told(
    arguments: list[str],
    name: str,
    value: object,
    settings_of: Callable[..., dict[str, object]],
) -> None:
    assert settings_of("serve", *arguments)[name] == value


@pytest.mark.parametrize(("told", "value"), [("0.5", 0.5), ("none", None)])
def test_what_connect_is_told(
    told: str, value: object, settings_of: Callable[..., dict[str, object]]
) -> None:
    settings = settings_of("connect", "ws://a.example", "--tcp-timeout", told)
    assert settings["tcp_timeout"] == value


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (["serve", "--allowed-host", "a b"], "'a b' in allowed_hosts", 1),
        (["serve", "--trusted-proxy", "proxy"], "'proxy' in trusted_proxies", 1),
        (["serve", "--trusted-proxy", "10.0.0.1/8"], "'10.0.0.1/8' in trusted_proxies", 1),
        (["serve", "--max-memory", "0"], "max_memory=0", 1),
        (["serve", "--max-memory", "1M"], "'1M'", 2),
        (["serve", "--max-header-line", "0"], "max_header_line=0", 1),
        (["serve", "--max-header-line", "none"], "'none'", 2),
        (["serve", "--max-head", "-1"], "max_head=-1", 1),
        (["serve", "--max-head", "big"], "'big'", 2),
        (["serve", "--backlog", "0"], "--backlog", 2),
        (["connect", "ws://a.example", "--tcp-timeout", "0"], "tcp_timeout=0", 1),
        (["connect", "ws://a.example", "--tcp-timeout", "soon"], "'soon'", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_value_is_one_line(
    arguments: list[str], says: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in complaint(capsys, *arguments, status=status)
