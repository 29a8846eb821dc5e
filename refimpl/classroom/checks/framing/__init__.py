"""The exercises of chapter 02, in the order of its notebook."""

from refimpl.classroom.checks.framing.buffering import FRAME_BUFFER
from refimpl.classroom.checks.framing.messages import COMPLETE_MESSAGES
from refimpl.classroom.checks.framing.parsing import PARSE_FRAME
from refimpl.classroom.checks.framing.reading import CULPRIT, GOODBYE, HEAD_SIZE
from refimpl.classroom.checks.framing.server import LENGTH_BOMB, naive_room
from refimpl.classroom.checks.framing.writing import TEXT_FRAME, UNMASK_PIECE

__all__ = ["EXERCISES", "naive_room"]

EXERCISES = (
    HEAD_SIZE,
    GOODBYE,
    CULPRIT,
    TEXT_FRAME,
    UNMASK_PIECE,
    COMPLETE_MESSAGES,
    LENGTH_BOMB,
    PARSE_FRAME,
    FRAME_BUFFER,
)
