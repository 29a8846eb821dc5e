"""The command line: `refimpl`, with a module for each command.

`main` finds the commands and turns every error into one line on stderr. A command loads what it
needs when it runs, so that `refimpl --help` answers at once.
"""
