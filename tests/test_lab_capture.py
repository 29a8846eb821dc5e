"""Captures: what was recorded is decoded to the last byte, whatever it was."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.handshake import Request, Response
from refimpl.lab import Body, Capture, End, Malformed, Step, Unfinished
from refimpl.lab.wire.capture import CAPTURES
from refimpl.lab.wire.decode import Chunk
from refimpl.lab.wire.direction import INFLATE_LIMIT
from tools.record.programs import RECORDINGS

KEY = bytes.fromhex("37fa213d")
REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n%s\r\n"
)
OPEN = (("client", REQUEST), ("server", ACCEPT % b""))


def client(opcode: Opcode, payload: bytes = b"", **options: bool) -> bytes:
    return serialize_frame(Frame(opcode, payload, masking_key=KEY, **options))


def server(opcode: Opcode, payload: bytes = b"", **options: bool) -> bytes:
    return serialize_frame(Frame(opcode, payload, **options))


def problems(*said: tuple[str, bytes]) -> list[str]:
    return [step.problem for step in Capture.of(*said, frames=True).decode()]


class TestDecode:
    def test_heads_then_frames_in_order(self) -> None:
        steps = Capture.of(
            *OPEN,
            ("client", client(Opcode.TEXT, b"Hello")),
            ("server", server(Opcode.TEXT, b"echo: Hello")),
            ("server", b""),
        ).decode()
        assert [type(step.item) for step in steps] == [Request, Response, Frame, Frame, End]
        assert [step.direction for step in steps] == [
            "client",
            "server",
            "client",
            "server",
            "server",
        ]
        assert steps[2].payload == b"Hello"
        assert steps[2].seconds == 0.002

    def test_frames_sent_before_the_answer_wait_for_it(self) -> None:
        steps = Capture.of(
            ("client", REQUEST + client(Opcode.TEXT, b"early")), ("server", ACCEPT % b"")
        ).decode()
        assert [type(step.item) for step in steps] == [Request, Response, Frame]

    def test_refused_handshake_has_a_body(self) -> None:
        answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
        steps = Capture.of(("client", REQUEST), ("server", answer), ("server", b"")).decode()
        assert [type(step.item) for step in steps] == [Request, Response, Body, End]
        assert steps[2].payload == b"no"

    def test_polling_on_one_connection(self) -> None:
        ask = b"GET /poll HTTP/1.1\r\nHost: a\r\n\r\n"
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
        steps = Capture.of(
            ("client", ask), ("server", answer), ("client", ask), ("server", answer)
        ).decode()
        assert [type(step.item) for step in steps] == [Request, Response, Body] * 2

    def test_malformed_head_is_a_step(self) -> None:
        steps = Capture.of(
            ("client", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
            ("server", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ).decode()
        assert isinstance(steps[0].item, Malformed)
        assert isinstance(steps[1].item, Response)

    def test_what_never_came_is_unfinished(self) -> None:
        steps = Capture.of(
            *OPEN, ("client", client(Opcode.TEXT, b"Hello")[:8]), ("client", b"")
        ).decode()
        assert isinstance(steps[2].item, Unfinished)
        assert steps[2].item.missing == 3

    def test_length_of_64_bits_breaks_off(self) -> None:
        capture = Capture.of(
            ("client", bytes.fromhex("81ff8000000000000000") + b"rest"), frames=True
        )
        [step] = capture.decode()
        assert isinstance(step.item, Malformed)
        assert step.wire == capture.sent("client")

    def test_frame_with_a_reserved_opcode_is_cut_where_it_ends(self) -> None:
        steps = Capture.of(("client", b"\x83\x80abcd" + client(Opcode.PING)), frames=True).decode()
        assert isinstance(steps[0].item, Malformed)
        assert steps[0].item.problem == "opcode 0x3 is reserved (RFC 6455 5.2)"
        assert isinstance(steps[1].item, Frame)

    @given(
        st.lists(
            st.tuples(st.sampled_from(["client", "server"]), st.binary(max_size=80)), max_size=12
        )
    )
    def test_any_bytes_are_kept_to_the_last(self, said: list[tuple[str, bytes]]) -> None:
        for frames in (False, True):
            capture = Capture.of(*said, frames=frames)
            steps = capture.decode()
            for side in ("client", "server"):
                assert b"".join(s.wire for s in steps if s.direction == side) == capture.sent(side)
            capture.text(pings=True, ends=True, exact=True)

    @given(st.binary(max_size=80), st.sampled_from([True, False]))
    def test_any_bytes_after_the_handshake(self, data: bytes, deflate: bool) -> None:
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else b""
        capture = Capture.of(("client", REQUEST), ("server", ACCEPT % extension), ("client", data))
        steps = capture.decode()
        assert b"".join(step.wire for step in steps[2:]) == data

    @given(st.data())
    def test_any_split_gives_the_same_steps(self, data: st.DataObject) -> None:
        talk = REQUEST + client(Opcode.TEXT, b"Hello", fin=False) + client(Opcode.PING, b"p")
        talk += client(Opcode.CONTINUATION, b" world") + client(Opcode.CLOSE, b"\x03\xe8")
        cuts = sorted(data.draw(st.lists(st.integers(0, len(talk)), max_size=8)))
        pieces = [talk[a:b] for a, b in zip([0, *cuts], [*cuts, len(talk)], strict=True) if a < b]
        capture = Capture()
        for piece in pieces:
            capture.add(0.0, "client", piece)
        capture.add(0.0, "server", ACCEPT % b"")

        def items(steps: list[Step]) -> list[object]:
            return [
                (step.item, step.wire, step.problem) for step in steps if step.direction == "client"
            ]

        whole = Capture.of(("client", talk), ("server", ACCEPT % b""))
        assert items(capture.decode()) == items(whole.decode())

    def test_many_small_frames_in_one_chunk_cost_linear_time(self) -> None:
        count = 20_000
        capture = Capture.of(("client", client(Opcode.PING) * count), frames=True)
        assert len(capture.decode()) == count


class TestProblems:
    def test_unmasked_client_and_masked_server(self) -> None:
        assert problems(("client", server(Opcode.PING)), ("server", client(Opcode.PING))) == [
            "a frame from a client must be masked (RFC 6455 5.1)",
            "a frame from a server must not be masked (RFC 6455 5.1)",
        ]

    @pytest.mark.parametrize(
        ("talk", "rule"),
        [
            ([client(Opcode.CONTINUATION, b"x")], "no message to continue (RFC 6455 5.4)"),
            (
                [client(Opcode.TEXT, b"x", fin=False), client(Opcode.TEXT, b"y")],
                "has not ended (RFC 6455 5.4)",
            ),
            (
                [client(Opcode.CLOSE), client(Opcode.TEXT, b"x")],
                "may follow a Close frame (RFC 6455 5.5.1)",
            ),
            ([client(Opcode.CLOSE, b"\x03\xed")], "close code 1005"),
            ([client(Opcode.CLOSE, b"\x03")], "at least two bytes (RFC 6455 5.5.1)"),
            ([client(Opcode.TEXT, b"\xff")], "not UTF-8"),
            ([client(Opcode.TEXT, b"\xc3")], "not UTF-8"),
        ],
    )
    def test_what_a_single_frame_cannot_show(self, talk: list[bytes], rule: str) -> None:
        found = problems(("client", b"".join(talk)))
        assert rule in found[-1]
        assert not any(found[:-1])

    def test_a_character_may_be_cut_between_fragments(self) -> None:
        talk = client(Opcode.TEXT, b"\xc3", fin=False) + client(Opcode.CONTINUATION, b"\xa9")
        assert problems(("client", talk)) == ["", ""]

    def test_control_frames_may_stand_between_fragments(self) -> None:
        talk = (
            client(Opcode.TEXT, b"a", fin=False)
            + client(Opcode.PING)
            + client(Opcode.CONTINUATION, b"b")
        )
        assert problems(("client", talk)) == ["", "", ""]


class TestCompression:
    EXTENSION = b"Sec-WebSocket-Extensions: permessage-deflate%s\r\n"

    def compressed(self, *frames: bytes, parameters: bytes = b"") -> list[Step]:
        accept = ACCEPT % (self.EXTENSION % parameters)
        return Capture.of(
            ("client", REQUEST), ("server", accept), ("client", b"".join(frames))
        ).decode()[2:]

    @staticmethod
    def deflate(compressor: object, data: bytes) -> bytes:
        return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]  # type: ignore[attr-defined]

    def test_context_is_carried_over(self) -> None:
        compressor = zlib.compressobj(wbits=-15)
        first, second = (self.deflate(compressor, b"Hello") for _ in range(2))
        steps = self.compressed(
            client(Opcode.TEXT, first, rsv1=True), client(Opcode.TEXT, second, rsv1=True)
        )
        assert [step.payload for step in steps] == [b"Hello", b"Hello"]
        assert [step.problem for step in steps] == ["", ""]
        assert len(second) < len(first)

    def test_no_context_takeover(self) -> None:
        data = self.deflate(zlib.compressobj(wbits=-15), b"Hello")
        steps = self.compressed(
            client(Opcode.TEXT, data, rsv1=True),
            client(Opcode.TEXT, data, rsv1=True),
            parameters=b"; client_no_context_takeover",
        )
        assert [step.payload for step in steps] == [b"Hello", b"Hello"]

    def test_fragments_and_messages_left_plain(self) -> None:
        data = self.deflate(zlib.compressobj(wbits=-15), b"one message")
        steps = self.compressed(
            client(Opcode.TEXT, data[:4], rsv1=True, fin=False),
            client(Opcode.CONTINUATION, data[4:]),
            client(Opcode.TEXT, b"plain"),
        )
        assert b"".join(step.payload for step in steps[:2]) == b"one message"
        assert steps[2].payload == b"plain" and steps[2].inflated is None

    def test_broken_data_is_said_to_be_broken(self) -> None:
        [step] = self.compressed(client(Opcode.TEXT, b"\xff\xff\xff", rsv1=True))
        assert "cannot be inflated" in step.problem
        assert step.inflated is None

    def test_a_bomb_does_not_go_off(self) -> None:
        bomb = self.deflate(zlib.compressobj(9, wbits=-15), bytes(INFLATE_LIMIT + 1))
        after = self.deflate(zlib.compressobj(wbits=-15), b"Hello")
        steps = self.compressed(
            client(Opcode.BINARY, bomb, rsv1=True), client(Opcode.TEXT, after, rsv1=True)
        )
        assert "inflates to more than" in steps[0].problem
        assert steps[1].inflated is None and steps[1].problem == ""


class TestText:
    CAPTURE = Capture.of(
        *OPEN,
        ("client", client(Opcode.TEXT, b"Hello")),
        ("server", server(Opcode.PING, b"\x01\x02\x03\x04")),
        ("client", server(Opcode.TEXT, b"oops")),
        ("server", server(Opcode.CLOSE, b"\x03\xeabye")),
        ("server", b""),
    )

    def test_whole(self) -> None:
        assert self.CAPTURE.text() == (
            "client -> server  request: GET /chat HTTP/1.1\n"
            "                  Host: 127.0.0.1:<port>\n"
            "                  Upgrade: websocket\n"
            "                  Connection: Upgrade\n"
            "                  Sec-WebSocket-Key: <key 24 chars>\n"
            "                  Sec-WebSocket-Version: 13\n"
            "server -> client  response: HTTP/1.1 101 Switching Protocols\n"
            "                  Upgrade: websocket\n"
            "                  Connection: Upgrade\n"
            "                  Sec-WebSocket-Accept: <accept 28 chars>\n"
            "client -> server  TEXT         fin masked          5 bytes  'Hello'\n"
            "server -> client  PING         fin                 4 bytes\n"
            "client -> server  TEXT         fin                 4 bytes  'oops'\n"
            "                  WRONG: a frame from a client must be masked (RFC 6455 5.1)\n"
            "server -> client  CLOSE        fin                 5 bytes  1002 PROTOCOL_ERROR 'bye'"
        )

    def test_options(self) -> None:
        assert "Host" not in self.CAPTURE.text(headers=False)
        assert "dGhlIHNhbXBsZSBub25jZQ==" in self.CAPTURE.text(exact=True)
        assert "01 02 03 04" in self.CAPTURE.text(pings=True)
        assert self.CAPTURE.text(ends=True).endswith("end of stream")
        assert "'He'..." in self.CAPTURE.text(limit=2)
        assert Capture().text() == "nothing was recorded"

    def test_does_not_depend_on_key_port_and_time(self) -> None:
        def conversation(key: bytes, port: bytes, nonce: bytes) -> Capture:
            request = REQUEST.replace(b"5000", port).replace(b"dGhlIHNhbXBsZSBub25jZQ==", nonce)
            frame = serialize_frame(Frame(Opcode.TEXT, b"Hello", masking_key=key))
            return Capture.of(("client", request), ("server", ACCEPT % b""), ("client", frame))

        one = conversation(b"abcd", b"1", b"AAAAAAAAAAAAAAAAAAAAAA==")
        two = conversation(b"wxyz", b"65535", b"BBBBBBBBBBBBBBBBBBBBBB==")
        assert one.text().replace(":1\n", ":<port>\n") == two.text()


class TestFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        capture = Capture(
            "a program", "1.0", "how to", [Chunk(0.25, "client", b"\x89\x80abcd")], frames=True
        )
        capture.save(tmp_path / "one.json")
        assert Capture.load(tmp_path / "one.json") == capture

    def test_unknown_name_says_which_there_are(self) -> None:
        with pytest.raises(FileNotFoundError, match=r"there are: .*wscat"):
            Capture.load("netscape")


def said(capture: Capture, direction: str) -> list[tuple[str, bytes]]:
    """Return kind and plain payload of everything that one side said."""
    names = []
    for step in capture.decode():
        if step.direction == direction:
            kind = (
                step.item.opcode.name if isinstance(step.item, Frame) else type(step.item).__name__
            )
            names.append((kind, step.payload))
    return names


HELLO = ("TEXT", b"Hello")
MORNING = ("TEXT", b"Good morning, good morning, good morning")


def echoed(*messages: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [(kind, b"echo: " + words) for kind, words in messages]


class TestRecordings:
    """The recordings of real programs, to the last frame."""

    NAMES = (
        "wscat",
        "chromium",
        "chromium_deflate",
        "node_ws",
        "websockets",
        "websockets_deflate",
        "curl",
    )

    @pytest.mark.parametrize("name", NAMES)
    def test_decodes_completely_and_breaks_no_rule(self, name: str) -> None:
        capture = Capture.load(name)
        assert capture.program and capture.version
        assert capture.command == f"python -m tools.record.programs {name}"
        for step in capture.decode():
            assert not isinstance(step.item, (Malformed, Unfinished))
            assert step.problem == ""
        ends = {step.direction for step in capture if isinstance(step.item, End)}
        assert ends == {"client", "server"}

    def test_none_that_the_recorder_makes_is_left_out(self) -> None:
        assert set(RECORDINGS) == set(self.NAMES)

    @pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*.json")), ids=lambda path: path.stem)
    def test_each_file_says_how_it_was_made_and_is_read_to_the_end(self, path: Path) -> None:
        capture = Capture.load(path)
        assert capture.program and capture.version
        assert capture.command.startswith("python -m tools.record.")
        steps = capture.decode()
        assert not any(isinstance(step.item, (Malformed, Unfinished)) for step in steps)
        for side in ("client", "server"):
            assert b"".join(s.wire for s in steps if s.direction == side) == capture.sent(side)

    def test_wscat_closes_without_a_code(self) -> None:
        capture = Capture.load("wscat")
        assert said(capture, "client")[1:-1] == [HELLO, MORNING, ("CLOSE", b"")]
        assert said(capture, "server")[1:-1] == [*echoed(HELLO, MORNING), ("CLOSE", b"")]

    @pytest.mark.parametrize("name", ["chromium", "chromium_deflate"])
    def test_chromium(self, name: str) -> None:
        capture = Capture.load(name)
        assert said(capture, "client")[1:-1] == [HELLO, MORNING, ("CLOSE", b"\x03\xe8done")]
        assert [kind for kind, _ in said(capture, "server")[1:-1]] == ["TEXT", "TEXT", "CLOSE"]
        request = capture.decode()[0].item
        assert isinstance(request, Request)
        assert request.headers["Origin"] == f"http://{request.headers['Host']}"

    def test_chromium_compresses_where_the_server_agrees(self) -> None:
        assert not any(frame.rsv1 for frame in Capture.load("chromium").frames_of())
        texts = [each for each in Capture.load("chromium_deflate").frames_of() if each.opcode == 1]
        assert len(texts) == 4 and all(frame.rsv1 for frame in texts)

    def test_node_puts_a_ping_between_fragments(self) -> None:
        capture = Capture.load("node_ws")
        assert said(capture, "client")[1:-1] == [
            HELLO,
            ("BINARY", bytes(each % 256 for each in range(300))),
            ("TEXT", b"one message "),
            ("CONTINUATION", b"in "),
            ("PING", b"still there?"),
            ("CONTINUATION", b"three parts"),
            ("CLOSE", b"\x03\xe8bye"),
        ]

    @pytest.mark.parametrize("name", ["websockets", "websockets_deflate"])
    def test_websockets(self, name: str) -> None:
        parts = [
            words
            for kind, words in said(Capture.load(name), "client")
            if kind in ("TEXT", "CONTINUATION")
        ]
        assert b"".join(parts) == b"Helloone message in three parts"
        assert said(Capture.load(name), "server")[1:4] == [
            *echoed(HELLO, ("TEXT", b"one message in three parts")),
            ("PONG", b"still there?"),
        ]

    def test_curl_is_told_to_upgrade(self) -> None:
        response = Capture.load("curl").decode()[1].item
        assert isinstance(response, Response)
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
