"""A standard course of therapy, told in memory to the real rules: what a policy pack's limits are tried on.

The rules of this module:

* One patient, one collection by apheresis, one batch, two bags of product of which one is infused and one destroyed,
  from enrolment to closure. Every act goes through the fold as a ledger's acts do; authorisations are judged at their
  arrival, and one that is refused has no effect.
* `Pace` says how long things take and how well they go; by itself it stays well within the pack.
* Findings of entry (training, roles, the clock, qualifications) come from a registry, which a course has not.
* Consignments are judged under the built-in pack, as in a ledger.

Times are microseconds since 1970-01-01T00:00:00Z; those of a pace are seconds. Nothing here is random or reads a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Act, Comparison, Finding, Outcome, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.findings import is_blocking
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import References, reference_keys
from cellcustody.v1 import common_pb2 as common

__all__ = ["Course", "Pace", "Told", "exact"]

MICROS: Final = 1_000_000
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
_START: Final = 1_760_000_000 * MICROS  # Any day does; a fixed one keeps every run the same.
_EXPONENT_MIN: Final = -12  # A limit with more places than that is no limit of a laboratory.

HOSPITAL, COURIER, PLANT, LABORATORY = (bytes([number]) * 16 for number in (1, 2, 3, 4))
THERAPY: Final = bytes([1]) + b"t" * 16
OUTWARD: Final = bytes([2]) + b"a" * 16
RETURN: Final = bytes([2]) + b"b" * 16
COI: Final = "CHA999925000001G"
DIN: Final = "A999925000001"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a course goes; every time in seconds. None: as the pack asks, well within it."""

    fresh_hold: int | None = None
    collection_to_start: int | None = None
    chairside: int = 10 * MINUTE
    lymphodepletion_to_infusion: int | None = None
    thaw_to_start: int = 10 * MINUTE
    thaw_to_end: int | None = None
    infusion: int = 10 * MINUTE
    out_of_cryo_more: int = 0
    bedside_to_start: int = 4 * MINUTE
    premedication: int = 30 * MINUTE
    screening_age_days: int = 1
    co_signing: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Fraction] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    yields: Mapping[str, Fraction] = field(default_factory=dict)
    lost: Fraction = Fraction(0)
    containers_missing: int = 0
    dose: Fraction | None = None
    markers_left_out: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    out_of_band: Mapping[str, int] = field(default_factory=dict)
    gaps: Mapping[str, int] = field(default_factory=dict)
    freezes_collection: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One act of a course with what the rules say of it once the course is over; `refused` for an authorisation."""

    body: str
    seconds: int
    status: Status | None
    findings: tuple[Finding, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes that were found, in order."""
        return tuple(finding.code for finding in self.findings)

    @property
    def is_unhappy(self) -> bool:
        """Tells whether the act does not conform, waits, or is refused."""
        return self.status in (None, Status.NONCONFORMING, Status.AWAITING)

    @property
    def refused(self) -> bool:
        """Tells whether it is an authorisation that the rules refuse."""
        return self.status is None


def exact(amount: Fraction, unit: str) -> common.Quantity:
    """Returns a measured quantity that is exactly `amount`.

    Raises:
        ValueError: the amount has no exact decimal form of a dozen places.
    """
    for exponent in range(0, _EXPONENT_MIN - 1, -1):
        mantissa = amount * Fraction(10) ** -exponent
        if mantissa.denominator == 1:
            return common.Quantity(
                mantissa=int(mantissa),
                exponent=exponent,
                unit=unit,
                comparator=common.COMPARATOR_EQUAL,
                basis=common.QUANTITY_BASIS_MEASURED,
            )
    raise ValueError("the amount has no exact decimal form")


def _field_numbers(body: Message) -> tuple[int, ...]:
    numbers: list[int] = []
    for descriptor, value in body.ListFields():
        is_scattered = descriptor.is_repeated and descriptor.type in (
            descriptor.TYPE_MESSAGE,
            descriptor.TYPE_BYTES,
            descriptor.TYPE_STRING,
        )
        numbers.extend([descriptor.number] * (len(value) if is_scattered else 1))
    return tuple(numbers)


