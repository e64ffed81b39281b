"""What is refused, and what an authorisation in effect does."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.findings import Family, Strength, all_rules, rule_of
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_state import BatchStatus, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .stories import (
    APHERESIS,
    CELL_LAB,
    CERTIFICATE,
    COI,
    DAY,
    HOSPITAL,
    MATCHING,
    MISMATCHING,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OUTWARD,
    PACK,
    RELEASE_FOR_INFUSION,
    REVIEWER,
    SECOND_REVIEWER,
    SUITE,
    Delivery,
    Story,
    material,
    new,
    volume,
)


def _judge(
    story: Story,
    body: Message,
    signer: bytes = REVIEWER,
    *,
    role: str = "quality_reviewer",
    seen: list[Act] | None = None,
    pack: PolicyPack = PACK,
) -> set[str]:
    """Returns what would be found in an authorisation now; by default its signer has seen everything."""
    told = Story(acts=list(story.acts), now=story.now)
    had = {act.stream: act for act in story.acts} if seen is None else {act.stream: act for act in seen}
    act = told.tell(body, signer, role=role, is_in_effect=False, seen=had.values())
    found, _ = story.case().judge_authorisation(act, pack=pack)
    return {one.code for one in found}


def _lift(*holds: bytes) -> quality.HoldLifted:
    return quality.HoldLifted(holds=holds, disposition="use as is")


def _release(*bags: str) -> modification.BatchReleased:
    return modification.BatchReleased(
        batch=material("batch"),
        materials=[material(bag) for bag in bags],
        certificate=CERTIFICATE,
        release_for_infusion=RELEASE_FOR_INFUSION,
    )


def _tested() -> Story:
    story = Story().to_the_product()
    for test in ("identity", "sterility", "viability"):
        story.reports(test)
    return story


# Enrolment.


def _enrolment() -> harvest.TherapyEnrolled:
    story = Story()
    body = story.enrols().body
    assert isinstance(body, harvest.TherapyEnrolled)
    return body


def test_a_sound_enrolment_has_no_finding() -> None:
    """Under a pack that the ledger has."""
    assert _judge(Story(), _enrolment(), NURSE) == set()


def test_a_therapy_has_exactly_one_chain_of_identity_identifier() -> None:
    """None and two are refused, and one without its check character."""
    none = _enrolment()
    del none.aliases[:]
    assert _judge(Story(), none, NURSE) == {"COI_NOT_ONE"}

    two = _enrolment()
    two.aliases.append(two.aliases[0])
    assert _judge(Story(), two, NURSE) == {"COI_NOT_ONE"}

    wrong = _enrolment()
    wrong.aliases[0].value = "CHA999925000001H"
    assert _judge(Story(), wrong, NURSE) == {"COI_MALFORMED"}


def test_a_therapy_is_pinned_to_a_pack_of_its_product() -> None:
    """An unknown pack, another one's digest, or another product's pack."""
    other = _enrolment()
    other.policy_digest = hashlib.sha256(b"other").digest()
    assert _judge(Story(), other, NURSE) == {"POLICY_UNKNOWN"}

    product = _enrolment()
    product.product = "another"
    assert _judge(Story(), product, NURSE) == {"PACK_OF_ANOTHER_PRODUCT"}


def test_a_therapy_names_who_treats_and_who_keeps_the_record() -> None:
    """Both."""
    body = _enrolment()
    body.ClearField("custodian_of_record")
    assert _judge(Story(), body, NURSE) == {"TREATING_UNIT_MISSING"}


def test_a_therapy_is_enrolled_once() -> None:
    """A new course has a stream of its own."""
    story = Story()
    story.enrols()
    assert _judge(story, _enrolment(), NURSE) == {"ALREADY_ENROLLED"}


def test_nothing_is_decided_before_enrolment() -> None:
    """The refusal is retryable."""
    assert _judge(Story(), _lift(b"h" * 32)) == {"THERAPY_UNKNOWN"}
    assert rule_of("THERAPY_UNKNOWN").strength is Strength.AWAITING


# Release and rejection.


def test_a_batch_whose_tests_passed_is_released() -> None:
    """And its bags with it."""
    assert _judge(_tested(), _release("bag-1", "bag-2")) == set()
    state = Story().to_the_release().case().state
    assert state.batches[material("batch")].status is BatchStatus.RELEASED
    assert state.materials[material("bag-1")].is_released
    assert not state.materials[material("sample")].is_released


def test_a_release_that_lacks_its_second_person_permits_nothing() -> None:
    """Only the last signature puts it in effect."""
    story = _tested()
    act = story.releases_batch("bag-1", is_in_effect=False)
    delivery = Delivery()
    for one in story.acts:
        delivery.deliver(one)
    case = delivery.case
    assert case.judged[act.digest].status is Status.PENDING
    assert not case.state.materials[material("bag-1")].is_released
    assert [one.digest for one in case.outstanding() if one.digest == act.digest]

    joined = story.join(act, SECOND_REVIEWER)
    delivery.deliver(joined)
    case.mark_in_effect(act.digest, joined.leaf_index)
    assert case.judged[act.digest].status is Status.IN_EFFECT
    assert case.state.materials[material("bag-1")].is_released
    assert not [one for one in case.outstanding() if one.digest == act.digest]


def test_every_required_test_has_passed_by_its_latest_result() -> None:
    """Missing, failed, invalid or failed after passing."""
    assert _judge(Story().to_the_product(), _release("bag-1")) == {"TEST_NOT_PASSED"}

    again = _tested()
    again.reports("viability", modification.RESULT_OUTCOME_INVALID)
    assert _judge(again, _release("bag-1")) == {"TEST_NOT_PASSED"}
    again.reports("viability")
    assert _judge(again, _release("bag-1")) == set()


def test_an_interim_result_is_not_enough_for_a_full_release() -> None:
    """Unless that gate was overridden beforehand, as this pack lets it."""
    story = _tested()
    story.reports("viability", interim=True)
    assert _judge(story, _release("bag-1")) == {"TEST_INTERIM"}
    _overrides(story, "TEST_INTERIM")
    assert _judge(story, _release("bag-1")) == {"GATE_OVERRIDDEN"}


def test_only_products_of_the_batch_that_are_there_are_released() -> None:
    """A sample, another batch's bag, an unknown one, one that has ended, and none at all."""
    story = _tested()
    assert _judge(story, _release("sample")) == {"NOT_A_PRODUCT"}
    assert _judge(story, _release("nowhere")) == {"MATERIAL_UNKNOWN"}
    assert _judge(story, _release()) == {"NO_MATERIAL"}
    other = modification.BatchReleased(batch=material("nowhere"), materials=[material("bag-1")])
    assert _judge(story, other) == {"BATCH_UNKNOWN"}
    story.tell(returned.MaterialDestroyed(material=material("bag-1"), unit=SUITE), OPERATOR)
    assert _judge(story, _release("bag-1")) == {"AFTER_TERMINAL_ACT"}
    story.now += 300 * DAY
    assert _judge(story, _release("bag-2")) == {"EXPIRED"}


