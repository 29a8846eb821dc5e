"""The chat in Chromium: signing in and out, and what a page from elsewhere gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refimpl.chat import DEMO
from tests.browser.windows import Window, focused, windows
from tests.support.chatting import Clock, chatting

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


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
