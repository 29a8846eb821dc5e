"""show, expect_error, compare, and how objects look in a notebook."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import refimpl.framing
from refimpl.errors import HandshakeError, RemoteProtocolError
from refimpl.framing import Frame, Opcode, mask_int, parse_frame
from refimpl.handshake import Headers, Request
from refimpl.lab import compare, duration, expect_error, show
from refimpl.lab.displays import frame_html, head_html, register
from refimpl.lab.draw.figures import readable
from refimpl.messages import Protocol


class TestShow:
    def test_definition_to_the_letter(self) -> None:
        shown = show(mask_int)
        assert (
            repr(shown) == f"# refimpl.framing.mask_int\n\n{inspect.getsource(mask_int).rstrip()}"
        )
        assert shown._repr_markdown_().startswith(
            "**`refimpl.framing.mask_int`**\n\n```python\ndef mask_int("
        )

    def test_class_method_property_and_module(self) -> None:
        assert repr(show(Protocol)).startswith(
            "# refimpl.messages.protocol.Protocol\n\nclass Protocol"
        )
        assert "\n\ndef add(self" in repr(show(Headers.add))
        assert repr(show(Request.path)).startswith(
            "# refimpl.handshake.head.Request.path\n\n@property"
        )
        assert show(refimpl.framing).code == inspect.getsource(refimpl.framing).rstrip()

    @pytest.mark.parametrize(
        ("name", "start"),
        [
            ("refimpl.framing.FIN", "FIN = "),
            ("refimpl.framing.mask_int", "def mask_int("),
            ("refimpl.framing.Frame", "@dataclass(slots=True)\nclass Frame:"),
            ("refimpl.handshake.Headers.add", "def add(self"),
            ("refimpl.framing.ACCELERATED", "ACCELERATED = "),
            ("refimpl.messages.state.TRANSITIONS", "TRANSITIONS: Mapping["),
        ],
    )
    def test_by_name(self, name: str, start: str) -> None:
        assert show(name).name == name
        assert show(name).code.startswith(start)

    def test_unknown_names(self) -> None:
        with pytest.raises((LookupError, AttributeError)):
            show("refimpl.framing.nothing")
        with pytest.raises(LookupError):
            show("no_such_module.x")

    def test_without_docstring_is_the_same_code(self) -> None:
        code = show(parse_frame, docstring=False).code
        assert '"""' not in code
        assert code.splitlines()[-1] == show(parse_frame).code.splitlines()[-1]
        compile(code, "shown", "exec")
        compile(show(Protocol, docstring=False).code, "shown", "exec")

    def test_outline_has_every_public_method_and_no_body(self) -> None:
        outline = show(Protocol, outline=True).code
        for name, member in vars(Protocol).items():
            if inspect.isfunction(member):
                assert (f"def {name}(" in outline) == (not name.startswith("_"))
        assert len(outline.splitlines()) < 80


class TestExpectError:
    def test_prints_type_message_and_close_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        with expect_error(RemoteProtocolError) as block:
            parse_frame(b"\x83\x00")
        assert isinstance(block.error, RemoteProtocolError)
        assert capsys.readouterr().out == (
            "RemoteProtocolError: got reserved opcode 0x3 (RFC 6455 5.2)  -> close code 1002\n"
        )

    async def test_prints_status(self, capsys: pytest.CaptureFixture[str]) -> None:
        async with expect_error((HandshakeError, ValueError)):
            raise HandshakeError("got no key", status=400)
        assert capsys.readouterr().out == "HandshakeError: got no key  -> HTTP 400\n"

    def test_fails_when_nothing_is_raised(self) -> None:
        with pytest.raises(AssertionError, match=r"expected ValueError or KeyError, and nothing"):
            with expect_error((ValueError, KeyError)):
                pass

    def test_lets_other_errors_through(self) -> None:
        with pytest.raises(KeyError), expect_error(ValueError):
            raise KeyError("x")

    def test_fails_on_another_message(self) -> None:
        with pytest.raises(AssertionError, match="expected 'seven'"):
            with expect_error(ValueError, match="seven"):
                raise ValueError("eight")


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def function(self, name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.now += seconds
            self.calls.append(name)

        return call


class TestCompare:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        clock = Clock()
        monkeypatch.setattr("refimpl.lab.timing.time.perf_counter", lambda: clock.now)
        return clock

    def test_medians_and_ratios(self, clock: Clock) -> None:
        result = compare(
            {"slow": clock.function("slow", 0.5), "quick": clock.function("quick", 0.1)}
        )
        assert result.medians == pytest.approx({"slow": 0.5, "quick": 0.1})
        assert (result.fastest, result.slowest) == ("quick", "slow")
        assert result.ratio("slow", "quick") == pytest.approx(5)
        assert result.at_least(4, "slow", "quick") and not result.at_least(6, "slow", "quick")

    def test_takes_turns(self, clock: Clock) -> None:
        compare({"a": clock.function("a", 0.1), "b": clock.function("b", 0.1)}, rounds=3)
        assert clock.calls == ["a", "b"] * 4  # once to warm up, then three turns

    def test_quick_functions_are_repeated(self, clock: Clock) -> None:
        compare({"a": clock.function("a", 0.0002)}, rounds=1)
        assert len(clock.calls) == 1 + 10

    def test_a_disturbed_turn_does_not_count(self, clock: Clock) -> None:
        times = iter([0.1, 0.1, 9.0, 0.1, 0.1, 0.1])

        def disturbed() -> None:
            clock.now += next(times)

        result = compare({"disturbed": disturbed}, rounds=5)
        assert result.medians["disturbed"] == pytest.approx(0.1)

    def test_functions_go_by_their_names_and_get_the_arguments(self) -> None:
        result = compare([bytes, bytearray], b"x", rounds=1)
        assert set(result.medians) == {"bytes", "bytearray"}
        assert repr(result).count("\n") == 1
        assert "1.0 x" in repr(result)
        assert "a call" in result.bars("Two ways").alt


@pytest.mark.parametrize(
    ("seconds", "words"), [(2e-9, "2 ns"), (0.0000123, "12.3 us"), (0.5, "500 ms"), (2.5, "2.5 s")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (9999, "9,999"), (12345, "12,300"), (1234.5, "1,230"), (0.5, "0.5")],
)
def test_readable_numbers(number: float, words: str) -> None:
    assert readable(number) == words


class TestDisplays:
    def test_frame_and_head_are_escaped_html(self) -> None:
        assert "<b>TEXT fin, 8 bytes</b>" in frame_html(Frame(Opcode.TEXT, b"<script>"))
        assert "&lt;script&gt;" in frame_html(Frame(Opcode.TEXT, b"<script>"))
        assert "the request line" in head_html(Request("/", Headers([("Host", "a")])))

    def test_registered_with_a_running_shell_only(self) -> None:
        assert register() is False

    def test_in_a_shell(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
        try:
            assert register()
            formatter = shell.display_formatter
            data, _ = formatter.format(Frame(Opcode.PING, b""))
            assert "PING fin, 0 bytes" in data["text/html"]
            data, _ = formatter.format(Request("/", Headers([("Host", "a")])))
            assert "the request line" in data["text/html"]
        finally:
            InteractiveShell.clear_instance()
