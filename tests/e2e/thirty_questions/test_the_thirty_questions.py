"""Each question of an inspector is one call, by gRPC and on the command line, and its answer is what was told.

Questions 7, 23, 28, 29 and 30 are asked of exports and access logs: docs/questions.md says where.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.e2e.thirty_questions.inspected_world import REASON, Inspected, told_as

from cellcustody.clients import inspections as ask
from cellcustody.clients.errors import AccessDenied, NotFound, RequestInvalid
from cellcustody.v1 import common_pb2, entry_pb2
from cellcustody.v1 import inspection_service_pb2 as pb

NURSE = ("collection nurse of Hospital", "Hospital")
REVIEWER = ("quality reviewer of Manufacturer", "Manufacturer")


@pytest.mark.parametrize("question", ask.QUESTIONS, ids=lambda question: f"{question.number}-{question.name}")
def test_each_question_is_one_call_on_the_command_line(
    told: Inspected, question: ask.Question[pb.Alert], capsys: pytest.CaptureFixture[str]
) -> None:
    """In tables with names, and as JSON that holds what gRPC answers."""
    subject = [told.story.coi] if question.needs_subject else []
    assert told.runs("inspect", question.name, *subject) == 0
    assert capsys.readouterr().out.startswith(f"{question.number}. ")
    assert told.runs("inspect", question.name, *subject, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["position"] > 0
    assert set(answer) >= {field.name for field in question.answer.DESCRIPTOR.fields if field.is_repeated}


def test_the_installed_program_asks(told: Inspected) -> None:
    """As a process of its own, and about what is not there it ends as documented."""
    assert told.prints("inspect", "history", told.story.coi).returncode == 0
    assert told.prints("inspect", "consent", "CHA000000000000R").returncode == 5
    assert told.prints("inspect", "consent").returncode == 2


def test_1_the_whole_history_stands_in_order_with_its_gaps(told: Inspected) -> None:
    """From enrolment to the withdrawal; the missing box is a gap that ended."""
    answer = told.questions.ask(ask.HISTORY, told.story.coi)

    times = [item.occurred_unix_micros for item in answer.items]
    assert times == sorted(times)
    bodies = [item.body_type.rpartition(".")[2] for item in answer.items]
    for body in ("TherapyEnrolled", "CollectionCompleted", "CustodyAccepted", "InfusionStopped", "ConsentWithdrawn"):
        assert body in bodies
    assert all(item.summary and item.signer_name and item.site_name for item in answer.items)
    (gap,) = answer.gaps
    assert "box-2" in gap.subject and gap.HasField("end_unix_micros")


def test_2_every_material_has_a_holder_now_and_then(told: Inspected) -> None:
    """Infused bags are the ward's end; before the courier took it, the bag was at the hospital."""
    now = told.questions.ask(ask.HOLDINGS, told.story.coi)
    known = {one.material: one for one in now.materials}
    assert {*told.story.bags, *told.story.products, told.story.sample, told.story.retain} <= known.keys()
    assert known[told.story.products[0]].state == "infused"

    accepted = told.questions.ask(ask.HANDOFFS, f"consignment:{told.story.outward.hex()}").handoffs[0].answered
    before = _at(accepted.occurred_unix_micros) - timedelta(microseconds=1)
    bag = f"bag:{told.story.bags[0].hex()}"
    (then,) = told.questions.ask(ask.HOLDINGS, bag, at=before).materials
    (after,) = told.questions.ask(ask.HOLDINGS, bag, at=_at(accepted.occurred_unix_micros)).materials
    assert then.custodian.site == told.story.nurse.site
    assert after.custodian.site == told.story.driver.site
    (unknown,) = told.questions.ask(ask.HOLDINGS, bag, known_at_position=accepted.leaf_index).materials
    assert unknown.custodian.site == told.story.nurse.site


