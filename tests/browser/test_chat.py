"""The chat in Chromium: people talk in rooms, lose their network, and lose no words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.windows import Window, behind_a_network, windows
from tests.support.chatting import chatting, kept, said_before

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

# In one step, since the page stops waiting by itself as well.
TRY_NOW = """() => {
  const { dataset } = document.getElementById("state");
  if (dataset.state !== "waiting") return false;
  document.getElementById("retry").click();
  if (dataset.state !== "connecting") throw new Error(`it is ${dataset.state}`);
  return true;
}"""


class TestTalking:
    async def test_two_browsers_talk(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            await alice.page.wait_for_selector("#present li:has-text('Bob')")
            assert await alice.page.locator("#present li").all_inner_texts() == [
                "A\nAlice (you)",
                "B\nBob",
            ]
            await alice.say("Grüße, 世界, 🧦\nsecond line")
            await bob.sees("Grüße, 世界, 🧦\nsecond line")
            await bob.say("I hear you")
            await alice.sees("Grüße, 世界, 🧦\nsecond line", "I hear you")
            await bob.page.close()
            await alice.page.wait_for_selector("#present li:has-text('Bob')", state="detached")

    async def test_text_stays_text(self, browser: Any) -> None:
        attack = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>&lt;b&gt;${1}'
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            await bob.page.click("#wire-toggle")
            await alice.say(attack)
            await bob.sees(attack)
            await bob.page.locator("#frames .out").last.click()
            await bob.page.wait_for_selector("#frame .payload")
            assert (
                await bob.page.locator("#log img, #log script, #frames img, #frame img").count()
                == 0
            )
            assert await bob.page.evaluate("window.hit") is None

    async def test_rooms_are_apart_and_count_what_is_unread(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            await alice.page.get_by_role("button", name="Library").click()
            await bob.say("in the harbour")
            await alice.page.wait_for_selector("#rooms button:has-text('Harbour') .count")
            unread = alice.page.get_by_role("button", name="Harbour 1 unread")
            assert await alice.page.locator("#log .words").count() == 0
            await unread.click()
            await alice.sees("in the harbour")
            assert await alice.page.locator("#rooms .count").count() == 0

    async def test_rooms_never_visited_count_what_is_unread_too(self, browser: Any) -> None:
        """27: a page heard only of rooms that it had been in."""
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            tab = Window(await alice.page.context.new_page(), server.http)
            await tab.page.goto(server.http)
            await tab.connected()
            await bob.sign_in("Bob")
            for room, window in (("Library", bob), ("Workshop", tab)):
                await window.page.get_by_role("button", name=room).click()
                await window.say(f"in the {room}")
                await window.sees(f"in the {room}")
            await bob.say("twice")
            library = alice.page.get_by_role("button", name="Library 2 unread")
            await library.wait_for()
            own = alice.page.locator("[data-room=workshop] .count")
            assert await own.count() == 0  # what one says oneself in another tab is no news
            await library.click()
            await alice.sees("in the Library", "twice")
            assert await alice.page.locator("#rooms .count").count() == 0

    async def test_an_empty_room_counts_what_was_missed(self, browser: Any) -> None:
        async with behind_a_network() as (_, network, far, near):
            expected = ("ERR_", "WebSocket connection")
            async with windows(browser, far, 2, expected=expected) as (alice, bob):
                bob.address = near
                await alice.sign_in("Alice")
                await alice.page.get_by_role("button", name="Library").click()
                await alice.page.get_by_role("button", name="Harbour").click()
                await bob.sign_in("Bob")
                await alice.page.route("**/api/tickets", lambda route: route.abort())
                network.reset()
                await alice.waits()
                for room in ("Library", "Workshop"):  # one was empty, one never visited
                    await bob.page.get_by_role("button", name=room).click()
                    await bob.say("hello")
                    await bob.sees("hello")
                await alice.page.unroute("**/api/tickets")
                await alice.page.get_by_role("button", name="Library 1 unread").wait_for()
                await alice.page.get_by_role("button", name="Workshop 1 unread").wait_for()

    async def test_a_page_has_few_messages_on_their_way(self, browser: Any) -> None:
        """A hundred at once would wait behind each other, and the page would take it for an end."""
        script = """async () => {
          const { Rooms } = await import("/static/rooms.js");
          sessionStorage.clear();
          const sent = [];
          const rooms = new Rooms(message => sent.push(message) > 0);
          rooms.begin({ id: "me" });
          const room = { id: "a", title: "A", topic: "", epoch: "e", last: 0 };
          rooms.hear({ type: "welcome", rooms: [room] });
          const joined = { type: "joined", room: "a", epoch: "e", last: 0, lost: 0 };
          for (let number = 0; number < 50; number++) rooms.say(`${number}`);
          rooms.hear({ ...joined, messages: [], people: [] });
          const says = () => sent.filter(({ type }) => type === "say");
          const first = says().length;
          let [most, seq] = [first, 0];
          for (let answered = 0; answered < 50; answered++) {
            const { id, text } = says()[answered];
            const message = { id, text, user: "me" };
            if (answered === 20) rooms.hear({ type: "error", id, detail: "no" });
            else rooms.hear({ type: "said", room: "a", message: { seq: ++seq, ...message } });
            most = Math.max(most, says().length - answered - 1);
          }
          const order = says().map(({ text }) => text);
          sessionStorage.clear();
          return [first, most, order, rooms.pending.length];
        }"""
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            first, most, order, left = await window.page.evaluate(script)
        assert first == most <= 10
        assert order == [str(number) for number in range(50)]
        assert left == 1

    async def test_who_reads_old_messages_is_not_torn_away(self, browser: Any) -> None:
        end = """() => {
          const { scrollTop, scrollHeight, clientHeight } = document.getElementById("log");
          return scrollHeight - scrollTop - clientHeight;
        }"""
        async with chatting() as (chat, server), windows(browser, server.http, 2) as (alice, bob):
            await said_before(chat.lobby, *["old"] * 60)
            await alice.sign_in("Alice")
            await bob.sign_in("Bob")
            assert await alice.page.evaluate(end) < 5
            await alice.page.evaluate("document.getElementById('log').scrollTop = 0")
            await bob.say("news")
            await bob.page.wait_for_selector("#log .words:has-text('news')")
            newer = alice.page.get_by_role("button", name="New messages")
            await newer.wait_for()
            assert await alice.page.evaluate(end) > 500
            await newer.click()
            assert await alice.page.evaluate(end) < 5
            await newer.wait_for(state="hidden")

    async def test_a_page_loaded_again_knows_everything(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.say("before")
            await alice.sees("before")
            await alice.page.reload()
            await alice.connected()
            await alice.sees("before")

    async def test_one_user_in_two_tabs_is_one_user(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            tab = Window(await alice.page.context.new_page(), server.http)
            await tab.page.goto(server.http)  # the cookie is there already
            await tab.connected()
            await bob.sign_in("Bob")
            assert await bob.page.locator("#present li").count() == 2
            await alice.say("from the first")
            await tab.sees("from the first")
            await tab.say("from the second")
            await alice.sees("from the first", "from the second")
            await tab.page.close()
            await bob.say("still here?")
            await alice.sees("from the first", "from the second", "still here?")
            assert await bob.page.locator("#present li").count() == 2
            assert tab.complaints == []


class TestLosingTheNetwork:
    async def test_a_reset_loses_and_doubles_nothing(self, browser: Any) -> None:
        async with behind_a_network() as (_, network, far, near):
            async with windows(browser, far, 2, expected=("ERR_", "WebSocket connection")) as (
                alice,
                bob,
            ):
                bob.address = near
                await alice.sign_in("Alice")
                await bob.sign_in("Bob")
                said = []
                for round_ in range(3):
                    await alice.say(f"before {round_}")
                    said.append(f"before {round_}")
                    await bob.sees(*said)
                    network.reset()
                    await bob.say(f"meanwhile {round_}")
                    said.append(f"meanwhile {round_}")
                    await bob.sees(*said)
                    await alice.say(f"after {round_}")
                    said.append(f"after {round_}")
                    await alice.sees(*said)
                    await bob.sees(*said)
                assert network.connections > 3

    async def test_a_black_hole_is_noticed_and_survived(self, browser: Any) -> None:
        async with behind_a_network() as (chat, network, far, near):
            async with windows(browser, far, 2, expected=("ERR_", "WebSocket connection")) as (
                alice,
                bob,
            ):
                bob.address = near
                await alice.sign_in("Alice")
                await bob.sign_in("Bob")
                await alice.say("before")
                await bob.sees("before")
                network.black_hole()
                await alice.say("into the hole")
                await alice.page.wait_for_selector("#log .kept:has-text('not sent yet')")
                await bob.say("meanwhile")
                await bob.sees("before", "meanwhile")
                await alice.waits()
                await alice.page.wait_for_selector("#away:has-text('kept and sent afterwards')")
                await alice.say("written while away")
                network.heal()
                await alice.connected()
                # What the hole held is let out by now: the server knew it before it was sent again,
                # or hears it later and knows it then. Either way it is there once.
                heard = await kept(chat.lobby)
                while len(heard) < 4:
                    await asyncio.sleep(0.01)
                    heard = await kept(chat.lobby)
                await alice.sees(*heard)
                await bob.sees(*heard)
                assert sorted(heard) == sorted(
                    ["before", "meanwhile", "into the hole", "written while away"]
                )
                assert heard.index("into the hole") < heard.index("written while away")

    async def test_what_arrived_unanswered_is_not_said_twice(self, browser: Any) -> None:
        """The network ends between a message and the sign that it arrived."""
        async with behind_a_network() as (chat, network, far, _near):
            expected = ("ERR_", "WebSocket connection")
            async with windows(browser, far, expected=expected) as (alice,):
                await alice.sign_in("Alice")
                say, heard = chat.lobby.say, []

                async def say_and_lose(visitor: Any, request: Any) -> None:
                    await say(visitor, request)
                    heard.append(request.text)
                    if len(heard) == 1:
                        network.reset()

                chat.lobby.say = say_and_lose  # type: ignore[method-assign]
                await alice.say("once")
                await alice.sees("once")
                await alice.say("more")
                await alice.sees("once", "more")
                assert heard == ["once", "more"]  # the page found it among what it had missed
                said = await kept(chat.lobby)
                assert said == ["once", "more"]

    async def test_a_server_that_starts_anew_remembers_nothing_and_loses_no_words(
        self, browser: Any
    ) -> None:
        expected = ("ERR_", "WebSocket connection", "401")
        async with behind_a_network() as (_, network, far, _near), chatting() as (second, server):
            async with windows(browser, far, expected=expected) as (alice,):
                await alice.sign_in("Alice")
                await alice.say("before")
                await alice.sees("before")
                await alice.page.route("**/api/tickets", lambda route: route.abort())
                network.reset()
                await alice.waits()
                await alice.say("in between")
                network._target = (server.host, server.port)  # other keys, other rooms
                await alice.page.unroute("**/api/tickets")
                assert await alice.problem() == "The server was restarted: sign in again."
                await alice.fill_in("Alice")
                await alice.connected()
                await alice.sees("before", "in between")
                divider = await alice.page.inner_text("#log .divider")
                assert divider == "The server was started anew and remembers nothing from before"
                assert await kept(second.lobby) == ["in between"]

    async def test_what_is_kept_no_more_is_said(self, browser: Any) -> None:
        async with behind_a_network(keep=3) as (_, network, far, near):
            expected = ("ERR_", "WebSocket connection")
            async with windows(browser, far, 2, expected=expected) as (alice, bob):
                bob.address = near
                await alice.sign_in("Alice")
                await bob.sign_in("Bob")
                await bob.say("0")
                await alice.sees("0")
                await alice.page.route("**/api/tickets", lambda route: route.abort())
                network.reset()
                await alice.waits()
                for number in range(1, 8):
                    await bob.say(str(number))
                await bob.sees(*map(str, range(8)))
                await alice.page.unroute("**/api/tickets")
                await alice.sees("0", "5", "6", "7")
                divider = await alice.page.inner_text("#log .divider")
                assert divider == "4 messages in between are kept no more"

    async def test_unsent_words_survive_a_reload(self, browser: Any) -> None:
        async with behind_a_network() as (_, network, far, _near):
            async with windows(browser, far, expected=("ERR_", "WebSocket connection")) as (alice,):
                await alice.sign_in("Alice")
                network.black_hole()
                await alice.say("not yet")
                await alice.waits()
                network.reset()
                network.heal()
                await alice.page.reload()
                await alice.connected()
                await alice.sees("not yet")

    async def test_try_now_does_not_wait(self, browser: Any) -> None:
        async with behind_a_network() as (_, network, far, _near):
            async with windows(browser, far, expected=("ERR_", "WebSocket connection")) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.route("**/api/tickets", lambda route: route.abort())
                network.reset()
                for _ in range(4):  # the waits grow: up to 0.5, 1, 2, 4 s
                    await alice.page.wait_for_function(TRY_NOW)
                await alice.waits()
                await alice.page.unroute("**/api/tickets")
                await alice.page.wait_for_function(TRY_NOW)
                await alice.connected()
                assert await alice.page.locator("#away").is_hidden()

    async def test_the_wait_grows_and_is_left_to_chance(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            waits = await window.page.evaluate(
                """async () => {
                  const { backOff } = await import("/static/connection.js");
                  const waits = tries => [0, 0.5, 1].map(chance => backOff(tries, () => chance));
                  return [0, 1, 2, 3, 4, 5, 6, 50].map(waits);
                }"""
            )
        assert waits[:3] == [[250, 375, 500], [500, 750, 1000], [1000, 1500, 2000]]
        assert waits[-2:] == [[7500, 11250, 15000]] * 2
