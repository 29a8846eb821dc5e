"""Checks answers: `check` is what learners call, `judge` runs the cases, `reports` explain.

`cases` defines an exercise and `lookup` finds it; `verdicts` holds the results; `difference`,
`rendering` and `frame_report` compare a wrong value with the right one; `limits` stops what takes
too long.
"""