def test_3_every_handoff_has_both_halves(told: Inspected) -> None:
    """Who released, who accepted, line by line, n of N, with seals; the missing box stands in its line."""
    answer = told.questions.ask(ask.HANDOFFS, told.story.coi)

    on_the_way = [one for one in answer.handoffs if one.consignment == told.story.outward]
    assert [one.outcome for one in on_the_way] == ["answered"] * 3
    first, second, _ = on_the_way
    assert told_as(first.released)[1] == "Hospital" and told_as(first.answered)[1] == "Courier"
    assert [(line.container, line.number, line.containers) for line in first.lines] == [
        ("box-1", 1, 2),
        ("box-2", 2, 2),
    ]
    assert {seal.seal for seal in first.released_seals} == {"SEAL-box-1", "SEAL-box-2"}
    assert second.lines[1].outcome == common_pb2.LINE_OUTCOME_NOT_PRESENT
    assert set(first.materials) == set(told.story.bags)
    assert any(reading.kind in ("coi", "din") and reading.value for reading in first.readings)
    inside = [one for one in answer.handoffs if not one.consignment]
    assert inside and all(told_as(one.answered)[0] != told_as(one.released)[0] for one in inside)

    by_shipper = told.questions.ask(ask.HANDOFFS, "shipper:box-2")
    assert {one.consignment for one in by_shipper.handoffs} <= {told.story.outward, told.story.homeward}
    assert len(by_shipper.handoffs) >= 3
    by_person = told.questions.ask(ask.HANDOFFS, f"person:{told.story.driver.person.hex()}")
    assert by_person.handoffs
    since = told.questions.ask(ask.HANDOFFS, None, since=datetime.now(UTC) + timedelta(days=1))
    assert not since.handoffs


def test_4_a_gap_has_its_length_and_explanation(told: Inspected) -> None:
    """The box that nobody had: opened by the acceptance that missed it, explained by who found it."""
    (gap,) = told.questions.ask(ask.GAPS, told.story.coi).gaps

    assert gap.opened_by.body_type.endswith("CustodyAccepted")
    assert gap.length_seconds == (gap.gap.end_unix_micros - gap.gap.start_unix_micros) // 1_000_000
    assert any(one.body_type.endswith("PossessionReported") for one in gap.explanations)


def test_5_two_persons_are_two(told: Inspected) -> None:
    """Names, order and interval of each check; the patient's monitoring from paper lacks its second person."""
    pairs = told.questions.ask(ask.PAIRS, told.story.coi).pairs

    chairside = next(one for one in pairs if one.statement.body_type.endswith("IdentityChecked"))
    assert told_as(chairside.statement) == NURSE
    assert [told_as(one) for one in chairside.co_signatures] == [("second nurse of Hospital", "Hospital")]
    assert chairside.different_persons and chairside.complete and chairside.needed == 1
    assert 0 <= chairside.interval_seconds <= chairside.window_seconds


def test_6_the_manifest_names_signer_meaning_and_key(told: Inspected) -> None:
    """Printed name, role, organisation, time, meaning, method, and the chain of the key up to the founding."""
    manifest = told.questions.ask(ask.SIGNATURES, told.story.coi).signatures

    signed = next(one for one in manifest if one.statement.body_type.endswith("CollectionStarted"))
    assert told_as(signed.statement) == NURSE
    assert (signed.statement.role, signed.statement.meaning) == ("collection_nurse", "performed")
    assert signed.authentication == "passphrase" and signed.clock_source == "network"
    (key,) = signed.keys
    assert (key.algorithm, key.state_then, key.verdict) == ("ed25519", "active", "VALID")
    assert key.chain[0].startswith("PersonEnrolled") and key.chain[-1].startswith("LedgerFounded")
    of_nurse = told.questions.ask(ask.SIGNATURES, f"person:{told.story.nurse.person.hex()}").signatures
    assert of_nurse and {one.statement.signer for one in of_nurse} == {told.story.nurse.person}


