"""The chat in Chromium: people talk, use the keyboard, and everybody can read it."""

from __future__ import annotations

from typing import Any

import pytest

from refimpl.chat import DEMO
from refimpl.chat.app import PAGE
from tests.browser.audit import audit
from tests.browser.chat_window import Window, behind_a_network, focused, windows
from tests.support.chatting import chatting

# One Chromium for all tests of this module: to start it takes longer than most of them.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


MODULES = sorted(path.name for path in (PAGE / "static").glob("*.js"))


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
          rooms.hear({ type: "welcome", epoch: "e", rooms: [{ id: "a", title: "A", topic: "" }] });
          const joined = { type: "joined", room: "a", epoch: "e", lost: 0 };
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
            for number in range(60):
                chat.lobby.rooms["harbour"].say("carol", "Carol", f"m{number}", "old", at=1.0)
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


class TestKeyboard:
    async def test_everything_without_a_mouse(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            page = alice.page
            await page.goto(server.http)
            await page.wait_for_selector("#name:focus")
            await page.keyboard.type("Alice")
            await page.keyboard.press("Tab")
            await page.keyboard.type(DEMO["Alice"])
            await page.keyboard.press("Enter")
            await alice.connected()
            assert await focused(alice) == "text"
            await page.keyboard.type("first line")
            await page.keyboard.press("Shift+Enter")
            await page.keyboard.type("second line")
            await page.keyboard.press("Enter")
            await alice.sees("first line\nsecond line")
            await tab_to(alice, "[data-room=workshop]")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#rooms [aria-current]:has-text('Workshop')")
            assert await page.evaluate("document.activeElement.dataset.room") == "workshop"
            await tab_to(alice, "#wire-toggle")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#frames:focus")
            await page.wait_for_selector("#frames .out:has-text('joined workshop')")
            await page.keyboard.press("End")
            await page.keyboard.press("ArrowUp")
            chosen = page.locator("#frames [aria-selected=true]")
            assert "join workshop" in await chosen.inner_text()
            active = await page.get_attribute("#frames", "aria-activedescendant")
            assert active == await chosen.get_attribute("id")
            await page.keyboard.press("Escape")
            assert await focused(alice) == "wire-toggle"

    async def test_what_is_new_is_spoken_and_history_is_not(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http, 2) as (alice, bob):
            await alice.sign_in("Alice")
            await alice.say("old")
            await alice.sees("old")
            await bob.page.add_init_script(
                """window.live = [];
                addEventListener("DOMContentLoaded", () => {
                  const log = document.getElementById("log");
                  const note = node => live.push([node.textContent, log.getAttribute("aria-live")]);
                  new MutationObserver(changes => changes.forEach(
                    change => change.addedNodes.forEach(note)
                  )).observe(log, {childList: true});
                });"""
            )
            # What the observer notes comes after the change; the attribute is back a frame later.
            await bob.sign_in("Bob")
            await bob.page.wait_for_selector("#log[aria-live=polite]")
            await alice.say("new")
            await bob.sees("old", "new")
            spoken = [text for text, live in await bob.page.evaluate("live") if live == "polite"]
            assert len(spoken) == 1 and "new" in spoken[0]


async def tab_to(window: Window, selector: str) -> None:
    """Press Tab until the element has the focus, once around the page at most."""
    for _ in range(40):
        if await window.page.evaluate("s => document.activeElement.matches(s)", selector):
            return
        await window.page.keyboard.press("Tab")
    pytest.fail(f"Tab does not come to {selector}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1920])
async def test_anybody_can_read_it(browser: Any, width: int, scheme: str) -> None:
    """Names of controls, contrast, ids, and nothing wider than the window, in each state."""
    size = {"width": width, "height": 800}
    expected = ("403", "ERR_", "WebSocket connection")
    async with behind_a_network() as (_, network, far, _near):
        async with windows(browser, far, expected=expected, viewport=size, color_scheme=scheme) as (
            alice,
        ):
            page = alice.page
            await page.goto(far)
            await alice.fill_in("Alice", "wrong")
            await alice.problem()
            assert await audit(page) == []
            await alice.fill_in("Alice")
            await alice.connected()
            await alice.say("a-very-long-word-" * 20)
            await alice.sees("a-very-long-word-" * 20)
            assert await audit(page) == []
            await page.click("#wire-toggle")
            await page.locator("#frames .in").last.click()
            assert await audit(page) == []
            await page.locator("#frames .out").last.click()
            assert await audit(page) == []
            await page.click("#wire-close")
            network.black_hole()
            await alice.say("kept")
            await alice.waits()
            assert await audit(page) == []


async def test_every_module_is_used(browser: Any) -> None:
    """No file lies about that no page loads."""
    async with chatting() as (_, server), windows(browser, server.http) as (alice,):
        loaded: set[str] = set()
        alice.page.on("request", lambda request: loaded.add(request.url.rpartition("/")[2]))
        await alice.sign_in("Alice")
        assert {name for name in loaded if name.endswith(".js")} == set(MODULES)


async def test_the_audit_finds_what_is_planted(browser: Any) -> None:
    planted = """() => {
      const add = (tag, props) => document.querySelector(".card").append(
        Object.assign(document.createElement(tag), props));
      add("p", {textContent: "pale", id: "name"});
      document.querySelector("p#name").style.color = "#999";
      add("button", {});
      add("img", {src: "/static/icon.svg"});
      add("label", {htmlFor: "nobody", textContent: "whose?"});
      add("h1", {textContent: "a second one"});
      document.querySelector("#password").style.width = "3000px";
      document.documentElement.lang = "";
    }"""
    async with chatting() as (_, server), windows(browser, server.http) as (window,):
        await window.page.goto(server.http)
        await window.page.wait_for_selector("#demo-people tbody tr")
        assert await audit(window.page) == []
        await window.page.evaluate(planted)
        faults = " ".join(await audit(window.page))
    for fault in (
        "contrast 2.",
        "no name: <button",
        "no alt: <img",
        "id twice: name",
        "for names nothing: nobody",
        "2 of h1",
        "px wider than the window",
        "outside the window: <input",
        "no language",
    ):
        assert fault in faults
