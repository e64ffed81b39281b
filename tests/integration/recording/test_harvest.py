"""The harvest through the append core: eligibility to the frozen bag, scans that disagree, labels that are short."""

from __future__ import annotations

import hashlib
import random

import pytest
from courses import DAY, MINUTE, Course, World, codes, read, status

from cellcustody.ledger.custody.act import Outcome, Status
from cellcustody.ledger.identifiers import ChainOfIdentity, Din
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import StreamKind, parse_statement
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

TRACE = common.Document(sha256=hashlib.sha256(b"trace").digest(), kind="rate-trace")
FORM = common.Document(sha256=hashlib.sha256(b"form").digest(), kind="consent-form")


def _scan(raw: str, method: common.ReadMethod.ValueType = common.READ_METHOD_SCANNED) -> common.Scan:
    return common.Scan(raw=raw, method=method)


def _coi_scan(course: Course) -> common.Scan:
    return _scan(ChainOfIdentity.parse_printed(course.coi).wire())


def _din_scan(din: str) -> common.Scan:
    return _scan(Din.parse_printed(din).wire())


def _stores(course: Course, bag: str, *scans: common.Scan) -> Recorded:
    position = common.Position(unit=course.world.apheresis, place="fridge")
    return course.say(
        course.world.nurse, harvest.MaterialStored(material=course.material(bag), position=position, scans=scans)
    )


def _kit_lot(world: World) -> bytes:
    harness = world.harness
    lot = harness.new_stream(StreamKind.LOT)
    registered = modification.LotRegistered(
        lot_number="K-1", kind="kit", expires_at_unix_micros=harness.clock + 100 * DAY
    )
    harness.say(world.operator, lot, registered)
    harness.say(world.reviewer, lot, modification.LotStatusChanged(status=modification.LOT_STATUS_RELEASED))
    return lot