def test_8_corrections_and_late_entries_say_why_and_by_how_much(told: Inspected) -> None:
    """Rack 9 became rack 6; the visit recorded four days later is late by four days."""
    answer = told.questions.ask(ask.CORRECTIONS, told.story.coi)

    (correction,) = answer.corrections
    assert correction.in_effect and correction.reason == "rack misread on the label"
    assert "rack-9" in correction.original.summary and "rack-6" in correction.replacement.summary
    late = next(one for one in answer.late if one.statement.statement_digest == told.digest("year late"))
    assert abs(late.delay_seconds - 4 * 86_400) < 600
    assert answer.late_count == len(answer.late) and answer.delay_seconds_max >= late.delay_seconds


def test_9_every_override_and_nonconforming_fact_is_in_one_list(told: Inspected) -> None:
    """Of the therapy, of all that the inspector sees, of one person: the override with its reason, and broken rules."""
    of_therapy = told.questions.ask(ask.EXCEPTIONS, told.story.coi)
    everywhere = told.questions.ask(ask.EXCEPTIONS)

    override = next(one for one in of_therapy.exceptions if one.kind == "override")
    assert (override.gate, override.reason, override.stands) == ("BUDGET_EXCEEDED", REASON, True)
    assert told_as(override.statement) == REVIEWER
    broken = [one for one in of_therapy.exceptions if one.kind == "nonconforming"]
    codes = {finding.code for one in broken for finding in one.findings}
    assert {"CONTAINER_NOT_PRESENT", "RESULT_FAILED"} <= codes
    assert all(finding.explanation for one in broken for finding in one.findings)
    assert all(one.statement.judgement.status == entry_pb2.JUDGEMENT_STATUS_NONCONFORMING for one in broken)
    assert len(everywhere.exceptions) >= len(of_therapy.exceptions)
    emergency = next(one for one in everywhere.exceptions if one.kind == "emergency_credential")
    assert emergency.statement.statement_digest == told.digest("grant") and emergency.stands
    assert emergency.reason == "the ward is short of hands" and len(emergency.approvals) == 1
    assert [one.statement_digest for one in emergency.used_by] == [told.digest("in emergency")]
    assert [one.statement_digest for one in emergency.reviews] == [told.digest("reviewed")]
    of_reviewer = told.questions.ask(ask.EXCEPTIONS, f"person:{told.story.reviewer.person.hex()}")
    assert [one.kind for one in of_reviewer.exceptions] == ["override"]


def test_10_the_tree_has_no_orphans_and_no_second_patient(told: Inspected) -> None:
    """Two collections became two bags, a sample and a retain; division balances; nothing was mixed."""
    answer = told.questions.ask(ask.GENEALOGY, told.story.coi)

    nodes = {one.custody.material: one for one in answer.materials}
    line = {told.story.products[0]}
    while parents := {parent for one in line for parent in nodes[one].custody.parents} - line:
        line |= parents
    assert set(told.story.bags) <= line
    assert (list(answer.orphans), list(answer.mixing)) == ([], [])
    division = next(one for one in answer.balances if told.story.sample in one.outputs)
    assert division.conserving and division.balanced
    assert division.difference == "0"
    assert nodes[told.story.products[0]].ended_by.body_type.endswith("InfusionStopped")


def test_11_labels_are_counted(told: Inspected) -> None:
    """Three printed on the day, one returned; those applied have their material."""
    answer = told.questions.ask(ask.LABELS, told.story.coi)

    (count,) = answer.reconciliations
    acts = [one.act for one in answer.labels]
    assert (count.printed, count.returned) == (acts.count("printed"), acts.count("returned"))
    assert count.printed >= 3 and count.returned == 1
    assert count.applied == acts.count("applied") >= 4
    assert count.difference == count.printed - count.applied - count.destroyed - count.returned
    assert {one.material for one in answer.labels if one.act == "applied"} >= {*told.story.bags, *told.story.products}


