"""Options that several commands share: named as the arguments of `serve` and `connect`."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from refimpl.lifecycle import Settings

__all__ = ["OrNone", "error_text", "limits"]

Command = TypeVar("Command", bound=Callable[..., Any])


class OrNone(click.ParamType[Any]):
    """A number, or the word "none", which switches a limit off."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = "number|none" if kind is int else "seconds|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, None for "none", or refuse."""
        if value is None or str(value).lower() == "none":
            return None
        try:
            return self.kind(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'none'.", param, ctx)


NUMBER, SECONDS = OrNone(int), OrNone(float)
LIMITS = (
    ("--open-timeout", SECONDS, "for the whole opening handshake"),
    ("--ping-interval", SECONDS, "between pings that check whether the peer is alive"),
    ("--ping-timeout", SECONDS, "for the Pong, before the connection is failed"),
    ("--close-timeout", SECONDS, "for the whole closing handshake"),
    ("--max-size", NUMBER, "bytes of one incoming message"),
    ("--max-fragments", click.INT, "fragments of one incoming message"),
    ("--max-queue", NUMBER, "messages received but not yet read"),
    ("--write-limit", click.INT, "bytes waiting to be sent before sending waits too"),
)


def limits(command: Command) -> Command:
    """Give a command the options for the limits of a connection."""
    defaults = Settings()
    for name, kind, help_text in reversed(LIMITS):
        default = getattr(defaults, name[2:].replace("-", "_"))
        option = click.option(name, type=kind, default=default, show_default=True, help=help_text)
        command = option(command)
    return command


def error_text(error: OSError) -> str:
    """Return what went wrong in the network, in the system's own words."""
    verdict: str | None = getattr(error, "verify_message", None)  # a certificate's
    if verdict:
        return f"certificate refused: {verdict}"
    if isinstance(error, TimeoutError) or not error.errno or error.errno < 0:
        return error.strerror or str(error)
    return os.strerror(error.errno)
