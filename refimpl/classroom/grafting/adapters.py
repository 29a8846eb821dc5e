"""Fits functions of the exercises to the places where `graft` puts them.

The package's `Protocol` runs a loop over `parse_frame`, but small messages, and large ones that lie
in one read, go ways of their own. Whoever grafts a `parse_frame` closes those ways.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refimpl.framing import Buffer, Frame


def parse_frame_only(
    parse_frame: Callable[[Buffer, int], tuple[Frame, int] | None],
) -> Mapping[str, Any]:
    """What stands in for `parse_frame` and the ways past it, made of one `parse_frame`.

    The mask bit, RSV1 and the size limit are left to `parse_frame`, if it cares.
    """

    def parse(buffer: Buffer, position: int = 0, **_: Any) -> tuple[Frame, int] | None:
        """Return what the learner's function does, asked without limits."""
        return parse_frame(buffer, position)

    def take_small(buffer: Buffer, position: int, *_: object) -> int:
        """Take nothing, so that every frame goes through `parse`."""
        return position

    return {
        "framing.parse_frame": parse,
        "messages.receiving.take_small": take_small,
        "messages.protocol.Protocol._take_large": lambda *arguments: 0,
    }
