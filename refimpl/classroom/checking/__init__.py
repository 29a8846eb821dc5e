"""How an answer is checked: `check` asks, `judge` runs the cases, `verdicts` and `reports` say why.

`cases` is what an exercise consists of and `lookup` finds it; `difference`, `rendering` and
`frame_report` put a wrong value beside the right one; `limits` stops what takes too long.
"""
