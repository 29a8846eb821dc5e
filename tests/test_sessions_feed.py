"""The rules of numbers, by table and by chance: whatever is lost, nothing is missing in silence."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.sessions import (
    START,
    History,
    Joined,
    Limits,
    MemoryStore,
    Message,
    Position,
    Presence,
    Resync,
    StoreState,
    as_json,
)
from refimpl.sessions.feed import Feed, Verdict
from refimpl.sessions.local_room import LocalRoom
from refimpl.sessions.store import page_of


def message(number: int, epoch: str = "e", id: str = "") -> Message:
    return Message("harbour", number, epoch, id or f"m{number}", b"")


def feed_at(number: int) -> Feed:
    ids = [f"m{n}" for n in range(1, number + 1)]
    return Feed(Position("e", number, f"m{number}" if number else ""), ids, remember=100)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("next_", "verdict"),
        [
            (message(8), Verdict.NEXT),
            (message(7), Verdict.REPEATED),
            (message(1), Verdict.REPEATED),
            (message(9), Verdict.GAP),
            (message(7, id="other"), Verdict.GAP),
            (message(8, epoch="f"), Verdict.GAP),
            (message(1, epoch="f"), Verdict.GAP),
            (message(8, id="m3"), Verdict.REPEATED),  # said again after its first place was lost
        ],
    )
    def test_what_a_message_is(self, next_: Message, verdict: Verdict) -> None:
        assert feed_at(7).take(next_) is verdict

    @pytest.mark.parametrize(
        ("head", "seen", "behind"),
        [
            (Position("e", 7, "m7"), 7, False),
            (Position("e", 8, "m8"), 7, True),
            (Position("f", 7, "m7"), 7, True),
            (Position("e", 7, "other"), 7, True),
            (Position("e", 7, ""), 7, False),
            (Position("e", 6, "m6"), 6, False),  # asked for before the seventh came
            (Position("e", 6, "m6"), 7, True),  # went backwards
        ],
    )
    def test_what_a_head_says(self, head: Position, seen: int, behind: bool) -> None:
        assert feed_at(7).is_behind(head, Position("e", seen, f"m{seen}")) is behind

    def test_of_another_history_only_ids_tell(self) -> None:
        feed = feed_at(7)
        messages = tuple(message(n, "f", id) for n, id in enumerate(("m6", "x", "m7", "y"), 1))
        fresh = feed.fill(History(messages, 0, "f", Position("f", 4, "y")))
        assert [each.id for each in fresh] == ["x", "y"]
        assert feed.position == Position("f", 4, "y")

    def test_it_remembers_so_many_ids_and_no_more(self) -> None:
        feed = Feed(Position("e", 0), remember=10)
        for number in range(1, 50):
            feed.take(message(number))
        assert len(feed._ids) == 10


class TestPages:
    @pytest.mark.parametrize(
        ("numbers", "after", "missing"),
        [
            ([8, 9, 10], 7, 0),
            ([], 10, 0),
            ([], 7, 3),
            ([10], 7, 2),
            ([1, 2, 3, 8, 10], 7, 1),
            ([3, 4, 5], 1, 6),
            ([], 0, 10),
            ([10], 12, 0),
        ],
    )
    def test_what_is_missing(self, numbers: list[int], after: int, missing: int) -> None:
        entries = [message(number) for number in numbers]
        history = page_of(Position("e", 10, "m10"), Position("e", after), 0, entries, 8)
        assert history.missing == missing
        assert not history.more

    def test_who_is_new_misses_nothing(self) -> None:
        assert page_of(Position("e", 10), START, 0, [message(10)], 8).missing == 0

    def test_a_full_page_says_where_to_read_on(self) -> None:
        entries = [message(number) for number in (5, 6)]
        history = page_of(Position("e", 9, "m9"), Position("e", 2), 0, entries, 2)
        assert (history.more, history.missing) == (True, 2)
        assert history.position == Position("e", 6, "m6")


class TestByChance:
    @given(st.lists(st.sampled_from("pldhr"), max_size=60))
    def test_whatever_is_lost_everybody_has_all_or_is_told(self, steps: list[str]) -> None:
        """p: publish; l: publish, and the notice is lost; d: it comes twice; h: heads are compared;
        r: more are published than the room keeps."""
        asyncio.run(self.play(steps))

    async def play(self, steps: list[str]) -> None:
        limits = Limits(keep=20, remember=40, page=8)
        store = MemoryStore(limits=limits)
        lease = await store.begin("node-1")
        heard: list[Any] = []
        said: list[str] = []

        def tell(members: Collection[str], event: Any) -> None:
            heard.append(event)

        room = LocalRoom[str](
            "harbour", store, tell=tell, on_doubt=lambda _: None, counts=Counter()
        )
        await room.attach()
        room.members["ada"] = None
        take = room.take

        async def publish(times: int) -> None:
            store._callbacks["harbour"] = [take] * times
            said.append(f"m{len(said)}")
            await store.publish(lease, "harbour", said[-1], b"", known=START)
            await asyncio.sleep(0)
            await room.check()

        async def compare() -> None:
            position, version = room.position, room.version
            head = (await store.heads(lease, ["harbour"]))["harbour"]
            assert head is not None
            room.compare(head, position, version)
            await room.check()

        for step in steps:
            if step == "h":
                await compare()
            elif step == "r":
                for _ in range(limits.keep + 5):
                    await publish(0)
            else:
                await publish("lpd".index(step))
        await compare()
        ids = [event.id for event in heard if isinstance(event, Message)]
        missing = sum(event.missing for event in heard if isinstance(event, Resync))
        assert len(ids) == len(set(ids))
        assert [id for id in said if id in set(ids)] == ids
        assert len(ids) + missing == len(said)


class TestEvents:
    @pytest.mark.parametrize(
        ("event", "fields"),
        [
            (Joined("r", Position("e", 3, "m"), 1, 2, ("ada",)), {"missing": 1, "users": ["ada"]}),
            (Resync("r", Position("e", 3, "m"), 4), {"epoch": "e", "number": 3, "missing": 4}),
            (Presence("r", "ада", True, 9), {"user": "ада", "here": True}),
            (StoreState(True), {"type": "store", "degraded": True}),
            (
                Message("r", 1, "e", 'm"\\', b'"\n\0\\'),
                {"id": 'm"\\', "data": '"\n\0\\', "number": 1},
            ),
            (Message("r", 1, "e", "m", b"\xff"), {"data": "\N{REPLACEMENT CHARACTER}"}),
        ],
    )
    def test_as_json(self, event: Any, fields: dict[str, Any]) -> None:
        found = json.loads(as_json(event))
        assert found["type"]
        assert {key: found[key] for key in fields} == fields
