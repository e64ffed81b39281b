"""What the standard course is told with, in every place: units, materials, labels, freezing, travel, comparing.

The rules of this module:

* What the pack asks for is told, and no more: labels are counted and read back, cells compared, loggers read.
* A logger shows the middle of the pack's band, unless the pace says how long it was outside.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Final

from cellcustody.ledger.condition import ACTIVATION_ENERGY_JOULES_PER_MOLE
from cellcustody.ledger.custody.policy_course import (
    COI,
    COURIER,
    DAY,
    DIN,
    HOSPITAL,
    HOUR,
    MICROS,
    MINUTE,
    PLANT,
    Course,
    exact,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import transport_pb2 as transport

__all__ = [
    "APHERESIS",
    "BAG",
    "BATCH",
    "CELL_LAB",
    "FILE",
    "GRACE_SECONDS",
    "SUITE",
    "VAN",
    "WARD",
    "celsius",
    "compare",
    "end_freezing",
    "in_millilitres",
    "label_bags",
    "material_of",
    "new_material",
    "travel",
]

APHERESIS = common.Unit(site=HOSPITAL, unit="apheresis")
CELL_LAB = common.Unit(site=HOSPITAL, unit="cell-lab")
WARD = common.Unit(site=HOSPITAL, unit="ward")
VAN = common.Unit(site=COURIER)
SUITE = common.Unit(site=PLANT, unit="suite")
BATCH: Final = hashlib.sha256(b"batch").digest()[:16]
BAG: Final = hashlib.sha256(b"bag-1").digest()[:16]  # The bag that is infused.
FILE: Final = common.Document(sha256=hashlib.sha256(b"a document").digest(), kind="document")
GRACE_SECONDS: Final = 48 * HOUR  # The logger lets pass what the pack is to judge.
_POINTS: Final = {"RECEIPT": harvest.IDENTITY_POINT_RECEIPT, "PROCESS": harvest.IDENTITY_POINT_PROCESS}


def material_of(name: str) -> bytes:
    """Returns the id of the material of that name."""
    return hashlib.sha256(name.encode()).digest()[:16]


def in_millilitres(millilitres: Fraction | int) -> common.Quantity:
    """Returns a measured volume."""
    return exact(Fraction(millilitres), "mL")


def new_material(name: str, kind: common.MaterialKind.ValueType, millilitres: Fraction | int) -> common.NewMaterial:
    """Returns a new material of that name."""
    return common.NewMaterial(material=material_of(name), kind=kind, quantity=in_millilitres(millilitres))


def label_bags(
    course: Course, bags: list[str], serials: tuple[str, ...], unit: common.Unit, person: str, site: bytes
) -> None:
    """Labels bags, each read back, and counts the labels, as far as the pack asks for it."""
    reconciles = course.pack.labels_reconciled
    expires_at = course.now + 300 * DAY * MICROS
    for bag, serial in zip(bags, serials, strict=False):
        applied = course.tell(
            harvest.LabelApplied(
                material=material_of(bag),
                din=DIN,
                coi=COI,
                label_serial=serial if reconciles else "",
                texts=["FOR AUTOLOGOUS USE ONLY"],
                expires_at_unix_micros=expires_at,
            ),
            person,
            site,
        )
        if reconciles or "LABEL" in course.pack.required_identity_checks:
            course.tell(
                labels.LabelReadBack(
                    applied=applied,
                    material=material_of(bag),
                    scans=[
                        common.Scan(raw=f"&/{COI[:-1]}", method=common.READ_METHOD_SCANNED),
                        common.Scan(raw=f"={DIN}00", method=common.READ_METHOD_SCANNED),
                    ],
                ),
                f"second {person}",
                site,
            )
    if not reconciles:
        return
    left = serials[len(bags) :]
    if left:
        course.tell(labels.LabelsReturned(serials=left, unit=unit), person, site)
    course.tell(
        labels.LabelsReconciled(unit=unit, printed=len(serials), applied=len(bags), returned=len(left)), person, site
    )


def end_freezing(course: Course, begun: bytes, bags: list[str], unit: common.Unit, person: str, site: bytes) -> None:
    """Ends a freezing in the store."""
    course.wait(HOUR)
    course.tell(
        harvest.CryopreservationCompleted(
            started=begun,
            rate_trace=FILE,
            materials=[material_of(bag) for bag in bags],
            temperature_end=celsius(-150),
            position=common.Position(unit=unit, place="tank-1"),
        ),
        person,
        site,
    )


def celsius(degrees: Fraction | int) -> common.Quantity:
    """Returns a measured temperature."""
    return exact(Fraction(degrees), "Cel")


def _summary(course: Course, kind: str, first_reading: int) -> common.LoggerSummary:
    """Returns what a logger shows: within the pack's band but for the time that the pace says."""
    pack, pace = course.pack, course.pace
    band = pack.band_for(kind, "fresh") if kind == "collection" else pack.band_for(kind, "frozen")
    band = band or next((one for one in pack.temperature_bands if one.kind == kind), None)
    least, most = (-150_000, -150_000) if band is None else (band.millicelsius_min, band.millicelsius_max)
    if least is None:
        least = (0 if most is None else most) - 10_000
    if most is None:
        most = least + 1_000
    summary = common.LoggerSummary(
        logger="logger-1",
        file=FILE,
        temperature_min=celsius(Fraction(least, 1000)),
        temperature_max=celsius(Fraction(most, 1000)),
        temperature_mean_kinetic=celsius(Fraction(least + most, 2000)),
        activation_energy_joules_per_mole=ACTIVATION_ENERGY_JOULES_PER_MOLE,
        readings=100,
        condition=common.CONDITION_IN_RANGE,
        first_reading_unix_micros=first_reading,
        last_reading_unix_micros=course.now,
        interval_seconds=5 * MINUTE,
        band_min=celsius(Fraction(least, 1000)),
        band_max=celsius(Fraction(most, 1000)),
        gap_seconds=pace.gaps.get(kind, 0),
        longest_gap_seconds=pace.gaps.get(kind, 0),
    )
    if pack.excursion.mean_kinetic is not None:
        summary.activation_energy_joules_per_mole = pack.excursion.mean_kinetic.activation_energy_joules_per_mole
    out = pace.out_of_band.get(kind, 0)
    if out:
        summary.temperature_max.CopyFrom(celsius(Fraction(most + 1_000, 1000)))
        summary.out_of_band_seconds = summary.longest_out_of_band_seconds = out
    return summary


