"""The exceptions of the process page: what the ledger does with each. Stories are named after their row."""

from __future__ import annotations

import random

import pytest
from courses import DAY, codes, document, read, status
from eu_world import REASON, SHIPPER, EuCourse, EuWorld, conforms, exact
from test_making_rows import refusal

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.batch_state import BatchStatus
from cellcustody.ledger.custody.dose_plans import is_complete
from cellcustody.ledger.custody.recalls import RecallAction, action_due
from cellcustody.ledger.custody.therapy_state import Life, custody_of
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport


def _pools(course: EuCourse, *bags: bytes, size: int = 200) -> modification.MaterialPooled:
    return modification.MaterialPooled(
        inputs=bags,
        output=course.outputs(common.MATERIAL_KIND_COLLECTION, size, "pool")[0],
        unit=course.eu.suite,
        process_area=course.area,
    )


def test_second_collection_and_batch_under_one_chain_of_identity(course: EuCourse, eu: EuWorld) -> None:
    """The next attempt waits for quality's word on the first; new donation number, new batch, same identifier."""
    course.to_the_plant()
    course.accessions("apheresis")
    course.starts_manufacture()
    first, coi = course.batch, course.coi
    course.attempt, course.batch = 2, b"second batch 000"
    course.books_slot()
    course.receives_kit()
    course.collects("again")
    sender, receiver = (eu.nurse, eu.apheresis), (eu.operator, eu.suite)
    course.travels_to(("again",), sender, receiver, "fresh")
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_RECEIPT, "again")
    assert codes(course.say(eu.operator, course.accession("again"))) == {"ATTEMPT_OUT_OF_ORDER"}
    ended = modification.BatchTerminated(batch=first, cause=modification.TERMINATION_CAUSE_MANUFACTURING_FAILURE)
    course.does(eu.reviewer, ended)
    state = course.state
    assert state.batches[first].status is BatchStatus.TERMINATED
    assert (state.coi, len(state.dins), state.batches[course.batch].attempt) == (coi, 2, 2)


def test_partial_doses_are_complete_when_the_plan_is(course: EuCourse, eu: EuWorld) -> None:
    """A bag twice, a dose that does not add up, and one out of the limits are refused."""
    course.to_the_ward()
    twice = course.dose_plan("bag-1", "bag-1")
    assert "BAG_PLANNED_TWICE" in refusal(course, eu.physician, twice)
    wrong = course.dose_plan()
    wrong.total.mantissa = 3
    assert refusal(course, eu.physician, wrong) == {"DOSE_NOT_THE_SUM"}
    for mantissa, is_within in ((10, True), (20, True), (21, False), (9, False), (-15, False)):
        plan = course.dose_plan()
        plan.per_kilogram.CopyFrom(exact(mantissa, "{cells}/kg", 5))
        if is_within:
            course.does(eu.physician, plan)
        else:
            assert refusal(course, eu.physician, plan) == {"DOSE_OUT_OF_LIMITS"}
    for bag in ("bag-1", "bag-2"):
        assert not is_complete(course.state)
        course.issues(bag)
        course.thaws(bag)
        course.infuses(bag)
    assert is_complete(course.state)


def test_pooling_is_within_one_patient(course: EuCourse, eu: EuWorld) -> None:
    """Two days of one patient make a pool; another's bag is a hard gate, whoever says what."""
    course.to_the_plant("day-1", "day-2")
    other = eu.new_course().to_the_plant()
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "day-1", "day-2")
    mixed = course.say(eu.operator, _pools(course, course.material("day-1"), other.material("apheresis")))
    assert "OTHER_PATIENTS_MATERIAL" in codes(mixed)
    assert course.state.identity_broken
    clean = eu.new_course().to_the_plant("day-1", "day-2")
    clean.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_PROCESS, "day-1", "day-2")
    days = (clean.material("day-1"), clean.material("day-2"))
    clean.does(eu.operator, _pools(clean, *days))
    assert set(clean.state.materials[clean.material("pool")].parents) == set(days)


