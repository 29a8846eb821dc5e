"""Open ten thousand idle connections to each server of the comparison, and write down the cost.

python -m tools.record.crowd 10000
"""

from __future__ import annotations

import asyncio
import json
import platform
import sys
from dataclasses import asdict
from importlib import import_module

from refimpl.bench.crowd import RECORD, SERVERS, gather_crowd


async def record(connections: int) -> None:
    """Gather a crowd at each server and write the record."""
    crowds = []
    for name in SERVERS:
        crowds.append(await gather_crowd(name, connections))
        print(crowds[-1])
    about = {"command": f"python -m tools.record.crowd {connections}"}
    about["python"] = platform.python_version()
    about["websockets"] = import_module("websockets").__version__
    rows = {**about, "crowds": [asdict(crowd) for crowd in crowds]}
    RECORD.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(record(int(sys.argv[1])))
