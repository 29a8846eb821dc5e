"""Chapter 05: whether to come back, when, and from where."""

from ssl import SSLCertVerificationError, SSLError
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call
from refimpl.errors import HandshakeError


def _status(status: int) -> HandshakeError:
    return HandshakeError(f"got status {status}, expected 101", status=status)


IS_FATAL = Exercise(
    "is_fatal",
    points=2,
    rule="RFC 6455 4.1 on answers other than 101; which of them pass is ours to say",
    hints=(
        "List what may pass by itself, and let everything else be fatal: an answer that you have "
        "never seen will not change because you ask again.",
        "RFC 6455 4.1: HTTP/1.1 403 is 48 54 54 50 2f 31 2e 31 20 34 30 33, an answer and meant. "
        "Of the statuses only 0 (none came), 408, 429, 500, 502, 503 and 504 may pass. An "
        "SSLCertVerificationError is an OSError too.",
        "1. A HandshakeError: fatal unless its status is one of the seven.\n"
        "2. Else: fatal if it is an SSLCertVerificationError, and only then.",
    ),
    cases=(
        Case("403, forbidden", call(_status(403)), expect=True, why="meant, now and in an hour"),
        Case("503, overloaded", call(_status(503)), expect=False, why="a restart ends"),
        Case("401", call(_status(401)), expect=True, why="the same token will be refused again"),
        Case("404", call(_status(404)), expect=True),
        Case(
            "refused by TCP",
            call(ConnectionRefusedError()),
            expect=False,
            why="the server may come up",
        ),
        Case("a time limit", call(TimeoutError()), expect=False),
        Case(
            "429, too many requests",
            call(_status(429)),
            expect=False,
            why="it says: later. Not every 4xx is for ever",
        ),
        *(
            Case(
                f"{status}", call(_status(status)), expect=False, why="a server or proxy in trouble"
            )
            for status in (500, 502, 504)
        ),
        Case(
            "408",
            call(_status(408)),
            expect=False,
            why="the server waited too long; a busy network",
        ),
        Case(
            "no answer at all, status 0",
            call(_status(0)),
            expect=False,
            why="status 0 means that the connection broke before an answer",
        ),
        Case(
            "a wrong accept value, status 101",
            call(_status(101)),
            expect=True,
            why="such a server does not speak WebSocket, and will not learn it",
        ),
        Case(
            "200, a web page",
            call(_status(200)),
            expect=True,
            why="a server that answers with a page has no WebSocket there; list what may pass "
            "instead of what may not",
        ),
        Case("501", call(_status(501)), expect=True, why="not implemented is not overloaded"),
        Case(
            "a wrong certificate",
            call(SSLCertVerificationError("self-signed certificate")),
            expect=True,
            why="it is an OSError too, so ask about it first; somebody may be in the middle",
        ),
        Case(
            "TLS that broke off",
            call(SSLError("handshake failure")),
            expect=False,
            why="only a wrong certificate is an answer; this may be the network",
        ),
    ),
    replaces="lifecycle.backoff.is_fatal",
)


def _dice(attempt: int, first: float, longest: float, number: float) -> dict[str, Any]:
    def drive(wait_before: Any) -> float:
        thrown = []

        def random() -> float:
            thrown.append(number)
            return number

        wait: float = wait_before(attempt, first, longest, random)
        if len(thrown) != 1:
            raise Wrong(f"{wait!r}, with {len(thrown)} calls of random(), wanted one")
        return wait

    shown = f"wait_before({attempt}, {first}, {longest}, random), where random() gives {number}"
    return {"drive": drive, "shown": shown}


WAIT_BEFORE = Exercise(
    "wait_before",
    points=3,
    rule='RFC 6455 7.2.3 "Recovering from Abnormal Closure"',
    hints=(
        "First the bound, which doubles and has a cap; then the dice decide how much of the bound "
        "it becomes.",
        "RFC 6455 7.2.3 on 5 s and 60 s: the bounds are 5, 10, 20, 40, 60, 60. With dice at 0.5 "
        "the waits are 2.5, 5, 10, 20, 30, 30. 5.0 * 2**1023 is no float any more.",
        "1. The bound: first * 2 ** (attempt - 1), at most longest.\n"
        "2. Keep the exponent small, say min(attempt - 1, 32).\n"
        "3. Return bound * random().",
    ),
    cases=(
        Case(
            "the first attempt, dice at 1.0",
            **_dice(1, 5.0, 60.0, 1.0),
            expect=5.0,
            why="attempts count from 1, the first bound is `first`, and random() says how much of "
            "it: a share from 0 to 1",
        ),
        Case(
            "the first attempt, dice at 0.5",
            **_dice(1, 5.0, 60.0, 0.5),
            expect=2.5,
            why="the first wait is the one that all clients do, so it is random too: multiply",
        ),
        Case("the third attempt", **_dice(3, 5.0, 60.0, 1.0), expect=20.0),
        Case(
            "other settings",
            **_dice(7, 0.5, 45.0, 1.0),
            expect=32.0,
            why="`first` doubles six times, and the cap is not reached yet",
        ),
        Case("the cap", **_dice(5, 5.0, 60.0, 1.0), expect=60.0),
        Case(
            "after the cap, dice at 0.5",
            **_dice(6, 5.0, 60.0, 0.5),
            expect=30.0,
            why="cap the bound, then throw the dice; the other way round all long waits are equal",
        ),
        Case(
            "dice at 0.0",
            **_dice(2, 5.0, 60.0, 0.0),
            expect=0.0,
            why="full jitter: some come back at once, so that others need not",
        ),
        Case(
            "after a night, attempt 5,000",
            **_dice(5_000, 5.0, 60.0, 1.0),
            expect=60.0,
            why="2**4999 is too large for a float; bound the exponent too",
        ),
    ),
)


def _seen(name: str, numbers: list[int], expect: int, why: str = "") -> Case:
    return Case(name, call(numbers), expect=expect, why=why)


RESUME_AFTER = Exercise(
    "resume_after",
    points=2,
    rule="resume after the last message before the first gap",
    hints=(
        "The number you send says: everything up to here has come. The highest number is false "
        "when one below it is missing.",
        "The WebSocket itself keeps order within one connection (RFC 6455 5.4); gaps come between "
        "connections. On 1 2 3 5 6, as in the messages 81 01 31 ... 81 01 36, the answer is 3.",
        "1. Make a set of the numbers.\n2. Count up from 0 while the next number is in it.",
    ),
    cases=(
        _seen("three in order", [1, 2, 3], 3),
        _seen("nothing yet", [], 0, "then it begins from the beginning: 0"),
        _seen("late, in another order", [1, 3, 2], 3, "the one that came last is not the highest"),
        _seen("a message twice", [1, 2, 2, 3], 3, "a duplicate counts once"),
        _seen("a gap", [1, 2, 3, 5, 6], 3, "4 is missing; a client that sends 6 never gets it"),
        _seen("the first is missing", [2, 3], 0, "1 never came"),
        _seen("twice, and a gap", [1, 1, 2, 4], 2, "the number of messages says nothing here"),
    ),
)