def test_12_each_leg_has_its_band_its_file_and_its_disposition(told: Inspected) -> None:
    """The warm box: out of range, with the file's digest, and quality's decision."""
    legs = told.questions.ask(ask.CONDITIONS, told.story.coi).legs

    assert {one.container for one in legs if one.consignment == told.story.outward} == {"box-1", "box-2"}
    warm = next(one for one in legs if one.condition == common_pb2.CONDITION_OUT_OF_RANGE or one.excursions)
    assert warm.band_min.mantissa < warm.band_max.mantissa
    assert all(len(summary.file.sha256) == 32 for summary in warm.summaries) and warm.summaries
    assert warm.dispositions and warm.dispositions[0].disposition
    by_logger = told.questions.ask(ask.CONDITIONS, "logger:LOGGER-box-1").legs
    assert {one.logger for one in by_logger} == {"LOGGER-box-1"}


def test_13_budgets_are_counted_against_the_pack(told: Inspected) -> None:
    """From collection to the start, from the thaw to the infusion: used, limit, state, and from which statements."""
    budgets = told.questions.ask(ask.BUDGETS, told.story.coi).budgets

    named = {one.budget for one in budgets}
    assert {"fresh_hold_seconds", "collection_to_start_seconds", "thaw_to_infusion_start_seconds"} <= named
    start = next(one for one in budgets if one.budget == "collection_to_start_seconds")
    assert start.limit_seconds == told.story.pack.collection_to_start_seconds
    assert start.state == "kept" and start.used_seconds <= start.limit_seconds
    assert start.statements and start.policy_digest == told.story.pack.digest


def test_14_qualifications_are_those_of_the_day(told: Inspected) -> None:
    """Training of who signed, shipper and logger of the way; what nobody ever showed is unknown, not in force."""
    found = told.questions.ask(ask.QUALIFICATIONS, told.story.coi).qualifications

    states = {(one.kind, one.name): one.state for one in found}
    assert states[("training", "collection_nurse")] == "in_force"
    assert states[("logger", "LOGGER-box-1")] == "in_force"
    assert states[("site", "Courier")] == "unknown"
    courier = next(one for one in found if (one.kind, one.name) == ("courier", "Courier"))
    assert courier.state == "in_force" and courier.shown_by.statement_digest == told.digest("qualified")
    assert courier.valid_until_unix_micros > courier.used_unix_micros
    assert all(one.used_by.statement_digest for one in found)


def test_15_a_release_tells_what_was_known_then_and_since(told: Inspected) -> None:
    """Two reviewers released on three passing tests; the failing one came after the infusion."""
    (release,) = told.questions.ask(ask.RELEASES, told.story.coi).releases

    assert release.batch.state == "released"
    assert told_as(release.decision)[1] == "Manufacturer" and len(release.approvals) == 1
    assert release.decision.judgement.status == entry_pb2.JUDGEMENT_STATUS_IN_EFFECT
    assert len(release.certificate.sha256) == 32
    late = next(one for one in release.results if one.statement.statement_digest == told.digest("late result"))
    assert (late.test, late.outcome, late.known_at_release, late.after_infusion) == ("sterility", "fail", False, True)
    assert [one.statement_digest for one in late.told] == [told.digest("notified")]
    assert sum(one.known_at_release for one in release.results) >= 3
    assert "sterility" in release.open_tests


def test_16_no_batch_was_released_outside_its_specification(told: Inspected) -> None:
    """Nothing was, and nothing is told."""
    assert not told.questions.ask(ask.OUT_OF_SPECIFICATION, told.story.coi).uses


def test_17_deviations_excursions_and_complaints_have_their_effect(told: Inspected) -> None:
    """The deviation of the warm box with its disposition, the excursion itself, and the complaint."""
    found = told.questions.ask(ask.DEVIATIONS, told.story.coi).deviations

    kinds = {one.kind for one in found}
    assert kinds == {"deviation", "excursion", "complaint"}
    complaint = next(one for one in found if one.kind == "complaint")
    assert (complaint.reference, complaint.description) == ("CMP-7", "label came off")
    assert any(one.dispositions for one in found)


