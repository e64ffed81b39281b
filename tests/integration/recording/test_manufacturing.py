"""Manufacture, release and dose, told to a real ledger: from the cleared line to bags that are given in their order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from courses import Course, World, codes, document, status, volume
from ledger_harness import MICROS

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.after_infusion import late_results
from cellcustody.ledger.custody.batch_state import BatchStatus
from cellcustody.ledger.custody.dose_plans import bags_to_give
from cellcustody.ledger.custody.genealogy import Orphaned, orphans
from cellcustody.ledger.custody.policy import PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import registry_pb2 as registry
from cellcustody.v1 import return_pb2 as returned

DAY = 86_400 * MICROS
FAIL = modification.RESULT_OUTCOME_FAIL
INTERMEDIATE = common.MATERIAL_KIND_INTERMEDIATE
PRODUCT = common.MATERIAL_KIND_PRODUCT


def _step(body: str, *after: str, optional: bool = False) -> dict[str, object]:
    return {"step": body, "after": sorted(after), "optional": optional, "repeatable": True}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A founded ledger whose pack wants lines cleared, pairs of operators, doses and reviews."""
    world = World(tmp_path)
    members = json.loads(sample_pack_bytes())
    changed = (
        "LineCleared",
        "ManufacturingStarted",
        "SelectionPerformed",
        "FillPerformed",
        "BatchReviewed",
        "BatchReleased",
    )
    members["version"] = 2
    members["steps"] = [
        *(one for one in members["steps"] if one["step"] not in changed),
        _step("LineCleared", "MaterialAccessioned"),
        _step("ManufacturingStarted", "LineCleared"),
        _step("SelectionPerformed", "ManufacturingStarted", optional=True),
        _step("FillPerformed", "FormulationPerformed", optional=True),
        _step("BatchReviewed", "FillPerformed"),
        _step("BatchReleased", "BatchReviewed"),
    ]
    members["co_signing"]["ManufacturingStarted"] = {"number": 1, "roles": [], "window_seconds": 900}
    members["dose"] = {
        "unit": "{cells}",
        "min": "150",
        "max": "250",
        "per_kilogram": False,
        "components": [],
        "ratio_tolerance": "0",
    }
    members["oos_release"] = {"allowed": True, "documents": ["risk-evaluation"]}
    pack = canonical_json(members)
    world.pack = PolicyPack.parse(pack)
    world.harness.by_quorum(
        single_stream_id(StreamKind.POLICY),
        registry.PolicyPublished(
            product=world.pack.product, jurisdiction=world.pack.jurisdiction, version=2, pack=pack
        ),
    )
    return world


def _starts(course: Course) -> list[Recorded]:
    """The line is cleared and two operators start."""
    world = course.world
    area = {"batch": course.batch, "process_area": "isolator-1", "unit": world.suite}
    cleared = course.say(world.operator, modification.LineCleared(clear=True, **area))  # type: ignore[arg-type]  # Fields.
    started = course.say(
        world.operator,
        modification.ManufacturingStarted(
            line_clearance=cleared.statement_digest,
            batch_record="MBR-7 v3",
            **area,  # type: ignore[arg-type]  # Names and values are those of the body's fields.
        ),
    )
    course.join(world.second_operator, started)
    return [cleared, started]


def _pools(course: Course, *bags: str, made: int) -> Recorded:
    course.checks_process(*bags)
    return course.say(
        course.world.operator,
        modification.MaterialPooled(
            inputs=[course.material(bag) for bag in bags],
            output=course.outputs(common.MATERIAL_KIND_COLLECTION, made, "pool")[0],
            unit=course.world.suite,
            process_area="isolator-1",
        ),
    )


def _fills(course: Course) -> Recorded:
    course.checks_process("formulated")
    bags = course.outputs(PRODUCT, 60, "bag-1", "bag-2")
    for bag in bags:
        bag.dose.CopyFrom(common.Quantity(mantissa=100, unit="{cells}", comparator=common.COMPARATOR_EQUAL))
    return course.say(
        course.world.operator,
        modification.FillPerformed(
            batch=course.batch,
            inputs=[course.material("formulated")],
            outputs=[*bags, *course.outputs(common.MATERIAL_KIND_SAMPLE, 6, "sample")],
            unit=course.world.suite,
            process_area="isolator-1",
            lost=volume(4),
            containers=modification.ContainerCount(taken=4, filled=3, spoiled=1),
        ),
    )


