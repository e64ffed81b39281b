"""Facts delivered in any order end in the same judgements, custody, genealogy and holds."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.therapy_state import custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    APHERESIS,
    DRIVER,
    MATCHING,
    MISMATCHING,
    NURSE,
    OPERATOR,
    OTHER_COI,
    OUTWARD,
    PLANT,
    SECOND_NURSE,
    SUITE,
    VAN,
    Delivery,
    Story,
    case_of,
    material,
    new,
    outcome,
)


def _happy() -> list[Act]:
    return Story().to_the_end().acts


def _troubled() -> list[Act]:
    """A therapy in which much goes wrong and some of it is put right."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity(second=None)
    story.completes_collection(story.starts_collection(), "apheresis")
    story.labels("apheresis", coi=OTHER_COI)
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    release = story.releases(OUTWARD, APHERESIS, VAN, NURSE)
    story.accepts(release, SUITE, OPERATOR)
    accepted = story.accepts(release, VAN, DRIVER)
    story.hands_over(OUTWARD, VAN, SUITE, DRIVER, OPERATOR)
    story.receives("apheresis", OUTWARD, SUITE, OPERATOR, intact=False)
    story.tell(quality.HoldPlaced(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)), OPERATOR, seen=[accepted])
    story.accessions("apheresis")
    story.divides("apheresis", [new("sample", common.MATERIAL_KIND_SAMPLE, 60)])
    story.checks_bedside("sample", comparisons=MISMATCHING)
    infused = story.starts_infusion("sample", None)
    wrong = story.tell(
        returned.InfusionStopped(
            material=material("sample"), started=infused.digest, outcome=returned.INFUSION_OUTCOME_PARTIAL
        )
    )
    right = story.tell(
        returned.InfusionStopped(
            material=material("sample"),
            started=infused.digest,
            outcome=returned.INFUSION_OUTCOME_COMPLETE,
            replaces=wrong.digest,
        )
    )
    story.tell(quality.StatementCorrected(corrected=wrong.digest, replacement=right.digest))
    story.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    return story.acts


def _deliver(acts: list[Act]) -> Delivery:
    delivery = Delivery()
    for act in acts:
        delivery.deliver(act)
    return delivery


@pytest.mark.parametrize("told", [_happy, _troubled])
def test_appending_one_by_one_ends_where_folding_at_once_ends(told: object) -> None:
    """The cheap path of an act that sorts last and the fold from scratch agree after every single act."""
    assert callable(told)
    acts: list[Act] = told()
    delivery = Delivery()
    for count, act in enumerate(acts, start=1):
        delivery.deliver(act)
        assert outcome(delivery.case) == outcome(case_of(acts[:count]))


@pytest.mark.parametrize("told", [_happy, _troubled])
def test_delivery_backwards_ends_in_the_same_state(told: object) -> None:
    """The last fact may come first."""
    assert callable(told)
    acts: list[Act] = told()
    assert outcome(_deliver(acts[::-1]).case) == outcome(case_of(acts))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32), troubled=st.booleans())
def test_any_order_of_delivery_ends_in_the_same_state(seed: int, troubled: bool) -> None:
    """A sample of all orders: judgements, custody, genealogy, identity and holds are the same."""
    acts = _troubled() if troubled else _happy()
    shuffled = list(acts)
    random.Random(seed).shuffle(shuffled)

    assert outcome(_deliver(shuffled).case) == outcome(case_of(acts))


