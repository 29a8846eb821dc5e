"""Options that several commands share: named as the arguments of `serve` and `connect`."""

import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["OrNone", "limits", "reason"]

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
    ("--tcp-timeout", SECONDS, "for looking up the name and for TCP alone"),
    ("--open-timeout", SECONDS, "for the whole opening handshake"),
    ("--ping-interval", SECONDS, "between pings to a peer, to see whether it lives"),
    ("--ping-timeout", SECONDS, "for its answer before it is given up"),
    ("--close-timeout", SECONDS, "for closing in all"),
    ("--max-size", NUMBER, "bytes of one incoming message"),
    ("--max-fragments", click.INT, "fragments of one incoming message"),
    ("--max-queue", NUMBER, "messages received and not yet taken"),
    ("--max-memory", NUMBER, "bytes held for all connections; beyond it the largest are closed"),
    ("--max-header-line", click.INT, "bytes of one header line of a request"),
    ("--max-head", click.INT, "bytes of a request's whole head"),
    ("--write-limit", click.INT, "bytes waiting to be sent before sending waits too"),
)


def limits(function: Callable[..., Any]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the limits which function takes, as its options.

    Each option has the name of the argument, with hyphens, and its default.
    """
    arguments = inspect.signature(function).parameters

    def decorate(command: Command) -> Command:
        for name, kind, help_text in reversed(LIMITS):
            argument = arguments.get(name[2:].replace("-", "_"))
            if argument is not None:
                default = argument.default
                shown = "none" if default is None else True
                option = click.option(
                    name, type=kind, default=default, show_default=shown, help=help_text
                )
                command = option(command)
        return command

    return decorate


def reason(error: OSError) -> str:
    """Return why the network refused, in the system's own few words."""
    verdict: str | None = getattr(error, "verify_message", None)  # a certificate's
    if verdict:
        return f"certificate refused: {verdict}"
    if isinstance(error, TimeoutError) or not error.errno or error.errno < 0:
        return error.strerror or str(error)
    return os.strerror(error.errno)
