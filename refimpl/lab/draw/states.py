"""A state diagram drawn from the transition table itself, so that the two cannot disagree.

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
from typing import TYPE_CHECKING

from refimpl.lab.draw.figures import BLACK, BLUE, GREY, WIDTH, Picture, canvas
from refimpl.lab.text import Text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Table = Mapping[tuple[Enum, Enum], Enum | None]
SPACING, RISE = 3.0, 0.28
ROOMY, CROWDED = (0.78, 11.0, 0.07), (1.0, 9.0, RISE + 0.06)  # half a box, its font, its labels
TINTS = ("#F7DDA6", "#A9DFCC", "#EBCBDD", "#E0E0E0", "#BFE0F5")


def draw_states(
    table: Mapping[tuple[Enum, Enum], Enum | None], claim: str, *, alt: str = ""
) -> Picture:
    """Return the states in a row and arrows with their triggers; None leads nowhere.

    Arrows to the next state run straight, those that skip states or go back bend below, and those
    that end where they began are loops above.
    """
    states = states_of(table)
    edges = edges_of(table)
    deepest = max((abs(states.index(b) - states.index(a)) for a, b in edges), default=1)
    low = 1.05 * max(deepest, 2) - 0.15
    half, font, height = ROOMY if len(states) <= 4 else CROWDED
    with canvas(
        claim, alt=alt or in_words(table), size=(WIDTH, 0.9 * (low + 2.1)), bare=True
    ) as drawn:
        axes = drawn.axes
        axes.set_aspect("equal")
        axes.set_xlim(-half - 0.17, SPACING * (len(states) - 1) + half + 0.17)
        axes.set_ylim(-low, 1.75)
        for (before, after), triggers in edges.items():
            names = [each.name for each in triggers]
            _edge(axes, states.index(before), states.index(after), names, half, height)
        for index, state in enumerate(states):
            _box(axes, index, state.name, half, font)
    return drawn.picture


def _box(axes: Axes, index: int, name: str, half: float, font: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    middle = index * SPACING
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
    axes.text(middle, 0, name, ha="center", va="center", weight="bold", fontsize=font, zorder=3)


def states_of(table: Table) -> list[Enum]:
    """Return the states in the order in which their enum defines them."""
    found = {state for state, _ in table} | {after for after in table.values() if after is not None}
    return [state for state in type(next(iter(found))) if state in found]


def edges_of(table: Table) -> dict[tuple[Enum, Enum], list[Enum]]:
    """Return the triggers that lead from one state to another, for each pair that has any."""
    edges: dict[tuple[Enum, Enum], list[Enum]] = {}
    for (before, trigger), after in table.items():
        if after is not None:
            edges.setdefault((before, after), []).append(trigger)
    return edges


def _edge(
    axes: Axes, start: int, end: int, triggers: list[str], half: float, height: float
) -> None:
    from matplotlib.patches import FancyArrowPatch

    x0, x1 = start * SPACING, end * SPACING
    bend = 0.0
    if start == end:
        tail, head, curve = (x0 + 0.36, RISE), (x0 - 0.36, RISE), "arc3,rad=1.7"
        label = (x0, 0.95 + 0.02)
    elif end == start + 1:
        tail, head, curve = (x0 + half, 0), (x1 - half, 0), "arc3,rad=0"
        label = ((x0 + x1) / 2, height)
    else:
        # Longer arrows bend deeper and end further along, so that two never meet in one arrowhead.
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
    """Write the triggers of an arrow: above the place one a line, below it in one line."""
    axes.text(
        *place,
        (", " if below else "\n").join(triggers),
        ha="center",
        va="top" if below else "bottom",
        fontsize=9.5,
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
