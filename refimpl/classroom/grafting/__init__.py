"""The learner's function in a running server: `graft` swaps it in, `guard` watches each call.

`watchdog` stops a call that takes too long; `adapters` fit functions of the exercises to the
places where the package calls them.
"""
