"""Makes functions of the exercises fit the places where `graft` puts them.

The package's `Protocol` runs a loop over `parse_frame`, but has short cuts for small messages and
for large ones in one read. A graft of `parse_frame` closes them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refimpl.framing import Buffer, Frame


def parse_frame_only(
    parse_frame: Callable[[Buffer, int], tuple[Frame, int] | None],
) -> Mapping[str, Any]:
    """Replacements for `parse_frame` and the short cuts around it, made from one `parse_frame`.

    The learner's `parse_frame` may check the mask bit, RSV1 and the size limit, or not.
    """

    def parse(buffer: Buffer, position: int = 0, **_: Any) -> tuple[Frame, int] | None:
        """Return what the learner's function returns without limits."""
        return parse_frame(buffer, position)

    def take_small(buffer: Buffer, position: int, *_: object) -> int:
        """Take nothing, so that every frame goes through `parse`."""
        return position

    return {
        "framing.parse_frame": parse,
        "messages.receiving.take_small": take_small,
        "messages.protocol.Protocol._take_large": lambda *arguments: 0,
    }
