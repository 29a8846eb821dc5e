"""Says where a result first differs from the expected one, below "expected" and "got".

>>> differences("Upgrade: websocket", "Upgrade: WebSocket")
[('differs', "at character 9: 'websocket' expected, got 'WebSocket'")]
>>> differences([1, 2], [1, 2, 3])
[('differs', 'one item too many: 3')]
"""

import dataclasses
from collections.abc import Mapping, Sequence
from enum import Enum

from refimpl.classroom.checking.cases import Row
from refimpl.classroom.checking.rendering import quantity, render

HEAD_END = b"\r\n"
SHOWN = 20  # characters on each side of a difference in text


def same(expected: object, got: object) -> bool:
    """Whether a result is the expected one: equal, and of the same kind.

    Stricter than ==: True is not 1, a bytearray is not bytes, and an answer's own __eq__ does not
    count. Less strict in one thing: a dataclass or an enum that the notebook defines again under
    the same name counts as the package's.
    """
    if dataclasses.is_dataclass(expected) and not isinstance(expected, type):
        return _same_fields(expected, got)
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list if isinstance(expected, list) else tuple)
            and len(expected) == len(got)
            and all(map(same, expected, got))
        )
    if isinstance(expected, Mapping):
        return (
            isinstance(got, Mapping)
            and expected.keys() == got.keys()
            and all(same(expected[key], got[key]) for key in expected)
        )
    # The expected value's class decides: an answer's own __eq__ may always be true.
    return type(expected).__eq__(expected, got) is True and _same_kind(expected, got)


def _same_fields(expected: object, got: object) -> bool:
    if type(expected).__name__ != type(got).__name__ or not dataclasses.is_dataclass(got):
        return False
    names = [field.name for field in dataclasses.fields(expected) if field.compare]  # type: ignore[arg-type]
    return all(
        hasattr(got, name) and same(getattr(expected, name), getattr(got, name)) for name in names
    )


def _same_kind(expected: object, got: object) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool):
        return isinstance(expected, bool) and isinstance(got, bool)
    if isinstance(
        expected, Enum
    ):  # an int enum's value may come as the plain int, and the other way round
        return True
    return isinstance(got, type(expected)) or isinstance(expected, type(got))


def differences(expected: object, got: object) -> list[Row]:
    """The entry on the first difference of two unequal values; empty if their texts show it."""
    text = _difference(expected, got)
    return [("differs", text)] if text else []


def _difference(expected: object, got: object) -> str:
    if isinstance(expected, bytes) and isinstance(got, bytes):
        return _in_heads(expected, got) if HEAD_END in expected else _in_bytes(expected, got)
    if isinstance(expected, str) and isinstance(got, str):
        return _in_text(expected, got)
    if type(expected) is not type(got) and expected == got:
        return f"equal, but of type {type(got).__name__}, expected {type(expected).__name__}"
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return _in_sequence(expected, got)
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return _in_mapping(expected, got)
    if dataclasses.is_dataclass(expected) and type(expected).__name__ == type(got).__name__:
        return _in_fields(expected, got)
    if expected is not None and got is None:
        return "None is also what a function returns that comes to its end without a return"
    if type(expected) is not type(got) and expected is not None:
        return f"of type {type(got).__name__}, expected {type(expected).__name__}"
    return ""


def _first_index(expected: Sequence[object], got: Sequence[object]) -> int:
    pairs = zip(expected, got, strict=False)
    return next(
        (index for index, (a, b) in enumerate(pairs) if not same(a, b)),
        min(len(expected), len(got)),
    )


def _in_bytes(expected: bytes, got: bytes) -> str:
    index = _first_index(expected, got)
    if index == len(got):
        return f"{quantity(len(got), 'byte')} where {len(expected)} are expected"
    if index == len(expected):
        many = quantity(len(got) - index, "byte")
        return f"{many} too many, from byte {index}: {render(got[index:])}"
    return f"at byte {index}: {expected[index]:02x} expected, got {got[index]:02x}"


def _in_heads(expected: bytes, got: bytes) -> str:
    """The first line of an HTTP head that differs."""
    wanted, held = expected.split(HEAD_END), got.split(HEAD_END)
    index = _first_index(wanted, held)
    if HEAD_END not in got and b"\n" in got:
        return r"lines end in \n; HTTP ends each in \r\n"
    here = render(held[index]) if index < len(held) else "(nothing more)"
    there = render(wanted[index]) if index < len(wanted) else "(nothing more)"
    if there == "b''":
        there = "(an empty line: the end of the head)"
    return f"in line {index + 1}\nexpected {there}\ngot      {here}"


def _in_text(expected: str, got: str) -> str:
    index = _first_index(expected, got)
    wanted, held = expected[index : index + SHOWN], got[index : index + SHOWN]
    if not held:
        return f"ends after {index} characters; {wanted!r} should follow"
    if not wanted:
        return f"right up to character {index}, then too much: {held!r}"
    return f"at character {index}: {wanted!r} expected, got {held!r}"


def _in_sequence(expected: Sequence[object], got: Sequence[object]) -> str:
    if type(expected) is not type(got) and list(expected) == list(got):
        return f"equal items, but of type {type(got).__name__}, expected {type(expected).__name__}"
    index = _first_index(expected, got)
    if index == len(got):
        return f"{len(got)} of {len(expected)} items; missing is {render(expected[index])}"
    if index == len(expected):
        return f"one item too many: {render(got[index])}"
    return f"at item {index}: {render(expected[index])} expected, got {render(got[index])}"


def _in_mapping(expected: Mapping[object, object], got: Mapping[object, object]) -> str:
    for key in expected:
        if key not in got:
            return f"no key {render(key)}"
        if not same(expected[key], got[key]):
            return f"at {render(key)}: {render(expected[key])} expected, got {render(got[key])}"
    return f"keys too many: {render(sorted(map(str, got.keys() - expected.keys())))}"


def _in_fields(expected: object, got: object) -> str:
    for field in dataclasses.fields(expected):  # type: ignore[arg-type]
        wanted, held = getattr(expected, field.name), getattr(got, field.name, None)
        if field.compare and not same(wanted, held):
            return f"in {field.name}: {render(wanted)} expected, got {render(held)}"
    return ""
