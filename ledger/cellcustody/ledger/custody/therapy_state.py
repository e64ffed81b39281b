"""State of one therapy: materials, batches, consents, identity, holds and who signed with whom.

The rules of this module:

* A state is made by evolution alone and is never written by a rule. It holds nothing of the classes IDENTITY and
  CLINICAL, so that it can be built again after those were shredded.
* A packed material's own custodian is whoever packed it; the question who answers for it now is answered by joining
  the container's custody in the consignment (see `custody_of`). Nothing is copied between streams.
* A material's way ends once: wholly infused, destroyed, consumed, archived, or used up in making others. A partially
  infused bag has not ended: its remainder is to be destroyed or archived.
* A hold on a material covers whatever was made of it, and a hold on a container covers whatever travelled in it.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from fractions import Fraction

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.batch_state import (
    BatchState,
    BatchStatus,
    OutOfSpecificationRequest,
    OutOfSpecificationSupport,
    ResultRecord,
    ResultVerdict,
    Step,
)
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold
from cellcustody.ledger.custody.pins import Pins
from cellcustody.ledger.custody.quantities import EXPONENT_MAX
from cellcustody.ledger.custody.recall_records import RecallActionDone
from cellcustody.ledger.custody.therapy_harvest_state import HarvestState
from cellcustody.ledger.custody.treatment import Handling, Treatment
from cellcustody.ledger.values import value

__all__ = [
    "Amount",
    "BatchState",
    "BatchStatus",
    "BedsideCheck",
    "Collection",
    "ConsentChange",
    "Deviation",
    "Disposition",
    "DosePlan",
    "IdentityBreak",
    "IdentityCheck",
    "Infusion",
    "Label",
    "Life",
    "LotUsed",
    "MaterialKind",
    "MaterialState",
    "Packed",
    "ResultRecord",
    "ResultVerdict",
    "Step",
    "TherapyState",
    "custody_of",
]

_EQUAL = 1  # COMPARATOR_EQUAL of the contract.


class Life(StrEnum):
    """Where a material is on its way; the texts are those of MaterialCustody.state in the contract."""

    AVAILABLE = "available"
    USED = "used"
    INFUSED = "infused"
    PARTIALLY_INFUSED = "partially_infused"
    DESTROYED = "destroyed"
    CONSUMED = "consumed"
    ARCHIVED = "archived"
    RETAINED = "retained"
    RETURNED = "returned"

    @property
    def has_ended(self) -> bool:
        """Tells whether no physical act may follow."""
        return self not in (Life.AVAILABLE, Life.PARTIALLY_INFUSED)


class MaterialKind(IntEnum):
    """What a material is; the numbers are those of MaterialKind in the contract."""

    UNSPECIFIED = 0
    COLLECTION = 1
    INTERMEDIATE = 2
    PRODUCT = 3
    SAMPLE = 4
    RETAIN = 5


@value(frozen=True, slots=True)
class Amount:
    """A quantity as stated: mantissa x 10^exponent in a UCUM unit; `comparator` and `basis` as in the contract."""

    mantissa: int
    exponent: int
    unit: str
    comparator: int = _EQUAL
    basis: int = 0

    @property
    def value(self) -> Fraction | None:
        """Returns the exact number, or None if it is open-ended or out of bounds: unknown, and so never in balance."""
        if self.comparator != _EQUAL or abs(self.exponent) > EXPONENT_MAX:
            return None
        if self.exponent >= 0:
            return Fraction(self.mantissa * 10**self.exponent)
        return Fraction(self.mantissa, 10**-self.exponent)


@dataclass(frozen=True, slots=True)
class Label:
    """What a material's label bears, and the statement that applied it."""

    applied_by: bytes
    din: str
    coi: str
    product_code: str
    division: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Packed:
    """A container of a consignment."""

    consignment: bytes
    container: str


