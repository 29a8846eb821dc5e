"""Tasks that are left behind, deadlines that reach every child, hubs and pools."""

import asyncio
import contextlib
import gc
import itertools
from collections.abc import AsyncIterator

import pytest

from refimpl import ConnectionClosed, connect, memory_pipe, serve
from refimpl.concurrency import (
    Hub,
    LeakedTasks,
    Pool,
    PoolClosed,
    PoolTimeout,
    Slow,
    deadline,
    leak_check,
    live_tasks,
    remaining,
    table,
    trace_tasks,
)
from refimpl.concurrency.tasks import _births, birth
from refimpl.lifecycle import ClientConnection, ServerConnection
from refimpl.lifecycle.settings import Settings


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def for_ever() -> None:
    await asyncio.Event().wait()


class TestTasks:
    async def test_a_forgotten_task_is_an_error_with_its_birthplace(self) -> None:
        with pytest.raises(LeakedTasks) as caught:
            async with leak_check():
                task = asyncio.create_task(for_ever(), name="forgotten")
        [report] = caught.value.reports
        assert report.name == "forgotten"
        assert report.waits_for == "Event.wait"
        assert report.made_at.endswith("in test_a_forgotten_task_is_an_error_with_its_birthplace")
        assert report.age is not None and report.age >= 0
        assert "forgotten" in str(caught.value)
        task.cancel()

    async def test_a_task_that_had_no_turn_yet_waits_for_nothing(self) -> None:
        with trace_tasks():
            task = asyncio.create_task(for_ever())
        assert [r.waits_for for r in live_tasks() if r.task is task] == [
            "nothing: it has not begun"
        ]
        await asyncio.sleep(0)
        assert [r.waits_for for r in live_tasks() if r.task is task] == ["Event.wait"]
        task.cancel()

    async def test_a_finished_or_finishing_task_is_none(self) -> None:
        async with leak_check():
            finishing = asyncio.create_task(turns(3))
            await asyncio.create_task(turns(1))
        assert finishing.done()

    async def test_what_was_there_before_does_not_count(self) -> None:
        before = asyncio.create_task(for_ever())
        async with leak_check():
            pass
        before.cancel()

    async def test_an_error_of_the_block_comes_first(self) -> None:
        task = None
        with pytest.raises(ZeroDivisionError):
            async with leak_check():
                task = asyncio.create_task(for_ever())
                raise ZeroDivisionError
        assert task is not None
        task.cancel()

    async def test_tracing_ends_with_its_block(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        with trace_tasks():
            assert loop.get_task_factory() is not before
        assert loop.get_task_factory() is before

    async def test_tracing_keeps_another_factory(self) -> None:
        loop, made = asyncio.get_running_loop(), []

        def factory(loop, coroutine, **options):  # type: ignore[no-untyped-def]
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        loop.set_task_factory(factory)
        try:
            with trace_tasks():
                await asyncio.create_task(turns(1))
        finally:
            loop.set_task_factory(None)
        assert len(made) == 1

    async def test_traces_may_end_in_any_order(self) -> None:
        """15: the first to end took the factory away, and the second put a dead one back."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        for first_out, last_out in ((0, 1), (1, 0)):
            traces = [trace_tasks(), trace_tasks()]
            for trace in traces:
                trace.__enter__()
            traces[first_out].__exit__(None, None, None)
            task = asyncio.create_task(turns(1))
            assert birth(task) is not None  # the other still traces
            traces[last_out].__exit__(None, None, None)
            assert loop.get_task_factory() is before
            await task

    async def test_leak_checks_of_two_tasks_overlap(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        begun, ended = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with leak_check():
                begun.set()
                await turns(3)
            ended.set()

        async def second() -> None:
            await begun.wait()
            async with leak_check():
                await ended.wait()

        tasks = [asyncio.create_task(each()) for each in (first, second)]
        await asyncio.gather(*tasks)
        assert loop.get_task_factory() is before

    @pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
    @pytest.mark.parametrize("nested", [False, True])
    async def test_tracing_ends_whatever_happens_inside(
        self, error: type[BaseException], nested: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        with pytest.raises(error), trace_tasks():
            async with leak_check() if nested else contextlib.nullcontext():
                raise error
        assert loop.get_task_factory() is before

    async def test_a_factory_put_on_top_stays_and_ours_leaves_afterwards(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        trace = trace_tasks()
        trace.__enter__()
        ours = loop.get_task_factory()
        assert ours is not None

        def on_top(loop, coroutine, **options):  # type: ignore[no-untyped-def]
            return ours(loop, coroutine, **options)

        loop.set_task_factory(on_top)
        trace.__exit__(None, None, None)
        assert loop.get_task_factory() is on_top
        task = asyncio.create_task(turns(1))
        assert birth(task) is None  # nobody traces any more
        loop.set_task_factory(ours)  # its owner puts back what it found
        late = asyncio.create_task(turns(1))
        assert birth(late) is None
        assert loop.get_task_factory() is before
        await asyncio.gather(task, late)

    async def test_an_untraced_task_says_so(self) -> None:
        task = asyncio.create_task(for_ever(), name="early")
        [report] = live_tasks()
        assert (report.made_at, report.age, report.task) == ("not traced", None, task)
        assert "made at not traced" in table([report])
        task.cancel()

    async def test_reports_keep_no_task_alive(self) -> None:
        with trace_tasks():
            await asyncio.create_task(turns(1), name="gone")
        await turns()
        gc.collect()
        assert "gone" not in [task.get_name() for task in _births]


class TestDeadline:
    async def test_it_raises_timeout_error(self) -> None:
        with pytest.raises(TimeoutError):
            async with deadline(0):
                await for_ever()

    async def test_an_inner_one_cannot_ask_for_more(self) -> None:
        async with deadline(5):
            async with deadline(500):
                left = remaining()
                assert left is not None and left <= 5
            async with deadline(None):
                assert remaining() is not None
        assert remaining() is None

    async def test_it_reaches_child_tasks(self) -> None:
        seen: list[float | None] = []

        async def child() -> None:
            seen.append(remaining())
            await for_ever()

        with pytest.raises(TimeoutError):
            async with deadline(0.01), asyncio.TaskGroup() as group:
                tasks = [group.create_task(child()) for _ in range(3)]
        assert all(task.cancelled() for task in tasks)
        assert len(seen) == 3 and all(left is not None and left <= 0.01 for left in seen)

    async def test_none_adds_no_limit(self) -> None:
        async with deadline(None):
            assert remaining() is None

    @pytest.mark.parametrize("error", [None, ZeroDivisionError, asyncio.CancelledError])
    async def test_nothing_of_it_is_left(self, error: type[BaseException] | None) -> None:
        with pytest.raises(error) if error else contextlib.nullcontext():
            async with deadline(5), deadline(None), deadline(5):
                if error:
                    raise error
        assert remaining() is None

    async def test_blocks_may_end_in_any_order(self) -> None:
        """15: the last to end put back the deadline of a block that was over."""
        async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
            await outer.enter_async_context(deadline(5))
            await inner.enter_async_context(deadline(3))
            await outer.aclose()
            left = remaining()
            assert left is not None and left <= 3
            await inner.aclose()
            assert remaining() is None

    async def test_a_generator_that_another_task_ends_leaves_nothing_either(self) -> None:
        async def numbers() -> AsyncIterator[int]:
            async with deadline(5):
                yield 1

        generator = numbers()
        await anext(generator)
        with contextlib.suppress(RuntimeError):  # a time limit is its task's
            await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]


class TestHub:
    async def test_everyone_hears_what_is_published_while_a_member(self) -> None:
        pairs = [await memory_pipe() for _ in range(3)]
        hub = Hub()
        with hub.member(pairs[0][1]), hub.member(pairs[1][1]):
            assert hub.publish("to two") == len(hub) == 2
            with hub.member(pairs[2][1]):
                assert hub.publish(b"to three") == 3
        assert hub.publish("to none") == len(hub) == 0
        heard = [[await client.recv() for _ in range(2)] for client, _ in pairs[:2]]
        assert heard == [["to two", b"to three"]] * 2
        assert await pairs[2][0].recv() == b"to three"
        assert hub.counts["delivered"] == 5
        for client, server in pairs:
            await asyncio.gather(client.close(), server.close())

    @pytest.mark.parametrize("slow", list(Slow))
    async def test_a_member_that_is_closed_is_counted_no_more(self, slow: Slow) -> None:
        """1: a loop that publishes until nobody hears would never have ended."""
        client, server = await memory_pipe()
        hub = Hub(slow=slow)
        with hub.member(server):
            assert hub.publish("one") == 1
            closing = asyncio.create_task(client.close())
            await server.wait_closed()
            published = 1
            while hub.publish("x") and published < 1000:
                published += 1
            assert published == 1
            assert (len(hub), hub.counts) == (1, {"delivered": 1})
            await closing

    @pytest.mark.parametrize(
        ("slow", "counted"),
        [(Slow.SKIP, "skipped"), (Slow.CLOSE, "closed"), (Slow.QUEUE, "closed")],
    )
    async def test_a_slow_member_costs_the_others_nothing(self, slow: Slow, counted: str) -> None:
        settings = Settings(write_limit=1024, max_queue=1, close_timeout=0.1)
        slow_client, slow_server = await memory_pipe(settings)
        client, server = await memory_pipe(settings)
        hub = Hub(slow=slow, limit=8 * 1024)
        heard = 0
        with hub.member(slow_server), hub.member(server):
            while not hub.counts[counted]:
                hub.publish(b"x" * 512)
                assert await client.recv() == b"x" * 512
                heard += 1
                assert heard < 10_000
                waiting = slow_server.buffered_amount
                assert waiting <= (8 * 1024 if slow is Slow.QUEUE else 1024) + 1024
        if slow is not Slow.SKIP:
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await slow_client.recv()
            assert caught.value.code == 1013
        assert server.close_code is None
        for end in (client, server, slow_client, slow_server):
            end.transport.abort()
        await turns()


class Resource:
    """Something a pool may hold; it knows whether it was closed and whether it is well."""

    def __init__(self, number: int) -> None:
        self.number, self.closed, self.well = number, False, True

    async def close(self) -> None:
        self.closed = True

    async def check(self) -> bool:
        return self.well


class Maker:
    """Opens resources, counting how many are being opened at once."""

    def __init__(self) -> None:
        self.made: list[Resource] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self) -> Resource:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await turns(2)
        self.at_once -= 1
        self.made.append(Resource(len(self.made)))
        return self.made[-1]


def new_pool(maker: Maker, **options: object) -> Pool[Resource]:
    return Pool(maker, close=Resource.close, **{"check": Resource.check, **options})  # type: ignore[arg-type]


async def hold(pool: Pool[Resource], release: asyncio.Event) -> int:
    async with pool.acquire() as resource:
        await release.wait()
        return resource.number


class TestPool:
    async def test_one_is_opened_once_and_lent_again(self) -> None:
        maker = Maker()
        async with new_pool(maker) as pool:
            for _ in range(5):
                async with pool.acquire() as resource:
                    assert resource.number == 0
            assert (pool.stats().opened, pool.stats().reused, pool.stats().idle) == (1, 4, 1)
        assert maker.made[0].closed

    async def test_never_more_than_max_open_and_no_stampede(self) -> None:
        maker, release = Maker(), asyncio.Event()
        async with new_pool(maker, max_open=3) as pool:
            askers = [asyncio.create_task(hold(pool, release)) for _ in range(20)]
            await turns(40)
            assert (pool.stats().in_use, pool.stats().waiting, len(maker.made)) == (3, 17, 3)
            assert maker.most_at_once == 1
            release.set()
            await asyncio.gather(*askers)
            assert pool.stats().opened == 3

    async def test_askers_are_served_in_order(self) -> None:
        served: list[int] = []

        async def ask(number: int) -> None:
            async with pool.acquire():
                served.append(number)

        async with new_pool(Maker(), max_open=1) as pool:
            async with asyncio.TaskGroup() as group:
                for number in range(10):
                    group.create_task(ask(number))
        assert served == list(range(10))

    async def test_waiting_too_long_is_named(self) -> None:
        async with new_pool(Maker(), max_open=1, acquire_timeout=0.01) as pool:
            async with pool.acquire():
                with pytest.raises(PoolTimeout, match=r"nothing came free within 0\.01 s"):
                    async with pool.acquire():
                        pytest.fail("it was lent twice")
            assert pool.stats().timeouts == 1
            async with pool.acquire():
                pass

    async def test_a_time_limit_of_opening_keeps_its_own_name(self) -> None:
        async def open_late() -> Resource:
            raise TimeoutError("the server")

        async with Pool(open_late) as pool:
            with pytest.raises(TimeoutError, match="the server") as caught:
                async with pool.acquire():
                    pass
            assert not isinstance(caught.value, PoolTimeout)
            assert pool.stats().in_use == 0

    @pytest.mark.parametrize("broken", ["ill", "raises"])
    async def test_an_unhealthy_one_is_replaced(self, broken: str) -> None:
        async def check(resource: Resource) -> bool:
            if broken == "raises" and not resource.well:
                raise ConnectionError
            return resource.well

        maker = Maker()
        async with new_pool(maker, check=check) as pool:
            async with pool.acquire() as first:
                pass
            first.well = False
            async with pool.acquire() as second:
                assert second is not first and first.closed
            assert pool.stats().unhealthy == 1

    async def test_an_old_one_is_replaced_when_lent_or_returned(self) -> None:
        maker = Maker()
        async with new_pool(maker, max_lifetime=0) as pool:
            async with pool.acquire():
                pass
            assert (pool.stats().expired, pool.stats().idle, maker.made[0].closed) == (1, 0, True)

    async def test_ages_differ_by_a_tenth_at_most(self) -> None:
        chances = itertools.cycle([0.0, 0.5, 1.0])
        async with new_pool(Maker(), max_lifetime=1000, random=lambda: next(chances)) as pool:
            release = asyncio.Event()
            tasks = [asyncio.create_task(hold(pool, release)) for _ in range(3)]
            await turns(20)
            release.set()
            await asyncio.gather(*tasks)
            ages = sorted(round(slot.expires - tasks[0].get_loop().time()) for slot in pool._idle)
        assert ages == [900, 950, 1000]

    async def test_only_max_idle_are_kept(self) -> None:
        maker, release = Maker(), asyncio.Event()
        async with new_pool(maker, max_open=5, max_idle=2) as pool:
            tasks = [asyncio.create_task(hold(pool, release)) for _ in range(5)]
            await turns(40)
            release.set()
            await asyncio.gather(*tasks)
            assert pool.stats().idle == 2
            assert sum(resource.closed for resource in maker.made) == 3

    @pytest.mark.parametrize(
        ("error", "checked", "kept"),
        [
            (ValueError, True, True),
            (ValueError, False, False),
            (asyncio.CancelledError, True, False),
        ],
    )
    async def test_what_an_error_leaves_behind(
        self, error: type[BaseException], checked: bool, kept: bool
    ) -> None:
        maker = Maker()
        async with new_pool(maker, check=Resource.check if checked else None) as pool:
            with pytest.raises(error):
                async with pool.acquire():
                    raise error
            assert maker.made[0].closed is not kept
            assert pool.stats().in_use == 0

    async def test_a_failed_opening_gives_its_place_back(self) -> None:
        async def fail() -> Resource:
            raise ConnectionRefusedError

        async with Pool(fail, max_open=1) as pool:
            for _ in range(3):
                with pytest.raises(ConnectionRefusedError):
                    async with pool.acquire():
                        pass
            assert pool.stats().in_use == 0

    async def test_cancelling_anywhere_loses_no_place(self) -> None:
        for steps in range(12):
            maker, release = Maker(), asyncio.Event()
            async with new_pool(maker, max_open=1) as pool:
                first = asyncio.create_task(hold(pool, release))
                second = asyncio.create_task(hold(pool, release))
                await turns(steps)
                release.set()
                await turns(steps % 3)
                second.cancel()
                await asyncio.gather(first, second, return_exceptions=True)
                async with pool.acquire():
                    assert pool.stats().in_use == 1
            assert all(resource.closed for resource in maker.made)

    async def test_closing_turns_askers_away_and_waits_for_what_is_lent(self) -> None:
        maker, release = Maker(), asyncio.Event()
        pool = new_pool(maker, max_open=1)
        lent = asyncio.create_task(hold(pool, release))
        await turns(5)
        waiting = asyncio.create_task(hold(pool, release))
        await turns()
        closing = asyncio.create_task(pool.close())
        await turns()
        assert not closing.done()
        with pytest.raises(PoolClosed):
            await waiting
        with pytest.raises(PoolClosed):
            async with pool.acquire():
                pass
        release.set()
        await asyncio.gather(lent, closing)
        assert maker.made[0].closed

    @pytest.mark.parametrize("options", [{"max_open": 0}, {"max_idle": -1}])
    def test_wrong_numbers_are_refused(self, options: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=">= 1 and >= 0"):
            new_pool(Maker(), **options)

    async def test_it_takes_real_websockets(self) -> None:
        opened = []

        async def open_pair() -> object:
            client, server = await memory_pipe()
            opened.append(server)
            return client

        async def close(client: object) -> None:
            server = opened[0]
            await asyncio.gather(client.close(), server.close())  # type: ignore[attr-defined]

        async with Pool(open_pair, close=close) as pool:
            async with pool.acquire() as client:
                await client.send("hello")  # type: ignore[attr-defined]
                assert await opened[0].recv() == "hello"

    @pytest.mark.rule(24)
    async def test_4_1_two_clients_never_shake_hands_with_a_server_at_once(self) -> None:
        under_way = most = 0

        async def look(*_: object) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await turns(20)  # long enough for a second one to come in, if it were let
            under_way -= 1

        async def until_closed(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        async def use(pool: Pool[ClientConnection], all_open: asyncio.Barrier) -> None:
            async with pool.acquire():
                await all_open.wait()

        async with serve(until_closed, "127.0.0.1", 0, process_request=look) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"

            async def open_one() -> ClientConnection:
                return await connect(uri)

            # Without a pool they come at once: this test can fail.
            for websocket in await asyncio.gather(*[open_one() for _ in range(5)]):
                await websocket.close()
            assert most > 1
            most, all_open = 0, asyncio.Barrier(5)
            async with Pool(open_one, close=ClientConnection.close) as pool:
                await asyncio.gather(*[use(pool, all_open) for _ in range(5)])
                assert pool.stats().opened == 5
            assert most == 1
