"""Fits functions of the exercises to the places where `graft` puts them.

The package does not call `parse_frame` on its hot path: it reads the head with `parse_header` and
the payload with `read_payload`, so as to look at text before its frame is whole; small messages,
and large ones that lie in one read, go ways of their own. Whoever grafts a `parse_frame` replaces
the two and closes those ways.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refimpl.framing import FIN, RSV1, Buffer, Frame

Header = tuple[int, bytes | None, int, int]


def header_and_payload(
    parse_frame: Callable[[Buffer, int], tuple[Frame, int] | None],
) -> Mapping[str, Any]:
    """What stands in for `parse_header` and `read_payload`, made of one `parse_frame`.

    The mask bit, RSV1 and the size limit are left to `parse_frame`, if it cares.
    """
    payloads: dict[int, bytes] = {}  # of the frame parsed last, by its end

    def parse_header(buffer: Buffer, position: int = 0, **_: Any) -> Header | None:
        """Return the head of a frame whose payload is there already, or None for more bytes."""
        parsed = parse_frame(buffer, position)
        if parsed is None:
            return None
        frame, end = parsed
        payloads.clear()
        payloads[end] = frame.payload
        first = (FIN if frame.fin else 0) | (RSV1 if frame.rsv1 else 0) | frame.opcode
        return first, frame.masking_key, end - len(frame.payload), end

    def read_payload(buffer: Buffer, start: int, end: int, key: Buffer | None) -> bytes:
        """Return the payload that came with the head."""
        return payloads[end]

    def take_small(buffer: Buffer, position: int, events: object, limit: int) -> int:
        """Take nothing, so that every frame goes through the two above."""
        return position

    return {
        "framing.parse_header": parse_header,
        "framing.read_payload": read_payload,
        "messages.assembly.take_small": take_small,
        "messages.protocol.Protocol._takes_view": lambda *arguments: False,
    }
