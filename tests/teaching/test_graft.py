"""A grafted function really runs inside the server, and when it fails the server does not."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from types import ModuleType

import pytest
import websockets

from refimpl import connect, serve
from refimpl.classroom import CheckFailed, GraftFailed, graft
from refimpl.classroom.grafting import guard
from refimpl.classroom.grafting.graft import find, swap
from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, mask_int
from refimpl.framing import parse_frame as real_parse_frame
from refimpl.handshake import accept_key as real_accept_key


async def echo(connection):
    async for message in connection:
        await connection.send(f"echo: {message}")


async def conversation(port, text="hello"):
    """What a client that no one here wrote gets back from our server."""
    async with asyncio.timeout(20):
        async with websockets.connect(f"ws://127.0.0.1:{port}", close_timeout=1) as client:
            await client.send(text)
            return await client.recv()


@pytest.fixture
async def port():
    async with serve(echo, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def parse_frame(buffer, position=0):
    """A learner's, which leans on the package."""
    return real_parse_frame(buffer, position)


def named(function, name="parse_frame"):
    function.__name__ = name
    return function


async def test_the_learners_function_runs_in_a_server_that_ran_before(port):
    assert await conversation(port) == "echo: hello"
    async with graft(parse_frame) as grafted:
        assert await conversation(port) == "echo: hello"
    assert grafted.calls["parse_frame"] >= 3
    before = dict(grafted.calls)
    assert await conversation(port) == "echo: hello"
    assert grafted.calls == before


async def test_what_it_returns_is_what_the_server_takes(port):
    def shout(buffer, position=0):
        parsed = real_parse_frame(buffer, position)
        if parsed and parsed[0].opcode == 1:
            parsed[0].payload = parsed[0].payload.upper()
        return parsed

    async with graft(named(shout)):
        assert await conversation(port) == "echo: HELLO"
    assert await conversation(port) == "echo: hello"


async def test_a_refusal_is_the_functions_good_right(port):
    def refuse(buffer, position=0):
        if buffer:
            raise RemoteProtocolError("not today", 1008)

    with pytest.raises(websockets.ConnectionClosed) as closed:
        async with graft(named(refuse)):
            await conversation(port)
    assert closed.value.rcvd.code == 1008


async def test_an_error_that_a_wrong_result_may_have_caused_gets_a_note(port):
    def leave_the_mask_on(buffer, position=0):
        parsed = real_parse_frame(buffer, position)
        if parsed and parsed[0].masking_key:
            parsed[0].payload = b"\xff" + parsed[0].payload
        return parsed

    with pytest.raises(websockets.ConnectionClosed) as closed:
        async with graft(named(leave_the_mask_on)):
            await conversation(port)
    assert closed.value.rcvd.code == 1007
    (note,) = closed.value.__notes__
    assert note.startswith("Your parse_frame ran in this block")
    assert "check(parse_frame)" in note


async def test_the_check_comes_first_where_that_is_asked_for(capsys):
    own = find("framing.parse_frame")
    ran = []
    with pytest.raises(CheckFailed, match="a payload that lacks its last byte"):
        async with graft(named(trust_the_network), check_first=True):
            ran.append(find("framing.parse_frame"))
    assert ran == []
    assert find("framing.parse_frame") is own
    async with graft(parse_frame, check_first=True):
        assert find("framing.parse_frame") is not own
    assert capsys.readouterr().out.startswith("parse_frame - passed")


def trust_the_network(buffer, position=0):
    parsed = real_parse_frame(buffer, position)
    if parsed is None and len(buffer) > 6:
        return Frame(1, bytes(buffer[6:])), 11
    return parsed


async def test_no_note_suspects_a_function_that_never_ran():
    with pytest.raises(ZeroDivisionError) as failed:
        async with graft(parse_frame):
            raise ZeroDivisionError
    assert not getattr(failed.value, "__notes__", [])


async def test_several_functions_and_a_target_by_name(port):
    used = []

    def mask_slowly(data, key):
        used.append(len(data))
        return mask_int(data, key)

    def accept_key(key):
        return real_accept_key(key)

    functions = {"framing.mask": mask_slowly, "handshake.accept_key": accept_key}
    async with graft(functions) as grafted:
        async with connect(f"ws://127.0.0.1:{port}") as client:
            await client.send("x" * 100)
            assert await client.recv() == "echo: " + "x" * 100
    assert 100 in used
    assert grafted.calls["handshake.accept_key"] == 2  # the server's and the client's


def raise_index_error(buffer, position=0):
    return [][0]


def loop(buffer, position=0):
    while True:
        pass


def untouched(buffer, position=0):
    return ...


def not_implemented(buffer, position=0):
    raise NotImplementedError


def leave(buffer, position=0):
    raise OSError("gone")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (raise_index_error, "crashed in the real thing (call 1)"),
        (leave, "raised    OSError: gone"),
        (loop, "too slow in the real thing (call 1)"),
        (untouched, "not attempted in the real thing"),
        (not_implemented, "not attempted in the real thing"),
    ],
)
async def test_when_it_fails_the_packages_own_takes_over_and_the_report_follows(
    port, monkeypatch, function, words
):
    monkeypatch.setattr(guard, "CALL_LIMIT", 0.3)
    monkeypatch.setattr("refimpl.classroom.grafting.graft.CALL_LIMIT", 0.3)
    monkeypatch.setattr(function, "__name__", "parse_frame")
    answers = []
    with pytest.raises(GraftFailed) as failed:
        async with graft(function):
            answers.append(await conversation(port))
    assert answers == ["echo: hello"]
    assert words in str(failed.value)
    assert "the package's own parse_frame took over" in str(failed.value)
    assert failed.value._render_traceback_() == str(failed.value).splitlines()
    assert await conversation(port) == "echo: hello"


