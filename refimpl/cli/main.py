"""The `refimpl` command: its sub-commands by name, and its error messages.

An error is one line on stderr and a non-zero status: 2 for a wrong call, 1 for a failure, 130 for
Ctrl+C. Only a bug of ours prints a traceback.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from refimpl import __version__
from refimpl.cli.output import say
from refimpl.errors import WebSocketError

__all__ = ["run"]

COMMANDS = {
    "serve": "refimpl.cli.serve",
    "connect": "refimpl.cli.connect",
    "inspect": "refimpl.cli.inspect",
    "demo": "refimpl.cli.demo",
    "doctor": "refimpl.cli.doctor",
    "load": "refimpl.cli.load",
    "bench": "refimpl.cli.bench",
    "profile": "refimpl.cli.profile",
    "start": "refimpl.cli.learner",
    "reset": "refimpl.cli.learner",
    "progress": "refimpl.cli.learner",
}
EXPECTED = (OSError, WebSocketError, LookupError, ValueError, UnicodeError)
"""What can go wrong without a bug: the network, the peer, a name, a value, a file."""


class Commands(click.Group):
    """The sub-commands, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name: a function of the same name in its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command has examples: refimpl serve --help",
)
@click.version_option(__version__, prog_name="refimpl")
def refimpl() -> None:
    """A WebSocket stack built chapter by chapter: serve, connect, look at the bytes, learn."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return the exit status; an error is printed in one line."""
    try:
        status = refimpl.main(list(arguments), prog_name="refimpl", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        help_command = f"{error.ctx.command_path} --help" if error.ctx else "refimpl --help"
        return fail(f"{one_line(error.format_message())} See {help_command}.", 2)
    except click.ClickException as error:
        return fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    except EXPECTED as error:
        return fail(describe(error), 1)


def fail(message: str, status: int) -> int:
    """Print one line on stderr and return the status."""
    say(f"refimpl: {one_line(message)}", err=True)
    return status


def describe(error: Exception) -> str:
    """Return what an error says, or its kind where it says nothing."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def one_line(text: str) -> str:
    """Return text with every run of white space as one space."""
    return " ".join(text.split())
