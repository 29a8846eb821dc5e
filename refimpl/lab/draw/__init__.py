"""Figures, each with a claim as its title and a text alternative; `figures` is their base.

Charts: `charts`, `scatter`, `grids`, `ratios`, `odometer`, `flames`, `waterfall`. Diagrams:
`bitfields` (a frame), `sequence` (a conversation), `states` (a transition table).
"""
