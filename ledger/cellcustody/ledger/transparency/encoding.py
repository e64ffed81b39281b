"""Read and write the two scalar forms that all texts of the log are made of, each in exactly one spelling.

* A number is ASCII decimal without sign, space, separator or leading zero, and fits in 64 bits.
* Bytes are base64 of RFC 4648 section 4: padded, no line breaks, spare bits zero. Whatever does not come back
  unchanged when written again is refused, so that no two texts carry the same bytes.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

__all__ = ["HASH_SIZE_BYTES", "UINT64_MAX", "decode_base64", "decode_decimal", "encode_base64", "is_utf8"]

HASH_SIZE_BYTES: Final = 32  # SHA-256, the only hash of the log.
UINT64_MAX: Final = 2**64 - 1  # Tree sizes are uint64 in the message that ML-DSA-44 signs.

# [0-9] and not \d: the latter takes digits of every script. 20 digits hold 2^64 - 1.
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,19}")


def encode_base64(raw: bytes) -> str:
    """Returns the one base64 text of `raw`."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Returns the bytes of a base64 text.

    Raises:
        ValueError: the text is not the one base64 spelling of any bytes.
    """
    raw = binascii.a2b_base64(text, strict_mode=True)  # binascii.Error is a ValueError.
    if encode_base64(raw) != text:
        raise ValueError("not the one base64 form")
    return raw


def decode_decimal(text: str) -> int:
    """Returns the number that an ASCII decimal text spells.

    Raises:
        ValueError: the text is not the one spelling of a number from 0 to 2^64 - 1.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("not a plain decimal number")
    number = int(text)
    if number > UINT64_MAX:
        raise ValueError("the number does not fit in 64 bits")
    return number


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: a Python string may hold lone surrogates, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
