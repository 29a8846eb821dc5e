"""The chat's inside, without a network: messages, rooms, outboxes, the lobby, passwords."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from refimpl.auth import Claims
from refimpl.chat import messages
from refimpl.chat.fair_queue import QueueFull
from refimpl.chat.lobby import Lobby
from refimpl.chat.messages import BadMessage, Join, Ping, Say, parse
from refimpl.chat.outbox import Outbox
from refimpl.chat.people import MAX_WAITING, People
from refimpl.chat.rooms import Room, Said, message_id, newest, written
from refimpl.chat.stores import LIMITS
from refimpl.chat.visitor import Visitor
from refimpl.concurrency import Slow
from refimpl.middleware.context import User
from refimpl.sessions import MemoryStore, Message
from refimpl.sessions.records import check_id
from tests.support.chatting import CHEAP
from tests.support.clockwork import settle, virtual_time


class TestSchema:
    def test_what_a_page_says(self) -> None:
        assert parse('{"type":"ping"}') == Ping()
        assert parse('{"type":"join","room":"harbour","after":7,"epoch":"e-1"}') == Join(
            "harbour", 7, "e-1"
        )
        assert parse('{"type":"say","room":"a","id":"m1","text":" Grüße\\n🧦 "}') == Say(
            "a", "m1", "Grüße\n🧦"
        )

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (None, "binary"),
            ("", "not-json"),
            ("{", "not-json"),
            ("[1]", "not-json"),
            ('"say"', "not-json"),
            ("[" * 5000, "not-json"),
            ("1" * 5000, "not-json"),
            ('{"type":"ping","type":"ping"}', "not-json"),
            ("{}", "unknown-type"),
            ('{"type":"shout"}', "unknown-type"),
            ('{"type":["say"]}', "unknown-type"),
            ('{"type":null}', "unknown-type"),
            ('{"type":"ping","extra":1}', "unknown-field"),
            ('{"type":"join"}', "missing-field"),
            ('{"type":"say","room":"a","text":"x"}', "missing-field"),
            ('{"type":"join","room":"../etc"}', "bad-field"),
            ('{"type":"join","room":"a\\u0000"}', "bad-field"),
            ('{"type":"join","room":7}', "bad-field"),
            ('{"type":"join","room":"a","after":-1}', "bad-field"),
            ('{"type":"join","room":"a","after":1.5}', "bad-field"),
            ('{"type":"join","room":"a","after":true}', "bad-field"),
            ('{"type":"join","room":"a","after":1e999}', "bad-field"),
            ('{"type":"join","room":"a","after":9007199254740993}', "bad-field"),
            ('{"type":"join","room":"a","epoch":"a b"}', "bad-field"),
            ('{"type":"join","room":"a","id":"a b"}', "bad-field"),
            ('{"type":"join","room":"a","user":7}', "bad-field"),
            (f'{{"type":"join","room":"a","user":"{"x" * 129}"}}', "bad-field"),
            ('{"type":"say","room":"a","id":"","text":"x"}', "bad-field"),
            ('{"type":"say","room":"a","id":"m1","text":"  \\n"}', "bad-field"),
            ('{"type":"say","room":"a","id":"m1","text":5}', "bad-field"),
            ('{"type":"say","room":"a","id":"m1","text":"\\ud83e"}', "not-json"),
            ('{"type":"say","room":"a","id":"m1","text":"x","\\udcff":1}', "not-json"),
            ('{"type":"say","room":"a","id":"m1","text":"\ud83e"}', "not-json"),
            ('\ufeff{"type":"ping"}', "not-json"),
            ('{"type":"join","room":"a","after":NaN}', "not-json"),
            ('{"type":"join","room":"a","after":-Infinity}', "not-json"),
            ('{"type":"join","room":"a","after":1,"\\u0061fter":2}', "not-json"),
            ('{"type":"ping"}\x00', "not-json"),
            ('{"type":"ping"} {"type":"ping"}', "not-json"),
            ("{'type':'ping'}", "not-json"),
            ('{"type":"say","room":"a","id":"m1","text":"a\\u0000b"}', "bad-field"),
            ('{"type":"say","room":"a","id":"m1","text":"a\\u001b[2Jb"}', "bad-field"),
        ],
    )
    def test_everything_else_is_refused(self, text: str | None, code: str) -> None:
        with pytest.raises(BadMessage) as caught:
            parse(text)
        assert caught.value.code == code
        assert 0 < len(str(caught.value)) < 200

    @pytest.mark.parametrize("count", [messages.MAX_TEXT - 1, messages.MAX_TEXT])
    def test_the_longest_text_passes(self, count: int) -> None:
        said = parse(json.dumps({"type": "say", "room": "a", "id": "m", "text": "🧦" * count}))
        assert isinstance(said, Say) and len(said.text) == count

    def test_a_longer_one_is_refused_by_its_id(self) -> None:
        text = "x" * (messages.MAX_TEXT + 1)
        with pytest.raises(BadMessage, match="2001 characters long, at most 2000") as caught:
            parse(json.dumps({"type": "say", "room": "a", "id": "m7", "text": text}))
        assert caught.value.reply_to == "m7"

    def test_a_refusal_repeats_nothing_of_what_came(self) -> None:
        for text in ('{"type":"<b>canary"}', '{"type":"ping","canary":1}', '{"canary'):
            with pytest.raises(BadMessage) as caught:
                parse(text)
            assert "canary" not in messages.error(caught.value)

    @given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
    def test_no_text_does_anything_but_be_refused(self, text: str) -> None:
        with pytest.raises(BadMessage):
            parse(text)


class TestRoom:
    @staticmethod
    def spoken(*texts: str) -> list[Message]:
        return [
            Message("a", number, "e", f"m{number}", Said("m", "ada", "Ada", text, 1.0).as_bytes())
            for number, text in enumerate(texts, 1)
        ]

    def test_ids_are_each_users_own(self) -> None:
        assert message_id("ada", "m1") != message_id("bob", "m1")
        assert message_id("ada", "m1") == message_id("ada", "m1")

    @pytest.mark.parametrize("user", ["ada", "jürgen von der höhe", "x" * 128, "世界"])
    def test_every_users_ids_are_ids_of_the_store(self, user: str) -> None:
        assert check_id(message_id(user, "x" * messages.MAX_ID))

    def test_a_message_is_written_as_it_was_said(self) -> None:
        (message,) = self.spoken('Grüße, "世界"\n🧦')
        said = json.loads(written(message))
        assert said.pop("seq") == 1
        assert Said(**said) == Said.read(message.data)

    @pytest.mark.parametrize(("more", "count"), [(-1, 2), (0, 3), (1, 3)])
    def test_the_newest_that_fit(self, more: int, count: int) -> None:
        spoken = self.spoken("one", "two", "six", "ten")
        size = sum(len(written(message)) + 1 for message in spoken[1:])
        assert newest(spoken, size + more) == [written(each) for each in spoken[4 - count :]]


class TestOutbox:
    @staticmethod
    async def collected(outbox: Outbox) -> list[str]:
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["text"])

        task = asyncio.create_task(outbox.deliver(send))
        await settle()
        task.cancel()
        await asyncio.wait([task])
        return sent

    @virtual_time
    async def test_in_order_and_emptied(self) -> None:
        outbox = Outbox()
        assert all(outbox.put(text) for text in ("a", "b", "c"))
        assert await self.collected(outbox) == ["a", "b", "c"]
        assert outbox.waiting == 0

    @pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
    def test_the_limit(self, size: int, fits: bool) -> None:
        outbox = Outbox(limit=15)
        outbox.put("first")
        assert outbox.put("x" * size) is fits
        assert outbox.overflowed is not fits

    def test_an_overflowed_box_takes_nothing_more(self) -> None:
        outbox = Outbox(limit=5)
        assert [outbox.put(text) for text in ("12345", "6", "")] == [True, False, False]

    @virtual_time
    async def test_skipping_leaves_out_what_does_not_fit(self) -> None:
        outbox = Outbox(slow=Slow.SKIP, limit=5)
        assert [outbox.put(text) for text in ("123", "456", "78")] == [True, False, True]
        assert not outbox.overflowed
        assert await self.collected(outbox) == ["123", "78"]

    @virtual_time
    async def test_closing_at_the_first_that_waits(self) -> None:
        outbox = Outbox(slow=Slow.CLOSE, limit=1000)
        assert [outbox.put("a"), outbox.put("b"), outbox.overflowed] == [True, False, True]

    @virtual_time
    async def test_a_client_that_is_gone_ends_the_delivery(self) -> None:
        async def send(message: Any) -> None:
            raise ConnectionResetError

        outbox = Outbox()
        outbox.put("a")
        async with asyncio.timeout(1):
            await outbox.deliver(send)


class Ears:
    """A visitor of a lobby with everything it was told."""

    def __init__(self, name: str, token_id: str = "", limit: int = 2**20) -> None:
        self.closed: list[tuple[int, str]] = []
        claims = Claims(User(name.lower(), name), token_id or name, 900.0, 1900.0)
        self.visitor = Visitor(claims, Outbox(limit=limit), self._close)

    async def _close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def heard(self) -> list[dict[str, Any]]:
        texts = [json.loads(text) for text in self.visitor.outbox._texts]
        self.visitor.outbox._texts.clear()
        return texts


class TestLobby:
    @staticmethod
    @asynccontextmanager
    async def lobby(keep: int = 200) -> AsyncIterator[Lobby]:
        store = MemoryStore(limits=replace(LIMITS, keep=keep))
        async with Lobby([Room("a", "A"), Room("b", "B")], store=store, now=lambda: 1000.0) as made:
            yield made

    @staticmethod
    async def enter(lobby: Lobby, *guests: Ears, room: str = "a") -> None:
        for each in guests:
            lobby.enter(each.visitor)
            await lobby.connect(each.visitor)
            lobby.listen(each.visitor)
            await lobby.join(each.visitor, Join(room))
        await settle()

    @staticmethod
    async def leave(lobby: Lobby, guest: Ears) -> None:
        lobby.leave(guest.visitor)
        await lobby.disconnect(guest.visitor)
        await settle()

    @staticmethod
    async def say(lobby: Lobby, guest: Ears, *ids: str, text: str = "ahoy") -> None:
        for id in ids:
            await lobby.say(guest.visitor, Say("a", id, text))
        await settle()

    async def test_everybody_in_the_room_hears_it_and_nobody_else(self) -> None:
        ada, bob, eve = Ears("Ada"), Ears("Bob"), Ears("Eve")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada, bob)
            await self.enter(lobby, eve, room="b")
            epoch = ada.heard()[0]["epoch"]
            bob.heard(), eve.heard()
            await self.say(lobby, ada, "m1")
        said = {"seq": 1, "id": "m1", "user": "ada", "name": "Ada", "text": "ahoy", "at": 1000.0}
        heard = {"type": "said", "room": "a", "epoch": epoch, "message": said}
        assert ada.heard() == bob.heard() == [heard]
        assert eve.heard() == [
            {"type": "activity", "room": "a", "epoch": epoch, "last": 1, "user": "ada"}
        ]

    async def test_a_message_sent_again_is_told_to_its_sender_only(self) -> None:
        ada, bob = Ears("Ada"), Ears("Bob")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada, bob)
            await self.say(lobby, ada, "m1", "m2")
            ada.heard(), bob.heard()
            await self.say(lobby, ada, "m1", text="other words")
        assert [(each["message"]["seq"], each["message"]["text"]) for each in ada.heard()] == [
            (1, "ahoy")
        ]
        assert bob.heard() == []

    async def test_one_sent_again_that_is_kept_no_more_has_its_number(self) -> None:
        ada = Ears("Ada")
        async with self.lobby(keep=1) as lobby:
            await self.enter(lobby, ada)
            await self.say(lobby, ada, "m1", "m2", "m3")
            ada.heard()
            await self.say(lobby, ada, "m1")
        assert [each["message"]["seq"] for each in ada.heard()] == [1]

    async def test_one_who_comes_back_gets_the_rest(self) -> None:
        ada, bob = Ears("Ada"), Ears("Bob")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            epoch = ada.heard()[0]["epoch"]
            await self.say(lobby, ada, *(f"m{number}" for number in range(1, 5)))
            lobby.enter(bob.visitor)
            await lobby.connect(bob.visitor)
            await lobby.join(bob.visitor, Join("a", after=2, epoch=epoch, id="m2", user="ada"))
            (joined,) = bob.heard()
        assert [message["seq"] for message in joined["messages"]] == [3, 4]
        assert (joined["lost"], joined["epoch"], joined["last"]) == (0, epoch, 4)

    async def test_a_number_that_was_given_to_another_message_counts_for_nothing(self) -> None:
        ada = Ears("Ada")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            epoch = ada.heard()[0]["epoch"]
            await self.say(lobby, ada, "m1", "m2")
            ada.heard()
            await lobby.join(ada.visitor, Join("a", after=2, epoch=epoch, id="m9", user="ada"))
            (joined,) = ada.heard()
        assert [message["seq"] for message in joined["messages"]] == [1, 2]

    async def test_numbers_of_another_life_count_for_nothing(self) -> None:
        ada = Ears("Ada")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            await self.say(lobby, ada, "m1")
            ada.heard()
            await lobby.join(ada.visitor, Join("a", after=700, epoch="before"))
            (joined,) = ada.heard()
        assert [message["seq"] for message in joined["messages"]] == [1]
        assert joined["lost"] == 0

    async def test_a_gap_is_said(self) -> None:
        ada = Ears("Ada")
        async with self.lobby(keep=2) as lobby:
            await self.enter(lobby, ada)
            epoch = ada.heard()[0]["epoch"]
            await self.say(lobby, ada, *(f"m{number}" for number in range(1, 7)))
            ada.heard()
            await lobby.join(ada.visitor, Join("a", after=1, epoch=epoch))
            (joined,) = ada.heard()
        assert (joined["lost"], [message["seq"] for message in joined["messages"]]) == (3, [5, 6])

    async def test_presence_is_a_users_not_a_tabs(self) -> None:
        bob, tabs = Ears("Bob"), [Ears("Ada"), Ears("Ada")]
        ada = {"id": "ada", "name": "ada"}
        async with self.lobby() as lobby:
            await self.enter(lobby, bob)
            bob.heard()
            await self.enter(lobby, *tabs)
            assert bob.heard() == [{"type": "presence", "room": "a", "user": ada, "here": True}]
            assert await lobby.people("a") == [ada, {"id": "bob", "name": "bob"}]
            assert [each["type"] for tab in tabs for each in tab.heard()] == ["joined", "joined"]
            await self.leave(lobby, tabs[0])
            assert bob.heard() == []
            await self.leave(lobby, tabs[1])
            assert bob.heard() == [{"type": "presence", "room": "a", "user": ada, "here": False}]
            assert len(lobby) == 1

    async def test_joining_twice_is_joining_once(self) -> None:
        ada, bob = Ears("Ada"), Ears("Bob")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada, bob)
            ada.heard()
            await lobby.join(bob.visitor, Join("a"))
            await settle()
            assert ada.heard() == []
            await self.leave(lobby, bob)
            assert [each["here"] for each in ada.heard()] == [False]

    async def test_who_is_not_in_a_room_cannot_speak_there(self) -> None:
        ada = Ears("Ada")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            for room, code in (("b", "not-in-room"), ("c", "unknown-room")):
                with pytest.raises(BadMessage) as caught:
                    await lobby.say(ada.visitor, Say(room, "m1", "ahoy"))
                assert (caught.value.code, caught.value.reply_to) == (code, "m1")

    async def test_too_slow_a_reader_is_parted_with(self) -> None:
        ada, slow = Ears("Ada"), Ears("Slow", limit=400)
        async with self.lobby() as lobby:
            await self.enter(lobby, ada, slow)
            await self.say(lobby, ada, *(f"m{number}" for number in range(5)), text="x" * 100)
        assert slow.closed[0] == (1013, "too slow a reader")
        assert ada.closed == []

    async def test_signing_out_closes_the_sessions_connections_only(self) -> None:
        tabs, elsewhere = [Ears("Ada", "t1"), Ears("Ada", "t1")], Ears("Ada", "t2")
        async with self.lobby() as lobby:
            await self.enter(lobby, *tabs, elsewhere)
            assert await lobby.sign_out(tabs[0].visitor.claims) == 2
            late = Ears("Ada", "t1")  # with a ticket that was redeemed a moment before
            lobby.enter(late.visitor)
            await settle()
        assert [tab.closed for tab in (*tabs, late)] == [[(4401, "signed out")]] * 3
        assert elsewhere.closed == []

    async def test_who_is_elsewhere_hears_that_something_was_said_and_nothing_more(self) -> None:
        ada, bob, panel = Ears("Ada"), Ears("Bob"), Ears("Bob")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            await self.enter(lobby, bob, room="b")
            lobby.enter(panel.visitor)  # a wire panel listens to no room
            bob.heard()
            await self.say(lobby, ada, "m1", text="a secret")
            await self.say(lobby, ada, "m1", text="a secret")  # sent again: that is no news
        heard = bob.heard()
        assert [(each["type"], each["last"], each["user"]) for each in heard] == [
            ("activity", 1, "ada")
        ]
        assert "secret" not in json.dumps(heard)
        assert panel.heard() == []

    async def test_two_who_leave_at_once_are_both_gone(self) -> None:
        """Each found the room empty, and let go of it."""
        ada, bob = Ears("Ada"), Ears("Bob")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada, bob)
            await asyncio.gather(self.leave(lobby, ada), self.leave(lobby, bob))
            assert await lobby.people("a") == []
            await self.enter(lobby, Ears("Eve"))

    async def test_leaving_twice_is_leaving_once(self) -> None:
        ada = Ears("Ada")
        async with self.lobby() as lobby:
            await self.enter(lobby, ada)
            await self.leave(lobby, ada)
            await self.leave(lobby, ada)
            assert (len(lobby), lobby.tabs(ada.visitor.user), lobby._sessions) == (0, 0, {})


class Hashes(PasswordHasher):
    """A hasher that notes in which thread it works, and can be made to wait."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.threads: list[int] = []
        self.compared: list[str | bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        self.threads.append(threading.get_ident())
        self.compared.append(hash)
        assert self.go_on.wait(10)
        return super().verify(hash, password)


class TestPasswords:
    async def test_right_and_wrong(self) -> None:
        people = People({"Ada": "analytical"}, hasher=CHEAP)
        assert await people.check(" aDa ", "analytical") == User("ada", "Ada")
        for name, password in [("Ada", "Analytical"), ("Ada", ""), ("Eve", "analytical")]:
            assert await people.check(name, password) is None

    @pytest.mark.parametrize("password", ["\ud83e", "x" * 201, "\0"])
    async def test_passwords_that_are_none(self, password: str) -> None:
        people = People({"Ada": "analytical"}, hasher=CHEAP)
        assert await people.check("Ada", password) is None

    async def test_an_unknown_name_costs_one_hash_too(self) -> None:
        hasher = Hashes()
        people = People({"Ada": "analytical"}, hasher=hasher)
        for name in ("Ada", "Eve", "x" * 1000):
            hasher.compared.clear()
            await people.check(name, "wrong")
            (compared,) = hasher.compared
            assert str(compared).startswith("$argon2id$")

    async def test_hashing_leaves_the_loop_alone(self) -> None:
        hasher = Hashes()
        people = People({"Ada": "analytical"}, hasher=hasher)
        await people.check("Ada", "analytical")
        assert threading.get_ident() not in hasher.threads

    async def test_a_crowd_is_sent_away(self) -> None:
        hasher = Hashes()
        people = People({"Ada": "analytical"}, hasher=hasher)
        hasher.go_on.clear()
        count = MAX_WAITING + 1  # one of an address is served, the others wait
        line = [asyncio.create_task(people.check("Ada", "analytical")) for _ in range(count)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as crowded:
            await people.check("Ada", "analytical")
        assert crowded.value.per_key
        hasher.go_on.set()
        assert await asyncio.gather(*line) == [User("ada", "Ada")] * count
        assert await people.check("Ada", "analytical")

    async def test_who_gives_up_leaves_no_turn_behind(self) -> None:
        """A thread cannot be cancelled: its turn ends when it does, and not before."""
        hasher = Hashes()
        people = People({"Ada": "analytical"}, hasher=hasher)
        hasher.go_on.clear()
        first = asyncio.create_task(people.check("Ada", "analytical"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(people.check("Ada", "analytical"))
        await asyncio.sleep(0)
        assert people.queue._running.total() == 1
        hasher.go_on.set()
        assert await second == User("ada", "Ada")
        assert (len(hasher.threads), people.queue._running.total()) == (2, 0)

    def test_the_default_is_argon2id_as_rfc_9106_has_it(self) -> None:
        people = People({"Ada": "analytical"})
        stored = people._people["ada"][1]
        assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        with pytest.raises(VerifyMismatchError):
            PasswordHasher().verify(stored, "other")
