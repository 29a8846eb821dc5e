"""A recorded conversation as text that is the same from run to run.

It has placeholders for times, ports, masking keys and all else that is random or depends on the
machine, so that a notebook's output can be compared with the committed one.
"""

from __future__ import annotations

from collections.abc import Iterable

from refimpl.framing import Frame, Opcode
from refimpl.handshake import Request, Response
from refimpl.handshake.printable import printable
from refimpl.lab.text import Text, is_readable, plural, preview, quoted, spaced_hex
from refimpl.lab.wire.decode import Body, End, Large, Malformed, Step, Unfinished
from refimpl.lab.wire.dissect import close_name
from refimpl.lab.wire.heads import head_lines, stable_line

ARROWS = {"client": "client -> server", "server": "server -> client"}


def transcript(
    steps: Iterable[Step],
    *,
    headers: bool = True,
    exact: bool = False,
    pings: bool = False,
    ends: bool = False,
    limit: int = 40,
) -> Text:
    """Return the conversation, one line a frame, heads line by line.

    headers: all header lines, or only the first line. exact: keys, ports and versions as they were.
    pings: the payloads of Ping and Pong, which most programs fill with random bytes. ends: the ends
    of the streams, whose order may change from run to run. limit: characters of payload.
    """
    lines: list[str] = []
    for step in steps:
        arrow = ARROWS[step.direction]
        if isinstance(step.item, End):
            lines += [f"{arrow}  end of stream"] if ends else []
        elif isinstance(step.item, (Request, Response)):
            first, *rest = head_lines(step.wire)
            kind = "request" if isinstance(step.item, Request) else "response"
            lines.append(
                f"{arrow}  {kind}, {plural(len(step.wire), 'byte')}: {first}"
                if exact
                else f"{arrow}  {kind}: {first}"
            )
            if headers:
                lines += [f"{'':18}{line if exact else stable_line(line)}" for line in rest]
        else:
            lines.append(f"{arrow}  {describe(step, pings=pings, limit=limit)}")
            if step.problem:
                lines.append(f"{'':18}WRONG: {printable(step.problem)}")
    return Text("\n".join(lines) or "nothing was recorded")


def describe(step: Step, *, pings: bool = True, limit: int = 40) -> str:
    """Return one step in a line: its kind, flags, size, and the start of its payload."""
    item = step.item
    if isinstance(item, Frame):
        return _frame(step, item, pings, limit)
    if isinstance(item, Large):
        size = plural(item.length, "byte")
        return f"{item.opcode.name:<12} {'':<15} {size:>11}  too large to be kept"
    if isinstance(item, Body):
        return f"body, {plural(len(item.data), 'byte')}  {preview(item.data, limit)}"
    if isinstance(item, Malformed):
        return f"MALFORMED, {plural(len(item.data), 'byte')}  {printable(item.problem)}"
    if isinstance(item, Unfinished):
        missing = (
            f", {plural(item.missing, 'byte')} missing" if item.missing else ", the rest is missing"
        )
        return f"UNFINISHED, {plural(len(item.data), 'byte')}{missing}"
    if isinstance(item, End):
        return "end of stream"
    return head_lines(step.wire)[0]


def _frame(step: Step, frame: Frame, pings: bool, limit: int) -> str:
    flags = [
        name
        for name, on in (("fin", frame.fin), ("rsv1", frame.rsv1), ("masked", frame.masking_key))
        if on
    ]
    head = f"{frame.opcode.name:<12} {' '.join(flags):<15} {plural(len(frame.payload), 'byte'):>11}"
    return f"{head}  {carried(step, pings=pings, limit=limit)}".rstrip()


def carried(step: Step, *, pings: bool = True, limit: int = 40) -> str:
    """Return the start of a frame's payload: quoted text, hex, or code and reason."""
    frame = step.item
    if not isinstance(frame, Frame):
        return ""
    if frame.opcode is Opcode.CLOSE:
        return close_words(frame.payload)
    if frame.opcode in (Opcode.PING, Opcode.PONG):
        return preview(frame.payload, limit) if pings and frame.payload else ""
    payload = step.payload
    if step.inflated is not None:
        return f"inflated to {plural(len(payload), 'byte')}: {preview(payload, limit)}"
    if frame.opcode is Opcode.TEXT:
        return quoted(payload, limit)
    if frame.opcode is Opcode.CONTINUATION and is_readable(payload):
        return quoted(payload, limit)
    shown = payload[: limit // 3]
    return spaced_hex(shown) + (" ..." if len(shown) < len(payload) else "")


def close_words(payload: bytes) -> str:
    """Return the code, its name and the reason of a Close frame, as in '1000 NORMAL_CLOSURE'."""
    if len(payload) < 2:
        return "no code (1005)" if not payload else "half a code"
    code = int.from_bytes(payload[:2])
    reason = f" {quoted(payload[2:])}" if payload[2:] else ""
    return f"{code} {close_name(code)}{reason}"
