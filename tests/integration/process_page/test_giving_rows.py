"""Rows 25 to 33 of the process page: lymphodepletion to closure."""

from __future__ import annotations

import pytest
from courses import DAY, MINUTE, codes, document, read, status
from eu_world import HOUR, REASON, EuCourse, EuWorld, exact
from test_making_rows import refusal

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.after_infusion import late_results
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned


def test_row_25_a_bag_is_given_in_the_window_after_lymphodepletion(course: EuCourse, eu: EuWorld) -> None:
    """Missing, it is not issued; too recent, it is issued and not given; beyond two weeks it is to be repeated."""
    course.to_the_ward()
    assert codes(course.say(eu.technician, course.issue("bag-2"))) >= {"LYMPHODEPLETION_MISSING"}

    soon = eu.new_course().to_the_ward()
    soon.conditions(stopped_before=DAY)
    soon.issues("bag-1")
    soon.thaws("bag-1")
    check = soon.checks_bedside("bag-1")
    assert codes(soon.say(eu.ward_nurse, soon.infusion("bag-1", check))) == {"LYMPHODEPLETION_TOO_RECENT"}

    late = eu.new_course().to_the_ward()
    late.conditions(stopped_before=2 * HOUR)
    late.harness.tick(14 * 86_400)
    assert codes(late.say(eu.technician, late.issue("bag-1"))) >= {"LYMPHODEPLETION_TO_REPEAT"}


def test_row_26_one_bag_is_out_at_a_time_and_thawed_where_it_was_issued(course: EuCourse, eu: EuWorld) -> None:
    """The second waits; without an issue none is thawed; the thaw starts the shortest time."""
    course.to_the_ward()
    assert codes(course.say(eu.technician, _thawed_at(course, "bag-2", eu.cell_lab))) == {"NOT_ISSUED"}
    other = eu.new_course().to_the_ward()
    other.issues("bag-1")
    assert codes(other.say(eu.technician, other.issue("bag-2"))) >= {"TOO_MANY_BAGS_ISSUED"}
    thawed = other.thaws("bag-1")
    at = other.state.materials[other.material("bag-1")].thawed_at
    assert at is not None
    check = other.checks_bedside("bag-1")
    other.harness.clock = at + HOUR + MINUTE
    late = other.say(eu.ward_nurse, other.infusion("bag-1", check), at=at + HOUR + 1)
    assert "BUDGET_EXCEEDED" in codes(late)
    assert status(thawed) is Status.CONFORMING


def _thawed_at(course: EuCourse, bag: str, unit: common.Unit) -> returned.MaterialThawed:
    return returned.MaterialThawed(material=course.material(bag), unit=unit, intact=True)


def test_row_26_what_is_drawn_balances_and_goes_on_under_the_bags_time(course: EuCourse, eu: EuWorld) -> None:
    """Syringes add up to the bag."""
    course.to_the_bedside()
    body = returned.MaterialReconstituted(
        material=course.material("bag-1"),
        reconstitution=returned.RECONSTITUTION_KIND_DRAWN,
        unit=eu.ward,
        outputs=course.outputs(common.MATERIAL_KIND_PRODUCT, 40, "syringe-1", "syringe-2"),
    )
    assert codes(course.say(eu.ward_nurse, body)) == {"VOLUME_IMBALANCE"}
    drawn = course.state.materials[course.material("syringe-1")]
    assert (drawn.thawed_at is not None, drawn.is_released) == (True, True)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("absent", {"PATIENT_NOT_PRESENT"}),
        ("another patient", {"IDENTIFIER_MISMATCH", "IDENTITY_NOT_CHECKED"}),
        ("another chain", {"IDENTITY_MISMATCH", "CHECK_CHARACTER_WRONG"}),
        ("another donation", {"IDENTITY_MISMATCH"}),
        ("expiry not read", {"BAG_NOT_IDENTIFIED"}),
        ("expired on the label", {"EXPIRED", "EXPIRY_MISMATCH"}),
        ("no certificate", {"RELEASE_CERTIFICATE_MISSING"}),
        ("no medicine", {"RESCUE_MEDICINE_MISSING"}),
    ],
)
def test_row_27_the_bedside_check_compares_patient_and_bag(
    course: EuCourse, eu: EuWorld, change: str, found: set[str]
) -> None:
    """Whatever does not agree is found, holds, and the infusion that relies on it is found too."""
    course.to_the_bedside()
    body = course.bedside_check("bag-1", patient_present=change != "absent")
    match change:
        case "another patient":
            del body.patient_identifiers[:]
            body.patient_identifiers.extend(read([("medical_record_number", "B-1"), ("wristband", "W-0815")]))
        case "another chain":
            body.coi_read = eu.new_course().coi[:-1] + "0"
        case "another donation":
            body.din_read = eu.new_course().new_din()
        case "expiry not read":
            body.ClearField("expires_read_unix_micros")
        case "expired on the label":
            body.expires_read_unix_micros = course.harness.clock - DAY
        case "no certificate":
            body.ClearField("release_certificate")
        case "no medicine":
            body.rescue_medicines[0].doses = 1
        case _:
            pass
    check = course.say(eu.ward_nurse, body)
    course.join(eu.second_ward_nurse, check)
    assert codes(check) - {"CO_SIGNATURE_OUTSTANDING"} >= found - {"CHECK_CHARACTER_WRONG"}
    started = course.say(eu.ward_nurse, course.infusion("bag-1", check))
    assert codes(started) >= {"BEDSIDE_CHECK_MISSING"}
    assert started.holds_opened


