"""Load on any server: plans that hold, a stall that only one figure shows, and answers checked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from refimpl.bench import closed_loop, open_loop
from refimpl.bench import load as traffic_module
from refimpl.bench.echo_client import WrongAnswer
from refimpl.bench.load import arrivals
from refimpl.errors import HandshakeError
from refimpl.lifecycle import ServerConnection, serve


@asynccontextmanager
async def served(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


class TestArrivals:
    def test_even_gaps(self) -> None:
        due = list(arrivals(rate=200, seconds=0.5))
        assert len(due) == 100
        gaps = [after - before for before, after in itertools.pairwise(due)]
        assert gaps == pytest.approx([0.005] * 99)

    def test_a_seed_gives_the_same_uneven_gaps(self) -> None:
        due = list(arrivals(rate=1000, seconds=10, seed=5))
        assert due == list(arrivals(rate=1000, seconds=10, seed=5))
        assert due != list(arrivals(rate=1000, seconds=10, seed=6))
        assert due == sorted(due)
        assert due[-1] < 10

    def test_uneven_gaps_are_those_of_a_poisson_process(self) -> None:
        due = list(arrivals(rate=1000, seconds=10, seed=5))
        gaps = [after - before for before, after in itertools.pairwise(due)]
        mean = sum(gaps) / len(gaps)
        spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
        assert mean == pytest.approx(0.001, rel=0.05)
        assert spread == pytest.approx(mean, rel=0.05)  # as in an exponential distribution


class TestLoops:
    async def test_an_open_loop_sends_what_was_planned(self) -> None:
        told: list[float] = []
        async with served(echo) as uri:
            outcome = await open_loop(
                uri, rate=100, seconds=0.5, connections=3, tell=lambda share, _: told.append(share)
            )
        assert outcome.latency.count == outcome.uncorrected.count == outcome.late.count == 50
        assert outcome.unanswered == 0
        assert told
        assert all(0 <= share <= 1 for share in told)
        assert outcome.report().kept

    async def test_latency_from_when_it_was_due_is_never_the_smaller(self) -> None:
        async with served(echo) as uri:
            outcome = await open_loop(uri, rate=300, seconds=0.3, connections=2, seed=1)
        for share in (0.1, 0.5, 0.9, 0.99, 1):
            corrected, uncorrected = outcome.latency, outcome.uncorrected
            assert corrected.quantile(share) >= uncorrected.quantile(share) * 0.99

    async def test_only_latency_from_when_it_was_due_shows_who_waited(self) -> None:
        """A server that holds one answer until all others are due: one waits, all others queue."""
        release = asyncio.Event()
        seen = 0

        async def stalls_once(websocket: ServerConnection) -> None:
            nonlocal seen
            async for message in websocket:
                seen += 1
                if seen == 1:
                    await release.wait()
                await websocket.send(message)

        def tell(share: float, words: str) -> None:
            if share > 0.4:  # the plan goes on, whatever the server does
                release.set()

        async with served(stalls_once) as uri:
            outcome = await open_loop(uri, rate=100, seconds=1, connections=1, tell=tell)
        held = outcome.uncorrected.highest
        assert held > 0.3
        late = [seconds for seconds, _, _ in outcome.latency.buckets() if seconds > held / 2]
        assert len(late) > 1
        share_late = sum(n for s, _, n in outcome.latency.buckets() if s > held / 4) / 100
        share_seen = sum(n for s, _, n in outcome.uncorrected.buckets() if s > held / 4) / 100
        assert share_seen <= 0.05 < 0.2 < share_late

    async def test_a_closed_loop_has_one_message_on_each_connection(self) -> None:
        at_once = most = 0

        async def count(websocket: ServerConnection) -> None:
            nonlocal at_once, most
            async for message in websocket:
                at_once += 1
                most = max(most, at_once)
                await asyncio.sleep(0)
                await websocket.send(message)
                at_once -= 1

        async with served(count) as uri:
            outcome = await closed_loop(uri, seconds=0.3, connections=4)
        assert outcome.latency.count > 4
        assert 0 < most <= 4
        assert outcome.uncorrected.count == 0
        assert [row.name for row in outcome.report().rows][:4] == [
            "answers", "answers a second", "messages never answered", "p50",
        ]  # fmt: skip

    async def test_messages_without_an_answer_are_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(traffic_module, "PATIENCE", 0.2)

        async def answers_ten(websocket: ServerConnection) -> None:
            left = 10
            async for message in websocket:
                left -= 1
                if left >= 0:
                    await websocket.send(message)

        async with served(answers_ten) as uri:
            opened = await open_loop(uri, rate=100, seconds=0.2, connections=1)
            closed = await closed_loop(uri, seconds=0.2, connections=2)
        assert (opened.latency.count, opened.unanswered) == (10, 10)
        assert closed.unanswered == 2
        assert not opened.report().kept

    async def test_size_is_the_size_of_a_message(self) -> None:
        sizes = set()

        async def measure(websocket: ServerConnection) -> None:
            async for message in websocket:
                sizes.add(len(message))
                await websocket.send(message)

        async with served(measure) as uri:
            for size in (1, 4096):
                await open_loop(uri, rate=50, seconds=0.1, connections=2, size=size)
        assert sizes == {1, 4096}

    async def test_a_server_may_put_its_name_before_the_message(self) -> None:
        async def polite(websocket: ServerConnection) -> None:
            async for message in websocket:
                await websocket.send(f"echo: {message!s}")

        async with served(polite) as uri:
            assert (await open_loop(uri, rate=50, seconds=0.1)).latency.count == 5


@pytest.mark.parametrize("loop", ["open", "closed"])
class TestFaults:
    async def run(self, loop: str, uri: str) -> None:
        if loop == "open":
            await open_loop(uri, rate=200, seconds=5, connections=3)
        else:
            await closed_loop(uri, seconds=5, connections=3)

    async def test_a_wrong_answer_ends_it(self, loop: str) -> None:
        async def garble(websocket: ServerConnection) -> None:
            async for message in websocket:
                await websocket.send(message[:-1] + "?")  # type: ignore[operator]

        async with served(garble) as uri:
            with pytest.raises(WrongAnswer, match="another message back, 125 long"):
                await self.run(loop, uri)

    async def test_swapped_answers_are_wrong_ones(self, loop: str) -> None:
        async def one_behind(websocket: ServerConnection) -> None:
            before: str | bytes = "nothing yet"
            async for message in websocket:
                await websocket.send(before)
                before = message

        async with served(one_behind) as uri:
            with pytest.raises(WrongAnswer):
                await self.run(loop, uri)

    async def test_a_server_that_hangs_up_ends_it(self, loop: str) -> None:
        async def leave(websocket: ServerConnection) -> None:
            for _ in range(5):
                await websocket.send(await websocket.recv())
            await websocket.close(1001, "going")

        async with served(leave) as uri:
            with pytest.raises(WrongAnswer, match="closed a connection after 5 answers"):
                await self.run(loop, uri)

    async def test_no_server_is_the_systems_own_error(self, loop: str) -> None:
        async with served(echo) as uri:
            pass
        with pytest.raises(ConnectionRefusedError):
            await self.run(loop, uri)

    async def test_a_web_server_is_no_websocket(self, loop: str) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(HandshakeError):
                await self.run(loop, f"ws://127.0.0.1:{port}/")