async def test_a_wait_for_what_never_comes_ends(port):
    with pytest.raises(GraftFailed, match="parse_frame - too slow"):
        async with graft(named(lambda buffer, position=0: None), limit=0.5):
            await conversation(port)
    assert await conversation(port) == "echo: hello"


async def test_an_error_in_the_block_passes_and_the_package_is_restored():
    own = find("framing.parse_frame")
    with pytest.raises(ZeroDivisionError):
        async with graft(parse_frame):
            assert find("framing.parse_frame") is not own
            raise ZeroDivisionError
    assert find("framing.parse_frame") is own


def test_every_binding_is_replaced_and_restored(monkeypatch):
    """Also those of modules that are imported in between."""
    own = find("framing.mask")
    holders = [
        (module, name)
        for key, module in list(sys.modules.items())
        if key.startswith("refimpl.") and not key.startswith(("refimpl.lab", "refimpl.classroom"))
        for name, value in vars(module).items()
        if value is own
    ]
    assert len(holders) >= 3
    late = ModuleType("refimpl.late")
    monkeypatch.setitem(sys.modules, late.__name__, late)
    with graft({"framing.mask": mask_int}):
        assert not any(getattr(module, name) is own for module, name in holders)
        late.mask = find("framing.mask")
    assert all(getattr(module, name) is own for module, name in holders)
    assert late.mask is own


def test_classes_defaults_and_static_methods_are_reached(monkeypatch):
    def old():
        return "old"

    def new():
        return "new"

    module = importlib.import_module("refimpl.errors")

    class Holder:
        plain = old
        static = staticmethod(old)

        def by_default(self, act=old, *, named=old):
            return act() + named()

    Holder.__module__ = Holder.by_default.__module__ = module.__name__
    monkeypatch.setattr(module, "Holder", Holder, raising=False)
    swap(old, new)
    assert (Holder.plain(), Holder.static(), Holder().by_default()) == ("new", "new", "newnew")
    swap(new, old)
    assert (Holder.plain(), Holder.static(), Holder().by_default()) == ("old", "old", "oldold")


def test_instruments_keep_the_packages_own():
    lab = importlib.import_module("refimpl.lab")
    held = {
        (module.__name__, name): value
        for key, module in list(sys.modules.items())
        if key.startswith(lab.__name__)
        for name, value in vars(module).items()
        if callable(value)
    }
    with graft(parse_frame):
        for (module, name), value in held.items():
            assert getattr(sys.modules[module], name) is value


def test_options_that_the_learners_function_has_not_are_left_out():
    seen = []

    def serialize(frame):
        seen.append(frame)
        return b"x"

    with graft({"framing.serialize_frame": serialize}):
        replaced = find("framing.serialize_frame")
        assert replaced(Frame(1, b""), unknown=True) == b"x"
    assert len(seen) == 1


async def test_a_coroutine_function_is_guarded_too(monkeypatch):
    errors = importlib.import_module("refimpl.errors")

    async def greet(name):
        return f"hello {name}"

    async def wrong(name):
        raise KeyError(name)

    async def right(name):
        await asyncio.sleep(0)
        return f"hi {name}"

    monkeypatch.setattr(errors, "greet", greet, raising=False)
    async with graft({"errors.greet": right}):
        assert await errors.greet("you") == "hi you"
    with pytest.raises(GraftFailed, match="raised    KeyError: 'you'"):
        async with graft({"errors.greet": wrong}):
            assert await errors.greet("you") == "hello you"


async def test_an_untouched_coroutine_function_is_told(monkeypatch):
    errors = importlib.import_module("refimpl.errors")

    async def greet(name, **options):
        return f"hello {name} {options}"

    async def stub(name, **options):
        return ...

    monkeypatch.setattr(errors, "greet", greet, raising=False)
    with pytest.raises(GraftFailed, match="not attempted in the real thing"):
        async with graft({"errors.greet": stub}):
            assert await errors.greet("you", loud=True) == "hello you {'loud': True}"
            assert await errors.greet("me") == "hello me {}"


def test_a_class_is_grafted_as_it_is():
    class Mine:
        pass

    own = find("framing.Frame")
    with graft({"framing.Frame": Mine}):
        assert find("framing.Frame") is Mine
        assert find("framing").Frame is Mine
    assert find("framing.Frame") is own


def test_what_cannot_be_grafted_is_told():
    with pytest.raises(LookupError, match="no exercise is called"), graft(named(print_it, "nix")):
        pass
    own = find("framing.mask")
    with pytest.raises(LookupError, match="the package has no 'nowhere'"):
        with graft({"framing.mask": print_it, "nowhere.f": print_it}):
            pass
    assert find("framing.mask") is own


def print_it():
    return time.monotonic()
