"""Judge and evolve the results of tests, and quality's review of a batch record.

The rules:

* A result is reported on a sample or retain of that batch by the site that has it: what travels to a contract
  laboratory is in custody like any other material. It names its method and the version of the specification.
* The pack limits a test in a stage of the process. A passing result lies within the limits, in their unit; a value
  that is open-ended on the wrong side, in another unit or missing is unknown, and unknown is never in range.
* A value outside the limits is out of specification whatever outcome is stated. A failing result holds the batch.
* One that comes after something of the batch was infused is late: whoever infused is to be told.
* A test is repeated because the earlier result was not valid, or by a result that names the earlier one.
* A review names the batch record, and is made before the release it speaks for.

What nonconforming facts do: a passing result that breaks a rule does not count towards release; a failing one, and one
outside the limits, always counts. A review that breaks a rule is none.
"""

from __future__ import annotations

from fractions import Fraction

from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.batch_state import (
    BatchState,
    ResultRecord,
    ResultVerdict,
    Review,
    phase_of,
)
from cellcustody.ledger.custody.policy import PolicyPack, ResultLimit, ResultPhase
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code
from cellcustody.ledger.custody.therapy_judging import Judging, amount_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_state import Amount, MaterialKind, MaterialState, TherapyState, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS", "within"]

_RESULT = modification.ResultReported.DESCRIPTOR.full_name
_VERDICTS: dict[int, ResultVerdict] = {verdict.value: verdict for verdict in ResultVerdict}
_UPPER = (common.COMPARATOR_LESS, common.COMPARATOR_AT_MOST)
_LOWER = (common.COMPARATOR_GREATER, common.COMPARATOR_AT_LEAST)


def within(limit: ResultLimit, value: Amount) -> bool | None:
    """Returns whether a value lies within a limit; None if that cannot be told.

    A value below a bound says nothing of how far below, so that it satisfies an upper limit and never a lower one.
    """
    if value.unit != limit.unit:
        return None
    number = Amount(value.mantissa, value.exponent, value.unit).value
    if number is None or (number < 0 and (limit.least is None or limit.least >= 0)):
        return None  # Nothing is counted below nothing, unless the pack itself looks for it there.
    if value.comparator in _UPPER:
        return _bounded(number, least=limit.least, most=limit.most)
    if value.comparator in _LOWER:
        return _bounded(
            -number,
            least=None if limit.most is None else -limit.most,
            most=None if limit.least is None else -limit.least,
        )
    return limit.holds(number) if value.comparator == common.COMPARATOR_EQUAL else None


def _bounded(bound: Fraction, *, least: Fraction | None, most: Fraction | None) -> bool | None:
    """Returns whether what is at most `bound` lies within the limits; None if that cannot be told."""
    if least is not None:
        return False if bound < least else None
    return True if most is None or bound <= most else None


# Results.


def _check_result(judging: Judging, body: modification.ResultReported) -> None:
    if not judging.enrolled():
        return
    batch = judging.batch(body.batch, 2)
    sample = judging.material(body.sample, 1, physical=False)
    if sample is None:
        return
    if sample.kind not in (MaterialKind.SAMPLE, MaterialKind.RETAIN):
        judging.find("NOT_A_SAMPLE", 1)
    if batch is not None and not _is_of_batch(judging.state, sample, batch):
        judging.find("NOT_IN_BATCH", 1, 2)
    custody = custody_of(judging.state, body.sample)
    if all(unit is None or unit.site != judging.act.site for unit in custody):
        judging.find("NOT_CUSTODIAN", 1)
    if not body.method or not body.specification:
        judging.find("METHOD_NOT_NAMED")
    is_failing = _check_outcome(judging, body)
    if batch is not None:
        _check_repeat(judging, body, batch)
        if is_failing and _infused(judging.state, batch, end_of(judging.act)):
            judging.find("RESULT_FAILED_LATE", 3)


