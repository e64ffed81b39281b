"""The rules of therapies as the fold asks for them, driven by one table of acts.

The rules of this module:

* A therapy's stream folds jointly with the consignments it cites. A consignment's acts keep their own judgement and
  their own rules of evolution; they are never judged here. A therapy's acts are judged against the consignments as
  they stand in front of them.
* A body type has one row; a type without a row (the ledger's own re-judgements) changes nothing.
* An act follows the steps that the pack puts before it (`therapy_steps`).
* The scans of every act are compared with what its labels are expected to say (`therapy_scans`).
* A gate that an override in effect names, for all that the act touches, becomes the advisory GATE_OVERRIDDEN.
* An act is judged under the pack that its place in the order has: the enrolment's, or one the therapy was moved to.
* What is read from other streams is passed in as `References` and may be replaced as a whole between two folds.
"""

from __future__ import annotations

from cellcustody.ledger.custody import (
    acceptance,
    dispositions,
    repinning,
    therapy_rules_batches,
    therapy_rules_division,
    therapy_rules_facilities,
    therapy_rules_harvest,
    therapy_rules_manufacturing,
    therapy_rules_quality,
    therapy_rules_release,
    therapy_rules_results,
    therapy_rules_return,
    therapy_rules_return_after,
    therapy_rules_return_bedside,
    therapy_rules_return_ends,
    therapy_rules_return_infusion,
    therapy_rules_transport,
)
from cellcustody.ledger.custody.act import Act, Finding, Judged
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.overrides import let_pass
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import References
from cellcustody.ledger.custody.repinning import PackOf
from cellcustody.ledger.custody.scan_comparison import scans_of
from cellcustody.ledger.custody.therapy_evolution import note_findings
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_rows import TherapyAct
from cellcustody.ledger.custody.therapy_scans import therapy_scan_findings
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.custody.therapy_steps import breaks_order
from cellcustody.ledger.custody.time_out_of_cryo import note_handling
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["ROWS", "TherapyRules"]

ROWS: dict[str, TherapyAct] = {
    row.body_type: row
    for row in (
        *therapy_rules_harvest.ACTS,
        *therapy_rules_transport.ACTS,
        *therapy_rules_batches.ACTS,
        *acceptance.ACTS,
        *therapy_rules_manufacturing.ACTS,
        *therapy_rules_division.ACTS,
        *therapy_rules_results.ACTS,
        *therapy_rules_release.ACTS,
        *therapy_rules_return.ACTS,
        *therapy_rules_return_bedside.ACTS,
        *therapy_rules_return_infusion.ACTS,
        *therapy_rules_return_after.ACTS,
        *therapy_rules_return_ends.ACTS,
        *therapy_rules_quality.ACTS,
        *therapy_rules_facilities.ACTS,
        *repinning.ACTS,
        *dispositions.ACTS,
    )
}

_CONSIGNMENT = 2  # First byte of a consignment's stream id.
_ENROLLED = harvest.TherapyEnrolled.DESCRIPTOR.full_name


class TherapyRules:
    """The rules of one therapy under its pack; `references` is replaced when other streams have news."""

    def __init__(
        self,
        pack: PolicyPack,
        references: References | None = None,
        *,
        pack_of: PackOf | None = None,
    ) -> None:
        self.pack = pack  # As enrolled; `pack_in` tells the one in force where the therapy was moved.
        self.pack_of = pack_of
        self.references = References() if references is None else references
        # Names, openings and evolution are the same for every consignment; judgements are never asked for here.
        self._consignments = ConsignmentRules(b"")

    def pack_in(self, state: TherapyState) -> PolicyPack:
        """Returns the pack that the next act is judged under."""
        if not state.pins or self.pack_of is None:
            return self.pack
        return self.pack_of(state.policy_digest) or self.pack

    def new_state(self) -> TherapyState:
        """Returns the state before any act."""
        return TherapyState()

    def opens(self, act: Act) -> bool:
        """Tells whether the act opens the therapy or one of its consignments."""
        if act.stream[0] == _CONSIGNMENT:
            return self._consignments.opens(act)
        return act.body_type == _ENROLLED

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns the digests of the statements that the body names."""
        if act.stream[0] == _CONSIGNMENT:
            return self._consignments.names(act)
        row = ROWS.get(act.body_type)
        return frozenset() if row is None or act.body is None else row.names(act)

    def check(self, state: TherapyState, act: Act) -> tuple[Finding, ...]:
        """Returns the findings on a fact of the therapy's own stream."""
        row = ROWS.get(act.body_type)
        if row is None or act.stream[0] == _CONSIGNMENT:
            return ()
        judging = Judging(state, act, self.pack_in(state), self.references)
        row.check(judging)
        # An authorisation is judged at its arrival; before the enrolment all waits for it.
        is_judged_here = state.is_enrolled and not act.is_authorisation
        found = judging.findings()
        if is_judged_here and breaks_order(
            judging.pack, act.body_type, state.steps_done, found={one.code for one in found}
        ):
            judging.find("STEP_OUT_OF_ORDER")
            found = judging.findings()
        if judging.waits:
            return found
        if scans_of(act):
            found += therapy_scan_findings(state, act, row.touches(act)[0])
        if state.overrides and found:
            materials, batches = row.touches(act)
            for ids in (materials, batches):
                found = let_pass(found, state.overrides, act.occurred_start, ids=frozenset(ids))
        return found

    def evolve(self, state: TherapyState, act: Act, judged: Judged) -> None:
        """Lets an act have its effect, by its judgement alone."""
        if act.stream[0] == _CONSIGNMENT:
            self._consignments.evolve(_consignment_in(state, act.stream), act, judged)
            return
        row = ROWS.get(act.body_type)
        if row is None:
            return
        if state.pins:
            state.pins.note(act.digest, state.policy_digest)
        row.evolve(state, act, judged)
        state.steps_done.add(act.body_type.rpartition(".")[2])
        note_handling(state, act)
        if judged.findings:
            note_findings(state, act, judged, *row.touches(act))


def _consignment_in(state: TherapyState, stream: bytes) -> ConsignmentState:
    found = state.consignments.get(stream)
    if found is None:
        found = state.consignments[stream] = ConsignmentState.within(stream, state)
    return found
