"""The pack's order of steps outside manufacturing: within the therapy, whatever the order of delivery."""

from __future__ import annotations

from itertools import permutations

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.findings import rule_of
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.readiness import reasons
from cellcustody.ledger.custody.therapy_steps import ASKED_BY_PACK, ASKED_CLOSER, STANDS_FOR, breaks_order
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .packs import codes_under, member, pack_with, step
from .stories import NURSE, THERAPY, Story, material

SCREENED_FIRST = pack_with(step("DonorScreened"), step("CollectionStarted", "ConsentRecorded", "DonorScreened"))
SCREENED_IF_WANTED = pack_with(
    step("DonorScreened", "ConsentRecorded", optional=True), step("CollectionStarted", "DonorScreened")
)


def _screens(story: Story) -> Act:
    return story.tell(harvest.DonorScreened(), NURSE)


def _collecting(*, screened: bool) -> tuple[Story, Act, Act | None]:
    story = Story()
    story.enrols()
    story.consents()
    screening = _screens(story) if screened else None
    story.checks_identity()
    return story, story.starts_collection(), screening


def test_a_step_follows_those_that_the_pack_puts_before_it() -> None:
    """A donor is screened before the collection, where the pack says so and only there."""
    story, started, _ = _collecting(screened=False)
    assert "STEP_OUT_OF_ORDER" in codes_under(SCREENED_FIRST, story, started)
    assert "STEP_OUT_OF_ORDER" not in story.codes(started)
    story, started, _ = _collecting(screened=True)
    assert "STEP_OUT_OF_ORDER" not in codes_under(SCREENED_FIRST, story, started)


def test_what_comes_after_was_not_before() -> None:
    """The screening of the next day does not count."""
    story, started, _ = _collecting(screened=False)
    _screens(story)
    assert "STEP_OUT_OF_ORDER" in codes_under(SCREENED_FIRST, story, started)


def test_an_optional_step_is_not_asked_for_and_what_stands_before_it_is() -> None:
    """Consent stands before a screening that need not be."""
    story, started, _ = _collecting(screened=False)
    assert "STEP_OUT_OF_ORDER" not in codes_under(SCREENED_IF_WANTED, story, started)
    without = Story()
    without.enrols()
    without.checks_identity()
    started = without.starts_collection()
    assert codes_under(SCREENED_IF_WANTED, without, started) == {"CONSENT_MISSING"}  # Said once, by the closer rule.
    unscreened = pack_with(
        step("EligibilityAssessed"),
        step("DonorScreened", "EligibilityAssessed", optional=True),
        step("CollectionStarted", "DonorScreened"),
    )
    assert "STEP_OUT_OF_ORDER" in codes_under(unscreened, without, started)


def test_a_step_taken_back_was_not_done() -> None:
    """A retracted screening is none."""
    story, started, screening = _collecting(screened=True)
    assert screening is not None
    story.tell(quality.StatementRetracted(retracted=screening.digest))
    assert "STEP_OUT_OF_ORDER" in codes_under(SCREENED_FIRST, story, started)


def test_a_step_that_may_not_repeat_is_done_once() -> None:
    """Where the pack lets it repeat, nothing is found."""
    story, _, _ = _collecting(screened=True)
    second = _screens(story)
    assert "STEP_OUT_OF_ORDER" not in codes_under(SCREENED_FIRST, story, second)
    once = pack_with(step("DonorScreened", repeatable=False))
    assert "STEP_OUT_OF_ORDER" in codes_under(once, story, second)


