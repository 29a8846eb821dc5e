"""`python -m refimpl` and the `refimpl` command: see `refimpl.cli`."""

import sys


def main() -> int:
    """Run the command line and return its exit status."""
    from refimpl.cli.main import run  # click and the rest load only when there is work

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
