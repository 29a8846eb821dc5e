"""Profiles of a running server over HTTP: `/debug/pprof/`, on a port of its own.

>>> import asyncio
>>> async def main():
...     async with serve_debug() as debug:  # around the server that is to be profiled
...         return debug.url.startswith("http://127.0.0.1:"), len(debug.token)
>>> asyncio.run(main())
(True, 43)

It is off unless it is asked for, listens on this machine only, and answers only requests with the
token: see `debug_request`. Where none is given, a token is made and handed to the caller, who may
show it once, as `refimpl serve` does. It is never logged: logs are kept, copied and read by many.

The server has a thread and a loop of its own; see `profiles` for why. It profiles the loop in which
`serve_debug` was entered, and notes where each of its tasks is made (1 us a task). It ends with the
block, and so does a profile under way.
"""

import asyncio
import concurrent.futures
import logging
import os
import ssl as tls
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from time import monotonic
from typing import Any

from refimpl.concurrency.tasks import trace_tasks
from refimpl.handshake import is_loopback
from refimpl.profiling.debug_page import index
from refimpl.profiling.debug_request import (
    HEAD_TIMEOUT,
    MIN_TOKEN,
    PROFILES,
    ROOT,
    SEND_TIMEOUT,
    AccessCheck,
    Answer,
    Refused,
    read_request,
    refusal,
)
from refimpl.profiling.profiles import Profiles
from refimpl.profiling.render import CONTENT_TYPES, Finding, render

__all__ = ["DebugServer", "serve_debug"]

MAX_CONNECTIONS = 8
LINGER = 1.0  # seconds
PRODUCTION = ("prod", "production")

logger = logging.getLogger("refimpl.debug")


class DebugServer:
    """A debug server in its thread; `serve_debug` makes it."""

    def __init__(self, token: str, host: str, port: int, ssl: tls.SSLContext | None) -> None:
        self.token = token
        self.host = host
        self.port = port
        """The port listened on; chosen by the system where 0 was asked for."""
        self._ssl = ssl
        self._access = AccessCheck(token, host)
        self._profiles = Profiles(asyncio.get_running_loop(), threading.get_ident())
        self._tasks: set[asyncio.Task[None]] = set()
        # The connections whose token has not been checked, the oldest first.
        self._strangers: dict[asyncio.Task[None], None] = {}
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="refimpl debug", daemon=True)

    @property
    def url(self) -> str:
        """The address of the index page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self._ssl else ''}://{host}:{self.port}{ROOT}"

    # --- in the thread of the profiled loop ---

    async def start(self) -> None:
        """Listen; OSError if that fails."""
        self._thread.start()
        await asyncio.wrap_future(self._ready)
        logger.info("debug endpoints at %s", self.url)

    async def close(self) -> None:
        """Stop listening, end a profile under way, and wait for the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)  # the loop goes on: samplers are stopped in it

    # --- in the thread of the debug server ---

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._ready.done():
                logger.exception("the debug server failed")
            else:
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        """Listen until told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._accept,
            self.host,
            self.port,
            ssl=self._ssl,
            ssl_handshake_timeout=HEAD_TIMEOUT if self._ssl else None,
        )
        self.port = server.sockets[0].getsockname()[1]
        counting = asyncio.create_task(self._profiles.count_tasks())
        self._ready.set_result(None)
        try:
            await self._stop.wait()
        finally:
            server.close()
            self._profiles.end_base()
            for task in (counting, *self._tasks):
                task.cancel()
            await asyncio.gather(counting, *self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept a connection; at the limit, drop the oldest one that has not sent the token."""
        has_room = len(self._tasks) < MAX_CONNECTIONS
        if not has_room and self._strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
            has_room = True
        task = asyncio.create_task(self._converse(reader, writer, has_room))
        self._tasks.add(task)
        self._strangers[task] = None

        def end(task: asyncio.Task[None]) -> None:
            writer.transport.abort()  # here, because a task may be cancelled before it has begun
            self._tasks.discard(task)
            self._strangers.pop(task, None)

        task.add_done_callback(end)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, has_room: bool
    ) -> None:
        """Answer one request, and hang up."""
        address, port = (writer.get_extra_info("peername") or ("?", 0))[:2]
        try:
            answer = await self._answer(reader, f"{address}:{port}", has_room)
            if answer is not None:
                async with asyncio.timeout(SEND_TIMEOUT):
                    writer.transport.set_write_buffer_limits(0)  # drain() waits for all of it
                    writer.write(answer.serialize())
                    await writer.drain()
                    if writer.can_write_eof():
                        writer.write_eof()
                await _linger(reader)
        except (OSError, TimeoutError):
            pass  # the client is gone, or does not take its answer

    async def _answer(
        self, reader: asyncio.StreamReader, who: str, has_room: bool
    ) -> Answer | None:
        """Return the answer to a client's request, None if the client has left; log the outcome."""
        began, what = monotonic(), "a request"
        try:
            if not has_room:
                raise Refused(503, f"at most {MAX_CONNECTIONS} connections at once")
            request = await read_request(reader)
            if request is None:
                return None
            what = _known(request.path)
            query = self._access.check(request)
            self._strangers.pop(asyncio.current_task(), None)  # type: ignore[arg-type]
            what = f"{query.profile or 'index'} as {query.format}"
            if query.seconds:
                what += f" for {query.seconds:g} s"
            if not query.profile:
                return Answer(CONTENT_TYPES["html"], await index(self._profiles))
            finding = await _unless_gone(self._profiles.take(query, who), reader)
            if finding is None:
                logger.warning("%s left, %s stopped after %.2f s", who, what, monotonic() - began)
                return None
            answer = Answer(CONTENT_TYPES[query.format], render(finding, query.format))
        except Refused as refused:
            logger.warning("refused %s %s: %s %s", who, what, refused.status, refused)
            return refusal(refused)
        except Exception:
            logger.exception("%s for %s failed", what, who)
            return refusal(Refused(500, "the profile failed; the server's log says why"))
        logger.info("%s for %s took %.2f s", what, who, monotonic() - began)
        return answer


