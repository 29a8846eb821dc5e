"""Figures, each with its claim and its text alternative: `figures` is what all of them are made of.

Charts: `charts`, `scatter`, `grids`, `ratios`, `odometer`, `flames`, `waterfall`. Diagrams:
`bitfields` (a frame), `sequence` (a conversation), `states` (a transition table).
"""
