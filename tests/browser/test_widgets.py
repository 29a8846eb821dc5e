"""The widgets in Chromium: with the keyboard alone, for a screen reader, and without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from refimpl.lab.widgets import cluster

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def shown(browser: Any, **options: Any) -> AsyncIterator[Any]:
    """Give a page that shows the widget, as an exported notebook does; fail on any error there."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.set_content(f"<!doctype html><title>x</title>{cluster()._repr_html_()}")
    try:
        yield page
        assert errors == []
    finally:
        await context.close()


async def press(page: Any, *names: str) -> None:
    for name in names:
        await page.get_by_role("button", name=name).press("Enter")


async def seen(page: Any, who: str) -> list[str]:
    texts: list[str] = await page.locator(f"[data-seen={who}] li").all_inner_texts()
    return texts


SAY, CUT, HEAL = "Ada says", "Cut node B", "Heal"


class TestCluster:
    async def test_without_numbers_nobody_knows_what_was_missed(self, browser: Any) -> None:
        async with shown(browser) as page:
            await press(page, SAY, CUT, SAY, SAY, HEAL, SAY)
            assert await seen(page, "ada") == [f"message {n}" for n in (1, 2, 3, 4)]
            assert await seen(page, "ben") == ["message 1", "message 4"]
            await press(page, CUT, SAY, HEAL)
            assert "Missed: 1. Nobody knows." in await page.get_by_role("status").inner_text()

    async def test_with_numbers_the_gap_is_filled(self, browser: Any) -> None:
        async with shown(browser) as page:
            await page.get_by_role("checkbox").press("Space")
            await press(page, SAY, CUT, SAY, SAY, HEAL, SAY)
            filled = [f"message {n}, from the stream" for n in (2, 3)]
            assert await seen(page, "ben") == ["message 1", *filled, "message 4"]

    async def test_what_the_stream_has_lost_is_told(self, browser: Any) -> None:
        async with shown(browser) as page:
            await page.get_by_role("checkbox").press("Space")
            await press(page, CUT, *[SAY] * 6, HEAL)
            assert (await seen(page, "ben"))[0] == "resync: 2 missing"
            assert "Ben is told so" in await page.get_by_role("status").inner_text()

    async def test_a_ghost_stays_until_its_lease_ends_and_leaves_once(self, browser: Any) -> None:
        async with shown(browser) as page:
            await press(page, "Kill node B", *["A second"] * 2)
            assert await seen(page, "ada") == []
            await press(page, *["A second"] * 3)
            assert await seen(page, "ada") == ["Ben left"]

    async def test_without_scripts_the_picture_is_seen(self, browser: Any) -> None:
        async with shown(browser, java_script_enabled=False) as page:
            assert await page.get_by_role("img").is_visible()
            assert "node B" in await page.get_by_role("img").get_attribute("aria-label")

    async def test_two_of_them_on_one_page_are_two(self, browser: Any) -> None:
        async with shown(browser) as page:
            await page.evaluate(
                "document.body.append(document.querySelector('refimpl-cluster').cloneNode(true))"
            )
            await page.get_by_role("button", name=SAY).first.press("Enter")
            assert await page.locator("[data-seen=ada] li").count() == 1
