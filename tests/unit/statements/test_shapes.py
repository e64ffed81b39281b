"""No message that anyone signs has a map, a float, a group, room for extensions, `Any`, or unbounded depth."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor

import cellcustody.v1
from cellcustody.ledger.statements.errors import DescriptorShapeError
from cellcustody.ledger.statements.shapes import check_descriptor_pool_shapes
from cellcustody.v1 import entry_pb2, envelope_pb2, options_pb2, statement_pb2

Field = descriptor_pb2.FieldDescriptorProto
Message = descriptor_pb2.DescriptorProto


def bodies() -> Iterator[Descriptor]:
    """Yields every message of the contract that is marked as the body of an act."""
    for module in pkgutil.iter_modules(cellcustody.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"cellcustody.v1.{module.name}").DESCRIPTOR
            yield from (
                message
                for message in file.message_types_by_name.values()
                if message.GetOptions().HasExtension(options_pb2.act)
            )


def test_everything_that_is_signed_may_be() -> None:
    """The payload, the envelope, what the ledger records and every body of the contract have allowed shapes."""
    check_descriptor_pool_shapes(
        (
            envelope_pb2.Envelope.DESCRIPTOR,
            envelope_pb2.KeyPossession.DESCRIPTOR,
            statement_pb2.Payload.DESCRIPTOR,
            entry_pb2.Entry.DESCRIPTOR,
            entry_pb2.Opening.DESCRIPTOR,
            *bodies(),
        )
    )


def _map(message: Message) -> None:
    entry = message.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=Field.TYPE_UINT32, label=Field.LABEL_OPTIONAL)
    message.field.add(
        name="counts",
        number=1,
        type=Field.TYPE_MESSAGE,
        label=Field.LABEL_REPEATED,
        type_name=f".shapes.{message.name}.CountsEntry",
    )


def _scalar(kind: Field.Type.ValueType) -> Callable[[Message], None]:
    def add(message: Message) -> None:
        message.field.add(name="value", number=1, type=kind, label=Field.LABEL_OPTIONAL)

    return add


def _unpacked(message: Message) -> None:
    message.field.add(name="value", number=1, type=Field.TYPE_UINT32, label=Field.LABEL_REPEATED).options.packed = False


def _any(message: Message) -> None:
    message.field.add(
        name="value",
        number=1,
        type=Field.TYPE_MESSAGE,
        label=Field.LABEL_OPTIONAL,
        type_name=".google.protobuf.Any",
    )


def _itself(message: Message) -> None:
    message.field.add(
        name="value",
        number=1,
        type=Field.TYPE_MESSAGE,
        label=Field.LABEL_OPTIONAL,
        type_name=f".shapes.{message.name}",
    )


def _negative_enum(message: Message) -> None:
    kind = message.enum_type.add(name="Kind")
    kind.value.add(name="KIND_UNSPECIFIED", number=0)
    kind.value.add(name="KIND_ODD", number=-1)
    message.field.add(
        name="value",
        number=1,
        type=Field.TYPE_ENUM,
        label=Field.LABEL_OPTIONAL,
        type_name=f".shapes.{message.name}.Kind",
    )


def _extendable(message: Message) -> None:
    message.extension_range.add(start=100, end=200)


def _required(message: Message) -> None:
    message.field.add(name="value", number=1, type=Field.TYPE_UINT32, label=Field.LABEL_REQUIRED)


def _group(message: Message) -> None:
    message.nested_type.add(name="Inner")
    message.field.add(
        name="inner",
        number=1,
        type=Field.TYPE_GROUP,
        label=Field.LABEL_OPTIONAL,
        type_name=f".shapes.{message.name}.Inner",
    )


REFUSED: dict[str, tuple[str, Callable[[Message], None]]] = {
    "a map": ("proto3", _map),
    "a float": ("proto3", _scalar(Field.TYPE_FLOAT)),
    "a double": ("proto3", _scalar(Field.TYPE_DOUBLE)),
    "an unpacked list": ("proto3", _unpacked),
    "Any": ("proto3", _any),
    "itself": ("proto3", _itself),
    "a negative enum": ("proto3", _negative_enum),
    "room for extensions": ("proto2", _extendable),
    "a required field": ("proto2", _required),
    "a group": ("proto2", _group),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_shape_with_two_encodings_or_no_bound_is_refused(name: str) -> None:
    syntax, add = REFUSED[name]
    file = descriptor_pb2.FileDescriptorProto(
        name="shapes.proto", package="shapes", syntax=syntax, dependency=["google/protobuf/any.proto"]
    )
    add(file.message_type.add(name="Shape"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    with pytest.raises(DescriptorShapeError):
        check_descriptor_pool_shapes([pool.FindMessageTypeByName("shapes.Shape")])
