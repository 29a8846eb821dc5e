"""The chat's inside, without a network: messages, rooms, outboxes, the lobby, passwords."""

from __future__ import annotations

import asyncio
import json
import threading
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
from refimpl.chat.rooms import Room
from refimpl.chat.visitor import Visitor
from refimpl.concurrency import Slow
from refimpl.middleware.context import User
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
    def spoken(count: int, **options: int) -> Room:
        room = Room("a", "A", **options)
        for number in range(1, count + 1):
            room.say("ada", "Ada", f"m{number}", f"text {number}", at=float(number))
        return room

    def test_numbers_go_up_by_one(self) -> None:
        assert [message.seq for message in self.spoken(5).after(0)] == [1, 2, 3, 4, 5]

    def test_a_message_sent_again_is_the_same(self) -> None:
        room = self.spoken(3)
        again, is_new = room.say("ada", "Ada", "m2", "other words", at=9.0)
        assert (again.seq, again.text, is_new, room.last) == (2, "text 2", False, 3)

    def test_ids_are_each_users_own(self) -> None:
        room = self.spoken(1)
        _, is_new = room.say("bob", "Bob", "m1", "mine", at=2.0)
        assert is_new

    @pytest.mark.parametrize(
        ("after", "seqs", "lost"),
        [(0, [4, 5, 6], 3), (2, [4, 5, 6], 1), (3, [4, 5, 6], 0), (5, [6], 0), (6, [], 0)],
    )
    def test_what_was_missed(self, after: int, seqs: list[int], lost: int) -> None:
        room = self.spoken(6, keep=3)
        assert [message.seq for message in room.after(after)] == seqs
        assert room.lost(after) == lost

    def test_memory_is_bounded(self) -> None:
        room = self.spoken(50, keep=3, remember=10)
        assert len(room.after(0)) == 3
        assert len(room._known) == 10
        assert room.say("ada", "Ada", "m41", "", at=0.0)[1] is False
        assert room.say("ada", "Ada", "m40", "", at=0.0)[1] is True  # too long ago to know


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
    def lobby(**options: int) -> Lobby:
        return Lobby([Room("a", "A", **options), Room("b", "B", **options)], now=lambda: 1000.0)

    @staticmethod
    def enter(lobby: Lobby, *guests: Ears, room: str = "a") -> None:
        for each in guests:
            lobby.enter(each.visitor)
            lobby.listen(each.visitor)
            lobby.join(each.visitor, Join(room))

    def test_everybody_in_the_room_hears_it_and_nobody_else(self) -> None:
        lobby, ada, bob, eve = self.lobby(), Ears("Ada"), Ears("Bob"), Ears("Eve")
        self.enter(lobby, ada, bob)
        self.enter(lobby, eve, room="b")
        for each in (ada, bob, eve):
            each.heard()
        lobby.say(ada.visitor, Say("a", "m1", "ahoy"))
        said = {"seq": 1, "id": "m1", "user": "ada", "name": "Ada", "text": "ahoy", "at": 1000.0}
        assert ada.heard() == bob.heard() == [{"type": "said", "room": "a", "message": said}]
        assert eve.heard() == [{"type": "activity", "room": "a", "last": 1, "user": "ada"}]

    def test_a_message_sent_again_is_told_to_its_sender_only(self) -> None:
        lobby, ada, bob = self.lobby(), Ears("Ada"), Ears("Bob")
        self.enter(lobby, ada, bob)
        lobby.say(ada.visitor, Say("a", "m1", "ahoy"))
        ada.heard(), bob.heard()
        lobby.say(ada.visitor, Say("a", "m1", "ahoy"))
        assert [each["message"]["seq"] for each in ada.heard()] == [1]
        assert bob.heard() == []

    def test_one_who_comes_back_gets_the_rest(self) -> None:
        lobby, ada, bob = self.lobby(), Ears("Ada"), Ears("Bob")
        self.enter(lobby, ada)
        for number in range(1, 5):
            lobby.say(ada.visitor, Say("a", f"m{number}", "ahoy"))
        lobby.enter(bob.visitor)
        lobby.join(bob.visitor, Join("a", after=2, epoch=lobby.epoch))
        (joined,) = bob.heard()
        assert [message["seq"] for message in joined["messages"]] == [3, 4]
        assert (joined["lost"], joined["epoch"]) == (0, lobby.epoch)

    def test_numbers_of_another_life_count_for_nothing(self) -> None:
        lobby, ada = self.lobby(), Ears("Ada")
        self.enter(lobby, ada)
        lobby.say(ada.visitor, Say("a", "m1", "ahoy"))
        ada.heard()
        lobby.join(ada.visitor, Join("a", after=700, epoch="before"))
        (joined,) = ada.heard()
        assert [message["seq"] for message in joined["messages"]] == [1]
        assert joined["lost"] == 0

    def test_a_gap_is_said(self) -> None:
        lobby, ada = self.lobby(keep=2), Ears("Ada")
        self.enter(lobby, ada)
        for number in range(1, 7):
            lobby.say(ada.visitor, Say("a", f"m{number}", "ahoy"))
        ada.heard()
        lobby.join(ada.visitor, Join("a", after=1, epoch=lobby.epoch))
        (joined,) = ada.heard()
        assert (joined["lost"], [message["seq"] for message in joined["messages"]]) == (3, [5, 6])

    def test_presence_is_a_users_not_a_tabs(self) -> None:
        lobby, bob = self.lobby(), Ears("Bob")
        self.enter(lobby, bob)
        tabs = [Ears("Ada"), Ears("Ada")]
        bob.heard()
        self.enter(lobby, *tabs)
        ada = {"id": "ada", "name": "Ada"}
        assert bob.heard() == [{"type": "presence", "room": "a", "user": ada, "here": True}]
        assert lobby.people(lobby.rooms["a"]) == [ada, {"id": "bob", "name": "Bob"}]
        lobby.leave(tabs[0].visitor)
        assert bob.heard() == []
        lobby.leave(tabs[1].visitor)
        assert bob.heard() == [{"type": "presence", "room": "a", "user": ada, "here": False}]
        assert len(lobby) == 1

    def test_joining_twice_is_joining_once(self) -> None:
        lobby, ada, bob = self.lobby(), Ears("Ada"), Ears("Bob")
        self.enter(lobby, ada, bob)
        ada.heard()
        lobby.join(bob.visitor, Join("a"))
        assert ada.heard() == []
        lobby.leave(bob.visitor)
        assert [each["here"] for each in ada.heard()] == [False]

    def test_who_is_not_in_a_room_cannot_speak_there(self) -> None:
        lobby, ada = self.lobby(), Ears("Ada")
        self.enter(lobby, ada)
        for room, code in (("b", "not-in-room"), ("c", "unknown-room")):
            with pytest.raises(BadMessage) as caught:
                lobby.say(ada.visitor, Say(room, "m1", "ahoy"))
            assert (caught.value.code, caught.value.reply_to) == (code, "m1")

    async def test_too_slow_a_reader_is_parted_with(self) -> None:
        lobby, ada, slow = self.lobby(), Ears("Ada"), Ears("Slow", limit=400)
        self.enter(lobby, ada, slow)
        for number in range(5):
            lobby.say(ada.visitor, Say("a", f"m{number}", "x" * 100))
        await settle()
        assert slow.closed[0] == (1013, "too slow a reader")
        assert ada.closed == []

    async def test_signing_out_closes_the_sessions_connections_only(self) -> None:
        lobby = self.lobby()
        tabs, elsewhere = [Ears("Ada", "t1"), Ears("Ada", "t1")], Ears("Ada", "t2")
        self.enter(lobby, *tabs, elsewhere)
        assert lobby.sign_out(tabs[0].visitor.claims) == 2
        late = Ears("Ada", "t1")  # with a ticket that was redeemed a moment before
        lobby.enter(late.visitor)
        await settle()
        assert [tab.closed for tab in (*tabs, late)] == [[(4401, "signed out")]] * 3
        assert elsewhere.closed == []

    def test_who_is_elsewhere_hears_that_something_was_said_and_nothing_more(self) -> None:
        lobby, ada, bob, panel = self.lobby(), Ears("Ada"), Ears("Bob"), Ears("Bob")
        self.enter(lobby, ada)
        self.enter(lobby, bob, room="b")
        lobby.enter(panel.visitor)  # a wire panel listens to no room
        bob.heard()
        lobby.say(ada.visitor, Say("a", "m1", "a secret"))
        lobby.say(ada.visitor, Say("a", "m1", "a secret"))  # sent again: that is no news
        assert bob.heard() == [{"type": "activity", "room": "a", "last": 1, "user": "ada"}]
        assert panel.heard() == []

    def test_leaving_twice_is_leaving_once(self) -> None:
        lobby, ada = self.lobby(), Ears("Ada")
        self.enter(lobby, ada)
        lobby.leave(ada.visitor)
        lobby.leave(ada.visitor)
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
