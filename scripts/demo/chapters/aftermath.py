"""After the infusion: monitoring, a reaction, a late result that fails, follow-up, the ends of everything, closure."""

from __future__ import annotations

from datetime import timedelta

from cellcustody.clients.simulation.quantities import DAY, document, exact
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from demo.cast import unit_of
from demo.telling import Story

__all__ = ["close", "follow", "monitor"]

LATE_TEST = "replication_competent_virus"
DAYS_MONITORED = (1, 3, 7, 14, 28)  # What is entered here; a ward looks daily.


def monitor(story: Story) -> None:
    """The ward looks after the patient; a reaction is graded by its criteria; a late result fails and is told."""
    story.chapter("Monitoring")
    cast = story.cast
    ward = unit_of(cast.ward_nurse)
    for day in DAYS_MONITORED:
        story.wait(timedelta(microseconds=story.first_infusion + day * DAY - story.now))
        story.tell(
            cast.ward_nurse,
            returned.PatientMonitored(
                unit=ward,
                day=day,
                observations=[common.Measurement(name="temperature", quantity=exact(39 if day == 3 else 37, "Cel"))],
            ),
            f"day {day}, {39 if day == 3 else 37} Cel",
        )
        if day == 3:
            _grade(story)
        if day == 14:
            _late_result(story)


def _grade(story: Story) -> None:
    story.tell(
        story.cast.physician,
        returned.ToxicityGraded(
            toxicity=returned.REACTION_KIND_CRS,
            grade=1,
            crs=returned.CrsCriteria(
                fever=returned.FEVER_PRESENT,
                hypotension=returned.HYPOTENSION_NONE,
                hypoxia=returned.HYPOXIA_NONE,
            ),
            day=3,
            outcome=returned.EVENT_OUTCOME_RESOLVED,
            materials=[bag.material for bag in story.products],
        ),
        "cytokine release syndrome, grade 1: fever alone",
    )


def _late_result(story: Story) -> None:
    """The one test that is done after the release fails; the hospital is told, and has a plan."""
    cast = story.cast
    failed = story.tell(
        cast.analyst,
        _late(story, modification.RESULT_OUTCOME_FAIL),
        f"{LATE_TEST}, fails after the infusion",
        intends={"RESULT_FAILED", "RESULT_FAILED_LATE"},
    )
    story.tell_alerts(cast.physician)
    notified = story.tell(
        cast.reviewer,
        returned.ResultNotified(
            result=failed.statement_digest, told=unit_of(cast.physician), advice=document("advice", LATE_TEST)
        ),
        "the ward is told",
    )
    story.tell(
        cast.physician,
        returned.ResultAcknowledged(
            notification=notified.statement_digest,
            unit=unit_of(cast.physician),
            plan="blood is tested weekly until the repetition is in",
        ),
        "with a plan: blood is tested weekly",
    )
    story.tell(
        cast.analyst,
        _late(story, modification.RESULT_OUTCOME_PASS, repeats=failed.statement_digest),
        f"{LATE_TEST}, repeated: the control had been contaminated; pass",
        after=timedelta(days=5),
    )
    story.tell(
        cast.reviewer,
        quality.HoldLifted(
            holds=[hold_id(failed.statement_digest, "RESULT_FAILED")],
            disposition="laboratory error; the repetition passes",
            support=document("investigation", LATE_TEST),
            circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="the control was contaminated"),
        ),
        "laboratory error, shown by its investigation",
    )


def _late(
    story: Story, outcome: modification.ResultOutcome.ValueType, repeats: bytes = b""
) -> modification.ResultReported:
    assert story.sample is not None
    return modification.ResultReported(
        sample=story.sample.material,
        batch=story.batch,
        test=LATE_TEST,
        outcome=outcome,
        phase=modification.RESULT_PHASE_FINAL,
        method=f"{LATE_TEST} method 3",
        specification="2",
        repeats=repeats,
    )


def follow(story: Story) -> None:
    """The first two visits, at the pack's times."""
    story.chapter("Follow-up")
    cast = story.cast
    for visit in cast.pack.follow_up[:2]:
        due = story.first_infusion + visit.due_after_days * DAY
        story.wait(timedelta(microseconds=due - story.now))
        story.tell(
            cast.physician,
            returned.FollowUpRecorded(
                visit=visit.visit,
                outcome=returned.FOLLOW_UP_OUTCOME_SEEN,
                observations="as expected",
                persistence=[common.Measurement(name="transgene", quantity=exact(400, "{copies}/ug"))],
            ),
            f"{visit.visit}: seen, cells persist",
        )


def close(story: Story) -> None:
    """What is left ends in acts of its own; then, and not before, the therapy is closed."""
    story.chapter("Closure")
    cast = story.cast
    assert story.sample is not None
    assert story.retain is not None
    closing = returned.TherapyClosed(kept_until_unix_micros=story.now + 30 * 365 * DAY, closing_reason="treated")
    story.refused(cast.physician, closing, "sample and retain have not ended")
    story.tell(
        cast.analyst,
        returned.MaterialConsumed(material=story.sample.material, unit=unit_of(cast.analyst)),
        "the sample is used up",
    )
    story.tell(
        cast.operator,
        returned.MaterialArchived(
            material=story.retain.material,
            position=common.Position(unit=unit_of(cast.operator), place="archive/1"),
            kept_until_unix_micros=story.now + 30 * 365 * DAY,
        ),
        "the retain, for 30 years",
    )
    story.tell(cast.physician, closing, "the record is kept for 30 years by the hospital")