def test_a_bag_of_another_batch_is_not_released_with_this_one() -> None:
    """Each batch has a release of its own."""
    story = Story().to_the_plant("apheresis", "spare")
    story.divides("spare", [new("loose", common.MATERIAL_KIND_PRODUCT, 100)])
    story.accessions("apheresis")
    story.divides("apheresis", [new("sample", common.MATERIAL_KIND_SAMPLE, 10)], left=volume(90))
    for test in ("identity", "sterility", "viability"):
        story.reports(test)
    assert _judge(story, _release("loose")) == {"NOT_IN_BATCH", "STEP_OUT_OF_ORDER"}


def test_nothing_held_is_released() -> None:
    """Neither a held bag nor a held batch, nor anything while identity is broken."""
    story = _tested()
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])
    story.tell(quality.HoldPlaced(scope=scope), OPERATOR)
    assert _judge(story, _release("bag-1")) == {"HOLD_OPEN"}
    assert _judge(story, _release("bag-2")) == set()

    batch = _tested()
    scope = quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[material("batch")])
    batch.tell(quality.HoldPlaced(scope=scope), OPERATOR)
    assert _judge(batch, _release("bag-2")) == {"HOLD_OPEN"}

    broken = _tested()
    broken.checks_identity(coi_read=OTHER_COI)
    assert "IDENTITY_BROKEN" in _judge(broken, _release("bag-1"))


def test_a_deviation_is_shown_to_who_decides() -> None:
    """It holds nothing up."""
    story = _tested()
    scope = quality.Scope(kind=quality.SCOPE_KIND_BATCH, ids=[material("batch")])
    story.tell(quality.DeviationRaised(reference="DEV-1", scope=scope), OPERATOR)
    assert _judge(story, _release("bag-1")) == {"DEVIATION_RAISED"}


