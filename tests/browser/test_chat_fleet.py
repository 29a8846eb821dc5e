"""The chat on two nodes in Chromium: one is killed while somebody types."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.chat.stores import ValkeyStores
from tests.browser.windows import Window, windows
from tests.support.chatting import chatting
from tests.support.stores import prefix
from tests.support.valkeys import Valkey
from tests.test_cli_fleet import fleet, nodes_of

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

EXPECTED = ("ERR_", "WebSocket connection", "502", "503")


async def node_of(window: Window) -> str:
    """Return the name of the node that a page says it is on."""
    shown: str = await window.page.locator("#node").inner_text()
    return shown.removeprefix("on ")


class TestFleet:
    async def test_a_node_is_killed_while_somebody_types(self, browser: Any) -> None:
        async with (
            fleet() as (process, address),
            windows(browser, address, 2, expected=EXPECTED) as (alice, bob),
        ):
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            assert {await node_of(alice), await node_of(bob)} == {"node-1", "node-2"}
            await alice.page.wait_for_selector("#present li:has-text('Bob')")
            await alice.say("one")
            await bob.say("two")
            await alice.sees("one", "two")
            text = alice.page.get_by_label("Message", exact=True)
            await text.press_sequentially("half a sen")
            left = await node_of(bob)
            nodes_of(process)[await node_of(alice)].kill()
            await text.press_sequentially("tence")
            await bob.say("meanwhile")
            await alice.connected()
            await alice.page.wait_for_function(
                "name => document.getElementById('node').textContent === `on ${name}`", arg=left
            )
            assert await text.input_value() == "half a sentence"
            await text.press("Enter")
            for window in (alice, bob):
                await window.sees("one", "two", "meanwhile", "half a sentence")
                assert await window.page.locator("#log .divider").count() == 0
            assert await alice.page.locator("#present li").count() == 2

    async def test_the_wire_panel_shows_this_page_wherever_it_is(self, browser: Any) -> None:
        async with (
            fleet() as (_, address),
            windows(browser, address, 2) as (alice, bob),
        ):
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            for window in (alice, bob):
                await window.page.click("#wire-toggle")
                await window.page.wait_for_selector("#frames .out")
                await window.say(f"from {await node_of(window)}")
                await window.page.wait_for_selector("#frames .in:has-text('from node-')")

    async def test_signing_out_in_one_tab_ends_the_others_on_all_nodes(self, browser: Any) -> None:
        async with (
            fleet() as (_, address),
            windows(browser, address, expected=("401", "WebSocket connection")) as (alice,),
        ):
            await alice.sign_in("Alice")
            tab = Window(await alice.page.context.new_page(), address)
            await tab.page.goto(address)
            await tab.connected()
            assert {await node_of(alice), await node_of(tab)} == {"node-1", "node-2"}
            await alice.page.get_by_role("button", name="Sign out").click()
            assert "session is over" in await tab.problem()


ROOMS = """async steps => {
  const { Rooms } = await import("/static/rooms.js");
  sessionStorage.clear();
  const sent = [];
  const rooms = new Rooms(message => sent.push(message) > 0);
  rooms.begin({ id: "me" });
  const room = { id: "a", title: "A", topic: "", epoch: "e1", last: 0 };
  rooms.hear({ type: "welcome", rooms: [room] });
  for (const step of steps) rooms.hear({ room: "a", ...step });
  sessionStorage.clear();
  const { epoch, last, messages } = rooms.rooms.get("a");
  return [messages.map(({ divider, text }) => divider ?? text), epoch, last, sent.slice(1)];
}"""


def message(seq: int, id: str = "") -> dict[str, Any]:
    id = id or f"m{seq}"
    return {"seq": seq, "id": id, "user": "ada", "name": "Ada", "text": id, "at": 1.0}


def said(seq: int, id: str = "", epoch: str = "e1") -> dict[str, Any]:
    return {"type": "said", "epoch": epoch, "message": message(seq, id)}


def joined(*seqs: int, epoch: str = "e1", last: int = 0, lost: int = 0) -> dict[str, Any]:
    return {
        "type": "joined",
        "epoch": epoch,
        "last": last or max(seqs, default=0),
        "lost": lost,
        "messages": [message(seq) for seq in seqs],
        "people": [],
    }


def resync(last: int, missing: int, epoch: str = "e1") -> dict[str, Any]:
    return {"type": "resync", "epoch": epoch, "last": last, "missing": missing}


class TestPlace:
    """The page's place in a room, (epoch, number, id), and what it makes of what comes."""

    @staticmethod
    async def after(browser: Any, *steps: dict[str, Any]) -> Any:
        """Return what a page shows after these messages, its place, and what it asked for."""
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            return await window.page.evaluate(ROOMS, list(steps))

    @pytest.mark.parametrize(
        ("missing", "line"), [(3, "3 messages are missing"), (1, "1 message is missing")]
    )
    async def test_what_is_missing_stands_between(
        self, browser: Any, missing: int, line: str
    ) -> None:
        gap = resync(5 + missing, missing)
        steps = joined(1), said(2), gap, said(2), said(4 + missing), said(5 + missing)
        shown, *place, asked = await self.after(browser, *steps, said(6 + missing))
        assert shown == ["m1", "m2", line, *(f"m{missing + n}" for n in (4, 5, 6))]
        assert (place, asked) == (["e1", 6 + missing], [])

    async def test_a_new_epoch_tells_known_messages_by_their_ids(self, browser: Any) -> None:
        """A promoted replica lost number 3 and gave it a second time."""
        again = [said(number, epoch="e2") for number in (1, 2)]
        steps = joined(1, 2, 3), resync(3, 0, "e2"), *again, said(3, "other", "e2")
        shown, *place, asked = await self.after(browser, *steps, said(4, epoch="e2"))
        assert shown == ["m1", "m2", "m3", "The last messages may be missing", "other", "m4"]
        assert (place, asked) == (["e2", 4], [])

    async def test_joining_in_a_new_epoch_tells_them_too(self, browser: Any) -> None:
        steps = joined(1, 2), joined(1, 2, 3, epoch="e2", lost=2)
        shown, *place, _ = await self.after(browser, *steps)
        assert shown == ["m1", "m2", "2 messages are missing", "m3"]
        assert place == ["e2", 3]

    async def test_what_comes_twice_is_shown_once(self, browser: Any) -> None:
        steps = joined(1, 2), said(2), said(3), said(3), said(1), joined(1, 2, 3)
        shown, *place, asked = await self.after(browser, *steps)
        assert shown == ["m1", "m2", "m3"]
        assert (place, asked) == (["e1", 3], [])

    async def test_a_gap_is_asked_for_from_its_place_once(self, browser: Any) -> None:
        place = {"after": 1, "epoch": "e1", "id": "m1", "user": "ada"}
        steps = joined(1), said(3), joined(3, last=3, lost=1), said(4)
        shown, *_, asked = await self.after(browser, *steps)
        assert shown == ["m1", "1 message in between is kept no more", "m3", "m4"]
        assert asked == [{"type": "join", "room": "a", **place}]


