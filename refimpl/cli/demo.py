"""`refimpl demo`: the chat application, on uvicorn with our engine, in one process or in several.

A node of several is this very command with three variables: REDIS_URL, the store that all have in
common; REFIMPL_NODE, its name; REFIMPL_KEY, hexadecimal, the key that signs sessions on all.
"""

import asyncio
import os
import signal
import socket
import ssl as tls
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from refimpl.cli.options import error_text
from refimpl.handshake import is_loopback

if TYPE_CHECKING:
    from refimpl.middleware.asgi import App

__all__ = ["demo"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
REACHABLE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

CLOSE_LIMIT = 2  # seconds for connections to end after Ctrl+C
PING_EVERY = 20.0  # seconds
MOST_NODES = 9


@click.command(
    epilog="""\b
Examples:
  refimpl demo                        the chat on http://127.0.0.1:8000/
  refimpl demo --port 0               on a free port
  refimpl demo --compression deflate  and see compressed frames in the wire panel
  refimpl demo --nodes 3              three nodes, Valkey and Caddy, one address
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
@click.option(
    "--nodes",
    type=click.IntRange(1, MOST_NODES),
    default=1,
    show_default=True,
    help="processes that serve it, with Caddy in front",
)
def demo(host: str, port: int, compression: str, ssl: str | None, nodes: int) -> None:
    """Run the chat application until Ctrl+C; print its address.

    Sign in as two people in two browsers, and open the wire panel: it shows the frames of your own
    connection as they pass. Nothing is stored, so a restart forgets what was said and signs
    everybody out; with REDIS_URL, rooms live in that Valkey or Redis. Nothing is loaded from
    elsewhere.
    """
    if nodes > 1:
        return run_fleet(host, port, compression, ssl, nodes)
    settings: dict[str, object] = {
        "access_log": False,
        "log_level": "warning",
        "timeout_graceful_shutdown": CLOSE_LIMIT,
        "ws_per_message_deflate": compression == "deflate",
        "ws_ping_interval": PING_EVERY,
        "ssl_certfile": ssl,
    }
    try:
        asyncio.run(serve_until_stopped(host, port, settings))
    except RuntimeError as error:  # the store of REDIS_URL cannot be had: uvicorn has said why
        raise click.ClickException(str(error)) from error
    except tls.SSLError as error:
        raise click.UsageError(f"--ssl {ssl}: expected a certificate and its key.") from error
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> click.ClickException:
    """Return what to say where an address cannot be had."""
    where = f"{host or 'any interface'}, port {port}"
    return click.ClickException(f"cannot listen on {where}: {error_text(error)}")


async def serve_until_stopped(host: str, port: int, settings: dict[str, object]) -> None:
    """Serve until the process is told to stop, then close every connection."""
    try:
        from refimpl.chat import MAX_FRAME
        from refimpl.middleware.hosts import AllowedHosts
        from refimpl.middleware.serving import OUR_HTTP, bracketed, running
    except ImportError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'refimpl[server]'"
        ) from error
    app = new_chat()
    if only_here(host):  # against DNS rebinding, see `hosts`
        app = AllowedHosts(app, [*LOOPBACK, host])
    settings = {"ws_max_size": MAX_FRAME, "http": OUR_HTTP, "lifespan": "on", **settings}
    with told_to_stop() as stop:
        async with running(app, host=host, port=port, settings=settings) as server:
            scheme = "https" if settings["ssl_certfile"] else "http"
            name = bracketed(REACHABLE.get(host, host))
            click.echo(f"The chat is on {scheme}://{name}:{server.port}/")
            sys.stdout.flush()
            await stop.wait()


def new_chat() -> "App":
    """Return the chat: a node on REDIS_URL's store where that is set, else all in this process."""
    from refimpl.chat import Chat
    from refimpl.chat.stores import ValkeyStores

    url = os.environ.get("REDIS_URL")
    if not url:
        return Chat()
    key, node = os.environ.get("REFIMPL_KEY", ""), os.environ.get("REFIMPL_NODE", "")
    try:
        return Chat(stores=ValkeyStores(url), node=node, key=bytes.fromhex(key) or None)
    except ValueError as error:
        names = "REDIS_URL, REFIMPL_NODE and REFIMPL_KEY"
        raise click.UsageError(f"{names} do not make a node: {error}") from error


def run_fleet(host: str, port: int, compression: str, ssl: str | None, count: int) -> None:
    """Run nodes behind Caddy, on REDIS_URL's store or one of our own, until told to stop."""
    from refimpl.cli.fleet import Missing, fleet

    async def run() -> None:
        with told_to_stop() as stop:
            url = os.environ.get("REDIS_URL") or None
            await fleet(stop, host, port, count, url=url, compression=compression)

    if sys.platform == "win32":
        raise click.UsageError("--nodes needs Linux or macOS: Caddy is given an open socket.")
    if ssl or host not in LOOPBACK:
        raise click.UsageError("--nodes is for this machine alone: without --host and --ssl.")
    try:
        asyncio.run(run())
    except Missing as error:
        raise click.ClickException(f"--nodes {error}") from error
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise cannot_listen(host, port, error) from error


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
