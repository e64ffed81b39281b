"""What is decided about a batch: a sample to the laboratory, results, quality's word, and what follows from it.

Compendial sterility takes its fourteen days: most batches are released on the interim result, with that test open, and
the final one follows. What is left of a batch that failed is destroyed.
"""

from __future__ import annotations

from fractions import Fraction

from cellcustody.clients.simulation.course import Bag, Batch, Course
from cellcustody.clients.simulation.quantities import DAY, document, exact
from cellcustody.clients.simulation.travel import Leg, travel
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import ResultLimit, ResultPhase
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

__all__ = ["archive", "reject", "release", "report_final", "terminate", "test"]

_STERILITY = "sterility"


# Tests.


def test(course: Course, batch: Batch, fails: bool, is_conditional: bool) -> bytes:
    """Sends the sample to the laboratory and reports every test; returns the failing result, empty if none."""
    assert batch.sample is not None
    analyst = course.cast.analysts[0]
    travel(
        course,
        Leg(
            [batch.sample],
            "sample",
            "fresh",
            course.suite,
            course.cast.laboratory.unit("microbiology"),
            course.cast.operators[1],
            analyst,
            (2, 10),
            "COOLER",
        ),
    )
    course.telling.wait(course.dice.between(2, 4) * DAY)
    tests = [one for one in course.pack.tests if one.is_required and ResultPhase.RELEASE in one.phases]
    limited = [one.test for one in tests if one.has_limits and one.least is not None]
    failing_test = course.dice.pick(limited) if fails and limited else ""
    failing = b""
    for limit in tests:
        if limit.test == _STERILITY and not is_conditional:
            course.telling.wait(course.dice.between(8, 10) * DAY)
        reported = _report(course, batch, limit, limit.test == failing_test, is_conditional)
        failing = reported if limit.test == failing_test else failing
    if is_conditional:
        batch.is_open = True
    else:
        _consume(course, batch)
    return failing


def _report(course: Course, batch: Batch, limit: ResultLimit, fails: bool, is_interim: bool) -> bytes:
    assert batch.sample is not None
    interim = is_interim and limit.may_be_conditional
    body = modification.ResultReported(
        sample=batch.sample.material,
        batch=batch.batch,
        test=limit.test,
        outcome=modification.RESULT_OUTCOME_FAIL if fails else modification.RESULT_OUTCOME_PASS,
        phase=modification.RESULT_PHASE_INTERIM if interim else modification.RESULT_PHASE_RELEASE,
        interim=interim,
        method=f"{limit.test} method 3",
        specification="2",
    )
    if limit.has_limits:
        body.value.CopyFrom(exact(_value(course, limit, fails), limit.unit or "1"))
    intends = {"RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION"} if fails else set()
    return course.tell(course.cast.analysts[0], body, intends=intends)


def _value(course: Course, limit: ResultLimit, fails: bool) -> Fraction:
    if fails:
        assert limit.least is not None
        return limit.least / 2
    least = Fraction(0) if limit.least is None else limit.least
    most = least + 1 if limit.most is None else limit.most
    return least + (most - least) * course.dice.between(25, 75) / 100


def report_final(course: Course, batch: Batch) -> None:
    """Reports what a conditional release left open, once its time has come."""
    if not batch.is_open:
        return
    batch.is_open = False
    for limit in course.pack.tests:
        if limit.may_be_conditional:
            _report(course, batch, limit, fails=False, is_interim=False)
    _consume(course, batch)


def _consume(course: Course, batch: Batch) -> None:
    assert batch.sample is not None
    course.tell(
        course.cast.analysts[0],
        returned.MaterialConsumed(material=batch.sample.material, unit=course.cast.laboratory.unit("microbiology")),
    )
    batch.sample.has_ended = True


# Quality.


def _review(course: Course, batch: Batch, acceptable: bool) -> None:
    course.tell(
        course.cast.reviewers[0],
        modification.BatchReviewed(
            batch=batch.batch, batch_record=document("batch-record", batch.batch), acceptable=acceptable
        ),
    )


