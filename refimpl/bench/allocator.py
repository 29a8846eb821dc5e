"""The two regimes of glibc's allocator in which servers are measured.

asyncio reads into a new block of 256 KiB. glibc either takes it from the heap, or maps it and
unmaps it at every read. That depends on what else is on the heap, and costs some servers more than
all of their own work. With the heap kept, no server pays for it: this is the reference. By default
some do, and the page faults of a message show which.

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
"""The environment variables of each regime; allocators other than glibc's ignore them."""


def environment(regime: str) -> dict[str, str]:
    """Return the environment of a server in a regime: this process's, except for the allocator."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return {**rest, **REGIMES[regime]}