def test_six_facts_of_two_outboxes_in_all_720_orders() -> None:
    """Two sites come back on line; whoever delivers what first, the same state and holds come of it."""
    story = Story()
    story.to_the_collection()
    story.opens_consignment(OUTWARD, APHERESIS, SUITE, NURSE)
    begun = list(story.acts)
    story.packs("apheresis", OUTWARD, APHERESIS, NURSE)
    release = story.releases(OUTWARD, APHERESIS, SUITE, NURSE)
    story.accepts(release, SUITE, OPERATOR)
    story.receives("apheresis", OUTWARD, SUITE, OPERATOR, coi_read=OTHER_COI)
    story.accessions("apheresis")
    story.tell(harvest.MaterialMoved(material=material("apheresis"), position=common.Position(unit=SUITE)), OPERATOR)
    six = story.acts[len(begun) :]
    assert len(six) == 6
    expected = outcome(case_of(story.acts))

    orders = 0
    for order in itertools.permutations(six):
        delivery = _deliver(begun)
        for act in order:
            delivery.deliver(act)
        assert outcome(delivery.case) == expected
        orders += 1
    assert orders == 720
    state = case_of(story.acts).state
    assert custody_of(state, material("apheresis"))[0] == UnitRef(PLANT, "suite")
    assert {hold.code for hold in state.holds.values()} >= {"IDENTITY_MISMATCH", "IDENTITY_BROKEN"}


def test_a_fact_that_waits_holds_nothing_and_takes_its_place_later() -> None:
    """A receipt before its packing waits without a hold; the packing's arrival is told as a change of its judgement."""
    story = Story().to_the_plant()
    packed = next(act for act in story.acts if act.body_type.endswith("MaterialPacked"))
    received = story.acts[-1]
    delivery = _deliver(story.without(packed))

    assert delivery.case.judged[received.digest].status is Status.AWAITING
    assert not delivery.case.state.holds

    delivery.deliver(packed)
    assert delivery.revised[-1] == {received.digest}
    assert delivery.case.judged[received.digest].status is Status.CONFORMING


def test_a_hold_falls_with_the_finding_that_opened_it() -> None:
    """The second person's signature comes from an outbox after the infusion: the finding and its hold are gone."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1", second=None)
    started = story.starts_infusion("bag-1", check)
    assert story.codes(started) == {"SECOND_PERSON_MISSING"}
    delivery = _deliver(story.acts)
    assert delivery.case.state.holds

    delivery.deliver(story.join(check, SECOND_NURSE))
    assert delivery.case.judged[started.digest].status is Status.CONFORMING
    assert not delivery.case.state.holds


def test_news_of_a_consignment_judges_a_receipt_anew() -> None:
    """An acceptance that arrives late takes back the finding that the receiver did not answer for the container."""
    story = Story().to_the_plant()
    accepted = [act for act in story.acts if act.body_type.endswith("CustodyAccepted")][-1]
    received = story.acts[-1]
    delivery = _deliver(story.without(accepted))
    assert {one.code for one in delivery.case.judged[received.digest].findings} == {"NOT_CUSTODIAN"}

    delivery.deliver(accepted)
    assert delivery.revised[-1] == {received.digest}
    assert not delivery.case.state.holds


def test_a_withdrawal_that_occurred_before_the_collection_is_found_however_late_it_arrives() -> None:
    """Consent counts as of its own time, not as of its arrival."""
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity()
    started = story.starts_collection()
    delivery = _deliver(story.acts)
    assert delivery.case.judged[started.digest].status is Status.CONFORMING

    withdrawal = story.tell(
        harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_COLLECTION]), at=started.occurred_start - 1
    )
    delivery.deliver(withdrawal)
    assert {one.code for one in delivery.case.judged[started.digest].findings} == {"CONSENT_MISSING"}


def test_copies_and_previews_leave_the_case_alone() -> None:
    """What a preview tells is what appending does."""
    story = Story().to_the_collection()
    case = story.case()
    before = outcome(case)
    check = story.checks_identity(comparisons=MATCHING)
    told, _ = case.preview(check)

    assert outcome(case) == before
    assert story.judged(check) == told
    assert outcome(case.copy()) == before


def test_recorded_judgements_lead_to_the_same_state_without_judging() -> None:
    """A view takes judgements as they were recorded; the state is the writer's."""
    from cellcustody.ledger.custody.case import TherapyCase

    acts = _troubled()
    written = case_of(acts)
    own = [act for act in acts if act.stream == written.stream]
    view = TherapyCase(
        written.stream,
        written.pack,
        own,
        written.references,
        recorded={act.digest: written.judged[act.digest] for act in own},
    )

    assert outcome(view) == outcome(written)
