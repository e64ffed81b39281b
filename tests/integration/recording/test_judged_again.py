"""What later arrivals change: corrections, retractions, holds lifted, second persons, identifiers compared anew."""

from __future__ import annotations

import pytest
from courses import COLLECTION, DAY, World, codes, read, status

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Outcome, Status
from cellcustody.ledger.errors import RefusedError, RetryableRefusedError
from cellcustody.ledger.recording.authorisations import CoSignatureRefusedError
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.views import Reader, Views
from cellcustody.v1 import custody_query_service_pb2 as queries
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import options_pb2 as options
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

OTHER_PATIENT = read([("medical_record_number", "A-4711"), ("wristband", "W-0000")])


def test_a_correction_lets_later_findings_and_their_holds_fall(world: World) -> None:
    """A label was entered with another therapy's identifier; the correction judges it, and what followed, again."""
    course, other = world.course(), world.course()
    course.enrols()
    course.consents()
    course.checks_identity()
    course.completes_collection(course.starts_collection(), "apheresis")
    wrong = course.say(
        world.nurse,
        harvest.LabelApplied(material=course.material("apheresis"), din=course.din, coi=other.coi),
    )
    assert "LABEL_MISMATCH" in codes(wrong)
    later = course.checks_identity()
    started = course.starts_collection(day=2)
    assert "IDENTITY_BROKEN" in codes(started)
    assert world.harness.therapy(course.stream).state.holds

    right = course.say(
        world.nurse,
        harvest.LabelApplied(
            material=course.material("apheresis"), din=course.din, coi=course.coi, replaces=wrong.statement_digest
        ),
    )
    # The donation number is the first collection's: that of the second day is not what the label bore.
    assert status(right) is Status.AWAITING
    correction = course.say(
        world.nurse,
        quality.StatementCorrected(corrected=wrong.statement_digest, replacement=right.statement_digest),
    )
    assert status(correction) is Status.IN_EFFECT

    log = world.harness.recorded(course.stream)
    assert log[started.statement_digest].judged.status is Status.CONFORMING
    assert log[later.statement_digest].judged.status is Status.CONFORMING
    assert [one.code for one in log[wrong.statement_digest].judged.findings] == ["SUPERSEDED"]
    world.harness.check()
    live = world.harness.therapy(course.stream).state
    assert not [hold for hold in live.holds.values() if hold.statement_digest != right.statement_digest]


def test_a_retraction_takes_a_fact_back(world: World) -> None:
    """A withdrawal of consent entered by mistake holds the therapy until it is taken back."""
    course = world.course()
    course.enrols()
    course.consents()
    withdrawn = course.say(world.nurse, harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_COLLECTION]))
    assert world.harness.therapy(course.stream).state.holds
    course.say(world.nurse, quality.StatementRetracted(retracted=withdrawn.statement_digest))
    assert not world.harness.therapy(course.stream).state.holds
    world.harness.check()


def test_lifting_a_hold_past_unseen_news_is_refused_and_lists_it(world: World) -> None:
    """A failing result came after what the reviewer had seen; the refusal says which statement."""
    course = world.course().to_the_product()
    placed = course.say(
        world.reviewer,
        quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[course.batch]), grounds="review"),
    )
    (hold,) = placed.holds_opened
    had_seen = world.harness.all_seen()
    world.harness.tick()
    course.travels(["sample"], (world.operator, world.suite), (world.analyst, world.bench))
    failed = course.reports("sterility", modification.RESULT_OUTCOME_FAIL)
    with pytest.raises(RuleRefusedError) as refused:
        course.say(world.reviewer, quality.HoldLifted(holds=[hold], disposition="reviewed"), seen=had_seen)
    assert failed.statement_digest.hex() in refused.value.values["unseen"]
    unseen = next(one for one in refused.value.findings if one.code == "UNSEEN_DECISION")
    assert ("unseen", failed.statement_digest.hex()) in unseen.values

    course.say(world.reviewer, quality.HoldLifted(holds=[hold], disposition="reviewed with the result"))
    assert hold not in world.harness.therapy(course.stream).state.holds
    world.harness.check()


def test_a_release_waits_for_its_second_person(world: World) -> None:
    """The same person, a second time, too late and without the role: each refused; the right one puts it in effect."""
    harness = world.harness
    course = world.course().to_the_product()
    course.is_tested()
    pending = course.say(world.reviewer, course.release_of_batch("bag-1"))
    assert status(pending) is Status.PENDING

    def refused(reason: str, submission_by: object) -> None:
        with pytest.raises(RefusedError) as caught:
            assert callable(submission_by)
            submission_by()
        rules = caught.value.rule if isinstance(caught.value, CoSignatureRefusedError) else caught.value.values["codes"]
        assert reason in rules

    refused("DIFFERENT_PERSON_NEEDED", lambda: course.join(world.reviewer, pending))
    refused("CAPABILITY_MISSING", lambda: course.join(world.driver, pending))
    refused("CO_SIGNATURE_EXPIRED", lambda: course.join(world.second_reviewer, pending, at=harness.clock - 2 * DAY))
    assert harness.recorded(course.stream)[pending.statement_digest].judged.status is Status.PENDING

    completing = course.join(world.second_reviewer, pending)
    assert completing.judgement is not None
    assert completing.judgement.puts_in_effect == pending.statement_digest
    refused("CO_SIGNATURE_REPEATED", lambda: course.join(world.second_reviewer, pending))
    harness.check()
    harness.reopen()
    assert harness.therapy(course.stream).state.materials[course.material("bag-1")].is_released
    entry = harness.ledger.read_entry(statement_digest=pending.statement_digest)
    assert entry.latest_judgement.judged.status is Status.IN_EFFECT