def test_a_rejected_batch_stays_rejected() -> None:
    """What was released of it is so no more."""
    story = Story().to_the_release()
    assert _judge(story, modification.BatchRejected(batch=material("batch"))) == set()
    assert _judge(story, modification.BatchRejected(batch=material("nowhere"))) == {"BATCH_UNKNOWN"}
    story.tell(modification.BatchRejected(batch=material("batch")), REVIEWER, role="quality_reviewer")
    state = story.case().state
    assert state.batches[material("batch")].status is BatchStatus.REJECTED
    assert not state.materials[material("bag-1")].is_released
    assert _judge(story, modification.BatchRejected(batch=material("batch"))) == {"BATCH_DECIDED"}
    assert "BATCH_DECIDED" in _judge(story, _release("bag-1"))


# What the signer must have seen.


def test_a_failing_result_that_the_signer_had_not_seen_refuses_the_release() -> None:
    """The refusal lists it."""
    story = _tested()
    had_seen = story.acts[-1]
    failed = story.reports("sterility", modification.RESULT_OUTCOME_FAIL)
    told = Story(acts=list(story.acts), now=story.now)
    act = told.tell(_release("bag-1"), REVIEWER, is_in_effect=False, seen=[had_seen])
    found, news = story.case().judge_authorisation(act)

    assert "UNSEEN_DECISION" in {one.code for one in found}
    assert [one.digest for one in news] == [failed.digest]


def test_other_news_never_forces_a_second_signature() -> None:
    """A conforming fact, a hold on another bag, an authorisation for it."""
    story = _tested()
    had_seen = story.acts[-1]
    story.tell(
        harvest.MaterialStored(material=material("bag-1"), position=common.Position(unit=SUITE, place="tank")),
        OPERATOR,
    )
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-2")])
    hold = story.tell(quality.HoldPlaced(scope=scope), OPERATOR)
    story.tell(_lift(hold_id(hold.digest, "HOLD_PLACED")), REVIEWER, role="quality_reviewer")
    assert _judge(story, _release("bag-1"), seen=[had_seen]) == set()
    assert _judge(story, _release("bag-2"), seen=[had_seen]) == {"UNSEEN_DECISION"}


def test_news_of_the_consignment_in_which_a_bag_came_counts() -> None:
    """An alarm in its container; one in another container does not."""
    for container, codes in (("shipper-1", {"UNSEEN_DECISION", "HOLD_OPEN"}), ("shipper-2", set())):
        story = Story().to_the_collection()
        story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE, "shipper-1", "shipper-2")
        story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
        story.hands_over(OUTWARD, APHERESIS, SUITE, NURSE, OPERATOR, "shipper-1", "shipper-2")
        story.receives("apheresis", OUTWARD, SUITE, OPERATOR)
        story.accessions("apheresis")
        story.divides("apheresis", [new("bag", common.MATERIAL_KIND_PRODUCT, 90)], lost=volume(10))
        had_seen = {act.stream: act for act in story.acts}
        story.tell(transport.ExcursionAlarmed(container=container), OPERATOR, stream=OUTWARD)
        found = _judge(story, _release("bag"), seen=list(had_seen.values()))
        assert found - {"TEST_NOT_PASSED", "STEP_OUT_OF_ORDER"} == codes


def test_a_correction_of_what_concerns_the_bag_counts() -> None:
    """So does a retraction."""
    story = _tested()
    had_seen = story.acts[-1]
    result = next(act for act in story.acts if act.body_type.endswith("ResultReported"))
    story.tell(quality.StatementRetracted(retracted=result.digest), OPERATOR)
    assert _judge(story, _release("bag-1"), seen=[had_seen]) == {"UNSEEN_DECISION", "TEST_NOT_PASSED"}


# Holds and identity.


def test_a_hold_is_lifted_by_a_role_of_the_pack() -> None:
    """And stands no more."""
    story = Story().to_the_product()
    placed = story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)), OPERATOR)
    hold = hold_id(placed.digest, "HOLD_PLACED")
    assert _judge(story, _lift(hold), NURSE, role="nurse") == {"LIFTING_NOT_PERMITTED"}
    assert _judge(story, _lift(b"h" * 32)) == {"HOLD_UNKNOWN"}
    assert _judge(story, _lift(hold)) == set()
    story.tell(_lift(hold), REVIEWER, role="quality_reviewer")
    assert not story.case().state.holds