def test_identifier_mismatch_breaks_the_chain_until_it_is_restored(course: EuCourse, eu: EuWorld) -> None:
    """Quarantine, re-identification from the source record by two, an explicit restoration, and nothing less."""
    course.to_the_plant()
    body = course.identity_check(harvest.IDENTITY_POINT_RECEIPT, [])
    body.coi_read = eu.new_course().coi
    body.materials.append(course.material("apheresis"))
    broken = course.say(eu.operator, body)
    assert "IDENTITY_MISMATCH" in codes(broken)
    lifting = quality.HoldLifted(holds=broken.holds_opened, disposition="a slip")
    assert "IDENTITY_BROKEN" in refusal(course, eu.reviewer, lifting)
    alone = course.say(eu.nurse, course.reidentification())
    restoring = quality.IdentityRestored(reidentification=alone.statement_digest, holds=broken.holds_opened)
    assert "SECOND_PERSON_MISSING" in refusal(course, eu.reviewer, restoring)
    course.join(eu.second_nurse, alone)
    course.by_two(eu.reviewer, eu.second_reviewer, restoring)
    assert not course.state.identity_broken
    course.accessions("apheresis")


def test_undocumented_interval_of_custody(course: EuCourse, eu: EuWorld) -> None:
    """A box turns up where nobody handed it: shown, not moved, until custody is established by two."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    found = transport.PossessionReported(possessor=eu.suite, containers=[SHIPPER], place="dock")
    reported = course.harness.say(eu.operator, stream, found)
    assert "POSSESSION_DISPUTED" in codes(reported)
    custodian, possessor = custody_of(course.state, course.material("apheresis"))
    assert (custodian.site, possessor.site) == (eu.courier, eu.plant)  # type: ignore[union-attr]
    established = transport.CustodyEstablished(custodian=eu.suite, containers=[SHIPPER])
    word = course.harness.say(eu.driver, stream, established)
    assert status(word) is Status.PENDING
    course.harness.co_sign(eu.second_driver, stream, word.statement_digest)
    assert custody_of(course.state, course.material("apheresis"))[0].site == eu.plant  # type: ignore[union-attr]


def test_excursion_is_disposed_of_with_a_cited_study_alone(course: EuCourse, eu: EuWorld) -> None:
    """Not lifted, not overridden, not accepted without a study."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    course.hands(stream, (eu.driver, eu.van), (eu.operator, eu.suite))
    course.harness.tick()
    body = course.inspection(eu.suite, course.summary(course.began, "fresh", outside=300))
    inspected = course.harness.say(eu.operator, stream, body)
    course.does(eu.operator, course.receipt("apheresis", stream, eu.suite))
    assert codes(inspected) == {"EXCURSION"}
    disposed = transport.ConditionDisposed(
        materials=[course.material("apheresis")],
        holds=inspected.holds_opened,
        inspection=inspected.statement_digest,
        decision=transport.CONDITION_DECISION_ACCEPTED,
    )
    assert "STUDY_MISSING" in refusal(course, eu.reviewer, disposed)
    disposed.study_reference = "STAB-7"
    disposed.study.CopyFrom(document("stability-study"))
    course.does(eu.reviewer, disposed)
    course.accessions("apheresis")


@pytest.mark.parametrize("how", ["missing", "stopped", "min and max only", "clock wrong"])
def test_logger_that_does_not_know_is_unknown(course: EuCourse, how: str) -> None:
    """Unknown is not in range."""
    course.to_the_collection()
    eu = course.eu
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    course.harness.tick(3600)
    course.hands(stream, (eu.driver, eu.van), (eu.operator, eu.suite))
    summary = course.summary(course.began, "fresh")
    if how == "stopped":
        summary.last_reading_unix_micros = course.began + 600_000_000
    elif how == "min and max only":
        summary.readings = 2
    elif how == "clock wrong":
        summary.clock_ahead_seconds = 301
    summaries = [] if how == "missing" else [summary]
    inspected = course.harness.say(eu.operator, stream, course.inspection(eu.suite, *summaries))
    assert "CONDITION_UNKNOWN" in codes(inspected)


