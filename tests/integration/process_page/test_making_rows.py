"""Rows 13 to 22 of the process page: accession to quality's word."""

from __future__ import annotations

import pytest
from courses import DAY, codes, document, status
from eu_world import HOUR, EuCourse, EuWorld, exact

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.batch_state import BatchStatus
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality


def refusal(course: EuCourse, by: object, body: object) -> set[str]:
    """Returns why an authorisation is refused."""
    with pytest.raises(RuleRefusedError) as refused:
        course.say(by, body)  # type: ignore[arg-type]  # As `say` takes them.
    return {one.code for one in refused.value.findings}


def _ready(course: EuCourse) -> EuCourse:
    course.to_the_plant()
    course.accessions("apheresis")
    course.starts_manufacture()
    return course


def _start_of(course: EuCourse) -> modification.ManufacturingStarted:
    return modification.ManufacturingStarted(
        batch=course.batch, unit=course.eu.suite, process_area=course.area, batch_record="MBR-7, version 3"
    )


def test_row_13_cells_are_compared_on_receipt_and_belong_to_one_batch(course: EuCourse, eu: EuWorld) -> None:
    """One batch, one chain of identity; nobody takes in what two persons have not compared."""
    course.to_the_plant()
    assert codes(course.say(eu.operator, course.accession("apheresis"))) == {"RECEIPT_CHECK_MISSING"}
    other = eu.new_course().to_the_plant()
    other.accessions("apheresis")
    second = eu.new_course().to_the_plant()
    second.batch = other.batch
    second.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_RECEIPT, "apheresis")
    assert codes(second.say(eu.operator, second.accession("apheresis"))) == {"BATCH_CLAIMED_TWICE"}
    sample = modification.MaterialDivided(
        material=other.material("apheresis"),
        outputs=other.outputs(common.MATERIAL_KIND_SAMPLE, 5, "count"),
        left=exact(95, "mL"),
        unit=eu.suite,
    )
    other.does(eu.operator, sample)


def test_row_13_quality_accepts_what_came_in_before_it_is_worked_on(course: EuCourse, eu: EuWorld) -> None:
    """An operator cannot; what is held is refused; a start without it is found, and one after it conforms."""
    course.to_the_plant()
    course.accessions("apheresis")
    assert codes(course.say(eu.operator, _start_of(course))) >= {"MATERIAL_NOT_ACCEPTED"}
    assert "HOLD_OPEN" in refusal(course, eu.reviewer, course.acceptance("apheresis"))
    other = eu.new_course().to_the_plant()
    other.accessions("apheresis")
    assert "ROLE_NOT_PERMITTED" in refusal(other, eu.operator, other.acceptance("apheresis"))
    other.does(eu.reviewer, other.acceptance("apheresis"))
    other.clears_and_starts()


def test_row_13_manufacture_begins_within_the_packs_time(course: EuCourse, eu: EuWorld) -> None:
    """Seventy hours from the collection are let pass, a second more is found."""
    course.to_the_plant()
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_RECEIPT, "apheresis")
    collected = course.state.materials[course.material("apheresis")].collected_at
    assert collected is not None
    limit = collected + 70 * HOUR
    course.harness.clock = limit + 60_000_000
    assert codes(course.say(eu.operator, course.accession("apheresis"), at=limit)) == set()
    assert codes(course.say(eu.operator, course.accession("apheresis"), at=limit + 1)) == {"BUDGET_EXCEEDED"}


def test_row_14_one_patients_cells_are_open_in_an_area(course: EuCourse, eu: EuWorld) -> None:
    """A hard gate, found in both therapies whatever the spelling; an area without a name is found too."""
    _ready(course)
    other = _ready(eu.new_course())
    now = course.harness.clock + HOUR
    for one in (course, other):
        one.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "apheresis")
    told = []
    course.harness.clock = now + HOUR
    for one, area in ((course, "Isolator 7"), (other, " isolator  7")):
        body = modification.SelectionPerformed(lots=[eu.lots["reagent"]])
        one.filled_in(body, ["apheresis"], "selected")
        body.process_area = area
        told.append(one.say(eu.operator, body, at=now, until=now + 600_000_000))
    assert "PROCESS_AREA_SHARED" in codes(told[1])
    judged = course.harness.recorded(course.stream)[told[0].statement_digest].judged
    assert "PROCESS_AREA_SHARED" in {finding.code for finding in judged.findings}
    assert "HARD_GATE_NO_OVERRIDE" in refusal(
        course,
        eu.qualified_person,
        quality.GateOverridden(
            gate="PROCESS_AREA_SHARED",
            scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
            valid_until_unix_micros=course.harness.clock + DAY,
            circumstances=common.Circumstances(reason="no other isolator"),
        ),
    )


