"""What a wrong result of chapter 04 gets to read in place of its case's own `why`."""

from collections.abc import Iterable
from typing import Any

from refimpl.classroom.checking.cases import UNSET, Case, Row
from refimpl.classroom.checking.difference import differences
from refimpl.envelope import BadChecksum, TooLong


def by_kind(case: Case, got: Any) -> Iterable[Row]:
    """The first difference; and where only the kind is wrong, a reason that speaks of that."""
    if case.expect is UNSET or isinstance(got, BaseException):
        return []
    rows = differences(case.expect, got)
    if type(got) is not type(case.expect) and got == case.expect:
        kind = type(case.expect).__name__
        rows.append(("why", f"the value is right, its type is not: the task asks for {kind}"))
    return rows


def by_refusal(case: Case, got: Any) -> Iterable[Row]:
    """The same; and where a sound envelope is refused, what that refusal was computed from."""
    is_sound = isinstance(case.expect, tuple)
    if is_sound and isinstance(got, BadChecksum):
        return [
            (
                "why",
                "this envelope is sound: compare the four bytes behind the payload, big-endian, "
                "with the CRC of header and payload, buffer[position : position + 5 + length]",
            )
        ]
    if is_sound and isinstance(got, TooLong) and not case.call.kwargs:
        return [("why", "the length is in the four bytes at position, big-endian")]
    return by_kind(case, got)
