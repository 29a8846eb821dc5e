"""`python -m refimpl` and the `refimpl` command: see `refimpl.command`."""

import sys


def main() -> int:
    """Run the command line and return its exit status."""
    from refimpl.command.main import run  # click and the rest load only when there is work

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
