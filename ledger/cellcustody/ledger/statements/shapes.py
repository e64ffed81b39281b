"""Read from descriptors what the wire form needs to know of a message, and refuse shapes that no statement may have.

A statement's schema has no maps, floats, groups, extensions, required fields, unpacked repeated scalars or `Any`;
the lowest value of every enum is 0, unspecified; and no message is nested deeper than eight levels. Such shapes have
more than one encoding of one meaning, or no bound.

Shapes are made once per descriptor and kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from cellcustody.ledger.statements.errors import DescriptorShapeError
from cellcustody.ledger.statements.varints import WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT

__all__ = ["DEPTH_MAX", "FieldShape", "MessageShape", "ValueKind", "check_descriptor_pool_shapes", "shape_of"]

DEPTH_MAX: Final = 8
"""Levels of messages, the outermost counted as the first; deeper input would let a sender choose our stack."""


class ValueKind(Enum):
    """How the value of a field is checked."""

    BOOL = auto()
    ENUM = auto()
    INT32 = auto()
    UINT32 = auto()
    INT64 = auto()
    FIXED32 = auto()
    FIXED64 = auto()
    STRING = auto()
    BYTES = auto()
    MESSAGE = auto()


_KINDS: Final[dict[int, tuple[ValueKind, int]]] = {
    FieldDescriptor.TYPE_BOOL: (ValueKind.BOOL, WIRE_VARINT),
    FieldDescriptor.TYPE_ENUM: (ValueKind.ENUM, WIRE_VARINT),
    FieldDescriptor.TYPE_INT32: (ValueKind.INT32, WIRE_VARINT),
    FieldDescriptor.TYPE_UINT32: (ValueKind.UINT32, WIRE_VARINT),
    FieldDescriptor.TYPE_SINT32: (ValueKind.UINT32, WIRE_VARINT),  # ZigZag maps it onto 32 unsigned bits.
    FieldDescriptor.TYPE_INT64: (ValueKind.INT64, WIRE_VARINT),
    FieldDescriptor.TYPE_UINT64: (ValueKind.INT64, WIRE_VARINT),
    FieldDescriptor.TYPE_SINT64: (ValueKind.INT64, WIRE_VARINT),
    FieldDescriptor.TYPE_FIXED32: (ValueKind.FIXED32, WIRE_FIXED32),
    FieldDescriptor.TYPE_SFIXED32: (ValueKind.FIXED32, WIRE_FIXED32),
    FieldDescriptor.TYPE_FIXED64: (ValueKind.FIXED64, WIRE_FIXED64),
    FieldDescriptor.TYPE_SFIXED64: (ValueKind.FIXED64, WIRE_FIXED64),
    FieldDescriptor.TYPE_STRING: (ValueKind.STRING, WIRE_LENGTH),
    FieldDescriptor.TYPE_BYTES: (ValueKind.BYTES, WIRE_LENGTH),
    FieldDescriptor.TYPE_MESSAGE: (ValueKind.MESSAGE, WIRE_LENGTH),
}
_REFUSED_TYPES: Final[dict[int, str]] = {
    FieldDescriptor.TYPE_FLOAT: "a float has no exact decimal value",
    FieldDescriptor.TYPE_DOUBLE: "a double has no exact decimal value",
    FieldDescriptor.TYPE_GROUP: "groups are not used",
}
_ANY: Final = "google.protobuf.Any"


@dataclass(frozen=True, slots=True)
class FieldShape:
    """What the wire form needs to know of one field."""

    name: str
    kind: ValueKind
    element_wire_type: int
    is_repeated: bool
    has_implicit_presence: bool
    oneof: str | None
    enum_values: frozenset[int]
    message: MessageShape | None

    @property
    def is_packed(self) -> bool:
        """Tells whether all elements stand in one length-delimited record."""
        return self.is_repeated and self.element_wire_type != WIRE_LENGTH

    @property
    def is_many_records(self) -> bool:
        """Tells whether several records may carry this field's number."""
        return self.is_repeated and self.element_wire_type == WIRE_LENGTH


@dataclass(frozen=True, slots=True)
class MessageShape:
    """What the wire form needs to know of one message; `fields` is by number and filled before it is handed out."""

    full_name: str
    fields: dict[int, FieldShape] = field(default_factory=dict)


_SHAPES: dict[Descriptor, MessageShape] = {}


def shape_of(descriptor: Descriptor) -> MessageShape:
    """Returns the shape of a message.

    Raises:
        DescriptorShapeError: it, or a message in it, has a shape that no statement may have. Depth is not looked at
            here: it is checked in the bytes, and of the whole contract by `check_descriptor_pool_shapes`.
    """
    shape = _SHAPES.get(descriptor)
    if shape is None:
        shape = _build(descriptor, {})
        _SHAPES[descriptor] = shape
    return shape


def check_descriptor_pool_shapes(descriptors: Iterable[Descriptor]) -> None:
    """Returns if every message given, and all that they hold, may be signed.

    Raises:
        DescriptorShapeError: one has a map, float, group, extension range, required field, unpacked scalar or `Any`,
            or can be nested deeper than eight levels; `field` names where.
    """
    for descriptor in descriptors:
        shape_of(descriptor)
        _check_depth(descriptor, ())


def _check_depth(descriptor: Descriptor, path: tuple[str, ...]) -> None:
    path = (*path, descriptor.full_name)
    if len(path) > DEPTH_MAX:
        raise DescriptorShapeError("a message can be nested too deep", field=" > ".join(path))
    for member in descriptor.fields:
        if member.message_type is not None:
            _check_depth(member.message_type, path)


def _build(descriptor: Descriptor, built: dict[str, MessageShape]) -> MessageShape:
    if descriptor.full_name in built:  # A message that holds itself has a shape; only its depth is bounded.
        return built[descriptor.full_name]
    if descriptor.full_name == _ANY:
        raise DescriptorShapeError("Any hides the type of what is signed", field=descriptor.full_name)
    if descriptor.is_extendable:
        raise DescriptorShapeError("a message has room for extensions", field=descriptor.full_name)
    shape = built[descriptor.full_name] = MessageShape(descriptor.full_name)
    for member in descriptor.fields:
        shape.fields[member.number] = _build_field(member, built)
    return shape


def _build_field(member: FieldDescriptor, built: dict[str, MessageShape]) -> FieldShape:
    where = member.full_name
    if member.type in _REFUSED_TYPES:
        raise DescriptorShapeError(_REFUSED_TYPES[member.type], field=where)
    if member.is_required:
        raise DescriptorShapeError("a required field can never be retired", field=where)
    kind, wire_type = _KINDS[member.type]
    if member.is_repeated and wire_type != WIRE_LENGTH and not member.is_packed:
        raise DescriptorShapeError("a repeated scalar is not packed", field=where)
    inner = member.message_type
    if inner is not None and inner.GetOptions().map_entry:
        raise DescriptorShapeError("a map has no order", field=where)
    enum = member.enum_type
    if enum is not None and min(enum.values_by_number) != 0:
        raise DescriptorShapeError("the lowest value of an enum is 0 and means unspecified", field=where)
    oneof = member.containing_oneof
    return FieldShape(
        name=member.name,
        kind=kind,
        element_wire_type=wire_type,
        is_repeated=member.is_repeated,
        has_implicit_presence=not member.is_repeated and not member.has_presence,
        oneof=None if oneof is None else oneof.name,
        enum_values=frozenset() if enum is None else frozenset(enum.values_by_number) - {0},
        message=None if inner is None else _build(inner, built),
    )
