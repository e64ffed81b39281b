"""The treatment through the append core: certificates, grades, breached bags, late results, closing, the record."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from courses import DAY, MINUTE, Course, World, codes, document, status, volume

from cellcustody.clients.readiness import ServiceKeys
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.after_infusion import late_results
from cellcustody.ledger.custody.closing import open_matters
from cellcustody.ledger.custody.therapy_state import Life, TherapyState
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.readiness_certificates import ReadinessCertificate, issue_certificate, verify_certificate
from cellcustody.ledger.recording.authorisations import CoSignatureRefusedError
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import Ed25519Signer, parse_statement
from cellcustody.ledger.views import Reader, Views
from cellcustody.ledger.views.readiness import BagNotReadyError
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import custody_query_service_pb2 as pb
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

REASON = common.Circumstances(reason="a reason")


def certificate_of(world: World, course: Course, bag: str = "bag-1") -> ReadinessCertificate:
    """Returns what the ledger's views certify of a bag now."""
    reader = Reader(world.hospital, frozenset({options.CAPABILITY_INFUSE}))
    with Views.open(world.harness.folder / "views.sqlite3", world.harness.ledger) as views:
        asked = pb.GetReadinessCertificateRequest(
            material=course.material(bag), position_min=world.harness.store.head().size
        )
        return views.readiness_certificate(asked, reader, now_micros=world.harness.clock, wait_seconds=2)


def service_keys(world: World) -> ServiceKeys:
    """Returns the service key, as an anchor's holder gets it from the founding entry."""
    store = world.harness.store
    envelope = read_entry(store.entry(0)).envelope
    digest = parse_statement(envelope).digest
    openings = openings_of(store, world.harness.ledger.vault, digest, frozenset(range(1, 7)))
    view = world.harness.ledger.registry.latest
    assert view.founding is not None
    assert view.log_keys is not None
    anchor = Anchor(digest, view.founding.log_origin, view.log_keys.keys)
    return ServiceKeys.of_founding(anchor, envelope, openings)


def checks_with(world: World, course: Course, envelope: bytes, **details: int) -> Recorded:
    """A nurse checks bag-1 with a certificate, and a second one joins."""
    body = course.bedside_check("bag-1")
    body.readiness_certificate = envelope
    check = course.say(world.nurse, body, **details)  # type: ignore[arg-type]  # Details of a header by name.
    course.join(world.second_nurse, check)
    return check


# Readiness certificates.


def test_a_bedside_check_offline_rests_on_a_certificate(world: World) -> None:
    """Issued by the views, signed by the service key, verified from the anchor alone, carried by the check."""
    course = world.course().to_the_bedside()
    harness = world.harness
    certificate = certificate_of(world, course)
    envelope = issue_certificate(certificate, harness.service)
    keys = service_keys(world)
    assert (
        verify_certificate(
            envelope, keys, ledger_id=keys.ledger_id, material=course.material("bag-1"), at=harness.clock
        )
        == certificate
    )
    assert certificate.position == harness.store.head().size
    assert certificate.coi == course.coi

    check = checks_with(world, course, envelope)
    assert status(check) is Status.CONFORMING
    assert status(course.starts_infusion("bag-1", check)) is Status.CONFORMING
    harness.check()


def test_no_certificate_is_given_for_a_bag_that_is_not_ready(world: World) -> None:
    """Every reason is told, but for the thaw that is still to come."""
    course = world.course().to_the_ward()
    course.conditions()
    certificate_of(world, course)  # Not thawed yet: that is for the ward to do.
    course.say(
        world.nurse,
        quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[course.material("bag-1")])),
    )
    with pytest.raises(BagNotReadyError) as refused:
        certificate_of(world, course)
    assert [one.code for one in refused.value.findings] == ["HOLD_OPEN"]


def test_a_certificate_that_the_ledger_did_not_make_is_found(world: World) -> None:
    """A stranger's, another ledger's, one of a log that is not there yet, and bytes that are none."""
    course = world.course().to_the_bedside()
    good = certificate_of(world, course)
    stranger = issue_certificate(good, Ed25519Signer(bytes(32)))
    elsewhere = issue_certificate(replace(good, ledger_id=bytes(16)), world.harness.service)
    beyond = issue_certificate(replace(good, position=good.position + 1000), world.harness.service)
    for envelope in (stranger, elsewhere, beyond, b"none"):
        check = checks_with(world, course, envelope)
        assert codes(check) >= {"CERTIFICATE_NOT_GENUINE"}
        assert status(check) is Status.NONCONFORMING


