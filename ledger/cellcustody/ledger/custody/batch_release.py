"""Judge quality's word on a batch at its arrival: release, conditional release, outside specification, termination.

The rules, beside those that hold for every authorisation:

* A release is of a batch that was not rejected or given up, reviewed where the pack asks for it, with a certificate;
  its bags are products of that batch that have not ended, are in date and have been through every step that the pack
  wants before a release; nothing is held; identity is whole.
* Every test that the pack requires has passed finally by its latest result that counts. A conditional release lets an
  interim result do where the pack lets it, names each such test among its open items, and opens at least one.
* A release outside specification needs a pack that allows it. It names the request, the evaluation of the risk, the
  information of the patient and the notification of the authority, each sound, for this request, this batch and these
  bags, with the documents that the pack asks for. The results that were asked about, and the holds that they opened,
  do not stand against it; every other one does.
* A batch that quality has released is not terminated but rejected; a termination gives its cause.
"""

from __future__ import annotations

from collections.abc import Callable

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.back_entry import unattested
from cellcustody.ledger.custody.batch_state import BatchState, BatchStatus, ResultRecord, ResultVerdict, Support
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.custody.leg_conditions import use_findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.step_order import left_out_before
from cellcustody.ledger.custody.therapy_rules_release import SPECIFICATION_CODES
from cellcustody.ledger.custody.therapy_rules_return import expires_at
from cellcustody.ledger.custody.therapy_state import MaterialKind, TherapyState
from cellcustody.v1 import modification_pb2 as modification

__all__ = [
    "check_rejected",
    "check_released",
    "check_released_conditionally",
    "check_released_outside",
    "check_terminated",
]

_REVIEWED = modification.BatchReviewed.DESCRIPTOR.name
_RELEASED = modification.BatchReleased.DESCRIPTOR.full_name

_Release = (
    modification.BatchReleased | modification.BatchReleasedConditionally | modification.OutOfSpecificationReleased
)


