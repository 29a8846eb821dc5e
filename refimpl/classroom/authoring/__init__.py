"""What keeps notebooks true: `weave` fills cells from the package, `notebooks` executes them.

`generate` makes exercises out of solutions (with `stubs`); `notebook_file` is the one form that a
notebook has as a file, `definitions` finds code in the package by its name.
"""