def _made(world: World) -> Course:
    """Two bags pooled, modified, formulated and filled; the sample is at the laboratory."""
    course = world.course().to_the_plant("day-1", "day-2")
    told = [_pools(course, "day-1", "day-2", made=200), course.accessions("pool"), *_starts(course)]
    told.append(course.performs(modification.SelectionPerformed, ["pool"], "selected", 90))
    told.append(course.modifies("selected", "modified", world.vector_lot()))
    told.append(course.performs(modification.FormulationPerformed, ["modified"], "formulated", 130))
    told.append(_fills(course))
    for bag in ("bag-1", "bag-2"):
        told.append(course.labels(bag, by=world.operator, expires_at=world.harness.clock + 300 * DAY))
    course.travels(["sample"], (world.operator, world.suite), (world.analyst, world.bench))
    assert [one for one in told if status(one) is not Status.CONFORMING] == []
    return course


def _reports(course: Course, test: str, *, interim: bool = False, fails: bool = False) -> Recorded:
    body = course.result(test, FAIL if fails else modification.RESULT_OUTCOME_PASS)
    body.phase = modification.RESULT_PHASE_INTERIM if interim else modification.RESULT_PHASE_RELEASE
    return course.say(course.world.analyst, body)


def _reviews(course: Course) -> Recorded:
    record = document("batch-record")
    body = modification.BatchReviewed(batch=course.batch, batch_record=record, acceptable=True)
    return course.say(course.world.reviewer, body)


def test_a_batch_is_released_with_open_items_and_then_in_full(world: World) -> None:
    """From two collections pooled to the final result of sterility; then the dose is planned."""
    course = _made(world)
    _reports(course, "identity")
    _reports(course, "viability")
    _reports(course, "sterility", interim=True)
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, course.release_of_batch("bag-1", "bag-2"))
    assert {one.code for one in refused.value.findings} == {"BATCH_NOT_REVIEWED", "TEST_INTERIM"}
    _reviews(course)
    full = course.release_of_batch("bag-1", "bag-2")
    conditional = modification.BatchReleasedConditionally(
        batch=full.batch,
        materials=full.materials,
        certificate=full.certificate,
        release_for_infusion=full.release_for_infusion,
        open_items=[modification.OpenItem(test="sterility", due_unix_micros=world.harness.clock + 14 * DAY)],
    )
    released = course.say(world.reviewer, conditional)
    assert status(released) is Status.PENDING
    course.join(world.second_reviewer, released, seen=world.harness.all_seen())
    batch = world.harness.therapy(course.stream).state.batches[course.batch]
    assert batch.status is BatchStatus.CONDITIONALLY_RELEASED
    assert set(batch.open_items) == {"sterility"}
    _reports(course, "sterility")
    assert not world.harness.therapy(course.stream).state.batches[course.batch].open_items
    course.is_released()

    plan = modification.DosePlanned(
        bags=[modification.PlannedBag(material=course.material(f"bag-{n}"), order=n) for n in (1, 2)]
    )
    course.say(world.reviewer, plan)
    state = world.harness.therapy(course.stream).state
    assert bags_to_give(state) == (course.material("bag-1"), course.material("bag-2"))
    assert {one.why for one in orphans(state)} == {Orphaned.NOT_ENDED}
    world.harness.check()
    world.harness.reopen()
    world.harness.check()


def test_a_plan_of_too_small_a_dose_is_refused(world: World) -> None:
    """One bag of a hundred is less than the pack's least."""
    course = _made(world)
    plan = modification.DosePlanned(bags=[modification.PlannedBag(material=course.material("bag-1"), order=1)])
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, plan)
    assert [one.code for one in refused.value.findings] == ["DOSE_OUT_OF_LIMITS"]


