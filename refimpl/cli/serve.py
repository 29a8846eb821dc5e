"""`refimpl serve`: a server on our own asyncio stack."""

import asyncio
import logging
import signal
import ssl as tls
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from refimpl.cli.options import limits, reason
from refimpl.cli.output import is_terminal, log_to_stderr, say
from refimpl.lifecycle import Server, ServerConnection, broadcast
from refimpl.lifecycle import serve as serve_websockets
from refimpl.profiling.debug import DebugServer, serve_debug

__all__ = ["serve"]

PORT = click.IntRange(0, 65535)

Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(websocket: ServerConnection) -> None:
    """Send every message back."""
    async for message in websocket:
        await websocket.send(message)


async def echo_with_prefix(websocket: ServerConnection) -> None:
    """Send every text back behind "echo: ", and every binary message as it is."""
    async for message in websocket:
        await websocket.send(f"echo: {message}" if isinstance(message, str) else message)


async def chat(websocket: ServerConnection) -> None:
    """Send every message to everyone who is connected."""
    async for message in websocket:
        broadcast(websocket.server.connections, message)  # type: ignore[attr-defined]


APPS: dict[str, Handler] = {"echo": echo, "echo:": echo_with_prefix, "chat": chat}


@click.command(
    epilog="""\b
Examples:
  refimpl serve                           echo on ws://127.0.0.1:8765/
  refimpl serve --app "echo: "            the same with "echo: " before each text
  refimpl serve --app chat --host 0.0.0.0 --origins "*"
  refimpl serve --app mymodule:handler    async def handler(websocket) of your own
  refimpl serve --port 0 --compression deflate --max-size 65536
  refimpl serve --trusted-proxy 127.0.0.1 --allowed-host chat.example --max-memory 500000000
  refimpl serve --debug-port 6060         and: refimpl profile http://127.0.0.1:6060"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help='"" for every interface')
@click.option("--port", type=PORT, default=8765, show_default=True, help="0 for a free one")
@click.option(
    "--app", default="echo", show_default=True, help='echo, "echo: ", chat, or module:name'
)
@click.option(
    "--origins",
    multiple=True,
    metavar="ORIGIN",
    help='Origins that may connect; "*" for any, "none" for clients that send none.'
    "  [default: the server's own, and clients that send none]",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="HOST",
    help='names and addresses to answer to; "*" for any.'
    "  [default: this machine's own on a loopback address, else any]",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="NETWORK",
    help="proxies whose X-Forwarded-* and Forwarded headers are believed: 10.0.0.0/8, say",
)
@click.option("--subprotocols", multiple=True, metavar="NAME", help="most wanted first")
@click.option("--compression", type=click.Choice(["deflate", "none"]), default="none")
@click.option("--ssl", metavar="FILE", help="PEM file with a certificate and its key: serve wss://")
@click.option("--reuse-port", is_flag=True, help="share the port with other processes")
@click.option(
    "--backlog",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="connections that may wait to be accepted",
)
@click.option("--debug-port", type=PORT, help="serve profiles on this port of 127.0.0.1")
@click.option(
    "--debug-token",
    metavar="TOKEN",
    envvar="REFIMPL_DEBUG_TOKEN",
    help="for the profiles, 32 characters or more; better in $REFIMPL_DEBUG_TOKEN, since others can"
    " read a command line.  [default: a new one, shown once]",
)
@limits(serve_websockets)
def serve(
    host: str,
    port: int,
    app: str,
    origins: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    subprotocols: tuple[str, ...],
    compression: str,
    ssl: str | None,
    reuse_port: bool,
    debug_port: int | None,
    debug_token: str | None,
    **settings: Any,
) -> None:
    """Serve WebSockets until Ctrl+C; print the address."""
    serving = serve_websockets(
        find_app(app),
        host,
        port,
        origins=[None if origin == "none" else origin for origin in origins] or None,
        allowed_hosts=allowed_hosts or None,
        subprotocols=subprotocols,
        compression=None if compression == "none" else compression,
        ssl=load_certificate(ssl) if ssl else None,
        reuse_port=reuse_port or None,
        **settings,
    )
    log_to_stderr()
    profiles = None if debug_port is None else offer_profiles(debug_port, debug_token)
    try:
        asyncio.run(serve_until_stopped(serving, "wss" if ssl else "ws", profiles))
    except OSError as error:
        where = f"{host or 'any interface'}, port {port}"
        if debug_port:
            where += f" or 127.0.0.1, port {debug_port}"
        raise click.ClickException(f"cannot listen on {where}: {reason(error)}") from error


def offer_profiles(port: int, token: str | None) -> AbstractAsyncContextManager[DebugServer]:
    """Return a debug server to enter, whose uses are logged on stderr."""
    if token is None and not is_terminal(sys.stderr):  # what is written may be a log, and be kept
        message = "--debug-port: no terminal to show a new token on; set REFIMPL_DEBUG_TOKEN."
        raise click.UsageError(message)
    log_to_stderr("refimpl.debug", "debug")
    log = logging.getLogger("refimpl.debug")
    log.setLevel(logging.INFO)
    log.propagate = False
    return announced(serve_debug(port, token=token), shown=token is None)


@asynccontextmanager
async def announced(
    profiles: AbstractAsyncContextManager[DebugServer], shown: bool
) -> AsyncIterator[DebugServer]:
    """Enter a debug server and say where it is; its token too, where it is to be shown."""
    async with profiles as debug:
        say(f"Profiles at {debug.url}", err=True)
        if shown:
            say(f"Token for them, shown once: {debug.token}", err=True)
        yield debug


async def serve_until_stopped(
    serving: Awaitable[Server],
    scheme: str,
    beside: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Serve until the process is told to stop, then say goodbye to every client."""
    async with beside or nullcontext():
        await serve_alone(serving, scheme)


async def serve_alone(serving: Awaitable[Server], scheme: str) -> None:
    """Serve, with nothing beside it."""
    server = await serving
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    except NotImplementedError:  # Windows: Ctrl+C cancels this task instead
        pass
    for address in addresses(server, scheme):
        say(f"Listening on {address}")
    try:
        await stop.wait()
    finally:
        server.close()
        await server.wait_closed()


def addresses(server: Server, scheme: str) -> list[str]:
    """Return the URIs under which a server on this machine is reached."""
    found = []
    for each in server.sockets:
        host, port = each.getsockname()[:2]
        found.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/")
    return found


def find_app(name: str) -> Handler:
    """Return the handler that a name stands for; click.BadParameter where there is none."""
    if name.strip() in APPS:
        return APPS[name.strip()]
    module, colon, attribute = name.partition(":")
    if not colon:
        known = ", ".join(repr(known) for known in ("echo", "echo: ", "chat"))
        raise click.UsageError(f"--app {name!r}: expected {known} or module:name.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        handler: Handler = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise click.UsageError(f"--app {name!r}: {error}.") from error
    return handler


def load_certificate(path: str) -> tls.SSLContext:
    """Return the TLS context of a server that has this certificate and key."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(path)
    except tls.SSLError as error:
        raise click.UsageError(f"--ssl {path}: no certificate with its key in it.") from error
    return context