def test_row_14_a_start_is_of_a_pair_in_a_line_that_was_cleared(course: EuCourse, eu: EuWorld) -> None:
    """Under a batch record; the first step relies on the second operator."""
    course.to_the_plant()
    course.accessions("apheresis")
    dirty = modification.LineCleared(batch=course.batch, process_area=course.area, unit=eu.suite, clear=False)
    cleared = course.say(eu.operator, dirty)
    assert codes(cleared) == {"LINE_NOT_CLEAR"}
    body = modification.ManufacturingStarted(
        batch=course.batch, unit=eu.suite, process_area=course.area, line_clearance=cleared.statement_digest
    )
    assert codes(course.say(eu.operator, body)) >= {"LINE_NOT_CLEARED", "BATCH_RECORD_NOT_NAMED"}
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "apheresis")
    step = course.filled_in(modification.SelectionPerformed(lots=[eu.lots["reagent"]]), ["apheresis"], "selected")
    assert "SECOND_PERSON_MISSING" in codes(course.say(eu.operator, step))


@pytest.mark.parametrize("how", ["not at all", "reading nothing", "alone"])
def test_row_15_identity_is_checked_before_each_open_step(course: EuCourse, eu: EuWorld, how: str) -> None:
    """By two persons who read something."""
    _ready(course)
    if how != "not at all":
        body = harvest.IdentityChecked(
            point=harvest.IDENTITY_POINT_PROCESS, materials=[course.material("apheresis")], coi_read=course.coi
        )
        if how == "reading nothing":
            body.coi_read = ""
        course.say(eu.operator, body)
    step = course.filled_in(modification.SelectionPerformed(lots=[eu.lots["reagent"]]), ["apheresis"], "selected")
    found = "SECOND_PERSON_MISSING" if how == "alone" else "PROCESS_CHECK_MISSING"
    assert found in codes(course.say(eu.operator, step))


def test_rows_15_to_18_steps_come_in_order_with_lots_that_are_usable(course: EuCourse, eu: EuWorld) -> None:
    """Selection before activation; no vector named, an expired lot, one not released."""
    _ready(course)
    early = modification.ActivationPerformed(lots=[eu.lots["activator"]])
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "apheresis")
    course.filled_in(early, ["apheresis"], "early")
    assert "STEP_OUT_OF_ORDER" in codes(course.say(eu.operator, early))

    good = _ready(eu.new_course())
    good.step(modification.SelectionPerformed(lots=[eu.lots["reagent"]]), ["apheresis"], "selected")
    priming = modification.ActivationPerformed(method=modification.ACTIVATION_METHOD_ANTIGEN_PRIMING)
    good.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "selected")
    good.filled_in(priming, ["selected"], "primed")
    assert codes(good.say(eu.operator, priming)) == {"ANTIGEN_NOT_NAMED"}


@pytest.mark.parametrize("lot", ["expired", "not released", "recalled", "none"])
def test_row_17_a_vector_lot_is_released_and_in_date_when_it_is_used(course: EuCourse, eu: EuWorld, lot: str) -> None:
    """At the moment of use, whatever it was before."""
    _ready(course)
    lots = eu.lots
    course.step(modification.SelectionPerformed(lots=[lots["reagent"]]), ["apheresis"], "selected")
    course.step(
        modification.ActivationPerformed(method=modification.ACTIVATION_METHOD_CD3_CD28, lots=[lots["activator"]]),
        ["selected"],
        "activated",
    )
    vector = eu.new_lot("vector", released=lot != "not released", expires_after=HOUR)
    if lot == "expired":
        course.harness.tick(3600)
    if lot == "recalled":
        eu.quality_says(vector.lot, modification.LOT_STATUS_RECALLED)
    body = modification.ModificationPerformed(vector_lot=None if lot == "none" else vector, target_antigen="an antigen")
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "activated")
    course.filled_in(body, ["activated"], "modified")
    found = "VECTOR_NOT_NAMED" if lot == "none" else "LOT_NOT_USABLE"
    assert found in codes(course.say(eu.operator, body))


