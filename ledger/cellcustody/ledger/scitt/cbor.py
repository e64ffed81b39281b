"""Write and read CBOR (RFC 8949), as little of it as COSE objects of ours are made of.

The rules, which are those of deterministic encoding (section 4.2.1):

* Integers, lengths and tags in the fewest bytes; definite lengths alone; map keys ascend by their bytes, each once.
* Values are integers of 64 bits, byte strings, text in UTF-8, arrays, maps, one tag, and null. No floats, no booleans.

The reader accepts exactly what the writer writes, at a depth of at most 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cellcustody.ledger.errors import MalformedError

__all__ = ["CborMalformedError", "Item", "Tagged", "decode", "encode"]

DEPTH_MAX: Final = 16
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_NULL: Final = 0xF6
_ONE_BYTE, _TWO_BYTES, _FOUR_BYTES, _EIGHT_BYTES = 24, 25, 26, 27


class CborMalformedError(MalformedError):
    """Raised when bytes are not CBOR as it is written here."""

    reason = "CBOR_MALFORMED"


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag."""

    tag: int
    value: Item


Item: TypeAlias = int | bytes | str | Sequence["Item"] | Mapping["int | str", "Item"] | Tagged | None


def encode(item: Item) -> bytes:
    """Returns the one encoding of a value.

    >>> encode({1: -8, 395: 1}).hex()
    'a2012719018b01'
    """
    match item:
        case None:
            return bytes((_NULL,))
        case int():
            return _head(_UNSIGNED, item) if item >= 0 else _head(_NEGATIVE, -1 - item)
        case bytes():
            return _head(_BYTES, len(item)) + item
        case str():
            raw = item.encode()
            return _head(_TEXT, len(raw)) + raw
        case Tagged():
            return _head(_TAG, item.tag) + encode(item.value)
        case Mapping():
            pairs = sorted((encode(key), encode(value)) for key, value in item.items())
            return _head(_MAP, len(pairs)) + b"".join(key + value for key, value in pairs)
        case _:
            return _head(_ARRAY, len(item)) + b"".join(encode(one) for one in item)


def decode(raw: bytes) -> Item:
    """Returns the value in these bytes, which hold nothing else.

    Raises:
        CborMalformedError: they are not its one encoding.
    """
    item, end = _read(raw, 0, 0)
    if end != len(raw):
        raise CborMalformedError("something follows", offset=end)
    return item


def _head(kind: int, number: int) -> bytes:
    if number < _ONE_BYTE:
        return bytes((kind << 5 | number,))
    for marker, size in ((_ONE_BYTE, 1), (_TWO_BYTES, 2), (_FOUR_BYTES, 4), (_EIGHT_BYTES, 8)):
        if number < 1 << 8 * size:
            return bytes((kind << 5 | marker,)) + number.to_bytes(size)
    raise CborMalformedError("a number does not fit in 64 bits", number=number)


def _read(raw: bytes, at: int, depth: int) -> tuple[Item, int]:
    if depth > DEPTH_MAX:
        raise CborMalformedError("values are nested too deep", offset=at)
    if at >= len(raw):
        raise CborMalformedError("a value is cut off", offset=at)
    if raw[at] == _NULL:
        return None, at + 1
    kind, number, at = _read_head(raw, at)
    match kind:
        case 0:
            return number, at
        case 1:
            return -1 - number, at
        case 2 | 3:
            end = at + number
            if end > len(raw):
                raise CborMalformedError("a string is cut off", offset=at)
            if kind == _BYTES:
                return raw[at:end], end
            try:
                return raw[at:end].decode(), end
            except UnicodeDecodeError as defect:
                raise CborMalformedError("text is not UTF-8", offset=at) from defect
        case 4:
            items: list[Item] = []
            for _ in range(_count(number, raw, at)):
                item, at = _read(raw, at, depth + 1)
                items.append(item)
            return items, at
        case 5:
            return _read_map(raw, at, _count(number, raw, at), depth)
        case _:
            value, at = _read(raw, at, depth + 1)
            return Tagged(number, value), at


def _read_map(raw: bytes, at: int, count: int, depth: int) -> tuple[Item, int]:
    members: dict[int | str, Item] = {}
    last = b""
    for _ in range(count):
        start = at
        key, at = _read(raw, at, depth + 1)
        if not isinstance(key, int | str) or raw[start:at] <= last:
            raise CborMalformedError("keys are numbers or text and ascend, each once", offset=start)
        last = raw[start:at]
        members[key], at = _read(raw, at, depth + 1)
    return members, at


def _read_head(raw: bytes, at: int) -> tuple[int, int, int]:
    first = raw[at]
    kind, number = first >> 5, first & 0x1F
    at += 1
    if number < _ONE_BYTE:
        return _checked(kind, at), number, at
    size = {_ONE_BYTE: 1, _TWO_BYTES: 2, _FOUR_BYTES: 4, _EIGHT_BYTES: 8}.get(number)
    if size is None or at + size > len(raw):
        raise CborMalformedError("a length is indefinite, or cut off", offset=at)
    value = int.from_bytes(raw[at : at + size])
    if value < _ONE_BYTE or (size > 1 and value < 1 << 4 * size):
        raise CborMalformedError("a number is not in the fewest bytes", offset=at)
    return _checked(kind, at), value, at + size


def _checked(kind: int, at: int) -> int:
    if kind > _TAG:
        raise CborMalformedError("a value of a kind that is not used here", offset=at)
    return kind


def _count(number: int, raw: bytes, at: int) -> int:
    if number > len(raw) - at:
        raise CborMalformedError("more values than there are bytes", offset=at)
    return number
