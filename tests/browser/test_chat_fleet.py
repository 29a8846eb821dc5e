"""The chat on two nodes in Chromium: one is killed while somebody types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.windows import Window, windows
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