def test_row_27_a_bedside_check_is_of_two_and_nobody_overrides_it(course: EuCourse, eu: EuWorld) -> None:
    """One nurse is not two; half an hour later it is another check; no word of quality lets it pass."""
    course.to_the_bedside()
    alone = course.does(eu.ward_nurse, course.bedside_check("bag-1"))
    for gate in ("BEDSIDE_CHECK_MISSING", "SECOND_PERSON_MISSING"):
        override = quality.GateOverridden(
            gate=gate,
            scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
            valid_until_unix_micros=course.harness.clock + DAY,
            circumstances=REASON,
        )
        assert "HARD_GATE_NO_OVERRIDE" in refusal(course, eu.qualified_person, override)
    assert codes(course.say(eu.ward_nurse, course.infusion("bag-1", alone))) == {"SECOND_PERSON_MISSING"}

    with pytest.raises(Exception, match="rules stand against the co-signature"):
        course.join(eu.stranger, alone)  # Of a hospital that takes no part in the therapy.
    with pytest.raises(Exception, match="rules stand against the co-signature"):
        course.join(eu.driver, alone)

    late = eu.new_course().to_the_bedside()
    check = late.checks_bedside("bag-1")
    checked_at = late.state.bedside_checks[check.statement_digest].at
    late.harness.clock = checked_at + 31 * MINUTE
    body = late.infusion("bag-1", check)
    assert "BEDSIDE_CHECK_MISSING" in codes(late.say(eu.ward_nurse, body, at=checked_at + 30 * MINUTE + 1))


def test_row_28_a_bag_is_given_whole_within_half_an_hour(course: EuCourse, eu: EuWorld) -> None:
    """Thirty minutes are let pass, a moment more is found; bags come in the plan's order."""
    course.to_the_bedside("bag-2")
    check = course.checks_bedside("bag-2")
    assert "BAG_OUT_OF_TURN" in codes(course.say(eu.ward_nurse, course.infusion("bag-2", check)))

    for over, found in ((0, set()), (1, {"BUDGET_EXCEEDED"})):
        other = eu.new_course().to_the_bedside()
        check = other.checks_bedside("bag-1")
        started = other.does(eu.ward_nurse, other.infusion("bag-1", check, 1))
        at = other.state.infusions[started.statement_digest].started_at + 30 * MINUTE + over
        other.harness.clock = at + MINUTE
        stopped = returned.InfusionStopped(
            material=other.material("bag-1"),
            started=started.statement_digest,
            outcome=returned.INFUSION_OUTCOME_COMPLETE,
            given=exact(62, "mL"),
        )
        assert codes(other.say(eu.ward_nurse, stopped, at=at)) == found
        assert other.state.materials[other.material("bag-1")].life is Life.INFUSED


def test_row_29_what_is_left_ends_before_a_witness(course: EuCourse, eu: EuWorld) -> None:
    """No more than there was; not given again, nor drawn; destroyed with a certificate, and then nothing more."""
    course.to_the_bedside()
    course.infuses("bag-1", returned.INFUSION_OUTCOME_PARTIAL, left=15)
    drawn = returned.MaterialReconstituted(
        material=course.material("bag-1"),
        reconstitution=returned.RECONSTITUTION_KIND_DRAWN,
        unit=eu.ward,
        outputs=course.outputs(common.MATERIAL_KIND_PRODUCT, 15, "syringe"),
        left=exact(1, "mL"),
    )
    assert "ALREADY_INFUSED_FROM" in codes(course.say(eu.ward_nurse, drawn))
    destroyed = returned.MaterialDestroyed(
        material=course.material("bag-1"),
        unit=eu.ward,
        method="incineration",
        quantity=exact(1, "mL"),
        certificate=document("destruction"),
    )
    course.by_two(eu.ward_nurse, eu.second_ward_nurse, destroyed)  # Held or not: a hold never blocks it.
    after = course.say(eu.ward_nurse, course.thaw("bag-1"))
    assert "AFTER_TERMINAL_ACT" in codes(after)
    assert course.state.materials[course.material("bag-1")].life is Life.DESTROYED


