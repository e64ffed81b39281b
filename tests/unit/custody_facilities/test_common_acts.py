"""Declined co-signatures, closed deviations, complaints: what every kind of stream takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.custody_therapy.packs import case_under, member, pack_with
from tests.unit.custody_therapy.stories import (
    NURSE,
    PACK,
    REVIEWER,
    SECOND_NURSE,
    SECOND_REVIEWER,
    Delivery,
    Story,
    case_of,
    outcome,
)

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.exceptions import Kind, emergency_use, exceptional_acts
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.signatures import Outstanding, waits_for
from cellcustody.ledger.custody.therapy_authorisations import judge_authorisation
from cellcustody.ledger.registry.records import EmergencyGrant
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality

THERAPY_SCOPE = quality.Scope(kind=quality.SCOPE_KIND_THERAPY)
SECOND_MICROS = 1_000_000


def pending_release() -> tuple[Story, Act]:
    """Returns a story up to a release of both bags that waits for its second person."""
    story = Story()
    story.to_the_product()
    for test in ("identity", "sterility", "viability"):
        story.reports(test)
    return story, story.releases_batch("bag-1", "bag-2", is_in_effect=False)


def declines(story: Story, declined: Act, signer: bytes, role: str = "quality_reviewer") -> Act:
    """Somebody declines."""
    return story.tell(quality.CoSignatureDeclined(declined=declined.digest, grounds="trace missing"), signer, role=role)


def waiting(story: Story, act: Act) -> Outstanding | None:
    """Returns the act among those that wait."""
    return next((one for one in story.case().outstanding() if one.digest == act.digest), None)


def test_a_pending_release_waits_for_another_person_until_its_time_is_over() -> None:
    """Not for its signer, not for whoever joined, not after the pack's time."""
    story, release = pending_release()
    found = waiting(story, release)
    assert found is not None
    assert waits_for(found, SECOND_REVIEWER, ("quality_reviewer",), found.due)
    assert not waits_for(found, REVIEWER, ("quality_reviewer",), found.due)
    assert not waits_for(found, SECOND_REVIEWER, ("quality_reviewer",), found.due + 1)
    assert not waits_for(replace(found, roles=frozenset(("head",))), SECOND_REVIEWER, ("nurse",), found.due)
    assert waits_for(replace(found, roles=frozenset(("head",))), SECOND_REVIEWER, ("head",), found.due)
    assert not waits_for(replace(found, said=frozenset((SECOND_REVIEWER,))), SECOND_REVIEWER, (), found.due)
    assert found.has_lapsed(found.due + 1)
    assert not replace(found, is_authorisation=False).has_lapsed(found.due + 1)


def test_a_declined_release_waits_for_nobody() -> None:
    """The one who declines ends it; its signer may too."""
    for signer in (SECOND_REVIEWER, REVIEWER):
        story, release = pending_release()
        said = declines(story, release, signer)
        assert story.judged(said).status is Status.CONFORMING
        assert waiting(story, release) is None
        assert set(story.case().state.declines) == {release.digest}


def test_whoever_is_not_asked_ends_nothing_by_declining() -> None:
    """It is shown, and the release goes on waiting; so where nothing is asked for."""
    story = Story()
    enrolled = story.enrols()
    said = declines(story, enrolled, SECOND_NURSE)
    assert story.codes(said) == {"DECLINES_NOTHING"}
    assert story.judged(said).status is Status.CONFORMING
    assert not story.case().state.declines


def test_only_who_could_co_sign_declines() -> None:
    """Under a pack that names the roles another role's word ends nothing; the signer may always take his back."""
    asked = {"BatchReleased": {"number": 1, "roles": ["quality_head"], "window_seconds": 86_400}}
    pack = pack_with(member("co_signing", asked))
    for signer, role, codes in (
        (SECOND_REVIEWER, "quality_reviewer", {"DECLINED_WITHOUT_SAY"}),
        (SECOND_REVIEWER, "quality_head", set()),
        (REVIEWER, "quality_reviewer", set()),
    ):
        story, release = pending_release()
        said = declines(story, release, signer, role)
        case = case_under(pack, story)
        assert codes_of(case.judged[said.digest].findings) == codes
        assert set(case.state.declines) == (set() if codes else {release.digest})


def test_a_declined_fact_stands_and_waits_for_somebody_else() -> None:
    """The check was made; who declined is not asked again."""
    story = Story()
    story.enrols()
    checked = story.checks_identity(second=None)
    declines(story, checked, SECOND_NURSE, role="nurse")
    found = waiting(story, checked)
    assert found is not None
    assert not waits_for(found, SECOND_NURSE, ("nurse",), found.due)
    assert waits_for(found, REVIEWER, ("nurse",), found.due)


def test_declining_is_the_same_in_any_order_of_delivery() -> None:
    """Delivered before what it declines, it waits."""
    story, release = pending_release()
    said = declines(story, release, SECOND_REVIEWER)
    delivery = Delivery()
    for act in (*(one for one in story.acts if one is not release), release):
        delivery.deliver(act)
    assert outcome(delivery.case) == outcome(case_of(story.acts))
    assert delivery.case.judged[said.digest].status is Status.CONFORMING
    assert release.digest in delivery.case.state.declines


