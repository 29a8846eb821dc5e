"""Deadlines and leaks: which deadline comes first, and which tasks outlive their visitor."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call

END_OF = Exercise(
    "end_of",
    points=1,
    rule="of two nested deadlines the earlier one counts",
    hints=(
        "Two points in time may end the block: the outer one, and now + seconds. Which counts?",
        "A trace: now 100, outer 130. Asked for 5, the block's own end is 105, before 130. Asked "
        "for 60 it is 160, and the outer 130 comes first.",
        "1. own = now + seconds, or None where seconds is None.\n"
        "2. Of outer and own leave out what is None.\n"
        "3. Return the smaller of what is left, or None.",
    ),
    cases=(
        Case("the inner one is earlier", call(100, 130, 5), expect=105),
        Case(
            "the inner one asks for more",
            call(100, 130, 60),
            expect=130,
            why="an inner block cannot give more time than is left",
        ),
        Case("no outer one", call(100, None, 5), expect=105),
        Case("no limit of its own", call(100, 130, None), expect=130),
        Case("none at all", call(100, None, None), expect=None),
        Case(
            "a limit of 0 seconds",
            call(100, 130, 0),
            expect=100,
            why="0 is a limit, the strictest of all; only None is no limit",
        ),
        Case(
            "an outer end at time 0",
            call(-5, 0, 60),
            expect=0,
            why="a clock may start anywhere, so 0 is a time like any other",
        ),
        Case(
            "an outer end that is past",
            call(100, 90, 5),
            expect=90,
            why="the outer deadline has passed: an inner block cannot move it to now",
        ),
    ),
)

LEAKING = Answer(
    "leaking",
    points=1,
    rule="what belongs to a visitor comes and goes with the visitor",
    hints=(
        "Count each kind of task in both reports. The number of visitors was the same.",
        "A trace: beat, 2 and 2; write_out, 2 and 2. What has another number?",
        "1. Count by the name behind 'waits for'.\n"
        "2. Find the one that grew though the visitors did not.\n"
        "3. That name is the answer, as a str.",
    ),
    accepts="receipt",
    mistakes={
        "beat": "two visitors, two heartbeats, both times: the old ones did end",
        "write_out": "two visitors, two writers, both times: the old ones did end",
        "tidy": "one task for the whole server, both times; it belongs to no visitor",
        "future": "each of them waits for a future; which function grew in number?",
    },
    otherwise="the name of the function whose tasks are more at 11:00 than at 10:00",
)
