"""An assessment says what recording would, and leaves no trace anywhere."""

from __future__ import annotations

import os

import pytest
from courses import ALL_SCOPES, COLLECTION, World
from google.protobuf.message import Message
from ledger_harness import Signing

from cellcustody.ledger.errors import RefusedError
from cellcustody.ledger.recording.ledger import Assessment, Submission
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import registry_pb2 as registry


def _assess(world: World, submission: Submission) -> Assessment:
    """Assesses, and holds store, keys and registry to being as before."""
    harness = world.harness
    registered = harness.ledger.registry
    before = (harness.store.head(), len(registered.acts), len(registered.pending()), _keys(world))
    statement = parse_statement(submission.envelope)
    told = harness.ledger.assess(
        statement.envelope.payload,
        statement.payload_type.value,
        submission.openings,
        submitting_site=submission.submitting_site,
    )
    assert before == (harness.store.head(), len(registered.acts), len(registered.pending()), _keys(world))
    assert not harness.store.operational_findings(10)
    return told


def _keys(world: World) -> bytes:
    return (world.harness.folder / "keys.sqlite3").read_bytes()


def _same(world: World, by: Signing, stream: bytes, body: Message | None, **details: bytes) -> Assessment:
    """Assesses a statement, submits it, and holds the two answers to each other."""
    harness = world.harness
    harness.tick()
    if body is None:
        submission = harness.statement(by, stream, None, joins=details["joins"])
    else:
        submission = harness.prepared(by, stream, body)
    assessed = _assess(world, submission)
    try:
        recorded = harness.submit(submission)
    except RefusedError as refusal:
        assert assessed.refusal is not None
        assert assessed.refusal.reason == refusal.reason
        assert assessed.judgement is None
        if isinstance(refusal, RuleRefusedError):
            assert assessed.explained == refusal.findings
    else:
        assert assessed.refusal is None
        assert assessed.judgement == recorded.judgement
        assert assessed.explained == recorded.explained
        assert assessed.position + 1 == recorded.position
    return assessed


def test_an_assessment_says_what_recording_says(world: World) -> None:
    """For an enrolment, facts with and without fault, a refusal and a co-signature."""
    course = world.course()
    assert _same(world, world.nurse, course.stream, course.enrolment()).refusal is None
    assert _same(world, world.nurse, course.stream, course.enrolment()).refusal is not None
    _same(world, world.nurse, course.stream, harvest.ConsentRecorded(scopes=ALL_SCOPES))
    checked = _same(world, world.nurse, course.stream, course.identity_check())
    assert checked.co_signers_needed == 1
    last = world.harness.last[course.stream]
    _same(world, world.second_nurse, course.stream, None, joins=last)
    assert _same(world, world.second_nurse, course.stream, None, joins=last).refusal is not None
    _same(world, world.operator, course.stream, harvest.CollectionStarted(day=1, din="X", unit=world.suite))
    assert _same(world, world.reviewer, course.stream, modification.BatchReleased(batch=os.urandom(16))).refusal
    world.harness.check()


def test_an_act_of_the_registry_is_assessed_without_registering_it(world: World) -> None:
    """The registry is shared with the writer and stays as it was; how many must join is told."""
    one, new = world.harness.person("nurse", world.hospital)
    body = registry.PersonEnrolled(
        site=world.hospital, person=new, name=registry.PersonName(person=one.person, printed_name="nurse")
    )
    stream = single_stream_id(StreamKind.REGISTRY)
    told = _assess(world, world.harness.statement(world.hospital_administrator, stream, body))
    assert told.refusal is None
    assert told.co_signers_needed == 0
    assert world.harness.ledger.registry.latest.person(one.person) is None
    by_registrars = world.harness.statement(world.harness.registrars[0], stream, body)
    assert _assess(world, by_registrars).co_signers_needed == 1


def test_a_taken_id_is_told_and_not_kept(world: World) -> None:
    """Recording would keep an operational finding; an assessment does not."""
    course = world.course()
    statement_id = bytes.fromhex("01890000000070008000") + os.urandom(6)
    course.say(world.nurse, harvest.ConsentRecorded(scopes=COLLECTION), statement_id=statement_id)
    other = world.harness.statement(
        world.nurse,
        course.stream,
        harvest.ConsentRecorded(scopes=ALL_SCOPES),
        statement_id=statement_id,
    )
    refusal = _assess(world, other).refusal
    assert refusal is not None
    assert refusal.reason == "STATEMENT_ID_TAKEN"


def test_an_unknown_payload_type_is_refused(world: World) -> None:
    """What is no kind of statement has no assessment but a refusal."""
    told = world.harness.ledger.assess(b"", "text/plain", (), submitting_site=b"")
    assert told.refusal is not None
    with pytest.raises(RefusedError):
        raise told.refusal
