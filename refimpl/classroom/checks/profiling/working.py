"""Work and what it leaves behind: a visit without traces, and a broadcast that does little."""

from collections.abc import Callable, Sequence
from typing import Any

from ...cases import Case, Exercise, Wrong


class Board:
    """The whiteboard of the exercise."""

    def __init__(self) -> None:
        self.members: set[str] = set()
        self.last: dict[str, list[int]] = {}
        self.strokes: list[list[int]] = []
        self.seen: list[bool] = []

    def draw(self, name: str, stroke: list[int]) -> None:
        """Add a stroke; ValueError for one without points."""
        self.seen.append(name in self.members)
        if not stroke:
            raise ValueError("a stroke without points")
        self.last[name] = stroke
        self.strokes.append(stroke)


Visit = Callable[[Board, str, Sequence[list[int]]], object]


def _visited(*visits: tuple[str, list[list[int]]]) -> Callable[[Visit], Any]:
    """Lead pupils through visits while Ada is in the room; what is then on the board."""

    def drive(visit: Visit) -> object:
        board = Board()
        board.members.add("Ada")
        board.draw("Ada", [1, 1])
        for name, strokes in visits:
            try:
                if visit(board, name, strokes) is ...:
                    return ...
            except ValueError:
                if [] not in strokes:
                    raise
            else:
                if [] in strokes:
                    raise Wrong("no ValueError: an error of draw is passed on")
            _complain(board, name)
        if not all(board.seen):
            raise Wrong("a stroke of somebody who was not in members: first join, then draw")
        return len(board.strokes)

    return drive


def _complain(board: Board, name: str) -> None:
    """Raise Wrong where something of a visitor is left, or something of Ada's is gone."""
    left = [where for where in ("members", "last") if name in getattr(board, where)]
    if left:
        raise Wrong(f"{name} has left, and is still in board.{' and board.'.join(left)}")
    if "Ada" not in board.members or "Ada" not in board.last:
        raise Wrong("Ada is still here, and what belongs to her is gone")


POINTS = [[1, 2], [3, 4], [5, 6]]
VISIT = Exercise(
    "visit",
    points=2,
    rule="what must happen on every way out stands in a finally",
    hints=(
        "What does a visit put on the board, in how many places? On which ways can it end?",
        "A trace: join, members has Bo; draw, last has Bo; a stroke without points, ValueError. "
        "The line behind the loop is not reached: Bo is in both, for ever.",
        "1. Join.\n"
        "2. try: draw each stroke.\n"
        "3. finally: discard the name from members, and pop it from last, None where it is not "
        "there.",
    ),
    cases=(
        Case(
            "a visit with three strokes",
            drive=_visited(("Bo", POINTS)),
            shown="visit(board, 'Bo', three strokes)",
            expect=4,
            why="there are two places to leave",
        ),
        Case(
            "a stroke without points",
            drive=_visited(("Bo", [[1, 2], []])),
            shown="visit(board, 'Bo', [[1, 2], []])",
            expect=2,
            why="an error is a way out too",
        ),
        Case(
            "the first stroke is without points",
            drive=_visited(("Bo", [[]])),
            shown="visit(board, 'Bo', [[]])",
            expect=1,
            why="who has drawn nothing is not in last: leave that place quietly",
        ),
        Case(
            "a visit without a stroke",
            drive=_visited(("Bo", [])),
            shown="visit(board, 'Bo', [])",
            expect=1,
            why="who has drawn nothing is not in last: leave that place quietly",
        ),
        Case(
            "three visitors, one after the other",
            drive=_visited(("Bo", POINTS), ("Cy", [[]]), ("Di", POINTS)),
            shown="visit(...) for Bo, Cy and Di",
            expect=7,
            why="the drawing stays; only what belongs to the visitor goes",
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


def _said(messages: list[str], count: int) -> Callable[[Say], Any]:
    """Let the learner's function speak; count its work."""

    def drive(say: Say) -> object:
        made: list[str] = []

        def serialize(message: str) -> bytes:
            made.append(message)
            return f"<{message}>".encode()

        members = [Member() for _ in range(count)]
        if say(messages, members, serialize) is ...:
            return ...
        wanted = "".join(f"<{message}>" for message in messages).encode()
        for member in members:
            if member.data != wanted:
                raise Wrong(f"a member got {bytes(member.data)!r}, expected {wanted!r}")
        writes, enough = sum(each.writes for each in members), count if messages else 0
        if len(made) > len(messages) or writes > enough:
            did = f"{len(made)} calls of serialize and {writes} writes"
            raise Wrong(f"{did}; {len(messages)} and {enough} would do")
        return writes

    return drive


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
        Case(
            "one message, one member",
            drive=_said(["hi"], 1),
            shown="say(['hi'], [member], serialize)",
            expect=1,
        ),
        Case(
            "three messages, twenty members",
            drive=_said(["a", "b", "c"], 20),
            shown="say(['a', 'b', 'c'], twenty members, serialize)",
            expect=20,
            why="the frames are the same for all members, and three of them fit into one write",
        ),
        Case(
            "one message, twenty members",
            drive=_said(["hi"], 20),
            shown="say(['hi'], twenty members, serialize)",
            expect=20,
            why="the frame is the same for all of them",
        ),
        Case(
            "three messages, one member",
            drive=_said(["a", "b", "c"], 1),
            shown="say(['a', 'b', 'c'], [member], serialize)",
            expect=1,
            why="three frames fit into one write",
        ),
        Case(
            "the same message twice",
            drive=_said(["a", "a"], 2),
            shown="say(['a', 'a'], two members, serialize)",
            expect=2,
            why="whoever says it twice wants it heard twice",
        ),
        Case(
            "no message",
            drive=_said([], 3),
            shown="say([], three members, serialize)",
            expect=0,
            why="an empty write is a write",
        ),
        Case("no member", drive=_said(["a"], 0), shown="say(['a'], [], serialize)", expect=0),
    ),
)