def test_a_withdrawn_consent_holds_until_it_is_given_again() -> None:
    """Quality cannot lift it alone."""
    story = Story().to_the_product()
    withdrawal = story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    hold = hold_id(withdrawal.digest, "CONSENT_WITHDRAWN")
    assert _judge(story, _lift(hold)) == {"CONSENT_MISSING"}
    story.consents(harvest.CONSENT_SCOPE_INFUSION)
    assert _judge(story, _lift(hold)) == set()


def _broken() -> tuple[Story, Act]:
    story = Story().to_the_collection()
    return story, story.checks_identity(coi_read=OTHER_COI)


def test_a_break_of_identity_is_not_lifted_but_restored() -> None:
    """The way on is explicit re-identification."""
    story, broken = _broken()
    assert _judge(story, _lift(hold_id(broken.digest, "IDENTITY_MISMATCH"))) == {"IDENTITY_BROKEN"}


def _restore(check: Act, *holds: bytes) -> quality.IdentityRestored:
    return quality.IdentityRestored(reidentification=check.digest, holds=holds)


def test_identity_is_restored_on_a_matching_reidentification_by_two() -> None:
    """Then work goes on, and the named holds have fallen."""
    story, broken = _broken()
    check = story.reidentifies()
    hold = hold_id(broken.digest, "IDENTITY_MISMATCH")
    assert _judge(story, _restore(check, hold)) == set()
    story.tell(_restore(check, hold), REVIEWER, role="quality_reviewer", seen=[story.acts[-1]])
    state = story.case().state
    assert not state.identity_broken
    assert not state.holds


def test_a_reidentification_matches_follows_the_break_and_has_a_second_person() -> None:
    """Each is found; so is a check of another kind, and one that is not in the log."""
    story, _ = _broken()
    for elsewhere in (story.checks_identity(), story.checks_identity(harvest.IDENTITY_POINT_REIDENTIFICATION)):
        assert _judge(story, _restore(elsewhere)) == {"REIDENTIFICATION_MISSING"}
    recordless = story.reidentifies(source_record="")
    assert story.codes(recordless) == {"SOURCE_RECORD_MISSING"}
    assert _judge(story, _restore(recordless)) == {"REIDENTIFICATION_MISSING"}
    unnamed = story.reidentifies(coi_read="")
    assert story.codes(unnamed) == {"IDENTITY_MISMATCH"}
    mismatch = story.reidentifies(comparisons=MISMATCHING)
    assert _judge(story, _restore(mismatch)) == {"REIDENTIFICATION_MISSING"}
    unread = story.reidentifies(comparisons=MATCHING[:1])
    assert "REIDENTIFICATION_MISSING" in _judge(story, _restore(unread))
    alone = story.reidentifies(second=None)
    assert _judge(story, _restore(alone)) == {"SECOND_PERSON_MISSING"}
    assert _judge(story, _restore(replace(alone, digest=b"d" * 32))) == {"PREDECESSOR_MISSING"}
    good = story.reidentifies()
    assert _judge(story, _restore(good, b"h" * 32)) == {"HOLD_UNKNOWN"}
    story.checks_identity(coi_read=OTHER_COI)
    assert _judge(story, _restore(good)) == {"REIDENTIFICATION_MISSING"}


def test_a_reidentification_waits_for_the_breaks_that_it_names() -> None:
    """The statement that broke identity may still be in an outbox."""
    story, broken = _broken()

    def told(*breaks: bytes) -> set[str]:
        body = harvest.ReidentificationPerformed(source_record="file", coi_read=COI, breaks=breaks)
        return story.codes(story.tell(body, comparisons=MATCHING))

    assert told(broken.digest) == set()
    assert told(broken.digest, b"d" * 32) == {"PREDECESSOR_MISSING"}


def test_identity_is_restored_where_it_is_broken() -> None:
    """Nothing to restore otherwise."""
    story = Story().to_the_collection()
    check = story.reidentifies()
    assert _judge(story, _restore(check)) == {"IDENTITY_NOT_BROKEN"}


# Overrides.


