"""Certificates for tests over TLS: an authority, `localhost`, and a host that nobody asked for.

They are valid for a hundred years and worth nothing: the keys are public, the authority's key is
gone, and no program but these tests trusts it.
"""

from __future__ import annotations

import ssl
from pathlib import Path

HERE = Path(__file__).resolve().parent


def server_context(name: str = "localhost") -> ssl.SSLContext:
    """Return what a server needs to be `name`: "localhost" or "other.example"."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / f"{name}.pem")
    return context


def client_context() -> ssl.SSLContext:
    """Return what a client needs to trust the tests' authority, and to check the host name."""
    return ssl.create_default_context(cafile=str(HERE / "ca.pem"))
