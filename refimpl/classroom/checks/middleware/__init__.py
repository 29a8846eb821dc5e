"""The exercises of chapter 08, in the order of its notebook."""

from .answering import WITH_DEFAULTS
from .asking import LAYERS, WANTS_WEBSOCKET
from .limiting import AT_MOST
from .naming import ENDPOINT_NAME, SNEAK

__all__ = ["EXERCISES"]

EXERCISES = (WANTS_WEBSOCKET, LAYERS, WITH_DEFAULTS, SNEAK, ENDPOINT_NAME, AT_MOST)
