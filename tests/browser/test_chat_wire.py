"""The chat in Chromium: the wire panel, the keyboard, and what everybody can read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from refimpl.chat import DEMO
from refimpl.chat.app import PAGE
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.lab.wire.dissect import dissect
from tests.browser.audit import audit
from tests.browser.windows import behind_a_network, focused, tab_to, windows
from tests.support.chatting import chatting

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]

MODULES = sorted(path.name for path in (PAGE / "static").glob("*.js"))


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
        """Every length form, masked or not, data and control, against `lab.wire.dissect`."""
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
