"""The end of a token is the end of its socket, unless the same user renews it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from refimpl.auth import Authenticate, AuthError, Claims
from refimpl.auth.expiry import ExpiringSocket
from refimpl.middleware.asgi import App, Receive, Scope, Send
from refimpl.middleware.context import User
from tests.support.asgi import Exchange, scope_of
from tests.support.clockwork import virtual_time
from tests.support.guarded import Echo, asked, bearer, guarded
from tests.support.signing import NOW, Clock, forge, unsigned


class TestRule13EndOfTheToken:
    """An open socket is closed with 4401 within 5 s of exp, unless the same user renews it."""

    @staticmethod
    async def opened(
        app: App, clock: Clock, seconds: float = 60, **options: Any
    ) -> tuple[Exchange, Authenticate]:
        door = guarded(app, clock, **options)
        token = forge(claims={"exp": clock() + seconds})
        exchange = await Exchange(door, scope_of(headers=bearer(token))).settle()
        assert exchange.status == 101
        return exchange, door

    @virtual_time
    async def test_13_socket_is_closed_at_exp(self) -> None:
        loop = asyncio.get_running_loop()
        began, clock = loop.time(), Clock()
        clock.__class__ = type(
            "Ticking", (Clock,), {"__call__": lambda s: NOW + loop.time() - began}
        )
        app = Echo()
        exchange, _ = await self.opened(app, clock)
        await asyncio.sleep(59)
        assert exchange.closes == []
        await asyncio.sleep(1.01)
        assert exchange.closes == [4401]
        exchange.leave(4401)
        await exchange.task
        assert app.ends == [
            {"type": "websocket.disconnect", "code": 4401, "reason": "the token has expired"}
        ]

    @virtual_time
    async def test_13_clock_that_jumps_is_noticed_within_5_s(self) -> None:
        clock = Clock()
        exchange, _ = await self.opened(Echo(), clock, seconds=900)
        await asyncio.sleep(10)
        assert exchange.closes == []
        clock.now += 900  # the machine slept
        await asyncio.sleep(4.5)
        assert exchange.closes == [4401]
        exchange.leave()
        await exchange.task

    @virtual_time
    async def test_13_nothing_passes_after_the_end(self) -> None:
        clock, app = Clock(), Echo()
        exchange, _ = await self.opened(app, clock)
        clock.now += 60
        await asyncio.sleep(4.5)
        exchange.say("too late")
        await exchange.settle()
        assert exchange.sent[-1]["type"] == "websocket.close"
        exchange.leave()
        await exchange.task
        assert app.ends[0]["code"] == 4401

    @virtual_time
    async def test_13_application_that_only_sends_is_stopped(self) -> None:
        clock, errors = Clock(), []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            try:
                while True:
                    await asyncio.sleep(1)
                    await send({"type": "websocket.send", "text": "tick"})
            except OSError as error:
                errors.append(str(error))
                raise

        exchange, _ = await self.opened(app, clock)
        clock.now += 60
        await exchange.task  # its error is ours, and goes no further
        assert exchange.closes == [4401]
        assert errors == ["the token has expired"]

    @virtual_time
    async def test_13_application_that_does_not_notice_is_cancelled(self) -> None:
        clock, left = Clock(), []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            try:
                await asyncio.sleep(1e6)
            finally:
                left.append(True)

        exchange, _ = await self.opened(app, clock)
        clock.now += 60
        await exchange.task
        assert exchange.closes == [4401]
        assert left == [True]

    @virtual_time
    async def test_13_client_that_does_not_read_is_left(self) -> None:
        clock = Clock()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while True:
                await send({"type": "websocket.send", "text": "x"})
                await asyncio.sleep(0.5)

        exchange, _ = await self.opened(app, clock)
        exchange.blocked.clear()
        clock.now += 60
        await exchange.task
        assert exchange.closes == []

    @virtual_time
    async def test_13_client_that_is_gone_is_no_error(self) -> None:
        clock = Clock()
        exchange, _ = await self.opened(Echo(), clock)
        exchange.gone = True
        clock.now += 60
        await asyncio.sleep(4.5)
        exchange.leave()
        await exchange.task
        assert exchange.closes == []

    @virtual_time
    async def test_13_cancelling_from_outside_stays_cancelling(self) -> None:
        for late in (False, True):
            clock = Clock()
            exchange, _ = await self.opened(Echo(), clock)
            if late:
                clock.now += 60
                await asyncio.sleep(4.5)
            exchange.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await exchange.task

    @virtual_time
    async def test_13_application_that_returns_early_leaves_no_timer(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})

        exchange, _ = await self.opened(app, Clock())
        assert exchange.task.done()

    @virtual_time
    async def test_13_token_that_ends_now_opens_nothing(self) -> None:
        door = guarded()
        exchange = await asked(door, headers=bearer(forge(claims={"exp": NOW})))
        assert (exchange.status, door.refused) == (401, {"expired": 1})
        exchange = await asked(door, "http", headers=bearer(forge(claims={"exp": NOW})))
        assert exchange.status == 200

    @virtual_time
    async def test_13_token_that_ends_before_the_application_begins_closes_at_once(self) -> None:
        events: asyncio.Queue[Any] = asyncio.Queue()
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        socket = ExpiringSocket(events.get, send, now=lambda: NOW, check_every=4)
        claims = Claims(User("ada"), "token-1", NOW - 1, NOW)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert (await receive())["code"] == 4401

        running = asyncio.ensure_future(socket.run(app, {}, claims))
        await asyncio.sleep(1)
        assert [message["code"] for message in sent] == [4401]
        events.put_nowait({"type": "websocket.disconnect", "code": 1006})
        await running

    @virtual_time
    async def test_13_same_user_may_renew(self) -> None:
        clock, app = Clock(), Echo()
        exchange, _ = await self.opened(app, clock)
        renew = app.scopes[0]["extensions"]["refimpl.auth"]["renew"]
        clock.now += 30
        claims = renew(forge(claims={"exp": clock() + 300}))
        assert claims.expires_at == clock() + 300
        clock.now += 200
        await asyncio.sleep(10)
        assert exchange.closes == []
        clock.now += 200
        await asyncio.sleep(10)
        assert exchange.closes == [4401]
        with pytest.raises(AuthError) as caught:
            renew(forge(claims={"iat": clock(), "exp": clock() + 300}))
        assert caught.value.reason == "expired"
        exchange.leave()
        await exchange.task

    @virtual_time
    async def test_13_another_user_may_not_renew(self) -> None:
        app = Echo()
        exchange, _ = await self.opened(app, Clock())
        renew = app.scopes[0]["extensions"]["refimpl.auth"]["renew"]
        for token, reason in ((forge(claims={"sub": "eve"}), "subject"), (unsigned(), "algorithm")):
            with pytest.raises(AuthError) as caught:
                renew(token)
            assert caught.value.reason == reason
        exchange.leave()
        await exchange.task
