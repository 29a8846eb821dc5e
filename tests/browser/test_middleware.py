"""The headers of the middleware floor, as Chromium understands them."""

from __future__ import annotations

import pytest

from refimpl.middleware import Registry, SecurityHeaders
from refimpl.middleware.serving import running
from refimpl.middleware.static import site
from tests.browser.chromium import chromium_page
from tests.support.asgi_peer import echo

pytestmark = pytest.mark.chromium

PAGE = """<!doctype html><title>page</title>
<script>document.title = "an injected script ran"</script>
<p onclick="document.title = 'an injected handler ran'">text</p>
<script type="module" src="/static/app.js"></script>
"""
MODULE = """
import { greet } from "/static/greet.js";
const socket = new WebSocket(`ws://${location.host}/ws/echo`);
socket.onopen = () => socket.send(greet());
socket.onmessage = event => { document.querySelector("p").textContent = event.data; };
"""
REACH_OUT = """
url => new Promise(resolve => {
  document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
  try { new WebSocket(url).onopen = () => resolve("connected"); } catch (error) {}
})
"""


async def test_modules_and_our_socket_work_and_nothing_injected_does(tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "static" / "app.js").write_text(MODULE, encoding="utf-8")
    (tmp_path / "static" / "greet.js").write_text('export const greet = () => "hello";')
    registry = Registry(site(tmp_path))
    registry.add("echo", echo)
    async with running(SecurityHeaders(registry)) as server, running(echo) as elsewhere:
        async with chromium_page() as page:
            await page.goto(server.http)
            await page.wait_for_function("document.querySelector('p').textContent != 'text'")
            assert await page.text_content("p") == "echo: hello"
            await page.click("p")
            assert await page.title() == "page"
            assert await page.evaluate(REACH_OUT, elsewhere.ws) == "connect-src"
