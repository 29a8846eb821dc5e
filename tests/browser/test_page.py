"""A page in Chromium talks to our server: echo, compression, clean close, Origin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from refimpl import serve
from refimpl.errors import ConnectionClosed
from refimpl.handshake import Headers, Response
from tests.browser.chromium import chromium_page

pytestmark = pytest.mark.chromium

PAGE = b"<!doctype html><title>echo</title><p>open the console"

# Runs in the page: open, send each text, wait for each echo, close, report.
CONVERSE = """
async ([url, texts, protocols]) => {
  const report = {echoes: [], binary: null};
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  const ended = new Promise(resolve => socket.onclose = event => {
    Object.assign(report, {code: event.code, reason: event.reason, wasClean: event.wasClean});
    resolve();
  });
  const heard = () => new Promise(resolve => socket.onmessage = event => resolve(event.data));
  const opened = new Promise(resolve => { socket.onopen = () => resolve(true); });
  if (await Promise.race([opened, ended.then(() => false)])) {
    report.extensions = socket.extensions;
    report.protocol = socket.protocol;
    for (const text of texts) {
      const echo = heard();
      socket.send(text);
      report.echoes.push(await echo);
    }
    const echo = heard();
    socket.send(Uint8Array.from({length: 70000}, (_, index) => index % 251));
    report.binary = [...new Uint8Array(await echo)].every((byte, index) => byte === index % 251);
    socket.close(3001, "done");
  }
  await ended;
  return report;
}
"""


@asynccontextmanager
async def page_server(**options: Any) -> AsyncIterator[tuple[str, list[ConnectionClosed]]]:
    """Serve the page to a plain GET and an echo to a WebSocket, on one port."""
    ends: list[ConnectionClosed] = []

    async def echo(connection: Any) -> None:
        try:
            while True:
                await connection.send(await connection.recv())
        except ConnectionClosed as end:
            ends.append(end)

    def page(connection: Any, request: Any) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        kind = Headers([("Content-Type", "text/html; charset=utf-8")])
        return Response(200, kind, PAGE)

    async with serve(echo, "127.0.0.1", 0, process_request=page, **options) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", ends


TEXTS = ["hello", "", "Grüße, 世界, 🧦", "compress me " * 10_000]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_page_connects_echoes_and_closes_cleanly(compression: str | None) -> None:
    async with page_server(compression=compression, subprotocols=["echo"]) as (address, ends):
        async with chromium_page() as page:
            await page.goto(f"http://{address}/")
            assert await page.title() == "echo"
            report = await page.evaluate(CONVERSE, [f"ws://{address}/", TEXTS, ["echo"]])
    assert report["echoes"] == TEXTS
    assert report["binary"] is True
    assert report["protocol"] == "echo"
    assert ("permessage-deflate" in report["extensions"]) == (compression == "deflate")
    assert (report["code"], report["wasClean"]) == (3001, True)
    (end,) = ends
    assert end.received == (3001, "done")


async def test_a_page_from_elsewhere_is_refused() -> None:
    async with page_server() as (ours, ends), page_server() as (elsewhere, _):
        async with chromium_page() as page:
            await page.goto(f"http://{elsewhere}/")
            report = await page.evaluate(CONVERSE, [f"ws://{ours}/", TEXTS, []])
    assert (report["code"], report["wasClean"]) == (1006, False)
    assert report["echoes"] == []
    assert ends == []