def test_row_30_toxicity_is_graded_and_the_patient_monitored(course: EuCourse, eu: EuWorld) -> None:
    """By its criteria, on the day that the infusion makes it; recorded under whatever hold stands."""
    course.to_the_infusion()
    course.say(eu.reviewer, quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)))
    course.does(eu.ward_nurse, returned.PatientMonitored(unit=eu.ward, day=0))
    criteria = returned.CrsCriteria(
        fever=returned.FEVER_PRESENT, hypotension=returned.HYPOTENSION_NONE, hypoxia=returned.HYPOXIA_NONE
    )
    graded = returned.ToxicityGraded(toxicity=returned.REACTION_KIND_CRS, grade=4, crs=criteria, day=0)
    assert codes(course.does(eu.physician, graded)) == {"GRADE_DISAGREES"}
    graded.grade, graded.day = 1, 9
    assert codes(course.does(eu.physician, graded)) == {"DAY_DISAGREES"}
    event = returned.AdverseEventReported(event="fever", grade=6, serious=True)
    assert codes(course.say(eu.physician, event)) >= {"GRADE_OUT_OF_RANGE"}


def test_rows_31_to_33_a_late_result_after_closure_is_told_and_acknowledged(course: EuCourse, eu: EuWorld) -> None:
    """Recorded although the therapy is closed; told to the infusing site, which answers with a plan."""
    course.to_the_release()
    course.does(eu.physician, course.dose_plan())
    sample = course.material("sample")
    receiver = (eu.technician, eu.cell_lab)
    course.travels_to(("bag-1", "bag-2"), (eu.operator, eu.suite), receiver, "frozen")
    for bag in ("bag-1", "bag-2"):
        course.stores(eu.technician, eu.cell_lab, bag, -150)
        course.issues(bag)
        course.thaws(bag)
        course.infuses(bag)
    course.closes()
    late = course.test_result("sterility", fails=True)
    assert late.sample == sample
    failed = course.say(eu.analyst, late)
    assert codes(failed) >= {"RESULT_FAILED", "RESULT_FAILED_LATE"}
    (waiting,) = late_results(course.state)
    assert (waiting.site, waiting.is_acknowledged) == (eu.hospital, False)
    told = course.does(eu.reviewer, returned.ResultNotified(result=failed.statement_digest, told=eu.ward))
    body = returned.ResultAcknowledged(notification=told.statement_digest, unit=eu.ward, plan="blood cultures")
    course.does(eu.physician, body)
    (waiting,) = late_results(course.state)
    assert waiting.is_acknowledged
    visit = returned.FollowUpRecorded(
        visit="month 1",
        outcome=returned.FOLLOW_UP_OUTCOME_SEEN,
        persistence=[common.Measurement(name="vector copies", quantity=exact(120, "{copies}/ug"))],
        secondary_malignancy=False,
    )
    course.does(eu.physician, visit)


def test_row_32_visits_follow_the_packs_schedule_for_fifteen_years(course: EuCourse, eu: EuWorld) -> None:
    """One that the schedule does not know is shown."""
    course.to_the_infusion()
    assert [one.visit for one in eu.pack.follow_up][-1] == "year 15"
    unplanned = returned.FollowUpRecorded(visit="week 7", outcome=returned.FOLLOW_UP_OUTCOME_SEEN)
    assert codes(course.does(eu.physician, unplanned)) == {"VISIT_NOT_PLANNED"}


def test_row_33_nothing_open_is_closed_and_the_date_lies_ahead(course: EuCourse, eu: EuWorld) -> None:
    """Bags, samples, labels and handoffs stand against it; so does a date of retention that has passed."""
    course.to_the_ward()
    course.leaves(("bag-2",), (eu.technician, eu.cell_lab), eu.suite, "frozen")
    body = returned.TherapyClosed(kept_until_unix_micros=course.harness.clock - DAY, closing_reason="given up")
    assert refusal(course, eu.physician, body) == {
        "HANDOFF_OPEN",
        "KEPT_WITHOUT_DATE",
        "MATERIALS_NOT_ENDED",
        "SAMPLES_NOT_ENDED",
    }
    done = eu.new_course().to_the_infusion()
    closed = done.closes()
    late_bag = done.say(eu.nurse, done.collection_start(day=3))
    assert "THERAPY_CLOSED" in codes(late_bag)
    reopened = returned.TherapyReopened(closed=closed.statement_digest, circumstances=REASON)
    done.does(eu.physician, reopened)
    assert not done.state.closed
