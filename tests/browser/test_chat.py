"""The chat in Chromium: people talk, lose their network, sign in badly, and look at the wire."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from refimpl.chat import DEMO, Chat
from refimpl.chat.app import PAGE
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.lab.chaos import Chaos, chaos
from refimpl.lab.dissect import dissect
from tests.browser.audit import audit
from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.chatting import Clock, chatting

# One Chromium for all tests of this module: to start it takes longer than most of them.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

QUICK = (0.6, 0.4)  # seconds until a page pings, and until it gives up
MODULES = sorted(path.name for path in (PAGE / "static").glob("*.js"))


# In one step, since the page stops waiting by itself as well.
TRY_NOW = """() => {
  const { dataset } = document.getElementById("state");
  if (dataset.state !== "waiting") return false;
  document.getElementById("retry").click();
  if (dataset.state !== "connecting") throw new Error(`it is ${dataset.state}`);
  return true;
}"""


class Window:
    """One page in a profile of its own, with what went wrong in it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def sign_in(self, name: str, password: str | None = None) -> None:
        await self.page.goto(self.address)
        await self.fill_in(name, password)
        await self.connected()

    async def fill_in(self, name: str, password: str | None = None) -> None:
        await self.page.get_by_label("Name", exact=True).fill(name)
        password = DEMO[name] if password is None else password
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def connected(self) -> None:
        await self.page.wait_for_selector("#state[data-state=open]")
        await self.page.wait_for_selector("#log > li")

    async def say(self, text: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(text)
        await self.page.keyboard.press("Enter")

    async def sees(self, *texts: str) -> None:
        """Wait until the log says exactly these, with nothing left to send."""
        await self.page.wait_for_function(
            """texts => {
              const shown = document.querySelectorAll("#log .words");
              const said = Array.from(shown, words => words.textContent);
              return !document.querySelector("#log .kept") && said.join("|") === texts.join("|");
            }""",
            arg=list(texts),
        )

    async def waits(self) -> None:
        """Wait for the wait between two tries; it may be too short for a selector's polling."""
        await self.page.wait_for_function(
            """() => {
              const state = document.getElementById("state");
              return state.dataset.state === "waiting" && state.textContent.startsWith("Back in ");
            }"""
        )

    async def problem(self, place: str = "#sign-in-problem") -> str:
        shown = await self.page.wait_for_selector(f"{place}:not([hidden])")
        text: str = await shown.inner_text()
        return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        pytest.fail("playwright is missing: run `make browser`, or pip install -e .[browser]")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=find_chromium(), args=list(ARGUMENTS)
        )
        yield launched
        await launched.close()


