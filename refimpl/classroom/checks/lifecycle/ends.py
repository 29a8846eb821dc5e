"""Chapter 05: who ends TCP, and a shutdown that waits once."""

import asyncio
from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Answer, Case, Exercise, Wrong, call
from refimpl.errors import Close, ConnectionClosed
from refimpl.messages import Role

GOOD, BUSY = Close(1000), Close(1001, "back soon")

HANGS_UP = Exercise(
    "hangs_up",
    points=2,
    rule='RFC 6455 7.1.1 "Close the WebSocket Connection"',
    hints=(
        "Two questions: which side am I, and did both Closes arrive? Which came first does not "
        "matter.",
        'RFC 6455 7.1.1: "the underlying TCP connection, in most normal cases, SHOULD be closed '
        'first by the server". 88 02 03 e8 sent and 88 02 03 e8 received is such a normal case: '
        "there a client waits for the server's FIN. With one of the two missing, it need not.",
        "1. A server: always.\n2. A client: when `sent` is None, or `received` is.\n"
        "3. Otherwise not.",
    ),
    cases=(
        Case(
            "a server, closed in order",
            call(Role.SERVER, ConnectionClosed(GOOD, GOOD, "received")),
            expect=True,
            why="both Closes are there, so TCP ends, and the server begins with it",
        ),
        Case(
            "a client, closed in order",
            call(Role.CLIENT, ConnectionClosed(GOOD, GOOD, "sent")),
            expect=False,
            why="the side that ends TCP first holds TIME_WAIT; after a clean close a client leaves "
            "that to the server, even if it sent the first Close",
        ),
        Case(
            "a client whose Close was not answered",
            call(Role.CLIENT, ConnectionClosed(GOOD, None, "sent")),
            expect=True,
            why="nothing more is to be expected from this server",
        ),
        Case(
            "a client that could not say Close",
            call(Role.CLIENT, ConnectionClosed(None, BUSY, "received")),
            expect=True,
            why="one of the two Closes is missing: sent is None",
        ),
        Case(
            "a client that was told 1001",
            call(Role.CLIENT, ConnectionClosed(BUSY, BUSY, "received")),
            expect=False,
            why="the code does not matter, only whether there were two Closes",
        ),
        Case(
            "a server that was told nothing",
            call(Role.SERVER, ConnectionClosed(None, None, None)),
            expect=True,
            why="a server ends TCP in every case",
        ),
        Case(
            "a server that closed first",
            call(Role.SERVER, ConnectionClosed(BUSY, GOOD, "sent")),
            expect=True,
            why="a server ends TCP in every case, whichever side sent Close first",
        ),
    ),
    replaces="lifecycle.closer.hangs_up",
)


FAREWELL = Answer(
    "farewell",
    points=1,
    rule="RFC 6455 7.1.5 on the code, 7.1.1 on who ends TCP",
    hints=(
        "Three questions, one line of the recording each: what was in the Close that the server "
        "received? Which of the two Closes came first? Whose stream ended first?",
        "RFC 6455 7.1.5: a Close without a payload, 88 80 and a masking key, counts as 1005. It is "
        "a report and never sent. The order is told from the server's side.",
        "1. The client's Close has 0 bytes: no code, and there is a code for that.\n"
        "2. The server received before it sent.\n"
        "3. TIME_WAIT belongs to the side that ended its stream first.",
    ),
    accepts=(1005, "received", "server"),
    mistakes={
        (1001, "received", "server"): "1001 is in no Close of this recording; look at payloads",
        (None, "received", "server"): "RFC 6455 7.1.5 has a number for a Close without a code",
        (1000, "received", "server"): "who sent a 1000? A Close without a code is not 1000",
        (1006, "received", "server"): "1006 means that no Close came; one came, without a code",
        (1005, "sent", "server"): "the order as the *server* sees it: what did it do first?",
        (1005, "received", "client"): "look at the ends of the streams: whose is first?",
        (1005, "sent", "client"): "told from the server's side; and whose stream ended first?",
    },
    otherwise="a tuple: the code, 'sent' or 'received', 'client' or 'server'",
)


class Leaver:
    """A connection for `close_all`: it ends when all in `together` were asked, or much later."""

    def __init__(self, together: set["Leaver"], ending: Exception | float | None = None) -> None:
        self.together = together
        self.error = ending if isinstance(ending, Exception) else None
        self.late = ending if isinstance(ending, float) else 0.0
        self.codes: list[int] = []
        self.ended = False
        self._asked = asyncio.Event()
        together.add(self)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Note the code; return, or raise, once everybody was asked."""
        self.codes.append(code)
        self._asked.set()
        if self.error is not None:
            raise self.error
        for each in self.together:
            await each._asked.wait()
        if self.late:
            await asyncio.sleep(self.late)
        self.ended = True


def _leaving(*endings: Exception | float | None) -> Callable[[Any], Any]:
    """Return a drive: close_all on one connection for each entry, then look at each.

    An entry is what its close() raises, or how many seconds later than the others it ends.
    """

    async def drive(close_all: Any) -> int:
        together: set[Leaver] = set()
        everybody = [Leaver(together, ending) for ending in endings]
        count = await close_all(list(everybody))
        for number, each in enumerate(everybody):
            if not each.codes:
                raise Wrong(f"close() of connection {number} was never called")
            if each.codes != [1001]:
                raise Wrong(f"connection {number} was closed with {each.codes}, wanted [1001]")
            if each.error is None and not each.ended:
                raise Wrong(f"close_all returned while close() of connection {number} still ran")
        result: int = count
        return result

    return drive


CLOSE_ALL = Exercise(
    "close_all",
    points=3,
    rule="one deadline for all, RFC 6455 7.4.1 for the code 1001",
    hints=(
        "Begin all of them before you wait for any. And an error of one must not keep the others "
        "from being closed, nor from being waited for.",
        "RFC 6455 7.4.1: a server that goes down says 1001, on the wire 88 02 03 e9. Five silent "
        "peers in turn cost five time limits; together they cost one.",
        "1. Make a coroutine each: each.close(1001).\n"
        "2. asyncio.gather runs them together; return_exceptions=True gives errors as results.\n"
        "3. Count the results that are no exceptions.",
    ),
    is_async=True,
    limit=1.0,
    cases=(
        Case("one connection", drive=_leaving(None), shown="close_all([one])", expect=1),
        Case(
            "three that end together",
            drive=_leaving(None, None, None),
            shown="close_all([one, two, three]), where each ends when all three were asked",
            expect=3,
            why="begin all of them before you wait for any: the first waits for the last here",
        ),
        Case(
            "the first raises",
            drive=_leaving(OSError("gone"), None, None),
            shown="close_all([broken, two, three]), where close() of the first raises OSError",
            expect=2,
            why="the error of one is a result like another; the others are closed and waited for",
        ),
        Case(
            "the first raises, the last is slow",
            drive=_leaving(OSError("gone"), None, 0.05),
            shown="close_all([broken, two, slow]), where close() of the last takes 50 ms",
            expect=2,
            why="wait for every one of them to end, whatever became of the others",
        ),
        Case(
            "all raise",
            drive=_leaving(OSError("gone"), TimeoutError()),
            shown="close_all([broken, broken])",
            expect=0,
        ),
        Case("nobody is there", drive=_leaving(), shown="close_all([])", expect=0),
    ),
)
