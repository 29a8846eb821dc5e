"""Work and what it leaves behind: a visit without traces, and a cheap broadcast."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong

LATE = [3, 4]  # the stroke at which draw fails, if it is told to


class Board:
    """The whiteboard of the exercise. failure: what the draw of LATE raises."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.members: set[str] = set()
        self.last: dict[str, list[int]] = {}
        self.strokes: list[list[int]] = []
        self.seen: list[bool] = []
        self._failure = failure

    def draw(self, name: str, stroke: list[int]) -> None:
        """Add a stroke; ValueError for one without points."""
        self.seen.append(name in self.members)
        if not stroke:
            raise ValueError("a stroke without points")
        if self._failure is not None and stroke == LATE:
            raise self._failure
        self.last[name] = stroke
        self.strokes.append(stroke)


Visit = Callable[[Board, str, Sequence[list[int]]], object]


def _visited(
    *visits: tuple[str, list[list[int]]], failure: BaseException | None = None
) -> Callable[[Visit], Any]:
    """Run visits while Ada is in the room, and check the board after each."""

    def drive(visit: Visit) -> object:
        board = Board(failure)
        board.members.add("Ada")
        board.draw("Ada", [1, 1])
        for name, strokes in visits:
            fails = [] if [] in strokes else LATE if failure else None
            error = ValueError if fails == [] else type(failure)
            good = strokes if fails is None else strokes[: strokes.index(fails)]
            before = len(board.seen), len(board.strokes)
            try:
                if visit(board, name, list(strokes)) is ...:
                    return ...
            except BaseException as raised:
                if fails is None or not isinstance(raised, error):
                    raise
            else:
                if fails is not None:
                    raise Wrong(f"no {error.__name__}: an error of draw is passed on")
            _complain_of_drawing(board, before, good, fails is not None)
            _complain_of_leaving(board, name, fails is not None)
        return True

    return drive


def _complain_of_drawing(
    board: Board, before: tuple[int, int], good: list[list[int]], failed: bool
) -> None:
    """Raise Wrong unless a member drew each stroke, and the drawing is complete."""
    asked, due = len(board.seen) - before[0], len(good) + failed
    if asked != due:
        note = "\nthe strokes before the one that fails are drawn, and stay" if failed else ""
        raise Wrong(f"calls of board.draw: {asked}, expected {due}{note}")
    if not all(board.seen):
        raise Wrong("a stroke of somebody who was not in members: first join, then draw")
    if board.strokes[before[1] :] != good or len(board.strokes) != before[1] + len(good):
        raise Wrong(f"board.strokes is {board.strokes!r}: the drawing stays, in its order")


def _complain_of_leaving(board: Board, name: str, failed: bool) -> None:
    """Raise Wrong if something of a visitor is left, or something of Ada's is gone."""
    left = [where for where in ("members", "last") if name in getattr(board, where)]
    if left:
        note = "an error is a way out too" if failed else "there are two places to leave"
        raise Wrong(f"{name} has left, and is still in board.{' and board.'.join(left)}: {note}")
    if "Ada" not in board.members or "Ada" not in board.last:
        raise Wrong("Ada is still here, and what belongs to her is gone")


def _visit_case(
    name: str,
    shown: str,
    *visits: tuple[str, list[list[int]]],
    failure: BaseException | None = None,
    why: str = "",
) -> Case:
    """The case of some visits; its report says what may be left of them."""
    return Case(
        name,
        drive=_visited(*visits, failure=failure),
        shown=shown,
        holds=lambda result: result is True,
        wanted="each stroke drawn by a member; afterwards nothing of the visitor's but the drawing",
        why=why,
    )


POINTS = [[1, 2], LATE, [5, 6]]
QUIETLY = "a visitor who has drawn nothing is not in last: leave without an error"
EVERY_WAY = "it may end by any error, or by cancellation: only a finally catches all of them"
VISIT = Exercise(
    "visit",
    points=2,
    rule="what must happen on every way out belongs in a finally",
    hints=(
        "What does a visit put on the board, in how many places? On which ways can it end?",
        "A trace: join, members has Bo; draw, last has Bo; a stroke without points, ValueError. "
        "The line after the loop is not reached: Bo is in both, for ever.",
        "1. Join.\n"
        "2. try: draw each stroke.\n"
        "3. finally: discard the name from members, and pop it from last, None where it is not "
        "there.",
    ),
    cases=(
        _visit_case("a visit with three strokes", "visit(board, 'Bo', strokes)", ("Bo", POINTS)),
        _visit_case(
            "a stroke without points", "visit(board, 'Bo', [[1, 2], []])", ("Bo", [[1, 2], []])
        ),
        _visit_case(
            "the first stroke is without points",
            "visit(board, 'Bo', [[]])",
            ("Bo", [[]]),
            why=QUIETLY,
        ),
        _visit_case("a visit without a stroke", "visit(board, 'Bo', [])", ("Bo", []), why=QUIETLY),
        _visit_case(
            "three visitors, one after the other",
            "visit(...) for Bo, Cy and Di",
            ("Bo", POINTS),
            ("Cy", [[]]),
            ("Di", POINTS),
        ),
        _visit_case(
            "draw fails in another way",
            "visit(board, 'Bo', strokes), where the second draw raises OSError",
            ("Bo", POINTS),
            failure=OSError("the disk is full"),
            why=EVERY_WAY,
        ),
        _visit_case(
            "the visit is cancelled",
            "visit(board, 'Bo', strokes), where the second draw raises CancelledError",
            ("Bo", POINTS),
            failure=asyncio.CancelledError(),
            why=EVERY_WAY,
        ),
    ),
)


