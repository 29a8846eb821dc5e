"""The exercises of chapter 02, in the order of its notebook."""

from .buffering import FRAME_BUFFER
from .messages import COMPLETE_MESSAGES
from .parsing import PARSE_FRAME
from .reading import CULPRIT, GOODBYE, HEAD_SIZE
from .server import LENGTH_BOMB, naive_room
from .writing import TEXT_FRAME, UNMASK_PIECE

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
