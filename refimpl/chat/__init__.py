"""The reference application: a chat that stands on all floors, and shows its own frames.

`refimpl demo` runs it. `rooms` number and keep what was said, `messages` is the language of page
and server, `lobby` knows who is where, `outbox` deals with slow readers, `talk` and `records` are
the two WebSocket endpoints, `people` and `api` the way in, `app` puts it together. The page is in
`page/`, plain HTML, CSS and JavaScript modules.
"""

from refimpl.chat.app import MAX_FRAME, Chat
from refimpl.chat.people import DEMO

__all__ = ["DEMO", "MAX_FRAME", "Chat"]