def test_18_a_lot_leads_to_every_bag_and_a_therapy_to_every_part(told: Inspected) -> None:
    """The recalled lot is in two infused bags and a retain: the physician is to be told, the retain is kept apart."""
    lots = told.questions.ask(ask.RECALL, told.story.coi).traces
    lot = next(one for one in lots if one.kind == "lot" and one.id == told.story.lot)
    people = {one.name for one in lots if one.kind == "person"}
    assert {"collection nurse of Hospital", "driver of Courier"} <= people
    assert {"Hospital", "Courier", "Manufacturer", "Laboratory"} <= {one.name for one in lots if one.kind == "site"}

    answer = told.questions.ask(ask.RECALL, f"lot:{lot.name}")
    by_material = {one.material.material: one for one in answer.lines}
    infused = by_material[told.story.products[0]]
    assert (infused.state, infused.lot_status, infused.action) == ("infused", "recalled", "notify the physician")
    assert by_material[told.story.retain].action == ""  # The plant has said that it did that.
    assert infused.addressee.site == told.story.nurse.site
    assert {one.state: one.therapies for one in answer.counts}["infused"] == 1
    first = told.questions.ask(ask.RECALL, f"lot:{lot.name}", page_size=1)
    rest = told.questions.ask(ask.RECALL, f"lot:{lot.name}", page_token=first.next_page_token)
    assert [*first.lines, *rest.lines] == list(answer.lines)


def test_19_consent_is_told_at_each_point(told: Inspected) -> None:
    """In force at collection, manufacture and infusion; the use of data was withdrawn since."""
    answer = told.questions.ask(ask.CONSENT, told.story.coi)

    moments = {one.moment: one for one in answer.moments}
    assert "collection" in moments["collection"].in_force
    assert "manufacture" in moments["manufacture"].in_force
    assert "infusion" in moments["infusion"].in_force
    assert "data" in moments["now"].not_in_force and "infusion" in moments["now"].in_force
    assert [one.body_type.rpartition(".")[2] for one in answer.changes] == ["ConsentRecorded", "ConsentWithdrawn"]
    assert {one.material for one in answer.affected} >= set(told.story.products)


def test_20_screening_gives_the_reason_for_the_label(told: Inspected) -> None:
    """What was not evaluated is said, with the reason that the label bears."""
    records = {one.outcome: one for one in told.questions.ask(ask.ELIGIBILITY, told.story.coi).records}

    assert "eligible" in records
    screening = records["not_evaluated"]
    assert screening.reason == "for autologous use only"
    assert ("HTLV", "not evaluated") in {(one.name, one.value) for one in screening.particulars}


def test_21_an_infusion_has_its_check_and_its_reactions(told: Inspected) -> None:
    """Each bag with check, start, stop and outcome; the highest grade with its day."""
    answer = told.questions.ask(ask.INFUSIONS, told.story.coi)

    by_bag = {one.bag.material: one for one in answer.infusions}
    assert by_bag.keys() == set(told.story.products)
    whole = by_bag[told.story.products[0]]
    assert whole.outcome == "complete"
    assert whole.check.occurred_unix_micros <= whole.started.occurred_unix_micros <= whole.stopped.occurred_unix_micros
    assert whole.preparations
    graded = next(one for one in answer.reactions if one.statement.statement_digest == told.digest("toxicity"))
    assert (graded.reaction, graded.grade, graded.day) == ("CRS", 2, 0)
    assert {one.name: one.value for one in answer.maxima}["CRS"].startswith("grade ")


