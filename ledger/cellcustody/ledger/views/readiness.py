"""Say whether a bag may be infused, and what a readiness certificate says of it.

The rules:

* Readiness is what `custody.readiness` finds in the therapy as known at a position, with the lots inside the bag.
* A certificate is given for a bag against which nothing stands but what is still to be done on the ward. It runs out
  after the pack's time, with the bag's expiry, or with its time from the thaw, whichever is first.
* What a certificate says comes from one position; whoever signs it adds nothing.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.readiness import STILL_TO_COME, reasons
from cellcustody.ledger.custody.return_checks import expires_at
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.readiness_certificates import ReadinessCertificate
from cellcustody.ledger.recording.explaining import explain
from cellcustody.ledger.recording.lots_inside import is_stopped, names_lot
from cellcustody.ledger.recording.planning import Explained, RuleRefusedError
from cellcustody.ledger.views.folding import StreamView
from cellcustody.ledger.views.follower import Packs
from cellcustody.ledger.views.past import TherapyPast
from cellcustody.ledger.views.reading import LedgerSource, read_told

__all__ = ["BagNotReadyError", "Readiness"]

_MICROS = 1_000_000


class BagNotReadyError(RuleRefusedError):
    """Raised when a certificate is asked for a bag against which something stands; the findings say what."""

    reason = "BAG_NOT_READY"


@dataclass(frozen=True, slots=True)
class Readiness:
    """One bag as known at a position (tree size), at a time."""

    material: bytes
    stream: bytes
    position: int
    at: int
    state: TherapyState
    pack: PolicyPack
    last_statement_digest: bytes
    findings: tuple[Finding, ...]
    explained: tuple[Explained, ...]

    @classmethod
    def of(
        cls, source: LedgerSource, packs: Packs, stream: bytes, material: bytes, *, position: int, at: int
    ) -> Readiness:
        """Returns the readiness of a bag of the therapy `stream`."""
        past = TherapyPast(source, packs, stream, position)
        state = past.case().state
        found = reasons(state, material, at, past.pack)
        holds = tuple(("hold", hold.hold.hex()) for hold in state.holds_on(material))
        lots = _stopped_lots(source, state, material, position)
        if lots:
            found = (*found, Finding("LOT_HELD"))
        return cls(
            material=material,
            stream=stream,
            position=position,
            at=at,
            state=state,
            pack=past.pack,
            last_statement_digest=past.told[-1].act.digest,
            findings=found,
            explained=explain(found, extra=(("HOLD_OPEN", holds), ("LOT_HELD", lots))),
        )

    def certificate(self, ledger_id: bytes) -> ReadinessCertificate:
        """Returns what a readiness certificate says of the bag now, unsigned.

        Raises:
            BagNotReadyError: something stands against infusing it that the ward cannot do.
        """
        against = tuple(one for one in self.explained if one.code not in STILL_TO_COME)
        if against:
            raise BagNotReadyError("the bag is not ready", against)
        bag = self.state.materials[self.material]
        label = bag.label
        return ReadinessCertificate(
            ledger_id=ledger_id,
            therapy=self.stream,
            material=self.material,
            position=self.position,
            last_statement_digest=self.last_statement_digest,
            issued_at=self.at,
            expires_at=self._expires_at(),
            coi=self.state.coi,
            din=bag.din if label is None else label.din,
            bag_expires_at=expires_at(bag),
            released_by=bag.released_by,
        )

    def _expires_at(self) -> int:
        bag = self.state.materials[self.material]
        ends = [self.at + self.pack.budgets.readiness_certificate_seconds * _MICROS]
        expiry = expires_at(bag)
        if expiry is not None:
            ends.append(expiry)
        budget = self.pack.thaw_to_infusion_start_seconds
        if bag.thawed_at is not None and budget is not None:
            ends.append(bag.thawed_at + budget * _MICROS)
        return min(ends)


def _stopped_lots(
    source: LedgerSource, state: TherapyState, material: bytes, position: int
) -> tuple[tuple[str, str], ...]:
    """Returns the lots that went into a material and are quarantined, recalled or on hold, as named values."""
    line = {one.material for one in state.line_of(material)}
    numbers = {one.lot: one.lot_number for one in state.lots if names_lot(one.lot) and line & set(one.outputs)}
    return tuple(
        ("lot", numbers[lot])
        for lot in sorted(numbers)
        if is_stopped(StreamView(lot, read_told(source, lot, position)).alone())
    )
