"""Read and write DER (ITU-T X.690), the few shapes that time-stamp tokens are made of.

The rules:

* Lengths are definite and in the fewest bytes; nothing follows the outermost value; tags have one byte.
* Integers are in the fewest bytes; a boolean is 00 or FF; a bit string of ours has no unused bits.
* The elements of a SET OF ascend by their bytes.
* An element that is read must be used: `Reader.end` refuses what is left over.

Nothing here allocates by a length that it has not seen bytes for, and nesting is the caller's, so input costs no more
than its length.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.timestamps.errors import DerMalformedError

__all__ = [
    "BIT_STRING",
    "BOOLEAN",
    "GENERALIZED_TIME",
    "INTEGER",
    "NULL",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "UTF8_STRING",
    "Reader",
    "context",
    "encode",
    "encode_integer",
    "encode_oid",
    "explicit",
]

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LENGTH_BYTES_MAX: Final = 4
_HIGH_TAG: Final = 0x1F
_LONG_FORM: Final = 0x80
_INTEGER_BYTES_MAX: Final = 64  # Serial numbers have 20 at most, nonces 8; no key is read here.
_OID_BYTES_MAX: Final = 64


def context(number: int) -> int:
    """Returns the tag byte of a primitive context-specific element."""
    return 0x80 | number


def explicit(number: int) -> int:
    """Returns the tag byte of a constructed context-specific element."""
    return 0xA0 | number


class Reader:
    """Reads elements one after the other out of bytes that hold nothing else."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether every element was read."""
        return self._at == len(self._raw)

    def next_tag(self) -> int:
        """Returns the tag byte of the next element, or -1 at the end."""
        return -1 if self.is_at_end else self._raw[self._at]

    def any(self) -> tuple[int, bytes, bytes]:
        """Returns the next element: its tag byte, its content, and all its bytes.

        Raises:
            DerMalformedError: there is none, or it is no DER.
        """
        raw, start = self._raw, self._at
        if start + 2 > len(raw):
            raise DerMalformedError("an element is cut off", offset=start)
        tag, first = raw[start], raw[start + 1]
        if tag & _HIGH_TAG == _HIGH_TAG:
            raise DerMalformedError("a tag has more than one byte", offset=start)
        at = start + 2
        length = first
        if first >= _LONG_FORM:
            count = first & 0x7F
            if not 1 <= count <= _LENGTH_BYTES_MAX or at + count > len(raw):
                raise DerMalformedError("a length is indefinite, too long or cut off", offset=start)
            length = int.from_bytes(raw[at : at + count])
            if length < _LONG_FORM or raw[at] == 0:
                raise DerMalformedError("a length is not in the fewest bytes", offset=start)
            at += count
        end = at + length
        if end > len(raw):
            raise DerMalformedError("an element is cut off", offset=start)
        self._at = end
        return tag, raw[at:end], raw[start:end]

    def take(self, tag: int) -> bytes:
        """Returns the content of the next element, which must have this tag byte.

        Raises:
            DerMalformedError: it has another, or is no DER.
        """
        start = self._at
        found, content, _ = self.any()
        if found != tag:
            raise DerMalformedError(
                "another element is expected", offset=start, expected=f"{tag:02x}", found=f"{found:02x}"
            )
        return content

    def inside(self, tag: int) -> Reader:
        """Returns a reader of what is inside the next element, which must have this tag byte."""
        return Reader(self.take(tag))

    def integer(self, tag: int = INTEGER) -> int:
        """Returns the next element as a whole number."""
        content = self.take(tag)
        if not content or len(content) > _INTEGER_BYTES_MAX:
            raise DerMalformedError("a number is empty or too long", length=len(content))
        if len(content) > 1 and (
            (content[0] == 0 and content[1] < _LONG_FORM) or (content[0] == 0xFF and content[1] >= _LONG_FORM)
        ):
            raise DerMalformedError("a number is not in the fewest bytes")
        return int.from_bytes(content, signed=True)

    def boolean(self) -> bool:
        """Returns the next element as a truth value."""
        content = self.take(BOOLEAN)
        if content not in (b"\x00", b"\xff"):
            raise DerMalformedError("a boolean is 00 or FF")
        return content == b"\xff"

    def oid(self) -> str:
        """Returns the next element as an object identifier in dotted decimal."""
        content = self.take(OBJECT_IDENTIFIER)
        if not content or len(content) > _OID_BYTES_MAX or content[-1] >= _LONG_FORM:
            raise DerMalformedError("an object identifier is empty, too long or cut off")
        arcs: list[int] = []
        value, is_first = 0, True
        for byte in content:
            if is_first and byte == _LONG_FORM:
                raise DerMalformedError("an object identifier is not in the fewest bytes")
            value = value << 7 | byte & 0x7F
            is_first = byte < _LONG_FORM
            if is_first:
                arcs.append(value)
                value = 0
        root = min(arcs[0] // 40, 2)
        return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))

    def set_of(self, tag: int = SET) -> list[tuple[int, bytes, bytes]]:
        """Returns the elements of the next element, a SET OF: ascending, none twice.

        Raises:
            DerMalformedError: they do not ascend.
        """
        inside = self.inside(tag)
        elements: list[tuple[int, bytes, bytes]] = []
        while not inside.is_at_end:
            element = inside.any()
            # X.690, 11.6: compared as octet strings, the shorter padded with zeros at its end.
            if elements and _padded_not_below(elements[-1][2], element[2]):
                raise DerMalformedError("the elements of a set ascend, each once")
            elements.append(element)
        return elements

    def end(self) -> None:
        """Returns if nothing is left over.

        Raises:
            DerMalformedError: something is.
        """
        if not self.is_at_end:
            raise DerMalformedError("something follows that has no place here", offset=self._at)


def _padded_not_below(earlier: bytes, later: bytes) -> bool:
    length = max(len(earlier), len(later))
    return earlier.ljust(length, b"\0") >= later.ljust(length, b"\0")


def encode(tag: int, *contents: bytes) -> bytes:
    """Returns one element around these contents."""
    content = b"".join(contents)
    length = len(content)
    if length < _LONG_FORM:
        return bytes((tag, length)) + content
    raw = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(raw))) + raw + content


def encode_integer(value: int) -> bytes:
    """Returns a whole number, in the fewest bytes.

    >>> encode_integer(128).hex()
    '02020080'
    """
    return encode(INTEGER, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, signed=True))


def encode_oid(dotted: str) -> bytes:
    """Returns an object identifier.

    >>> encode_oid("1.2.840.113549").hex()
    '06062a864886f70d'

    Raises:
        ValueError: the text is no object identifier.
    """
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | _LONG_FORM)
        content += bytes(reversed(groups))
    return encode(OBJECT_IDENTIFIER, bytes(content))
