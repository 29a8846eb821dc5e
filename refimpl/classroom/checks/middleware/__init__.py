"""The exercises of chapter 08, in the order of its notebook."""

from refimpl.classroom.checks.middleware.answering import WITH_DEFAULTS
from refimpl.classroom.checks.middleware.asking import LAYERS, WANTS_WEBSOCKET
from refimpl.classroom.checks.middleware.limiting import AT_MOST
from refimpl.classroom.checks.middleware.naming import ENDPOINT_NAME, SNEAK

__all__ = ["EXERCISES"]

EXERCISES = (WANTS_WEBSOCKET, LAYERS, WITH_DEFAULTS, SNEAK, ENDPOINT_NAME, AT_MOST)
