"""`refimpl demo`: the chat application, on uvicorn with our engine, everything in one process."""

import asyncio
import signal
import ssl as tls
import sys

import click

from refimpl.cli.options import reason

__all__ = ["demo"]

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
    connection as they pass. Nothing is stored, and nothing is loaded from elsewhere.
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
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from refimpl.chat import MAX_FRAME, Chat
        from refimpl.middleware.serving import running
    except ImportError as error:
        raise click.ClickException(
            f"the demo needs {error.name}: pip install 'refimpl[server]'"
        ) from error
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    except NotImplementedError:  # Windows: Ctrl+C cancels this task instead
        pass
    settings = {"ws_max_size": MAX_FRAME, **settings}
    # A page elsewhere can point its own name at this machine, and would then be of our origin.
    is_local = host == "localhost" or host.startswith("127.")
    names = ["127.0.0.1", "localhost", host] if is_local else ["*"]
    app = TrustedHostMiddleware(Chat(), allowed_hosts=names)
    async with running(app, host=host, port=port, settings=settings) as server:
        scheme = "https" if settings["ssl_certfile"] else "http"
        click.echo(f"The chat is on {scheme}://{reachable(host)}:{server.port}/")
        sys.stdout.flush()
        await stop.wait()


def reachable(host: str) -> str:
    """Return a name under which a browser on this machine reaches the host."""
    return "127.0.0.1" if host in ("", "0.0.0.0") else host
