"""The registry: named endpoints that can be changed while the server runs."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext, suppress

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.middleware import Ended, Registry
from tests.support.asgi_peer import Peer, echo, http_scope, page, websocket_scope

ACCEPT = {"type": "websocket.accept"}


def registry(**options) -> Registry:
    made = Registry(page)
    made.add("echo", options.pop("endpoint", echo), **options)
    return made


class TestWhoGetsWhat:
    async def test_a_named_endpoint_gets_the_connection_and_the_chain_stops(self):
        async def never(*_):
            raise AssertionError("the application must not see it")

        made = Registry(never)
        made.add("echo", echo)
        peer = Peer(websocket_scope(), "hello")
        peer.leave()
        await peer.run(made)
        assert peer.sent == [ACCEPT, {"type": "websocket.send", "text": "echo: hello"}]

    @pytest.mark.parametrize(
        "scope",
        [http_scope("/ws/echo"), http_scope("/"), {"type": "lifespan"}, websocket_scope("/other")],
        ids=["http under the prefix", "http", "lifespan", "a WebSocket elsewhere"],
    )
    async def test_everything_else_passes_untouched(self, scope):
        seen = []

        async def app(*arguments):
            seen.extend(arguments)

        made = Registry(app)
        made.add("echo", echo)
        given = (scope, Peer.receive, Peer.send)
        await made(*given)
        assert all(one is other for one, other in zip(seen, given, strict=True))

    async def test_an_unknown_name_is_denied_with_404(self):
        peer = await Peer(websocket_scope("/ws/nobody")).run(registry())
        assert (peer.status, peer.body) == (404, b"There is no such endpoint.\n")

    async def test_a_server_without_denials_gets_the_close_it_knows(self):
        peer = await Peer(websocket_scope("/ws/nobody", denial=False)).run(registry())
        assert peer.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]

    async def test_a_client_that_left_is_told_nothing(self):
        peer = Peer(websocket_scope("/ws/nobody"))
        peer.leave(at_once=True)
        await peer.run(registry())
        assert peer.sent == []

    async def test_the_name_is_a_path_parameter(self):
        seen = []

        async def endpoint(scope, receive, send):
            seen.append(scope["path_params"])

        scope = websocket_scope(path_params={"outer": "1"})
        await Peer(scope).run(registry(endpoint=endpoint))
        assert seen == [{"outer": "1", "name": "echo"}]
        assert scope["path_params"] == {"outer": "1"}

    async def test_below_a_root_path_and_another_prefix(self):
        made = Registry(page, prefix="/live/")
        made.add("echo", echo)
        peer = Peer(websocket_scope("/shop/live/echo", root_path="/shop"))
        peer.leave()
        await peer.run(made)
        assert peer.sent == [ACCEPT]

    @pytest.mark.parametrize("name", ["", "a/b", "a.b", "..", "a b", "ä", "a\n", "x" * 65, "a%41"])
    def test_a_name_that_is_no_plain_segment_is_refused(self, name):
        with pytest.raises(ValueError, match="expected 1-64"):
            Registry(page).add(name, echo)

    @pytest.mark.parametrize("option", ["origins", "subprotocols"])
    def test_a_text_where_a_sequence_is_wanted_is_refused_at_once(self, option):
        """4: "chat" became c, h, a and t, and "*" in an origin's text let everybody in."""
        with pytest.raises((TypeError, ValueError), match="a list"):
            Registry(page).add("echo", echo, **{option: "https://*.site.example"})

    def test_a_name_can_be_taken_once(self):
        made = registry()
        with pytest.raises(ValueError, match="taken"):
            made.add("echo", echo)
        assert "echo" in made and "other" not in made


