"""Close codes and the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

>>> parse_close(serialize_close(1001, "restarting"))
Close(code=1001, reason='restarting')
>>> parse_close(b"")
Close(code=1005, reason='')
"""

from refimpl.errors import Close, LocalProtocolError, RemoteProtocolError
from refimpl.framing import CloseCode
from refimpl.messages.utf8 import encode_text

__all__ = ["SENDABLE_CODES", "parse_close", "serialize_close"]

# RFC 6455 7.4: 1005, 1006 and 1015 are for reports only and never travel; 1004 and 1016-2999 are
# reserved; 3000-4999 belong to libraries and applications.
SENDABLE_CODES = frozenset(CloseCode) - {1005, 1006, 1015} | frozenset(range(3000, 5000))


def parse_close(payload: bytes) -> Close:
    """Return the code and reason of a Close frame; 1005 where it has none (section 7.1.5)."""
    if not payload:
        return Close(int(CloseCode.NO_STATUS_RECEIVED))
    if len(payload) == 1:
        raise RemoteProtocolError("got a Close of 1 byte, expected 0 or >= 2 (RFC 6455 5.5.1)")
    code = int.from_bytes(payload[:2], "big")
    if code not in SENDABLE_CODES:
        raise RemoteProtocolError(f"got close code {code}, which may not be sent (RFC 6455 7.4)")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        message = "got a close reason that is not UTF-8 (RFC 6455 5.5.1)"
        raise RemoteProtocolError(message, CloseCode.INVALID_PAYLOAD) from error


def serialize_close(code: int, reason: str = "") -> bytes:
    """Return the payload of a Close frame; empty for code 1005, which itself never travels.

    Raises LocalProtocolError for a code that may not be sent and a reason of more than 123 bytes.
    """
    if code == CloseCode.NO_STATUS_RECEIVED and not reason:
        return b""
    if code not in SENDABLE_CODES:
        raise LocalProtocolError(f"got close code {code}, expected one that may be sent (7.4)")
    payload = code.to_bytes(2, "big") + encode_text(reason)
    if len(payload) > 125:
        raise LocalProtocolError(f"got a reason of {len(payload) - 2} bytes, expected at most 123")
    return payload
