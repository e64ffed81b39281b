"""Judge what permits something to happen in a therapy, at its arrival, against the state as it is now.

The rules, beside those of `authorisations`, which hold for every stream:

* Enrolment: once, under exactly one chain of identity identifier in its exact form, under a pack of the ledger for
  that product and jurisdiction, with a treating unit and a custodian of record.
* Release, conditional release, release outside specification, rejection and termination of a batch: `batch_release`.
  The plan of a dose: `dose_plans`. Acceptance of what came in: `acceptance`.
* Holds: one that a withdrawn consent opened stands until consent is given again; one that a break of identity opened
  stands until identity is restored.
* A patient is taken into a study once, unless the last assessment stands against it.
* Identity is restored on a ReidentificationPerformed from the source record after the last break: matching, sound,
  joined by a second person. It lifts the holds that came of not knowing whose cells these are, and no other.
* An override gives its reason. One in effect lets the gate it names pass here too.
* Custody is established by the last custodian, the treating site or the custodian of record, for materials named.
* Closure, reopening, passing the record on, and a physician's word on a breached bag: `closing`.

A finding of strength AWAITING makes the refusal retryable; any hard gate or gate makes it final; advisories are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cellcustody.ledger.custody import acceptance, batch_release, closing, dose_plans
from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.authorisations import News, check_common, decision_news
from cellcustody.ledger.custody.consignment_touch import containers_touched
from cellcustody.ledger.custody.dispositions import check_disposed, needs_disposition, rejects_condition
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.overrides import let_pass
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.repinning import PackOf, check_repinned
from cellcustody.ledger.custody.therapy_evolution import BREAKS_IDENTITY
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, co_signers_min, compared_well
from cellcustody.ledger.custody.therapy_rules import ROWS
from cellcustody.ledger.custody.therapy_rules_facilities import DISPUTED, check_settled
from cellcustody.ledger.custody.therapy_rules_harvest_before import check_trial_enrolled
from cellcustody.ledger.custody.therapy_rules_harvest_labels import check_labels_at_closure
from cellcustody.ledger.custody.therapy_state import (
    TherapyState,
    custody_of,
)
from cellcustody.ledger.custody.therapy_steps import breaks_order
from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.identifiers.errors import IdentifierMalformedError
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import policy_pb2 as policy
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["ISBT128_COI", "judge_authorisation", "therapy_news"]

ISBT128_COI = "isbt128-coi"
_CONSIGNMENT = 2  # First byte of a consignment's stream id.
# What holds because nobody knew whose cells these are; every other hold has reasons that a re-identification leaves.
_LIFTED_BY_RESTORING = BREAKS_IDENTITY | {
    "IDENTITY_BROKEN",
    "IDENTITY_NOT_CHECKED",
    "BAG_NOT_IDENTIFIED",
    "BAG_UNREADABLE",
}


# What the signer must have seen.


def _touched(state: TherapyState, act: Act) -> tuple[set[bytes], set[bytes]]:
    """Returns the materials and batches that an authorisation or fact is about; both empty: the whole therapy."""
    materials: set[bytes] = set()
    batches: set[bytes] = set()
    row = ROWS.get(act.body_type)
    if row is not None and act.body is not None:
        named, of_batches = row.touches(act)
        materials.update(named)
        batches.update(of_batches)
    match act.body:
        case quality.HoldLifted() | quality.IdentityRestored() as body:
            for one in body.holds:
                hold = state.holds.get(one)
                if hold is None or not (hold.materials or hold.batches):
                    return (set(), set())
                materials |= hold.materials
                batches |= hold.batches
        case quality.StatementCorrected() as body:
            return _touched_by(state, body.corrected)
        case quality.StatementRetracted() as body:
            return _touched_by(state, body.retracted)
        case quality.GateOverridden() as body:
            if body.scope.kind == quality.SCOPE_KIND_BATCH:
                batches.update(body.scope.ids)
        case _:
            pass
    return (materials, batches)


def _with_line(state: TherapyState, materials: set[bytes], batches: set[bytes]) -> tuple[set[bytes], set[bytes]]:
    """Returns these with all that the materials were made of, and the batches they belong to."""
    line = [member for one in materials for member in state.line_of(one)]
    return (
        materials | {member.material for member in line},
        batches | {member.batch for member in line if member.batch},
    )


def _touched_by(state: TherapyState, digest: bytes) -> tuple[set[bytes], set[bytes]]:
    target = state.placed.get(digest)
    if target is None or isinstance(target.body, quality.StatementCorrected | quality.StatementRetracted):
        return (set(), set())
    return _touched(state, target)


def therapy_news(
    fold: Fold[TherapyState], act: Act, *, revised_at: Mapping[bytes, int] | None = None
) -> tuple[News, ...]:
    """Returns what concerns the same material and the signer had not seen, oldest first.

    That is: holds placed, nonconforming facts (failing results and broken identity among them), rejections,
    corrections and retractions, in the therapy's stream and in its consignments'. Other news is none.
    """
    state = fold.state
    materials, batches = _with_line(state, *_touched(state, act))
    journeys = {
        (journey.consignment, journey.container)
        for one in materials
        if (found := state.materials.get(one)) is not None
        for journey in found.journeys
    }

    def concerns(current: TherapyState, one: Act) -> bool:
        if (
            one.is_authorisation
            and not rejects_condition(one.body)
            and not isinstance(
                one.body,
                modification.BatchRejected
                | modification.BatchTerminated
                | quality.StatementCorrected
                | quality.StatementRetracted,
            )
        ):
            return False
        if not materials and not batches:
            return True
        if one.stream[0] == _CONSIGNMENT:
            consignment = current.consignments.get(one.stream)
            containers = frozenset() if consignment is None else containers_touched(consignment, one)
            return any(
                stream == one.stream and (not containers or container in containers) for stream, container in journeys
            )
        others, other_batches = _touched(current, one)
        return (
            not (others or other_batches) or not materials.isdisjoint(others) or not batches.isdisjoint(other_batches)
        )

    return decision_news(fold, act, concerns, revised_at=revised_at)


# The judgement.


def judge_authorisation(
    state: TherapyState,
    act: Act,
    pack: PolicyPack | None,
    news: Collection[News] = (),
    *,
    pack_of: PackOf | None = None,
) -> tuple[Finding, ...]:
    """Returns what the rules find in an authorisation against the state as it is now, in order of code.

    `pack` is the one the therapy is pinned to, or for an enrolment the one it names; None if the ledger has none such.
    `pack_of` finds the pack that a move to another one names.
    """
    found = Findings()
    if isinstance(act.body, harvest.TherapyEnrolled):
        _check_enrolled(state, act, act.body, pack, found)
        return found.result()
    if not state.is_enrolled:
        return (Finding("THERAPY_UNKNOWN"),)
    if pack is None:
        return (Finding("POLICY_UNKNOWN"),)
    check_common(state, act, pack, news, found)
    if breaks_order(pack, act.body_type, state.steps_done):
        found.add("STEP_OUT_OF_ORDER")
    match act.body:
        case modification.MaterialAccepted() as body:
            acceptance.check_accepted(state, act, body, pack, found)
        case modification.BatchReleased() as body:
            batch_release.check_released(state, act, body, pack, found)
        case modification.BatchReleasedConditionally() as body:
            batch_release.check_released_conditionally(state, act, body, pack, found)
        case modification.OutOfSpecificationReleased() as body:
            batch_release.check_released_outside(state, act, body, pack, found)
        case modification.BatchRejected() as body:
            batch_release.check_rejected(state, act, body, found)
        case modification.BatchTerminated() as body:
            batch_release.check_terminated(state, act, body, found)
        case modification.DosePlanned() as body:
            dose_plans.check_planned(state, act, body, pack, found)
        case quality.HoldLifted() as body:
            _check_lifted(state, act, body, found)
        case quality.IdentityRestored() as body:
            _check_restored(state, act, body, pack, found)
        case quality.GateOverridden() as body:
            if not body.circumstances.reason:
                found.add("REASON_MISSING", act.leaves_of(51))
        case transport.CustodyEstablished() as body:
            _check_established(state, act, body, found)
        case transport.ConditionDisposed() as body:
            check_disposed(state, act, body, pack, found)
        case policy.TherapyRepinned() as body:
            check_repinned(state, act, body, None if pack_of is None else pack_of(body.to_policy_digest), found)
        case returned.TherapyClosed() as body:
            closing.check_closed(state, act, body, pack, found)
            check_labels_at_closure(state, pack, found)
        case harvest.TrialEnrolled() as body:
            check_trial_enrolled(state, act, body, found)
        case facilities.DonationNumberSettled() as body:
            check_settled(state, act, body, found)
        case returned.TherapyReopened() as body:
            closing.check_reopened(state, act, body, found)
        case returned.CustodianOfRecordChanged() as body:
            closing.check_record_passed(state, act, body, found)
        case returned.BreachDecided() as body:
            closing.check_breach_decided(state, act, body, found)
        case quality.StatementCorrected() | quality.StatementRetracted() | quality.DeviationClosed():
            pass
        case _:
            found.add("BODY_NOT_OF_THERAPY")
    result = found.result()
    if state.overrides and result:
        materials, batches = _touched(state, act)
        for ids in (materials, batches):
            result = let_pass(result, state.overrides, act.occurred_start, ids=frozenset(ids))
    return result


def _check_enrolled(
    state: TherapyState, act: Act, body: harvest.TherapyEnrolled, pack: PolicyPack | None, found: Findings
) -> None:
    if state.is_enrolled:
        found.add("ALREADY_ENROLLED")
    names = [alias.value for alias in body.aliases if alias.scheme == ISBT128_COI]
    if len(names) != 1:
        found.add("COI_NOT_ONE", act.leaves_of(1))
    for name in names:
        try:
            ChainOfIdentity.parse_printed(name)
        except IdentifierMalformedError:
            found.add("COI_MALFORMED", act.leaves_of(1))
    if pack is None or pack.digest != body.policy_digest:
        found.add("POLICY_UNKNOWN", act.leaves_of(5))
    elif (pack.product, pack.jurisdiction) != (body.product, body.jurisdiction):
        found.add("PACK_OF_ANOTHER_PRODUCT", act.leaves_of(3, 4, 5))
    if not body.treating_unit.site or not body.custodian_of_record:
        found.add("TREATING_UNIT_MISSING", act.leaves_of(6, 8))


def _check_lifted(state: TherapyState, act: Act, body: quality.HoldLifted, found: Findings) -> None:
    leaves = act.leaves_of(1)
    for index, one in enumerate(body.holds):
        hold = state.holds.get(one)
        if hold is None:
            continue
        leaf = leaves[index : index + 1]
        if needs_disposition(state, hold):
            found.add("DISPOSITION_NEEDED", leaf)
        if not closing.check_breach_lifted(state, hold.code, hold.statement_digest):
            found.add("BREACH_UNDECIDED", leaf)
        if hold.code in BREAKS_IDENTITY and state.identity_broken:
            found.add("IDENTITY_BROKEN", leaf)
        if hold.code == DISPUTED:
            found.add("LIFTING_NOT_PERMITTED", leaf)  # Only the settlement of the number ends it.
        if hold.code == "CONSENT_WITHDRAWN":
            withdrawal = state.placed.get(hold.statement_digest)
            if withdrawal is not None and isinstance(withdrawal.body, harvest.ConsentWithdrawn):
                scopes = withdrawal.body.scopes
                if not all(state.consent_in_force(scope, act.occurred_start) for scope in scopes):
                    found.add("CONSENT_MISSING", leaf)


def _check_restored(
    state: TherapyState, act: Act, body: quality.IdentityRestored, pack: PolicyPack, found: Findings
) -> None:
    if not state.identity_broken:
        found.add("IDENTITY_NOT_BROKEN")
    leaves = act.leaves_of(2)
    for index, one in enumerate(body.holds):
        hold = state.holds.get(one)
        if hold is None:
            found.add("HOLD_UNKNOWN", leaves[index : index + 1])
        elif hold.code not in _LIFTED_BY_RESTORING:
            found.add("LIFTING_NOT_PERMITTED", leaves[index : index + 1])
    digest = state.current(body.reidentification)
    check = state.identity_checks.get(digest)
    if check is None:
        found.add("PREDECESSOR_MISSING" if digest not in state.placed else "REIDENTIFICATION_MISSING", act.leaves_of(1))
        return
    checked = state.placed[digest]
    if not isinstance(checked.body, harvest.ReidentificationPerformed):
        found.add("REIDENTIFICATION_MISSING", act.leaves_of(1))
        return
    last_break = max((one.at for one in state.identity_breaks), default=check.at)
    if (
        not check.is_sound
        or check.at < last_break
        or not compared_well(checked.comparisons, pack.patient_identifiers_min)
    ):
        found.add("REIDENTIFICATION_MISSING", act.leaves_of(1))
    needed = pack.co_signing_for(checked.body_type, co_signers_min(checked.body_type))
    joined = state.others_who_signed(checked, within=needed.window_seconds * MICROS_PER_SECOND)
    if len({one.person for one in joined}) < needed.number:
        found.add("SECOND_PERSON_MISSING", act.leaves_of(1))


def _check_established(state: TherapyState, act: Act, body: transport.CustodyEstablished, found: Findings) -> None:
    if not body.materials or not body.custodian.site or body.containers:
        found.add("ESTABLISHES_NOTHING", act.leaves_of(1, 2, 3))
    entitled = {state.custodian_of_record}
    if state.treating_unit is not None:
        entitled.add(state.treating_unit.site)
    leaves = act.leaves_of(3)
    for index, one in enumerate(body.materials):
        leaf = leaves[index : index + 1]
        material = state.materials.get(one)
        if material is None:
            found.add("MATERIAL_UNKNOWN", leaf)
            continue
        if material.life.has_ended:
            found.add("AFTER_TERMINAL_ACT", leaf)
        custodian, _ = custody_of(state, one)
        if act.site not in entitled and (custodian is None or act.site != custodian.site):
            found.add("NOT_LAST_CUSTODIAN", leaf)
