"""Messages: what frames mean together, up to the whole protocol without I/O (RFC 6455, RFC 7692).

`utf8` decodes text as it arrives, `close_frame` knows the close codes, `deflate` compresses,
`assembly` joins fragments, `state` is the life of a connection as a table, `events` are what
happens. `receiving` holds bytes that are not parsed yet, `sending` what one side says, and
`protocol` puts it all together for clients and servers alike.

>>> from refimpl.framing import Frame, Opcode
>>> assembler = MessageAssembler(max_size=1024)
>>> assembler.add(Frame(Opcode.TEXT, b"Hel", fin=False))
>>> assembler.add(Frame(Opcode.CONTINUATION, b"lo"))
'Hello'
"""

from refimpl.messages.assembly import MessageAssembler
from refimpl.messages.close_frame import SENDABLE_CODES, parse_close, serialize_close
from refimpl.messages.deflate import OFFER, Parameters, PerMessageDeflate, negotiate
from refimpl.messages.events import Closed, Event, HandshakeFailed, Ping, Pong
from refimpl.messages.protocol import Protocol
from refimpl.messages.state import TRANSITIONS, Phase, Role, State, Trigger
from refimpl.messages.utf8 import Utf8Decoder, decode_text, encode_text

__all__ = [
    "OFFER",
    "SENDABLE_CODES",
    "TRANSITIONS",
    "Closed",
    "Event",
    "HandshakeFailed",
    "MessageAssembler",
    "Parameters",
    "PerMessageDeflate",
    "Phase",
    "Ping",
    "Pong",
    "Protocol",
    "Role",
    "State",
    "Trigger",
    "Utf8Decoder",
    "decode_text",
    "encode_text",
    "negotiate",
    "parse_close",
    "serialize_close",
]
