"""The classroom: exercises that check themselves, and the tools that keep notebooks true.

For learners, in a notebook:

    from refimpl.classroom import check, graft, hint

    check(parse_frame)                     one line when it passes, else the first failing case
    await check(read_head)                 the same for an `async def`
    check("broken_frame", broken_frame)    an answer that is a value
    hint(parse_frame)                      the next of three hints
    async with graft(parse_frame) as g:    theirs in the package's place, in a running server

For authors. A chapter's notebook, notebooks/02_framing.ipynb:

1. Tag a code cell `refimpl:framing.mask_int` and leave it empty (a function, class, method or
   assignment, qualified below the package; several tags give several definitions).
   `python -m refimpl.classroom.authoring.weave` fills it; `--check` says what differs.
2. `python -m refimpl.classroom.authoring.notebooks notebooks/02_framing.ipynb` weaves, executes
   from top to bottom and normalises; a notebook in which a cell fails stays as it was. `make
   notebooks`: all.

Its exercises: solutions/02_framing.ipynb is written by hand, exercises/02_framing.ipynb generated.

1. An exercise is a code cell with the answer between `### BEGIN SOLUTION` and `### END SOLUTION`,
   and below it a cell that holds nothing but its check. Inside a function the stub says
   `return ...` in the answer's place, so def line and docstring stand outside of the markers; where
   the answer is a value (`broken_frame = 3`) the stub says `broken_frame = ...`.
2. For "mend this one": below the solution, between `### BEGIN BROKEN` and `### END BROKEN`, put the
   broken lines, each as a comment at its own indentation. The exercise has them as code, under a
   `return ...` that the learner deletes.
3. A cell tagged `solution` (why the answer is right, say) is left out of the exercise.
4. Describe each exercise in refimpl/classroom/checks/<chapter>.py: see `refimpl.classroom.checks`.
5. `python -m refimpl.classroom.authoring.generate` writes exercises/ and stamps nbgrader's metadata
   on both; `python -m refimpl.classroom.authoring.notebooks solutions/02_framing.ipynb` executes.
   In either order.
6. Put three or more plausible wrong answers to each exercise into tests/teaching/wrong/<chapter>.py
   with words that its report must contain (see framing.py there). `pytest tests/teaching` checks
   all of this: every stub is *not attempted*, every solution passes, every mistake is named.
7. End with the learner's code in the real thing: `async with graft(parse_frame) as grafted:` around
   a client that no one here wrote, then `assert grafted.calls["parse_frame"]`. The untouched
   exercise must come through that cell too: its GraftFailed says *not attempted*, nothing hangs.
   With `check_first=True` a wrong answer is reported there, and not by whom it confuses.

Import floors: this package may import any chapter and the lab; nothing imports it.
"""

from refimpl.classroom.checking.check import check, hint
from refimpl.classroom.checking.reports import CheckFailed
from refimpl.classroom.grafting.graft import GraftFailed, graft

__all__ = ["CheckFailed", "GraftFailed", "check", "graft", "hint"]
