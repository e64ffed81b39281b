"""The contract's bodies as one table, read from the options that the contract itself carries.

The rules:

* A message with the option `act` is the body of a statement; nothing else is.
* The table is made once, from the generated modules named here; a new act is a message in one of them, and a row.
* Every field of a body has a disclosure class; the vault's subject of a field about a person is that person.
* The payload type of a statement follows from the file its body stands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from types import ModuleType
from typing import Final, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from cellcustody.ledger.statements import PayloadType
from cellcustody.v1 import (
    facilities_pb2,
    harvest_pb2,
    heads_pb2,
    labels_pb2,
    modification_pb2,
    options_pb2,
    policy_pb2,
    quality_pb2,
    registry_pb2,
    return_pb2,
    timestamps_pb2,
    transport_pb2,
)

__all__ = [
    "BODIES",
    "BodyType",
    "DisclosureClass",
    "body_type",
    "clear_shreddable",
    "required_capabilities",
    "without_shreddable_numbers",
]


class DisclosureClass(IntEnum):
    """Who may read a field; the numbers are those of the contract's enum of the same name."""

    PUBLIC = 1
    CUSTODY = 2
    QUALITY = 3
    OPERATIONAL = 4
    CLINICAL = 5
    IDENTITY = 6


SHREDDABLE: Final = frozenset({DisclosureClass.CLINICAL, DisclosureClass.IDENTITY})
"""Classes that may be shredded while the ledger runs; no state, view or replay rests on them (design, section 5)."""


@dataclass(frozen=True, slots=True)
class BodyType:
    """One body of the contract with its rules of admission."""

    name: str
    message_class: type[Message]
    payload_type: PayloadType
    is_authorisation: bool
    stream_kinds: frozenset[int]
    capabilities: frozenset[int]
    co_signers_min: int
    classes: dict[int, DisclosureClass]
    about_person: frozenset[int]

    @property
    def short_name(self) -> str:
        """The name without its package, as people and policy packs write it."""
        return self.name.rpartition(".")[2]

    @property
    def descriptor(self) -> Descriptor:
        """The body's descriptor."""
        return cast(Descriptor, self.message_class.DESCRIPTOR)  # Stubs name the two backends' classes apart.


_MODULES: Final[tuple[ModuleType, ...]] = (
    harvest_pb2,
    labels_pb2,
    transport_pb2,
    modification_pb2,
    return_pb2,
    quality_pb2,
    policy_pb2,
    facilities_pb2,
    registry_pb2,
    heads_pb2,
    timestamps_pb2,
)
_PAYLOAD_TYPES: Final = {
    "PolicyPublished": PayloadType.POLICY,
    "SchemaPublished": PayloadType.SCHEMA,
    "ExportMade": PayloadType.EXPORT,
    "HeadsMapped": PayloadType.HEAD_MAP,
    "TimeEvidenceRecorded": PayloadType.TIME_EVIDENCE,
    "JudgementsRevised": PayloadType.JUDGEMENT,
}


def _read_table() -> dict[str, BodyType]:
    table: dict[str, BodyType] = {}
    for module in _MODULES:
        default = PayloadType.REGISTRY if module is registry_pb2 else PayloadType.CUSTODY
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            options = descriptor.GetOptions()
            if not options.HasExtension(options_pb2.act):
                continue
            act = options.Extensions[options_pb2.act]
            classes: dict[int, DisclosureClass] = {}
            about_person: set[int] = set()
            for field in descriptor.fields:
                field_options = field.GetOptions()
                classes[field.number] = DisclosureClass(field_options.Extensions[options_pb2.disclosure])
                if field_options.Extensions[options_pb2.about_person]:
                    about_person.add(field.number)
            table[descriptor.full_name] = BodyType(
                name=descriptor.full_name,
                message_class=GetMessageClass(descriptor),
                payload_type=_PAYLOAD_TYPES.get(descriptor.name, default),
                is_authorisation=act.kind == options_pb2.ACT_KIND_AUTHORISATION,
                stream_kinds=frozenset(act.stream_kinds),
                capabilities=frozenset(act.capabilities),
                co_signers_min=act.co_signers_min,
                classes=classes,
                about_person=frozenset(about_person),
            )
    return table


BODIES: Final[dict[str, BodyType]] = _read_table()
"""Every body by its full name, such as cellcustody.v1.CustodyReleased."""


def body_type(name: str) -> BodyType | None:
    """Returns the body of that full name, or None where the contract has none."""
    return BODIES.get(name)


def required_capabilities(name: str) -> frozenset[int]:
    """Returns the capabilities of which the signer's site needs one for this body; empty: none is asked for."""
    found = BODIES.get(name)
    return frozenset() if found is None else found.capabilities


@cache
def without_shreddable_numbers(name: str) -> frozenset[int]:
    """Returns the field numbers of a body that may be shredded while the ledger runs."""
    body = BODIES[name]
    return frozenset(
        number for number, disclosed in body.classes.items() if disclosed in SHREDDABLE or number in body.about_person
    )


@cache
def _shreddable_names(name: str) -> tuple[str, ...]:
    by_number = BODIES[name].descriptor.fields_by_number
    return tuple(by_number[number].name for number in sorted(without_shreddable_numbers(name)))


def clear_shreddable(name: str, body: Message) -> None:
    """Clears from `body` whatever may be shredded, so that rules see the same before and after an erasure."""
    for field in _shreddable_names(name):
        body.ClearField(field)
