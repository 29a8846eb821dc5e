"""An engine for uvicorn: `uvicorn --ws refimpl.middleware.engine:Engine app:app`.

`protocol` is the class that uvicorn makes one of for each connection. `scope` is what the
application is told about the request, `answers` what it may say before it accepts, `order` the
order that ASGI lays down, `observe` how a connection is watched, `host` what uvicorn expects.

`http` is for `--http`, in front of the engine: uvicorn waits for ever for the rest of a request,
`--http refimpl.middleware.engine.http:HTTP` does not.
"""

from refimpl.middleware.engine.protocol import Engine

__all__ = ["Engine"]
