"""Handlers and applications that outlive their token: they are ended, whatever they do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from refimpl import ConnectionClosed, memory_pipe
from refimpl.auth import Authenticator, Claims, ServeAuth
from refimpl.auth.expiry import LEAVE_WITHIN, ExpiringSocket
from refimpl.auth.serve import _claims
from refimpl.lifecycle import ServerConnection, Settings
from refimpl.middleware.asgi import App, Message, Receive, Scope, Send
from tests.support.asgi import Exchange, scope_of
from tests.support.clockwork import virtual_time
from tests.support.signing import ADA, NOW, Clock, forge, verifier
from tests.test_auth_asgi import bearer, guarded

QUIET = Settings(ping_interval=None)


async def serve_with_token(
    handler: Callable[[ServerConnection], Awaitable[None]], *, left: float = 60
) -> tuple[asyncio.Task[None], ServerConnection]:
    """Run handler behind a door, on a socket whose token lasts so many seconds more."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    now = lambda: NOW + loop.time() - began  # noqa: E731
    auth = ServeAuth(Authenticator(verifier=verifier(now=now)))
    client, server = await memory_pipe(QUIET)

    async def handle() -> None:
        _claims.set(Claims(ADA, "token-1", NOW, NOW + left))
        try:
            await auth.protect(handler)(server)
        finally:
            client.transport.abort()

    return asyncio.create_task(handle(), name="handler"), server


class TestAHandlerThatOutlivesItsToken:
    @virtual_time
    async def test_it_is_cancelled(self) -> None:
        """15: it ran on for ever, in the name of somebody who was not signed in any more."""
        ended = asyncio.Event()

        async def deaf(connection: ServerConnection) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        loop = asyncio.get_running_loop()
        task, server = await serve_with_token(deaf)
        begun = loop.time()
        await task  # returns: the cancellation was the door's
        assert ended.is_set()
        assert 60 <= loop.time() - begun <= 61 + LEAVE_WITHIN
        assert server.core.close_sent is not None and server.core.close_sent.code == 4401
        assert task.cancelling() == 0

    @virtual_time
    async def test_one_that_swallows_it_is_cancelled_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        cancelled: list[float] = []

        async def stubborn(connection: ServerConnection) -> None:
            while len(cancelled) < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(asyncio.get_running_loop().time())

        with caplog.at_level(logging.WARNING, "refimpl.auth"):
            task, _ = await serve_with_token(stubborn)
            await task
        assert len(cancelled) == 3
        assert task.cancelling() == 0  # a time limit later in this task works as ever
        assert caplog.text.count("handler outlived its token") == 3

    @virtual_time
    async def test_one_that_leaves_is_not(self) -> None:
        async def polite(connection: ServerConnection) -> None:
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            await asyncio.sleep(LEAVE_WITHIN - 1)

        task, _ = await serve_with_token(polite)
        await task

    @virtual_time
    async def test_a_handler_that_ends_in_time_leaves_no_timer(self) -> None:
        async def brief(connection: ServerConnection) -> None:
            await connection.send("bye")

        task, server = await serve_with_token(brief)
        await task
        assert server.core.close_sent is None

    @virtual_time
    async def test_an_error_goes_up(self) -> None:
        async def broken(connection: ServerConnection) -> None:
            raise ZeroDivisionError

        task, _ = await serve_with_token(broken)
        with pytest.raises(ZeroDivisionError):
            await task

    @pytest.mark.parametrize("after", [1, 62])
    @virtual_time
    async def test_somebody_elses_cancellation_stays_one(self, after: float) -> None:
        async def deaf(connection: ServerConnection) -> None:
            await asyncio.Event().wait()

        task, _ = await serve_with_token(deaf)
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    @virtual_time
    async def test_both_at_once_leave_the_other_one(self) -> None:
        async def deaf(connection: ServerConnection) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                outer.cancel()

        outer, _ = await serve_with_token(deaf)
        with pytest.raises(asyncio.CancelledError):
            await outer


class TestAnApplicationThatOutlivesItsToken:
    """The same for ASGI, where the door is `Authenticate`."""

    @staticmethod
    async def opened(app: App) -> tuple[Exchange, Clock]:
        clock = Clock()
        token = forge(claims={"exp": clock() + 60})
        exchange = await Exchange(guarded(app, clock), scope_of(headers=bearer(token))).settle()
        clock.now += 60
        return exchange, clock

    @virtual_time
    async def test_one_that_swallows_its_cancellation_is_cancelled_again(self) -> None:
        """15: it was cancelled once, and whoever ignored that went on for ever."""
        cancelled: list[int] = []

        async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while len(cancelled) < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(exchange.task.cancelling())

        exchange, _ = await self.opened(stubborn)
        await exchange.task
        assert cancelled == [1, 2, 3]
        assert exchange.task.cancelling() == 0
        assert exchange.closes == [4401]

    @pytest.mark.parametrize("error", [RuntimeError, ConnectionError, KeyError])
    @virtual_time
    async def test_a_server_that_cannot_close_does_not_keep_the_application(
        self, error: type[Exception], caplog: pytest.LogCaptureFixture
    ) -> None:
        """18: an error of the server's while we close ended the task that would have cancelled."""

        async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await asyncio.Event().wait()

        sent: list[Message] = []

        async def send(message: Message) -> None:
            if message["type"] == "websocket.close":
                raise error
            sent.append(message)

        events: asyncio.Queue[Message] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})
        clock = Clock()
        session = ExpiringSocket(events.get, send, now=clock, check_every=4)
        running = asyncio.create_task(session.run(deaf, {}, Claims(ADA, "t", NOW, NOW + 60)))
        await asyncio.sleep(1)
        clock.now += 60
        await running
        assert [message["type"] for message in sent] == ["websocket.accept"]
        assert not caplog.records

    @virtual_time
    async def test_a_denial_without_end_gives_way_to_others(self) -> None:
        """1: its pieces went nowhere, since the socket was open already, and nothing waited."""
        others: list[int] = []

        async def endless(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            while len(others) < 3:
                piece = {"type": "websocket.http.response.body", "body": b"x", "more_body": True}
                await send(piece)

        async def other() -> None:
            for number in range(3):
                others.append(number)
                await asyncio.sleep(0)

        async def send(message: Message) -> None: ...

        events: asyncio.Queue[Message] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})
        events.put_nowait({"type": "websocket.receive", "text": "token"})
        session = ExpiringSocket(events.get, send, now=Clock(), check_every=4)
        assert await session.open_early(None, within=1) is not None
        running = asyncio.create_task(session.run(endless, {}, Claims(ADA, "t", NOW, NOW + 60)))
        await asyncio.gather(running, other())
