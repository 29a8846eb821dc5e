"""What is missing, from numbers and epochs; the learner's function also judges in a live node."""

from collections.abc import Callable, Mapping
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, call
from refimpl.sessions.feed import Feed, Verdict
from refimpl.sessions.records import Message

Heard = list[tuple[str, int]]
Gaps = list[tuple[str, int | None]]

EARLIER = "a number at or below the place came before: nothing is missing, and the place stays"
UNKNOWN = "of another history no number says how much is missing: (epoch, None), once"


def of(epoch: str, *numbers: int) -> Heard:
    """Return what was heard of one epoch."""
    return [(epoch, number) for number in numbers]


def as_take(find_gaps: Callable[[str, int, Heard], Gaps]) -> Mapping[str, Any]:
    """Return what stands in for `Feed.take`: the learner's function says whether there is a gap."""

    def take(self: Feed, message: Message) -> Verdict:
        """Judge a message as `Feed.take` does."""
        place = self.position
        if find_gaps(place.epoch, place.number, [(message.epoch, message.number)]):
            return Verdict.GAP
        if message.number > place.number:
            self.position = message.position
            return Verdict.NEXT if self._note(message.id) else Verdict.REPEATED
        return Verdict.REPEATED if message.id in self._ids else Verdict.GAP

    return {"sessions.feed.Feed.take": take}


FIND_GAPS = Exercise(
    "find_gaps",
    points=3,
    rule="the next message has the number behind the last one's, in the same epoch",
    hints=(
        "Walk through what was heard, and carry the place along: an epoch and a number.",
        "Place (e1, 7), heard (e1, 8), (e1, 11): 8 is the next one, and between 8 and 11 are 9 and "
        "10. The answer is [('e1', 9), ('e1', 10)], and the place is (e1, 11).",
        "1. For each (epoch, number) that was heard:\n"
        "2. Another epoch than the place's: add (epoch, None), and take it as the place.\n"
        "3. A number at or below the place's: go on with the next.\n"
        "4. Else add all numbers between the two, and move the place.",
    ),
    cases=(
        Case("the next ones", call("e1", 7, of("e1", 8, 9, 10)), expect=[]),
        Case("one is missing", call("e1", 7, of("e1", 8, 10)), expect=of("e1", 9)),
        Case("several are missing", call("e1", 7, of("e1", 8, 12)), expect=of("e1", 9, 10, 11)),
        Case(
            "the first one is missing",
            call("e1", 7, of("e1", 9)),
            expect=of("e1", 8),
            why="the place counts: 7 was the last that was read",
        ),
        Case(
            "two gaps",
            call("e1", 7, of("e1", 9, 10, 12)),
            expect=of("e1", 8, 11),
            why="behind a gap the place is what was heard, not what was expected",
        ),
        Case("nothing was heard", call("e1", 7, []), expect=[]),
        Case("one that came before", call("e1", 7, of("e1", 7, 8)), expect=[], why=EARLIER),
        Case("one of long ago", call("e1", 7, of("e1", 8, 3, 9)), expect=[], why=EARLIER),
        Case(
            "another epoch",
            call("e1", 7, of("e2", 8)),
            expect=[("e2", None)],
            why=f"{UNKNOWN}; that 8 follows 7 is chance",
        ),
        Case(
            "another epoch, from 1 again",
            call("e1", 7, of("e2", 1, 2)),
            expect=[("e2", None)],
            why=f"{UNKNOWN}; by the number alone 1 would be one that came before",
        ),
        Case(
            "a gap in the new epoch",
            call("e1", 7, of("e2", 3, 5)),
            expect=[("e2", None), ("e2", 4)],
            why="the new epoch's first message is the place now",
        ),
        Case(
            "two epochs",
            call("e1", 7, [("e1", 8), ("e2", 9), ("e3", 10)]),
            expect=[("e2", None), ("e3", None)],
            why=f"{UNKNOWN} for each change",
        ),
        Case(
            "an epoch whose name is smaller",
            call("e9", 7, of("a0", 8)),
            expect=[("a0", None)],
            why="epochs are drawn at random: ask whether they differ, not which is larger",
        ),
    ),
    replaces="sessions.feed.Feed.take",
    adapt=as_take,
)