def test_a_deviation_is_closed_once_and_then_no_longer_shown_at_release() -> None:
    """An open one is."""
    story, release = pending_release()
    raised = story.tell(quality.DeviationRaised(reference="D-1", scope=THERAPY_SCOPE), REVIEWER)
    assert "DEVIATION_RAISED" in codes_of(judge_authorisation(story.case().state, release, PACK))
    body = quality.DeviationClosed(deviation=raised.digest, capa_reference="CAPA-7", outcome="no effect")
    closed = story.tell(body, REVIEWER, role="quality_reviewer")
    state = story.case().state
    assert state.deviations_closed == {raised.digest: closed.digest}
    assert "DEVIATION_RAISED" not in codes_of(judge_authorisation(state, release, PACK))
    assert codes_of(judge_authorisation(state, closed, PACK)) == {"DEVIATION_CLOSED_ALREADY"}


def test_only_a_deviation_is_closed() -> None:
    """What is not here may come; what is something else is refused."""
    story = Story()
    story.enrols()
    placed = story.tell(quality.HoldPlaced(scope=THERAPY_SCOPE, grounds="wait"), REVIEWER)
    other = story.tell(quality.DeviationClosed(deviation=placed.digest), REVIEWER, is_in_effect=False)
    unknown = story.tell(quality.DeviationClosed(deviation=bytes(32)), REVIEWER, is_in_effect=False)
    state = story.case().state
    assert codes_of(judge_authorisation(state, other, PACK)) == {"NO_DEVIATION"}
    assert codes_of(judge_authorisation(state, unknown, PACK)) == {"TARGET_UNKNOWN"}


def test_a_complaint_is_noted_and_holds_nothing() -> None:
    """It may name the deviation that it led to, and nothing else."""
    story = Story()
    enrolled = story.enrols()
    raised = story.tell(quality.DeviationRaised(reference="D-1", scope=THERAPY_SCOPE), REVIEWER)
    complaint = story.tell(
        quality.ComplaintRecorded(reference="B-1", scope=THERAPY_SCOPE, deviation=raised.digest), NURSE
    )
    wrong = story.tell(quality.ComplaintRecorded(reference="B-2", deviation=enrolled.digest), NURSE)
    state = story.case().state
    assert story.judged(complaint).status is Status.CONFORMING
    assert story.codes(wrong) == {"OTHER_STATEMENT_NAMED"}
    assert not [hold for hold in state.holds.values() if hold.statement_digest == complaint.digest]
    assert set(state.complaints.values()) == {"B-1", "B-2"}


def test_what_went_another_way_is_listed_with_its_reason() -> None:
    """Overrides, what passed by them, emergencies and nonconforming facts; nothing else."""
    story = Story()
    enrolled = story.enrols()
    override = story.tell(
        quality.GateOverridden(gate="BUDGET_EXCEEDED", circumstances=common.Circumstances(reason="storm")), REVIEWER
    )
    checked = story.checks_identity()
    judged = {
        enrolled.digest: Judged(Status.IN_EFFECT, (Finding("EMERGENCY_CREDENTIAL"),)),
        override.digest: Judged(Status.IN_EFFECT),
        checked.digest: Judged(Status.NONCONFORMING, (Finding("GATE_OVERRIDDEN"), Finding("IDENTITY_MISMATCH"))),
    }
    listed = list(exceptional_acts([enrolled, override, checked], judged))
    assert [(one.kind, one.digest) for one in listed] == [
        (Kind.EMERGENCY, enrolled.digest),
        (Kind.OVERRIDE, override.digest),
        (Kind.OVERRIDDEN, checked.digest),
        (Kind.NONCONFORMING, checked.digest),
    ]
    assert (listed[1].gate, listed[1].reason) == ("BUDGET_EXCEEDED", "storm")
    assert listed[3].codes == ("IDENTITY_MISMATCH",)
    pending = {override.digest: Judged(Status.PENDING)}
    assert list(exceptional_acts([override], pending)) == []


@pytest.mark.parametrize(("since", "count"), [(0, 1), (1, 0)])
def test_an_emergency_credential_lists_what_was_signed_under_it(since: int, count: int) -> None:
    """And is to be reviewed once it was used."""
    story = Story()
    enrolled = story.enrols()
    listed = list(
        exceptional_acts([enrolled], {enrolled.digest: Judged(Status.IN_EFFECT, (Finding("EMERGENCY_CREDENTIAL"),))})
    )
    begins = enrolled.signed_at + since
    grant = EmergencyGrant(
        b"g" * 32, NURSE, enrolled.site, frozenset(("nurse",)), begins, begins + 60 * SECOND_MICROS, (REVIEWER,)
    )
    (use,) = emergency_use([grant], listed, {})
    assert len(use.statements) == count
    assert use.is_to_review is bool(count)
    (reviewed,) = emergency_use([grant], listed, {grant.digest: b"r" * 32})
    assert not reviewed.is_to_review


def test_the_built_in_pack_asks_for_what_the_contract_asks() -> None:
    """A settlement of a number takes two persons under any pack."""
    assert DEFAULT_PACK.co_signing_for("DonationNumberSettled", 1).number == 1
