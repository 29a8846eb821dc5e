"""The exercises of chapter 09, in the order of its notebook."""

from .forging import FORGE_ROOT
from .keys import PICK_KEY
from .reading import CLAIMS_OF, TELL_TALE
from .sources import ONE_CREDENTIAL
from .stores import TAKE_ONCE
from .times import JUDGE_TIMES

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