def test_the_order_of_delivery_changes_nothing() -> None:
    """The screening may come last: the start is judged again, and its hold falls."""
    story, started, screening = _collecting(screened=True)
    assert screening is not None
    last_four = story.acts[-4:]
    found = set()
    for order in permutations(last_four):
        case = TherapyCase(THERAPY, SCREENED_FIRST, story.acts[:-4])
        for act in order:
            case.append(act)
        found.add((case.judged[started.digest], tuple(sorted(case.state.holds)), frozenset(case.state.steps_done)))
    assert len(found) == 1
    case = TherapyCase(THERAPY, SCREENED_FIRST, [act for act in story.acts if act is not screening])
    assert case.judged[started.digest].status is Status.NONCONFORMING
    assert case.state.holds
    assert started.digest in case.append(screening)
    assert "STEP_OUT_OF_ORDER" not in {one.code for one in case.judged[started.digest].findings}


def test_an_authorisation_is_held_to_the_order_too() -> None:
    """A closure after the first visit, in a pack that wants one."""
    story = Story().to_the_bedside()
    pack = pack_with(step("FollowUpRecorded"), step("TherapyClosed", "FollowUpRecorded"))
    closure = story.tell(returned.TherapyClosed(), is_in_effect=False)
    assert "STEP_OUT_OF_ORDER" in _refused_with(story, closure, pack)
    assert "STEP_OUT_OF_ORDER" not in _refused_with(story, closure, pack_with())


def _refused_with(story: Story, act: Act, pack: PolicyPack) -> set[str]:
    found, _ = TherapyCase(THERAPY, pack, [one for one in story.acts if one is not act]).judge_authorisation(
        act, pack=pack
    )
    return {one.code for one in found}


def test_a_bag_is_not_ready_while_a_step_before_its_infusion_is_missing() -> None:
    """The check at the bedside is still to come; what else the pack wants is not."""
    story = Story().to_the_bedside()
    state = story.case().state
    pack = pack_with(step("DonorScreened"), step("InfusionStarted", "BedsideChecked", "DonorScreened"))
    assert "STEP_OUT_OF_ORDER" in {one.code for one in reasons(state, material("bag-1"), story.now, pack)}
    assert not reasons(state, material("bag-1"), story.now, pack_with())


@pytest.mark.parametrize("release", ["BatchReleased", *sorted(STANDS_FOR["BatchReleased"])])
def test_any_kind_of_release_is_a_release(release: str) -> None:
    """A conditional one, and one outside specification."""
    pack = pack_with(step("BedsideChecked", "BatchReleased"))
    assert breaks_order(pack, "BedsideChecked", frozenset())
    assert not breaks_order(pack, "BedsideChecked", frozenset({release}))


def test_what_other_rules_ask_for_is_not_told_twice() -> None:
    """Each pair that is left out has a rule with a finding of its own."""
    for (after, before), code in ASKED_CLOSER.items():
        assert rule_of(code).code == code
        pack = pack_with(step(before), step(after, before))
        assert not breaks_order(pack, after, frozenset())


def test_what_the_pack_has_another_rule_ask_for_is_told_once() -> None:
    """Where that rule found it; where the pack does not have it ask, the order still does."""
    for (after, before), code in ASKED_BY_PACK.items():
        assert rule_of(code).code == code
        pack = pack_with(step(before), step(after, before))
        assert breaks_order(pack, after, frozenset())
        assert not breaks_order(pack, after, frozenset(), found=frozenset({code}))
    both = pack_with(
        step("DonorScreened"), step("SlotReserved"), step("CollectionStarted", "DonorScreened", "SlotReserved")
    )
    assert breaks_order(both, "CollectionStarted", frozenset(), found=frozenset({"SCREENING_MISSING"}))


def test_a_collection_without_its_kit_is_told_of_the_kit_alone() -> None:
    """Not of the order too, though the pack has the kit's receipt before it."""
    pack = pack_with(member("kit_required", True), step("KitReceived"), step("CollectionStarted", "KitReceived"))
    story = Story()
    story.enrols()
    story.consents()
    story.checks_identity()
    started = story.starts_collection()
    assert {one.code for one in TherapyCase(THERAPY, pack, story.acts).judged[started.digest].findings} == {
        "KIT_MISSING"
    }
