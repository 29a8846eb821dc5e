"""How fast a visitor may talk, who waits where it is too fast, and what a message costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.auth import Claims
from refimpl.chat import lobby as lobby_module
from refimpl.chat import messages, rooms
from refimpl.chat.limits import Buckets, RateLimit, size_of
from refimpl.chat.lobby import Lobby
from refimpl.chat.messages import Join, Say
from refimpl.chat.outbox import AT_ONCE, Outbox
from refimpl.chat.records import Records, WireFeed
from refimpl.chat.rooms import Room
from refimpl.chat.talk import MAX_MISTAKES, Talk
from refimpl.chat.visitor import Visitor
from refimpl.middleware import Registry, User, bind
from refimpl.sessions import Limits, MemoryStore
from tests.support.asgi_peer import Peer, page, websocket_scope
from tests.support.chatting import said_before
from tests.support.clockwork import settle, virtual_time

RATE, BURST = 10.0, 40.0


class TestBuckets:
    @staticmethod
    def of(**options: Any) -> tuple[Buckets, list[float]]:
        clock = [0.0]
        return Buckets(**{"rate": 2, "burst": 4, "now": lambda: clock[0], **options}), clock

    def test_a_full_bucket_gives_at_once_and_then_at_its_rate(self) -> None:
        buckets, clock = self.of()
        assert [buckets.take("ada") for _ in range(6)] == [0, 0, 0, 0, 0.5, 1.0]
        clock[0] = 1.0
        assert buckets.take("ada") == 0.5

    def test_it_never_holds_more_than_a_full_one(self) -> None:
        buckets, clock = self.of()
        buckets.take("ada")
        clock[0] = 1e6
        assert [buckets.take("ada") for _ in range(5)] == [0, 0, 0, 0, 0.5]

    def test_keys_are_apart(self) -> None:
        buckets, _ = self.of()
        assert buckets.take("ada", 100) == 48
        assert buckets.take("bob") == 0

    def test_a_bucket_that_is_full_again_is_forgotten(self) -> None:
        buckets, clock = self.of()
        for number in range(100):
            buckets.take(str(number))
        clock[0] = 10.0
        for _ in range(100):
            buckets.take("ada", 0)
        assert len(buckets) <= 1

    def test_no_more_are_kept_than_may_be(self) -> None:
        buckets, _ = self.of(most=50)
        for number in range(1000):
            buckets.take(str(number), 100)
        assert len(buckets) == 50
        assert buckets.take("999") > 0  # the latest are known

    @given(
        st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 9), st.floats(0, 3)), max_size=40)
    )
    def test_over_any_time_no_more_passes_than_rate_and_burst(
        self, asked: list[tuple[str, float, float]]
    ) -> None:
        """Whoever waits as long as it is told gets rate * time + burst at most, and one message."""
        buckets, clock = self.of()
        passed = dict.fromkeys("ab", 0.0)
        for key, cost, pause in asked:
            clock[0] += buckets.take(key, cost) + pause
            passed[key] += cost
            assert passed[key] <= 4 + 2 * clock[0] + 1e-6


class TestSizes:
    @pytest.mark.parametrize(
        ("message", "size"),
        [
            ({"text": "abc"}, 3),
            ({"bytes": b"abcd", "text": None}, 4),
            ({"text": ""}, 0),
            ({}, 0),
        ],
    )
    def test_the_size_of_a_message(self, message: dict[str, Any], size: int) -> None:
        assert size_of(message) == size


class House:
    """A chat without HTTP: visitors as ASGI peers, on the clock of the loop."""

    def __init__(self, *, history: int = 0, limit: int = 256 * 1024) -> None:
        self.history = history
        store = MemoryStore(limits=Limits(keep=1000, remember=2000, page=1000))
        rooms = [Room("a", "A"), Room("b", "B")]
        self.lobby = Lobby(rooms, store=store, keep_size=limit // 4, now=lambda: 1000.0)
        rate_limit = RateLimit(
            user=(RATE, BURST),
            address=(4 * RATE, 4 * BURST),
            now=asyncio.get_running_loop().time,
        )
        records = Records(linger=0.0)
        self.talk = Talk(self.lobby, records, rate_limit, limit=limit)
        self.feed = WireFeed(self.lobby, records, rate_limit)
        self.registry = Registry(page)
        self.peers: list[tuple[Peer, asyncio.Task[None]]] = []
        for name, endpoint in (("chat", self.talk), ("wire", self.feed)):
            self.registry.add(name, self.bound(endpoint))

    @staticmethod
    def bound(endpoint: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            with bind(scope["claims"].user, scope["claims"]):
                await endpoint(scope, receive, send)

        return app

    def visit(
        self, name: str, *says: dict[str, Any] | str, peer: type[Peer] = Peer, **options: Any
    ) -> Peer:
        """Let somebody come who says all of this at once."""
        texts = [each if isinstance(each, str) else json.dumps(each) for each in says]
        address = options.pop("address", "192.0.2.1")
        claims = Claims(User(name.lower(), name), options.pop("token", name), 900.0, 1900.0)
        path = options.pop("path", "/ws/chat")
        scope = websocket_scope(path, client=(address, 1), claims=claims, **options)
        made = peer(scope, *texts)
        self.peers.append((made, made.start(self.registry)))
        return made

    @classmethod
    async def opened(cls, **options: int) -> House:
        """Open a house in which much was said before."""
        house = cls(**options)
        await house.lobby.__aenter__()
        await said_before(house.lobby, *["x" * 500] * house.history, room="a", user="eve")
        return house

    async def close(self) -> None:
        """Let everybody go."""
        for peer, _ in self.peers:
            peer.leave()
        await asyncio.gather(*[task for _, task in self.peers], return_exceptions=True)
        assert len(self.lobby) == 0
        await self.lobby.__aexit__()


def heard(peer: Peer, kind: str) -> list[dict[str, Any]]:
    """Return the messages of a type that a peer was sent."""
    texts = [json.loads(message["text"]) for message in peer.sent if "text" in message]
    return [text for text in texts if text["type"] == kind]


def say(number: int, text: str = "x") -> dict[str, Any]:
    return {"type": "say", "room": "a", "id": f"m{number}", "text": text}


JOIN = {"type": "join", "room": "a"}


class TestTheSenderWaits:
    @virtual_time
    async def test_a_flood_is_read_no_faster_than_its_pace(self) -> None:
        """26: a flooder of 2 MB/s got 20 of 20 readers closed."""
        house = await House.opened()
        readers = [
            house.visit(f"R{number}", JOIN, address=f"192.0.2.{number}") for number in range(20)
        ]
        flooder = house.visit("Eve", JOIN, *(say(number, "x" * 2000) for number in range(1000)))
        await settle()
        at_once = len(heard(readers[0], "said"))
        assert 1 <= at_once <= BURST
        await asyncio.sleep(20)
        cost = 1 + len(json.dumps(say(1, "x" * 2000))) // 256
        assert len(heard(readers[0], "said")) == pytest.approx((20 * RATE + BURST) / cost, abs=2)
        assert flooder._queue.qsize() > 900  # what it sent waits with it, in TCP's hands
        for reader in readers:
            assert len(heard(reader, "said")) == len(heard(readers[0], "said"))
            assert "websocket.close" not in reader.types
        await house.close()

    @virtual_time
    async def test_others_are_heard_meanwhile(self) -> None:
        house = await House.opened()
        for tab in range(3):
            house.visit("Eve", JOIN, *(say(1000 * tab + n) for n in range(1000)))
        await asyncio.sleep(5)
        ada = house.visit("Ada", JOIN, say(1, "ahoy"), address="192.0.2.9")
        await settle()
        assert [each["message"]["text"] for each in heard(ada, "said")][-1] == "ahoy"
        await house.close()

    @virtual_time
    async def test_many_users_of_one_address_are_one_flood(self) -> None:
        house = await House.opened()
        for number in range(12):
            house.visit(f"U{number}", JOIN, *(say(n) for n in range(100)))
        reader = house.visit("Ada", JOIN, address="192.0.2.9")
        await asyncio.sleep(10)
        most = 4 * (BURST + 10 * RATE) + 12
        assert most / 2 < len(heard(reader, "said")) <= most
        await house.close()

    @virtual_time
    async def test_tabs_of_one_user_share_its_pace_in_turns(self) -> None:
        house = await House.opened()
        tabs = [
            house.visit("Eve", JOIN, *(say(1000 * tab + n) for n in range(500))) for tab in range(4)
        ]
        await asyncio.sleep(20)
        left = [tab._queue.qsize() for tab in tabs]
        assert 2000 - sum(left) == pytest.approx(20 * RATE + BURST, abs=10)
        assert max(left) - min(left) < 20
        await house.close()

    @pytest.mark.parametrize("what", ["x", "{}", '{"type":"ping"}', "x" * 16_000, json.dumps(JOIN)])
    @virtual_time
    async def test_whatever_is_sent_costs_something(self, what: str) -> None:
        house = await House.opened(history=50)
        flooder = house.visit("Eve", *([what] * 2000))
        await asyncio.sleep(10)
        assert flooder._queue.qsize() >= 2000 - (BURST + 10 * RATE) - 1
        await house.close()

    @virtual_time
    async def test_a_binary_message_costs_its_size(self) -> None:
        house = await House.opened()
        eve = house.visit("Eve")
        for _ in range(100):
            eve.say(bytes(16_000))
        await asyncio.sleep(10)
        assert eve._queue.qsize() > 95
        await house.close()

    @virtual_time
    async def test_who_waits_can_still_be_closed(self) -> None:
        house = await House.opened()
        eve = house.visit("Eve", JOIN, *(say(n, "x" * 2000) for n in range(100)))
        await settle()
        (visitor,) = house.lobby._listening
        began = asyncio.get_running_loop().time()
        visitor.hang_up(4401, "signed out")
        await house.peers[0][1]
        assert asyncio.get_running_loop().time() - began < 1e-3
        assert eve.sent[-1]["code"] == 4401
        await house.close()

    @virtual_time
    async def test_a_wire_panel_is_heard_no_faster(self) -> None:
        house = await House.opened()
        observers: list[Callable[[str, bytes], None]] = []

        def observe(callback: Callable[[str, bytes], None]) -> Callable[[], None]:
            observers.append(callback)
            return lambda: None

        ada = house.visit("Ada", extensions={"refimpl.wire": {"observe": observe}})
        await settle()
        (welcome,) = heard(ada, "welcome")
        query = f"connection={welcome['connection']}".encode()
        panel = house.visit("Ada", *["x"] * 2000, path="/ws/wire", query_string=query)
        observers[0]("out", b"\x8a\x00")
        await asyncio.sleep(10)
        assert [event["number"] for event in heard(panel, "frame")] == [1]
        assert panel._queue.qsize() >= 2000 - (BURST + 10 * RATE) - 2
        await house.close()
        await asyncio.sleep(1)

    @virtual_time
    async def test_mistakes_without_end_are_answered_no_more(self) -> None:
        house = await House.opened()
        eve = house.visit("Eve", *["{"] * 1000)
        await asyncio.sleep(60)
        assert len(heard(eve, "error")) <= MAX_MISTAKES
        assert eve.sent[-1]["code"] == 1008
        await house.close()

    @virtual_time
    async def test_one_user_cannot_have_all_connections(self) -> None:
        house = await House.opened()
        peers = [house.visit("Eve", address=f"192.0.2.{number}") for number in range(60)]
        ada = house.visit("Ada")
        await settle()
        assert [peer.status for peer in peers].count(429) == 10
        assert ada.types.startswith("websocket.accept")
        peers[0].leave()
        await settle()
        assert house.visit("Eve") and await settle() is None
        assert house.peers[-1][0].types.startswith("websocket.accept")
        await house.close()


class TestAReaderWhoDoesNotRead:
    @virtual_time
    async def test_it_gets_no_more_answers_until_it_reads(self) -> None:
        """Its own requests cannot fill its box, or the server's memory."""
        reading = asyncio.Event()

        class Slow(Peer):
            async def send(self, message: dict[str, Any]) -> None:
                if "text" in message:
                    await reading.wait()
                await super().send(message)

        house = await House.opened(history=1000)
        slow = house.visit("Eve", *[JOIN] * 100, peer=Slow)
        await asyncio.sleep(600)
        (visitor,) = house.lobby._listening
        assert visitor.outbox.waiting < visitor.outbox.limit
        assert slow._queue.qsize() > 90
        assert "websocket.close" not in slow.types
        reading.set()
        await asyncio.sleep(3600)
        assert len(heard(slow, "joined")) == 100
        await house.close()

    @virtual_time
    async def test_it_is_closed_while_it_waits(self) -> None:
        class Stuck(Peer):
            async def send(self, message: dict[str, Any]) -> None:
                if "text" in message:
                    await asyncio.Event().wait()
                await super().send(message)

        house = await House.opened(history=1000)
        slow = house.visit("Eve", *[JOIN] * 100, peer=Stuck)
        ada = house.visit("Ada", JOIN, *(say(n, "x" * 2000) for n in range(400)), address="::1")
        await house.peers[0][1]
        assert slow.sent[-1]["code"] == 1013
        assert "websocket.close" not in ada.types
        await house.close()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Count what is made into JSON, in how many characters, and what is put into boxes."""
    counts = {"encoded": 0, "characters": 0, "put": 0}
    dumps, put = json.dumps, Outbox.put

    def count_dumps(value: object, **options: Any) -> str:
        text = dumps(value, **options)
        counts["encoded"] += 1
        counts["characters"] += len(text)
        return text

    def count_put(self: Outbox, text: str) -> bool:
        counts["put"] += 1
        return put(self, text)

    with monkeypatch.context() as patch:
        for module in (lobby_module, messages, rooms):
            patch.setattr(module.json, "dumps", count_dumps)
        patch.setattr(Outbox, "put", count_put)
        yield counts


class TestWork:
    """17: what one message costs, in things done and not in time."""

    @staticmethod
    @asynccontextmanager
    async def lobby(members: int, history: int) -> AsyncIterator[tuple[Lobby, list[Visitor]]]:
        async def close(code: int, reason: str) -> None: ...

        visitors = []
        async with Lobby([Room("a", "A")], keep_size=2**20, now=lambda: 1000.0) as lobby:
            await said_before(lobby, *["x" * 100] * history, room="a", user="eve")
            for number in range(members):
                claims = Claims(User(f"u{number}", f"U{number}"), f"t{number}", 900.0, 1900.0)
                visitors.append(Visitor(claims, Outbox(limit=2**30), close))
                lobby.enter(visitors[-1])
                await lobby.connect(visitors[-1])
                await lobby.join(visitors[-1], Join("a"))
            await settle()
            yield lobby, visitors

    @pytest.mark.parametrize(("members", "history"), [(10, 10), (100, 10), (100, 200), (400, 200)])
    async def test_a_message_is_made_once_and_put_once_for_each(
        self, members: int, history: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with self.lobby(members, history) as (lobby, visitors):
            with counted(monkeypatch) as counts:
                await lobby.say(visitors[0], Say("a", "m1", "ahoy"))
                await settle()
        assert counts["put"] == members
        assert counts["encoded"] <= 4
        assert counts["characters"] < 500

    @pytest.mark.parametrize(("members", "history"), [(10, 10), (100, 10), (100, 200), (400, 200)])
    async def test_joining_again_makes_nothing_anew(
        self, members: int, history: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """226 KiB of `join` froze the demo for 11 s: all history was made into JSON for each."""
        async with self.lobby(members, history) as (lobby, visitors):
            # the list of people is made once behind the last change
            await lobby.join(visitors[0], Join("a"))
            with counted(monkeypatch) as counts:
                for _ in range(100):
                    await lobby.join(visitors[0], Join("a"))
        assert counts["put"] == 100
        assert counts["encoded"] == 100 and counts["characters"] < 100 * 100

    async def test_a_message_sent_again_is_told_to_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with self.lobby(100, 0) as (lobby, visitors):
            await lobby.say(visitors[0], Say("a", "m1", "ahoy"))
            await settle()
            with counted(monkeypatch) as counts:
                for _ in range(100):
                    await lobby.say(visitors[0], Say("a", "m1", "ahoy"))
                await settle()
        assert counts["put"] == 100

    @pytest.mark.parametrize("count", [10, 100, 400])
    async def test_coming_and_going_looks_at_nobody_else(
        self, count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second tab of somebody who is here already is no news to anyone."""
        async with self.lobby(count, 0) as (lobby, visitors):
            twin = Visitor(visitors[0].claims, Outbox(), visitors[0]._close)
            with counted(monkeypatch) as counts:
                lobby.enter(twin)
                await lobby.connect(twin)
                lobby.leave(twin)
                await lobby.disconnect(twin)
                lobby.enter(twin)
                assert await lobby.sign_out(Claims(User("x"), "nobody", 0.0, 9.0)) == 0
                await settle()
        assert counts == {"encoded": 0, "characters": 0, "put": 0}

    @virtual_time
    async def test_a_full_box_is_emptied_in_small_steps(self) -> None:
        """A server that takes everything at once would hold up all others until it is empty."""
        outbox, sent, between = Outbox(limit=2**20), [], []

        async def send(message: Any) -> None:
            sent.append(message)

        for _ in range(10 * AT_ONCE):
            outbox.put("x")
        delivering = asyncio.create_task(outbox.deliver(send))
        while len(sent) < 10 * AT_ONCE:
            await asyncio.sleep(0)
            between.append(len(sent))
        assert (
            max(after - before for before, after in zip([0, *between], between, strict=False))
            <= AT_ONCE
        )
        delivering.cancel()
        await asyncio.wait([delivering])