def test_a_harvest_by_the_book_has_no_finding_that_holds(world: World) -> None:
    """Eligibility, study, form, screening, slot, kit, chair, collection, labels counted, cold."""
    course, nurse, second = world.course(), world.nurse, world.second_nurse
    clock = world.harness.clock
    told = [course.enrols()]
    told.append(
        course.say(nurse, harvest.EligibilityAssessed(outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, grounds=["age"]))
    )
    study = harvest.TrialEnrolled(study="NCT-1", protocol="P-1", subject="007", arm="A", unit=world.ward)
    trial = course.say(nurse, study)
    assert status(trial) is Status.IN_EFFECT
    with pytest.raises(RuleRefusedError) as refused:
        course.say(nurse, study)
    assert [one.code for one in refused.value.findings] == ["IN_STUDY_ALREADY"]
    told.append(
        course.say(
            nurse,
            harvest.ConsentRecorded(
                scopes=[harvest.CONSENT_SCOPE_COLLECTION], form_version="consent-3", documents=[FORM]
            ),
        )
    )
    told.append(
        course.say(
            nurse,
            harvest.DonorScreened(
                sample_taken_at_unix_micros=clock - DAY,
                markers=[harvest.MarkerTested(marker="HIV", evaluated=True), harvest.MarkerTested(marker="HTLV")],
                results=[harvest.MarkerResult(marker="HIV", outcome=harvest.MARKER_OUTCOME_NON_REACTIVE)],
                biohazard=harvest.BIOHAZARD_NOT_EVALUATED,
                label_reason="for autologous use only",
            ),
        )
    )
    slot = course.say(
        world.operator, harvest.SlotReserved(slot="S-1", unit=world.suite, collect_until_unix_micros=clock + DAY)
    )
    kit = course.say(
        nurse,
        harvest.KitReceived(
            lot=common.LotUse(lot=_kit_lot(world), lot_number="K-1", kind="kit"),
            expires_at_unix_micros=clock + 100 * DAY,
            label_serials=["K1", "K2", "K3"],
            labels_counted=3,
            unit=world.apheresis,
            intact=True,
        ),
    )
    told += [slot, kit]
    checked = course.identity_check()
    checked.scans.append(_coi_scan(course))
    told.append(course.say(nurse, checked))
    course.join(second, told[-1])
    course.new_din()
    told.append(
        course.say(
            nurse,
            harvest.CollectionStarted(
                day=1,
                din=course.din,
                unit=world.apheresis,
                attempt=1,
                software="7.2",
                kit=kit.statement_digest,
                slot=slot.statement_digest,
                scans=[_din_scan(course.din)],
            ),
        )
    )
    told.append(course.completes_collection(told[-1], "apheresis"))
    told.append(
        course.say(nurse, labels.LabelsPrinted(serials=["P1"], coi=course.coi, din=course.din, unit=world.apheresis))
    )
    applied = course.say(
        nurse,
        harvest.LabelApplied(
            material=course.material("apheresis"),
            din=course.din,
            coi=course.coi,
            product_code="S1128TA0",
            label_serial="P1",
            texts=["FOR AUTOLOGOUS USE ONLY"],
            scans=[_scan(f"=+02000{_din_scan(course.din).raw}=<S1128TA0")],
        ),
    )
    told.append(applied)
    told.append(
        course.say(
            second,
            labels.LabelReadBack(
                applied=applied.statement_digest,
                material=course.material("apheresis"),
                scans=[_coi_scan(course), _din_scan(course.din)],
            ),
        )
    )
    told.append(course.say(nurse, harvest.LabelVoided(serials=["K1"])))
    told.append(course.say(nurse, labels.LabelsReturned(serials=["K2", "K3"], unit=world.apheresis)))
    told.append(
        course.say(nurse, labels.LabelsReconciled(unit=world.apheresis, printed=4, applied=1, voided=1, returned=2))
    )
    bag = [course.material("apheresis")]
    held = harvest.FreshHoldStarted(materials=bag, position=common.Position(unit=world.apheresis, place="fridge"))
    told.append(course.say(nurse, held))
    freezing = course.say(nurse, harvest.CryopreservationStarted(materials=bag, unit=world.apheresis))
    told.append(freezing)
    told.append(
        course.say(
            nurse,
            harvest.CryopreservationCompleted(started=freezing.statement_digest, rate_trace=TRACE, materials=bag),
        )
    )
    holding = {one.statement_digest: codes(one) for one in told if status(one) is Status.NONCONFORMING}
    assert holding == {}
    state = world.harness.therapy(course.stream).state
    assert not state.holds
    assert bag[0] in state.harvest.frozen_at
    assert [one.lot_number for one in state.lots] == ["K-1"]
    world.harness.check()


def test_a_scan_of_another_bag_breaks_identity_until_it_is_identified_anew(world: World) -> None:
    """Recorded, held, mended by two persons from the source record and an explicit restoration, by nothing less."""
    course = world.course().to_the_collection()
    other = world.course()
    strange = _din_scan(other.new_din())
    stored = _stores(course, "apheresis", _scan(ChainOfIdentity.parse_printed(other.coi).wire()), strange)
    assert codes(stored) >= {"SCAN_MISMATCH"}
    assert len(stored.holds_opened) >= 1
    assert world.harness.therapy(course.stream).state.identity_broken
    shown = next(one for one in stored.explained if one.code == "SCAN_MISMATCH")
    assert course.coi not in str(shown.values)  # What it should have been is not told: somebody would type it.

    checked = course.say(world.nurse, course.identity_check(harvest.IDENTITY_POINT_REIDENTIFICATION))
    course.join(world.second_nurse, checked)
    with pytest.raises(RuleRefusedError) as refused:
        course.say(
            world.reviewer,
            quality.IdentityRestored(reidentification=checked.statement_digest),
            seen=world.harness.all_seen(),
        )
    assert "REIDENTIFICATION_MISSING" in [one.code for one in refused.value.findings]

    wrong = course.say(world.nurse, course.reidentification(identifiers=read([("medical_record_number", "other")])))
    assert "IDENTIFIER_MISMATCH" in codes(wrong)
    again = course.say(world.nurse, course.reidentification())
    assert [one.outcome for one in again.judgement.comparisons] == [Outcome.MATCH, Outcome.MATCH]
    course.join(world.second_nurse, again)
    restored = course.say(
        world.reviewer,
        quality.IdentityRestored(
            reidentification=again.statement_digest, holds=[*stored.holds_opened, *wrong.holds_opened]
        ),
        seen=world.harness.all_seen(),
    )
    if status(restored) is Status.PENDING:
        course.join(world.second_reviewer, restored, seen=world.harness.all_seen())
    state = world.harness.therapy(course.stream).state
    assert not state.identity_broken
    assert not state.holds
    world.harness.check()