class TestChangesWhileServing:
    async def test_added_later_and_served_from_then_on(self):
        made = registry()
        assert (await Peer(websocket_scope("/ws/late")).run(made)).status == 404
        made.add("late", echo)
        peer = Peer(websocket_scope("/ws/late"))
        peer.leave()
        assert (await peer.run(made)).sent == [ACCEPT]

    async def test_open_connections_of_a_removed_endpoint_are_told_and_closed(self):
        made = registry()
        peers = [Peer(websocket_scope()) for _ in range(20)]
        tasks = [peer.start(made) for peer in peers]
        for peer in peers:
            await peer.until("websocket.accept")
        assert made.connections("echo") == 20
        assert await made.remove("echo", 1012, "back in a minute") == 20
        await asyncio.gather(*tasks)
        goodbye = {"type": "websocket.close", "code": 1012, "reason": "back in a minute"}
        assert all(peer.sent == [ACCEPT, goodbye] for peer in peers)
        assert (await Peer(websocket_scope()).run(made)).status == 404

    async def test_the_endpoint_sees_a_disconnect_with_code_and_reason(self):
        seen = []

        async def endpoint(scope, receive, send):
            await receive()
            await send(ACCEPT)
            seen.append(await receive())

        made = registry(endpoint=endpoint)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        await made.remove("echo", 4000, "so long")
        await task
        assert seen == [{"type": "websocket.disconnect", "code": 4000, "reason": "so long"}]

    async def test_an_endpoint_that_only_sends_learns_it_from_send(self):
        caught = []

        async def ticker(scope, receive, send):
            await receive()
            await send(ACCEPT)
            try:
                while True:
                    await send({"type": "websocket.send", "text": "tick"})
                    await asyncio.sleep(0)
            except OSError as error:
                caught.append(error)
                raise

        made = registry(endpoint=ticker)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.send", 3)
        await made.remove("echo")
        await task  # Ended goes no further: it is no error of the application's
        assert [type(error) for error in caught] == [Ended]
        assert peer.sent[-1]["type"] == "websocket.close"

    async def test_an_endpoint_that_does_not_listen_is_cancelled_at_the_deadline(self):
        cancelled = asyncio.Event()

        async def deaf(scope, receive, send):
            await receive()
            await send(ACCEPT)
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        made = registry(endpoint=deaf)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        await made.remove("echo", timeout=0.01)
        await task  # returns: the cancellation was ours
        assert cancelled.is_set() and not task.cancelled()

    async def test_a_handshake_under_way_ends_with_404(self):
        waiting = asyncio.Event()

        async def slow(scope, receive, send):
            await receive()
            waiting.set()
            await receive()

        made = registry(endpoint=slow)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await waiting.wait()
        await made.remove("echo")
        await task
        assert peer.status == 404

    async def test_a_handshake_that_waits_for_its_guard_ends_with_404(self):
        asked, answer = asyncio.Event(), asyncio.Event()

        async def guard(scope):
            asked.set()
            await answer.wait()
            return ()

        made = registry(guard=guard)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await asked.wait()
        removal = asyncio.create_task(made.remove("echo"))
        await peer.until("websocket.http.response.body")
        answer.set()
        assert await removal == 1
        await task
        assert peer.status == 404 and "accept" not in peer.types

    async def test_an_endpoint_that_only_begins_still_hears_connect_first(self):
        begun, go_on, seen = asyncio.Event(), asyncio.Event(), []

        async def endpoint(scope, receive, send):
            begun.set()
            await go_on.wait()
            seen.extend([(await receive())["type"], (await receive())["type"]])
            await send(ACCEPT)

        made = registry(endpoint=endpoint)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await begun.wait()
        removal = asyncio.create_task(made.remove("echo"))
        await peer.until("websocket.http.response.body")
        go_on.set()
        await removal
        await task
        assert seen == ["websocket.connect", "websocket.disconnect"]

    async def test_an_endpoint_can_remove_itself(self):
        made = Registry(page)

        async def last(scope, receive, send):
            await receive()
            await send(ACCEPT)
            await made.remove("last", 1001, "that was it")

        made.add("last", last)
        peer = await Peer(websocket_scope("/ws/last")).run(made)
        assert peer.types == "websocket.accept websocket.close"

    @pytest.mark.parametrize("who", ["we", "the client"])
    async def test_asking_on_after_the_end_ends_the_endpoint(self, who):
        """A loop that ignores disconnects must not occupy the event loop for ever."""
        heard = []

        async def stubborn(scope, receive, send):
            await send(ACCEPT)
            while True:
                heard.append((await receive())["type"])

        made = registry(endpoint=stubborn)
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        await made.remove("echo") if who == "we" else peer.leave()
        await task
        assert heard == ["websocket.connect", "websocket.disconnect"]

    async def test_somebody_elses_cancellation_still_counts(self):
        made = registry()
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert made.connections("echo") == 0

    async def test_both_cancellations_at_once_leave_the_outer_one(self):
        made = registry()
        peer = Peer(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        removal = asyncio.create_task(made.remove("echo"))
        await peer.until("websocket.close")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await removal

    async def test_a_client_that_stopped_reading_does_not_hold_up_removal(self):
        stuck = asyncio.Event()

        class Stuck(Peer):
            async def send(self, message):
                if message["type"] == "websocket.close":
                    await stuck.wait()
                await super().send(message)

        made = registry()
        peer = Stuck(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        await made.remove("echo", timeout=0.01)
        await task
        assert peer.sent == [ACCEPT]

    @pytest.mark.parametrize("raises", [False, True], ids=["gives up", "raises"])
    async def test_an_endpoint_that_ends_at_once_waits_until_the_client_is_told(self, raises):
        """Else the server would see it return, and close with a code of its own."""
        reading = asyncio.Event()

        class Slow(Peer):
            async def send(self, message):
                if message["type"] == "websocket.close":
                    await reading.wait()
                await super().send(message)

        async def ticker(scope, receive, send):
            await receive()
            await send(ACCEPT)
            try:
                while True:
                    await asyncio.sleep(0)
                    await send({"type": "websocket.send", "text": "tick"})
            except OSError as error:
                if raises:
                    raise ZeroDivisionError from error

        made = registry(endpoint=ticker)
        peer = Slow(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        removal = asyncio.create_task(made.remove("echo", 1012))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        reading.set()
        with pytest.raises(ZeroDivisionError) if raises else nullcontext():
            await task
        await removal
        assert peer.sent[-1]["code"] == 1012

    async def test_a_client_that_left_is_no_error(self):
        class Gone(Peer):
            async def send(self, message):
                if message["type"] == "websocket.close":
                    raise ConnectionResetError
                await super().send(message)

        made = registry()
        peer = Gone(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        assert await made.remove("echo") == 1
        await task

    @pytest.mark.parametrize("error", [RuntimeError, KeyError, ConnectionError])
    async def test_one_that_cannot_be_told_does_not_stop_the_others(self, error, caplog):
        """18: an error of one connection's end aborted removal, and the rest lived on."""

        class Odd(Peer):
            async def send(self, message):
                if message["type"] == "websocket.close":
                    raise error("odd")
                await super().send(message)

        made = registry()
        peers = [Peer(websocket_scope()), Odd(websocket_scope()), Peer(websocket_scope())]
        tasks = [peer.start(made) for peer in peers]
        for peer in peers:
            await peer.until("websocket.accept")
        assert await made.remove("echo", 1012) == 3
        await asyncio.gather(*tasks)
        assert [peer.types.count("close") for peer in peers] == [1, 0, 1]
        logged = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(logged) == (error is not ConnectionError)

    async def test_an_endpoint_that_swallows_its_cancellation_counts_as_cancelled_no_more(self):
        cancelling = []

        async def stubborn(scope, receive, send):
            await receive()
            await send(ACCEPT)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        async def served(*arguments):
            await made(*arguments)
            cancelling.append(asyncio.current_task().cancelling())

        made = registry(endpoint=stubborn)
        peer = Peer(websocket_scope())
        task = peer.start(served)
        await peer.until("websocket.accept")
        await made.remove("echo", timeout=0.01)
        await task
        assert cancelling == [0]

    async def test_a_server_that_swallows_the_wake_up_gives_its_message(self):
        """A receive of another middleware may turn our cancellation into a message."""
        seen = []

        class Swallows(Peer):
            async def receive(self):
                try:
                    return await super().receive()
                except asyncio.CancelledError:
                    return {"type": "websocket.receive", "text": "all the same"}

        async def endpoint(scope, receive, send):
            await receive()
            await send(ACCEPT)
            seen.append((await receive())["type"])
            seen.append(asyncio.current_task().cancelling())
            seen.append((await receive())["type"])

        made = registry(endpoint=endpoint)
        peer = Swallows(websocket_scope())
        task = peer.start(made)
        await peer.until("websocket.accept")
        await made.remove("echo")
        await task
        assert seen == ["websocket.receive", 0, "websocket.disconnect"]

    @pytest.mark.parametrize("turns", range(6))
    async def test_removal_that_is_cancelled_leaves_nobody_behind(self, turns):
        """15: the endpoint was gone, and its connections lived on where no one could reach them."""
        made = registry()
        peers = [Peer(websocket_scope()) for _ in range(3)]
        tasks = [peer.start(made) for peer in peers]
        for peer in peers:
            await peer.until("websocket.accept")
        removal = asyncio.create_task(made.remove("echo"))
        for _ in range(turns):
            await asyncio.sleep(0)
        removal.cancel()
        await asyncio.wait([removal])
        if "echo" in made:  # it had not begun
            await made.remove("echo")
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)

    async def test_an_endpoint_that_removes_itself_is_not_cut_with_the_others(self):
        made, seen = Registry(page), []

        async def endpoint(scope, receive, send):
            await receive()
            await send(ACCEPT)
            if scope["headers"][-1] == (b"x-role", b"removes"):
                await made.remove("echo", timeout=0.01)
                seen.append(asyncio.current_task().cancelling())
            else:
                await asyncio.Event().wait()

        made.add("echo", endpoint)
        deaf = Peer(websocket_scope())
        task = deaf.start(made)
        await deaf.until("websocket.accept")
        await Peer(websocket_scope(headers=[("x-role", "removes")])).run(made)
        await task
        assert seen == [0]

    async def test_mistakes_of_the_caller_end_nothing(self):
        made = registry()
        with pytest.raises(LocalProtocolError):
            await made.remove("echo", 1005)
        with pytest.raises(LocalProtocolError):
            await made.remove("echo", 1001, "x" * 124)
        with pytest.raises(KeyError):
            await made.remove("nobody")
        assert "echo" in made


class TestChurn:
    async def test_whatever_the_order_everyone_is_told_once_and_nothing_stays(self):
        """Clients come, talk and leave while the endpoint is removed and added again."""
        chance = random.Random(8)
        made = registry()
        peers, tasks, removals = [], [], []
        for _ in range(600):
            step = chance.choice(["come", "come", "talk", "leave", "remove", "turn"])
            if step == "come":
                peers.append(Peer(websocket_scope()))
                tasks.append(peers[-1].start(made))
            elif step == "talk" and peers:
                chance.choice(peers).say("x")
            elif step == "leave" and peers:
                chance.choice(peers).leave()
            elif step == "remove" and "echo" in made:
                removals.append(asyncio.create_task(made.remove("echo", 1012)))
                await asyncio.sleep(0)
            elif step == "turn":
                await asyncio.sleep(0)
                if "echo" not in made:
                    made.add("echo", echo)
        for peer in peers:
            peer.leave()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks, *removals)
        assert len(removals) > 20
        assert "echo" not in made or made.connections("echo") == 0
        for peer in peers:
            ends = [kind for kind in peer.types.split() if kind not in ("websocket.send",)]
            assert ends in (
                ["websocket.accept"],
                ["websocket.accept", "websocket.close"],
                ["websocket.http.response.start", "websocket.http.response.body"],
            )
