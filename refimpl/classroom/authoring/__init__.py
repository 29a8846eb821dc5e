"""Keeps notebooks in step with the package: `weave` fills cells, `notebooks` executes them.

`generate` makes exercises from solutions (with `stubs`); `notebook_file` reads and writes notebooks
in one normal form, `definitions` finds code in the package by its name.
"""
