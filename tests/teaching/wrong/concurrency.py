"""Wrong answers to the exercises of chapter 06."""

from __future__ import annotations

import asyncio

# --- end_of ---


def the_inner_one_wins(now, outer, seconds):
    return outer if seconds is None else now + seconds


def zero_is_no_limit(now, outer, seconds):
    own = now + seconds if seconds else None
    return min((each for each in (outer, own) if each is not None), default=None)


def outer_zero_is_none(now, outer, seconds):
    own = None if seconds is None else now + seconds
    return min(own, outer) if outer and own is not None else own or outer


def no_outer_no_end(now, outer, seconds):
    return min(outer, now + seconds)


def a_span_not_a_time(now, outer, seconds):
    return seconds if outer is None else min(outer - now, seconds)


def never_before_now(now, outer, seconds):
    own = None if seconds is None else now + seconds
    end = min((each for each in (outer, own) if each is not None), default=None)
    return None if end is None else max(now, end)


# --- ages ---


def one_roll_for_all(count, lifetime, chance):
    age = lifetime * (1 - 0.1 * chance())
    return [age] * count


def grows_older(count, lifetime, chance):
    return [lifetime * (1 + 0.1 * chance()) for _ in range(count)]


def any_age_at_all(count, lifetime, chance):
    return [lifetime * (1 - chance()) for _ in range(count)]


def both_ways(count, lifetime, chance):
    return [lifetime * (0.95 + 0.1 * chance()) for _ in range(count)]


def whole_seconds(count, lifetime, chance):
    return [round(lifetime * (1 - 0.1 * chance())) for _ in range(count)]


def a_generator(count, lifetime, chance):
    return (lifetime * (1 - 0.1 * chance()) for _ in range(count))


# --- first_good ---


