"""Who and what there is: four sites, their people, and the lots, equipment, courier and ways that therapies rest on.

The rules:

* The pack is the shipped sample for the European Union. What it asks to be qualified is qualified before it is used,
  by whoever relies on it; who works under a role that it trains for was trained.
* Roles stand for people: nobody here has a name.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from cellcustody.clients.registrar import Quorum
from cellcustody.clients.session import unix_micros
from cellcustody.clients.simulation.quantities import document
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import modification_pb2 as modification
from demo.world import COLLECT, INFUSE, PROCESS, RELEASE, STORE, TEST, TRANSPORT, Person, Site, World

__all__ = ["EU_PACK", "Cast", "Lot", "enrol_cast", "unit_of"]

EU_PACK: Final = "cellcustody-sample-product-eu-1"
IN_DATE: Final = timedelta(days=700)
SINCE: Final = timedelta(days=90)
SHIPPERS: Final = ("COOLER-01", "COOLER-02", "COOLER-03", "DEWAR-01")
LOGGERS: Final = ("LOGGER-01", "LOGGER-02", "LOGGER-03", "LOGGER-04")
LOT_NUMBERS: Final = {"vector": "VEC-042", "activator": "ACT-007", "reagent": "REA-113", "kit": "KIT-020"}


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot with its stream, 17 bytes."""

    stream: bytes
    number: str
    kind: str

    def use(self) -> common.LotUse:
        """Returns that this lot was used."""
        return common.LotUse(lot=self.stream, lot_number=self.number, kind=self.kind)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody and everything there is."""

    pack: PolicyPack
    sites: dict[str, Site]
    physician: Person
    nurse: Person
    second_nurse: Person
    technician: Person
    second_technician: Person
    ward_nurse: Person
    second_ward_nurse: Person
    driver: Person
    night_driver: Person
    operator: Person
    second_operator: Person
    reviewer: Person
    quality_head: Person
    qualified_person: Person
    analyst: Person
    lots: dict[str, Lot]
    statements: int
    """How many statements the rest of it took, beside those of the registry."""


def unit_of(person: Person, name: str = "") -> common.Unit:
    """Returns the unit that a person works in, or another of the same site."""
    return common.Unit(site=person.site, unit=name or person.unit)


def enrol_cast(world: World) -> Cast:
    """Enrols hospital, courier, manufacturer and contract laboratory, publishes the pack, and qualifies the rest."""
    quorum = world.registrars()
    pack = world.publish_pack(quorum, EU_PACK)
    sites = _sites(world, quorum)
    hospital, courier, plant, laboratory = sites.values()
    driver = world.enrol(courier, "driver", "road")
    technician = world.enrol(hospital, "cell_lab_technician", "cell-lab")
    operator = world.enrol(plant, "manufacturing_operator", "suite-1")
    reviewer = world.enrol(plant, "quality_reviewer", "quality")
    ground = _Ground(world, reviewer)
    lots = {kind: ground.released_lot(operator, kind, number) for kind, number in LOT_NUMBERS.items()}
    lots["cryoprotectant"] = ground.released_lot(operator, "cryoprotectant", "CRY-031")
    for asset in SHIPPERS:
        ground.equip(driver, asset, "shipper")
    for asset in LOGGERS:
        ground.equip(driver, asset, "logger")
    ground.equip(operator, "ISOLATOR-1", "isolator")
    ground.equip(operator, "FREEZER-1", "controlled_rate_freezer")
    ground.equip(technician, "APHERESIS-2", "apheresis_device")
    ground.equip(technician, "BATH-1", "water_bath")
    ground.qualify_courier(courier, [(hospital, plant), (plant, laboratory), (plant, hospital)])
    return Cast(
        pack=pack,
        sites=sites,
        physician=world.enrol(hospital, "physician", "ward"),
        nurse=world.enrol(hospital, "collection_nurse", "apheresis"),
        second_nurse=world.enrol(hospital, "collection_nurse", "apheresis", "second nurse of Hospital"),
        technician=technician,
        second_technician=world.enrol(hospital, "cell_lab_technician", "cell-lab", "second technician of Hospital"),
        ward_nurse=world.enrol(hospital, "ward_nurse", "ward"),
        second_ward_nurse=world.enrol(hospital, "ward_nurse", "ward", "second ward nurse of Hospital"),
        driver=driver,
        night_driver=world.enrol(courier, "driver", "road", "night driver of Courier"),
        operator=operator,
        second_operator=world.enrol(plant, "manufacturing_operator", "suite-1", "second operator of Manufacturer"),
        reviewer=reviewer,
        quality_head=world.enrol(plant, "quality_head", "quality"),
        qualified_person=world.enrol(plant, "qualified_person", "quality"),
        analyst=world.enrol(laboratory, "laboratory_analyst", "microbiology"),
        lots=lots,
        statements=ground.statements,
    )


def _sites(world: World, quorum: Quorum) -> dict[str, Site]:
    asked: tuple[tuple[str, list[int], list[str]], ...] = (
        ("Hospital", [COLLECT, STORE, INFUSE], ["apheresis", "cell-lab", "ward"]),
        ("Courier", [TRANSPORT], ["road"]),
        ("Manufacturer", [PROCESS, STORE, RELEASE], ["suite-1", "quality"]),
        ("Laboratory", [TEST, STORE], ["microbiology"]),
    )
    return {name: world.enrol_site(quorum, name, able, units) for name, able, units in asked}


class _Ground:
    """Registers and qualifies what therapies rest on; anything but conforming ends the demonstration."""

    def __init__(self, world: World, quality: Person) -> None:
        self._world = world
        self._quality = quality
        self.statements = 0

    @property
    def _now(self) -> datetime:
        return self._world.clock.now()

    def released_lot(self, by: Person, kind: str, number: str) -> Lot:
        """Returns a lot, in date and released by quality."""
        lot = Lot(new_stream_id(StreamKind.LOT, os.urandom), number, kind)
        expires = unix_micros(self._now + IN_DATE)
        self._say(
            by, lot.stream, modification.LotRegistered(lot_number=number, kind=kind, expires_at_unix_micros=expires)
        )
        released = modification.LotStatusChanged(status=modification.LOT_STATUS_RELEASED)
        self._say(self._quality, lot.stream, released)
        return lot

    def equip(self, by: Person, asset: str, kind: str) -> None:
        """Registers equipment of somebody's unit, calibrated or qualified by its owner."""
        stream = new_stream_id(StreamKind.EQUIPMENT, os.urandom)
        self._say(by, stream, facilities.EquipmentRegistered(asset=asset, kind=kind, owner=unit_of(by)))
        kinds = facilities.QualificationKind
        self._say(
            by,
            stream,
            self._qualification(
                kinds.QUALIFICATION_KIND_CALIBRATION if kind == "logger" else kinds.QUALIFICATION_KIND_EQUIPMENT, asset
            ),
        )

    def qualify_courier(self, courier: Site, ways: list[tuple[Site, Site]]) -> None:
        """Has quality qualify the courier, and every way that it drives."""
        kinds, stream = facilities.QualificationKind, bytes([StreamKind.SITE]) + courier.site
        self._say(self._quality, stream, self._qualification(kinds.QUALIFICATION_KIND_COURIER, courier.name))
        for origin, destination in ways:
            body = self._qualification(kinds.QUALIFICATION_KIND_LANE, f"{origin.name} to {destination.name}")
            body.lane.origin, body.lane.destination = origin.site, destination.site
            self._say(self._quality, stream, body)

    def _qualification(
        self, kind: facilities.QualificationKind.ValueType, subject: str
    ) -> facilities.QualificationRecorded:
        return facilities.QualificationRecorded(
            kind=kind,
            valid_from_unix_micros=unix_micros(self._now - SINCE),
            valid_until_unix_micros=unix_micros(self._now + IN_DATE),
            reference=f"Q-{hashlib.sha256(subject.encode()).hexdigest()[:6].upper()}",
            evidence=document("qualification", subject),
        )

    def _say(self, by: Person, stream: bytes, body: Message) -> None:
        recorded = by.client.act(stream, body)
        if recorded.status not in (Status.CONFORMING, Status.IN_EFFECT):
            found = " ".join(one.code for one in recorded.findings)
            raise SystemExit(f"{body.DESCRIPTOR.name} by {by.title}: {recorded.status.name} {found}")
        self.statements += 1
