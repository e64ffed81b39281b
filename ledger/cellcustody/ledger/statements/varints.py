"""Read the primitives of protobuf's wire format in the one shortest form, naming the rule that bytes break.

Offsets are those of the whole input, in bytes, so that a refusal can point at the defect.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.statements.errors import WireFormError, WireRule

__all__ = [
    "FIELD_NUMBER_MAX",
    "WIRE_FIXED32",
    "WIRE_FIXED64",
    "WIRE_LENGTH",
    "WIRE_VARINT",
    "encode_varint",
    "read_record_end",
    "read_tag",
    "read_varint",
]

WIRE_VARINT: Final = 0
WIRE_FIXED64: Final = 1
WIRE_LENGTH: Final = 2
WIRE_FIXED32: Final = 5
FIELD_NUMBER_MAX: Final = (1 << 29) - 1  # A tag is a 32-bit varint whose low three bits are the wire type.

_VARINT_BYTES_MAX: Final = 10
_GROUP_WIRE_TYPES: Final = (3, 4)
_U64_MAX: Final = (1 << 64) - 1
_U32_MAX: Final = (1 << 32) - 1


def encode_varint(value: int) -> bytes:
    """Returns the shortest varint of an unsigned integer of at most 64 bits."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Returns the unsigned 64-bit varint at `at`, and the offset after it.

    Raises:
        WireFormError: it runs past `end`, exceeds 64 bits, or is not the shortest.
    """
    value = shift = 0
    for position in range(at, min(end, at + _VARINT_BYTES_MAX)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and position > at:
                raise WireFormError("a varint is not the shortest", rule=WireRule.VARINT_NOT_SHORTEST, offset=at)
            if value > _U64_MAX:
                raise WireFormError("a varint exceeds 64 bits", rule=WireRule.VARINT_TOO_WIDE, offset=at)
            return value, position + 1
        shift += 7
    if end - at >= _VARINT_BYTES_MAX:
        raise WireFormError("a varint has more than ten bytes", rule=WireRule.VARINT_TOO_WIDE, offset=at)
    raise WireFormError("a varint runs past its end", rule=WireRule.TRUNCATED, offset=at)


def read_tag(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Returns the field number and wire type of the tag at `at`, and the offset after it.

    Raises:
        WireFormError: the tag is not the shortest varint of a field number and one of the four wire types in use.
    """
    tag, after = read_varint(data, at, end)
    number, wire_type = tag >> 3, tag & 7
    if tag > _U32_MAX or number == 0:
        raise WireFormError("a tag has no valid field number", rule=WireRule.TAG_INVALID, offset=at)
    if wire_type in _GROUP_WIRE_TYPES:
        raise WireFormError("groups are not used", rule=WireRule.GROUP, offset=at)
    if wire_type > WIRE_FIXED32:
        raise WireFormError("a tag has no valid wire type", rule=WireRule.TAG_INVALID, offset=at)
    return number, wire_type, after


def read_record_end(data: bytes, at: int, end: int, wire_type: int) -> tuple[int, int]:
    """Returns where the content of a value at `at` begins (after its length, if it has one) and where it ends."""
    match wire_type:
        case 0:
            return at, read_varint(data, at, end)[1]
        case 1:
            start, after = at, at + 8
        case 5:
            start, after = at, at + 4
        case _:
            length, start = read_varint(data, at, end)
            after = start + length
    if after > end:
        raise WireFormError("a value runs past its end", rule=WireRule.TRUNCATED, offset=at)
    return start, after