def test_a_hold_between_certificate_and_check_is_found_in_every_order(world: World) -> None:
    """A hold, an offline check a minute later, and the infusion, delivered in all orders: the same word in the end."""
    ends: list[list[set[str]]] = []
    for order in itertools.permutations(range(3)):
        course = world.course().to_the_bedside()
        harness = world.harness
        envelope = issue_certificate(certificate_of(world, course), harness.service)
        at = harness.clock
        scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[course.material("bag-1")])
        body = course.bedside_check("bag-1")
        body.readiness_certificate = envelope
        hold = harness.statement(world.nurse, course.stream, quality.HoldPlaced(scope=scope), at=at + MINUTE)
        check = harness.statement(world.nurse, course.stream, body, at=at + 2 * MINUTE)
        digest = parse_statement(check.envelope).digest
        started = returned.InfusionStarted(material=course.material("bag-1"), unit=world.ward, bedside_check=digest)
        told = [hold, check, harness.statement(world.nurse, course.stream, started, at=at + 4 * MINUTE)]
        harness.tick(300)
        _deliver(world, [told[index] for index in order])
        log = harness.recorded(course.stream)
        ends.append([{one.code for one in log[parse_statement(one.envelope).digest].judged.findings} for one in told])
    assert all(one == ends[0] for one in ends)
    assert "CERTIFICATE_OVERTAKEN" in ends[0][1]
    assert "HOLD_OPEN" in ends[0][2]
    world.harness.check()


def _deliver(world: World, told: list[Submission]) -> None:
    for submission in told:
        world.harness.submit(submission)


# Grades.


def test_a_grade_is_held_against_its_criteria_at_entry(world: World) -> None:
    """Shown, and nothing is held up; the state keeps no grade."""
    course = world.course().to_the_bedside()
    check = course.checks_bedside("bag-1")
    started = course.starts_infusion("bag-1", check)
    course.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_COMPLETE)
    criteria = returned.CrsCriteria(
        fever=returned.FEVER_PRESENT, hypotension=returned.HYPOTENSION_NONE, hypoxia=returned.HYPOXIA_LOW_FLOW
    )
    for grade, found in ((2, set()), (1, {"GRADE_DISAGREES"})):
        graded = course.say(
            world.nurse,
            returned.ToxicityGraded(toxicity=returned.REACTION_KIND_CRS, grade=grade, crs=criteria, day=0),
        )
        assert codes(graded) == found
        assert status(graded) is Status.CONFORMING
    state = world.harness.therapy(course.stream).state
    assert len(state.treatment.toxicities) == 2
    acts = [world.harness.therapy(course.stream).acts[one.digest] for one in state.treatment.toxicities]
    assert all(isinstance(act.body, returned.ToxicityGraded) and not act.body.grade for act in acts)
    world.harness.check()


# A breached bag.


def test_a_breached_bag_is_given_after_physician_and_quality(world: World) -> None:
    """Under a culture and a deviation, and refused before."""
    course = world.course().to_the_ward()
    course.issues("bag-1")
    thawed = course.say(
        world.nurse, returned.MaterialThawed(material=course.material("bag-1"), unit=world.ward, intact=False)
    )
    assert status(thawed) is Status.NONCONFORMING
    lifting = quality.HoldLifted(holds=thawed.holds_opened, disposition="culture taken")
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, lifting)
    assert {one.code for one in refused.value.findings} == {"BREACH_UNDECIDED"}

    culture = common.NewMaterial(
        material=course.material("culture"), kind=common.MATERIAL_KIND_SAMPLE, quantity=volume(2)
    )
    divided = modification.MaterialDivided(
        material=course.material("bag-1"), outputs=[culture], left=volume(58), unit=world.ward
    )
    course.say(world.nurse, divided)
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[course.material("bag-1")])
    deviation = course.say(world.nurse, quality.DeviationRaised(reference="DEV-7", scope=scope))
    decided = course.say(
        world.nurse,
        returned.BreachDecided(
            thawed=thawed.statement_digest,
            decision=returned.BREACH_DECISION_USE,
            culture_sample=course.material("culture"),
            deviation=deviation.statement_digest,
            clinical_reason="no other bag",
        ),
    )
    assert status(decided) is Status.IN_EFFECT
    assert status(course.say(world.reviewer, lifting)) is Status.IN_EFFECT
    world.harness.check()


# Late results.


