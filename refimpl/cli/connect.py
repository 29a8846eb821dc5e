"""`refimpl connect`: talk to a server, by hand or line by line from a pipe.

On a terminal, a prompt with history stays below what arrives. From a pipe, each line is a message;
after the last the command waits for as many answers, or until nothing has come for a while, and
closes. Whatever comes before the peer's Close is printed: no message is lost.
"""

import asyncio
import ssl as tls
import sys
from typing import Any

import click

from refimpl.cli.lines import Lines, PipeLines, TerminalLines
from refimpl.cli.options import OrNone, limits, reason
from refimpl.errors import ConnectionClosed, HandshakeError
from refimpl.framing import CloseCode
from refimpl.lifecycle import WebSocket
from refimpl.lifecycle import connect as connect_websocket

__all__ = ["connect"]


@click.command(
    epilog="""\b
Examples:
  refimpl connect ws://127.0.0.1:8765/
  printf 'hello\\n' | refimpl connect ws://127.0.0.1:8765/
  refimpl connect wss://example.com/feed --header "Authorization: Bearer ..." --wait none </dev/null
  echo 00ff | refimpl connect --hex ws://127.0.0.1:8765/

On a terminal, Ctrl+D closes the connection."""
)
@click.argument("uri")
@click.option("--origin", metavar="ORIGIN", help="as a browser would send it")
@click.option("--subprotocols", multiple=True, metavar="NAME", help="most wanted first")
@click.option("--header", "headers", multiple=True, metavar='"NAME: VALUE"', help="one more header")
@click.option("--compression", type=click.Choice(["deflate", "none"]), default="none")
@click.option("--insecure", is_flag=True, help="wss:// to a server whose certificate nobody signed")
@click.option("--hex", "as_hex", is_flag=True, help="lines are hex, sent as binary messages")
@click.option(
    "--wait",
    type=OrNone(float),
    default=3.0,
    show_default=True,
    help="After a pipe's last line: how long to wait for an answer that does not come.",
)
@limits(connect_websocket)
def connect(
    uri: str,
    origin: str | None,
    subprotocols: tuple[str, ...],
    headers: tuple[str, ...],
    compression: str,
    insecure: bool,
    as_hex: bool,
    wait: float | None,
    **settings: Any,
) -> None:
    """Connect to URI; send lines as messages, print what comes."""
    connecting = connect_websocket(
        uri,
        origin=origin,
        subprotocols=subprotocols,
        additional_headers=[parse_header(header) for header in headers],
        compression=None if compression == "none" else compression,
        ssl=unverified() if insecure else None,
        **settings,
    )

    async def converse() -> None:
        websocket = await connecting
        by_hand = sys.stdin.isatty() and sys.stdout.isatty()
        lines = TerminalLines(uri) if by_hand else PipeLines()
        with lines:
            await Conversation(websocket, lines, as_hex, wait).run()

    try:
        asyncio.run(converse())
    except HandshakeError as error:
        raise click.ClickException(describe_refusal(error)) from error
    except BrokenPipeError:  # not the network: whoever reads our output has gone
        raise
    except OSError as error:
        raise click.ClickException(f"cannot connect to {uri}: {reason(error)}") from error
    except ConnectionClosed as error:
        raise click.ClickException(f"connection closed: {error}") from error


class Conversation:
    """One connection with lines going out and messages coming in, until either ends."""

    def __init__(
        self, websocket: WebSocket, lines: Lines, as_hex: bool, wait: float | None
    ) -> None:
        self._websocket = websocket
        self._lines = lines
        self._as_hex = as_hex
        self._wait = wait
        self._sent = self._answers = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Send and print side by side; raises ConnectionClosed where the end was not clean."""
        sending = asyncio.create_task(self._send())
        try:
            async for message in self._websocket:
                self._answers += 1
                self._news.set()
                self._lines.show(message if isinstance(message, str) else message.hex(" "))
        except asyncio.CancelledError:  # Ctrl+C: say goodbye, and do not wait for an answer
            self._websocket.start_close(CloseCode.GOING_AWAY)
            self._websocket.transport.abort()
            raise
        finally:
            try:
                await self._stop(sending)
            finally:
                await self._websocket.wait_closed()
        code, reason = self._websocket.close_code, self._websocket.close_reason
        self._lines.tell(f"Connection closed: {code} {reason}".rstrip())

    async def _stop(self, sending: "asyncio.Task[None]") -> None:
        """End the sender with the connection; pass on what went wrong in it."""
        self._websocket.start_close()
        sending.cancel()
        try:
            await sending
        except (asyncio.CancelledError, ConnectionClosed):
            pass

    async def _send(self) -> None:
        """Send every line, wait for answers that are due, then close."""
        try:
            async for line in self._lines:
                await self._websocket.send(from_hex(line) if self._as_hex else line)
                self._sent += 1
            if not self._lines.interactive:
                await self._await_answers()
        finally:
            self._websocket.start_close()

    async def _await_answers(self) -> None:
        """Wait until there are as many answers as lines, or none has come for `wait` seconds.

        Without a line nothing tells how many there will be, so then only the time counts.
        """
        while self._answers < self._sent or not self._sent:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), self._wait)
            except TimeoutError:
                return


def from_hex(line: str) -> bytes:
    """Return the bytes of a line of hex digits; click.UsageError for anything else."""
    try:
        return bytes.fromhex(line)
    except ValueError as error:
        raise click.UsageError(f"Got {line[:40]!r}, expected hex digits (--hex).") from error


def parse_header(line: str) -> tuple[str, str]:
    """Return the name and value of "Name: value"; click.UsageError for anything else."""
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header {line!r}: expected 'Name: value'.")
    return name.strip(), value.strip()


def unverified() -> tls.SSLContext:
    """Return a TLS context that believes any certificate."""
    context = tls.create_default_context()
    context.check_hostname = False
    context.verify_mode = tls.CERT_NONE
    return context


def describe_refusal(error: HandshakeError) -> str:
    """Return what a server said instead of 101: the status and the first line of its page."""
    if not error.status or error.status == 101:
        return f"no WebSocket: {error}"
    first_line, *_ = error.body.decode(errors="replace").strip().splitlines() or [""]
    return f"no WebSocket: {error}" + (f": {first_line[:200]}" if first_line else "")