async def leaves_the_losers(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def only_asks_them_to_stop(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        for each in asyncio.as_completed(tasks):
            try:
                return await each
            except Exception:
                continue
        raise ConnectionError
    finally:
        for task in tasks:
            task.cancel()


async def the_first_end_wins(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_after_the_other(calls):
    for call in calls:
        try:
            return await call()
        except Exception:
            continue
    raise ConnectionError


async def waits_for_all(calls):
    results = await asyncio.gather(*[call() for call in calls], return_exceptions=True)
    for result in results:
        if not isinstance(result, Exception):
            return result
    raise ConnectionError


async def the_last_error(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        for each in asyncio.as_completed(tasks):
            try:
                return await each
            except Exception as error:
                last = error
        raise LookupError from last
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def tidies_only_after_success(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    failed = 0
    for each in asyncio.as_completed(tasks):
        try:
            result = await each
        except Exception:
            failed += 1
            continue
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return result
    raise ConnectionError(f"{failed} failed")


async def ends_all(tasks, **how):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, **how)


async def one_of_the_finished(calls):
    pending = tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            task = done.pop()
            if not task.exception():
                return task.result()
        raise ConnectionError
    finally:
        await ends_all(tasks, return_exceptions=True)


async def gather_stops_at_the_first(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        return await first_of(tasks)
    finally:
        try:
            await ends_all(tasks)
        except BaseException:  # the calls' own errors
            pass


async def first_of(tasks, good=lambda result: True):
    for each in asyncio.as_completed(tasks):
        try:
            result = await each
        except Exception:
            continue
        if good(result):
            return result
    raise ConnectionError


async def raises_the_last_one(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        for each in asyncio.as_completed(tasks):
            try:
                return await each
            except Exception as error:
                last = error
        raise last
    finally:
        await ends_all(tasks, return_exceptions=True)


async def none_is_no_answer(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        return await first_of(tasks, lambda result: result is not None)
    finally:
        await ends_all(tasks, return_exceptions=True)


async def zero_is_no_answer(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        return await first_of(tasks, bool)
    finally:
        await ends_all(tasks, return_exceptions=True)


async def swallows_its_cancellation(calls):
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        for each in asyncio.as_completed(tasks):
            try:
                return await each
            except BaseException:
                continue
        raise ConnectionError
    finally:
        await ends_all(tasks, return_exceptions=True)


# --- starve ---


async def ends_well(pool):
    for _ in range(pool.free):
        async with pool.acquire():
            pass


async def only_once(pool):
    try:
        async with pool.acquire():
            raise ValueError
    except ValueError:
        pass


async def lets_it_out(pool):
    async with pool.acquire():
        raise ValueError("out of the block")


async def cancels_and_goes(pool):
    async def hold():
        async with pool.acquire():
            await asyncio.Event().wait()

    tasks = [asyncio.ensure_future(hold()) for _ in range(pool.free)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()


async def cheats(pool):
    pool.free = 0


async def holds_them(pool):
    for _ in range(pool.free):
        await pool.acquire().__aenter__()


# --- decide ---


def asks_the_policy_first(waiting, write_limit, policy, limit):
    if policy == "CLOSE":
        return "close"
    if policy == "SKIP":
        return "skip"
    return "send" if waiting <= limit else "close"


def strictly_less(waiting, write_limit, policy, limit):
    if waiting < write_limit:
        return "send"
    if policy == "SKIP":
        return "skip"
    return "send" if policy == "QUEUE" and waiting <= limit else "close"


def queues_without_end(waiting, write_limit, policy, limit):
    if waiting <= write_limit or policy == "QUEUE":
        return "send"
    return policy.lower()


def limit_for_all(waiting, write_limit, policy, limit):
    if waiting <= write_limit:
        return "send"
    if waiting > limit:
        return "close"
    return {"SKIP": "skip", "QUEUE": "send", "CLOSE": "close"}[policy]


def full_at_the_limit(waiting, write_limit, policy, limit):
    if waiting <= write_limit:
        return "send"
    if policy == "SKIP":
        return "skip"
    return "send" if policy == "QUEUE" and waiting < limit else "close"


WRONG = {
    "end_of": [
        (the_inner_one_wins, "an inner block cannot give more time than is left"),
        (zero_is_no_limit, "0 is a limit"),
        (outer_zero_is_none, "a clock may start anywhere"),
        (no_outer_no_end, "no outer one"),
        (a_span_not_a_time, "expected  105"),
        (never_before_now, "an inner block cannot move it"),
    ],
    "leaking": [
        ("beat", "two heartbeats, both times"),
        ("tidy", "belongs to no visitor"),
        ("write_out", "two writers, both times"),
        ("future", "which function grew in number"),
        ("nobody", "more at 11:00"),
    ],
    "ages": [
        (one_roll_for_all, "rolls the dice for itself"),
        (grows_older, "loses at most a tenth"),
        (any_age_at_all, "[1000.0, 500.0, 0.0]"),
        (both_ways, "expected  [1000.0]"),
        (a_generator, "generator"),
        (whole_seconds, "short lives are all alike"),
    ],
    "first_good": [
        (leaves_the_losers, "nobody had cancelled, and still ran when first_good was done"),
        (only_asks_them_to_stop, "were cancelled, but still ran"),
        (the_first_end_wins, "an error is no answer"),
        (one_after_the_other, "only 1 of 2 calls were begun"),
        (waits_for_all, "take the first answer"),
        (the_last_error, "ConnectionError"),
        (tidies_only_after_success, "the tasks must end on this way out too"),
        (one_of_the_finished, "look at all of them"),
        (gather_stops_at_the_first, "gather without return_exceptions=True"),
        (raises_the_last_one, "whatever the calls' own errors are"),
        (none_is_no_answer, "None is an answer too"),
        (zero_is_no_answer, "0 is an answer"),
        (swallows_its_cancellation, "its CancelledError was caught"),
    ],
    "starve": [
        (ends_well, "a block that ends well gives its place back"),
        (cancels_and_goes, "have not ended yet"),
        (only_once, "each block that ends badly costs one place"),
        (lets_it_out, "ValueError"),
        (cheats, "never lent"),
        (holds_them, "still held"),
    ],
    "decide": [
        (asks_the_policy_first, "keeps up is sent everything"),
        (strictly_less, "not slow"),
        (queues_without_end, "beyond the limit"),
        (limit_for_all, "with SKIP the member stays"),
        (full_at_the_limit, "no more than limit wait"),
    ],
}
