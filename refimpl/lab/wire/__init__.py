"""What travels: record it (`tap`, `chaos`), keep it (`capture`), take it apart, say what it means.

`dissect` names the bits of a frame, `decode` makes steps of a recorded conversation, `annotate` and
`heads` put names beside bytes, `transcript` writes the conversation down. `direction` is one side
of it.
"""
