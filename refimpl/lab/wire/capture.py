"""A recorded connection: who sent what and when; saved as JSON, decoded on demand.

>>> capture = Capture.of(("client", b"\\x89\\x00"), ("server", b"\\x8a\\x00"), frames=True)
>>> capture.text()
client -> server  PING         fin                 0 bytes
                  WRONG: a frame from a client must be masked (RFC 6455 5.1)
server -> client  PONG         fin                 0 bytes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from refimpl.framing import Frame
from refimpl.handshake.printable import printable
from refimpl.lab.text import Text
from refimpl.lab.wire.decode import CaptureDecoder, Chunk, Step
from refimpl.lab.wire.direction import Direction
from refimpl.lab.wire.transcript import transcript

if TYPE_CHECKING:
    from refimpl.lab.draw.figures import Picture

CAPTURES = Path(__file__).parents[1] / "captures"
"""The recordings that come with the package."""
KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
}
LATEST = 1e9  # seconds: thirty years


@dataclass(slots=True)
class Capture:
    """The bytes of one connection, both directions, as they were read.

    program, version, command: what was recorded, and how to record it again. frames: the recording
    starts after the opening handshake.
    """

    program: str = ""
    version: str = ""
    command: str = ""
    chunks: list[Chunk] = field(default_factory=list)
    frames: bool = False

    @classmethod
    def of(cls, *said: tuple[Direction, bytes], frames: bool = False) -> Capture:
        """Return a capture of what each side sent in turn, one millisecond apart."""
        chunks = [
            Chunk(index / 1000, direction, bytes(data))
            for index, (direction, data) in enumerate(said)
        ]
        return cls(chunks=chunks, frames=frames)

    @classmethod
    def load(cls, path: str | Path) -> Capture:
        """Return the capture in a file; a bare name such as "wscat" is a recording of the package.

        Raises FileNotFoundError with the existing names, ValueError for a file that is not a
        capture.
        """
        file = find(path)
        try:
            return cls._from_json(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is no capture: {error}") from error

    @classmethod
    def _from_json(cls, values: object) -> Capture:
        """Return the capture in a JSON document; ValueError for any other document."""
        if not isinstance(values, dict):
            raise ValueError(f"got {_kind(values)}, expected an object")
        program, version, command = (
            _typed(values, name, str) for name in ("program", "version", "command")
        )
        rows = _typed(values, "chunks", list)
        chunks = [_chunk(number, row) for number, row in enumerate(rows, 1)]
        frames = _typed(values, "frames", bool) if "frames" in values else False
        return cls(program, version, command, chunks, frames)

    def save(self, path: str | Path) -> None:
        """Write the capture as JSON, one line for each chunk."""
        about = Capture(self.program, self.version, self.command, frames=self.frames)
        with CaptureFile(path, about) as file:
            for chunk in self.chunks:
                file.add(*chunk)

    def add(self, seconds: float, direction: Direction, data: bytes) -> None:
        """Record one read; empty bytes record the end of that direction."""
        self.chunks.append(Chunk(seconds, direction, bytes(data)))

    def decode(self) -> list[Step]:
        """Return heads and frames in the order of their ends; malformed bytes are steps too."""
        decoder = CaptureDecoder(frames=self.frames)
        steps = [step for chunk in self.chunks for step in decoder.feed(chunk)]
        return steps + list(decoder.finish())

    def sent(self, direction: Direction) -> bytes:
        """Return all bytes of one direction."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.direction == direction)

    def frames_of(self, direction: Direction | None = None) -> list[Frame]:
        """Return the readable frames in order, of one direction or of both."""
        return [
            step.item
            for step in self.decode()
            if isinstance(step.item, Frame) and direction in (None, step.direction)
        ]

    def wires_of(self, direction: Direction | None = None) -> list[bytes]:
        """Return the readable frames as bytes on the wire, in the order of `frames_of`."""
        return [
            step.wire
            for step in self.decode()
            if isinstance(step.item, Frame) and direction in (None, step.direction)
        ]

    def text(self, **options: Any) -> Text:
        """Return the conversation as text that is the same each run; options as `transcript`."""
        return transcript(self.decode(), **options)

    def draw(self, claim: str = "", **options: Any) -> Picture:
        """Return the conversation as a sequence diagram; see `draw_sequence` for the options."""
        from refimpl.lab.draw.sequence import draw_sequence

        return draw_sequence(self.decode(), claim or self._claim(), **options)

    def _claim(self) -> str:
        return f"{self.program} and a server" if self.program else "What went over the wire"

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.decode())

    def __repr__(self) -> str:
        who = f" {self.program} {self.version}".rstrip()
        return f"<Capture{printable(who)}: {len(self.decode())} steps>"

    def _ipython_display_(self) -> None:
        self.draw().show()


class CaptureFile:
    """A capture that is written chunk by chunk, so that its length costs no memory.

    about: what was recorded and how; its chunks are not written. The file is complete once this is
    closed.
    """

    def __init__(self, path: str | Path, about: Capture) -> None:
        head: dict[str, Any] = {
            "program": about.program,
            "version": about.version,
            "command": about.command,
        }
        if about.frames:
            head["frames"] = True
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - `close` closes it
        lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        self._file.write("\n".join(["{", *lines, ' "chunks": [\n']))
        self._separator = ""

    def add(self, seconds: float, direction: Direction, data: bytes) -> None:
        """Write one read."""
        row = f"  [{seconds:.6f}, {json.dumps(direction)}, {json.dumps(data.hex())}]"
        self._file.write(self._separator + row)
        self._separator = ",\n"

    def close(self) -> None:
        """Complete the file."""
        with self._file:
            self._file.write("\n ]\n}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Value = TypeVar("Value")


def _typed(values: dict[str, object], name: str, kind: type[Value]) -> Value:
    """Return a member of a JSON object; ValueError if it is missing or of another type."""
    if name not in values:
        raise ValueError(f"got no {name!r}")
    value = values[name]
    if not isinstance(value, kind):
        raise ValueError(f"got {_kind(value)} as {name!r}, expected {KINDS[kind]}")
    return value


def _chunk(number: int, row: object) -> Chunk:
    """Return a chunk from its row [seconds, direction, hex]; ValueError for any other row."""
    where = f"chunk {number}"
    if not isinstance(row, list) or len(row) != 3:
        raise ValueError(f"{where}: got {_kind(row)}, expected [seconds, direction, hex]")
    seconds, direction, data = row
    if type(seconds) not in (int, float) or not 0 <= seconds <= LATEST:
        raise ValueError(f"{where}: expected 0 or more seconds first")
    if direction not in ("client", "server"):
        raise ValueError(f"{where}: expected client or server as the direction")
    try:
        return Chunk(seconds, direction, bytes.fromhex(data))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected an even number of hex digits as the data") from error


def _kind(value: object) -> str:
    """Return JSON's name for the type of a value."""
    return "null" if value is None else KINDS.get(type(value), "a number")


def find(path: str | Path) -> Path:
    """Return the file of a capture; a bare name stands for a recording in `captures`."""
    given = Path(path)
    if given.suffix == ".json" and given.exists():
        return given
    recorded = place_of(given.stem)
    if recorded.exists():
        return recorded
    known = ", ".join(sorted(each.stem for each in CAPTURES.glob("*/*.json")))
    raise FileNotFoundError(f"no capture {str(path)!r}; there are: {known}")


def place_of(name: str) -> Path:
    """Return the path for the recording of that name."""
    folder = "browsers" if name.startswith("chromium") else "programs"
    return CAPTURES / folder / f"{name}.json"
