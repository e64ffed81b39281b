"""Bad input: what is refused, each with its own reason and nothing written, and what is recorded and found."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from courses import ALL_SCOPES, COLLECTION, DAY, MINUTE, Course, World, codes, read, status
from ledger_harness import MICROS, Signing

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.errors import RefusedError, RetryableRefusedError
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import Ed25519Signer, Opening, PayloadType, StreamKind, single_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import registry_pb2 as registry
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import statement_pb2
from cellcustody.v1 import transport_pb2 as transport


def _refusal(world: World, submission: Submission) -> RefusedError:
    """Submits what must be refused; holds the log to not having grown."""
    size = world.harness.store.head().size
    with pytest.raises(RefusedError) as refused:
        world.harness.ledger.submit(submission, timeout_seconds=10)
    assert world.harness.store.head().size == size
    return refused.value


def _consent(world: World, course: Course) -> Submission:
    return world.harness.statement(world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _cut(world: World, course: Course) -> Submission:
    good = _consent(world, course)
    return Submission(good.envelope[:-1], good.openings, good.submitting_site)


def _oversize(world: World, course: Course) -> Submission:
    return Submission(bytes(70_000), (), world.hospital)


def _signature_flipped(world: World, course: Course) -> Submission:
    good = _consent(world, course)
    at = good.envelope.rindex(b"\x0a\x40") + 5
    flipped = good.envelope[:at] + bytes([good.envelope[at] ^ 1]) + good.envelope[at + 1 :]
    return Submission(flipped, good.openings, good.submitting_site)


def _opening_changed(world: World, course: Course) -> Submission:
    good = _consent(world, course)
    first = good.openings[0]
    return Submission(good.envelope, (Opening(first.index, bytes(32), first.record),), good.submitting_site)


def _opening_missing(world: World, course: Course) -> Submission:
    return Submission(_consent(world, course).envelope, (), world.hospital)


def _unknown_key(world: World, course: Course) -> Submission:
    stranger = Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), "nurse", world.hospital)
    return world.harness.statement(stranger, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _anothers_key(world: World, course: Course) -> Submission:
    mixed = Signing(world.second_nurse.person, world.nurse.signer, "nurse", world.hospital)
    return world.harness.statement(mixed, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _suspended_key(world: World, course: Course) -> Submission:
    _about_key(world, registry.KeySuspended(key_id=world.second_nurse.signer.key_id))
    return world.harness.statement(world.second_nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _revoked_key(world: World, course: Course) -> Submission:
    body = registry.KeyRevoked(key_id=world.second_nurse.signer.key_id)
    _about_key(world, body)
    return world.harness.statement(world.second_nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _about_key(world: World, body: registry.KeySuspended | registry.KeyRevoked) -> None:
    world.harness.say(world.hospital_administrator, single_stream_id(StreamKind.REGISTRY), body, seen={})


def _unknown_schema(world: World, course: Course) -> Submission:
    return world.harness.statement(
        world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION), schema_digest=os.urandom(32)
    )


def _wrong_ledger(world: World, course: Course) -> Submission:
    return world.harness.statement(
        world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION), ledger_id=os.urandom(16)
    )


def _wrong_payload_type(world: World, course: Course) -> Submission:
    return world.harness.statement(
        world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION), payload_type=PayloadType.REGISTRY
    )


def _wrong_stream_kind(world: World, course: Course) -> Submission:
    stream = world.harness.new_stream(StreamKind.CONSIGNMENT)
    return world.harness.statement(world.nurse, stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _therapy_seen_by_consignment(world: World, course: Course) -> Submission:
    stream = world.harness.new_stream(StreamKind.CONSIGNMENT)
    body = transport.SealApplied(container="box-1", seal="S-1")
    return world.harness.statement(world.nurse, stream, body, seen={course.stream: os.urandom(32)})


def _judgement_from_outside(world: World, course: Course) -> Submission:
    harness = world.harness
    ledger = Signing(harness.service_device, harness.service, "ledger")
    return harness.statement(
        ledger, course.stream, quality.JudgementsRevised(caused_by=os.urandom(32)), meaning=statement_pb2.MEANING_LEDGER
    )


def _service_key_acts(world: World, course: Course) -> Submission:
    harness = world.harness
    ledger = Signing(harness.service_device, harness.service, "ledger")
    return harness.statement(ledger, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))


def _joins_nothing(world: World, course: Course) -> Submission:
    return world.harness.statement(world.nurse, course.stream, None, joins=os.urandom(32))


def _seen_unknown(world: World, course: Course) -> Submission:
    return world.harness.statement(world.nurse, course.stream, course.enrolment(), seen={course.stream: os.urandom(32)})


REFUSALS: list[tuple[Callable[[World, Course], Submission], str, bool]] = [
    (_cut, "ENVELOPE_MALFORMED", False),
    (_oversize, "OVERSIZE", False),
    (_signature_flipped, "SIGNATURE_INVALID", False),
    (_opening_changed, "COMMITMENT_MISMATCH", False),
    (_opening_missing, "OPENING_MISSING", False),
    (_unknown_key, "KEY_UNKNOWN", False),
    (_anothers_key, "SIGNER_MISMATCH", False),
    (_suspended_key, "KEY_SUSPENDED", False),
    (_revoked_key, "KEY_REVOKED", False),
    (_unknown_schema, "SCHEMA_UNKNOWN", True),
    (_wrong_ledger, "LEDGER_MISMATCH", False),
    (_wrong_payload_type, "PAYLOAD_TYPE_MISMATCH", False),
    (_wrong_stream_kind, "STREAM_KIND_MISMATCH", False),
    (_therapy_seen_by_consignment, "SEEN_FORBIDDEN", False),
    (_judgement_from_outside, "JUDGEMENT_FROM_OUTSIDE", False),
    (_service_key_acts, "SERVICE_KEY_NOT_PERMITTED", False),
    (_joins_nothing, "JOINED_STATEMENT_UNKNOWN", True),
    (_seen_unknown, "SEEN_UNKNOWN", True),
]


@pytest.mark.parametrize(("make", "reason", "may_come_again"), REFUSALS, ids=[one[1] for one in REFUSALS])
def test_what_is_refused_leaves_nothing(
    world: World, make: Callable[[World, Course], Submission], reason: str, may_come_again: bool
) -> None:
    """Each defect has a reason of its own, and the log stays as it was."""
    refusal = _refusal(world, make(world, world.course()))
    assert refusal.reason == reason
    assert isinstance(refusal, RetryableRefusedError) is may_come_again


def test_every_refusal_has_a_reason_of_its_own() -> None:
    """No two defects answer alike."""
    assert len({reason for _, reason, _ in REFUSALS}) == len(REFUSALS)


def test_the_same_id_with_another_digest_is_refused_and_kept_for_people(world: World) -> None:
    """The first statement stands; the second is an operational finding beside the log."""
    course = world.course()
    statement_id = bytes.fromhex("01890000000070008000") + os.urandom(6)
    course.say(world.nurse, harvest.ConsentRecorded(scopes=COLLECTION), statement_id=statement_id)
    other = world.harness.statement(
        world.nurse,
        course.stream,
        harvest.ConsentRecorded(scopes=ALL_SCOPES),
        statement_id=statement_id,
    )
    assert _refusal(world, other).reason == "STATEMENT_ID_TAKEN"
    (kept,) = world.harness.store.operational_findings(10)
    assert (kept.code, kept.statement_id) == ("STATEMENT_ID_TAKEN", statement_id)


# What authorisations are refused for, facts are recorded with. -------------------------------------------------------


def test_an_authorisation_is_refused_with_all_its_findings_at_once(world: World) -> None:
    """Capability, role, check character, clock and the rules' own findings stand in one answer."""
    course = world.course()
    body = course.enrolment()
    body.aliases[0].value = course.coi[:-1] + ("A" if course.coi[-1] != "A" else "B")
    del body.patient_identifiers[1:]
    body.policy_digest = os.urandom(32)
    refusal = _refusal(
        world,
        world.harness.statement(
            world.analyst, course.stream, body, role="nurse", at=world.harness.clock + 3600 * MICROS
        ),
    )
    assert isinstance(refusal, RuleRefusedError)
    assert {
        "CAPABILITY_MISSING",
        "ROLE_NOT_HELD",
        "CHECK_CHARACTER_WRONG",
        "PATIENT_IDENTIFIERS_TOO_FEW",
        "CLOCK_AHEAD",
        "COI_MALFORMED",
        "POLICY_UNKNOWN",
    } <= {one.code for one in refusal.findings}
    assert all(one.explanation for one in refusal.findings)


