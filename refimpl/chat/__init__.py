"""The reference application: a chat that stands on all floors, and shows its own frames.

`refimpl demo` runs it. `rooms` number and keep what was said, `messages` is the language of page
and server, `lobby` knows who is where, `visitor` is one connection and `outbox` what waits for it,
`limits` slow down who talks too fast, `talk` and `records` are the two WebSocket endpoints.
`people`, `line`, `sessions` and `api` are the way in and out; `app` puts it together. The page is
in `page/`, plain HTML, CSS and JavaScript modules.
"""

from refimpl.chat.app import MAX_FRAME, Chat
from refimpl.chat.people import DEMO

__all__ = ["DEMO", "MAX_FRAME", "Chat"]
