"""A state diagram drawn from the transition table, so that the two cannot differ.

>>> from enum import Enum
>>> Light = Enum("Light", "RED GREEN")
>>> Event = Enum("Event", "TIMER POWER_CUT")
>>> table = {(Light.RED, Event.TIMER): Light.GREEN, (Light.GREEN, Event.TIMER): Light.RED,
...          (Light.RED, Event.POWER_CUT): None}
>>> print(draw_states(table, "A lamp").alt)
State diagram with 2 states. RED: on TIMER to GREEN. GREEN: on TIMER to RED.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from refimpl.lab.draw.figures import BLACK, BLUE, GREY, WIDTH, Picture, canvas
from refimpl.lab.text import Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Table = Mapping[tuple[Enum, Enum], Enum | None]
RISE, LETTER, MARGIN, GAP = 0.3, 0.116, 0.22, 1.85
TINTS = ("#F7DDA6", "#A9DFCC", "#EBCBDD", "#E0E0E0", "#BFE0F5")


class Row(NamedTuple):
    """The places of the boxes: the middle of each, and half its width."""

    middle: list[float]
    half: list[float]


def draw_states(
    table: Mapping[tuple[Enum, Enum], Enum | None], claim: str, *, alt: str = ""
) -> Picture:
    """Return the states in a row, and arrows with their triggers; a target of None has no arrow.

    Arrows to the next state are straight, those that skip states or go back bend below, and those
    from a state to itself are loops above. A trigger that leads from every state to the same one is
    written above that state, without arrows.
    """
    states, anywhere = states_of(table), triggers_from_anywhere(table)
    edges = arrows(table, anywhere)
    deepest = max((abs(states.index(b) - states.index(a)) for a, b in edges), default=1)
    low = 1.05 * max(deepest, 2) - 0.45
    row = lay_out(states)
    size = (WIDTH, 0.9 * (low + 2.1))
    with canvas(claim, alt=alt or in_words(table), size=size, bare=True) as drawn:
        axes = drawn.axes
        axes.set_aspect("equal")
        axes.set_xlim(-0.17, row.middle[-1] + row.half[-1] + 0.17)
        axes.set_ylim(-low, 1.75)
        for (before, after), triggers in edges.items():
            names = [each.name for each in triggers]
            _edge(axes, row, states.index(before), states.index(after), names)
        for index, state in enumerate(states):
            _box(axes, row, index, state.name)
        for trigger, after in anywhere.items():
            place = (row.middle[states.index(after)], RISE + 0.12)
            _label(axes, place, [trigger.name, "from anywhere"], below=False)
    return drawn.picture


def lay_out(states: list[Enum]) -> Row:
    """Return a row of boxes, each as wide as its name, with the same gap between any two."""
    half = [MARGIN + LETTER * len(state.name) for state in states]
    middle = [half[0]]
    for left, right in pairwise(half):
        middle.append(middle[-1] + left + GAP + right)
    return Row(middle, half)


def is_next(states: list[Enum], before: Enum, after: Enum) -> bool:
    """Return whether `after` follows directly on `before`."""
    return states.index(after) == states.index(before) + 1


def triggers_from_anywhere(table: Table) -> dict[Enum, Enum]:
    """Return the triggers that lead from every state to the same one, with that state.

    With only two states, arrows say the same and are plainer.
    """
    states = states_of(table)
    found: dict[Enum, Enum] = {}
    for trigger in dict.fromkeys(trigger for _, trigger in table):
        afters = {table.get((state, trigger)) for state in states}
        [after, *others] = afters
        if not others and after is not None and len(states) > 2:
            found[trigger] = after
    return found


def arrows(table: Table, anywhere: Mapping[Enum, Enum]) -> dict[tuple[Enum, Enum], list[Enum]]:
    """Return the triggers of each arrow to draw, without those that lead from everywhere."""
    states = states_of(table)
    found = {}
    for (before, after), triggers in edges_of(table).items():
        if not is_next(states, before, after):
            triggers = [each for each in triggers if each not in anywhere]
        if triggers:
            found[before, after] = triggers
    return found


def _box(axes: Axes, row: Row, index: int, name: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    middle, half = row.middle[index], row.half[index]
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch(
            (middle - half, -RISE),
            2 * half,
            2 * RISE,
            boxstyle=style,
            facecolor=TINTS[index % 5],
            edgecolor=BLACK,
            linewidth=1.4,
            zorder=2,
        )
    )
    axes.text(middle, 0, name, ha="center", va="center", weight="bold", fontsize=10.5, zorder=3)


def states_of(table: Table) -> list[Enum]:
    """Return the states in the order in which their enum defines them."""
    found = {state for state, _ in table} | {after for after in table.values() if after is not None}
    return [state for state in type(next(iter(found))) if state in found]


def edges_of(table: Table) -> dict[tuple[Enum, Enum], list[Enum]]:
    """Return the triggers that lead from one state to another, for each pair with any."""
    edges: dict[tuple[Enum, Enum], list[Enum]] = {}
    for (before, trigger), after in table.items():
        if after is not None:
            edges.setdefault((before, after), []).append(trigger)
    return edges


def _edge(axes: Axes, row: Row, start: int, end: int, triggers: list[str]) -> None:
    from matplotlib.patches import FancyArrowPatch

    x0, x1 = row.middle[start], row.middle[end]
    bend = 0.0
    if start == end:
        tail, head, curve = (x0 + 0.36, RISE), (x0 - 0.36, RISE), "arc3,rad=1.7"
        label = (x0, 0.95 + 0.02)
    elif end == start + 1:
        x0, x1 = x0 + row.half[start], x1 - row.half[end]
        tail, head, curve = (x0, 0), (x1, 0), "arc3,rad=0"
        label = ((x0 + x1) / 2, 0.07)
    else:
        # Longer arrows bend deeper and end further along, so that no two share an arrowhead.
        steps = abs(end - start)
        depth, aside = 1.05 * steps - 1.2, 0.3 * (steps - 2.5)
        x0, x1 = x0 + aside / 2, x1 + aside
        bend = 2 * depth / abs(x1 - x0)
        tail, head, curve = (x0, -RISE), (x1, -RISE), f"arc3,rad={bend}"
        label = ((x0 + x1) / 2, -RISE - depth - 0.07)
    axes.add_patch(
        FancyArrowPatch(
            tail,
            head,
            connectionstyle=curve,
            arrowstyle="-|>,head_width=4,head_length=7",
            color=GREY,
            linewidth=1.8,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )
    _label(axes, label, triggers, below=bend != 0)


def _label(axes: Axes, place: tuple[float, float], triggers: list[str], *, below: bool) -> None:
    """Write the triggers of an arrow: above the place one on each line, below it in one line."""
    axes.text(
        *place,
        (", " if below else "\n").join(triggers),
        ha="center",
        va="top" if below else "bottom",
        fontsize=9,
        color=BLUE,
        family="DejaVu Sans Mono",
        linespacing=1.25,
        zorder=3,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1} if below else None,
    )


def in_words(table: Table) -> str:
    """Return the table as sentences: where each state goes on which trigger."""
    sentences = []
    for state in states_of(table):
        moves = [
            f"on {' or '.join(each.name for each in triggers)} to "
            + (after.name if after is not state else "itself")
            for (before, after), triggers in edges_of(table).items()
            if before is state
        ]
        sentences.append(
            f"{state.name}: {', '.join(moves)}." if moves else f"{state.name}: no way out."
        )
    return f"State diagram with {len(states_of(table))} states. {' '.join(sentences)}"


def mermaid_states(table: Table) -> Text:
    """Return the table as a mermaid state diagram, for a Markdown cell.

    >>> from enum import Enum
    >>> Light = Enum("Light", "RED GREEN"); Event = Enum("Event", "TIMER")
    >>> mermaid_states({(Light.RED, Event.TIMER): Light.GREEN})
    stateDiagram-v2
        direction LR
        RED --> GREEN: TIMER
    """
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [
        f"    {before.name} --> {after.name}: {', '.join(each.name for each in triggers)}"
        for (before, after), triggers in edges_of(table).items()
    ]
    return Text("\n".join(lines))
