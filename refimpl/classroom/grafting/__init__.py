"""The learner's function in a running server: `graft` swaps it in, `guard` wraps each call.

`watchdog` stops a call that takes too long; `adapters` make functions of the exercises fit the
places where the package calls them.
"""
