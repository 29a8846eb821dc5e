"""The debug endpoints of a live server: what is planted in it is what they show."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from refimpl.lifecycle import ServerConnection, connect, serve
from refimpl.profiling import allocs, profiles
from refimpl.profiling.debug import DebugServer, serve_debug
from refimpl.profiling.render import Finding
from tests.support.asking import ask, head, until

LEAK: list[bytes] = []


def burn_the_processor(text: str) -> int:
    total = 0
    for _ in range(20):
        for letter in text:
            total = (total * 31 + ord(letter)) & 0xFFFF
    return total


async def wasteful(websocket: ServerConnection) -> None:
    async for message in websocket:
        assert isinstance(message, str)
        LEAK.append(bytes(20_000 + burn_the_processor(message) % 2))  # the planted leak
        await websocket.send(message)


async def chatter(uri: str) -> None:
    async with connect(uri) as websocket:
        while True:
            await websocket.send("x" * 500)
            await websocket.recv()


@asynccontextmanager
async def busy_server() -> AsyncIterator[DebugServer]:
    """A server with a hot function and a leak, under load, and its debug endpoints."""
    async with serve_debug() as debug, serve(wasteful, "127.0.0.1", 0) as server:
        load = asyncio.create_task(chatter(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        try:
            yield debug
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
            LEAK.clear()


async def find(debug: DebugServer, path: str) -> Finding:
    reply = await ask(debug, f"{path}{'&' if '?' in path else '?'}format=json")
    assert reply.status == 200, reply.text
    return Finding.from_json(reply.text)


class TestCPU:
    async def test_the_hot_function_of_a_live_server_is_the_hottest(self) -> None:
        async with busy_server() as debug:
            finding = await find(debug, "profile?seconds=0.5")
        [hottest] = finding.profile.hottest(1)
        assert hottest.call.function == "burn_the_processor"
        assert finding.profile.share("burn_the_processor") > 0.5
        assert finding.profile.share("wasteful") >= finding.profile.share("burn_the_processor")
        assert 0.5 <= finding.profile.duration < 5

    async def test_svg_html_and_text(self) -> None:
        async with busy_server() as debug:
            svg = await ask(debug, "profile?seconds=0.2&format=svg")
            html = await ask(debug, "profile?seconds=0.2&format=html")
            text = await ask(debug, "profile?seconds=0.2")
        root = ElementTree.fromstring(svg.text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "burn_the_processor (" in svg.text
        assert svg.headers["content-type"] == "image/svg+xml"
        assert html.text.count("<svg ") == 1
        assert "<script" not in html.text + svg.text
        assert "burn_the_processor" in text.text.splitlines()[3]

    async def test_speedscope(self) -> None:
        async with busy_server() as debug:
            reply = await ask(debug, "profile?seconds=0.2&format=speedscope")
        document = json.loads(reply.text)
        names = [frame["name"] for frame in document["shared"]["frames"]]
        assert "burn_the_processor" in names
        [profile] = document["profiles"]
        assert len(profile["samples"]) == len(profile["weights"]) > 0

    async def test_an_idle_loop_is_idle(self) -> None:
        async with serve_debug() as debug:
            finding = await find(debug, "profile?seconds=0.3")
        assert finding.profile.total < 0.1
        assert finding.profile.idle > 0.2


class TestHeap:
    async def test_a_leak_is_the_line_that_grew(self) -> None:
        async with busy_server() as debug:
            finding = await find(debug, "heap?seconds=0.5")
        [hottest] = finding.profile.hottest(1)
        assert hottest.call.file.endswith("test_profiling_debug.py")
        code = wasteful.__code__
        assert hottest.call.line == code.co_firstlineno + 3
        assert hottest.own >= 20_000

    async def test_difference_between_two_snapshots(self) -> None:
        async with serve_debug() as debug:
            nothing = await find(debug, "heap")
            assert "No trace runs" in nothing.text
            assert (await ask(debug, "heap?base=1")).status == 200
            kept = [bytearray(2000) for _ in range(100)]
            grown = await find(debug, "heap")
            assert len(kept) * 2000 < grown.profile.total < len(kept) * 2000 * 2
            assert (await ask(debug, "heap?base=0")).status == 200
            assert "No trace runs" in (await find(debug, "heap")).text

    async def test_the_objects_that_came_are_counted(self) -> None:
        class Planted:
            pass

        async with serve_debug() as debug:
            await ask(debug, "heap?base=1")
            kept = [Planted() for _ in range(777)]
            text = (await find(debug, "heap")).text
        assert len(kept) == 777
        [line] = [line for line in text.splitlines() if "Planted" in line]
        assert line.split()[0] == "+777"


class TestAllocations:
    @pytest.mark.skipif("sys.platform == 'win32'")
    async def test_what_is_freed_at_once_is_seen(self) -> None:
        async def churn() -> None:
            while True:
                bytearray(50_000)
                await asyncio.sleep(0.001)

        async with serve_debug() as debug:
            task = asyncio.create_task(churn())
            finding = await find(debug, "allocs?seconds=0.3")
            task.cancel()
        [hottest] = finding.profile.hottest(1)
        assert hottest.call.function.endswith("churn")
        assert hottest.own > 20 * 50_000

    async def test_without_memray_it_says_how_to_get_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(allocs, "find_spec", lambda name: None)
        async with serve_debug() as debug:
            reply = await ask(debug, "allocs?seconds=0.1")
            assert reply.status == 501
            assert "pip install memray" in reply.text
            assert (await ask(debug, "profile?seconds=0.1")).status == 200


class TestTasks:
    async def test_who_waits_for_what_and_since_when(self) -> None:
        async def wait_for_godot() -> None:
            await asyncio.Queue[None]().get()

        async with serve_debug() as debug:
            tasks = [asyncio.create_task(wait_for_godot(), name=f"tramp {n}") for n in range(5)]
            boss = asyncio.create_task(asyncio.wait_for(asyncio.shield(tasks[0]), 60), name="boss")
            await asyncio.sleep(0)
            text = (await ask(debug, "tasks")).text
            for task in (*tasks, boss):
                task.cancel()
        groups = text.split("\n\n")
        [tramps] = [group for group in groups if "tramp 0" in group]
        assert tramps.startswith("5 tasks wait for Queue.get; the oldest is ")
        assert "named tramp 0, tramp 1, tramp 2, ..." in tramps
        assert "made at test_profiling_debug.py:" in tramps
        assert "wait_for_godot (" in tramps
        assert "boss" in text
        assert "the loop answered in" in text

    async def test_a_task_that_awaits_a_task_names_it(self) -> None:
        async with serve_debug() as debug:
            last = asyncio.create_task(asyncio.Event().wait(), name="the last in the row")

            async def first() -> None:
                await last

            task = asyncio.create_task(first())
            await asyncio.sleep(0)
            text = (await ask(debug, "tasks")).text
            last.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert "1 task waits for the task 'the last in the row'" in text

    async def test_counts_over_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(profiles, "COUNT_EVERY", 0.01)
        async with serve_debug() as debug:
            await until(debug, "1 tasks")
            tasks = [asyncio.create_task(asyncio.Event().wait()) for _ in range(30)]
            await until(debug, "31 tasks")
            text = (await ask(debug, "tasks")).text
            for task in tasks:
                task.cancel()
        [row] = [line for line in text.splitlines() if line.endswith("  Event.wait")]
        counts = row.split()[:-1]
        assert (counts[0], counts[-1]) == ("0", "30")

    async def test_a_blocked_loop_is_caught_in_the_act(self) -> None:
        replies = []

        async with serve_debug() as debug:

            def fetch() -> None:
                headers = {"Authorization": f"Bearer {debug.token}"}
                request = urllib.request.Request(f"{debug.url}tasks", headers=headers)
                with urllib.request.urlopen(request, timeout=20) as response:
                    replies.append(response.read().decode())

            thread = threading.Thread(target=fetch)
            thread.start()
            thread.join()  # blocks the loop until the dump is here
        [text] = replies
        assert "the loop has not answered: it is blocked" in text
        assert "1 task waits for nothing: it runs" in text
        assert "test_a_blocked_loop_is_caught_in_the_act (" in text
        assert "Thread.join (threading.py" in text

    async def test_a_profile_of_a_blocked_loop_is_given_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(profiles, "START_LIMIT", 0.1)
        monkeypatch.setattr(profiles, "STOP_LIMIT", 0.1)
        statuses = []
        async with serve_debug() as debug:

            def fetch() -> None:
                headers = {"Authorization": f"Bearer {debug.token}"}
                request = urllib.request.Request(f"{debug.url}profile", headers=headers)
                try:
                    urllib.request.urlopen(request, timeout=20).close()
                except urllib.error.HTTPError as error:
                    with error:
                        statuses.append((error.code, error.read().decode()))

            thread = threading.Thread(target=fetch)
            thread.start()
            thread.join()
            [(status, text)] = statuses
            assert status == 503
            assert "it is blocked; tasks shows where" in text
            assert (await ask(debug, "profile?seconds=0.1")).status == 200  # nothing stayed behind


class TestOneAtATime:
    async def test_the_second_is_told_whom_to_wait_for(self) -> None:
        async with serve_debug() as debug:
            first = asyncio.create_task(ask(debug, "profile?seconds=2"))
            await until(debug, "busy: /profile for 127.0.0.1:")
            for path in ("profile?seconds=1", "heap?seconds=1", "allocs", "heap?base=1"):
                second = await ask(debug, path)
                assert second.status == 429
                assert "one at a time: /profile for 127.0.0.1:" in second.text
                assert int(second.headers["retry-after"]) in (1, 2)
            assert (await ask(debug, "tasks")).status == 200
            assert (await first).status == 200
            assert (await ask(debug, "profile?seconds=0.1")).status == 200

    @pytest.mark.parametrize("path", ["profile?seconds=30", "heap?seconds=30", "allocs?seconds=30"])
    async def test_a_client_that_leaves_ends_its_profile(
        self, path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serve_debug() as debug:
            _, writer = await asyncio.open_connection("127.0.0.1", debug.port)
            writer.write(head(debug, path))
            await until(debug, "busy:")
            writer.close()
            await until(debug, "nobody is profiling")
            assert (await ask(debug, "profile?seconds=0.1")).status == 200
        assert "left, " in caplog.text
        if hasattr(signal, "SIGPROF"):
            assert signal.getsignal(signal.SIGPROF) is signal.SIG_IGN

    async def test_closing_ends_the_profile_under_way(self) -> None:
        began = time.monotonic()
        async with serve_debug() as debug:
            _, writer = await asyncio.open_connection("127.0.0.1", debug.port)
            writer.write(head(debug, "profile?seconds=30"))
            await until(debug, "busy:")
        assert time.monotonic() - began < 10
        writer.close()
        assert not [each for each in threading.enumerate() if each.name == "refimpl debug"]


class TestIndex:
    async def test_the_index_page_names_each_path_and_its_cost(self) -> None:
        async with serve_debug() as debug:
            page = await ask(debug)
        assert page.headers["content-type"].startswith("text/html")
        for name in ("profile", "heap", "allocs", "tasks"):
            assert f"<code>{name}" in page.text
        assert "What it costs" in page.text
        assert debug.token not in page.text

    async def test_each_use_is_logged_without_the_token(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="refimpl.debug")
        async with serve_debug() as debug:
            await ask(debug, "profile?seconds=0.1&format=svg")
        [line] = [each for each in caplog.messages if " took " in each]
        assert line.startswith("profile as svg for 0.1 s for 127.0.0.1:")
        assert debug.token not in caplog.text


async def test_tasks_are_traced_only_while_it_is_open() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    async with serve_debug():
        assert loop.get_task_factory() is not before
    assert loop.get_task_factory() is before


async def test_a_port_that_is_taken() -> None:
    async with serve_debug() as debug:
        with pytest.raises(OSError):
            async with serve_debug(debug.port):
                pass
