"""Starts the system's Chromium; a missing one fails the test with the way to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# A container has no sandbox of its own for Chromium and may have no network beyond loopback.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of a Chromium: CHROMIUM, else the usual names on the PATH."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        path = name and shutil.which(name)
        if path:
            return path
    return pytest.fail(
        "Chromium is missing: apt-get install chromium, or CHROMIUM=/path", pytrace=False
    )


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Any]:
    """Open an empty page in a fresh profile; what the page's scripts throw fails the test."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        pytest.fail("playwright is missing: run `make browser`, or pip install -e .[browser]")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=list(ARGUMENTS)
        )
        try:
            yield await browser.new_page(viewport={"width": 1400, "height": 1000})
        finally:
            await browser.close()