def _override(
    story: Story, gate: str, *, reason: str = "study S-1", ids: tuple[bytes, ...] = ()
) -> quality.GateOverridden:
    kind = quality.SCOPE_KIND_MATERIAL if ids else quality.SCOPE_KIND_THERAPY
    return quality.GateOverridden(
        gate=gate,
        scope=quality.Scope(kind=kind, ids=ids),
        valid_until_unix_micros=story.now + DAY,
        circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason=reason),
    )


def _overrides(story: Story, gate: str, *, ids: tuple[bytes, ...] = ()) -> Act:
    return story.tell(_override(story, gate, ids=ids), REVIEWER, role="quality_reviewer")


def test_a_gate_of_the_pack_is_overridden_with_a_reason_and_a_hard_gate_never() -> None:
    """By the roles that the pack names."""
    story = Story().to_the_plant()
    assert _judge(story, _override(story, "VOLUME_IMBALANCE")) == set()
    assert _judge(story, _override(story, "VOLUME_IMBALANCE", reason="")) == {"REASON_MISSING"}
    assert _judge(story, _override(story, "IDENTITY_MISMATCH")) == {"HARD_GATE_NO_OVERRIDE"}


def test_no_hard_gate_at_all_is_overridden() -> None:
    """Whatever its code; and nothing found at entry either."""
    story = Story().to_the_plant()
    for rule in all_rules():
        if rule.strength is Strength.HARD_GATE:
            assert "HARD_GATE_NO_OVERRIDE" in _judge(story, _override(story, rule.code)), rule.code
        elif rule.family is Family.ENTRY:
            assert _judge(story, _override(story, rule.code)) == {"GATE_UNKNOWN"}, rule.code


def test_an_override_for_materials_names_them() -> None:
    """An empty list would cover everything."""
    story = Story().to_the_plant()
    override = _override(story, "VOLUME_IMBALANCE")
    for kind in (quality.SCOPE_KIND_MATERIAL, quality.SCOPE_KIND_BATCH, quality.SCOPE_KIND_UNSPECIFIED):
        override.scope.kind = kind
        assert _judge(story, override) == {"SCOPE_EMPTY"}


def test_an_override_signed_afterwards_lets_nothing_pass_that_was_done_before() -> None:
    """Whatever it says of when it occurred."""
    story = Story().to_the_plant()
    divided = story.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    override = _overrides(story, "VOLUME_IMBALANCE")
    story.acts[-1] = replace(override, occurred_start=divided.occurred_start - 1)
    assert story.codes(divided) == {"VOLUME_IMBALANCE"}


