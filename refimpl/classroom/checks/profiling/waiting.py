"""Waiting, in numbers: a bound for a queue, and the questions that a closed loop omits."""

from refimpl.classroom.checking.cases import Case, Exercise, call

BOUND = Exercise(
    "bound",
    points=2,
    rule="the nth in a queue waits n / rate",
    hints=(
        "How many messages are taken within the promised time? How many fit into the memory? The "
        "smaller number decides.",
        "A trace: rate 100, promise 0.5: 50 leave in time. Memory 10,000, size 300: 33 fit. 33.",
        "1. in_time = int(rate * promise); it fits = int(memory // size).\n"
        "2. The smaller of the two.\n"
        "3. But at least 1: max(1, ...).",
    ),
    cases=(
        Case(
            "time decides",
            call(100, 0.5, 10_000, 100),
            expect=50,
            why="the 50th waits 50 / 100 s, as promised, and the 51st longer; 100 would fit",
        ),
        Case(
            "memory decides",
            call(100, 0.5, 1_000, 100),
            expect=10,
            why="50 would leave in time, but only 10 fit into the memory",
        ),
        Case(
            "not a whole number in time",
            call(10, 0.25, 10_000, 1),
            expect=2,
            why="10 a second, a quarter of a second: the third would be late, so round down",
        ),
        Case(
            "not a whole number in memory",
            call(1000, 1, 1_000, 300),
            expect=3,
            why="four times 300 bytes are more than 1,000: round down",
        ),
        Case(
            "nearly one more in time",
            call(10, 0.275, 10_000, 1),
            expect=2,
            why="the third would wait 0.3 s, longer than promised: 2.75 is rounded down too",
        ),
        Case(
            "nearly one more in memory",
            call(1000, 1, 1_000, 364),
            expect=2,
            why="three times 364 bytes are 1,092: 2.75 is rounded down too",
        ),
        Case(
            "a promise that nobody can keep",
            call(1, 0.5, 10_000, 100),
            expect=1,
            why="a queue of 0 would have no bound at all, so at least 1",
        ),
        Case(
            "a message larger than the memory",
            call(100, 1, 100, 500),
            expect=1,
            why="a queue of 0 would have no bound at all, so at least 1",
        ),
        Case(
            "sizes as float",
            call(100.0, 2.0, 1e4, 1e2),
            expect=100,
            why="a number of messages is an int",
        ),
        Case(
            "half a message a second more",
            call(2.5, 4, 10_000, 1),
            expect=10,
            why="2.5 a second for 4 s are 10: round the result, not what it is made of",
        ),
        Case(
            "parts of a unit",
            call(1000, 1, 4.5, 0.5),
            expect=9,
            why="0.5 goes 9 times into 4.5: round the result, not what it is made of",
        ),
        Case("both the same", call(8, 4, 64, 2), expect=32),
    ),
)

CORRECTED = Exercise(
    "corrected",
    points=2,
    rule="coordinated omission: a client that waits does not ask",
    hints=(
        "A wait of 350, asked for every 100, hides three questions: those that were due 100, 200 "
        "and 300 later. Each would have waited for the same end.",
        "A trace with interval 100: 350 is followed by 250, 150, 50, and then -50, which is no "
        "wait. 10 is followed by nothing, 100 by nothing, since 0 is not more than 0.",
        "1. For each wait: append it to the list.\n"
        "2. As long as wait - interval is more than 0: subtract interval, append.\n"
        "3. Return the list.",
    ),
    cases=(
        Case("nothing hidden", call([10, 20, 30], 100), expect=[10, 20, 30]),
        Case(
            "one that hides three",
            call([350], 100),
            expect=[350, 250, 150, 50],
            why="due 100, 200 and 300 later, all three waited for the same end",
        ),
        Case(
            "between short ones",
            call([10, 350, 10], 100),
            expect=[10, 350, 250, 150, 50, 10],
            why="what a wait hides comes after it",
        ),
        Case(
            "just as long as the interval",
            call([100, 200], 100),
            expect=[100, 200, 100],
            why="the next question was due when the answer came: it waits 0, and that is none",
        ),
        Case("none at all", call([], 100), expect=[]),
        Case(
            "an answer at once",
            call([0, 5], 10),
            expect=[0, 5],
            why="a wait of 0 was asked for and measured: it hides none, and stays",
        ),
        Case(
            "two long ones",
            call([25, 30], 10),
            expect=[25, 15, 5, 30, 20, 10],
            why="each wait hides its own",
        ),
        Case("one of eighty", call([400], 5), expect=list(range(400, 0, -5))),
    ),
)