class TestClosing:
    """18: what goes wrong at the end of one connection stays there."""

    @virtual_time
    async def test_an_error_while_sending_ends_that_connection_with_1011(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Odd(Peer):
            async def send(self, message: dict[str, Any]) -> None:
                if "text" in message:
                    raise RuntimeError("odd")
                await super().send(message)

        house = await House.opened()
        odd, ada = house.visit("Eve", JOIN, peer=Odd), house.visit("Ada", JOIN)
        await settle()
        assert odd.sent[-1]["code"] == 1011
        assert "websocket.close" not in ada.types
        assert "a message could not be sent" in caplog.text
        await house.close()

    @virtual_time
    async def test_a_connection_that_cannot_be_closed_is_left_all_the_same(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def close(code: int, reason: str) -> None:
            raise RuntimeError("odd")

        async def send(message: Any) -> None: ...

        visitor = Visitor(Claims(User("ada"), "t", 0.0, 9.0), Outbox(), close)
        async with visitor.served(send):
            visitor.hang_up(1000, "")
            visitor.hang_up(1001, "")
        assert caplog.text.count("a connection could not be closed") == 1

    @virtual_time
    async def test_a_record_whose_watch_fails_is_forgotten(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def stop() -> None:
            raise RuntimeError("odd")

        records = Records(linger=0.0)
        scope = {"extensions": {"refimpl.wire": {"observe": lambda callback: stop}}}
        with records.record(scope, "ada") as record:
            assert record is not None
        await settle()
        assert (len(records), record.over) == (0, True)
        assert "watched on" in caplog.text

    @virtual_time
    async def test_what_a_record_keeps_is_bounded_in_bytes_too(self) -> None:
        records, callbacks = Records(keep=100, keep_size=10_000, longest=2048, linger=0.0), []

        def observe(callback: Any) -> Callable[[], None]:
            callbacks.append(callback)
            return lambda: None

        with records.record(
            {"extensions": {"refimpl.wire": {"observe": observe}}}, "ada"
        ) as record:
            assert record is not None
            for _ in range(100):
                callbacks[0]("in", bytes(5000))
            assert sum(len(frame.data) for frame in record.frames) == record.size <= 10_000
            assert record.frames[-1].number == 100
        await settle()