class Member:
    """A member who counts the writes and keeps the bytes."""

    def __init__(self) -> None:
        self.writes = 0
        self.data = b""

    def write(self, data: bytes) -> None:
        """Take bytes, as a transport does."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise Wrong(f"write got {type(data).__name__}, expected bytes")
        self.writes += 1
        self.data += data


Say = Callable[[list[str], list[Member], Callable[[str], bytes]], object]
SAME = "the frames are the same for all members, and all of them fit into one write"
TWICE = "a text that is said twice is two messages; and what remembers each text grows for ever"


def _said(messages: list[str], count: int) -> Callable[[Say], Any]:
    """Run the learner's function; check what the members got, then count its work."""

    def drive(say: Say) -> object:
        made: list[str] = []

        def serialize(message: str) -> bytes:
            made.append(message)
            return f"<{message}>".encode()

        members = [Member() for _ in range(count)]
        if say(list(messages), members, serialize) is ...:
            return ...
        _complain_of_bytes(members, [f"<{message}>".encode() for message in messages])
        writes, enough = sum(each.writes for each in members), count if messages else 0
        if len(made) > len(messages) or writes > enough:
            did = f"{len(made)} calls of serialize and {writes} writes"
            why = SAME if messages else "an empty write is a write"
            raise Wrong(f"{did}; {len(messages)} and {enough} would do\n{why}")
        if made != messages:
            raise Wrong(f"serialize was called for {made!r}, expected {messages!r}\n{TWICE}")
        return True

    return drive


def _complain_of_bytes(members: list[Member], frames: list[bytes]) -> None:
    """Raise Wrong unless every member got each frame, in order."""
    wanted = b"".join(frames)
    for number, member in enumerate(members, 1):
        if member.data == wanted:
            continue
        got = f"member {number} of {len(members)} got {bytes(member.data)!r}, expected {wanted!r}"
        if not member.writes and number > 1:
            note = "the first had something: a generator gives what it has only once"
        elif not member.writes:
            note = "nothing was written"
        elif sorted(member.data) == sorted(wanted):
            note = "not in the order of messages"
        elif member.data.count(b"<") < len(frames):
            note = "each message is a frame of its own, an empty one and a repeated one too"
        else:
            note = "every member hears each message once"
        raise Wrong(f"{got}\n{note}")


def _say_case(name: str, messages: list[str], count: int, members: str) -> Case:
    """The case of some messages to some members."""
    writes = count if messages else 0
    return Case(
        name,
        drive=_said(messages, count),
        shown=f"say({messages!r}, {members}, serialize)",
        holds=lambda result: result is True,
        wanted=f"each member hears all of it; calls of serialize: {len(messages)}, "
        f"of write: {writes} in all",
    )


SAY = Exercise(
    "say",
    points=3,
    rule="what does not depend on the loop stands outside of it",
    hints=(
        "Which work is the same for every member? Do that first, once.",
        "A trace: messages a, b; members X, Y. serialize(a), serialize(b), joined: 4 + 4 bytes. "
        "X.write(8 bytes), Y.write(the same 8). Two frames, two writes.",
        "1. Serialise each message once, into a list.\n"
        "2. Join them: b''.join(frames).\n"
        "3. If there is anything, write it to each member.",
    ),
    cases=(
        _say_case("one message, one member", ["hi"], 1, "[member]"),
        _say_case("three messages, twenty members", ["a", "b", "c"], 20, "twenty members"),
        _say_case("one message, twenty members", ["hi"], 20, "twenty members"),
        _say_case("three messages, one member", ["a", "b", "c"], 1, "[member]"),
        _say_case("the same message twice", ["a", "a"], 2, "two members"),
        _say_case("an empty message in between", ["a", "", "b"], 2, "two members"),
        _say_case("no message", [], 3, "three members"),
        _say_case("no member", ["a"], 0, "[]"),
    ),
)
