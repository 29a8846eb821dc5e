"""The command line: `refimpl serve`, `connect`, `inspect`, `doctor`, `start`, `reset`, `progress`.

`main` finds the commands and turns every error into one line on stderr; each command is a module
that loads what it needs when it runs, so that `refimpl --help` answers at once.
"""
