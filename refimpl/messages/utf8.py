"""Text as it arrives: UTF-8 checked byte by byte, failing as early as can be (RFC 6455 8.1).

A message may be cut anywhere, inside a character too. Python's incremental decoder waits for the
rest of a character and refuses what cannot become one, with one exception, mended here: it holds
`ED A0` until a third byte comes, though a surrogate is certain after the second.

>>> decoder = Utf8Decoder()
>>> decoder.decode(b"caf\\xc3"), decoder.decode(b"\\xa9", final=True)
('caf', 'é')
>>> Utf8Decoder().decode(b"\\xed\\xa0")
Traceback (most recent call last):
    ...
refimpl.errors.RemoteProtocolError: got bytes that are not UTF-8 (RFC 6455 8.1)
"""

import codecs

from refimpl.errors import LocalProtocolError, RemoteProtocolError
from refimpl.framing import Buffer, CloseCode, mask

__all__ = ["LookAhead", "Utf8Decoder", "decode_text", "encode_text"]

_new_decoder = codecs.getincrementaldecoder("utf-8")


def decode_text(payload: bytes) -> str:
    """Return a whole text message; RemoteProtocolError with 1007 where it is not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8() from error


def encode_text(text: str) -> bytes:
    """Return text as UTF-8; LocalProtocolError where it has none (RFC 3629 section 3)."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError("got text with a lone surrogate, which has no UTF-8") from error


def is_surrogate(pending: bytes) -> bool:
    """Whether an unfinished character can only become a surrogate: ED, then A0 or more."""
    return pending[:1] == b"\xed" and pending[1:] >= b"\xa0"


class Utf8Decoder:
    """Decodes one text message piece by piece; every error is a RemoteProtocolError with 1007."""

    __slots__ = ("_decoder",)

    def __init__(self, pending: bytes = b"") -> None:
        self._decoder = _new_decoder()
        self._decoder.setstate((pending, 0))

    @property
    def pending(self) -> bytes:
        """The at most three bytes that wait for the rest of their character."""
        return self._decoder.getstate()[0]

    def decode(self, data: bytes, final: bool = False) -> str:
        """Return the characters that data completes. final: whether no more may follow."""
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            raise _not_utf8() from error
        if is_surrogate(self.pending):
            raise _not_utf8()
        return text


class LookAhead:
    """Checks the text of a frame that is still arriving; each byte is looked at once."""

    def __init__(self, pending: bytes) -> None:
        self._decoder = Utf8Decoder(pending)
        self._seen = 0

    def check(self, buffer: Buffer | memoryview, start: int, key: bytes | None) -> None:
        """Look at what is new of the payload, which lies from start to the buffer's end."""
        new = bytes(memoryview(buffer)[start + self._seen :])
        shift = self._seen % 4  # the key repeats over the whole payload (RFC 6455 5.3)
        self._seen += len(new)
        self._decoder.decode(mask(new, key[shift:] + key[:shift]) if key else new)


def _not_utf8() -> RemoteProtocolError:
    message = "got bytes that are not UTF-8 (RFC 6455 8.1)"
    return RemoteProtocolError(message, CloseCode.INVALID_PAYLOAD)