def release(course: Course, batch: Batch, is_conditional: bool) -> None:
    cast, pack = course.cast, course.pack
    _review(course, batch, acceptable=True)
    materials = [bag.material for bag in batch.products]
    certificate = document("certificate", batch.batch)
    for_infusion = document("release-for-infusion", batch.batch)
    by = cast.qualified_person if pack.jurisdiction == "EU" else cast.reviewers[1]
    joining = cast.reviewers[0]
    if is_conditional:
        course.telling.count("conditional releases")
        due = course.now + 21 * DAY
        course.tell(
            by,
            modification.BatchReleasedConditionally(
                batch=batch.batch,
                materials=materials,
                certificate=certificate,
                release_for_infusion=for_infusion,
                open_items=[
                    modification.OpenItem(test=one, due_unix_micros=due) for one in sorted(pack.conditional_tests)
                ],
            ),
            join=joining,
        )
    else:
        course.tell(
            by,
            modification.BatchReleased(
                batch=batch.batch,
                materials=materials,
                certificate=certificate,
                release_for_infusion=for_infusion,
            ),
            join=joining,
        )
    _plan_dose(course, batch)


def _plan_dose(course: Course, batch: Batch) -> None:
    asked = course.pack.dose
    assert asked is not None
    body = modification.DosePlanned(
        bags=[
            modification.PlannedBag(material=bag.material, order=order)
            for order, bag in enumerate(batch.products[: batch.doses_planned], 1)
        ]
    )
    if asked.per_kilogram:
        body.per_kilogram.CopyFrom(exact((asked.least + asked.most) / 2, asked.unit))
    course.tell(course.hospital.physician, body)


def terminate(course: Course, batch: Batch, made: Bag) -> None:
    """The cells would not grow; quality gives the batch up."""
    course.telling.count("batches terminated")
    course.tell(
        course.cast.reviewers[0],
        modification.BatchTerminated(batch=batch.batch, cause=modification.TERMINATION_CAUSE_MANUFACTURING_FAILURE),
    )
    _end(course, batch, [made])


def reject(course: Course, batch: Batch, failing: bytes) -> None:
    """A result lies outside its limits; quality rejects the batch, and lifts its holds when nothing is left."""
    course.telling.count("batches rejected")
    reviewer = course.cast.reviewers[0]
    reference = f"OOS-{course.telling.number:06d}-{course.attempt}"
    raised = course.tell(
        reviewer,
        quality.DeviationRaised(
            reference=reference,
            scope=quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[batch.batch]),
            description="a result lies outside its specification",
        ),
    )
    _review(course, batch, acceptable=False)
    course.tell(reviewer, modification.BatchRejected(batch=batch.batch))
    left = [*batch.products]
    _end(course, batch, left)
    course.tell(
        reviewer,
        quality.HoldLifted(
            holds=sorted(hold_id(failing, code) for code in ("RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION")),
            disposition="the batch is rejected and destroyed",
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="nothing is left to hold"),
        ),
    )
    course.tell(
        reviewer,
        quality.DeviationClosed(deviation=raised, outcome="rejected", report=document("deviation-report", reference)),
    )


def _end(course: Course, batch: Batch, left: list[Bag]) -> None:
    batch.failed = True
    operator, second, _ = course.cast.operators
    course.destroy(operator, second, course.suite, left)
    archive(course, batch)


def archive(course: Course, batch: Batch) -> None:
    """The retain goes into the archive."""
    if batch.retain is None or batch.retain.has_ended:
        return
    course.tell(
        course.cast.operators[2],
        returned.MaterialArchived(
            material=batch.retain.material,
            position=common.Position(unit=course.cast.plant.unit("suite"), place="archive/1"),
            kept_until_unix_micros=course.now + 30 * 365 * DAY,
        ),
    )
    batch.retain.has_ended = True
