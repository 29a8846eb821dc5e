"""An engine for uvicorn: `uvicorn --ws refimpl.middleware.engine:Engine app:app`.

`protocol` has the class that uvicorn makes for each connection. `scope` is what the application is
told about the request, `answers` its HTTP answers, `order` the order of messages that ASGI demands,
`observe` how frames are watched, `server` what the connections of a server share.

`http` is for `--http`, in front of the engine: uvicorn waits for ever for the rest of a request,
`--http refimpl.middleware.engine.http:HTTP` does not.
"""

from refimpl.middleware.engine.protocol import Engine

__all__ = ["Engine"]