def test_a_batch_outside_its_specification_is_released_at_the_end_of_a_chain(world: World) -> None:
    """Answers come before the request, from outboxes; each waits, and is judged again when what it names is here."""
    course = _made(world)
    _reports(course, "identity")
    _reports(course, "sterility")
    failing = _reports(course, "viability", fails=True)
    assert codes(failing) == {"RESULT_FAILED", "RESULT_OUT_OF_SPECIFICATION"}
    _reviews(course)
    harness = world.harness
    bags = [course.material("bag-1"), course.material("bag-2")]
    request = harness.statement(
        world.nurse,
        course.stream,
        modification.OutOfSpecificationRequested(
            batch=course.batch, materials=bags, results=[failing.statement_digest], grounds="no other way"
        ),
        at=harness.tick(),
    )
    asked: bytes = parse_statement(request.envelope).digest
    risk = course.say(
        world.operator,
        modification.RiskEvaluated(request=asked, evaluation=document("risk-evaluation"), acceptable=True),
    )
    assert status(risk) is Status.AWAITING
    informed = course.say(
        world.nurse, modification.PatientInformed(request=asked, information=document("information"), agrees=True)
    )
    harness.submit(request)
    latest = harness.recorded(course.stream)
    for one in (risk, informed):
        assert latest[one.statement_digest].judged.status is Status.CONFORMING
    full = course.release_of_batch("bag-1", "bag-2")
    body = modification.OutOfSpecificationReleased(
        batch=full.batch,
        materials=full.materials,
        certificate=full.certificate,
        release_for_infusion=full.release_for_infusion,
        request=asked,
        risk_evaluation=risk.statement_digest,
        patient_information=informed.statement_digest,
    )
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, body)
    assert [one.code for one in refused.value.findings] == ["OUT_OF_SPECIFICATION_CHAIN_INCOMPLETE"]
    notified = course.say(
        world.operator,
        modification.AuthorityNotified(
            request=asked, authority="the authority", reference="N-1", notification=document("notification")
        ),
    )
    body.authority_notification = notified.statement_digest
    released = course.say(world.reviewer, body)
    assert harness.therapy(course.stream).state.holds_on(bags[0])
    course.join(world.second_reviewer, released, seen=harness.all_seen())
    state = harness.therapy(course.stream).state
    assert state.batches[course.batch].status is BatchStatus.RELEASED_OUT_OF_SPECIFICATION
    assert not state.holds_on(bags[0])
    harness.check()
    harness.reopen()
    harness.check()


def test_no_batch_is_begun_at_a_site_on_hold(world: World) -> None:
    """Another site's work goes on; once the hold is lifted, so does this one's."""
    course = world.course().to_the_plant()
    harness, site = world.harness, bytes([StreamKind.SITE]) + world.plant
    held = harness.say(world.reviewer, site, quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_SITE)))
    assert "SITE_ON_HOLD" in codes(course.accessions("apheresis"))
    other = world.course().to_the_collection()
    assert "SITE_ON_HOLD" not in codes(other.labels("apheresis"))
    lifting = quality.HoldLifted(holds=held.holds_opened)
    harness.say(world.reviewer, site, lifting, seen=harness.all_seen())
    assert "SITE_ON_HOLD" not in codes(world.course().to_the_plant().accessions("apheresis"))
    harness.check()


def test_a_second_attempt_begins_when_the_first_is_given_up(world: World) -> None:
    """The bag that was not worked on goes into it."""
    course = world.course().to_the_plant("day-1", "day-2")
    course.accessions("day-1", "day-2")
    second = modification.MaterialAccessioned(
        batch=course.material("second batch"),
        batch_number="B-2",
        materials=[course.material("day-2")],
        unit=world.suite,
        attempt=2,
    )
    assert codes(course.say(world.operator, second)) == {"ATTEMPT_OUT_OF_ORDER", "IN_ANOTHER_BATCH"}
    other = world.course().to_the_plant("day-1", "day-2")
    other.accessions("day-1", "day-2")
    cause = modification.TERMINATION_CAUSE_MANUFACTURING_FAILURE
    other.say(world.reviewer, modification.BatchTerminated(batch=other.batch, cause=cause))
    second.batch = other.material("second batch")
    second.materials[0] = other.material("day-2")
    assert status(other.say(world.operator, second)) is Status.CONFORMING
    state = world.harness.therapy(other.stream).state
    assert state.batches[other.batch].status is BatchStatus.TERMINATED
    assert state.materials[other.material("day-2")].batch == other.material("second batch")
    world.harness.check()


