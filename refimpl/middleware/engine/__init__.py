"""An engine for uvicorn: `uvicorn --ws refimpl.middleware.engine:Engine app:app`.

`protocol` has the class that uvicorn makes for each connection. `scope` is what the application is
told about the request, `answers` its HTTP answers, `order` the order of messages that ASGI demands,
`observe` how frames are watched, `server` what the connections of a server share.
"""

from refimpl.middleware.engine.protocol import Engine

__all__ = ["Engine"]
