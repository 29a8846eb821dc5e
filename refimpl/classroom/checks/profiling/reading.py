"""Reading measurements: the hot spot, a flame graph, and which benchmark to believe."""

from collections.abc import Iterable
from typing import Any

from refimpl.classroom.checking.cases import Answer, Case, Exercise, Row, call


def _no_name(case: Case, got: Any) -> Iterable[Row]:
    """The entry on a result that is not a function's name; none if it is one."""
    if got is None:
        return [("why", "None is what a function without `return` gives back")]
    if not isinstance(got, str):
        return [("why", "the name alone is asked for, a str")]
    if ";" in got:
        return [("why", "a whole stack; asked for is the name of its innermost call")]
    return []


HOTTEST = Exercise(
    "hottest",
    points=1,
    rule="a function's own time: the samples in which it is the innermost call",
    hints=(
        "In every sample one function works and the others wait for it. Count for each function "
        "the samples in which it is the one that works.",
        'A trace: ("main;a", 3), ("main;b;c", 2), ("main;d;c", 2). Innermost are a with 3, and c '
        "with 2 + 2. The hottest is c.",
        "1. For each stack take the last name, after the last semicolon.\n"
        "2. Add the count to that name's sum, in a dict.\n"
        "3. Return the name with the largest sum: max(own, key=own.get).",
    ),
    cases=(
        Case(
            "three stacks of two",
            call([("main;encode", 7), ("main;read", 2), ("main;write", 1)]),
            expect="encode",
            why="the outermost call is in every sample, because it waits in every sample",
        ),
        Case("one stack", call([("main", 1)]), expect="main"),
        Case(
            "the deepest is not the hottest",
            call([("main;e", 3), ("main;a;b;c;d", 2)]),
            expect="e",
            why="height is depth of calls, not time",
        ),
        Case(
            "many stacks of few samples",
            call([("main;a;x", 1), ("main;b;x", 1), ("main;c;x", 1), ("main;y", 10)]),
            expect="y",
            why="a stack counts as often as it was sampled",
        ),
        Case(
            "the same function on two ways",
            call([("main;read", 5), ("main;send;encode", 4), ("main;log;encode", 4)]),
            expect="encode",
            why="4 and 4 samples are 8: add up what belongs to one function",
        ),
        Case(
            "a function that calls others and works itself",
            call([("main;draw;encode", 3), ("main;draw", 4), ("main;draw;write", 3)]),
            expect="draw",
            why="it was innermost in 4 samples, when it called nobody",
        ),
        Case(
            "the same stack in two pairs",
            call([("main;a", 3), ("main;b", 4), ("main;a", 2)]),
            expect="a",
            why="3 and 2 samples are 5: a stack may come in more than one pair",
        ),
    ),
    explain=_no_name,
)


SAVING = Answer(
    "saving",
    points=2,
    rule="Amdahl's law: without the share s the whole is 1 / (1 - s) times cheaper",
    hints=(
        "A function may stand in more than one tower. Add up its boxes.",
        "With worked numbers: if parse, 15 %, were free, 85 % would be left, and the whole would "
        "be 1 / 0.85 = 1.18 times cheaper.",
        "1. For each of the four names add up the shares of all its boxes.\n"
        "2. Take the largest sum, s.\n"
        '3. saving = ("name", 1 / (1 - s)).',
    ),
    accepts=("encode", 2.0),
    mistakes={
        ("encode", 2): "a pair with an int in it; write 2.0",
        ("write", 1.54): "write is the widest of the four as a box, but another stands in two "
        "towers",
        ("write", 1 / 0.65): "write is the widest of the four as a box, but another stands in two "
        "towers",
        ("write", 0.35): "that is write's share, and there is one that has more, in two towers",
        ("encode", 0.5): "the share that goes. How many times cheaper is the whole, then?",
        ("encode", 50.0): "the share that goes, in percent. How many times cheaper is the whole?",
        ("encode", 1 / 0.7): "the one tower of encode; it has another",
        ("encode", 1.43): "the one tower of encode; it has another",
        ("encode", 1.25): "the small tower of encode; it has another",
        "encode": "the right name; a pair was asked for: the name, and how many times cheaper",
    },
    otherwise="a pair of one of the four names and a float: add up each name's boxes, then "
    "1 / (1 - share)",
)

HONEST = Answer(
    "honest",
    points=2,
    rule="a benchmark says what was planned, who was busy, and that the answers were right",
    hints=(
        "For each report ask: what would I see if Y were the faster one? Could this setup show it?",
        "Three traps of the chapter: the client as the bottleneck, waits that were never asked "
        "for, and a difference smaller than the spread.",
        "1. Whose processor was full? Then that one was measured.\n"
        "2. What did the clients do while the server stood still?\n"
        "3. Was the difference larger than the spread, in the same run?",
    ),
    accepts="B",
    mistakes={
        "A": "a client at 100 %: it is the bottleneck, and both servers wait for it",
        "C": "clients that wait for a reply before they ask again omit the questions of a "
        "standstill: 4 s of it count as two waits",
        "D": "two days, another system, and a difference smaller than the spread",
        "b": "the letter as it stands in the text, a capital",
    },
    otherwise='one of the letters "A", "B", "C", "D"',
)
