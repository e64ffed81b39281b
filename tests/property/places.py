"""The places, people and streams of the histories, and how a body states them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeVar

from cellcustody.ledger.custody.act import Comparison, Finding, Outcome
from cellcustody.ledger.custody.findings import Strength, rule_of
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.v1 import common_pb2 as common

from .custody_model import Unit

PACK = PolicyPack.parse(sample_pack_bytes())
THERAPIES = tuple(bytes([1]) + letter * 16 for letter in (b"t", b"o"))
CONSIGNMENTS = tuple(bytes([2]) + letter * 16 for letter in (b"a", b"b", b"c"))
COIS = dict(zip(THERAPIES, ("CHA999925000001G", "CHA999925000002E"), strict=True))
HOSPITAL, COURIER, PLANT, OTHER_PLANT = (bytes([n]) * 16 for n in (1, 2, 3, 4))
PEOPLE = {
    site: tuple(bytes([16 * (n + 1) + i]) * 16 for i in range(4))
    for n, site in enumerate((HOSPITAL, COURIER, PLANT, OTHER_PLANT))
}
SITE_OF = {person: site for site, people in PEOPLE.items() for person in people}
UNITS = {
    HOSPITAL: ("apheresis", "cell-lab", "ward"),
    COURIER: ("", "depot"),
    PLANT: ("suite", "store"),
    OTHER_PLANT: ("suite",),
}
ALL_UNITS = tuple((site, unit) for site, units in UNITS.items() for unit in units)
APHERESIS = (HOSPITAL, "apheresis")
BOXES = ("box-1", "box-2")
MINUTE = 60_000_000
DAY = 24 * 60 * MINUTE
START = 1_760_000_000_000_000
MATCHING = (Comparison(0, Outcome.MATCH), Comparison(1, Outcome.MATCH))
BLOCKING = frozenset({Strength.HARD_GATE, Strength.GATE, Strength.AWAITING})
T = TypeVar("T")


def stated(unit: Unit) -> common.Unit:
    """Returns a unit as a body states it."""
    return common.Unit(site=unit[0], unit=unit[1])


def identity(name: str) -> bytes:
    """Returns the id of the material or batch of that name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def volume(millilitres: int) -> common.Quantity:
    """Returns a measured volume."""
    measured = common.QUANTITY_BASIS_MEASURED
    return common.Quantity(mantissa=millilitres, unit="mL", comparator=common.COMPARATOR_EQUAL, basis=measured)


def blocks(findings: Iterable[Finding]) -> bool:
    """Tells whether findings stand in the way of an authorisation."""
    return any(rule_of(one.code).strength in BLOCKING for one in findings)


def is_hard(finding: Finding) -> bool:
    """Tells whether a finding is a hard gate."""
    return rule_of(finding.code).strength is Strength.HARD_GATE
