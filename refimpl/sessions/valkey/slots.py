"""Which of a cluster's 16,384 slots a key lives in: CRC16 of the part between braces.

Keys with the same part in braces live in one slot. In a cluster only those change in one step.

>>> slot_of(b"{room:harbour}:meta") == slot_of(b"{room:harbour}:stream")
True
>>> slot_of(b"123456789") == 0x31C3  # the check value of CRC-16/XMODEM, below 16,384 already
True
"""

from binascii import crc_hqx

__all__ = ["SLOTS", "slot_of"]

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    """Return the slot of a key, as the cluster specification of Redis and Valkey defines it."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS
