"""Whoever tells the small story: people, units, quantities, and how an act is said and shown."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import StatementRefused
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import (
    common_pb2,
    statement_pb2,
)
from demo.world import COLLECT, INFUSE, PROCESS, RELEASE, STORE, TEST, TRANSPORT, Person, World

__all__ = [
    "ACCEPTED",
    "APPROVED",
    "FACILITY",
    "MILLILITRES",
    "VERIFIED",
    "WITNESSED",
    "Telling",
    "celsius",
    "document",
    "unit",
    "volume",
]

FACILITY: Final = "A9999"  # The standard's own example.
WITNESSED: Final = statement_pb2.MEANING_WITNESSED
VERIFIED: Final = statement_pb2.MEANING_VERIFIED
APPROVED: Final = statement_pb2.MEANING_APPROVED
ACCEPTED: Final = statement_pb2.MEANING_ACCEPTED
MILLILITRES: Final = "mL"


def volume(millilitres: int) -> common_pb2.Quantity:
    """Returns a measured volume."""
    return common_pb2.Quantity(
        mantissa=millilitres,
        unit=MILLILITRES,
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_MEASURED,
    )


def celsius(degrees: int) -> common_pb2.Quantity:
    """Returns a measured temperature."""
    return common_pb2.Quantity(
        mantissa=degrees,
        unit="Cel",
        comparator=common_pb2.COMPARATOR_EQUAL,
        basis=common_pb2.QUANTITY_BASIS_MEASURED,
    )


def document(kind: str, content: bytes) -> common_pb2.Document:
    """Returns a document by digest."""
    return common_pb2.Document(sha256=hashlib.sha256(content).digest(), kind=kind, media_type="application/pdf")


def unit(person: Person, name: str = "") -> common_pb2.Unit:
    """Returns the unit that a person works in, or another of the same site."""
    return common_pb2.Unit(site=person.site, unit=name or person.unit)


@dataclass
class Telling:
    """The therapy as it goes on; `done` counts statements by status."""

    world: World
    therapy: bytes = field(default_factory=lambda: new_stream_id(StreamKind.THERAPY, os.urandom))
    coi: str = ""
    done: dict[str, int] = field(default_factory=dict)
    bags: list[bytes] = field(default_factory=list)
    dins: list[str] = field(default_factory=list)

    # Telling. ------------------------------------------------------------------------------------------------------

    def say(self, by: Person, stream: bytes, body: Message, note: str = "", **options: object) -> Recorded:
        """Has a person sign and send an act, and tells what the ledger answered."""
        recorded = by.client.act(stream, body, **options)  # type: ignore[arg-type]  # Options are passed through as they are.
        self._tell(by, body.DESCRIPTOR.name, recorded, note)
        return recorded

    def join(self, by: Person, stream: bytes, digest: bytes, meaning: int, note: str = "") -> Recorded:
        """Has a second person join a statement."""
        recorded = by.client.co_sign(digest, stream, statement_pb2.Meaning.ValueType(meaning))
        self._tell(by, "co-signature", recorded, note)
        return recorded

    def _tell(self, by: Person, act: str, recorded: Recorded, note: str) -> None:
        name = recorded.status.name
        self.done[name] = self.done.get(name, 0) + 1
        codes = [one.code for one in recorded.findings if one.code != "CO_SIGNATURE_OUTSTANDING"]
        shown = f" [{' '.join(codes)}]" if codes else ""
        self.world.tell(
            f"  {recorded.position:>4}  {act:<24} {by.title:<40} {name}{shown}{'  ' + note if note else ''}"
        )

    def title(self, text: str) -> None:
        """Tells what part of the story begins."""
        self.world.tell(f"\n{text}")

    def refused(self, by: Person, stream: bytes, body: Message, why: str) -> None:
        """Has a person try what the rules must refuse."""
        try:
            by.client.act(stream, body)
        except StatementRefused as refusal:
            codes = " ".join(one.code for one in refusal.findings) or refusal.refusal_reason
            self.world.tell(f"     -  {body.DESCRIPTOR.name:<24} {by.title:<40} REFUSED [{codes}]  {why}")
        else:
            raise SystemExit(f"{body.DESCRIPTOR.name} should have been refused: {why}")

    def expect(self, recorded: Recorded, status: Status) -> Recorded:
        """Ends the demonstration if the ledger judged otherwise than the story says."""
        if recorded.status is not status:
            raise SystemExit(f"position {recorded.position}: {recorded.status.name}, not {status.name}")
        return recorded

    def enrol_everyone(self) -> None:
        """Enrols hospital, courier, manufacturer and contract laboratory with their people, and publishes the pack."""
        world = self.world
        quorum = world.registrars()
        self.pack = world.publish_pack(quorum)
        hospital = world.enrol_site(
            quorum, "Hospital", [COLLECT, STORE, INFUSE], ["apheresis", "cell-lab", "ward", "pharmacy"]
        )
        courier = world.enrol_site(quorum, "Courier", [TRANSPORT], ["road"])
        plant = world.enrol_site(quorum, "Manufacturer", [PROCESS, STORE, RELEASE], ["suite-1", "quality"])
        laboratory = world.enrol_site(quorum, "Laboratory", [TEST, STORE], ["microbiology"])
        self.sites = {one.name: one for one in (hospital, courier, plant, laboratory)}
        self.physician = world.enrol(hospital, "treating_physician", "ward")
        self.nurse = world.enrol(hospital, "collection_nurse", "apheresis")
        self.second_nurse = world.enrol(hospital, "collection_nurse", "apheresis", "second nurse of Hospital")
        self.technician = world.enrol(hospital, "cell_lab_technician", "cell-lab")
        self.ward_nurse = world.enrol(hospital, "ward_nurse", "ward")
        self.second_ward_nurse = world.enrol(hospital, "ward_nurse", "ward", "second ward nurse of Hospital")
        self.driver = world.enrol(courier, "driver", "road")
        self.night_driver = world.enrol(courier, "driver", "road", "night driver of Courier")
        self.operator = world.enrol(plant, "manufacturing_operator", "suite-1")
        self.second_operator = world.enrol(
            plant, "manufacturing_operator", "suite-1", "second operator of Manufacturer"
        )
        self.reviewer = world.enrol(plant, "quality_reviewer", "quality")
        self.head_of_quality = world.enrol(plant, "quality_reviewer", "quality", "head of quality of Manufacturer")
        self.analyst = world.enrol(laboratory, "laboratory_analyst", "microbiology")
        counted = len(world.names)
        world.tell(
            f"  four sites and {counted - 4} people enrolled; policy pack {self.pack.product} {self.pack.jurisdiction}"
        )