def _known(path: str) -> str:
    """Return a path for the log; an unknown one might hold a secret."""
    return path if path.startswith(ROOT) and path[len(ROOT) :] in PROFILES else "an unknown path"


async def _unless_gone(
    profiling: Coroutine[Any, Any, Finding], reader: asyncio.StreamReader
) -> Finding | None:
    """Return the finding of a profile; cancel it and return None if the client leaves first."""
    working, leaving = asyncio.create_task(profiling), asyncio.create_task(_left(reader))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _linger(reader: asyncio.StreamReader) -> None:
    """Wait a moment for the client to hang up: closing while it still sends drops the answer."""
    try:
        async with asyncio.timeout(LINGER):
            await _left(reader)
    except TimeoutError:
        pass


async def _left(reader: asyncio.StreamReader) -> None:
    """Return when the client has hung up; drop what it sends until then."""
    try:
        while await reader.read(4096):
            pass
    except OSError:
        pass


@asynccontextmanager
async def serve_debug(
    port: int = 0,
    *,
    token: str | None = None,
    host: str = "127.0.0.1",
    ssl: tls.SSLContext | None = None,
    allow_remote: bool = False,
    environment: str | None = None,
) -> AsyncIterator[DebugServer]:
    """Serve profiles of the running loop during the block.

    port: 0 for a free one; see `.port`. token: at least MIN_TOKEN characters; None for a new one;
    see `.token`. host: an address of this machine only, unless allow_remote is set, which needs ssl
    and is refused in production. environment: what this is, $REFIMPL_ENV where None; "prod" and
    "production" are production. Raises ValueError for an unsafe token or address, OSError if it
    cannot listen.
    """
    if environment is None:
        environment = os.environ.get("REFIMPL_ENV", "")
    token = token_urlsafe(32) if token is None else token
    _check_token(token)
    _check_host(host, ssl, allow_remote, environment.lower() in PRODUCTION)
    # "localhost" may be two addresses, and port 0 then two ports.
    server = DebugServer(token, "127.0.0.1" if host.lower() == "localhost" else host, port, ssl)
    with trace_tasks():
        await server.start()
        try:
            yield server
        finally:
            await server.close()


def _check_token(token: str) -> None:
    if len(token) < MIN_TOKEN:
        raise ValueError(
            f"got a debug token of {len(token)} characters, expected at least {MIN_TOKEN}: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("got a debug token that no header can carry: expected visible ASCII")


def _check_host(host: str, ssl: tls.SSLContext | None, allow_remote: bool, prod: bool) -> None:
    """Raise ValueError if other machines could reach the server without being allowed to."""
    if is_loopback(host):
        return
    where = f"got host={host!r} for the debug endpoints"
    if prod:
        raise ValueError(f"{where}, expected 127.0.0.1 in production: use a tunnel (ssh -L)")
    if not allow_remote:
        raise ValueError(f"{where}, expected 127.0.0.1; a tunnel (ssh -L) reaches it from afar")
    if ssl is None:
        raise ValueError(f"{where}, expected ssl with it: a token in plain text can be read")