class Course:
    """The bench of one course: tells acts to the real folds, in the order in which they happen."""

    def __init__(self, pack: PolicyPack, pace: Pace) -> None:
        self.pack = pack
        self.pace = pace
        self.collected_at = _START
        self.now = _START
        self.case = TherapyCase(THERAPY, pack, pack_of={pack.digest: pack}.get)
        self._consignments: dict[bytes, Fold[ConsignmentState]] = {}
        self._acts: list[Act] = []
        self._refused: dict[bytes, tuple[Finding, ...]] = {}
        self._last: dict[bytes, bytes] = {}
        self._creators: dict[bytes, frozenset[bytes]] = {}

    def wait(self, seconds: int) -> None:
        """Lets time pass."""
        self.now += seconds * MICROS

    def tell(
        self,
        body: Message,
        person: str,
        site: bytes,
        *,
        stream: bytes = THERAPY,
        at: int | None = None,
        lasting: int | None = None,
        role: str = "",
        matches: bool = False,
        join: str = "",
    ) -> bytes:
        """Tells one act a minute later, or at a time, and returns its digest; `join` is the second person.

        An act whose body the pace leaves out is not told, and has an empty digest.
        """
        name = body.DESCRIPTOR.name
        self.now = self.now + MINUTE * MICROS if at is None else at
        if name in self.pace.left_out:
            return b""
        contract = BODIES[body.DESCRIPTOR.full_name]
        roles = sorted(self.pack.roles_for(name))
        act = Act(
            digest=self._digest(body.SerializeToString(deterministic=True)),
            stream=stream,
            leaf_index=len(self._acts),
            body_type=contract.name,
            body=body,
            signer=self._person(person),
            site=site,
            role=role or (roles[0] if roles else person),
            occurred_start=self.now,
            occurred_end=None if lasting is None else self.now + lasting * MICROS,
            signed_at=self.now,
            seen=tuple(sorted(self._last.items())) if contract.is_authorisation else (),
            field_numbers=_field_numbers(body),
            policy_digest=self.pack.digest,
            comparisons=(Comparison(0, Outcome.MATCH), Comparison(1, Outcome.MATCH)) if matches else (),
            is_authorisation=contract.is_authorisation,
        )
        asked = self.pack.co_signing_for(name, contract.co_signers_min)
        if not contract.is_authorisation:
            self._take(act)
            if asked.number and join:
                for number in range(asked.number):
                    self._join(act, f"{join} {number}", asked.roles, site, self.pace.co_signing.get(name, MINUTE))
        else:
            self._authorise(act, join or "second person", asked.number, asked.roles, site)
        return act.digest

    def outcome(self) -> tuple[Told, ...]:
        """Returns every act as it stands now, in the order it was told; co-signatures are left out."""
        told = []
        for act in self._acts:
            if act.joins is not None:
                continue
            if act.digest in self._refused:
                told.append(Told(self._name(act), self._since(act), None, self._refused[act.digest]))
                continue
            judged = (
                self.case.judged[act.digest]
                if act.stream == THERAPY
                else self._consignments[act.stream].judged[act.digest]
            )
            told.append(Told(self._name(act), self._since(act), judged.status, judged.findings))
        return tuple(told)

    # How it is done.

    def _authorise(self, act: Act, joining: str, number: int, roles: Iterable[str], site: bytes) -> None:
        found, _ = self.case.judge_authorisation(act, pack=self.pack)
        if any(is_blocking(one.code) for one in found):
            self._acts.append(act)
            self._refused[act.digest] = found
            return
        if not number:
            self._take(replace(act, in_effect_at=act.leaf_index))
            return
        self._take(act)
        for index in range(number):
            self._join(act, f"{joining} {index}", roles, site, MINUTE)
        self.case.mark_in_effect(act.digest, len(self._acts))

    def _join(self, act: Act, person: str, roles: Iterable[str], site: bytes, after: int) -> None:
        at = act.signed_at + after * MICROS
        named = sorted(roles)
        self._take(
            Act(
                digest=self._digest(b"joins" + act.digest),
                stream=act.stream,
                leaf_index=len(self._acts),
                body_type="",
                body=None,
                signer=self._person(person),
                site=site,
                role=named[0] if named else "witness",
                occurred_start=at,
                occurred_end=None,
                signed_at=at,
                joins=act.digest,
            )
        )

    def _take(self, act: Act) -> None:
        self._acts.append(act)
        self._last[act.stream] = act.digest
        if act.stream == THERAPY:
            for key in reference_keys(act):
                self._creators[key] = frozenset({THERAPY})
            self.case.append(act, references=References(dict(self._consignments), dict(self._creators)))
            return
        fold = self._consignments.get(act.stream)
        if fold is None:
            fold = self._consignments[act.stream] = Fold(ConsignmentRules(act.stream))
        fold.append(act)
        self.case.consignment_advanced(act.stream, fold)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(len(self._acts).to_bytes(4, "big") + content).digest()

    @staticmethod
    def _person(name: str) -> bytes:
        return hashlib.sha256(name.encode()).digest()[:16]

    @staticmethod
    def _name(act: Act) -> str:
        return act.body_type.rpartition(".")[2]

    @staticmethod
    def _since(act: Act) -> int:
        return (act.occurred_start - _START) // MICROS