def test_refused_lost_and_wrong_site(course: EuCourse, eu: EuWorld) -> None:
    """A refusal leaves custody with the releaser; what is lost is held; what is found is taken up again."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    seals = course.seal_readings()
    release = course.releases(eu.driver, stream, eu.van, eu.suite, [SHIPPER], seals)
    refused = transport.CustodyRefused(release=release.statement_digest, receiver=eu.suite, circumstances=REASON)
    conforms(course.harness.say(eu.operator, stream, refused))
    assert custody_of(course.state, course.material("apheresis"))[0].site == eu.courier  # type: ignore[union-attr]
    lost = course.harness.say(eu.driver, stream, transport.ContainersLost(containers=[SHIPPER], last_place="hub north"))
    assert "CONTAINER_LOST" in codes(lost)
    found = transport.PossessionReported(possessor=eu.van, containers=[SHIPPER], place="hub south")
    course.harness.say(eu.driver, stream, found)
    course.hands(stream, (eu.driver, eu.van), (eu.operator, eu.suite))  # Custody never freezes.
    assert course.state.holds_on(course.material("apheresis"))


def test_handoff_cancelled_and_receiver_renamed(course: EuCourse, eu: EuWorld) -> None:
    """A release is taken back, or turned to another receiver, by whoever released."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    seals = course.seal_readings()
    release = course.releases(eu.driver, stream, eu.van, eu.suite, [SHIPPER], seals)
    taken_back = transport.ReleaseWithdrawn(release=release.statement_digest, circumstances=REASON)
    conforms(course.harness.say(eu.driver, stream, taken_back))
    late = course.accepts(eu.operator, stream, release, eu.suite, [SHIPPER], (), seals)
    assert "RELEASE_WITHDRAWN" in codes(late)
    again = course.releases(eu.driver, stream, eu.van, eu.ward, [SHIPPER], seals)
    renamed = transport.ReceiverRenamed(release=again.statement_digest, receiver=eu.suite)
    course.harness.say(eu.driver, stream, renamed)
    course.accepts(eu.operator, stream, again, eu.suite, [SHIPPER], (), seals)
    assert custody_of(course.state, course.material("apheresis"))[0].site == eu.plant  # type: ignore[union-attr]


def test_bag_breached_at_thaw_is_the_physicians_then_qualitys(course: EuCourse, eu: EuWorld) -> None:
    """Under a culture and a deviation, and not before."""
    course.to_the_ward()
    course.issues("bag-1")
    body = course.thaw("bag-1")
    body.intact = False
    thawed = course.say(eu.ward_nurse, body)
    assert codes(thawed) == {"BAG_BREACHED"}
    lifting = quality.HoldLifted(holds=thawed.holds_opened, disposition="decided", circumstances=REASON)
    assert "BREACH_UNDECIDED" in refusal(course, eu.reviewer, lifting)
    decided = returned.BreachDecided(thawed=thawed.statement_digest, decision=returned.BREACH_DECISION_USE)
    assert refusal(course, eu.physician, decided) >= {"CULTURE_MISSING", "DEVIATION_MISSING"}