class TestOutOfReach:
    async def test_a_page_keeps_so_much_and_says_when_it_is_full(self, browser: Any) -> None:
        """The oldest were dropped without a word."""
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.sign_in("Alice")
            await window.page.evaluate(
                """async () => {
                  const stored = Array.from({ length: 99 }, (_, number) => (
                    { id: `old${number}`, room: "harbour", text: `${number}`, at: 1, problem: "x" }
                  ));
                  sessionStorage.setItem("refimpl-unsent-alice", JSON.stringify(stored));
                }"""
            )
            await window.page.reload()
            await window.connected()
            for name in ("Library", "Harbour"):  # where an unsent one of another room is not seen
                await window.page.get_by_role("button", name=name).click()
            await window.page.route("**/api/tickets", lambda route: route.abort())
            await window.page.evaluate("WebSocket.prototype.send = () => {}")
            await window.say("the last that fits")
            await window.say("one too many")
            assert "100 messages wait" in await window.problem("#room-problem")
            text = window.page.get_by_label("Message", exact=True)
            assert await text.input_value() == "one too many"
            assert await window.page.locator("#log .kept").count() == 100

    async def test_the_page_says_so_and_sends_afterwards(self, browser: Any) -> None:
        with Valkey() as valkey:
            stores = ValkeyStores(valkey.url, prefix=prefix(), timeout=0.5)
            async with chatting(stores=stores, node="node-1") as (_, server):
                async with windows(browser, server.http, 2) as (alice, bob):
                    await alice.sign_in("Alice")
                    await bob.sign_in("Bob")
                    await alice.say("before")
                    await bob.sees("before")
                    banner = alice.page.locator("#degraded")
                    assert await banner.is_hidden()
                    valkey.kill()
                    await banner.wait_for()
                    assert "nothing new can be said" in await banner.inner_text()
                    await alice.say("meanwhile")
                    await alice.page.wait_for_selector("#log .kept:has-text('not sent yet')")
                    valkey.start()
                    await banner.wait_for(state="hidden")
                    for window in (alice, bob):
                        await window.sees("before", "meanwhile")
                    divider = await bob.page.inner_text("#log .divider")
                    assert divider == "The last messages may be missing"