def test_a_typed_scan_is_marked_and_compared_alike(world: World) -> None:
    """An advisory, shown; what it says counts."""
    course = world.course().to_the_collection()
    typed = _stores(course, "apheresis", _scan(course.coi, common.READ_METHOD_MANUAL))
    assert (codes(typed), status(typed)) == ({"SCAN_TYPED"}, Status.CONFORMING)
    other = _stores(course, "apheresis", _scan(world.course().coi, common.READ_METHOD_MANUAL))
    assert codes(other) == {"SCAN_TYPED", "SCAN_MISMATCH"}


def test_labels_that_are_short_tell_by_how_many(world: World) -> None:
    """Three were printed, one is on the bag, and nobody accounts for two."""
    course = world.course().to_the_collection()
    course.say(
        world.nurse,
        labels.LabelsPrinted(serials=["1", "2", "3"], coi=course.coi, din=course.din, unit=world.apheresis),
    )
    counted = course.say(world.nurse, labels.LabelsReconciled(unit=world.apheresis, printed=3, applied=1))
    assert codes(counted) == {"LABELS_DO_NOT_BALANCE", "LABEL_COUNT_DIFFERS"}
    shown = {one.code: dict(one.values) for one in counted.explained}
    assert shown["LABELS_DO_NOT_BALANCE"]["difference"] == "2"
    assert shown["LABEL_COUNT_DIFFERS"]["known_applied"] == "0"


def test_a_kit_of_an_unreleased_lot_is_found_at_entry(world: World) -> None:
    """Lots are read as they stand."""
    course = world.course()
    course.enrols()
    lot = world.harness.new_stream(StreamKind.LOT)
    world.harness.say(
        world.operator,
        lot,
        modification.LotRegistered(lot_number="K-2", kind="kit", expires_at_unix_micros=world.harness.clock + DAY),
    )
    received = course.say(
        world.nurse,
        harvest.KitReceived(
            lot=common.LotUse(lot=lot, lot_number="K-2", kind="kit"),
            unit=world.apheresis,
            intact=True,
            expires_at_unix_micros=world.harness.clock + DAY,
        ),
    )
    assert codes(received) == {"LOT_NOT_USABLE"}


def test_a_kit_of_a_lot_that_nobody_registered_is_shown_at_entry(world: World) -> None:
    """It is recorded: the kit is here, whoever forgot the lot."""
    course = world.course()
    course.enrols()
    lot = common.LotUse(lot=world.harness.new_stream(StreamKind.LOT), lot_number="K-3", kind="kit")
    body = harvest.KitReceived(lot=lot, unit=world.apheresis, intact=True)
    body.expires_at_unix_micros = world.harness.clock + DAY
    received = course.say(world.nurse, body)
    assert (codes(received), status(received)) == ({"LOT_UNKNOWN"}, Status.CONFORMING)


def test_an_identifier_that_could_not_be_read_confirms_nothing(world: World) -> None:
    """It breaks nothing either: the other two are compared."""
    course = world.course()
    course.enrols()
    unreadable = read([("medical_record_number", "")], common.READ_METHOD_UNREADABLE)
    checked = course.say(world.nurse, course.identity_check(identifiers=[*read(), *unreadable]))
    assert "IDENTIFIER_UNREADABLE" in codes(checked)
    assert checked.judgement.comparisons[-1].outcome is Outcome.UNREADABLE
    assert not world.harness.therapy(course.stream).state.identity_broken


