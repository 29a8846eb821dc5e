"""The exercises of the series: a module for each chapter, by its name, with a tuple `EXERCISES`.

How to write one; `framing.parse_frame` is the worked example.

    from refimpl.errors import RemoteProtocolError
    from refimpl.framing import mask
    from refimpl.classroom.checking.cases import Answer, Case, Exercise, Wrong, call, raises

    EXERCISES = (
        Exercise(
            "mask",                               the learner's function
            points=2,
            rule='RFC 6455 5.3 "Client-to-Server Masking"',
            hints=("the idea", "the RFC section with worked bytes", "the outline in words"),
            cases=(
                Case("five letters", call(b"Hello", KEY), expect=mask(b"Hello", KEY)),
                Case("a short key", call(b"x", b"k"), error=raises(ValueError)),
                Case("twice", drive=lambda f: f(f(b"Hi", KEY), KEY),
                     shown="mask(mask(b'Hi', key), key)", expect=b"Hi",
                     why="XOR with the same key undoes itself"),
                Case("a fresh key", call(), holds=lambda key: len(key) == 4, wanted="4 bytes"),
            ),
        ),
        Answer("broken_frame", points=1, rule="RFC 6455 5.5", hints=(...), accepts=3,
               mistakes={4: "frame 4 is long, but not a control frame"},
               otherwise="count the frames from 0"),
    )

- Order the cases from plain to hard: a learner reads only the first that fails. Name what is
special
  about each. `why` is the sentence that a teacher would say to someone who fails just there.
- Compute what is expected by hand or with the package, never with a copy of the solution.
- Results are compared strictly (a bytearray is not bytes, True is not 1); a class that the notebook
  defined again under the same name counts as the package's. Arguments are copied for each call and
  must come back unchanged (`mutates`).
- `drive` gets the learner's function and may do anything: feed byte by byte, build an object, start
  a server (write an `async def` and set `is_async=True`; each case runs in an event loop of its
  own). Raise `Wrong("what was got")` there.
- For bytes of frames set `explain` to `frame_report.frame_result` (parsing) or
  `frame_report.frame_bytes` (serialising). Without it, other bytes, HTTP heads, text, lists and
  dataclasses get their first difference. Your own `explain(case, result)` returns pairs ("label",
  "text"). `show` puts a result in words.
- Seed all randomness. A case has 5 s; set a lower `limit` if a likely mistake is an endless loop.
- `replaces="framing.mask"` names the definition that `graft(mask)` replaces by the learner's;
  keywords that their function does not take are left out. If that is not enough, see `adapters`.
- Names are unique in the whole series: `check` finds an exercise by its function's name.

A chapter whose module would be longer than 350 lines becomes a package of the same name that joins
the tuples of its parts.
"""