@dataclass(slots=True)
class MaterialState:
    """One material from its creation to its end. `custodian` and `possessor` are its own, packing left aside."""

    material: bytes
    kind: int
    created_by: bytes
    created_at: int
    custodian: UnitRef | None
    possessor: UnitRef | None
    quantity: Amount | None = None
    dose: Amount | None = None
    component: str = ""
    product_code: str = ""
    division: str = ""
    din: str = ""
    made_by_step: str = ""
    parents: tuple[bytes, ...] = ()
    foreign_parents: tuple[bytes, ...] = ()  # Another patient's materials that went into it.
    children: list[bytes] = field(default_factory=list)
    batch: bytes = b""
    label: Label | None = None
    place: str = ""
    place_unit: UnitRef | None = None
    packed: Packed | None = None
    journeys: list[Packed] = field(default_factory=list)
    life: Life = Life.AVAILABLE
    ended_by: bytes = b""
    ended_at: int | None = None
    collected_at: int | None = None
    thawed_at: int | None = None
    breached: bool = False
    issued_by: bytes = b""
    issued_to: UnitRef | None = None
    released_by: bytes = b""
    accepted_at: bytes = b""  # Site whose quality unit took it out of quarantine.
    handed_over_by: bytes = b""  # The last transfer between units that took it along.
    usable_until: int | None = None
    condition_accepted: frozenset[Packed] = frozenset()  # Ways that quality accepted.
    handlings: list[Handling] = field(default_factory=list)

    @property
    def is_released(self) -> bool:
        """Tells whether quality has released it and not taken that back."""
        return bool(self.released_by)


@dataclass(frozen=True, slots=True)
class DosePlan:
    """Which bags make the dose: each with its place in the order, from 1."""

    digest: bytes
    bags: tuple[tuple[bytes, int], ...]


@dataclass(slots=True)
class Collection:
    """One day's collection; `kit` is the KitReceived that it used, if it named one."""

    started_by: bytes
    day: int
    din: str
    unit: UnitRef
    started_at: int
    completed_by: bytes = b""
    attempt: int = 1
    kit: bytes = b""


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """A consent given or withdrawn for one scope at one time."""

    scope: int
    given: bool
    at: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class IdentityBreak:
    """Why the chain of identity is broken."""

    code: str
    digest: bytes
    at: int


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """A check of identity; `is_sound` if it broke no rule. Who was compared stands in its comparisons."""

    digest: bytes
    point: int
    at: int
    site: bytes
    is_sound: bool
    materials: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class BedsideCheck:
    """A check at the bedside; `is_sound` if patient and bag were found to belong together."""

    digest: bytes
    material: bytes
    at: int
    site: bytes
    is_sound: bool


@dataclass(slots=True)
class Infusion:
    """The infusion of one bag; `outcome` is the contract's number, 0 while it runs."""

    started_by: bytes
    material: bytes
    unit: UnitRef
    started_at: int
    stopped_by: bytes = b""
    stopped_at: int | None = None
    outcome: int = 0
    bag_order: int = 0


@dataclass(frozen=True, slots=True)
class LotUsed:
    """A lot that went into a batch."""

    digest: bytes
    batch: bytes
    lot: bytes
    lot_number: str
    kind: str
    outputs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Disposition:
    """Quality's word on the condition of materials, with the study that supports it."""

    digest: bytes
    at: int
    materials: tuple[bytes, ...]
    holds: tuple[bytes, ...]
    inspection: bytes
    is_accepted: bool
    study_reference: str
    study_sha256: bytes


@dataclass(frozen=True, slots=True)
class Deviation:
    """A deviation that was raised."""

    digest: bytes
    reference: str
    at: int
    materials: frozenset[bytes]
    batches: frozenset[bytes]


