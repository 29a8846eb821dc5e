"""Bytes on the wire: record them (`tap`, `chaos`), keep them (`capture`), take them apart.

`dissect` names the bits of a frame, `decode` turns a recording into steps, `annotate` and `heads`
put names beside bytes, `transcript` writes the conversation as text. `direction` is one side of it.
"""
