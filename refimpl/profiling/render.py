"""A finding and its formats: text, SVG, an HTML page, speedscope, our own JSON.

Every profile over HTTP is a Finding: what it is, a Profile that can be drawn, and a text that says
the same in words. speedscope (speedscope.app) is a viewer for large profiles; it reads its format
from a file, and nothing leaves the machine.

>>> finding = Finding("cpu", "CPU profile", Profile.folded({"serve;send": 2}), "all in send")
>>> Finding.from_json(finding.to_json()) == finding
True
>>> speedscope(finding)["profiles"][0]["weights"]
[2.0]
"""

import json
from dataclasses import dataclass
from html import escape
from typing import Any

from refimpl.profiling.flame import flame_graph
from refimpl.profiling.stacks import Call, Profile, Sample

__all__ = ["CONTENT_TYPES", "Finding", "page", "render", "speedscope"]

CONTENT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
    "html": "text/html; charset=utf-8",
    "speedscope": "application/json",
    "json": "application/json",
}
"""The formats and their media types."""

LARGEST = 1e18  # bytes, seconds or samples: more than any process has
SCHEMA = "https://www.speedscope.app/file-format-schema.json"
UNITS = ("bytes", "seconds")
"""The units of ours that speedscope knows; any other is "none" there."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
       color: #1a1a1a; background: #fff }
h1 { font-size: 1.4rem }
pre { font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; overflow-x: auto }
svg { max-width: 100%; height: auto }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .45rem 1.2rem .45rem 0 }
tr + tr { border-top: 1px solid #d9d9d9 }
code { font: 14px ui-monospace, Menlo, Consolas, monospace; white-space: nowrap }
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one profile. kind: cpu, heap, allocs or tasks; text: for a person."""

    kind: str
    title: str
    profile: Profile
    text: str

    def to_json(self) -> str:
        """Return the finding as JSON, each call written once."""
        calls, samples = _numbered(self.profile)
        document = {
            "kind": self.kind,
            "title": self.title,
            "text": self.text,
            "unit": self.profile.unit,
            "duration": self.profile.duration,
            "idle": self.profile.idle,
            "calls": calls,
            "samples": samples,
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Finding":
        """Return the finding that `to_json` wrote; ValueError for anything else."""
        try:
            document: dict[str, Any] = json.loads(text)
            calls = [
                Call(str(function), str(file), int(line), str(origin))
                for function, file, line, origin in document["calls"]
            ]
            samples: list[Sample] = [
                (tuple(calls[_index(number)] for number in stack), _amount(weight))
                for stack, weight in document["samples"]
            ]
            duration, idle = _amount(document["duration"]), _amount(document["idle"])
            profile = Profile(samples, str(document["unit"]), duration, idle)
            words = [str(document[name]) for name in ("kind", "title", "text")]
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ValueError("got something else, expected a profile as JSON") from error
        return cls(words[0], words[1], profile, words[2])


def _index(number: object) -> int:
    """Return the number of a call; ValueError for anything else that a list could be indexed by."""
    if type(number) is not int or number < 0:
        raise ValueError("expected the number of a call")
    return number


def _amount(number: float) -> float:
    """Return a weight or a time that can be added up and drawn, or raise ValueError."""
    if not 0 <= number <= LARGEST:
        raise ValueError(f"expected a number from 0 to {LARGEST:g}")
    return float(number)


def _numbered(profile: Profile) -> tuple[list[Call], list[tuple[list[int], float]]]:
    """Return each call once, and the samples with the calls' numbers."""
    numbers: dict[Call, int] = {}
    samples = []
    for stack, weight in profile.samples:
        samples.append(([numbers.setdefault(call, len(numbers)) for call in stack], weight))
    return list(numbers), samples


def speedscope(finding: Finding) -> dict[str, Any]:
    """Return the finding in speedscope's file format, ready for `json.dumps`."""
    calls, samples = _numbered(finding.profile)
    frames: list[dict[str, Any]] = []
    for call in calls:
        frame: dict[str, Any] = {"name": call.function}
        if call.file:
            frame["file"] = call.file
        if call.line:
            frame["line"] = call.line
        frames.append(frame)
    unit = finding.profile.unit
    sampled = {
        "type": "sampled",
        "name": finding.title,
        "unit": unit if unit in UNITS else "none",
        "startValue": 0,
        "endValue": finding.profile.total,
        "samples": [stack for stack, _ in samples],
        "weights": [weight for _, weight in samples],
    }
    return {
        "$schema": SCHEMA,
        "exporter": "refimpl",
        "name": finding.title,
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": [sampled],
    }


def page(title: str, body: str) -> str:
    """Return an HTML page without scripts around a body of HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def render(finding: Finding, form: str) -> str:
    """Return the finding in one of the CONTENT_TYPES."""
    if form == "text":
        return f"{finding.title}\n{finding.text}\n"
    if form == "json":
        return finding.to_json()
    if form == "speedscope":
        return json.dumps(speedscope(finding))
    picture = flame_graph(finding.profile, finding.title)
    if form == "svg":
        return picture
    return page(finding.title, f"{picture}\n<pre>{escape(finding.text)}</pre>")
