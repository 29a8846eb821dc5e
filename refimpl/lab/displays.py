"""How the package's objects look in a notebook; registered when `refimpl.lab` is imported.

The core knows nothing of notebooks: this module tells IPython how to show its classes.
"""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from refimpl.lab.wire.annotate import annotate
from refimpl.lab.wire.heads import annotate_head

if TYPE_CHECKING:
    from refimpl.framing import Frame
    from refimpl.handshake import Request, Response

_BLOCK = '<pre style="font-family: monospace; font-size: 100%; line-height: 1.35">{}</pre>'


def frame_html(frame: Frame) -> str:
    """Return a frame as its annotated bytes, the field names in bold."""
    lines = html.escape(str(annotate(frame))).splitlines()
    return _BLOCK.format("\n".join([f"<b>{lines[0]}</b>", *lines[1:]]))


def head_html(head: Request | Response) -> str:
    """Return a head line by line, each with its purpose."""
    return _BLOCK.format(html.escape(str(annotate_head(head))))


def register() -> bool:
    """Let the running IPython shell show frames and heads annotated; False without a shell."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython else None
    if shell is None:
        return False
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type_by_name("refimpl.framing", "Frame", frame_html)
    formatter.for_type_by_name("refimpl.handshake.head", "Request", head_html)
    formatter.for_type_by_name("refimpl.handshake.head", "Response", head_html)
    return True
