"""Says in one line whether this Python can run the series: exit status 0, or 1 and the reason.

The Makefile runs this file by its path with every interpreter it considers, the oldest included,
so nothing in it may need a recent Python: no annotations, no f-strings, no import but the
standard library's. `-q` keeps the reason to itself.
"""

import sys

OLDEST = (3, 11)

TOO_OLD = "refimpl needs Python %d.%d or newer, and %s is %d.%d: name a newer one, as in %s"
NO_VENV = "%s cannot create environments: install its venv module (Debian: apt install %s)"


def complaint(version=sys.version_info, executable=sys.executable):
    """Tell what is wrong with this interpreter, or return None when nothing is."""
    if tuple(version[:2]) < OLDEST:
        found = (executable, version[0], version[1])
        return TOO_OLD % (OLDEST + found + ("PYTHON=python3.12",))
    try:
        import ensurepip  # noqa: F401  (Debian ships Python without it)
        import venv  # noqa: F401
    except ImportError:
        return NO_VENV % (executable, "python3-venv")
    return None


if __name__ == "__main__":
    problem = complaint()
    if problem and "-q" not in sys.argv[1:]:
        sys.stderr.write(problem + "\n")
    sys.exit(1 if problem else 0)