def test_courses_are_linked_and_identity_is_not_merged(world: World) -> None:
    """The link leads to the other stream; its materials stay another patient's here."""
    first = world.course().to_the_collection()
    second = world.course()
    second.enrols()
    linked = second.say(
        world.nurse,
        harvest.CourseLinked(
            course=first.stream, relation=harvest.COURSE_RELATION_PREVIOUS_COURSE, coi=first.coi, reason="relapse"
        ),
    )
    second.join(world.second_nurse, linked)
    assert status(linked) is Status.CONFORMING
    touched = second.say(
        world.nurse,
        harvest.MaterialStored(
            material=first.material("apheresis"), position=common.Position(unit=world.apheresis, place="fridge")
        ),
    )
    assert codes(touched) == {"OTHER_PATIENTS_MATERIAL"}
    assert world.harness.therapy(second.stream).state.harvest.courses[0].course == first.stream


def _outbox(world: World, course: Course) -> list[Submission]:
    """Returns what two nurses signed while offline, a minute apart: labels, a scan of another's bag, cold."""
    harness, bag = world.harness, course.material("apheresis")
    made: list[Submission] = []

    def signs(body: object, *, by: str = "nurse") -> bytes:
        assert isinstance(
            body,
            labels.LabelsPrinted
            | labels.LabelReadBack
            | harvest.LabelApplied
            | harvest.MaterialStored
            | harvest.FreshHoldStarted
            | harvest.CryopreservationStarted
            | harvest.CryopreservationCompleted,
        )
        signer = world.nurse if by == "nurse" else world.second_nurse
        made.append(harness.statement(signer, course.stream, body, at=harness.clock + len(made) * MINUTE, seen={}))
        return parse_statement(made[-1].envelope).digest

    signs(labels.LabelsPrinted(serials=["1"], coi=course.coi, din=course.din, unit=world.apheresis))
    applied = signs(harvest.LabelApplied(material=bag, din=course.din, coi=course.coi, label_serial="1"))
    signs(
        labels.LabelReadBack(applied=applied, material=bag, scans=[_coi_scan(course), _din_scan(course.din)]),
        by="second",
    )
    signs(
        harvest.MaterialStored(
            material=bag,
            position=common.Position(unit=world.apheresis, place="fridge"),
            scans=[_scan(ChainOfIdentity("CHA999925999999").wire())],
        )
    )
    started = signs(harvest.CryopreservationStarted(materials=[bag], unit=world.apheresis))
    signs(harvest.CryopreservationCompleted(started=started, rate_trace=TRACE, materials=[bag]))
    return made


def test_an_outbox_of_the_harvest_comes_to_the_same_in_any_order(world: World) -> None:
    """Judgements, labels, breaks, holds and cold alike."""

    def delivered(order: list[int]) -> tuple[object, ...]:
        course = world.course()
        course.enrols()
        course.consents()
        course.checks_identity()
        course.completes_collection(course.starts_collection(), "apheresis")
        made = _outbox(world, course)
        world.harness.tick(600)
        for index in order:
            world.harness.submit(made[index])
        world.harness.check_judgements(course.stream)
        log = world.harness.recorded(course.stream)
        digests = [parse_statement(one.envelope).digest for one in made]
        state = world.harness.therapy(course.stream).state
        return (
            [log[digest].judged for digest in digests],
            {serial: one.fate for serial, one in state.harvest.labels.items()},
            len(state.harvest.read_back),
            sorted((digests.index(hold.statement_digest), hold.code) for hold in state.holds.values()),
            len(state.identity_breaks),
            len(state.harvest.frozen_at),
        )

    straight = list(range(6))
    expected = delivered(straight)
    assert expected[3] == [(3, "SCAN_MISMATCH")]
    for seed in range(12):
        order = straight[:]
        random.Random(seed).shuffle(order)
        assert delivered(order) == expected, order
    world.harness.check()