def test_a_fact_with_the_same_faults_is_recorded(world: World) -> None:
    """Missing capability, a role not held, a bad check character and a clock ahead are findings of a fact."""
    course = world.course()
    course.enrols()
    told = course.say(
        world.analyst,
        harvest.CollectionStarted(day=1, din="A9999 25 000001 00 A", unit=world.bench),
        role="nurse",
        at=world.harness.clock + 3600 * MICROS,
    )
    assert status(told) is Status.NONCONFORMING
    assert {"CAPABILITY_MISSING", "ROLE_NOT_HELD", "CHECK_CHARACTER_WRONG", "CLOCK_AHEAD"} <= codes(told)
    world.harness.check()


def test_lapsed_training_refuses_an_authorisation_and_marks_a_fact(world: World) -> None:
    """Training counts at the time of signing."""
    harness = world.harness
    lapsed = harness.enrol("nurse", world.hospital, world.hospital_administrator, trained_until=harness.clock + MINUTE)
    harness.tick(3600)
    course = world.course()
    refusal = _refusal(world, harness.statement(lapsed, course.stream, course.enrolment()))
    assert isinstance(refusal, RuleRefusedError)
    assert {one.code for one in refusal.findings} == {"TRAINING_LAPSED"}
    course.enrols()
    assert "TRAINING_LAPSED" in codes(course.say(lapsed, harvest.ConsentRecorded(scopes=COLLECTION)))


