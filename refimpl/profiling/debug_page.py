"""The index page of the debug endpoints: what there is, how to request it, and what it costs."""

import os
import platform
from html import escape

from refimpl.profiling.debug_request import MAX_SECONDS, ROOT
from refimpl.profiling.heap import rss
from refimpl.profiling.profiles import BASE_LIMIT, USUAL_SECONDS, Profiles
from refimpl.profiling.render import CONTENT_TYPES, page
from refimpl.profiling.stacks import measured

__all__ = ["index"]

ENTRIES = (
    (
        "profile?seconds=5&format=svg",
        "Where the loop's thread spends its processor time, as a flame graph of samples.",
        "Next to nothing: some hundred samples a second, 5 us each. On Windows, or where the loop "
        "is not in the main thread, 1.7 to 2.3 times the CPU.",
    ),
    (
        "heap?seconds=5",
        "What was allocated in these seconds and is still held, by line, and the new objects. "
        "Without seconds: what there is now.",
        "While it traces, 2.7 times the CPU; everything stops for 0.3 s a million traced blocks.",
    ),
    (
        "heap?base=1",
        "Begins a trace and takes a base snapshot; then heap shows the difference, and heap?base=0 "
        f"ends it. It ends by itself after {BASE_LIMIT / 60:.0f} minutes.",
        "As above, until it ends.",
    ),
    (
        "allocs?seconds=5",
        "Every allocation of these seconds, freed ones too, by stack. Needs memray.",
        "While it records, 2 to 3.5 times the CPU, 10 MiB a second of temporary file; then another "
        "process reads that, 1 us an allocation.",
    ),
    (
        "tasks",
        "Every task: what it waits for, where it was made, its age and its stack; tasks at the "
        "same place are one group. How many there were, over time.",
        "Nothing in the loop, apart from the interpreter lock; 10,000 tasks take 100 ms.",
    ),
)


async def index(profiles: Profiles) -> str:
    """Return the page as HTML, with the state of the process."""
    lag = await profiles.lag()
    tasks = profiles.history.samples[-1][1].total() if profiles.history.samples else 0
    facts = [
        f"process {os.getpid()}, Python {platform.python_version()}",
        f"{measured(rss(), 'bytes')} of memory",
        f"{tasks:,} tasks",
        "the loop does not answer" if lag is None else f"the loop answers in {lag * 1000:.1f} ms",
        f"busy: {profiles.busy}" if profiles.busy else "nobody is profiling",
    ]
    rows = [
        f"<tr><td><code>{escape(path)}</code></td><td>{escape(what)}</td>"
        f"<td>{escape(cost)}</td></tr>"
        for path, what, cost in ENTRIES
    ]
    body = (
        f"<p>{escape(' · '.join(facts))}</p>\n"
        "<table>\n<tr><th>Path</th><th>What it shows</th><th>What it costs</th></tr>\n"
        + "\n".join(rows)
        + f"\n</table>\n<p>One profile at a time, for at most {MAX_SECONDS:g} s "
        f"({USUAL_SECONDS:g} s where none are named); each is logged. "
        f"<code>format</code> is {', '.join(f'<code>{name}</code>' for name in CONTENT_TYPES)}; "
        "speedscope files open at speedscope.app. The token goes into a header:</p>\n"
        "<pre>curl -H 'Authorization: Bearer TOKEN' "
        f"'http://127.0.0.1:PORT{ROOT}profile?seconds=5&amp;format=svg' &gt; cpu.svg\n"
        "refimpl profile http://127.0.0.1:PORT --seconds 5 --kind cpu --out cpu.svg</pre>"
    )
    return page("Debug endpoints", body)