@asynccontextmanager
async def windows(
    browser: Any, address: str, count: int = 1, *, expected: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[list[Window]]:
    """Open windows, each with a profile of its own.

    Anything in their consoles that is not expected fails the test.
    """
    options = {"viewport": {"width": 1366, "height": 820}, **options}
    contexts = [await browser.new_context(**options) for _ in range(count)]
    try:
        opened = [Window(await context.new_page(), address) for context in contexts]
        yield opened
        complaints = [text for window in opened for text in window.complaints]
        assert [text for text in complaints if not any(one in text for one in expected)] == []
    finally:
        for context in contexts:
            await context.close()


@asynccontextmanager
async def behind_a_network(**options: Any) -> AsyncIterator[tuple[Chat, Chaos, str, str]]:
    """Serve a chat; give the faulty network in front of it, its address, and the direct one."""
    async with chatting(heartbeat=QUICK, **options) as (chat, server):
        async with chaos(server.host, server.port) as network:
            yield chat, network, f"http://127.0.0.1:{network.port}/", server.http + "/"


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
                heard = [message.text for message in chat.lobby.rooms["harbour"].after(0)]
                while len(heard) < 4:
                    await asyncio.sleep(0.01)
                    heard = [message.text for message in chat.lobby.rooms["harbour"].after(0)]
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

                def say_and_lose(visitor: Any, request: Any) -> None:
                    say(visitor, request)
                    heard.append(request.text)
                    if len(heard) == 1:
                        network.reset()

                chat.lobby.say = say_and_lose  # type: ignore[method-assign]
                await alice.say("once")
                await alice.sees("once")
                await alice.say("more")
                await alice.sees("once", "more")
                assert heard == ["once", "more"]  # the page found it among what it had missed
                said = [message.text for message in chat.lobby.rooms["harbour"].after(0)]
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
                (kept,) = second.lobby.rooms["harbour"].after(0)
                assert kept.text == "in between"

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


class TestTheWayIn:
    async def test_a_bad_password_is_told_in_words(self, browser: Any) -> None:
        async with (
            chatting() as (_, server),
            windows(browser, server.http, expected=("403",)) as (window,),
        ):
            await window.page.goto(server.http)
            await window.fill_in("Alice", "wrong")
            assert await window.problem() == "Name and password do not belong together."
            assert await focused(window) == "password"
            await window.page.keyboard.type(DEMO["Alice"])  # over what was wrong, which is selected
            await window.page.keyboard.press("Enter")
            await window.connected()

    async def test_empty_fields(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            await window.page.get_by_role("button", name="Sign in").click()
            assert await window.problem() == "Enter a name."
            assert await focused(window) == "name"

    async def test_the_demos_passwords_are_shown_and_fill_the_form(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            await window.page.get_by_role("button", name="Fill in Bob").click()
            await window.page.keyboard.press("Enter")  # the button to sign in has the focus
            await window.connected()
            assert await window.page.inner_text("#me") == "Bob"

    async def test_a_session_that_runs_out_says_so_and_keeps_what_was_written(
        self, browser: Any
    ) -> None:
        clock = Clock()
        expected = ("401", "ERR_", "WebSocket connection")
        async with chatting(session=100, now=clock) as (_, server):
            async with windows(browser, server.http, expected=expected) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.evaluate("WebSocket.prototype.send = () => {}")
                await alice.say("almost too late")
                clock.ahead = 100
                problem = await alice.problem()
                assert problem == "Your session is over: the token has expired."
                await alice.page.reload()
                assert await alice.problem() == "Your session is over: sign in again."
                await alice.fill_in("Alice")
                await alice.connected()
                await alice.sees("almost too late")

    async def test_a_browser_that_keeps_no_secure_cookie_is_told_why(self, browser: Any) -> None:
        """As Safari does on http://127.0.0.1; seen from the page, the session is just not there."""
        nobody = json.dumps({"user": None, "reason": "missing"})
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            await window.page.wait_for_selector("#demo-people tbody tr")
            await window.page.route("**/api/me", lambda route: route.fulfill(body=nobody))
            await window.fill_in("Alice")
            assert "secure cookies over https only" in await window.problem()

    async def test_signing_out_ends_it_everywhere_in_this_browser(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            tab = Window(await alice.page.context.new_page(), server.http)
            await tab.page.goto(server.http)
            await tab.connected()
            await alice.page.get_by_role("button", name="Sign out").click()
            await alice.page.wait_for_selector("#sign-in:not([hidden])")
            assert await tab.problem() == "Your session is over: signed out."
            assert await alice.page.context.cookies() == []
            await alice.page.reload()
            await alice.page.wait_for_selector("#sign-in:not([hidden])")

    async def test_no_script_sees_the_session(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            assert await alice.page.evaluate("document.cookie") == ""
            (cookie,) = await alice.page.context.cookies()
            assert cookie["name"] == "__Host-session"
            assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (
                True,
                True,
                "Strict",
            )

    async def test_a_page_from_elsewhere_gets_nothing(self, browser: Any) -> None:
        """Another port is the same site, so the cookie comes along, and Origin tells them apart."""
        attack = """async target => {
          const tried = path => fetch(target + path, {method: "POST", credentials: "include"})
            .then(answer => answer.status, () => "failed");
          const socket = new WebSocket(target.replace("http", "ws") + "/ws/chat");
          const opened = await new Promise(done => {
            socket.onopen = () => done(true);
            socket.onclose = () => done(false);
          });
          return [await tried("/api/tickets"), opened];
        }"""
        expected = ("blocked by CORS", "ERR_", "WebSocket connection", "Content Security Policy")
        async with chatting() as (chat, ours), chatting() as (_, elsewhere):
            async with windows(browser, ours.http, expected=expected) as (alice,):
                await alice.sign_in("Alice")
                evil = await alice.page.context.new_page()
                await evil.route("**/*", lambda route: plain_page(route, elsewhere.http))
                await evil.goto(elsewhere.http)
                assert await evil.evaluate(attack, ours.http) == ["failed", False]
                assert len(chat.lobby) == 1


async def plain_page(route: Any, own: str) -> None:
    """Answer for the attacker's site with an empty page that has no policy to hold it back."""
    if route.request.url.startswith(own):
        await route.fulfill(content_type="text/html", body="<!doctype html><title>evil</title>")
    else:
        await route.continue_()


async def focused(window: Window) -> str:
    name: str = await window.page.evaluate("document.activeElement.id")
    return name


class TestWirePanel:
    async def test_it_shows_the_frame_just_sent_with_its_masked_bytes(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.page.get_by_role("button", name="Wire").click()
            await alice.page.wait_for_selector("#frames .out:has-text('joined harbour')")
            await alice.say("look at me")
            row = alice.page.locator("#frames .in", has_text="look at me")
            await row.click()
            table = await alice.page.locator("#frame .xor tr").evaluate_all(
                "rows => rows.map(row => Array.from(row.cells, td => td.textContent).slice(1))"
            )
            wire, key, payload = (bytes.fromhex("".join(line)) for line in table[:3])
            assert bytes(one ^ two for one, two in zip(wire, key, strict=True)) == payload
            assert wire != payload and key[:4] == key[4:8] != bytes(4)
            assert payload == b'{"type":"say'[: len(payload)]
            shown = json.loads(await alice.page.inner_text("#frame .payload"))
            assert (shown["type"], shown["text"]) == ("say", "look at me")
            first = await alice.page.locator("#frame .cell").first.inner_text()
            assert first.split() == ["FIN", "1"]
            answer = alice.page.locator("#frames .out", has_text="look at me")
            await answer.click()
            assert await alice.page.locator("#frame .xor").count() == 0
            assert "the server sent it" in await alice.page.inner_text("#frame h3")

    async def test_every_bit_is_as_wide_as_every_other(self, browser: Any) -> None:
        widths = """() => [...document.querySelectorAll("#frame .cell")].map(cell =>
          [+cell.style.gridColumn.split("span ")[1], cell.getBoundingClientRect().width])"""
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.page.click("#wire-toggle")
            for size in (1920, 1366, 375):
                await alice.page.set_viewport_size({"width": size, "height": 900})
                await alice.page.locator("#frames .in").first.click()
                cells = await alice.page.evaluate(widths)
                assert len(cells) > 10
                per_bit = [width / bits for bits, width in cells]
                assert max(per_bit) - min(per_bit) < 0.5, size

    async def test_it_does_not_show_itself(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.page.click("#wire-toggle")
            await alice.page.wait_for_selector("#frames [role=option]")
            await alice.say("one")
            await alice.page.wait_for_selector("#frames .out:has-text('one')")
            rows = await alice.page.locator("#frames .peek").all_inner_texts()
        assert [row.split()[0] for row in rows] == ["welcome", "join", "joined", "say", "said"]

    async def test_pause_holds_and_clear_empties(self, browser: Any) -> None:
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.page.click("#wire-toggle")
            await alice.page.wait_for_selector("#frames .out:has-text('joined')")
            await alice.page.get_by_role("button", name="Clear").click()
            assert await alice.page.locator("#frames li").count() == 0
            await alice.page.get_by_role("button", name="Pause").click()
            await alice.say("held")
            await alice.page.wait_for_selector("#wire-state:has-text('Paused; 2 frames since.')")
            assert await alice.page.locator("#frames li").count() == 0
            await alice.page.get_by_role("button", name="Pause").click()
            assert await alice.page.locator("#frames li").count() == 2

    async def test_it_is_not_empty_when_it_is_opened_again(self, browser: Any) -> None:
        """27: it took every frame that it had shown before for seen, and showed nothing."""
        async with chatting() as (_, server), windows(browser, server.http) as (alice,):
            await alice.sign_in("Alice")
            await alice.page.click("#wire-toggle")
            await alice.page.wait_for_selector("#frames .out:has-text('joined harbour')")
            await alice.page.click("#wire-close")
            await alice.say("unseen")
            await alice.sees("unseen")
            await alice.page.click("#wire-toggle")
            await alice.page.wait_for_selector("#frames .out:has-text('unseen')")
            rows = await alice.page.locator("#frames .peek").all_inner_texts()
            assert [row.split()[0] for row in rows] == ["welcome", "join", "joined", "say", "said"]
            assert await alice.page.locator("#frames .news").count() == 0

    async def test_it_follows_a_new_connection(self, browser: Any) -> None:
        async with behind_a_network() as (_, network, far, _near):
            async with windows(browser, far, expected=("ERR_", "WebSocket connection")) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.click("#wire-toggle")
                await alice.page.wait_for_selector("#frames .out:has-text('joined')")
                network.reset()
                await alice.page.wait_for_selector("#frames .news:has-text('over: 1006')")
                await alice.page.wait_for_selector("#frames .news:has-text('a new connection')")
                await alice.say("again")
                await alice.page.wait_for_selector("#frames .in:has-text('again')")

    async def test_pings_are_there_too(self, browser: Any) -> None:
        pinging: dict[str, object] = {"ws_ping_interval": 0.2}
        async with chatting(settings=pinging) as (_, server):
            async with windows(browser, server.http) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.click("#wire-toggle")
                await alice.page.wait_for_selector("#frames .out:has-text('PING')")
                pong = alice.page.locator("#frames .in", has_text="PONG").first
                await pong.click()
                assert "0xa" in await alice.page.inner_text("#frame .bits")
                assert "PONG frame" in await alice.page.inner_text("#frame h3")

    async def test_a_compressed_frame_says_so(self, browser: Any) -> None:
        deflate: dict[str, object] = {"ws_per_message_deflate": True}
        async with chatting(settings=deflate) as (_, server):
            async with windows(browser, server.http) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.click("#wire-toggle")
                await alice.say("squeeze " * 50)
                await alice.sees(("squeeze " * 50).strip())
                await alice.page.locator("#frames .out:has-text('RSV1')").last.click()
                assert "permessage-deflate" in await alice.page.inner_text("#frame")
                rsv1 = alice.page.locator("#frame .cell", has_text="RSV1")
                assert (await rsv1.inner_text()).split() == ["RSV1", "1"]

    async def test_under_another_engine_it_says_so(self, browser: Any) -> None:
        async with chatting(engine="websockets-sansio") as (_, server):
            async with windows(browser, server.http) as (alice,):
                await alice.sign_in("Alice")
                await alice.page.click("#wire-toggle")
                told = await alice.page.inner_text("#wire-state")
                assert "engine does not show its frames" in told
                assert "refimpl.middleware.engine:Engine" in told

    async def test_its_reading_of_frames_is_the_dissectors(self, browser: Any) -> None:
        """Every length form, masked and not, data and control, against `refimpl.lab.dissect`."""
        payloads = [(Opcode.BINARY, bytes(size)) for size in (0, 1, 125, 126, 127, 65535, 65536)]
        payloads += [(Opcode.CLOSE, b"\x03\xe8bye"), (Opcode.PING, b"?"), (Opcode.TEXT, b"Gr\xc3")]
        frames = [b"\x01\x01A", b"\xc1\x03\x2a\x00\x00", b"\x83\x80\x00\x00\x00\x00"]
        for opcode, payload in payloads:
            frames.append(serialize_frame(Frame(opcode, payload)))
            frames.append(serialize_frame(Frame(opcode, payload, masking_key=b"\x0a\xf0\x37\x01")))
        script = """async frames => {
          const { dissect } = await import("/static/frame.js");
          const plain = value => typeof value === "number" ? value : Array.from(value.slice(0, 99));
          return frames.map(text => {
            const data = Uint8Array.from(atob(text), char => char.charCodeAt(0));
            const { payload, fields } = dissect(data);
            return [payload.length, plain(payload),
              fields.map(({ name, start, bits, value }) => [name, start, bits, plain(value)])];
          });
        }"""
        async with chatting() as (_, server), windows(browser, server.http) as (window,):
            await window.page.goto(server.http)
            texts = [base64.b64encode(frame).decode() for frame in frames]
            seen = await window.page.evaluate(script, texts)
        for data, (length, payload, fields) in zip(frames, seen, strict=True):
            ours = dissect(data)
            assert (length, payload) == (len(ours.payload), plain(ours.payload))
            assert [tuple(field) for field in fields] == [
                (one.name, one.start, one.bits, plain(one.value)) for one in ours.fields
            ]


def plain(value: int | bytes) -> int | list[int]:
    return value if isinstance(value, int) else list(value[:99])


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
