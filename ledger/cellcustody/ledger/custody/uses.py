"""Find in any body the lots and the equipment that it says were used, by the contract alone.

The rules:

* A lot is used where a body has a field of type LotUse; equipment is used where it has a field named `equipment`.
* So a new body needs no row here: what it uses is found, cited and judged like what the others use.

This module reads no clock, no network and no database.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.v1 import common_pb2 as common

__all__ = ["equipment_used", "lots_used"]

_EQUIPMENT: Final = "equipment"


@cache
def _lot_fields(body_type: str) -> tuple[tuple[int, str, bool], ...]:
    """Returns number, name and whether it is repeated of each field that names lots used."""
    body = BODIES.get(body_type)
    if body is None:
        return ()
    return tuple(
        (field.number, field.name, field.is_repeated)
        for field in body.descriptor.fields
        if field.message_type is not None and field.message_type.full_name == common.LotUse.DESCRIPTOR.full_name
    )


@cache
def _equipment_fields(body_type: str) -> tuple[tuple[int, str, bool], ...]:
    body = BODIES.get(body_type)
    field = None if body is None else body.descriptor.fields_by_name.get(_EQUIPMENT)
    if field is None or field.type != FieldDescriptor.TYPE_STRING:
        return ()
    return ((field.number, field.name, field.is_repeated),)


def _values(body: Message, name: str, is_repeated: bool) -> Iterator[object]:
    value: object = getattr(body, name)
    if is_repeated:
        assert not isinstance(value, str | Message)
        yield from value  # type: ignore[misc]  # A repeated field of whatever type is iterable.
    else:
        yield value


def lots_used(body: Message | None) -> tuple[tuple[int, common.LotUse], ...]:
    """Returns the lots that a body says were used, each with the number of its field, in order of the fields."""
    fields = () if body is None else _lot_fields(body.DESCRIPTOR.full_name)
    if not fields or body is None:
        return ()
    return tuple(
        (number, value)
        for number, name, is_repeated in fields
        if is_repeated or body.HasField(name)
        for value in _values(body, name, is_repeated)
        if isinstance(value, common.LotUse)
    )


def equipment_used(body: Message | None) -> tuple[tuple[int, str], ...]:
    """Returns the assets that a body says were used, each with the number of its field; empty names are none."""
    fields = () if body is None else _equipment_fields(body.DESCRIPTOR.full_name)
    if not fields or body is None:
        return ()
    return tuple(
        (number, value)
        for number, name, is_repeated in fields
        for value in _values(body, name, is_repeated)
        if isinstance(value, str) and value
    )