def test_22_follow_up_says_what_is_done_and_what_is_to_come(told: Inspected) -> None:
    """Month 3 is done; the years are to come, at their due times."""
    visits = {one.visit: one for one in told.questions.ask(ask.FOLLOW_UP, told.story.coi).visits}

    assert visits["month 3"].recorded.statement_digest == told.digest("year late")
    assert visits["year 15"].state == "upcoming"
    assert visits["year 15"].due_unix_micros > visits["year 1"].due_unix_micros


def test_24_signers_are_told_as_of_any_date(told: Inspected) -> None:
    """Now with roles, keys and who granted them; before their enrolment they are not there."""
    nurse = f"person:{told.story.nurse.person.hex()}"
    (standing,) = told.questions.ask(ask.SIGNERS, nurse).signers

    assert standing.printed_name == "collection nurse of Hospital"
    assert [one.role for one in standing.roles] == ["collection_nurse"]
    assert [one.state for one in standing.keys] == ["active"]
    granted = standing.changes[0]
    assert standing.changes[1].body_type.endswith("EmergencyCredentialGranted")
    assert granted.body_type.endswith("PersonEnrolled") and granted.site_name == "Hospital"
    assert not told.questions.ask(ask.SIGNERS, nurse, known_at_position=granted.leaf_index).signers
    before = _at(granted.recorded_unix_micros) - timedelta(seconds=1)
    assert not told.questions.ask(ask.SIGNERS, nurse, at=before).signers


def test_25_each_statement_names_what_judged_it(told: Inspected) -> None:
    """Rules, pack with its version, schema, format."""
    versions = told.questions.ask(ask.VERSIONS, told.story.coi).versions

    collected = next(one for one in versions if one.statement.body_type.endswith("CollectionStarted"))
    assert collected.rule_set >= 1 and collected.entry_format == 1
    assert collected.policy_digest == told.story.pack.digest
    assert collected.policy == f"{told.story.pack.product} {told.story.pack.jurisdiction} {told.story.pack.version}"
    assert len(collected.schema_digest) == 32


def test_26_clocks_that_were_not_the_networks_are_listed(told: Inspected) -> None:
    """The entry from paper was timed by hand."""
    answer = told.questions.ask(ask.CLOCKS, told.story.coi)

    (by_hand,) = [one for one in answer.clocks if one.clock_source == "manual"]
    assert by_hand.statement.statement_digest == told.digest("from paper") and not by_hand.disagreed
    assert answer.statements_count > 100


def test_27_downtime_has_what_was_entered_for_it(told: Inspected) -> None:
    """The declaration, its end, and the entry from paper that names it."""
    (period,) = told.questions.ask(ask.DOWNTIME).periods

    assert period.statement.statement_digest == told.digest("downtime")
    assert period.end_unix_micros >= period.start_unix_micros
    (entered,) = period.back_entered
    assert entered.statement_digest == told.digest("from paper")
    assert (entered.entry_mode, entered.reason) == (common_pb2.ENTRY_MODE_FROM_PAPER, "network down")


def test_any_name_at_hand_leads_to_the_therapy(told: Inspected) -> None:
    """CoI, stream, bag, donation number, lot, site, person: the consent of the same therapy."""
    story = told.story
    lot = next(one.name for one in told.questions.ask(ask.RECALL, story.coi).traces if one.id == story.lot)
    names = (
        story.coi,
        f"therapy:{story.therapy.hex()}",
        f"bag:{story.products[0].hex()}",
        f"din:{story.dins[0]}",
        f"lot:{lot}",
        f"site:{story.nurse.site.hex()}",
        f"person:{story.nurse.person.hex()}",
        "shipper:box-1",
        "logger:LOGGER-box-1",
        f"consignment:{story.outward.hex()}",
    )
    for name in names:
        moments = told.questions.ask(ask.CONSENT, name).moments
        assert {one.therapy for one in moments} == {story.therapy}, name