def _check_outcome(judging: Judging, body: modification.ResultReported) -> bool:
    """Finds what the outcome and the value say against the pack; tells whether the result is failing."""
    if body.outcome not in _VERDICTS:
        judging.find("OUTCOME_MISSING")
    is_failing = body.outcome == modification.RESULT_OUTCOME_FAIL
    if is_failing:
        judging.find("RESULT_FAILED", 3, 4)
    limit = _limit(judging.pack, body)
    if limit is None:
        if judging.pack.tests:
            judging.find("TEST_NOT_IN_PACK", 3)
        return is_failing
    if not limit.has_limits or body.outcome == modification.RESULT_OUTCOME_INVALID:
        return is_failing
    inside = within(limit, amount_of(body.value)) if body.HasField("value") else None
    if inside is False:
        judging.find("RESULT_OUT_OF_SPECIFICATION", 3, 5)
        return True
    if inside is None and not is_failing:
        judging.find("RESULT_VALUE_UNKNOWN", 5)
    return is_failing


def _limit(pack: PolicyPack, body: modification.ResultReported) -> ResultLimit | None:
    phase = phase_of(body)
    limit = pack.limits_for(body.test, phase)
    if limit is None and phase is ResultPhase.RELEASE:
        return pack.limits_for(body.test, ResultPhase.LATE)  # A final result may be one that the release did not need.
    return limit


def _check_repeat(judging: Judging, body: modification.ResultReported, batch: BatchState) -> None:
    """Finds a result that repeats a valid one of the same sample without naming it, so that none is tested away."""
    earlier = [
        one
        for one in batch.results.get(body.test, ())
        if one.sample == body.sample
        and one.phase is phase_of(body)
        and not one.interim
        and one.verdict is not ResultVerdict.INVALID
    ]
    if body.repeats:
        named = judging.named(body.repeats, _RESULT, 11)
        if named is not None and isinstance(named.body, modification.ResultReported) and named.body.test != body.test:
            judging.find("OTHER_STATEMENT_NAMED", 3, 11)
    elif earlier:
        judging.find("RESULT_REPEATED", 3)


def _is_of_batch(state: TherapyState, sample: MaterialState, batch: BatchState) -> bool:
    """Tells whether a sample is the batch's own, or was taken from what the batch was made of."""
    if sample.batch == batch.batch:
        return True
    line = {member.material for member in state.line_of(sample.material)}
    return not line.isdisjoint(batch.materials)


def _infused(state: TherapyState, batch: BatchState, at: int) -> dict[bytes, bytes]:
    """Returns which materials of a batch the patient had been given by then, or was being given, and at which site."""
    return {
        infusion.material: infusion.unit.site
        for infusion in state.infusions.values()
        if (material := state.materials.get(infusion.material)) is not None
        and material.batch == batch.batch
        and infusion.started_at <= at
        and infusion.outcome != returned.INFUSION_OUTCOME_NOT_INFUSED
    }


def _evolve_result(state: TherapyState, act: Act, body: modification.ResultReported, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    verdict = _VERDICTS.get(body.outcome, ResultVerdict.INVALID)
    if has_code(judged, "RESULT_OUT_OF_SPECIFICATION"):
        verdict = ResultVerdict.FAIL
    if verdict is ResultVerdict.PASS and judged.status is not Status.CONFORMING:
        return
    is_interim = body.interim or body.phase == modification.RESULT_PHASE_INTERIM
    record = ResultRecord(act.digest, body.test, verdict, is_interim, body.sample, end_of(act), phase_of(body))
    batch.results.setdefault(body.test, []).append(record)
    if verdict is ResultVerdict.PASS and record.counts and not is_interim:
        batch.open_items.pop(body.test, None)


# Review.


def _check_review(judging: Judging, body: modification.BatchReviewed) -> None:
    if not judging.enrolled():
        return
    judging.batch(body.batch, 1)
    if not body.batch_record.sha256:
        judging.find("DOCUMENT_MISSING", 2)


def _evolve_review(state: TherapyState, act: Act, body: modification.BatchReviewed, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is not None and judged.status is Status.CONFORMING:
        batch.reviews.append(Review(act.digest, body.acceptable, end_of(act)))


ACTS: tuple[TherapyAct, ...] = (
    fact(
        modification.ResultReported,
        check=_check_result,
        evolve=_evolve_result,
        names=lambda body: (body.repeats,),
        batches=lambda body: (body.batch,),
    ),
    fact(
        modification.BatchReviewed,
        check=_check_review,
        evolve=_evolve_review,
        batches=lambda body: (body.batch,),
    ),
)
