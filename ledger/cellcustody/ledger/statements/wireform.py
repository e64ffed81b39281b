"""Hold protobuf messages to one exact wire form, at ingest only.

Protobuf is not canonical: one message has many encodings. What is signed here has one. The rules, at every level:

* Field numbers never descend, and are equal only for elements of a repeated string, bytes or message field.
* Every varint is the shortest and fits the width of its field; a bool is 0 or 1.
* An enum has a value that the schema names, and never 0.
* A string is valid UTF-8 in normalisation form C.
* Repeated scalars are packed, in one record that is not empty.
* At most one member of a oneof is present; a field with implicit presence is never present at its default.
* Messages are nested at most eight levels deep, the outermost being the first.
* There are no unknown fields, and the schema has no maps, floats, groups, extensions or `Any`.

Two implementations stand side by side. `check_exactly` walks the bytes by these rules and names the defect. The fast
path rests on protobuf's own deterministic serialisation: bytes that are equal to it, without unknown fields, hold to
every rule but those on enums, strings and depth, which are then checked on the parsed message. Where the fast path
does not accept, the walk decides. A property test holds the two to the same verdict.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from cellcustody.ledger.statements.errors import WireFormError, WireRule
from cellcustody.ledger.statements.shapes import DEPTH_MAX, FieldShape, MessageShape, ValueKind, shape_of
from cellcustody.ledger.statements.varints import WIRE_LENGTH, WIRE_VARINT, read_record_end, read_tag, read_varint

__all__ = ["check_exactly", "check_wire_form", "fast_path_accepts", "parse_wire_form"]

MessageT = TypeVar("MessageT", bound=Message)

_Check = Callable[[Message, int], bool]
"""Tells whether what the serialiser does not show (enums, strings, depth) is right from this message down."""

_INT32_MAX: Final = (1 << 31) - 1
_UINT32_MAX: Final = (1 << 32) - 1
_NEGATIVE_INT32_MIN: Final = (1 << 64) - (1 << 31)  # A negative int32 is sign-extended to 64 bits on the wire.


def check_wire_form(message_class: type[Message], data: bytes) -> None:
    """Returns if `data` is the exact wire form of a message of this class.

    Raises:
        WireFormError: it is not; `rule` and `offset` say what is wrong and where.
    """
    parse_wire_form(message_class, data)


def parse_wire_form(message_class: type[MessageT], data: bytes) -> MessageT:
    """Returns the message that `data` is the exact wire form of.

    Raises:
        WireFormError: it is not; `rule` and `offset` say what is wrong and where.
    """
    message = _fast_path(message_class, data)
    if message is None:
        check_exactly(message_class, data)
        message = message_class.FromString(data)
    return message


def fast_path_accepts(message_class: type[Message], data: bytes) -> bool:
    """Tells whether the fast path alone takes these bytes; where it does not, the exact walk decides."""
    return _fast_path(message_class, data) is not None


def check_exactly(message_class: type[Message], data: bytes) -> None:
    """Returns if walking `data` by the rules finds no defect.

    Raises:
        WireFormError: at the first defect.
    """
    _walk(shape_of(_descriptor(message_class)), data, 0, len(data), 1)


def _descriptor(message_class: type[Message]) -> Descriptor:
    # The stubs also allow for the C type, which has the same members.
    return cast(Descriptor, message_class.DESCRIPTOR)


# The exact walk.


def _walk(shape: MessageShape, data: bytes, at: int, end: int, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise _defect("messages are nested too deep", WireRule.DEPTH, at)
    last_number = 0
    oneofs_present: set[str] = set()
    while at < end:
        record = at
        number, wire_type, at = read_tag(data, at, end)
        field = shape.fields.get(number)
        if field is None:
            raise _defect("a field is not in the schema", WireRule.FIELD_UNKNOWN, record)
        _check_wire_type(field, wire_type, record)
        if number < last_number:
            raise _defect("field numbers descend", WireRule.FIELD_ORDER, record)
        if number == last_number and not field.is_many_records:
            raise _defect("a field occurs twice", WireRule.FIELD_TWICE, record)
        if field.oneof is not None:
            if field.oneof in oneofs_present:
                raise _defect("a oneof has two members", WireRule.ONEOF_TWICE, record)
            oneofs_present.add(field.oneof)
        last_number = number
        start, after = read_record_end(data, at, end, wire_type)
        if field.message is not None:
            _walk(field.message, data, start, after, depth + 1)
        elif field.is_packed:
            _walk_packed(field, data, start, after)
        else:
            _check_value(field, data, start, after)
        at = after


def _check_wire_type(field: FieldShape, wire_type: int, offset: int) -> None:
    if field.is_packed:
        if wire_type == field.element_wire_type:
            raise _defect("a repeated scalar is not packed", WireRule.SCALAR_NOT_PACKED, offset)
        if wire_type != WIRE_LENGTH:
            raise _defect("a wire type is not the field's", WireRule.WIRE_TYPE, offset)
    elif wire_type != field.element_wire_type:
        raise _defect("a wire type is not the field's", WireRule.WIRE_TYPE, offset)


def _walk_packed(field: FieldShape, data: bytes, at: int, end: int) -> None:
    if at == end:
        raise _defect("a packed field has no element", WireRule.PACKED_EMPTY, at)
    while at < end:
        start, after = read_record_end(data, at, end, field.element_wire_type)
        _check_value(field, data, start, after)
        at = after


def _check_value(field: FieldShape, data: bytes, start: int, end: int) -> None:
    """Checks one scalar, string or bytes value whose content is data[start:end]."""
    if field.element_wire_type == WIRE_VARINT:
        value, _ = read_varint(data, start, end)
        _check_varint_value(field, value, start)
        is_default = value == 0
    elif field.element_wire_type == WIRE_LENGTH:
        is_default = start == end
        if field.kind is ValueKind.STRING:
            _check_text(data[start:end], start)
    else:
        is_default = not any(data[start:end])
    if is_default and field.has_implicit_presence:
        raise _defect("a field is present at its default", WireRule.DEFAULT_ENCODED, start)


def _check_varint_value(field: FieldShape, value: int, offset: int) -> None:
    match field.kind:
        case ValueKind.BOOL:
            if value > 1:
                raise _defect("a bool is neither 0 nor 1", WireRule.BOOL_NOT_0_OR_1, offset)
        case ValueKind.ENUM:
            if value == 0:
                raise _defect("an enum is unspecified", WireRule.ENUM_ZERO, offset)
            if value not in field.enum_values:
                raise _defect("an enum has no known value", WireRule.ENUM_UNKNOWN, offset)
        case ValueKind.INT32:
            if _INT32_MAX < value < _NEGATIVE_INT32_MIN:
                raise _defect("a varint exceeds its field", WireRule.VARINT_TOO_WIDE, offset)
        case ValueKind.UINT32:
            if value > _UINT32_MAX:
                raise _defect("a varint exceeds its field", WireRule.VARINT_TOO_WIDE, offset)
        case _:
            pass  # Every varint of 64 bits is a value of the fields that are left.


def _check_text(raw: bytes, offset: int) -> None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _defect("a string is not UTF-8", WireRule.UTF8, offset + error.start) from error
    if not unicodedata.is_normalized("NFC", text):
        raise _defect("a string is not in normalisation form C", WireRule.NFC, offset)


def _defect(message: str, rule: WireRule, offset: int) -> WireFormError:
    return WireFormError(message, rule=rule, offset=offset)


# The fast path.

_CHECKS: dict[Descriptor, _Check] = {}


def _fast_path(message_class: type[MessageT], data: bytes) -> MessageT | None:
    descriptor = _descriptor(message_class)
    check = _CHECKS.get(descriptor)
    if check is None:
        check = _check_of(shape_of(descriptor), {})
        _CHECKS[descriptor] = check
    try:
        message = message_class.FromString(data)
        message.DiscardUnknownFields()
        if message.SerializeToString(deterministic=True) == data and check(message, 1):
            return message
    except (DecodeError, UnicodeDecodeError):
        pass  # The exact walk names the defect.
    return None


def _check_of(shape: MessageShape, built: dict[str, _Check]) -> _Check:
    """Returns the check of one message, made once per schema from those fields alone that need looking at."""
    if shape.full_name in built:
        return built[shape.full_name]
    parts: list[_Check] = []

    def check(message: Message, depth: int) -> bool:
        if depth > DEPTH_MAX:
            return False
        for part in parts:  # noqa: SIM110  (a loop is a third faster than all() here, and this is the hot path)
            if not part(message, depth):
                return False
        return True

    built[shape.full_name] = check
    for field in shape.fields.values():
        if field.kind is ValueKind.STRING:
            parts.append(_text_check(field))
        elif field.kind is ValueKind.ENUM:
            parts.append(_enum_check(field))
        elif field.message is not None:
            parts.append(_message_check(field, _check_of(field.message, built)))
    return check


def _text_check(field: FieldShape) -> _Check:
    name = field.name

    def one(message: Message, _depth: int) -> bool:
        text = cast(str, getattr(message, name))
        return text.isascii() or unicodedata.is_normalized("NFC", text)

    def many(message: Message, _depth: int) -> bool:
        texts = cast("list[str]", getattr(message, name))
        return all(text.isascii() or unicodedata.is_normalized("NFC", text) for text in texts)

    return many if field.is_repeated else one


def _enum_check(field: FieldShape) -> _Check:
    name, known = field.name, field.enum_values
    absent_or_known = known | {0}  # Read back, an implicit 0 means absent: at its default it would not be equal bytes.

    def implicit(message: Message, _depth: int) -> bool:
        return getattr(message, name) in absent_or_known

    def explicit(message: Message, _depth: int) -> bool:
        return not message.HasField(name) or getattr(message, name) in known

    def many(message: Message, _depth: int) -> bool:
        return known.issuperset(getattr(message, name))

    if field.is_repeated:
        return many
    return implicit if field.has_implicit_presence else explicit


def _message_check(field: FieldShape, check: _Check) -> _Check:
    name = field.name

    def one(message: Message, depth: int) -> bool:
        return not message.HasField(name) or check(getattr(message, name), depth + 1)

    def many(message: Message, depth: int) -> bool:
        return all(check(element, depth + 1) for element in getattr(message, name))

    return many if field.is_repeated else one