def test_what_nobody_may_see_is_not_there(told: Inspected) -> None:
    """A carrier asks about a therapy in vain; a name that nothing has is not found; a broken token is refused."""
    carrier = told.story.driver.client.inspections
    with pytest.raises(AccessDenied):
        carrier.ask(ask.CONSENT, told.story.coi)
    assert carrier.ask(ask.HANDOFFS, f"consignment:{told.story.outward.hex()}").handoffs
    with pytest.raises(NotFound):
        told.questions.ask(ask.HANDOFFS, "shipper:no-such-box")
    with pytest.raises(RequestInvalid):
        told.questions.ask(ask.EXCEPTIONS, page_token=b"made up")
    with pytest.raises(RequestInvalid):  # Never answered as if it had been asked of now.
        told.questions.ask(ask.EXCEPTIONS, told.story.coi, known_at_position=40)
    with pytest.raises(RequestInvalid):
        told.questions.ask(ask.CONSENT, told.story.coi, at=datetime.now(UTC))
    laboratory = told.story.analyst.client.inspections.ask(ask.INFUSIONS, told.story.coi)
    assert not laboratory.maxima and not any(one.grade for one in laboratory.reactions)


def test_pages_together_are_the_whole_list(told: Inspected) -> None:
    """Page by page, one row at a time, nothing is lost or told twice; a token goes with its question alone."""
    whole = told.questions.ask(ask.EXCEPTIONS)
    told_so_far, token = [], b""
    while True:
        page = told.questions.ask(ask.EXCEPTIONS, page_size=1, page_token=token)
        assert len(page.exceptions) <= 1
        told_so_far += list(page.exceptions)
        token = page.next_page_token
        if not token:
            break
    assert told_so_far == list(whole.exceptions)
    first = told.questions.ask(ask.EXCEPTIONS, page_size=1)
    with pytest.raises(RequestInvalid):
        told.questions.ask(ask.CORRECTIONS, page_token=first.next_page_token)


def test_what_awaits_a_signature_is_told_to_who_may_sign(told: Inspected) -> None:
    """The entry from paper waits for a second ward nurse, not for its signer, and not for the courier's driver."""
    second = told.questions.awaiting_signature(told.story.second_ward_nurse.person)
    waiting = {one.statement.statement_digest: one for one in second.awaiting}

    assert told.digest("from paper") in waiting
    assert "ward_nurse" in waiting[told.digest("from paper")].roles
    of_signer = told.questions.awaiting_signature(told.story.ward_nurse.person)
    assert told.digest("from paper") not in {one.statement.statement_digest for one in of_signer.awaiting}
    with pytest.raises(AccessDenied):
        told.story.driver.client.inspections.awaiting_signature(told.story.nurse.person)
    assert told.runs("awaiting", "--person", told.story.second_ward_nurse.person.hex()) == 0


def test_alerts_are_addressed_and_name_what_is_behind_them(told: Inspected) -> None:
    """The late failing result goes to the infusing site; the recalled lot to whoever has the bags."""
    alerts = told.questions.alerts().alerts

    late = next(one for one in alerts if one.kind == "late_result")
    assert [one.site for one in late.addressees] == [told.story.nurse.site]
    assert told.digest("late result") in {one.statement_digest for one in late.statements}
    lapsing = [one for one in alerts if one.kind == "qualification" and one.statements]
    assert told.digest("qualified") in {one.statements[0].statement_digest for one in lapsing}
    recalls = [one for one in alerts if one.kind == "recall"]
    assert {one.action for one in recalls} == {"notify the physician"}
    assert told.story.retain not in {material for one in recalls for material in one.materials}
    assert all(one.statements[0].body_type.endswith("LotStatusChanged") for one in recalls)
    printed = told.prints("alerts")
    assert printed.returncode == 0 and "late_result" in printed.stdout
    followed = told.prints("alerts", "--follow", "--seconds", "1", "--json")
    assert followed.returncode == 0
    assert {json.loads(line)["alert"]["kind"] for line in followed.stdout.splitlines()} >= {"late_result", "recall"}


def _at(unix_micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=unix_micros)
