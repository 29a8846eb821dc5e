"""The end: a reason that fits, and what a program reads when none came."""

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call

FIT_REASON = Exercise(
    "fit_reason",
    points=2,
    rule="RFC 6455 5.5: 125 bytes in a control frame, two of them are the code",
    hints=(
        "The limit counts bytes and the slice counts characters. Cut the bytes, and then mind the "
        "character that you may have cut in two.",
        "RFC 6455 5.5.1, on 124 bytes that are 62 times c3 a9: the first 123 end in a lone c3. "
        "decode(errors=...) can be told what to do with half a character.",
        "1. Encode.\n2. Keep the first 123 bytes.\n3. Decode, leaving out what is no character.",
    ),
    cases=(
        Case("a short reason", call("done"), expect="done"),
        Case("no reason", call(""), expect=""),
        Case("123 letters", call("x" * 123), expect="x" * 123, why="123 bytes fit"),
        Case(
            "124 letters",
            call("x" * 124),
            expect="x" * 123,
            why="of the 125 bytes of a control frame the code takes two",
        ),
        Case(
            "62 times é, 124 bytes",
            call("é" * 62),
            expect="é" * 61,
            why="a character is more than one byte here, and is sent whole or not at all",
        ),
        Case(
            "a reason of 123 bytes that ends in é",
            call("x" * 121 + "é"),
            expect="x" * 121 + "é",
            why="it fits, so nothing is to be cut",
        ),
        Case(
            "31 times an emoji, 124 bytes",
            call("🎉" * 31),
            expect="🎉" * 30,
            why="the last one needs four bytes and only three are left",
        ),
    ),
)

LAST_WORDS = Answer(
    "last_words",
    points=2,
    rule="RFC 6455 7.1.5: the code is that of the first Close received, and 1006 where none came",
    hints=(
        "Two questions. What may still arrive after one has sent Close? And whose Close decides on "
        "the code that a program reads?",
        "RFC 6455 5.5.1: a side that has sent Close sends no more data, but the other side may "
        "until it answers. 7.1.5: the code of a connection is the one *received*.",
        "1. Count the texts that came in before the server had received a Close.\n"
        "2. Look for the client's Close.\n"
        "3. Is there none? Then there is a code for that.",
    ),
    accepts=(2, 1006),
    mistakes={
        (2, 1001): "1001 is what the server sent; what did it receive?",
        (1, 1001): "1001 is what the server sent; and in CLOSING one still hears what comes",
        (1, 1006): "the code is right, but in CLOSING one still hears what comes before the Close",
        (2, 1005): "1005 means a Close without a code; was there a Close?",
        (1, 1005): "1005 means a Close without a code; was there a Close?",
        (2, 1000): "who sent a 1000?",
    },
    otherwise="a pair: how many texts the server's program gets, and the code that it reads",
)
