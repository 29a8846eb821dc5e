"""What a measurement needs of the machine: a core for each side, CPU time and memory.

On Linux all of it comes from the kernel, to the nanosecond and without a package. Elsewhere it
comes from psutil, and processes are not bound to cores.

>>> import os
>>> cpu_seconds(os.getpid()) > 0
True
"""

import contextlib
import os
import platform
import time
from collections.abc import Iterator

__all__ = [
    "cores",
    "cpu_seconds",
    "describe_machine",
    "kept_waiting",
    "on_core",
    "page_faults",
    "raise_file_limit",
    "resident_bytes",
]

UNLIMITED = 2**20
FIRST, LAST = 0, -1
"""The server's core and the client's."""
CPUCLOCK_SCHED = 2
LINUX = platform.system() == "Linux"


def cores() -> list[int]:
    """Return the cores that this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def on_core(which: int) -> Iterator[None]:
    """Bind this thread, and the processes it starts, to one of its cores for the block."""
    before = cores()
    if len(before) < 2:  # nothing to divide
        yield
        return
    os.sched_setaffinity(0, {before[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process with all its threads and children."""
    return sum(map(_cpu_of_one, family(pid)))


def _cpu_of_one(pid: int) -> float:
    if LINUX:  # what clock_getcpuclockid(3) returns: /proc/PID/stat counts in steps of 10 ms
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    import psutil

    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def resident_bytes(pid: int) -> int:
    """Return the memory of a process and its children that is in RAM."""
    return sum(map(_resident_of_one, family(pid)))


def _resident_of_one(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        import psutil

        return int(psutil.Process(pid).memory_info().rss)


def page_faults(pid: int) -> int:
    """Return the minor page faults of a process and its children: those without a read from disk.

    0 where the system does not count them; Linux does (`ru_minflt`).
    """
    found = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{each}/stat", encoding="utf-8", errors="replace") as file:
                found += int(file.read().rpartition(")")[2].split()[7])
    return found


def kept_waiting(pid: int, thread: int | None = None) -> float:
    """Return the seconds that a process was ready to run while another one had its core.

    thread: of this thread alone. 0 where the system does not count it; Linux does.
    """
    waited = 0.0
    with contextlib.suppress(OSError, IndexError):
        for name in os.listdir(f"/proc/{pid}/task"):
            if thread in (None, int(name)):
                with open(f"/proc/{pid}/task/{name}/schedstat", encoding="ascii") as file:
                    waited += int(file.read().split()[1]) / 1e9
    return waited


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
    return found


def raise_file_limit() -> int:
    """Raise the limit of open files as far as possible, for child processes too; return it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return UNLIMITED
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS grants less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        limit = hard
    return UNLIMITED if limit == resource.RLIM_INFINITY else limit


def describe_machine() -> dict[str, str | int | float]:
    """Return what a record says about the machine it was made on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "processor": processor(),
        "cores": len(cores()) or os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
    }


def processor() -> str:
    """Return the processor's model, or else its architecture."""
    with contextlib.suppress(OSError):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
