"""Lines from a person or a pipe, as an async iterator, and a place to show what arrives.

Both read in a thread of their own, because a terminal and a file cannot be awaited on every
platform.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from refimpl.cli.output import is_terminal, say
from refimpl.handshake.printable import printable

__all__ = ["Lines", "PipeLines", "TerminalLines"]

AHEAD = 64
"""Lines read before they are asked for: enough to keep a sender busy, too few to fill memory."""


class Lines:
    """Lines to send; iterate over them inside `with`."""

    interactive = False

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)

    def __enter__(self) -> Self:
        threading.Thread(target=self._read_all, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the thread go on reading: it ends with the process."""

    def read(self) -> Iterator[str]:
        """Yield lines without their ends; runs in the thread."""
        raise NotImplementedError

    def show(self, text: str) -> None:
        """Print a message that arrived."""
        raise NotImplementedError

    def tell(self, news: str) -> None:
        """Print a notice that is not a message, on a terminal only."""

    def _read_all(self) -> None:
        try:
            for line in self.read():
                self._room.acquire()
                self._pass_on(line)
            self._pass_on(None)
        except Exception as error:
            self._pass_on(error)

    def _pass_on(self, item: str | BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody listens any more
            pass

    async def __aiter__(self) -> AsyncIterator[str]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            yield item


class PipeLines(Lines):
    """Lines of standard input, for a pipe or a file.

    What arrives is printed as it is where a program reads it, and escaped on a terminal.
    """

    def read(self) -> Iterator[str]:
        """Yield lines of UTF-8; the last may lack its end. Raises UnicodeDecodeError."""
        # A reader of our own: one blocked in sys.stdin holds a lock that exiting needs.
        with open(sys.stdin.fileno(), "rb", closefd=False) as source:
            for number, line in enumerate(source, 1):
                try:
                    yield line.rstrip(b"\r\n").decode()
                except UnicodeDecodeError as error:
                    raise ValueError(f"line {number} of the input is not UTF-8") from error

    def show(self, text: str) -> None:
        """Print a message and flush it, because the reader may be waiting for it."""
        if is_terminal(sys.stdout):
            say(text)
        elif sys.stdout is not None:  # not click.echo: it takes out what looks like a colour
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


class TerminalLines(Lines):
    """Lines that a person types at a prompt, with history where readline is available."""

    interactive = True
    PROMPT = "> "

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._terminal = Terminal()
        self.tell(f"Connected to {uri}. Enter sends a line, Ctrl+D closes.")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the terminal back as it was."""
        self._terminal.restore()

    def read(self) -> Iterator[str]:
        """Yield what is typed until Ctrl+D."""
        while True:
            try:
                yield input(self.PROMPT)
            except (EOFError, KeyboardInterrupt):
                return

    def show(self, text: str) -> None:
        """Print a message above the prompt, and the prompt again with what is typed so far.

        Its further lines are indented, so that none of them looks like a line of ours.
        """
        typed = self._terminal.typed()
        shown = printable(f"< {text}", keep="\n\t").replace("\n", "\n  ")
        sys.stdout.write(f"\r\x1b[K{click.style(shown, fg='cyan')}\n{self.PROMPT}{typed}")
        sys.stdout.flush()

    def tell(self, news: str) -> None:
        """Print news on a line of its own."""
        click.echo(f"\r\x1b[K{printable(news)}")


class Terminal:
    """The terminal's history and settings, on systems that have readline and termios."""

    def __init__(self) -> None:
        try:
            import readline

            self._readline = readline
            self._history = history_file()
            try:
                readline.read_history_file(self._history)
            except OSError:
                pass
            readline.set_history_length(1000)
        except ImportError:  # Windows: its console has a history of its own
            self._readline = None  # type: ignore[assignment]
        try:
            import termios

            self._termios = termios
            self._saved = termios.tcgetattr(sys.stdin.fileno())
        except ImportError:
            self._termios = None  # type: ignore[assignment]

    def typed(self) -> str:
        """Return what is typed after the prompt."""
        return self._readline.get_line_buffer() if self._readline else ""

    def restore(self) -> None:
        """Undo what readline did to the terminal, since the thread is still blocked in its read."""
        if self._termios:
            self._termios.tcsetattr(sys.stdin.fileno(), self._termios.TCSADRAIN, self._saved)
        if self._readline:
            try:
                self._history.parent.mkdir(parents=True, exist_ok=True)
                self._readline.write_history_file(self._history)
            except OSError:
                pass


def history_file() -> Path:
    """Return where the lines typed in earlier sessions are kept."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "refimpl" / "history"
