"""The application's own binary protocol: envelopes on any byte stream, and a heartbeat in them.

`frame` holds the envelope (length, type, payload, CRC-32), its decoder and the registry of types;
`heartbeat` the record that tells loss, doubling and reordering apart. No I/O.

>>> registry = TypeRegistry({0x01: Heartbeat.parse, 0x10: bytes.decode})
>>> decoder = Decoder()
>>> for envelope in decoder.receive_data(encode_text(0x10, "Hello") + encode(0x10, b"")):
...     print(repr(registry.read(envelope)))
'Hello'
''
"""

from refimpl.envelope.frame import (
    MAX_SIZE,
    NEED_MORE,
    OVERHEAD,
    BadChecksum,
    BadPayload,
    Decoder,
    Envelope,
    EnvelopeError,
    Need,
    TooLong,
    Truncated,
    TypeRegistry,
    UnknownType,
    encode,
    encode_text,
    parse,
    parse_message,
)
from refimpl.envelope.heartbeat import (
    Arrival,
    Beat,
    Heartbeat,
    Observation,
    SequenceTracker,
    distance,
)

__all__ = [
    "MAX_SIZE",
    "NEED_MORE",
    "OVERHEAD",
    "Arrival",
    "BadChecksum",
    "BadPayload",
    "Beat",
    "Decoder",
    "Envelope",
    "EnvelopeError",
    "Heartbeat",
    "Need",
    "Observation",
    "SequenceTracker",
    "TooLong",
    "Truncated",
    "TypeRegistry",
    "UnknownType",
    "distance",
    "encode",
    "encode_text",
    "parse",
    "parse_message",
]