def test_a_site_that_takes_no_part_is_out_of_scope(world: World) -> None:
    """A fact of a site that the enrolment does not name is recorded and found."""
    course = world.course()
    body = course.enrolment()
    del body.participants[:]
    course.say(world.nurse, body)
    told = course.say(
        world.operator, harvest.IdentityChecked(point=harvest.IDENTITY_POINT_PROCESS, coi_read=course.coi)
    )
    assert "OUT_OF_SCOPE" in codes(told)


# Broken rules are the facts that matter most. ------------------------------------------------------------------------


def _holds(told: Recorded, code: str) -> None:
    """Holds a fact to being recorded nonconforming, with this finding and the hold that it opens."""
    assert status(told) is Status.NONCONFORMING
    assert code in codes(told)
    assert hold_id(told.statement_digest, code) in told.holds_opened
    assert any(one.code == code and one.explanation for one in told.explained)


def test_a_phantom_release_is_recorded(world: World) -> None:
    """Someone who does not answer for the box releases it."""
    course = world.course()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    _holds(course.releases(world.operator, consignment, world.suite, world.van), "NOT_CUSTODIAN")
    world.harness.check()


def test_an_acceptance_by_the_wrong_receiver_is_recorded(world: World) -> None:
    """The plant accepts what was released to the courier."""
    course = world.course()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    release = course.releases(world.nurse, consignment, world.apheresis, world.van)
    _holds(course.accepts(world.operator, consignment, release, world.suite), "WRONG_RECEIVER")
    world.harness.check()


def test_a_second_patients_material_is_recorded(world: World) -> None:
    """A bag of one patient is taken into another's batch."""
    first, second = world.course().to_the_plant(), world.course().to_the_plant("theirs")
    first._materials["theirs"] = second.material("theirs")
    _holds(first.accessions("apheresis", "theirs"), "OTHER_PATIENTS_MATERIAL")
    world.harness.check()


def test_a_check_without_its_second_person_is_found_where_it_is_used(world: World) -> None:
    """The check itself waits for the other signature; the collection that relies on it does not conform."""
    course = world.course()
    course.enrols()
    course.consents()
    checked = course.say(world.nurse, course.identity_check())
    assert codes(checked) == {"CO_SIGNATURE_OUTSTANDING"}
    assert status(checked) is Status.CONFORMING
    _holds(course.starts_collection(), "SECOND_PERSON_MISSING")
    world.harness.check()


def test_a_mismatch_at_the_bedside_is_recorded(world: World) -> None:
    """The wristband is another patient's."""
    course = world.course().to_the_bedside()
    other = course.bedside_check("bag-1", identifiers=read([("medical_record_number", "A-4711"), ("wristband", "W-9")]))
    told = course.say(world.nurse, other)
    _holds(told, "IDENTIFIER_MISMATCH")
    assert not any(value == "W-9" for one in told.explained for _, value in one.values)
    assert "IDENTITY_BROKEN" in codes(course.thaws("bag-2"))
    world.harness.check()


def test_a_step_after_a_terminal_act_is_recorded(world: World) -> None:
    """A bag that was destroyed is stored."""
    course = world.course().to_the_collection()
    destroyed = returned.MaterialDestroyed(
        material=course.material("apheresis"), unit=world.apheresis, method="incineration"
    )
    course.join(world.second_nurse, course.say(world.nurse, destroyed))
    stored = harvest.MaterialStored(
        material=course.material("apheresis"), position=common.Position(unit=world.apheresis, place="fridge")
    )
    _holds(course.say(world.nurse, stored), "AFTER_TERMINAL_ACT")
    world.harness.check()


def test_a_fact_told_a_week_late_is_flagged_and_taken(world: World) -> None:
    """Lateness is shown and holds nothing."""
    course = world.course()
    course.enrols()
    at = world.harness.clock
    world.harness.tick(7 * DAY / MICROS)
    assessed = harvest.EligibilityAssessed(outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE)
    told = course.say(world.nurse, assessed, at=at)
    assert (status(told), codes(told)) == (Status.CONFORMING, {"LATE"})
