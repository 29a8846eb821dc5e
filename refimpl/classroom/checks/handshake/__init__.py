"""The exercises of chapter 01, in the order of its notebook."""

from refimpl.classroom.checks.handshake.choosing import CHOOSE_SUBPROTOCOL
from refimpl.classroom.checks.handshake.keys import IS_VALID_KEY, SERVER_MISTAKE
from refimpl.classroom.checks.handshake.origins import CHECK_ORIGIN
from refimpl.classroom.checks.handshake.reading import BYTES_BEFORE_HELLO, HEADER_VALUES
from refimpl.classroom.checks.handshake.stealing import STEAL, naive_admits

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
