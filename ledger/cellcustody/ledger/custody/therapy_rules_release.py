"""Judge and evolve quality's word on a batch, and what leads to a release outside specification.

The rules:

* Release, conditional release, release outside specification, rejection and the dose plan are authorisations, judged
  at arrival (`batch_release`, `dose_plans`); here they have their effect.
* A physician of the treating site asks for bags outside their specification, naming the results that failed. The
  manufacturer evaluates the risk, the patient is informed at the treating site, the authority is notified: each names
  the request and a document by digest. Each is a fact; together they permit nothing.

What nonconforming facts do: a request or an answer that breaks a rule is none to decide on.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.batch_state import (
    BatchStatus,
    OutOfSpecificationRequest,
    OutOfSpecificationSupport,
    ResultVerdict,
    Support,
)
from cellcustody.ledger.custody.dose_plans import evolve_planned
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS", "SPECIFICATION_CODES"]

# Findings of results whose holds a release outside specification lifts, for the results that were asked about.
SPECIFICATION_CODES = frozenset({"RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION"})

_RESULT = modification.ResultReported.DESCRIPTOR.full_name
_REQUEST = modification.OutOfSpecificationRequested.DESCRIPTOR.full_name

_Answer = modification.RiskEvaluated | modification.PatientInformed | modification.AuthorityNotified
_Release = (
    modification.BatchReleased | modification.BatchReleasedConditionally | modification.OutOfSpecificationReleased
)


# The request for what is outside specification, and the answers to it.


def _at_treating_site(judging: Judging) -> None:
    treating = judging.state.treating_unit
    if treating is not None and treating.site != judging.act.site:
        judging.find("NOT_TREATING_SITE")


def _check_request(judging: Judging, body: modification.OutOfSpecificationRequested) -> None:
    if not judging.enrolled():
        return
    _at_treating_site(judging)
    batch = judging.batch(body.batch, 1)
    if not body.materials:
        judging.find("NO_MATERIAL")
    for one in body.materials:
        material = judging.material(one, 2)
        if material is not None and material.batch != body.batch:
            judging.find("NOT_IN_BATCH", 1, 2)
    failing = {
        record.digest
        for records in (() if batch is None else batch.results.values())
        for record in records
        if record.verdict is ResultVerdict.FAIL
    }
    if not body.results:
        judging.find("RESULT_NOT_FAILING")
    for digest in body.results:
        named = judging.named(digest, _RESULT, 3)
        if named is not None and named.digest not in failing:
            judging.find("RESULT_NOT_FAILING", 3)


def _evolve_request(
    state: TherapyState, act: Act, body: modification.OutOfSpecificationRequested, judged: Judged
) -> None:
    state.specification_requests[act.digest] = OutOfSpecificationRequest(
        act.digest,
        body.batch,
        frozenset(body.materials),
        frozenset(state.current(one) for one in body.results),
        judged.status is Status.CONFORMING,
        _kinds(body.documents),
    )


def _document_of(body: _Answer) -> common.Document:
    match body:
        case modification.RiskEvaluated():
            return body.evaluation
        case modification.PatientInformed():
            return body.information
        case modification.AuthorityNotified():
            return body.notification


def _check_answer(judging: Judging, body: _Answer) -> None:
    if not judging.enrolled():
        return
    if isinstance(body, modification.PatientInformed):
        _at_treating_site(judging)
    field = 4 if isinstance(body, modification.AuthorityNotified) else 2
    if not _document_of(body).sha256:
        judging.find("DOCUMENT_MISSING", field)
    named = judging.named(body.request, _REQUEST, 1)
    if named is not None and named.digest not in judging.state.specification_requests:
        judging.without_effect(named, 1)


def _evolve_answer(state: TherapyState, act: Act, body: _Answer, judged: Judged) -> None:
    match body:
        case modification.RiskEvaluated():
            kind, speaks_for = Support.RISK_EVALUATED, body.acceptable
        case modification.PatientInformed():
            kind, speaks_for = Support.PATIENT_INFORMED, body.agrees
        case modification.AuthorityNotified():
            kind, speaks_for = Support.AUTHORITY_NOTIFIED, True
    state.specification_supports[act.digest] = OutOfSpecificationSupport(
        act.digest,
        kind,
        state.current(body.request),
        speaks_for and judged.status is Status.CONFORMING,
        _kinds((_document_of(body), *body.documents)),
    )


def _kinds(documents: Iterable[common.Document]) -> frozenset[str]:
    return frozenset(document.kind for document in documents if document.sha256 and document.kind)


# Quality's word on the batch.


def _evolve_released(state: TherapyState, act: Act, body: _Release, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    batch.decided_by = act.digest
    batch.open_items.clear()
    match body:
        case modification.BatchReleased():
            batch.status = BatchStatus.RELEASED
        case modification.BatchReleasedConditionally():
            batch.status = BatchStatus.CONDITIONALLY_RELEASED
            batch.open_items.update((item.test, item.due_unix_micros) for item in body.open_items)
        case modification.OutOfSpecificationReleased():
            batch.status = BatchStatus.RELEASED_OUT_OF_SPECIFICATION
            _lift_accepted(state, act, state.current(body.request))
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            material.released_by = act.digest


def _lift_accepted(state: TherapyState, act: Act, digest: bytes) -> None:
    request = state.specification_requests.get(digest)
    if request is None:
        return
    for hold in list(state.holds.values()):
        if hold.code in SPECIFICATION_CODES and hold.statement_digest in request.results:
            state.lift_hold(hold.hold, act.digest)


def _evolve_rejected(state: TherapyState, act: Act, body: modification.BatchRejected, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    batch.status = BatchStatus.REJECTED
    batch.decided_by = act.digest
    for one in batch.materials:
        state.materials[one].released_by = b""


ACTS: tuple[TherapyAct, ...] = (
    fact(
        modification.OutOfSpecificationRequested,
        check=_check_request,
        evolve=_evolve_request,
        names=lambda body: body.results,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    fact(modification.RiskEvaluated, check=_check_answer, evolve=_evolve_answer, names=lambda body: (body.request,)),
    fact(modification.PatientInformed, check=_check_answer, evolve=_evolve_answer, names=lambda body: (body.request,)),
    fact(
        modification.AuthorityNotified, check=_check_answer, evolve=_evolve_answer, names=lambda body: (body.request,)
    ),
    authorisation(
        modification.BatchReleased,
        evolve=_evolve_released,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    authorisation(
        modification.BatchReleasedConditionally,
        evolve=_evolve_released,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    authorisation(
        modification.OutOfSpecificationReleased,
        evolve=_evolve_released,
        names=lambda body: (
            body.request,
            body.risk_evaluation,
            body.patient_information,
            body.authority_notification,
        ),
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    authorisation(modification.BatchRejected, evolve=_evolve_rejected, batches=lambda body: (body.batch,)),
    authorisation(
        modification.DosePlanned,
        evolve=evolve_planned,
        materials=lambda body: [bag.material for bag in body.bags],
    ),
)
