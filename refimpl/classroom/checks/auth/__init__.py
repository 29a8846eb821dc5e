"""The exercises of chapter 09, in the order of its notebook."""

from refimpl.classroom.checks.auth.credentials import ONE_CREDENTIAL
from refimpl.classroom.checks.auth.forging import FORGE_ROOT
from refimpl.classroom.checks.auth.keys import PICK_KEY
from refimpl.classroom.checks.auth.reading import CLAIMS_OF, TELL_TALE
from refimpl.classroom.checks.auth.stores import TAKE_ONCE
from refimpl.classroom.checks.auth.times import JUDGE_TIMES

__all__ = ["EXERCISES"]

EXERCISES = (
    CLAIMS_OF,
    TELL_TALE,
    TAKE_ONCE,
    JUDGE_TIMES,
    ONE_CREDENTIAL,
    PICK_KEY,
    FORGE_ROOT,
)