@dataclass(slots=True)
class TherapyState(FoldState):
    """One therapy as far as its acts, judged, have brought it; `holds` are its own, not its consignments'."""

    enrolled_by: bytes = b""
    stream: bytes = b""
    aliases: tuple[tuple[str, str], ...] = ()
    coi: str = ""
    product: str = ""
    jurisdiction: str = ""
    policy_digest: bytes = b""
    pins: Pins = field(default_factory=Pins)  # Where it was moved to another pack.
    treating_unit: UnitRef | None = None
    participants: frozenset[bytes] = frozenset()
    custodian_of_record: bytes = b""
    consents: list[ConsentChange] = field(default_factory=list)
    harvest: HarvestState = field(default_factory=HarvestState)  # Of its way to the frozen bag.
    identity_breaks: list[IdentityBreak] = field(default_factory=list)
    identity_checks: dict[bytes, IdentityCheck] = field(default_factory=dict)
    bedside_checks: dict[bytes, BedsideCheck] = field(default_factory=dict)
    collections: dict[bytes, Collection] = field(default_factory=dict)
    materials: dict[bytes, MaterialState] = field(default_factory=dict)
    batches: dict[bytes, BatchState] = field(default_factory=dict)
    infusions: dict[bytes, Infusion] = field(default_factory=dict)
    deviations: list[Deviation] = field(default_factory=list)
    lots: list[LotUsed] = field(default_factory=list)
    dose_plan: DosePlan | None = None
    specification_requests: dict[bytes, OutOfSpecificationRequest] = field(default_factory=dict)
    specification_supports: dict[bytes, OutOfSpecificationSupport] = field(default_factory=dict)
    reactions: list[bytes] = field(default_factory=list)
    follow_ups: list[tuple[bytes, str]] = field(default_factory=list)
    foreign_materials: dict[bytes, bytes] = field(default_factory=dict)
    dispositions: list[Disposition] = field(default_factory=list)
    # Holds for condition that no longer stand in the way of one material: pairs of a material and a hold.
    disposed: set[tuple[bytes, bytes]] = field(default_factory=set)
    recall_actions: list[RecallActionDone] = field(default_factory=list)
    settled_dins: dict[str, bytes] = field(default_factory=dict)
    consignments: dict[bytes, ConsignmentState] = field(default_factory=dict)
    treatment: Treatment = field(default_factory=Treatment)
    steps_done: set[str] = field(default_factory=set)  # Short names of the bodies that took place.
    closed_by: bytes = b""
    kept_until: int | None = None

    @property
    def is_enrolled(self) -> bool:
        """Tells whether the therapy's enrolment is in effect."""
        return bool(self.enrolled_by)

    @property
    def identity_broken(self) -> bool:
        """Tells whether the chain of identity is broken."""
        return bool(self.identity_breaks)

    @property
    def closed(self) -> bool:
        """Tells whether the therapy is closed."""
        return bool(self.closed_by)

    @property
    def dins(self) -> frozenset[str]:
        """Returns the donation numbers of the therapy's collections."""
        return frozenset(collection.din for collection in self.collections.values())

    def consent_in_force(self, scope: int, at: int) -> bool:
        """Tells whether the patient's last word on `scope` up to `at` was a consent."""
        last: ConsentChange | None = None
        for change in self.consents:
            if change.scope == scope and change.at <= at and (last is None or change.at >= last.at):
                last = change
        return last is not None and last.given

    def line_of(self, material: bytes) -> Iterator[MaterialState]:
        """Yields a material and all that it was made of, each once."""
        waiting = [material]
        met = {material}
        while waiting:
            found = self.materials.get(waiting.pop())
            if found is None:
                continue
            yield found
            for parent in found.parents:
                if parent not in met:
                    met.add(parent)
                    waiting.append(parent)

    def holds_on(self, material: bytes) -> tuple[Hold, ...]:
        """Returns the holds that stand in the way of a material, in order of their ids."""
        if not self.holds and not any(consignment.holds for consignment in self.consignments.values()):
            return ()
        line = list(self.line_of(material))
        ids = {member.material for member in line}
        own = self.materials.get(material)
        batches = {own.batch} if own is not None and own.batch else set()
        found = [
            hold
            for hold in self.holds.values()
            if hold.scope is ScopeOfHold.THERAPY
            or any(one in hold.materials and (one, hold.hold) not in self.disposed for one in ids)
            or not batches.isdisjoint(hold.batches)
        ]
        for member in line:
            for journey in member.journeys:
                consignment = self.consignments.get(journey.consignment)
                if consignment is not None:
                    held = consignment.holds_on(journey.container)
                    found.extend(hold for hold in held if (member.material, hold.hold) not in self.disposed)
        return tuple(sorted({hold.hold: hold for hold in found}.values(), key=lambda hold: hold.hold))

    def holds_on_batch(self, batch: bytes) -> tuple[Hold, ...]:
        """Returns the holds that stand in the way of a batch as a whole, in order of their ids."""
        found = [hold for hold in self.holds.values() if hold.scope is ScopeOfHold.THERAPY or batch in hold.batches]
        return tuple(sorted(found, key=lambda hold: hold.hold))


def custody_of(state: TherapyState, material: bytes) -> tuple[UnitRef | None, UnitRef | None]:
    """Returns (accountable custodian, reported possessor) of a material: the container's while it is packed."""
    found = state.materials.get(material)
    if found is None:
        return (None, None)
    if found.packed is None:
        return (found.custodian, found.possessor)
    consignment = state.consignments.get(found.packed.consignment)
    container = None if consignment is None else consignment.containers.get(found.packed.container)
    if container is None:
        return (found.custodian, found.possessor)
    return (container.custodian, container.possessor)