@pytest.mark.parametrize(("ratio", "found"), [(1, set()), (2000, set()), (2001, {"YIELD_IMPLAUSIBLE"})])
def test_row_18_an_expansion_has_a_yield_that_cultures_have(
    course: EuCourse, eu: EuWorld, ratio: int, found: set[str]
) -> None:
    """Both ends of the pack's band are let pass; a transfer compares, and what it moves adds up."""
    _ready(course)
    lots = eu.lots
    course.step(modification.SelectionPerformed(lots=[lots["reagent"]]), ["apheresis"], "selected")
    course.step(
        modification.ActivationPerformed(method=modification.ACTIVATION_METHOD_CD3_CD28, lots=[lots["activator"]]),
        ["selected"],
        "activated",
    )
    course.step(modification.ModificationPerformed(vector_lot=lots["vector"]), ["activated"], "modified")
    moved = modification.CultureTransferred(
        batch=course.batch,
        inputs=[course.material("modified")],
        outputs=course.outputs(common.MATERIAL_KIND_INTERMEDIATE, 140, "moved"),
        unit=eu.suite,
        process_area=course.area,
        culture_day=3,
        vessel_emptied="flask-1",
        vessels_filled=["bag-9"],
    )
    assert codes(course.say(eu.operator, moved)) == {"PROCESS_CHECK_MISSING"}
    grown = modification.ExpansionPerformed(culture_day=9)
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "moved")
    course.filled_in(grown, ["moved"], "expanded", ratio)
    assert codes(course.say(eu.operator, grown)) - {"HOLD_OPEN"} == found


@pytest.mark.parametrize(
    ("lost", "filled", "dose", "found"),
    [
        (3, 4, 1, set()),
        (10, 4, 1, set()),  # 7 mL too many of 140 mL: the pack's 5 parts in a hundred, and no more.
        (11, 4, 1, {"VOLUME_IMBALANCE"}),
        (-1, 4, 1, {"QUANTITY_NEGATIVE"}),
        (3, 4, -1, {"QUANTITY_NEGATIVE"}),
        (3, 5, 1, {"CONTAINER_IMBALANCE"}),
    ],
)
def test_row_19_a_filling_adds_up_in_volume_and_containers(
    course: EuCourse, eu: EuWorld, lost: int, filled: int, dose: int, found: set[str]
) -> None:
    """At the limit it is let pass."""
    course.to_the_steps()
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "formulated")
    body = course.filling()
    body.lost.CopyFrom(exact(lost, "mL"))
    body.containers.filled = filled
    body.outputs[0].dose.mantissa = dose
    assert codes(course.say(eu.operator, body)) == found


def test_row_20_product_is_frozen_with_its_trace_and_put_away(course: EuCourse, eu: EuWorld) -> None:
    """Both bags, by a freezer that is qualified, at a position; frozen twice is found."""
    course.to_the_product()
    state = course.state
    bag = state.materials[course.material("bag-1")]
    assert bag.material in state.harvest.frozen_at
    assert (bag.place, bag.place_unit.unit if bag.place_unit else "") == ("tank-1/rack-2", "suite")
    again = harvest.CryopreservationStarted(materials=[bag.material], unit=eu.suite, equipment="FREEZER-9")
    assert codes(course.say(eu.operator, again)) == {"FROZEN_ALREADY", "EQUIPMENT_UNKNOWN"}


def test_row_21_a_result_is_reported_by_who_has_the_sample(course: EuCourse, eu: EuWorld) -> None:
    """The contract laboratory's sample is in custody like any material; what is outside the limits always counts."""
    course.to_the_product()
    assert "NOT_CUSTODIAN" in codes(course.say(eu.analyst, course.test_result("identity")))
    course.sends_sample()
    failing = course.say(eu.analyst, course.test_result("viability", fails=True))
    assert codes(failing) == {"RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION"}
    passed_off = course.test_result("viability", fails=True)
    passed_off.outcome = modification.RESULT_OUTCOME_PASS
    assert "RESULT_OUT_OF_SPECIFICATION" in codes(course.say(eu.analyst, passed_off))
    bare = course.test_result("identity")
    bare.method = ""
    assert codes(course.say(eu.analyst, bare)) == {"METHOD_NOT_NAMED"}
    for value, found in (
        (exact(25, "[EU]/mL", -1), set()),
        (exact(26, "[EU]/mL", -1), {"RESULT_OUT_OF_SPECIFICATION"}),
        (exact(-1, "[EU]/mL"), {"RESULT_VALUE_UNKNOWN"}),
        (exact(1, "[IU]/mL"), {"RESULT_VALUE_UNKNOWN"}),
        (exact(1, "[EU]/mL", 2_000_000_000), {"RESULT_VALUE_UNKNOWN"}),
    ):
        body = course.test_result("endotoxin")
        body.value.CopyFrom(value)
        assert codes(course.say(eu.analyst, body)) - {"RESULT_REPEATED"} == found