def test_a_pending_release_is_judged_again_when_it_is_joined(world: World) -> None:
    """A result fails in between: the co-signature is refused, and the release stays pending."""
    course = world.course().to_the_product()
    world_analyst = (world.analyst, world.bench)
    course.travels(["sample"], (world.operator, world.suite), world_analyst)
    for test in ("identity", "sterility", "viability"):
        course.reports(test)
    pending = course.say(world.reviewer, course.release_of_batch("bag-1"))
    course.reports("sterility", modification.RESULT_OUTCOME_FAIL)
    with pytest.raises(RuleRefusedError) as refused:
        course.join(world.second_reviewer, pending)
    assert "TEST_NOT_PASSED" in {one.code for one in refused.value.findings}
    assert world.harness.recorded(course.stream)[pending.statement_digest].judged.status is Status.PENDING
    world.harness.check()


def test_a_late_second_person_on_a_fact_is_recorded_and_found(world: World) -> None:
    """The fact stays; the co-signature carries the finding."""
    course = world.course()
    course.enrols()
    checked = course.say(world.nurse, course.identity_check())
    world.harness.tick(7_200)
    joined = course.join(world.second_nurse, checked)
    assert "CO_SIGNATURE_LATE" in codes(joined)
    world.harness.check()


@pytest.mark.parametrize("in_one_group", [False, True])
def test_identifiers_checked_before_the_enrolment_are_compared_when_it_comes(world: World, in_one_group: bool) -> None:
    """Two checks from an outbox arrive first: one of the patient, one of another; the enrolment brings both out."""
    harness = world.harness
    course = world.course()
    enrolment = harness.statement(world.nurse, course.stream, course.enrolment())
    harness.tick()
    theirs = harness.statement(world.nurse, course.stream, course.identity_check())
    harness.tick()
    anothers = harness.statement(world.nurse, course.stream, course.identity_check(identifiers=OTHER_PATIENT))
    harness.last[course.stream] = b""
    if in_one_group:
        results = harness.ledger.submit_many([theirs, anothers, enrolment], timeout_seconds=10)
        assert not [one for one in results if isinstance(one, RefusedError)]
        digests = [one.statement_digest for one in results if not isinstance(one, RefusedError)]
    else:
        digests = [harness.submit(one).statement_digest for one in (theirs, anothers, enrolment)]
    entries = {one: harness.ledger.read_entry(statement_digest=one).latest_judgement for one in digests}
    assert [one.outcome for one in entries[digests[0]].comparisons] == [Outcome.MATCH, Outcome.MATCH]
    assert [one.outcome for one in entries[digests[1]].comparisons] == [Outcome.MATCH, Outcome.MISMATCH]
    assert entries[digests[0]].judged.status is Status.CONFORMING
    assert "IDENTIFIER_MISMATCH" in {one.code for one in entries[digests[1]].judged.findings}
    harness.check()

    # As if they had come in the order in which they were made; views see it too.
    state = harness.therapy(course.stream).state
    assert state.identity_broken
    with Views.open(harness.folder / "views.sqlite3", harness.ledger) as views:
        answer = views.get_therapy(
            queries.GetTherapyRequest(
                therapy=queries.TherapyName(stream=course.stream), position_min=harness.store.head().size
            ),
            Reader(world.nurse.site, frozenset({options.CAPABILITY_COLLECT})),
            wait_seconds=10,
        )
    assert answer.identity_broken
    harness.reopen()
    assert harness.therapy(course.stream).state.identity_broken
    assert harness.recorded(course.stream) == {**harness.recorded(course.stream), **entries}


def test_replay_needs_neither_identity_nor_clinical_content(world: World) -> None:
    """With both shredded for every therapy a restart finds the same judgements and states; nothing compares then."""
    harness = world.harness
    course = world.course().to_the_bedside()
    check = course.checks_bedside("bag-1")
    course.stops_infusion("bag-1", course.starts_infusion("bag-1", check), returned.INFUSION_OUTCOME_COMPLETE)
    before = {stream: harness.recorded(stream) for stream in harness.last}
    state = harness.therapy(course.stream).state
    for disclosed in (DisclosureClass.IDENTITY, DisclosureClass.CLINICAL):
        harness.vault.shred(course.stream, disclosed)
    harness.reopen()

    assert {stream: harness.recorded(stream) for stream in harness.last} == before
    harness.check()
    again = harness.therapy(course.stream).state
    assert (again.materials, again.holds, again.infusions) == (state.materials, state.holds, state.infusions)
    assert (again.identity_checks, again.bedside_checks) == (state.identity_checks, state.bedside_checks)

    told = course.say(world.nurse, course.identity_check())
    assert told.judgement is not None
    assert {one.outcome for one in told.judgement.comparisons} == {Outcome.NOT_COMPARED}
    kept = harness.ledger.read_entry(statement_digest=told.statement_digest).openings
    numbers = {told.index for told in kept}
    assert len(numbers) == len(kept) == 2  # Point and chain of identity; the two identifiers are not kept.
    harness.check()


def test_an_authorisation_whose_target_is_still_to_come_may_come_again(world: World) -> None:
    """A retraction of a fact that another site has not delivered yet is refused, and taken afterwards unchanged."""
    harness = world.harness
    course = world.course()
    course.enrols()
    fact = harness.statement(world.nurse, course.stream, harvest.ConsentWithdrawn(scopes=COLLECTION))
    digest = harness.ledger.prepare(fact).statement.digest
    retraction = harness.statement(
        world.nurse, course.stream, quality.StatementRetracted(retracted=digest), seen={course.stream: digest}
    )
    with pytest.raises(RetryableRefusedError):
        harness.submit(retraction)
    harness.submit(fact)
    assert status(harness.submit(retraction)) is Status.IN_EFFECT
    harness.check()