def check_released(
    state: TherapyState, act: Act, body: modification.BatchReleased, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against a full release."""
    batch = _check_bags(state, act, body, pack, found)
    if batch is None:
        return
    for test in sorted(pack.required_tests):
        if (last := _passed(batch, test, found)) is not None and last.interim:
            found.add("TEST_INTERIM")


def check_released_conditionally(
    state: TherapyState, act: Act, body: modification.BatchReleasedConditionally, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against a release with open items."""
    batch = _check_bags(state, act, body, pack, found)
    if batch is None:
        return
    named = {item.test for item in body.open_items}
    if not named:
        found.add("OPEN_ITEM_MISSING")
    for test in sorted(pack.required_tests):
        last = _passed(batch, test, found)
        if last is None or not last.interim:
            continue
        if test not in pack.conditional_tests:
            found.add("TEST_INTERIM")
        elif test not in named:
            found.add("OPEN_ITEM_MISSING", act.leaves_of(5))


def check_released_outside(
    state: TherapyState, act: Act, body: modification.OutOfSpecificationReleased, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against a release outside specification."""
    if not pack.oos_release.allowed:
        found.add("OUT_OF_SPECIFICATION_NOT_ALLOWED")
    request = state.specification_requests.get(state.current(body.request))
    accepted = frozenset() if request is None or not request.is_sound else request.results
    batch = _check_bags(
        state,
        act,
        body,
        pack,
        found,
        stands=lambda hold: hold.code not in SPECIFICATION_CODES or hold.statement_digest not in accepted,
    )
    _check_chain(state, act, body, pack, found)
    if batch is None:
        return
    for test in sorted(pack.required_tests):
        last = batch.last_result(test)
        if last is not None and last.digest in accepted:
            continue
        if (passed := _passed(batch, test, found)) is not None and passed.interim:
            found.add("TEST_INTERIM")


def _check_chain(
    state: TherapyState, act: Act, body: modification.OutOfSpecificationReleased, pack: PolicyPack, found: Findings
) -> None:
    named = {5: body.request, 6: body.risk_evaluation, 7: body.patient_information, 8: body.authority_notification}
    for field, digest in named.items():
        if digest and state.current(digest) not in state.placed:
            found.add("PREDECESSOR_MISSING", act.leaves_of(field))
    asked = state.current(body.request)
    request = state.specification_requests.get(asked)
    if (
        request is None
        or not request.is_sound
        or request.batch != body.batch
        or not request.materials >= set(body.materials)
    ):
        found.add("OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE", act.leaves_of(5))
    documents = set() if request is None else set(request.documents)
    wanted = {6: Support.RISK_EVALUATED, 7: Support.PATIENT_INFORMED, 8: Support.AUTHORITY_NOTIFIED}
    for field, kind in wanted.items():
        support = state.specification_supports.get(state.current(named[field]))
        if support is None or support.kind is not kind or support.request != asked or not support.is_sound:
            found.add("OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE", act.leaves_of(field))
        else:
            documents |= support.documents
    if not pack.oos_release.documents <= documents:
        found.add("DOCUMENT_MISSING")


def check_rejected(state: TherapyState, act: Act, body: modification.BatchRejected, found: Findings) -> None:
    """Adds what stands against a rejection."""
    batch = state.batches.get(body.batch)
    if batch is None:
        found.add("BATCH_UNKNOWN", act.leaves_of(1))
    elif batch.status.has_failed:
        found.add("BATCH_DECIDED", act.leaves_of(1))


def check_terminated(state: TherapyState, act: Act, body: modification.BatchTerminated, found: Findings) -> None:
    """Adds what stands against giving a batch up."""
    batch = state.batches.get(body.batch)
    if batch is None:
        found.add("BATCH_UNKNOWN", act.leaves_of(1))
    elif batch.status is not BatchStatus.OPEN:
        found.add("BATCH_DECIDED", act.leaves_of(1))
    if body.cause == modification.TERMINATION_CAUSE_UNSPECIFIED:
        found.add("REASON_MISSING", act.leaves_of(2))


def _any_hold(hold: Hold) -> bool:
    return True


def _check_bags(
    state: TherapyState,
    act: Act,
    body: _Release,
    pack: PolicyPack,
    found: Findings,
    *,
    stands: Callable[[Hold], bool] = _any_hold,
) -> BatchState | None:
    """Adds what stands against any release of these bags, tests left aside; returns the batch, if there is one."""
    batch = state.batches.get(body.batch)
    if batch is None:
        found.add("BATCH_UNKNOWN", act.leaves_of(1))
        return None
    if batch.status.has_failed:
        found.add("BATCH_DECIDED", act.leaves_of(1))
    if state.identity_broken:
        found.add("IDENTITY_BROKEN")
    if any(stands(hold) for hold in state.holds_on_batch(body.batch)):
        found.add("HOLD_OPEN", act.leaves_of(1))
    if _REVIEWED in pack.steps_before(_RELEASED) and not (batch.reviews and batch.reviews[-1].acceptable):
        found.add("BATCH_NOT_REVIEWED", act.leaves_of(1))
    if any(unattested(state, state.stream)):
        found.add("BACK_ENTRY_UNWITNESSED")
    if not body.certificate.sha256:
        found.add("CERTIFICATE_MISSING", act.leaves_of(3))
    if not body.release_for_infusion.sha256:
        found.add("RELEASE_FOR_INFUSION_MISSING", act.leaves_of(4))
    if not body.materials:
        found.add("NO_MATERIAL")
    leaves = act.leaves_of(2)
    for index, one in enumerate(body.materials):
        leaf = leaves[index : index + 1]
        material = state.materials.get(one)
        if material is None:
            found.add("MATERIAL_UNKNOWN", leaf)
            continue
        if material.kind != MaterialKind.PRODUCT:
            found.add("NOT_A_PRODUCT", leaf)
        if material.batch != body.batch:
            found.add("NOT_IN_BATCH", leaf)
        made_by = frozenset(member.made_by_step for member in state.line_of(one) if member.made_by_step)
        if left_out_before(pack, _RELEASED, made_by):
            found.add("STEP_OUT_OF_ORDER", leaf)
        if material.life.has_ended:
            found.add("AFTER_TERMINAL_ACT", leaf)
        if any(stands(hold) for hold in state.holds_on(one)):
            found.add("HOLD_OPEN", leaf)
        else:
            for code in use_findings(state, pack, one):
                found.add(code, leaf)
        expiry = expires_at(material)
        if expiry is not None and act.occurred_start > expiry:
            found.add("EXPIRED", leaf)
    _check_deviations(state, body, found)
    return batch


def _check_deviations(state: TherapyState, body: _Release, found: Findings) -> None:
    concerned = set(body.materials)
    for deviation in state.deviations:
        if deviation.digest in state.deviations_closed:
            continue
        if (
            not (deviation.materials or deviation.batches)
            or body.batch in deviation.batches
            or not concerned.isdisjoint(deviation.materials)
        ):
            found.add("DEVIATION_RAISED")


def _passed(batch: BatchState, test: str, found: Findings) -> ResultRecord | None:
    """Returns the passing result of a test that counts; finds if there is none."""
    last = batch.last_result(test)
    if last is None or last.verdict is not ResultVerdict.PASS:
        found.add("TEST_NOT_PASSED")
        return None
    return last
