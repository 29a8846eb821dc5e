"""The exercises of chapter 01, in the order of its notebook."""

from .choosing import CHOOSE_SUBPROTOCOL
from .origins import CHECK_ORIGIN, STEAL, naive_admits
from .reading import BYTES_BEFORE_HELLO, HEADER_VALUES, IS_VALID_KEY, SERVER_MISTAKE

__all__ = ["EXERCISES", "naive_admits"]

EXERCISES = (
    BYTES_BEFORE_HELLO,
    IS_VALID_KEY,
    HEADER_VALUES,
    SERVER_MISTAKE,
    CHOOSE_SUBPROTOCOL,
    STEAL,
    CHECK_ORIGIN,
)