def test_a_late_failing_result_is_told_and_acknowledged(world: World) -> None:
    """With a plan; without one the acknowledgement is found wanting."""
    course = world.course().to_the_bedside()
    check = course.checks_bedside("bag-1")
    started = course.starts_infusion("bag-1", check)
    course.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_COMPLETE)
    failed = course.say(world.analyst, course.result("sterility", modification.RESULT_OUTCOME_FAIL))
    (late,) = late_results(world.harness.therapy(course.stream).state)
    assert (late.result, late.site) == (failed.statement_digest, world.hospital)
    notified = course.say(world.reviewer, returned.ResultNotified(result=failed.statement_digest, told=world.ward))
    assert status(notified) is Status.CONFORMING
    bare = course.say(world.nurse, returned.ResultAcknowledged(notification=notified.statement_digest, unit=world.ward))
    assert codes(bare) == {"PLAN_MISSING"}
    said = course.say(
        world.nurse,
        returned.ResultAcknowledged(
            notification=notified.statement_digest, unit=world.ward, plan="blood cultures, antibiotics"
        ),
    )
    assert codes(said) == {"ACKNOWLEDGED_BEFORE"}
    (late,) = late_results(world.harness.therapy(course.stream).state)
    assert late.is_acknowledged
    world.harness.check()


# Closing, reopening, the record.


def test_a_closure_is_refused_with_everything_that_is_open(world: World) -> None:
    """By code, and each thing by its id."""
    course = world.course().to_the_ward()
    closure = returned.TherapyClosed(kept_until_unix_micros=world.harness.clock + DAY)
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.nurse, closure)
    found = {one.code: set(one.values) for one in refused.value.findings}
    assert found["MATERIALS_NOT_ENDED"] >= {
        ("bag", course.material("bag-1").hex()),
        ("bag", course.material("bag-2").hex()),
    }
    assert found["SAMPLES_NOT_ENDED"] >= {("sample", course.material("retain").hex())}
    case = world.harness.therapy(course.stream)
    assert {one.code for one in open_matters(case.state, case.pack)} == set(found)


def _ended(world: World) -> Course:
    course = world.course().to_the_ward()
    for name, unit, by, second in (
        ("bag-1", world.cell_lab, world.nurse, world.second_nurse),
        ("bag-2", world.cell_lab, world.nurse, world.second_nurse),
        ("retain", world.suite, world.operator, world.second_operator),
    ):
        body = returned.MaterialDestroyed(
            material=course.material(name), unit=unit, certificate=document("destruction")
        )
        course.join(second, course.say(by, body))
    return course


def test_a_closed_therapy_is_reopened_and_closed_again(world: World) -> None:
    """In effect at once, with a reason."""
    course = _ended(world)
    closed = course.say(
        world.nurse, returned.TherapyClosed(kept_until_unix_micros=world.harness.clock + 30 * 365 * DAY)
    )
    assert status(closed) is Status.IN_EFFECT
    reopening = returned.TherapyReopened(closed=closed.statement_digest, circumstances=REASON)
    assert status(course.say(world.nurse, reopening)) is Status.IN_EFFECT
    assert not world.harness.therapy(course.stream).state.closed
    assert status(course.say(world.nurse, returned.TherapyClosed())) is Status.IN_EFFECT
    state = world.harness.therapy(course.stream).state
    assert state.closed
    assert all(one.life is not Life.AVAILABLE for one in state.materials.values())
    world.harness.reopen()
    reread = world.harness.case(course.stream).state
    assert isinstance(reread, TherapyState)
    assert (reread.closed_by, reread.treatment) == (state.closed_by, state.treatment)
    world.harness.check()


def test_the_record_passes_once_a_person_of_the_other_site_joins(world: World) -> None:
    """A colleague of the signer is refused; the plant's person completes it."""
    course = _ended(world)
    head = world.harness.store.head()
    passing = course.say(
        world.nurse,
        returned.CustodianOfRecordChanged(
            custodian_of_record=world.plant,
            copy_sha256=b"c" * 32,
            checkpoint_size=head.size,
            checkpoint_root=world.harness.store.head().root_hash,
            circumstances=REASON,
        ),
    )
    assert status(passing) is Status.PENDING
    for size, root in ((head.size, b"r" * 32), (head.size - 1, head.root_hash), (head.size + 1, head.root_hash)):
        with pytest.raises(RuleRefusedError) as of_another:
            course.say(
                world.nurse,
                returned.CustodianOfRecordChanged(
                    custodian_of_record=world.plant,
                    copy_sha256=b"c" * 32,
                    checkpoint_size=size,
                    checkpoint_root=root,
                    circumstances=REASON,
                ),
            )
        assert {one.code for one in of_another.value.findings} >= {"COPY_OF_ANOTHER_LOG"}
    with pytest.raises(CoSignatureRefusedError) as refused:
        course.join(world.second_nurse, passing)
    assert refused.value.rule == "CO_SIGNER_OF_ANOTHER_SITE"
    assert world.harness.therapy(course.stream).state.custodian_of_record == world.hospital
    course.join(world.operator, passing)
    assert world.harness.therapy(course.stream).state.custodian_of_record == world.plant
    world.harness.check()
