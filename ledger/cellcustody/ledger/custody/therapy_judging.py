"""The bench on which one act of a therapy is judged: collects findings, and asks the questions that many rules share.

The rules of this module:

* A fact before the therapy's enrolment, or about a material, batch or statement that is not there, waits; what waits
  has no other finding, so that nothing is held because of an order of delivery.
* A material that another therapy's stream created is another patient's: a hard gate.
* A signer speaks for units of the own site only; every act on a material is its accountable custodian's.
* No physical act follows a material's end.

Nothing here reads a clock, a network or a database, and nothing changes the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from cellcustody.ledger.custody.act import Act, Comparison, Finding, Outcome, UnitRef
from cellcustody.ledger.custody.back_entry import co_signing_of
from cellcustody.ledger.custody.common_acts import co_signers_min
from cellcustody.ledger.custody.findings import Strength, rule_of
from cellcustody.ledger.custody.leg_conditions import use_findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import References, creates_key, din_number
from cellcustody.ledger.custody.therapy_state import (
    Amount,
    BatchState,
    MaterialState,
    TherapyState,
    custody_of,
)
from cellcustody.v1 import common_pb2 as common

__all__ = [
    "MICROS_PER_SECOND",
    "Judging",
    "amount_of",
    "answers_for",
    "co_signers_min",
    "coi_content",
    "compared_well",
    "same_coi",
    "same_din",
    "unit_of",
]

MICROS_PER_SECOND = 1_000_000
_MATCHES_MIN = 2  # One identifier of a patient may be another's too: two must agree, as at enrolment.
_COI_CHARACTERS = 15  # ISBT 128 data structure 040 without its check character.


class _UnitMessage(Protocol):
    @property
    def site(self) -> bytes: ...
    @property
    def unit(self) -> str: ...


def unit_of(message: _UnitMessage) -> UnitRef:
    """Returns a unit as the rules see it."""
    return UnitRef(message.site, message.unit)


def amount_of(quantity: common.Quantity) -> Amount:
    """Returns a quantity as the rules see it."""
    return Amount(quantity.mantissa, quantity.exponent, quantity.unit, quantity.comparator, quantity.basis)


def answers_for(custodian: UnitRef | None, unit: UnitRef) -> bool:
    """Tells whether `unit` is the custodian; a unit without a name is its site as a whole."""
    return (
        custodian is not None
        and custodian.site == unit.site
        and (custodian.unit == unit.unit or not custodian.unit or not unit.unit)
    )


def coi_content(read: str) -> str:
    """Returns the 15 characters that name a therapy, from an identifier as scanned, printed or typed."""
    return "".join(read.split()).removeprefix("&/")[:_COI_CHARACTERS]


def same_coi(read: str, coi: str) -> bool:
    """Tells whether two readings name the same therapy; an empty one names none."""
    return bool(read) and coi_content(read) == coi_content(coi)


def same_din(read: str, din: str) -> bool:
    """Tells whether two readings name the same donation; an empty one names none."""
    return bool(read) and din_number(read) == din_number(din)


def compared_well(comparisons: Iterable[Comparison], matches_min: int = _MATCHES_MIN) -> bool:
    """Tells whether enough identifiers of the patient matched, and none mismatched or could not be read."""
    matched = 0
    for comparison in comparisons:
        match comparison.outcome:
            case Outcome.MATCH:
                matched += 1
            case Outcome.MISMATCH | Outcome.UNREADABLE:
                return False
            case Outcome.NOT_COMPARED:
                pass
    return matched >= matches_min


class Judging:
    """One act before the rules: what is asked of the state, and what was found."""

    __slots__ = ("_found", "_waits", "act", "pack", "references", "state")

    def __init__(
        self,
        state: TherapyState,
        act: Act,
        pack: PolicyPack,
        references: References,
    ) -> None:
        self.state = state
        self.act = act
        self.pack = pack
        self.references = references
        # By code and fields, each once: a body may name tens of thousands of things with the same fault.
        self._found: dict[tuple[str, tuple[int, ...]], Finding] = {}
        self._waits: dict[tuple[str, tuple[int, ...]], Finding] = {}

    def find(self, code: str, *fields: int) -> None:
        """Adds a finding about these fields of the body; the same again changes nothing."""
        collected = self._waits if rule_of(code).strength is Strength.AWAITING else self._found
        if (code, fields) not in collected:
            collected[code, fields] = Finding(code, self.act.leaves_of(*fields) if fields else ())

    def findings(self) -> tuple[Finding, ...]:
        """Returns what was found; if anything is waited for, that alone."""
        return tuple((self._waits or self._found).values())

    @property
    def waits(self) -> bool:
        """Tells whether something is missing, so that nothing more can be said."""
        return bool(self._waits)

    # What is there, and what is waited for.

    def enrolled(self) -> bool:
        """Waits for the enrolment, and tells whether it is there."""
        if self.state.enrolled_by:
            return True
        self.find("THERAPY_UNKNOWN")
        return False

    def named(self, digest: bytes, body_type: str, field: int) -> Act | None:
        """Returns the statement that stands for `digest` here; waits for one that is not in the log.

        A statement of another type is a finding.
        """
        known = self.state.placed.get(self.state.current(digest))
        if known is None:
            self.find("PREDECESSOR_MISSING", field)
            return None
        if known.body_type != body_type:
            self.find("OTHER_STATEMENT_NAMED", field)
            return None
        return known

    def without_effect(self, named: Act, field: int) -> None:
        """Waits for a statement that waits itself; one that was retracted is found by the fold."""
        if named.digest not in self.state.retracted:
            self.find("PREDECESSOR_MISSING", field)

    def material(self, material: bytes, field: int, *, physical: bool = True) -> MaterialState | None:
        """Returns a material, or finds that it is unknown, another patient's, or at its end if the act is physical."""
        found = self.state.materials.get(material)
        if found is None:
            if self.references.others(creates_key(material), self.act.stream):
                self.find("OTHER_PATIENTS_MATERIAL", field)
            else:
                self.find("MATERIAL_UNKNOWN", field)
            return None
        if physical and found.life.has_ended:
            self.find("AFTER_TERMINAL_ACT", field)
        return found

    def batch(self, batch: bytes, field: int) -> BatchState | None:
        """Returns a batch, or waits for the accession that opens it."""
        found = self.state.batches.get(batch)
        if found is None:
            self.find("BATCH_UNKNOWN", field)
        return found

    # Who may speak and who answers.

    def own_unit(self, message: _UnitMessage, field: int) -> UnitRef:
        """Returns the unit, and finds if it is not of the signer's site."""
        unit = unit_of(message)
        if unit.site != self.act.site:
            self.find("SIGNED_FOR_ANOTHER_SITE", field)
        return unit

    def answered_by(self, material: MaterialState, unit: UnitRef, *fields: int) -> bool:
        """Finds unless `unit` is the material's accountable custodian; a unit without a name stands for its site."""
        custodian, _ = custody_of(self.state, material.material)
        if answers_for(custodian, unit):
            return True
        self.find("NOT_CUSTODIAN", *fields)
        return False

    def unpacked(self, material: MaterialState, field: int) -> None:
        """Finds if the material lies in a container: nobody can work on it there."""
        if material.packed is not None:
            self.find("MATERIAL_PACKED", field)

    def not_before(self, began: int, *fields: int) -> None:
        """Finds an end that lies before the beginning that it names, both in microseconds."""
        end = self.act.occurred_start if self.act.occurred_end is None else self.act.occurred_end
        if end < began:
            self.find("ENDED_BEFORE_START", *fields)

    # What stands in the way.

    def not_held(self, material: MaterialState, field: int) -> None:
        """Finds what keeps a material from use.

        That is a hold on it or on anything it was made of, ways that are not in order, one person's word at a transfer.
        """
        self.handed_over_by_two(material, field)
        if self.state.holds_on(material.material):
            self.find("HOLD_OPEN", field)
        else:
            for code in use_findings(self.state, self.pack, material.material):
                self.find(code, field)

    def consented(self, scope: int) -> None:
        """Finds unless the patient's consent to `scope` was in force when the act happened."""
        if not self.state.consent_in_force(scope, self.act.occurred_start):
            self.find("CONSENT_MISSING")

    def identity_intact(self) -> None:
        """Finds while the chain of identity is broken."""
        if self.state.identity_breaks:
            self.find("IDENTITY_BROKEN")

    def second_person(self, relied_on: Act, *fields: int) -> None:
        """Finds unless as many persons as needed had joined `relied_on` in time, before the act that relies on it."""
        if not self.is_joined(relied_on):
            self.find("SECOND_PERSON_MISSING", *fields)

    def handed_over_by_two(self, material: MaterialState, field: int) -> None:
        """Finds a material whose last transfer between units is one person's word alone."""
        handed_over = self.state.placed.get(material.handed_over_by)
        if handed_over is not None:
            self.second_person(handed_over, field)

    def is_joined(self, relied_on: Act) -> bool:
        """Tells whether as many persons as needed had joined `relied_on` in time, before the act judged here."""
        least = co_signers_min(relied_on.body_type)
        needed = co_signing_of(self.pack, relied_on.body_type, relied_on.body, least)
        joined = self.state.others_who_signed(relied_on, within=needed.window_seconds * MICROS_PER_SECOND)
        return len({one.person for one in joined if not needed.roles or one.role in needed.roles}) >= needed.number
