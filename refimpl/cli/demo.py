"""`refimpl demo`: the chat application, on uvicorn with our engine, everything in one process."""

import asyncio
import signal
import socket
import ssl as tls
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from refimpl.cli.options import reason
from refimpl.handshake import is_loopback

if TYPE_CHECKING:
    from refimpl.middleware.asgi import App

__all__ = ["demo"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
REACHABLE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

GOODBYE = 2  # seconds for connections to end after Ctrl+C
PING_EVERY = 20.0  # seconds


@click.command(
    epilog="""\b
Examples:
  refimpl demo                        the chat on http://127.0.0.1:8000/
  refimpl demo --port 0               on a free port
  refimpl demo --compression deflate  and see compressed frames in the wire panel
  refimpl demo --host 0.0.0.0 --ssl cert.pem   for other machines too"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for every interface")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 for a free one",
)
@click.option("--compression", type=click.Choice(["deflate", "none"]), default="none")
@click.option(
    "--ssl", type=click.Path(exists=True, dir_okay=False), help="PEM file with certificate and key"
)
def demo(host: str, port: int, compression: str, ssl: str | None) -> None:
    """Run the chat application until Ctrl+C; print its address.

    Sign in as two people in two browsers, and open the wire panel: it shows the frames of your own
    connection as they pass. Nothing is stored, so a restart forgets what was said and signs
    everybody out. Nothing is loaded from elsewhere.
    """
    settings: dict[str, object] = {
        "access_log": False,
        "log_level": "warning",
        "timeout_graceful_shutdown": GOODBYE,
        "ws_per_message_deflate": compression == "deflate",
        "ws_ping_interval": PING_EVERY,
        "ssl_certfile": ssl,
    }
    try:
        asyncio.run(serve_until_stopped(host, port, settings))
    except tls.SSLError as error:
        raise click.UsageError(f"--ssl {ssl}: no certificate with its key in it.") from error
    except OSError as error:
        where = f"{host or 'any interface'}, port {port}"
        raise click.ClickException(f"cannot listen on {where}: {reason(error)}") from error


async def serve_until_stopped(host: str, port: int, settings: dict[str, object]) -> None:
    """Serve until the process is told to stop, then say goodbye to every client."""
    try:
        from refimpl.chat import MAX_FRAME, Chat
        from refimpl.middleware.hosts import AllowedHosts
        from refimpl.middleware.serving import OUR_HTTP, bracketed, running
    except ImportError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'refimpl[server]'"
        ) from error
    app: App = Chat()
    if only_here(host):  # a page elsewhere can point its own name at this machine
        app = AllowedHosts(app, [*LOOPBACK, host])
    settings = {"ws_max_size": MAX_FRAME, "http": OUR_HTTP, **settings}
    with told_to_stop() as stop:
        async with running(app, host=host, port=port, settings=settings) as server:
            scheme = "https" if settings["ssl_certfile"] else "http"
            name = bracketed(REACHABLE.get(host, host))
            click.echo(f"The chat is on {scheme}://{name}:{server.port}/")
            sys.stdout.flush()
            await stop.wait()


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Yield an event that SIGINT and SIGTERM set while the block runs."""
    loop, stop, taken = asyncio.get_running_loop(), asyncio.Event(), []
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                # Not on Windows, nor outside of the main thread: Ctrl+C cancels this task instead.
                loop.add_signal_handler(number, stop.set)
                taken.append(number)
        yield stop
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def only_here(host: str) -> bool:
    """Whether only this machine can reach a server on this host."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:  # listening on it will fail as well, and say why
        return False
    return all(is_loopback(str(each).partition("%")[0]) for each in found)
