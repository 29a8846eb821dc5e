"""Takes the README's picture of the chat: two people in a room, and a frame on the wire panel.

    python -m tools.record.chat

It starts `refimpl demo` on a free port and drives the system's Chromium; `make captures` runs it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURE = Path("notebooks") / "pictures" / "chat.png"
TALK = [
    ("Alice", "Good morning! Is anybody here?"),
    ("Bob", "Morning, Alice. I have just arrived."),
    ("Alice", "Look at the panel: every message is a TEXT frame, and mine are masked."),
    ("Bob", "I see the masking key, and the letters behind it."),
]
PASSWORDS = {"Alice": "amber-ladder", "Bob": "silver-pond"}


def sign_in(page: "Page", address: str, name: str) -> None:
    """Sign in, and wait until the room is there."""
    page.goto(address)
    page.fill("#name", name)
    page.fill("#password", PASSWORDS[name])
    page.click("#sign-in-form button")
    page.wait_for_selector("#state[data-state=open]")


def say(page: "Page", text: str) -> None:
    """Send a message, and wait until it is back."""
    page.fill("#text", text)
    page.press("#text", "Enter")
    page.wait_for_function(
        "text => document.querySelector('#log').innerText.includes(text)", arg=text
    )


def take(address: str, picture: Path) -> None:
    """Let two people talk, and save what Alice sees."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        pages = {
            name: browser.new_context(viewport={"width": 1280, "height": 760}).new_page()
            for name in PASSWORDS
        }
        for name, page in pages.items():
            sign_in(page, address, name)
        pages["Alice"].click("#wire-toggle")
        for name, text in TALK:
            say(pages[name], text)
        pages["Alice"].locator("#frames .in").last.click()
        pages["Alice"].wait_for_selector("#frame")
        pages["Alice"].screenshot(path=str(picture))
        browser.close()


def main() -> None:
    """Run the demo, and take the picture."""
    command = [sys.executable, "-m", "refimpl", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            found = None
            while found is None:
                found = re.search(r"http://\S+", demo.stdout.readline())
            take(found[0], PICTURE)
        finally:
            demo.terminate()
    print(f"{PICTURE} taken")


if __name__ == "__main__":
    main()
