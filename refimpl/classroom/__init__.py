"""The classroom: exercises that check themselves, and the tools that keep notebooks true.

For learners, in a notebook:

    from refimpl.classroom import check, graft, hint

    check(parse_frame)                     one line when it passes, else the first failing case
    await check(read_head)                 the same for an `async def`
    check("broken_frame", broken_frame)    an answer that is a value
    hint(parse_frame)                      the next of three hints
    async with graft(parse_frame) as g:    their function in a running server

For authors. A chapter's notebook, notebooks/02_framing.ipynb:

1. Tag a code cell `refimpl:framing.mask_int` and leave it empty (a function, class, method or
   assignment, qualified below the package; several tags give several definitions).
   `python -m refimpl.classroom.authoring.weave` fills it; `--check` says what differs.
2. `python -m refimpl.classroom.authoring.notebooks notebooks/02_framing.ipynb` weaves, executes
   from top to bottom and normalises; a notebook in which a cell fails stays as it was. `make
   notebooks` does this for all.

Its exercises: solutions/02_framing.ipynb is written by hand, exercises/02_framing.ipynb generated.

1. An exercise is a code cell with the answer between `### BEGIN SOLUTION` and `### END SOLUTION`,
   and below it a cell with its check alone. Inside a function the stub has `return ...` in place of
   the answer, so the def line and the docstring are outside of the markers. For an answer that is a
   value (`broken_frame = 3`) the stub is `broken_frame = ...`.
2. For "mend this one": below the solution, between `### BEGIN BROKEN` and `### END BROKEN`, put the
   broken lines, each as a comment at its own indentation. The exercise has them as code, under a
   `return ...` that the learner deletes.
3. A cell tagged `solution`, for example on why the answer is right, is left out of the exercise.
4. Describe each exercise in refimpl/classroom/checks/<chapter>.py: see `refimpl.classroom.checks`.
5. `python -m refimpl.classroom.authoring.generate` writes exercises/ and stamps nbgrader's metadata
   on both; `python -m refimpl.classroom.authoring.notebooks solutions/02_framing.ipynb` executes.
   The order does not matter.
6. Put three or more plausible wrong answers to each exercise into
tests/teaching/wrong/<chapter>.py,
   each with words that its report must contain (see framing.py there). `pytest tests/teaching`
   checks all of this: every stub is *not attempted*, every solution passes, every mistake is named.
7. End with the learner's code in the real thing: `async with graft(parse_frame) as grafted:` around
   a client of another project, then `assert grafted.calls["parse_frame"]`. An untouched exercise
   must pass through that cell without hanging: GraftFailed says *not attempted*. With
   `check_first=True` a wrong answer is reported there, before it can confuse a peer.

Import floors: this package may import any chapter and the lab; nothing imports it.
"""

from refimpl.classroom.checking.check import check, hint
from refimpl.classroom.checking.reports import CheckFailed
from refimpl.classroom.grafting.graft import GraftFailed, graft

__all__ = ["CheckFailed", "GraftFailed", "check", "graft", "hint"]
