"""Turn messages of the contract into JSON for people and scripts, and back.

The rules:

* Names are those of the contract; bytes are lower-case hexadecimal; enums are their names; 64-bit numbers are numbers.
* Fields without presence are always there, so that a script needs no defaults; absent messages and options are not.
* On the way in, bytes may also be base64, as protobuf's own JSON has them; no id is valid as both.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from cellcustody.ledger.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Plain", "as_json", "as_json_line", "body_from_json", "plain_of"]

Plain = bool | int | str | list["Plain"] | dict[str, "Plain"] | None

_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


def as_json(value: Message | Plain) -> str:
    """Returns a message, or values already plain, as JSON text."""
    return json.dumps(plain_of(value) if isinstance(value, Message) else value, indent=2, ensure_ascii=False)


def as_json_line(message: Message) -> str:
    """Returns a message as JSON text on one line."""
    return json.dumps(plain_of(message), ensure_ascii=False, separators=(",", ":"))


def plain_of(message: Message) -> dict[str, Plain]:
    """Returns a message as plain values."""
    plain: dict[str, Plain] = {}
    for field in cast(Descriptor, message.DESCRIPTOR).fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        plain[field.name] = _plain_list(field, value) if field.is_repeated else _plain_value(field, value)
    return plain


def body_from_json(message_class: type[Message], text: str) -> Message:
    """Returns the body that JSON writes.

    Raises:
        ConfigurationError: it is no JSON, or no such body.
    """
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError) as refusal:
        raise ConfigurationError("a body is JSON", because=refusal) from refusal
    if not isinstance(parsed, dict):
        raise ConfigurationError("a body is a JSON object")
    body = message_class()
    try:
        ParseDict(_with_base64(cast(Descriptor, message_class.DESCRIPTOR), parsed), body)
    except ParseError as refusal:
        raise ConfigurationError(
            "no such body", body_type=message_class.DESCRIPTOR.full_name, because=" ".join(str(refusal).split())
        ) from refusal
    return body


def _plain_list(field: FieldDescriptor, values: Iterable[object]) -> list[Plain]:
    return [_plain_value(field, value) for value in values]


def _plain_value(field: FieldDescriptor, value: object) -> Plain:
    match value:
        case Message():
            return plain_of(value)
        case bytes():
            return value.hex()
        case bool() | str():
            return value
        case int():
            known = None if field.enum_type is None else field.enum_type.values_by_number.get(value)
            return value if known is None else known.name
        case _:
            raise TypeError(f"the contract has no field of type {type(value).__name__}")


def _with_base64(descriptor: Descriptor, members: dict[object, object]) -> dict[str, object]:
    """Returns members with bytes in hexadecimal rewritten to the base64 that protobuf's JSON reads."""
    rewritten: dict[str, object] = {}
    for name, value in members.items():
        field = descriptor.fields_by_name.get(str(name)) or descriptor.fields_by_camelcase_name.get(str(name))
        if field is None:
            rewritten[str(name)] = value  # Left for the parser to name in its complaint.
        elif isinstance(value, list):
            rewritten[str(name)] = [_value_with_base64(field, item) for item in value]
        else:
            rewritten[str(name)] = _value_with_base64(field, value)
    return rewritten


def _value_with_base64(field: FieldDescriptor, value: object) -> object:
    if field.message_type is not None and isinstance(value, dict):
        return _with_base64(field.message_type, value)
    if field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, str) and _HEX.fullmatch(value):
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value
