"""Windows of one Chromium on the chat: each is a person with a profile of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from refimpl.chat import DEMO, Chat
from refimpl.lab.wire.chaos import Chaos, chaos
from tests.support.chatting import chatting

QUICK = (0.6, 0.4)  # seconds until a page pings, and until it gives up


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


async def focused(window: Window) -> str:
    name: str = await window.page.evaluate("document.activeElement.id")
    return name


async def tab_to(window: Window, selector: str) -> None:
    """Press Tab until the element has the focus, once around the page at most."""
    for _ in range(40):
        if await window.page.evaluate("s => document.activeElement.matches(s)", selector):
            return
        await window.page.keyboard.press("Tab")
    pytest.fail(f"Tab does not come to {selector}")
