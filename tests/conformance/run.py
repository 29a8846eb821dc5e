"""Runs the Autobahn suite and prints a table: `python -m tests.conformance.run --help`.

Without `--testee` it runs our own: `refimpl`, and with the functional cases `engine` as well, which
is an ASGI echo under uvicorn on our engine and has the server's role only. Exits 1 when either
falls short of the promise (0 failed, 0 non-strict, informational only the usual three); peers are
measured and never judged.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from tests.conformance import suite
from tests.conformance.testees import CLIENTS, SERVERS
from tests.conformance.verdicts import SETS, Tally, complaints, table

REPORTS = suite.ROOT / "reports" / "conformance"
OURS = ("refimpl", "engine")
RUNNERS = {"server": suite.fuzz_server, "client": suite.fuzz_client}


class Counter:
    """Shows on a terminal how far a run has come; says nothing into a file."""

    def __init__(self, title: str, expected: int) -> None:
        self.title, self.expected, self.done = title, expected, 0

    def __call__(self, case: str) -> None:
        self.done += 1
        if sys.stderr.isatty():
            end = "\n" if self.done == self.expected else ""
            print(
                f"\r{self.title}: {self.done}/{self.expected} ",
                end=end,
                file=sys.stderr,
                flush=True,
            )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=__doc__)
    parser.add_argument("--cases", choices=SETS, default="functional")
    parser.add_argument("--role", choices=[*RUNNERS, "both"], default="both")
    parser.add_argument("--testee", choices=SERVERS, nargs="+")
    parser.add_argument("--record", type=Path, help="write the counts of a good run to this file")
    options = parser.parse_args(arguments)
    if options.testee is None:  # what takes half an hour a role exercises the same core twice
        options.testee = OURS if options.cases == "functional" else OURS[:1]
    return options


def run_one(testee: str, role: str, cases: str) -> Tally:
    """Run one testee in one role; its reports stay under reports/conformance."""
    patterns, expected = SETS[cases]
    folder = REPORTS / f"{testee}-{role}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return RUNNERS[role](testee, patterns, folder, Counter(f"{testee} {role}", expected))


def save(tallies: list[Tally], path: Path) -> None:
    """Write the counts as JSON, for tables elsewhere."""
    rows = [
        {
            "testee": tally.testee,
            "role": tally.role,
            "cases": len(tally.verdicts),
            "seconds": round(tally.seconds, 1),
            "passed": tally.passed_by_group(),
            **{word: tally.cases(word) for word in ("NON-STRICT", "INFORMATIONAL", "FAILED")},
        }
        for tally in tallies
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    roles = list(RUNNERS) if options.role == "both" else [options.role]
    tallies, bad = [], []
    try:
        suite.install()
        for testee in options.testee:
            for role in [role for role in roles if role == "server" or testee in CLIENTS]:
                tally = run_one(testee, role, options.cases)
                tallies.append(tally)
                if testee in OURS:
                    said = complaints(tally, SETS[options.cases][1])
                    bad += [f"{testee} {role}: {line}" for line in said]
    except suite.SuiteError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(tallies))
    save(tallies, REPORTS / "summary.json")
    if options.record and not bad:
        save(tallies, options.record)
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
