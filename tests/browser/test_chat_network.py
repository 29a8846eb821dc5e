"""The chat in Chromium loses its network: nothing is lost, doubled, or said too soon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.browser.chat_window import behind_a_network, windows
from tests.support.chatting import chatting

# One Chromium for all tests of this module: to start it takes longer than most of them.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


# In one step, since the page stops waiting by itself as well.
TRY_NOW = """() => {
  const { dataset } = document.getElementById("state");
  if (dataset.state !== "waiting") return false;
  document.getElementById("retry").click();
  if (dataset.state !== "connecting") throw new Error(`it is ${dataset.state}`);
  return true;
}"""


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
