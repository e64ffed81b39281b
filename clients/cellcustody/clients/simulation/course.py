"""What the chapters of one simulated therapy share: patient, pack, identifiers, bags, and counts of labels.

Identifiers are ISBT 128 numbers of facility A9999, which the standard reserves for examples; nothing in them comes
from a person, for there is none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from google.protobuf.message import Message

from cellcustody.clients.simulation.cast import Cast, Hospital, Person
from cellcustody.clients.simulation.quantities import MICROS, document, exact, scanned
from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.clients.simulation.telling import Telling
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.identifiers import next_chain_of_identity, next_din
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import return_pb2 as returned

__all__ = ["Bag", "Batch", "Course"]

FACILITY: Final = "A9999"
COLLECTIONS_PER_THERAPY: Final = 8  # Two attempts of up to three days, and some to spare.
_MATERIAL_BYTES: Final = 16


@dataclass(slots=True)
class Bag:
    """A material: its id, 16 bytes, what it is, and the donation number on its label, printed."""

    material: bytes
    kind: common.MaterialKind.ValueType
    din: str = ""
    number: str = ""
    expires_at: int = 0
    has_ended: bool = False


@dataclass(slots=True)
class Batch:
    """What a batch came to: bags of product, a sample, a retain, and whether a final result is still to come."""

    batch: bytes
    area: str
    products: list[Bag] = field(default_factory=list)
    sample: Bag | None = None
    retain: Bag | None = None
    doses_planned: int = 2
    is_open: bool = False
    failed: bool = False


@dataclass
class Course:
    """One therapy under way."""

    telling: Telling
    hospital: Hospital
    pack: PolicyPack
    days: int
    """Days of collection of an attempt."""

    coi: str = ""
    attempt: int = 0
    """Of collections; batches are counted by themselves, since what was collected may not reach one."""

    batches: int = 0
    collections: int = 0
    bags: list[Bag] = field(default_factory=list)
    first_infusion: int = 0
    tallies: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = self.telling.number
        self.year = datetime.fromtimestamp(self.telling.now / MICROS, UTC).year
        self.coi = next_chain_of_identity(FACILITY, self.year, number).printed_compact
        self.patient = [
            common.PatientIdentifier(kind=kind, value=f"{prefix}-{number:06d}", method=common.READ_METHOD_SCANNED)
            for kind, prefix in (("medical_record_number", "MRN"), ("wristband", "WB"))
        ]

    # Shorthands.

    @property
    def cast(self) -> Cast:
        """Everybody."""
        return self.telling.cast

    @property
    def dice(self) -> Seeded:
        """What decides by chance."""
        return self.telling.dice

    @property
    def now(self) -> int:
        """Now, microseconds."""
        return self.telling.now

    @property
    def apheresis(self) -> common.Unit:
        """Where cells are collected."""
        return self.hospital.site.unit("apheresis")

    @property
    def cell_lab(self) -> common.Unit:
        """The hospital's cell laboratory."""
        return self.hospital.site.unit("cell-lab")

    @property
    def ward(self) -> common.Unit:
        """Where the patient is treated."""
        return self.hospital.site.unit("ward")

    @property
    def suite(self) -> common.Unit:
        """Where cells are worked on."""
        return self.cast.plant.unit("suite")

    def new_bag(self, kind: common.MaterialKind.ValueType) -> Bag:
        """Returns a new material."""
        bag = Bag(self.dice.take(_MATERIAL_BYTES), kind)
        self.bags.append(bag)
        return bag

    def next_donation(self) -> tuple[str, str]:
        """Returns a new donation number: printed with its check character, and as scanners read it."""
        self.collections += 1
        drawn = next_din(FACILITY, self.year, self.telling.number * COLLECTIONS_PER_THERAPY + self.collections - 1)
        return drawn.number + drawn.check_character, drawn.number

    # What several chapters do.

    def compare(self, by: Person, second: Person, point: harvest.IdentityPoint.ValueType, bags: list[Bag]) -> None:
        """Two persons compare bags, or at the chair the patient, with the therapy."""
        is_chairside = point == harvest.IDENTITY_POINT_CHAIRSIDE
        self.telling.tell(
            by,
            harvest.IdentityChecked(
                point=point,
                patient_identifiers=self.patient if is_chairside else [],
                coi_read=self.coi,
                materials=[bag.material for bag in bags],
            ),
            join=second,
        )

    def label(
        self, by: Person, second: Person, unit: common.Unit, bags: list[Bag], serials: list[str], code: str
    ) -> None:
        """Labels are put on bags and read back; what is left is returned, and all are counted."""
        tell = self.telling.tell
        tally = self.tallies.setdefault(f"{unit.site.hex()}/{unit.unit}", Counter())
        for index, (bag, serial) in enumerate(zip(bags, serials, strict=False)):
            body = harvest.LabelApplied(
                material=bag.material,
                din=bag.din,
                coi=self.coi,
                product_code=code,
                division=f"{'ABCDEF'[index]}0",
                label_serial=serial,
                texts=["FOR AUTOLOGOUS USE ONLY"],
            )
            if bag.expires_at:
                body.expires_at_unix_micros = bag.expires_at
            applied = tell(by, body)
            tell(
                second,
                labels.LabelReadBack(
                    applied=applied,
                    material=bag.material,
                    scans=[scanned(f"&/{self.coi[:-1]}"), scanned(f"={bag.number}00")],
                ),
            )
        left = serials[len(bags) :]
        if left:
            tell(by, labels.LabelsReturned(serials=left, unit=unit))
        tally.update(printed=len(serials), applied=len(bags), returned=len(left))
        tell(
            by,
            labels.LabelsReconciled(
                unit=unit, printed=tally["printed"], applied=tally["applied"], returned=tally["returned"]
            ),
        )

    def destroy(self, by: Person, second: Person, unit: common.Unit, bags: list[Bag]) -> None:
        """Bags are destroyed before a witness."""
        for bag in bags:
            self.telling.tell(
                by,
                returned.MaterialDestroyed(
                    material=bag.material,
                    unit=unit,
                    method="incineration",
                    certificate=document("certificate-of-destruction", bag.material),
                ),
                join=second,
            )
            bag.has_ended = True

    def store(self, by: Person, unit: common.Unit, bag: Bag, millicelsius: int) -> bytes:
        """A bag is put into a store."""
        place = f"tank-{self.dice.between(1, 9)}/rack-{self.dice.between(1, 20)}"
        return self.telling.tell(
            by,
            harvest.MaterialStored(
                material=bag.material,
                position=common.Position(unit=unit, place=place),
                temperature=exact(millicelsius // 1000, "Cel"),
            ),
        )

    def tell(self, by: Person, body: Message, **options: object) -> bytes:
        """Tells an act of the therapy."""
        return self.telling.tell(by, body, **options)  # type: ignore[arg-type]  # Passed through as they are.