def travel(
    course: Course,
    stream: bytes,
    kind: str,
    bags: list[str],
    way: tuple[common.Unit, common.Unit],
    people: tuple[str, str],
) -> None:
    """Packs, hands over twice, and takes out."""
    (sender, receiver), (sending, receiving) = way, people
    course.tell(
        transport.ConsignmentOpened(
            unit=sender,
            destination=receiver,
            containers=[
                common.Container(
                    container="shipper-1",
                    kind="dry_shipper",
                    qualified_until_unix_micros=course.now + 300 * DAY * MICROS,
                )
            ],
            carrier=COURIER,
        ),
        sending,
        sender.site,
        stream=stream,
    )
    course.tell(
        transport.LoggerStarted(
            container="shipper-1",
            logger="logger-1",
            calibrated_until_unix_micros=course.now + 300 * DAY * MICROS,
            interval_seconds=5 * MINUTE,
            grace_seconds=GRACE_SECONDS,
        ),
        sending,
        sender.site,
        stream=stream,
    )
    first_reading = course.now
    for bag in bags:
        course.tell(
            harvest.MaterialPacked(
                material=material_of(bag), consignment=stream, container="shipper-1", unit=sender, coi_read=COI
            ),
            sending,
            sender.site,
        )
    for giving, taking, giver, taker in ((sender, VAN, sending, "driver"), (VAN, receiver, "driver", receiving)):
        released = course.tell(
            transport.CustodyReleased(releaser=giving, receiver=taking, containers=["shipper-1"], count=1),
            giver,
            giving.site,
            stream=stream,
        )
        course.tell(
            transport.CustodyAccepted(
                release=released,
                receiver=taking,
                lines=[common.HandoffLine(container="shipper-1", outcome=common.LINE_OUTCOME_ACCEPTED)],
                count=1,
            ),
            taker,
            taking.site,
            stream=stream,
        )
    course.tell(
        transport.ReceiptInspected(
            unit=receiver,
            containers=["shipper-1"],
            loggers=[_summary(course, kind, first_reading)],
        ),
        receiving,
        receiver.site,
        stream=stream,
    )
    for bag in bags:
        course.tell(
            harvest.MaterialReceived(
                material=material_of(bag),
                consignment=stream,
                container="shipper-1",
                unit=receiver,
                coi_read=COI,
                din_read=DIN,
                intact=True,
            ),
            receiving,
            receiver.site,
        )


def compare(course: Course, point: str, bags: list[str], person: str, site: bytes) -> None:
    """Has two persons compare bags at a point, where the pack asks for it."""
    if point in course.pack.required_identity_checks:
        course.tell(
            harvest.IdentityChecked(point=_POINTS[point], coi_read=COI, materials=[material_of(bag) for bag in bags]),
            person,
            site,
            join=f"second {person}",
        )
        course.wait(course.pace.co_signing.get("IdentityChecked", MINUTE))
