"""What the commands write: text that cannot steer a terminal, and a log that cannot fill a disk.

>>> say("a peer said \\x1b[2J")
a peer said \\x1b[2J
"""

import logging
import math
from collections.abc import Callable
from time import monotonic
from typing import TextIO

import click

from refimpl.handshake.printable import printable

__all__ = ["LogFormatter", "Repeats", "is_terminal", "log_to_stderr", "say"]

REPEAT_AFTER = 1.0  # seconds
MOST_KINDS = 256
Kind = tuple[object, ...]


def say(text: str = "", *, err: bool = False) -> None:
    """Print text that may come from a peer: what is not printable is escaped."""
    click.echo(printable(text, keep="\n\t"), err=err)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal; it is None where the shell has closed it."""
    return stream is not None and not stream.closed and stream.isatty()


def log_to_stderr(name: str = "", label: str = "%(name)s") -> None:
    """Write warnings and errors of a logger to stderr, unless the application has set up a log.

    label: printed before each message.
    """
    log = logging.getLogger(name)
    if log.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(f"%(asctime)s {label}: %(message)s"))
    handler.addFilter(Repeats())
    log.addHandler(handler)


class LogFormatter(logging.Formatter):
    """Writes a record as one line, and a traceback below it, indented.

    So nothing in a message or an error can forge a line of the log. An OSError that asyncio reports
    is written without its traceback, which only shows the inside of asyncio.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        record.message = record.getMessage()
        trace = record.exc_text or ""
        error = record.exc_info[1] if record.exc_info else None
        if record.name == "asyncio" and isinstance(error, OSError):
            record.message, trace = f"{first_line(record.message)}: {error}", ""
        elif record.exc_info and not trace:
            trace = self.formatException(record.exc_info)
        if held := getattr(record, "held_back", 0):
            record.message += f" ({held:,} more like it)"
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [printable(self.formatMessage(record))]
        for text in filter(None, (trace, record.stack_info)):
            lines += [f"  {line}" for line in printable(text, keep="\n").split("\n")]
        return "\n".join(lines)


class Repeats(logging.Filter):
    """Lets one warning of each kind pass a second; the next one says how many were held back.

    A client that can make a server log something can make it do so a million times: 100 lines for
    each failed accept were 1.7 MB in five seconds. Records below a warning always pass.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[Kind, tuple[float, int]] = {}  # when one passed, how many were held back

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = kind_of(record), self._clock()
        passed, held = self._seen.pop(kind, (-math.inf, 0))
        if now - passed < REPEAT_AFTER:
            self._seen[kind] = passed, held + 1
            return False
        self._seen[kind] = now, 0
        if len(self._seen) > MOST_KINDS:
            self._seen.pop(next(iter(self._seen)))
        record.held_back = held
        return True


def kind_of(record: logging.LogRecord) -> Kind:
    """Return what all records of a kind have in common: the message, the error, and its place."""
    kind: Kind = record.name, record.levelno, first_line(str(record.msg))
    if not record.exc_info or record.exc_info[1] is None:
        return kind
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return (*kind, record.exc_info[0], place)


def first_line(text: str) -> str:
    """Return the first line of a message: the rest names objects, which differ each time."""
    return text.partition("\n")[0]
