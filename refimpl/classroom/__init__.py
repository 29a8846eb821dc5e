"""The classroom: exercises that check themselves, and the tools that keep notebooks true.

For learners, in a notebook:

    from refimpl.classroom import check, graft, hint

    check(parse_frame)                       one line when it passes, else the first failing case
    and the way on await check(read_head)                   the same for an `async def`
    check("broken_frame", broken_frame)      an answer that is a value hint(parse_frame)
    the next of three hints with graft(parse_frame) as grafted: ...  their function in place of the
    package's, in a running server

For authors. A chapter's notebook (notebooks/02_framing.ipynb):

1. Tag a code cell `refimpl:framing.mask_int` (a function, class, method or assignment, qualified
   below the package) and leave it empty. `python -m refimpl.classroom.weave` fills it; `--check`
   says what differs.
2. `python -m refimpl.classroom.notebooks notebooks/02_framing.ipynb` executes from top to bottom
   and normalises.

Its exercises: write solutions/02_framing.ipynb by hand; exercises/02_framing.ipynb is generated
from it.

1. An exercise is a cell with the answer between `### BEGIN SOLUTION` and `### END SOLUTION`, and
   below it a cell that holds nothing but its check. The stub puts `return ...` in place of a region
   inside a function, and `name = ...` for each name that a region outside one assigns. Signature
   and docstring stay outside the region. For "mend this one", put the broken lines, each behind `#
   `, between `### BEGIN BROKEN` and `### END BROKEN` below the solution: they come back to life in
   the exercise, under a `return ...` that the learner deletes.
2. A cell tagged `solution` (an explanation of the answer, say) is left out of the exercise.
3. Describe each exercise in refimpl/classroom/checks/<chapter>.py: see `refimpl.classroom.checks`.
4. `python -m refimpl.classroom.exercises` stamps nbgrader's metadata on both sides and writes
   exercises/. Then execute the solutions: `python -m refimpl.classroom.notebooks
   solutions/02_framing.ipynb`.
5. Put three or more plausible wrong answers a exercise, each with the words that its report must
   contain, into tests/teaching/wrong/<chapter>.py. `pytest tests/teaching` checks all of it.

Import floors: this package may import any chapter and the lab; nothing imports it.
"""

from .checking import check, hint
from .grafting import GraftFailed, graft
from .reports import CheckFailed

__all__ = ["CheckFailed", "GraftFailed", "check", "graft", "hint"]
