"""`check` tells not attempted, wrong, crashed and too slow apart, and says how to go on."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import time
from dataclasses import dataclass

import pytest

from refimpl.classroom import CheckFailed, check, hint
from refimpl.classroom.chapters import CHAPTERS
from refimpl.classroom.checking import check as check_module
from refimpl.classroom.checking import frame_report
from refimpl.classroom.checking.cases import Answer, Case, Exercise, Wrong, call, raises
from refimpl.classroom.checking.check import examine
from refimpl.classroom.checking.lookup import UnknownExercise, find_exercise
from refimpl.classroom.checking.reports import report
from refimpl.classroom.checking.verdicts import State
from refimpl.errors import HandshakeError, RemoteProtocolError
from refimpl.framing import Frame, Opcode, serialize_frame

HINTS = ("The idea of it.", "RFC 6455 5.2 on bytes.", "First this, then that.")


def exercise(*cases, name="f", **options):
    options = {"points": 1, "rule": "RFC 6455 1.1", "hints": HINTS, "limit": 0.3} | options
    return Exercise(name, cases=cases, **options)


def said(task, answer):
    return report(task, examine(task, answer))


TWO = exercise(
    Case("a one", call(1), expect=2), Case("a three", call(3), expect=4, why="Count on.")
)


def test_a_right_answer_gets_one_line():
    assert said(TWO, lambda x: x + 1) == "f - passed (2 cases)"


def test_a_wrong_answer_gets_the_first_failing_case_and_the_way_on():
    assert said(TWO, lambda x: 2).splitlines() == [
        "f - wrong (case 2 of 2: a three)",
        "  call      f(3)",
        "  expected  4",
        "  got       2",
        "  why       Count on.",
        "  rule      RFC 6455 1.1",
        "  try       hint(f)                  3 hints left",
    ]


LETTERS = Frame(Opcode.TEXT, b"abc" * 100, masking_key=bytes.fromhex("37fa213d"))


def test_a_report_on_bytes_points_at_the_field_that_decides():
    """The whole of what a learner reads who takes the seven bits for the length."""

    def naive(buffer, position=0):
        return Frame(Opcode.TEXT, bytes(126), masking_key=bytes(buffer[2:6])), 132

    task = exercise(
        Case(
            "a 300-byte text frame, fed whole",
            call(serialize_frame(LETTERS), 0),
            expect=(LETTERS, 308),
        ),
        name="parse_frame",
        rule='RFC 6455 5.2 "Payload length"',
        explain=frame_report.frame_result,
        show=frame_report.show_result,
    )
    assert said(task, naive).splitlines() == [
        "parse_frame - wrong (case 1 of 1: a 300-byte text frame, fed whole)",
        r"  call      parse_frame(b'\x81\xfe\x01\x2c\x37\xfa\x21\x3d...', 0)",
        "  expected  payload of 300 bytes, next position 308",
        "  got       payload of 126 bytes, next position 132",
        "  bytes     81 | fe | 01 2c | 37 fa 21 3d | ...",
        "                 ^^ bit 0 is MASK; the other seven say 126, and 126 means: "
        "the length is in the next two bytes",
        '  rule      RFC 6455 5.2 "Payload length"',
        "  try       hint(parse_frame)        3 hints left",
    ]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (lambda x: ..., State.NOT_ATTEMPTED),
        (lambda x: NotImplemented, State.NOT_ATTEMPTED),
        (lambda x: None, State.NOT_ATTEMPTED),
        (..., State.NOT_ATTEMPTED),
        (7, State.WRONG),
        (lambda x: x, State.WRONG),
        (lambda x: str(x + 1), State.WRONG),
        (lambda x: [][x], State.CRASHED),
        (lambda: 2, State.CRASHED),
        (lambda x: exit(), State.CRASHED),
        (lambda x: time.sleep(3), State.TOO_SLOW),
    ],
)
def test_the_states_are_told_apart(answer, state):
    assert examine(TWO, answer).state is state


def test_an_endless_loop_is_too_slow_and_says_so():
    def f(x):
        while True:
            pass

    assert "too slow (case 1 of 2: a one)" in said(TWO, f)
    assert "0.3 s for an answer; a loop or wait without end looks like this" in said(TWO, f)


def test_a_thread_that_cannot_be_ended_is_admitted():
    assert "it is still running" in said(TWO, lambda x: time.sleep(3))


def test_a_placeholder_left_on_one_path_is_wrong_not_untouched():
    text = said(TWO, lambda x: 2 if x == 1 else ...)
    assert text.startswith("f - wrong (case 2 of 2")
    assert "one path still ends in `return ...`" in text


def test_a_crash_names_the_line_of_the_learners_own_code():
    def f(x):
        text = "1"
        return int(text + "x")

    assert said(TWO, f).splitlines()[3:5] == [
        "  raised    ValueError: invalid literal for int() with base 10: '1x'",
        '  at        line 3 of f: return int(text + "x")',
    ]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError])
def test_any_error_is_a_crash(error):
    def f(x):
        raise error("no")

    assert f"raised    {error.__name__}: no" in said(TWO, f)


def test_an_error_whose_text_is_broken_is_a_crash_like_any_other():
    class Spiteful(Exception):
        def __str__(self):
            raise RuntimeError

    def f(x):
        raise Spiteful

    assert "message cannot be shown" in said(TWO, f)


def test_what_was_printed_is_shown_but_not_megabytes_of_it(capsys):
    def f(x):
        print("x is", x)
        print("y" * 5_000_000)

    text = said(TWO, f)
    assert "printed   'x is 1\\nyyy" in text
    assert "(5,000,008 characters in all)" in text
    assert len(text) < 1000
    assert capsys.readouterr().out == ""


def test_a_result_that_cannot_be_shown_or_compared():
    class Odd:
        def __repr__(self):
            raise RuntimeError

        def __eq__(self, other):
            raise RuntimeError

    assert "whose repr raises" in said(exercise(Case("a", call(), error=raises(KeyError))), Odd)
    assert examine(TWO, lambda x: Odd()).state is State.CRASHED


def test_results_of_another_kind_are_wrong():
    task = exercise(Case("bytes", call(), expect=b"ab"))
    assert "equal, but of type bytearray, expected bytes" in said(task, lambda: bytearray(b"ab"))
    for expected, got in ((1, True), (True, 1), ((1, 2), [1, 2]), ("1", 1), (0, None)):
        task = exercise(Case("one", call(), expect=expected))
        assert examine(task, lambda got=got: [got][0]).state is State.WRONG


def test_a_dataclass_that_the_notebook_defined_again_counts():
    def make(offset):
        @dataclass
        class Frame:
            opcode: int
            payload: bytes

        return Frame(1 + offset, b"x")

    task = exercise(Case("a frame", call(), expect=make(0)))
    assert examine(task, lambda: make(0)).state is State.PASSED
    assert "in opcode: 1 expected, got 2" in said(task, lambda: make(1))


def test_arguments_are_copies_and_must_not_change():
    given = [3, 1, 2]
    task = exercise(Case("a list", call(given), expect=[1, 2, 3], why="a list is sorted"))
    assert examine(task, sorted).state is State.PASSED

    def f(items):
        items.sort()
        return items

    told = said(task, f)
    assert "the call changed its arguments" in told
    assert "who still needs them as they were" in told
    assert "sorted" not in told  # the case's own why is about results, and this one was right
    assert given == [3, 1, 2]
    allowed = exercise(Case("a list", call(given), expect=[1, 2, 3], mutates=True))
    assert examine(allowed, f).state is State.PASSED


def test_headers_that_an_answer_changes_are_as_before_in_the_next_check():
    _, task = find_exercise("check_origin")
    lines = []

    def changes(headers, policy):
        lines.append(len(headers))
        headers.add("Origin", "http://evil.example")

    task.cases[0].drive(changes)
    task.cases[0].drive(changes)
    assert lines == [2, 2]


def test_arguments_that_cannot_be_copied_are_passed_as_they_are():
    stream = io.TextIOWrapper(io.BytesIO(b"x"))
    task = exercise(Case("a stream", call(stream), expect="x", mutates=True))
    assert examine(task, lambda file: file.read()).state is State.PASSED


ERRORS = exercise(
    Case("a bad one", call(1), error=raises(RemoteProtocolError, close_code=1002)),
)


def raiser(error):
    def f(x):
        raise error

    return f


def test_an_expected_error():
    assert examine(ERRORS, raiser(RemoteProtocolError("bad"))).state is State.PASSED
    got = said(ERRORS, raiser(RemoteProtocolError("bad", 1009)))
    assert "expected  raises RemoteProtocolError with close_code 1002" in got
    assert "got       raises RemoteProtocolError with close_code 1009" in got
    assert "got       5" in said(ERRORS, lambda x: 5)
    refused = said(ERRORS, raiser(HandshakeError("no")))
    assert "f - wrong" in refused
    assert "got       raises HandshakeError: no" in refused
    assert examine(ERRORS, raiser(IndexError())).state is State.CRASHED


def test_an_error_class_of_the_same_name_counts():
    again = type("RemoteProtocolError", (Exception,), {"close_code": 1002})
    assert examine(ERRORS, raiser(again("bad"))).state is State.PASSED


def test_a_property_says_what_is_wanted_and_what_was_got():
    def is_key(value):
        if len(value) != 4:
            raise Wrong(f"{len(value)} bytes")
        return value != b"\0\0\0\0"

    task = exercise(Case("a key", call(), holds=is_key, wanted="4 bytes, not all zero"))
    assert examine(task, lambda: b"abcd").state is State.PASSED
    assert "expected  4 bytes, not all zero\n  got       3 bytes" in said(task, lambda: b"abc")
    assert r"got       b'\x00\x00\x00\x00'" in said(task, lambda: bytes(4))
    assert "got       5, of type int" in said(task, lambda: 5)


def test_a_drive_may_do_anything_with_the_answer():
    def feed(f):
        parts = [f(byte) for byte in b"ab"]
        if None in parts:
            raise Wrong("None for a byte")
        return parts

    case = Case("byte by byte", drive=feed, shown="f(byte) for each byte of b'ab'", expect=[97, 98])
    task = exercise(case)
    assert examine(task, lambda byte: byte).state is State.PASSED
    text = said(task, lambda byte: {}.get(byte))
    assert "call      f(byte) for each byte of b'ab'" in text
    assert "got       None for a byte" in text


def test_what_a_drive_complains_of_may_have_a_why_of_its_own():
    def fail(f):
        raise Wrong("no script", why="it did not compile")

    text = said(exercise(Case("a script", drive=fail, shown="f()", expect=1, why="one")), len)
    assert text.count("why") == 1
    assert "why       it did not compile" in text


def test_a_placeholder_inside_a_drive_is_not_attempted():
    def feed(f):
        return len(str(f(1)))

    case = Case("a", drive=feed, shown="len(f(1))", expect=1)
    assert examine(exercise(case), lambda x: ...).state is State.NOT_ATTEMPTED

    async def start(g):
        return len(str(await g(1)))

    async def g(x):
        return ...

    waits = Case("a", drive=start, shown="await g(1)", expect=1)
    assert examine(exercise(waits, is_async=True), g).state is State.NOT_ATTEMPTED


def test_an_explanation_replaces_and_adds_but_may_stumble():
    def explain(case, got):
        return [("got", got.upper()), ("note", "louder")]

    task = exercise(Case("a", call(), expect="b"), explain=explain, show=str.title)
    text = said(task, lambda: "abc")
    assert "expected  B" in text
    assert "got       ABC" in text
    assert "note      louder" in text
    odd = said(task, lambda: 5)
    assert "got       5" in odd
    assert "of type int, expected str" in odd


def test_a_case_is_checked_when_it_is_written():
    for options in ({}, {"expect": 1, "error": raises(ValueError)}):
        with pytest.raises(TypeError, match="exactly one"):
            Case("x", call(), **options)
    with pytest.raises(TypeError, match="wanted"):
        Case("x", call(), holds=bool)
    with pytest.raises(TypeError, match="shown"):
        Case("x", drive=bool, expect=1)


# --- answers that are values ---

COUNT = Answer(
    "count",
    points=1,
    rule="RFC 6455 5.5",
    hints=HINTS,
    accepts=3,
    mistakes={4: "the Close is no data frame"},
    otherwise="count the frames, from 1",
)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (4, "the Close is no data frame"),
        (9, "count the frames, from 1"),
        ("3", "of type str, expected int"),
    ],
)
def test_a_wrong_value_gets_its_message_but_not_the_answer(value, words):
    text = said(COUNT, value)
    assert words in text
    assert text.startswith("count - wrong\n")
    assert 'try       hint("count")' in text
    assert "\n  expected" not in text


def test_a_right_value_passes_and_a_predicate_may_decide():
    assert said(COUNT, 3) == "count - passed"
    options = {"points": 1, "rule": "", "hints": HINTS, "otherwise": "no"}
    either = Answer("either", accepts=lambda value: value.lower() == "fin", kind=str, **options)
    assert examine(either, "FIN").state is State.PASSED
    assert examine(either, "MASK").state is State.WRONG
    assert examine(either, 5).state is State.CRASHED
    slow = Answer("slow", accepts=lambda value: time.sleep(3), limit=0.1, **options)
    assert examine(slow, 1).state is State.TOO_SLOW


class Endless:
    """An object whose repr never ends."""

    def __repr__(self):
        while True:
            pass


def test_a_value_that_takes_for_ever_to_show_is_too_slow_and_nothing_hangs():
    quick = dataclasses.replace(COUNT, limit=0.2)
    assert examine(quick, Endless()).state is State.TOO_SLOW
    assert "a value of type Endless, which cannot be called" in said(
        dataclasses.replace(exercise(Case("a", call(), expect=1)), limit=0.2), Endless()
    )


def test_megabytes_are_shown_by_their_beginning():
    assert "xxx...'" in said(COUNT, b"x" * 50_000_000)


# --- async exercises ---

WAITS = exercise(Case("a one", call(1), expect=2), name="g", is_async=True)


def test_a_coroutine_function_is_checked_in_a_loop_of_its_own():
    async def g(x):
        await asyncio.sleep(0)
        return x + 1

    assert examine(WAITS, g).state is State.PASSED


def never(x):
    return asyncio.Event().wait()


async def hang(x):
    await asyncio.Event().wait()


async def block(x):
    while True:
        pass


async def leave_a_task_behind(x):
    asyncio.get_running_loop().stray = asyncio.create_task(asyncio.sleep(60))
    return x + 1


@pytest.mark.parametrize("answer", [hang, block])
def test_a_coroutine_that_never_returns_is_too_slow(answer):
    text = said(WAITS, answer)
    assert "g - too slow" in text
    assert "call      await g(1)" in text


def test_a_task_left_behind_does_not_outlive_the_check():
    assert examine(WAITS, leave_a_task_behind).state is State.PASSED


def test_the_wrong_kind_of_function_is_told():
    assert "needs `async def`" in said(WAITS, never)

    async def f(x):
        return 2

    assert "without `async`" in said(TWO, f)


def test_a_coroutine_that_an_async_function_returns_is_to_be_awaited():
    async def give(x):
        return x + 1

    async def g(x):
        return give(x)

    text = said(WAITS, g)
    assert "got       a coroutine: await what you return" in text
    assert "without `async`" not in text


# --- in a notebook ---


@pytest.fixture
def known(monkeypatch):
    """Makes the exercises of these tests known by name."""
    tasks = {task.name: (CHAPTERS[2], task) for task in (TWO, WAITS, COUNT)}
    monkeypatch.setattr(check_module, "find_exercise", tasks.__getitem__)
    check_module.forget_hints()


def test_check_prints_one_line_or_raises_the_report(known, capsys):
    def f(x):
        return x + 1

    assert check(f) is None
    assert check("count", 3) is None
    assert check("f", lambda x: x + 1) is None
    assert capsys.readouterr().out == (
        "f - passed (2 cases)\ncount - passed\nf - passed (2 cases)\n"
    )
    with pytest.raises(CheckFailed, match=r"f - wrong \(case 1 of 2: a one\)") as failed:
        check("f", lambda x: x)
    assert failed.value.state is State.WRONG
    assert failed.value._render_traceback_() == str(failed.value).splitlines()
    with pytest.raises(CheckFailed, match="not attempted"):
        check("count", ...)


async def test_an_async_exercise_is_awaited(known, capsys):
    async def g(x):
        return x + 1

    assert await check(g) is None
    assert capsys.readouterr().out == "g - passed (1 case)\n"
    with pytest.raises(CheckFailed, match="too slow"):
        await check("g", hang)


def test_an_async_check_that_is_not_awaited_says_so(known):
    async def g(x):
        return x + 1

    assert repr(check(g)) == "g - not checked yet: write  await check(g)"


def test_hints_come_one_by_one_and_are_counted(known, capsys):
    def f(x):
        return x

    def left():
        with pytest.raises(CheckFailed) as failed:
            check(f)
        return str(failed.value).splitlines()[-1].split(")")[1].strip()

    assert left() == "3 hints left"
    hint(f)
    assert left() == "2 hints left"
    hint("f")
    assert left() == "1 hint left"
    hint(f)
    hint(f)
    assert left() == "no hints left"
    shown = capsys.readouterr().out
    assert shown == (
        "f - hint 1 of 3: the idea\n  The idea of it.\n  (2 hints left)\n"
        "f - hint 2 of 3: the rule, on an example\n  RFC 6455 5.2 on bytes.\n  (1 hint left)\n"
        + 2
        * (
            "f - hint 3 of 3: the outline\n  First this, then that.\n"
            "  (no more hints; the solution is in solutions/02_framing.ipynb)\n"
        )
    )


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(UnknownExercise, match="did you mean parse_frame") as unknown:
        check("parse_frames", 1)
    assert unknown.value._render_traceback_() == [str(unknown.value)]
    with pytest.raises(UnknownExercise, match="keep the name"):
        hint(lambda: 1)


@pytest.mark.parametrize("value", ["c", 3, b"c", None, ...])
@pytest.mark.parametrize("ask", [check, hint])
def test_a_value_without_its_name_is_told_to_bring_it(ask, value):
    with pytest.raises(UnknownExercise, match=r'write check\("the_name", the_name\)') as unknown:
        ask(value)
    assert "ellipsis" not in str(unknown.value)