def test_patient_who_withdraws_or_dies_ends_by_consent(course: EuCourse, eu: EuWorld) -> None:
    """All stops; what is left is destroyed, or kept for a study only where the patient had agreed to that."""
    course.to_the_ward()
    withdrawn = course.say(eu.physician, harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    assert withdrawn.holds_opened
    course.conditions()
    assert "HOLD_OPEN" in codes(course.say(eu.technician, course.issue("bag-1")))
    kept = returned.RemainderRetained(
        material=course.material("bag-1"),
        position=common.Position(unit=eu.cell_lab, place="bank"),
        study="S-1",
        kept_until_unix_micros=course.harness.clock + DAY,
    )
    assert "CONSENT_MISSING" in codes(course.say(eu.technician, kept))
    destroyed = returned.MaterialDestroyed(
        material=course.material("bag-2"), unit=eu.cell_lab, certificate=document("destruction")
    )
    other = eu.new_course().to_the_ward()
    other.say(eu.physician, harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    destroyed.material = other.material("bag-2")
    other.by_two(eu.technician, eu.ward_nurse, destroyed)
    assert other.state.materials[other.material("bag-2")].life is Life.DESTROYED


def test_carrier_disqualified_on_the_way_judges_nothing_behind_it(course: EuCourse, eu: EuWorld) -> None:
    """Equipment goes out of service: what was done with it stays, what is done next is found."""
    course.to_the_collection()
    before = course.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    packed = course.does(eu.nurse, course.packing("apheresis", before, eu.apheresis))
    asset = eu.assets[SHIPPER]
    conforms(course.harness.say(eu.driver, asset, facilities.EquipmentTakenOutOfService(grounds="a crack")))
    other = eu.new_course().to_the_collection()
    stream = other.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    later = other.say(eu.nurse, other.packing("apheresis", stream, eu.apheresis))
    assert "SHIPPER_QUALIFICATION_MISSING" in codes(later)
    judged = course.harness.recorded(course.stream)[packed.statement_digest].judged
    assert judged.status is Status.CONFORMING
    conforms(course.harness.say(eu.driver, asset, facilities.EquipmentReturnedToService(grounds="mended")))


def test_wrong_event_is_corrected_and_what_follows_is_judged_again(course: EuCourse, eu: EuWorld) -> None:
    """Both stay in the log; the hold that the wrong one opened falls."""
    course.to_the_plant()
    course.compares(eu.operator, eu.second_operator, harvest.IDENTITY_POINT_RECEIPT, "apheresis")
    body = course.accession("apheresis")
    course.does(eu.operator, body)
    stored = harvest.MaterialStored(
        material=course.material("apheresis"), position=common.Position(unit=eu.ward, place="fridge")
    )
    mistaken = course.say(eu.operator, stored)
    assert mistaken.holds_opened
    stored.position.unit.CopyFrom(eu.suite)
    stored.replaces = mistaken.statement_digest
    right = course.say(eu.operator, stored)
    assert codes(right) == {"CORRECTION_MISSING"}
    course.does(
        eu.operator,
        quality.StatementCorrected(
            corrected=mistaken.statement_digest, replacement=right.statement_digest, circumstances=REASON
        ),
    )
    assert not course.state.holds
    assert status_of(course, mistaken) == {"SUPERSEDED"}


def status_of(course: EuCourse, told: Recorded) -> set[str]:
    """Returns what the log says last of a statement."""
    judged = course.harness.recorded(course.stream)[told.statement_digest].judged
    return {finding.code for finding in judged.findings}


def test_duplicates_conflicts_and_any_order(course: EuCourse, eu: EuWorld) -> None:
    """The same bytes twice are one; another payload under the same id is refused; order changes nothing."""
    ends = []
    for seed in range(4):
        one = eu.new_course().to_the_collection()
        made = []
        for place in ("fridge", "shelf", "bench"):
            made.append(
                one.harness.statement(
                    eu.nurse,
                    one.stream,
                    harvest.MaterialStored(
                        material=one.material("apheresis"), position=common.Position(unit=eu.apheresis, place=place)
                    ),
                    at=one.harness.clock + len(made) * 60_000_000,
                    seen={},
                )
            )
        one.harness.tick(600)
        random.Random(seed).shuffle(order := list(made))
        for submission in order:
            one.harness.submit(submission)
        assert one.harness.submit(made[0]).already_recorded
        ends.append(one.state.materials[one.material("apheresis")].place)
        taken = parse_statement(made[0].envelope).header.statement_id
        with pytest.raises(Exception, match=r"(?i)id|conflict"):
            one.say(eu.nurse, one.screening(), statement_id=taken)
    assert ends == ["bench"] * 4


def test_offline_entry_is_flagged_with_its_delay(course: EuCourse, eu: EuWorld) -> None:
    """Late is shown and never refused; so is what was written on paper, until a second person attests to it."""
    course.prepares()
    late = course.say(eu.physician, course.screening(), at=course.harness.clock - 2 * DAY)
    assert codes(late) >= {"LATE"}
    paper = course.screening()
    paper.circumstances.CopyFrom(
        common.Circumstances(mode=common.ENTRY_MODE_FROM_PAPER, reason="no network", form="F-1")
    )
    entered = course.say(eu.physician, paper)
    assert "CO_SIGNATURE_OUTSTANDING" in codes(entered)
    course.join(eu.nurse, entered)


def test_recall_reaches_what_is_stored_on_the_way_and_infused(course: EuCourse, eu: EuWorld) -> None:
    """Quarantine, stop and return, tell the physician; the recalled lot stops every use and nothing else."""
    vector = eu.lots["vector"]
    eu.lots["vector"] = eu.new_lot("vector")
    course.to_the_ward()
    course.issues("bag-1")
    course.thaws("bag-1")
    course.infuses("bag-1")
    away = eu.new_course().to_the_release()
    away.leaves(("bag-1",), (eu.operator, eu.suite), eu.cell_lab, "frozen")
    lot = eu.lots["vector"].lot
    eu.quality_says(lot, modification.LOT_STATUS_RECALLED)
    due = {
        name: action_due(one.state.materials[one.material(bag)])
        for name, one, bag in (("infused", course, "bag-1"), ("stored", course, "bag-2"), ("on the way", away, "bag-1"))
    }
    assert due == {
        "infused": RecallAction.NOTIFY_PHYSICIAN,
        "stored": RecallAction.QUARANTINE,
        "on the way": RecallAction.STOP_AND_RETURN,
    }
    assert "LOT_HELD" in codes(course.say(eu.technician, course.issue("bag-2")))
    for name, one, bag, by, unit in (
        ("infused", course, "bag-1", eu.physician, eu.ward),
        ("stored", course, "bag-2", eu.technician, eu.cell_lab),
    ):
        body = facilities.RecallActionTaken(
            lot=lot, action=int(due[name]), materials=[one.material(bag)], unit=unit, told="treating physician"
        )  # type: ignore[arg-type]  # The number of the contract's own value.
        assert status(one.say(by, body)) is Status.CONFORMING
    wrong = facilities.RecallActionTaken(
        lot=lot, action=facilities.RECALL_ACTION_QUARANTINE, materials=[course.material("bag-1")], unit=eu.ward
    )
    assert "RECALL_ACTION_NOT_DUE" in codes(course.say(eu.physician, wrong))
    eu.lots["vector"] = vector


def test_key_compromised_and_staff_who_left(course: EuCourse, eu: EuWorld) -> None:
    """Nobody signs in a role that they were not given; what was signed before stays."""
    course.prepares()
    outsider = course.say(eu.stranger, course.screening())
    assert "OUT_OF_SCOPE" in codes(outsider)
    assert refusal(course, eu.nurse, modification.BatchRejected(batch=b"0" * 16)) >= {"CAPABILITY_MISSING"}


def test_record_passes_to_another_custodian_with_a_full_copy(course: EuCourse, eu: EuWorld) -> None:
    """By two sites, with a copy by digest and the size and root of the log."""
    course.to_the_collection()
    body = returned.CustodianOfRecordChanged(custodian_of_record=eu.plant, circumstances=REASON)
    assert refusal(course, eu.physician, body) == {"COPY_NOT_STATED", "COPY_OF_ANOTHER_LOG"}
    body.copy_sha256, body.checkpoint_root = b"c" * 32, b"r" * 32
    head = course.harness.store.head()
    body.checkpoint_size = head.size
    assert refusal(course, eu.physician, body) == {"COPY_OF_ANOTHER_LOG"}
    body.checkpoint_root = head.root_hash
    passing = course.say(eu.physician, body)
    assert status(passing) is Status.PENDING
    course.join(eu.operator, passing)
    assert course.state.custodian_of_record == eu.plant


def test_identifier_read_twice_confirms_once(course: EuCourse, eu: EuWorld) -> None:
    """The same identifier twice is one identifier."""
    course.prepares()
    checked = course.say(
        eu.nurse, course.identity_check(identifiers=read([("wristband", "W-0815"), ("wristband", "W-0815")]))
    )
    course.join(eu.second_nurse, checked)
    assert codes(course.say(eu.nurse, course.collection_start())) == {"IDENTITY_NOT_CHECKED"}
