"""An engine for uvicorn: `uvicorn --ws refimpl.middleware.engine:Engine app:app`.

`protocol` is the class that uvicorn makes one of for each connection. `scope` is what the
application is told about the request, `answers` what it may say before it accepts, `order` the
order that ASGI lays down, `observe` how a connection is watched, `host` what uvicorn expects.
"""

from refimpl.middleware.engine.protocol import Engine

__all__ = ["Engine"]
