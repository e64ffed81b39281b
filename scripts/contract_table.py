"""Tell from the checked-in descriptor set who may read which field of which body.

The rules:

* A body is a message with the option `act`; every one of its fields carries a disclosure class.
* A record of a body is one of its top-level fields, so nested messages take that field's class and stand in no row.
* The table is made from `schema.binpb` alone: what is documented is what is digested, logged and signed for.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = ROOT / "proto/cellcustody/v1/schema.binpb"
TABLE: Final = ROOT / "docs/contract.md"
PACKAGE: Final = "cellcustody.v1"

INTRODUCTION: Final = """\
# The contract: who may read which field

Made by `make proto` from `proto/cellcustody/v1/schema.binpb`; do not edit. A body's top-level fields are its records:
each is committed to by itself and opened by itself, and everything inside a field goes with it. "Person" marks fields
about a member of staff, which are kept under that person's keys and not under the stream's.
"""


@dataclass(frozen=True, slots=True)
class BodyField:
    """A top-level field of a body, with the class that decides who may read it."""

    name: str
    number: int
    type_name: str
    disclosure: str | None  # None when the contract states no class.
    about_person: bool


@dataclass(frozen=True, slots=True)
class Body:
    """A message that may be the body of a statement, with the values of its `act` option as they read."""

    name: str
    rules: tuple[tuple[str, str], ...]
    fields: tuple[BodyField, ...]


def read_bodies(schema: bytes) -> tuple[Body, ...]:
    """Returns every body in the serialised FileDescriptorSet `schema`, in the order of files and messages."""
    files = descriptor_pb2.FileDescriptorSet.FromString(schema)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    act = pool.FindExtensionByName(f"{PACKAGE}.act")
    bodies = []
    for file in files.file:
        for message in pool.FindFileByName(file.name).message_types_by_name.values():
            options = _options(pool, message)
            if act in _set_fields(options):
                bodies.append(_read_body(pool, message, _value(options, act)))
    return tuple(bodies)


def _options(pool: descriptor_pool.DescriptorPool, described: Descriptor | FieldDescriptor) -> Message:
    """Returns the options as `pool` knows them: the contract's own extensions too are read from the schema alone."""
    name = "google.protobuf.MessageOptions" if isinstance(described, Descriptor) else "google.protobuf.FieldOptions"
    options = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()
    options.ParseFromString(described.GetOptions().SerializeToString())
    return options


def _set_fields(message: Message) -> dict[FieldDescriptor, object]:
    return dict(message.ListFields())


def _value(message: Message, field: FieldDescriptor) -> Message:
    value = _set_fields(message)[field]
    assert isinstance(value, Message)
    return value


def _read_body(pool: descriptor_pool.DescriptorPool, message: Descriptor, act: Message) -> Body:
    disclosure = pool.FindExtensionByName(f"{PACKAGE}.disclosure")
    about_person = pool.FindExtensionByName(f"{PACKAGE}.about_person")
    fields = []
    for field in message.fields:
        options = _set_fields(_options(pool, field))
        number = options.get(disclosure)
        stated = isinstance(number, int) and number != 0
        fields.append(
            BodyField(
                name=field.name,
                number=field.number,
                type_name=_type_name(field),
                disclosure=_enum_word(disclosure.enum_type, number) if stated else None,
                about_person=options.get(about_person) is True,
            )
        )
    rules = tuple((field.name, _rule_text(field, value)) for field, value in act.ListFields())
    return Body(message.name, rules, tuple(fields))


def _type_name(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        name = field.message_type.name
    elif field.enum_type is not None:
        name = field.enum_type.name
    else:
        labels = descriptor_pb2.FieldDescriptorProto.Type
        name = labels.Name(descriptor_pb2.FieldDescriptorProto.Type.ValueType(field.type)).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.is_repeated else name


def _enum_word(enum: EnumDescriptor | None, number: object) -> str:
    """Returns a value's name without the enum's prefix: `DISCLOSURE_CLASS_CUSTODY` reads CUSTODY."""
    assert enum is not None
    prefix = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in enum.name).lstrip("_") + "_"
    return next(value.name for value in enum.values if value.number == number).removeprefix(prefix)


def _rule_text(field: FieldDescriptor, value: object) -> str:
    values = list(value) if field.is_repeated and isinstance(value, Iterable) else [value]
    words = [_enum_word(field.enum_type, each) if field.enum_type is not None else str(each) for each in values]
    return ", ".join(words).lower().replace("_", " ")


def render(bodies: tuple[Body, ...]) -> str:
    """Returns the document: one section per body, one row per field."""
    return "\n".join([INTRODUCTION, *(line for body in bodies for line in _section(body))])


def _section(body: Body) -> Iterator[str]:
    yield f"## {body.name}\n"
    for name, text in body.rules:
        yield f"- {name.replace('_', ' ')}: {text}"
    if not body.fields:
        yield "\nNo fields.\n"
        return
    yield "\n| no. | field | type | class | person |\n|---:|---|---|---|---|"
    for field in body.fields:
        person = "yes" if field.about_person else ""
        yield f"| {field.number} | `{field.name}` | {field.type_name} | {field.disclosure or '**none**'} | {person} |"
    yield ""


def fields_without_class(bodies: tuple[Body, ...]) -> tuple[str, ...]:
    """Returns `Body.field` for every field whose class the contract does not state; there should be none."""
    return tuple(f"{body.name}.{field.name}" for body in bodies for field in body.fields if field.disclosure is None)


def main() -> None:
    """Writes the table, or leaves with a message unless it is current and every field has its class."""
    parser = argparse.ArgumentParser(description="Make or check the table of disclosure classes.")
    parser.add_argument("--write", action="store_true", help="write docs/contract.md instead of checking it")
    arguments = parser.parse_args()

    bodies = read_bodies(SCHEMA.read_bytes())
    text = render(bodies)
    if arguments.write:
        TABLE.write_text(text, encoding="utf-8")
    elif not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
        sys.exit("docs/contract.md is not what proto/cellcustody/v1/schema.binpb makes; run: make proto")
    if without := fields_without_class(bodies):
        sys.exit("no disclosure class: " + ", ".join(without))


if __name__ == "__main__":
    main()