def test_row_22_quality_releases_what_passed_by_two(course: EuCourse, eu: EuWorld) -> None:
    """Reviewed, every test passed, with certificates, by two persons of the pack's roles."""
    course.to_the_product()
    course.sends_sample()
    course.is_tested(but_not=["sterility"])
    body = course.release_of_batch("bag-1", "bag-2")
    found = refusal(course, eu.qualified_person, body)
    assert found >= {"BATCH_NOT_REVIEWED", "TEST_NOT_PASSED"}
    course.is_reviewed()
    course.does(eu.analyst, course.test_result("sterility", interim=True))
    assert refusal(course, eu.qualified_person, body) == {"TEST_INTERIM"}
    assert "ROLE_NOT_PERMITTED" in refusal(course, eu.reviewer, body)
    course.does(eu.analyst, course.test_result("sterility"))
    released: Recorded = course.say(eu.qualified_person, body)
    assert status(released) is Status.PENDING
    with pytest.raises(Exception, match=r"(?i)signed|person"):
        course.join(eu.qualified_person, released, seen=course.harness.all_seen())
    course.join(eu.reviewer, released, seen=course.harness.all_seen())
    assert course.state.batches[course.batch].status is BatchStatus.RELEASED


def test_row_22_a_conditional_release_names_what_is_open(course: EuCourse, eu: EuWorld) -> None:
    """What the pack lets be open, with the day it is due; the final result closes it."""
    course.to_the_product()
    course.sends_sample()
    course.is_tested(interim=["sterility"])
    course.is_reviewed()
    body = modification.BatchReleasedConditionally(
        batch=course.batch,
        materials=[course.material("bag-1")],
        certificate=document("certificate"),
        release_for_infusion=document("release-for-infusion"),
    )
    assert refusal(course, eu.qualified_person, body) == {"OPEN_ITEM_MISSING"}
    body.open_items.add(test="sterility", due_unix_micros=course.harness.clock + 14 * DAY)
    course.by_two(eu.qualified_person, eu.reviewer, body)
    assert set(course.state.batches[course.batch].open_items) == {"sterility"}
    course.does(eu.analyst, course.test_result("sterility"))
    assert not course.state.batches[course.batch].open_items


def test_row_22_outside_specification_at_the_physicians_request(course: EuCourse, eu: EuWorld) -> None:
    """Request, risk, informed patient, notified authority: three parties, each with its document."""
    course.to_the_product()
    course.sends_sample()
    course.is_tested(but_not=["viability"])
    failed = course.say(eu.analyst, course.test_result("viability", fails=True))
    course.is_reviewed()
    bags = [course.material("bag-1")]
    assert "TEST_NOT_PASSED" in refusal(course, eu.qualified_person, course.release_of_batch("bag-1"))
    request = course.does(
        eu.physician,
        modification.OutOfSpecificationRequested(
            batch=course.batch,
            materials=bags,
            results=[failed.statement_digest],
            grounds="no alternative",
            documents=[document("physician-request")],
        ),
    ).statement_digest
    body = modification.OutOfSpecificationReleased(
        batch=course.batch,
        materials=bags,
        certificate=document("certificate"),
        release_for_infusion=document("release-for-infusion"),
        request=request,
    )
    assert "OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE" in refusal(course, eu.qualified_person, body)
    body.risk_evaluation = course.does(
        eu.reviewer,
        modification.RiskEvaluated(request=request, evaluation=document("risk-evaluation"), acceptable=True),
    ).statement_digest
    body.patient_information = course.does(
        eu.physician,
        modification.PatientInformed(request=request, information=document("patient-information"), agrees=True),
    ).statement_digest
    body.authority_notification = course.does(
        eu.reviewer,
        modification.AuthorityNotified(
            request=request, authority="an authority", reference="N-1", notification=document("notification")
        ),
    ).statement_digest
    course.by_two(eu.qualified_person, eu.reviewer, body)
    state = course.state
    assert state.batches[course.batch].status is BatchStatus.RELEASED_OUT_OF_SPECIFICATION
    assert not state.holds_on(bags[0])
    assert donation_numbers(state, state.materials[bags[0]])