def test_an_overridden_gate_is_an_advisory_for_what_it_covers() -> None:
    """Beforehand, for that material, until its time."""
    story = Story().to_the_plant("apheresis", "spare")
    _overrides(story, "VOLUME_IMBALANCE", ids=(material("apheresis"), material("part")))
    covered = story.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    other = story.divides("spare", [new("rest", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    assert story.codes(covered) == {"GATE_OVERRIDDEN"}
    assert story.judged(covered).status is Status.CONFORMING
    assert story.codes(other) == {"VOLUME_IMBALANCE"}

    late = Story().to_the_plant()
    _overrides(late, "VOLUME_IMBALANCE")
    late.now += DAY
    assert late.codes(late.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])) == {
        "VOLUME_IMBALANCE"
    }


# Custody, correction, closure.


def _establish(*names: str, unit: common.Unit = CELL_LAB) -> transport.CustodyEstablished:
    return transport.CustodyEstablished(custodian=unit, materials=[material(name) for name in names])


def test_custody_is_established_by_who_answered_last_or_keeps_the_record() -> None:
    """A packed bag that was lost is out of its container then."""
    story = Story().to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert _judge(story, _establish("apheresis"), OPERATOR) == {"NOT_LAST_CUSTODIAN"}
    assert _judge(story, _establish("apheresis"), NURSE) == set()
    assert _judge(story, _establish("nowhere"), NURSE) == {"MATERIAL_UNKNOWN"}
    assert _judge(story, _establish(), NURSE) == {"ESTABLISHES_NOTHING"}
    story.tell(_establish("apheresis"))
    assert custody_of(story.case().state, material("apheresis"))[0] == UnitRef(HOSPITAL, "cell-lab")
    story.tell(returned.MaterialDestroyed(material=material("apheresis"), unit=CELL_LAB))
    assert _judge(story, _establish("apheresis"), NURSE) == {"AFTER_TERMINAL_ACT"}


def test_the_site_that_has_custody_may_establish_it() -> None:
    """The plant, of what it answers for."""
    story = Story().to_the_plant()
    assert _judge(story, _establish("apheresis", unit=SUITE), OPERATOR) == set()


def test_a_correction_puts_the_replacement_in_the_place_of_the_fact() -> None:
    """Both stay; what was found because of the wrong one falls."""
    story = Story().to_the_plant()
    wrong = story.divides("apheresis", [new("part", common.MATERIAL_KIND_INTERMEDIATE, 50)])
    assert story.codes(wrong) == {"VOLUME_IMBALANCE"}
    right = story.tell(
        modification.MaterialDivided(
            material=material("apheresis"),
            outputs=[new("part", common.MATERIAL_KIND_INTERMEDIATE, 98)],
            unit=SUITE,
            replaces=wrong.digest,
        ),
        OPERATOR,
    )
    assert story.judged(right).status is Status.AWAITING
    corrected = quality.StatementCorrected(corrected=wrong.digest, replacement=right.digest)
    assert _judge(story, corrected, OPERATOR) == set()
    story.tell(corrected, OPERATOR)

    case = story.case()
    assert case.judged[right.digest].status is Status.CONFORMING
    assert {one.code for one in case.judged[wrong.digest].findings} == {"SUPERSEDED"}
    assert not case.state.holds
    found = case.state.materials[material("part")].quantity
    assert found is not None
    assert found.value == 98


def test_a_retracted_start_leaves_its_bags_held() -> None:
    """The completion is there and rests on what did not happen."""
    story = Story()
    story.enrols()
    story.consents()
    completed = story.collects("apheresis")
    started = next(act for act in story.acts if act.body_type.endswith("CollectionStarted"))
    story.tell(quality.StatementRetracted(retracted=started.digest))
    assert story.codes(completed) == {"NAMES_RETRACTED"}
    assert story.case().state.holds_on(material("apheresis"))


def test_a_retracted_check_is_no_check() -> None:
    """Neither is an infusion's start that was retracted a start."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    stopped = story.stops_infusion("bag-1", started)
    story.tell(quality.StatementRetracted(retracted=check.digest))
    assert story.codes(started) == {"BEDSIDE_CHECK_MISSING", "NAMES_RETRACTED"}
    story.tell(quality.StatementRetracted(retracted=started.digest))
    assert story.codes(stopped) == {"NAMES_RETRACTED"}


def test_a_therapy_is_closed_when_all_has_ended() -> None:
    """Every reason against it is told."""
    story = Story().to_the_bedside()
    closure = returned.TherapyClosed(kept_until_unix_micros=story.now + 100 * DAY)
    story.starts_infusion("bag-1", story.checks_bedside("bag-1"))
    story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)))
    assert _judge(story, closure, NURSE) == {"MATERIALS_NOT_ENDED", "INFUSION_NOT_STOPPED", "HOLD_OPEN"}

    away = Story().to_the_collection()
    away.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    away.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    assert _judge(away, closure, NURSE) == {"MATERIALS_NOT_ENDED", "HANDOFF_OPEN"}

    ended = Story().to_the_end()
    assert _judge(ended, closure, NURSE) == {"ALREADY_CLOSED"}
    open_still = Story(acts=ended.acts[:-1], now=ended.now)
    assert _judge(open_still, closure, NURSE) == set()


def test_a_body_of_another_stream_is_refused() -> None:
    """A lot's status has a stream of its own."""
    story = Story().to_the_collection()
    assert _judge(story, modification.LotStatusChanged(status=modification.LOT_STATUS_RELEASED)) == {
        "BODY_NOT_OF_THERAPY"
    }


def test_holds_and_deviations_stay_within_the_therapys_stream() -> None:
    """A hold meant for a site holds the therapy at least; unknown material and batch are waited for."""
    story = Story().to_the_collection()
    hold = story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_SITE)))
    assert story.codes(hold) == {"SCOPE_OF_ANOTHER_STREAM"}
    assert story.case().state.holds_on(material("apheresis"))
    for kind, code in (
        (quality.SCOPE_KIND_MATERIAL, "MATERIAL_UNKNOWN"),
        (quality.SCOPE_KIND_BATCH, "BATCH_UNKNOWN"),
    ):
        waiting = story.tell(quality.DeviationRaised(scope=quality.Scope(kind=kind, ids=[material("nowhere")])))
        assert story.codes(waiting) == {code}
