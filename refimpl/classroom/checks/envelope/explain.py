"""Explanations for wrong results of chapter 04, in place of the case's own `why`."""

from collections.abc import Iterable
from typing import Any

from refimpl.classroom.checking.cases import UNSET, Case, Row
from refimpl.classroom.checking.difference import differences
from refimpl.envelope import BadChecksum, TooLong


def by_kind(case: Case, got: Any) -> Iterable[Row]:
    """The first difference; if only the type is wrong, a `why` that says so."""
    if case.expect is UNSET or isinstance(got, BaseException):
        return []
    rows = differences(case.expect, got)
    if type(got) is not type(case.expect) and got == case.expect:
        kind = type(case.expect).__name__
        rows.append(("why", f"the value is right, its type is not: the task asks for {kind}"))
    return rows


def by_refusal(case: Case, got: Any) -> Iterable[Row]:
    """The same; if a valid envelope is refused, the cause of the refusal."""
    is_sound = isinstance(case.expect, tuple)
    if is_sound and isinstance(got, BadChecksum):
        return [
            (
                "why",
                "this envelope is sound: compare the four bytes after the payload, big-endian, "
                "with the CRC of header and payload, buffer[position : position + 5 + length]",
            )
        ]
    if is_sound and isinstance(got, TooLong) and not case.call.kwargs:
        return [("why", "the length is in the four bytes at position, big-endian")]
    return by_kind(case, got)
