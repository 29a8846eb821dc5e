"""`refimpl inspect`: bytes field by field, from hex, from a file, or from a live connection."""

import asyncio
import re
import sys
from pathlib import Path
from typing import NoReturn

import click

from refimpl.cli.output import is_terminal, say

__all__ = ["inspect"]


@click.command(
    epilog="""\b
Examples:
  refimpl inspect 81 85 37 fa 21 3d 7f 9f 4d 51 58
  echo 880203e8 | refimpl inspect
  refimpl inspect --file frames.bin
  refimpl inspect --file refimpl/lab/captures/programs/wscat.json
  refimpl inspect --listen 9000 --to ws://127.0.0.1:8765/     then connect to port 9000"""
)
@click.argument("hex_digits", nargs=-1, metavar="[HEX]...")
@click.option("--file", "path", metavar="FILE", help="raw bytes, or a capture that ends in .json")
@click.option("--listen", metavar="[HOST:]PORT", help="run a proxy on this port, 0 for a free one")
@click.option("--to", metavar="URI", help="the server behind the proxy, ws:// or wss://")
@click.option("--save", metavar="FILE", help="with --listen: save each connection as a capture")
@click.option("--compressed", is_flag=True, help="RSV1 is allowed: permessage-deflate was agreed")
@click.option("--bits", is_flag=True, help="with a capture or a proxy: every frame bit by bit")
def inspect(
    hex_digits: tuple[str, ...],
    path: str | None,
    listen: str | None,
    to: str | None,
    save: str | None,
    compressed: bool,
    bits: bool,
) -> None:
    """Take bytes apart: heads line by line, frames bit by bit."""
    if sum(map(bool, (hex_digits, path, listen))) > 1:
        raise click.UsageError("Give one of HEX, --file and --listen.")
    if bool(listen) != bool(to):
        raise click.UsageError("--listen and --to go together.")
    if listen and to:
        watch(listen, to, save, bits)
    elif path and path.endswith(".json"):
        show_capture(path, bits)
    elif path:
        say(explain(Path(path).read_bytes(), compressed))
    else:
        say(explain(parse_hex(" ".join(hex_digits) or read_stdin()), compressed))


def watch(listen: str, to: str, save: str | None, bits: bool) -> None:
    """Run a proxy until Ctrl+C."""
    from refimpl.cli.proxy import Proxy

    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise click.UsageError(f"--listen {listen!r}: expected a port, or host:port.")
    proxy = Proxy(host.strip("[]") or "127.0.0.1", int(port), to, save=save, bits=bits)
    try:
        asyncio.run(proxy.run())
    except KeyboardInterrupt:  # the usual way to stop watching
        pass


def read_stdin() -> str:
    """Return standard input; on a terminal, print a hint first."""
    if is_terminal(sys.stdin):
        click.echo("Type or paste hex, then Ctrl+D:", err=True)
    return sys.stdin.read()


def parse_hex(text: str) -> bytes:
    """Return the bytes that hex digits stand for, however they are grouped.

    >>> parse_hex("0x81, 0x05 48:65:6c 6C6F").hex()
    '810548656c6c6f'
    """
    digits = re.sub(r"0x|\\x|[\s,:;_-]", "", text, flags=re.IGNORECASE)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if not digits:
        refuse("no hex digits")
    if wrong:
        refuse(f"{wrong[0]!r} is no hex digit")
    if len(digits) % 2:
        refuse(f"{len(digits)} hex digits, expected an even number")
    return bytes.fromhex(digits)


def refuse(what: str) -> NoReturn:
    """Raise the error for input that is not hex."""
    raise click.UsageError(f"Got {what}.")


def explain(data: bytes, compressed: bool) -> str:
    """Return the bytes annotated: a head and the frames after it, or frames alone."""
    from refimpl.lab.wire.annotate import annotate
    from refimpl.lab.wire.heads import is_head

    if not is_head(data):
        return annotate(data, compressed=compressed)
    head, end, behind = data.partition(b"\r\n\r\n")
    parts = [annotate(head + end)]
    if behind:
        parts.append(annotate(behind, compressed=compressed or b"permessage-deflate" in head))
    return "\n\n".join(parts)


def show_capture(path: str, bits: bool) -> None:
    """Print a capture's conversation, and with bits each frame bit by bit."""
    from refimpl.lab.wire.annotate import annotate
    from refimpl.lab.wire.capture import Capture

    capture = Capture.load(path)
    say(capture.text(exact=True, pings=True, ends=True))
    if bits:
        for wire in capture.wires_of():
            say(f"\n{annotate(wire, compressed=True)}")
