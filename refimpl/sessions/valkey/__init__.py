"""The store in Valkey, and the client that it is made of.

`store` has the keys and what is done with them; `lua` what is done in one step. Below it: `calls`
(scripts and their answers), `subscriptions`, `routing` (one server or a cluster), `endpoint` (a
server, connected again and again), `link` (one connection).
"""

from refimpl.sessions.valkey.store import ValkeyStore

__all__ = ["ValkeyStore"]
