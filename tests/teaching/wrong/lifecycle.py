"""Wrong answers to the exercises of chapter 05."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from ssl import SSLCertVerificationError

from refimpl.errors import HandshakeError
from refimpl.messages import Role

# --- hangs_up ---


def only_the_server(role, closed):
    return role is Role.SERVER


def whoever_was_first(role, closed):
    return closed.order == "sent"


def asks_for_theirs_only(role, closed):
    return role is Role.SERVER or closed.received is None


def by_the_code(role, closed):
    return role is Role.SERVER or closed.code != 1000


def always(role, closed):
    return True


# --- is_fatal ---


def three_statuses(error):
    if isinstance(error, HandshakeError):
        return error.status in (401, 403, 404)
    return isinstance(error, SSLCertVerificationError)


def every_4xx(error):
    if isinstance(error, HandshakeError):
        return 400 <= error.status < 500
    return isinstance(error, SSLCertVerificationError)


def any_5xx_passes(error):
    if isinstance(error, HandshakeError):
        return error.status not in (0, 408, 429) and error.status < 500
    return isinstance(error, SSLCertVerificationError)


def forgets_no_answer(error):
    if isinstance(error, HandshakeError):
        return error.status not in (408, 429, 500, 502, 503, 504)
    return isinstance(error, SSLCertVerificationError)


def the_network_first(error):
    if isinstance(error, OSError):
        return False
    return getattr(error, "status", 0) not in (0, 408, 429, 500, 502, 503, 504)


def the_other_way_round(error):
    return not (
        error.status not in (0, 408, 429, 500, 502, 503, 504)
        if isinstance(error, HandshakeError)
        else isinstance(error, SSLCertVerificationError)
    )


# --- wait_before ---


def counts_from_zero(attempt, first, longest, random):
    return min(longest, first * 2**attempt) * random()


def adds_the_dice(attempt, first, longest, random):
    return min(longest, first * 2 ** (attempt - 1)) + random()


def caps_the_wait(attempt, first, longest, random):
    return min(longest, first * 2 ** min(attempt - 1, 32) * random())


def half_of_it(attempt, first, longest, random):
    bound = min(longest, first * 2 ** min(attempt - 1, 32))
    return bound / 2 + bound / 2 * random()


def no_cap(attempt, first, longest, random):
    return first * 2 ** min(attempt - 1, 32) * random()


def overflows(attempt, first, longest, random):
    return min(longest, first * 2 ** (attempt - 1)) * random()


def first_wait_is_fixed(attempt, first, longest, random):
    bound = min(longest, first * 2 ** min(attempt - 1, 32))
    dice = random()
    return first if attempt == 1 else bound * dice


# --- resume_after ---


def the_highest(numbers):
    return max(numbers, default=0)


def the_latest(numbers):
    return numbers[-1] if numbers else 0


def how_many(numbers):
    return len(numbers)


def how_many_different(numbers):
    return len(set(numbers))


def in_order_of_arrival(numbers):
    last = 0
    for number in numbers:
        if number not in (last, last + 1):
            break
        last = number
    return last


def from_the_first_that_came(numbers):
    ordered = sorted(set(numbers))
    for here, there in pairwise(ordered):
        if there != here + 1:
            return here
    return ordered[-1] if ordered else 0


# --- hold_on ---


def at_once(head, patience):
    return [(0.9 * patience, head)]


def just_too_late(head, patience):
    return [(patience, head[index : index + 1]) for index in range(len(head))]


def empty_pieces(head, patience):
    return [(0.9 * patience, b"")] * 200 + [(0.0, head)]


def always_nine(head, patience):
    return [(9.0, head[index : index + 1]) for index in range(len(head))]


def half_of_patience(head, patience):
    return [(0.5 * patience, head[index : index + 1]) for index in range(len(head))]


def numbers_for_bytes(head, patience):
    return [(0.9 * patience, byte) for byte in head]


def never_finishes(head, patience):
    return [(0.9 * patience, head[index : index + 1]) for index in range(len(head) - 1)]


# --- shows_life ---


def any_byte_taken(before, now):
    if before.waiting or now.taken > before.taken:
        return now.heard > before.heard or now.taken > before.taken
    return now.heard > before.heard or not (before.reading and now.reading)


def only_hears(before, now):
    return now.heard > before.heard


def still_waiting(before, now):
    if now.waiting:
        return now.heard > before.heard or now.taken > before.taken
    return now.heard > before.heard or not (before.reading and now.reading)


def waited_at_both_times(before, now):
    if before.waiting:
        return now.heard > before.heard or (now.waiting and now.taken > before.taken)
    return now.heard > before.heard or not (before.reading and now.reading)


def never_mind_reading(before, now):
    return now.heard > before.heard or (before.waiting and now.taken > before.taken)


def reading_now_will_do(before, now):
    if before.waiting:
        return now.heard > before.heard or now.taken > before.taken
    return now.heard > before.heard or not now.reading


def unread_is_always_life(before, now):
    took = before.waiting and now.taken > before.taken
    return now.heard > before.heard or took or not (before.reading and now.reading)


def everything_at_once(before, now):
    return now.heard > before.heard and now.taken > before.taken


# --- close_all ---


async def in_turn(connections):
    count = 0
    for each in connections:
        await each.close(1001)
        count += 1
    return count


async def stops_at_an_error(connections):
    await asyncio.gather(*(each.close(1001) for each in connections))
    return len(connections)


async def in_a_task_group(connections):
    try:
        async with asyncio.TaskGroup() as group:
            for each in connections:
                group.create_task(each.close(1001))
    except* OSError:
        pass
    return len(connections)


async def does_not_wait(connections):
    tasks = [asyncio.create_task(each.close(1001)) for each in connections]
    await asyncio.sleep(0)
    return len(tasks)


async def says_1000(connections):
    await asyncio.gather(*(each.close() for each in connections), return_exceptions=True)
    return len(connections)


async def counts_everybody(connections):
    closes = [each.close(1001) for each in connections]
    return len(await asyncio.gather(*closes, return_exceptions=True))


WRONG = {
    "hangs_up": [
        (only_the_server, "nothing more is to be expected"),
        (whoever_was_first, "the server begins with it"),
        (asks_for_theirs_only, "sent is None"),
        (by_the_code, "the code does not matter"),
        (always, "holds TIME_WAIT"),
    ],
    "farewell": [
        ((1000, "received", "server"), "is not 1000"),
        ((1006, "received", "server"), "one came, without a code"),
        ((1005, "sent", "server"), "as the *server* sees it"),
        ((1005, "received", "client"), "whose is first"),
        (1005, "of type int, expected tuple"),
    ],
    "declared_dead": [
        (70, "each byte is life"),
        (73, "only every ping_timeout"),
        (80, "a message came at 75"),
        (85, "only every ping_timeout"),
        (100, "why wait longer"),
        (120, "has decided"),
        ("90", "of type str, expected int"),
    ],
    "is_fatal": [
        (three_statuses, "does not speak WebSocket"),
        (every_4xx, "Not every 4xx is for ever"),
        (any_5xx_passes, "not implemented is not overloaded"),
        (forgets_no_answer, "broke before an answer"),
        (the_network_first, "somebody may be in the middle"),
        (the_other_way_round, "403, forbidden"),
    ],
    "wait_before": [
        (counts_from_zero, "attempts count from 1"),
        (adds_the_dice, "expected  5.0"),
        (caps_the_wait, "throw the dice"),
        (half_of_it, "multiply"),
        (no_cap, "the cap"),
        (overflows, "bound the exponent too"),
        (first_wait_is_fixed, "it is random too"),
    ],
    "resume_after": [
        (the_highest, "a client that sends 6 never gets it"),
        (the_latest, "the one that came last"),
        (how_many, "a duplicate counts once"),
        (how_many_different, "4 is missing"),
        (in_order_of_arrival, "in another order"),
        (from_the_first_that_came, "1 never came"),
    ],
    "hold_on": [
        (at_once, "starts again with each piece"),
        (just_too_late, "nothing came for 10.0 s"),
        (empty_pieces, "an empty read is the end of the stream"),
        (always_nine, "the patience that you are given"),
        (half_of_patience, "held for more than 1000 s"),
        (numbers_for_bytes, "a list of pairs (seconds, bytes)"),
        (never_finishes, "not the head of"),
    ],
    "shows_life": [
        (any_byte_taken, "it does so for a dead peer too"),
        (only_hears, "has taken something"),
        (still_waiting, "whether any waited *before*"),
        (waited_at_both_times, "that none waits now"),
        (never_mind_reading, "where we do not look"),
        (reading_now_will_do, "where we did not look"),
        (unread_is_always_life, "that we do not read is no life"),
        (everything_at_once, "each byte that arrives"),
    ],
    "close_all": [
        (in_turn, "before you wait for any"),
        (stops_at_an_error, "is a result like another"),
        (in_a_task_group, "is a result like another"),
        (does_not_wait, "still ran"),
        (says_1000, "wanted [1001]"),
        (counts_everybody, "expected  2"),
    ],
}
