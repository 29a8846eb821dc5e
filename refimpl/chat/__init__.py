"""The reference application: a chat that stands on all floors, and shows its own frames.

`refimpl demo` runs it, in one process or on several nodes. `stores` is what the nodes have in
common; `lobby` is one node's rooms and who is in them, `rooms` a message as it stands in the store,
`messages` the protocol of page and server. `visitor` is one connection and `outbox` what waits for
it. `limits` is the rate limit, `talk` and `records` are the two WebSocket endpoints. `people`,
`fair_queue`, `sessions` and `api` are signing in and out, and `app` puts everything together. The
page is in `page/`: plain HTML, CSS and JavaScript modules.
"""

from refimpl.chat.app import MAX_FRAME, Chat
from refimpl.chat.people import DEMO

__all__ = ["DEMO", "MAX_FRAME", "Chat"]
