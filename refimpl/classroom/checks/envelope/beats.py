"""The heartbeat's numbers: distance on a circle, and what a log of arrivals says."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call

TOP = 2**32 - 1

SEQ_AHEAD = Exercise(
    "seq_ahead",
    points=2,
    rule="RFC 1982 3.2: of two serial numbers, the later is less than half the circle ahead",
    hints=(
        "On the face of a clock, is 1 o'clock after 11 or before it? It is two hours after, "
        "because that is the shorter way round. Here the clock has 2**32 hours.",
        "RFC 1982 3.2, with numbers of 32 bits: from 4294967295 to 0 it is 0 - 4294967295, which "
        "modulo 2**32 is 1. From 7 to 6 it is 4294967295 modulo 2**32, which is over half of the "
        "circle, so it means -1.",
        "1. ahead = (newer - older) % 2**32, from 0 to 2**32 - 1.\n"
        "2. From 2**31 on it is the longer way round: subtract 2**32.",
    ),
    cases=(
        Case("one ahead", call(8, 7), expect=1),
        Case("the same", call(7, 7), expect=0, why="a number is no step from itself"),
        Case("one behind", call(7, 8), expect=-1, why="behind is negative: backwards is shorter"),
        Case(
            "one ahead, across the end",
            call(0, TOP),
            expect=1,
            why="after 2**32 - 1 comes 0: there are 2**32 numbers on the circle",
        ),
        Case(
            "two behind, across the end",
            call(TOP, 1),
            expect=-2,
            why="the end is crossed backwards as well",
        ),
        Case(
            "almost half of the circle ahead",
            call(2**31 - 1, 0),
            expect=2**31 - 1,
            why="up to half of the circle, forwards is the shorter way",
        ),
        Case(
            "half of the circle",
            call(2**31, 0),
            expect=-(2**31),
            why="both ways are equally long; the package says behind",
        ),
        Case(
            "half of the circle, across the end",
            call(0, 2**31),
            expect=-(2**31),
            why="half of the circle is half of it from either side, and the package says behind",
        ),
        Case("more than half", call(2**31 + 1, 0), expect=-(2**31) + 1, why="backwards is shorter"),
    ),
    replaces="envelope.heartbeat.distance",
)

BEAT_REPORT = Answer(
    "beat_report",
    points=2,
    rule="chapter 04, section 9: a gap may be filled later, and the numbers wrap around",
    hints=(
        "Write down which numbers ought to have come, from the first to the highest, across the "
        "end of the range. Then strike out those that came.",
        "Chapter 04, section 9: bytes 1 to 4 of a record are its number. ff ff ff ff is the last, "
        "and the next one is 00 00 00 00. A number that comes after a higher one was late; a "
        "number that comes again was double.",
        "1. Read the ten numbers.\n"
        "2. From the first to the highest: which one never came at all?\n"
        "3. Which came twice?\n"
        "4. Which came for the first time after a higher one?",
    ),
    accepts=(2, 1, 3),
    mistakes={
        (0, 1, 3): "from ff ff ff fb to 00 00 00 05 there are eleven; did each of them come?",
        (1, 1, 3): "from ff ff ff fb to 00 00 00 05 there are eleven; did each of them come?",
        (5, 1, 3): "five were missing at one time, but some of them came later",
        (5, 1, 0): "a number that fills a gap later is late, and not lost any more",
        (2, 1, 0): "some numbers came after a higher one",
        (2, 1, 2): "three times a number came after a higher one, one of them after the wrap",
        (2, 0, 3): "one number came twice",
        (2, 0, 4): "a number that was there already is a double, not a late one",
        (2, 1, 4): "a double counts as a double only, however late it is",
        (2, 4, 0): "a number that comes late for the first time is no double",
        (2, 1, 6): "00 00 00 00 comes after ff ff ff ff, and is not late",
        (2, 1, 7): "00 00 00 00 comes after ff ff ff ff, and is not late",
        (1, 2, 3): "in this order: never came, came twice, came late",
        (2, 3, 1): "in this order: never came, came twice, came late",
    },
    otherwise="a tuple of three: how many never came, how many came twice, how many came late",
)
