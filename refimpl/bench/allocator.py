"""The two regimes of glibc's allocator in which servers are measured.

asyncio reads into a fresh block of 256 KiB. Whether glibc takes that from the heap, or maps it and
gives it back at every read, depends on what else lies on the heap, and costs some servers more than
all of their own work. With the heap kept, nobody pays for it: the reference. By default, a server
pays or does not, and the page faults of a message show which.

>>> environment("kept")["MALLOC_TRIM_THRESHOLD_"]
'67108864'
"""

import os

__all__ = ["REFERENCE", "REGIMES", "environment"]

REFERENCE = "kept"
REGIMES: dict[str, dict[str, str]] = {
    REFERENCE: {
        "MALLOC_TOP_PAD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    },
    "default": {},
}
"""The variables that make each regime; other allocators than glibc's do not know them."""


def environment(regime: str) -> dict[str, str]:
    """Return the environment of a server in a regime: this process's, but for the allocator."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return {**rest, **REGIMES[regime]}