def test_two_patients_cells_are_never_pooled(world: World) -> None:
    """Told to the ledger it is found, holds what came of it, and breaks the chain of identity."""
    first = world.course().to_the_plant("day-1", "day-2")
    second = world.course().to_the_plant("strange")
    first.checks_process("day-1")
    pooled = first.say(
        world.operator,
        modification.MaterialPooled(
            inputs=[first.material("day-1"), second.material("strange")],
            output=first.outputs(common.MATERIAL_KIND_COLLECTION, 200, "pool")[0],
            unit=world.suite,
            process_area="isolator-1",
        ),
    )
    assert "OTHER_PATIENTS_MATERIAL" in codes(pooled)
    state = world.harness.therapy(first.stream).state
    assert state.identity_broken
    assert state.holds_on(first.material("pool"))
    assert Orphaned.OTHER_PATIENTS_PARENT in {one.why for one in orphans(state)}
    assert world.harness.therapy(second.stream).state.materials[second.material("strange")].life is Life.AVAILABLE
    world.harness.check()


@pytest.mark.parametrize("is_first_open", [True, False])
def test_two_patients_never_share_an_open_container(world: World, is_first_open: bool) -> None:
    """One bag that is not sealed is enough, whoever tells first; the one told before is judged again."""
    first, second = (world.course().to_the_collection() for _ in range(2))
    consignment = first.opens_consignment(world.nurse, world.apheresis, world.suite, "box-1", "box-2")
    told = []
    for course, is_open in ((first, is_first_open), (second, not is_first_open)):
        body = harvest.MaterialPacked(
            material=course.material("apheresis"),
            consignment=consignment,
            container="box-1",
            unit=world.apheresis,
            coi_read=course.coi,
            unsealed=is_open,
        )
        told.append(course.say(world.nurse, body))
    assert codes(told[0]) == set()
    assert codes(told[1]) == {"CONTAINER_SHARED_OPEN"}
    again = world.harness.recorded(first.stream)[told[0].statement_digest].judged
    assert [one.code for one in again.findings] == ["CONTAINER_SHARED_OPEN"]
    for course in (first, second):
        assert world.harness.therapy(course.stream).state.holds_on(course.material("apheresis"))
    world.harness.check()
    world.harness.reopen()
    world.harness.check()


def test_sealed_bags_of_two_patients_travel_together(world: World) -> None:
    """Nothing is found in either."""
    first, second = (world.course().to_the_collection() for _ in range(2))
    consignment = first.opens_consignment(world.nurse, world.apheresis, world.suite)
    for course in (first, second):
        assert codes(course.packs(world.nurse, world.apheresis, consignment, "apheresis")) == set()
    world.harness.check()


def test_two_patients_share_no_cleared_line(world: World) -> None:
    """A clearance during another patient's step is found in both."""
    first, second = (world.course().to_the_plant() for _ in range(2))
    for course in (first, second):
        course.accessions("apheresis")
        course.checks_process("apheresis")
    start = world.harness.tick(3_600) - 1_800 * MICROS
    step = first.say(
        world.operator,
        modification.ModificationPerformed(
            batch=first.batch,
            inputs=[first.material("apheresis")],
            outputs=first.outputs(INTERMEDIATE, 90, "modified"),
            unit=world.suite,
            process_area="isolator-1",
            vector_lot=common.LotUse(lot=world.vector_lot(), lot_number="V-1", kind="vector"),
        ),
        at=start,
        until=world.harness.clock,
    )
    cleared = second.say(
        world.operator,
        modification.LineCleared(batch=second.batch, process_area="Isolator-1", unit=world.suite, clear=True),
        at=start + MICROS,
    )
    assert codes(cleared) == {"PROCESS_AREA_SHARED"}
    told = world.harness.recorded(first.stream)[step.statement_digest].judged
    assert "PROCESS_AREA_SHARED" in {one.code for one in told.findings}
    world.harness.check()


def test_a_failing_result_after_the_infusion_names_what_was_given(world: World) -> None:
    """Final sterility fails when the first bag is in the patient."""
    course = _made(world)
    for test in ("identity", "viability", "sterility"):
        _reports(course, test)
    _reviews(course)
    course.is_released()
    course.travels(["bag-1", "bag-2"], (world.operator, world.suite), (world.nurse, world.cell_lab))
    course.issues("bag-1")
    course.thaws("bag-1")
    started = course.starts_infusion("bag-1", course.checks_bedside("bag-1"))
    course.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_COMPLETE)
    late = _reports(course, "sterility", fails=True)
    assert {"RESULT_FAILED", "RESULT_FAILED_LATE"} <= codes(late)
    (failure,) = late_results(world.harness.therapy(course.stream).state)
    assert failure.result == late.statement_digest
    assert failure.infused == (course.material("bag-1"),)
    assert failure.site == world.hospital
    world.harness.check()
