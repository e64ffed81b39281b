"""Moving a therapy to another policy pack: who may, what for, and what is judged by which pack."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.policy import Json, PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import policy_pb2 as policy

from .stories import APHERESIS, HOUR, NURSE, PACK, REVIEWER, THERAPY, Story, new, outcome, volume


def _pack(**changed: Json) -> PolicyPack:
    return PolicyPack.parse(canonical_json(json.loads(sample_pack_bytes()) | changed))


STRICT = _pack(version=2, volume_tolerance="0.01")
STRICTEST = _pack(version=3, volume_tolerance="0")
OTHER_PRODUCT = _pack(product="another-product")
OTHER_LAW = _pack(jurisdiction="US")
PACKS = {one.digest: one for one in (PACK, STRICT, STRICTEST, OTHER_PRODUCT, OTHER_LAW)}


def _move(
    before: PolicyPack = PACK, after: bytes = STRICT.digest, reason: str = "version 2 is in force"
) -> policy.TherapyRepinned:
    return policy.TherapyRepinned(
        from_policy_digest=before.digest,
        to_policy_digest=after,
        circumstances=common.Circumstances(reason=reason),
    )


def _case(acts: list[Act]) -> TherapyCase:
    return TherapyCase(THERAPY, PACK, acts, pack_of=PACKS.get)


def _judge(story: Story, body: policy.TherapyRepinned) -> set[str]:
    told = Story(acts=list(story.acts), now=story.now)
    act = told.tell(body, REVIEWER, role="quality_reviewer", is_in_effect=False, seen=story.acts[-1:])
    found, _ = _case(story.acts).judge_authorisation(act)
    return {one.code for one in found}


@dataclass(slots=True)
class Moved:
    """A therapy whose bag is divided three times, each with 2 of 100 mL gone; it is moved between the first two."""

    story: Story = field(default_factory=Story)
    divisions: list[Act] = field(default_factory=list)
    moves: list[Act] = field(default_factory=list)

    def divides(self, number: int) -> None:
        """Divides a bag of 100 mL and loses 2 mL on the way, which the sample pack tolerates."""
        body = self.story.divides(
            f"bag-{number}",
            [new(f"sample-{number}", common.MATERIAL_KIND_SAMPLE, 48)],
            left=volume(50),
            signer=NURSE,
            unit=APHERESIS,
        )
        self.divisions.append(body)

    def moves_to(self, before: PolicyPack, after: PolicyPack) -> None:
        """Moves the therapy."""
        act = self.story.tell(_move(before, after.digest), REVIEWER, role="quality_reviewer")
        self.moves.append(act)


@pytest.fixture
def moved() -> Moved:
    """A therapy moved once, divided before and after."""
    told = Moved()
    told.story.to_the_collection("bag-1", "bag-2", "bag-3")
    told.divides(1)
    told.moves_to(PACK, STRICT)
    told.divides(2)
    return told


def test_what_comes_after_a_move_is_judged_by_the_new_pack(moved: Moved) -> None:
    """Two percent are within the old pack's tolerance, and beyond the new one's; the earlier is not judged again."""
    case = _case(moved.story.acts)
    before, after = moved.divisions
    assert case.judged[before.digest].status is Status.CONFORMING
    assert {one.code for one in case.judged[after.digest].findings} == {"VOLUME_IMBALANCE"}
    assert (case.pack, case.enrolled_pack) == (STRICT, PACK)
    assert case.state.policy_digest == STRICT.digest
    assert case.pack_digest_of(before.digest) == PACK.digest
    assert case.pack_digest_of(after.digest) == STRICT.digest


def test_without_a_move_both_are_judged_by_the_pack_of_the_enrolment(moved: Moved) -> None:
    """The same acts without the move conform: it is the move that makes the difference."""
    case = _case(moved.story.without(*moved.moves))
    assert {case.judged[one.digest].status for one in moved.divisions} == {Status.CONFORMING}
    assert {case.pack_digest_of(one.digest) for one in moved.divisions} == {PACK.digest}


@pytest.mark.parametrize("seed", range(30))
def test_moves_lead_to_the_same_whatever_the_order_of_delivery(moved: Moved, seed: int) -> None:
    """A move that arrives late makes the ledger judge again what stands behind it, and only that."""
    moved.moves_to(STRICT, STRICTEST)
    moved.divides(3)
    delivered = list(moved.story.acts)
    random.Random(seed).shuffle(delivered)
    case = TherapyCase(THERAPY, PACK, pack_of=PACKS.get)
    for act in delivered:
        case.append(act)
    straight = _case(moved.story.acts)
    assert outcome(case) == outcome(straight)
    assert [case.pack_digest_of(one.digest) for one in moved.divisions] == [
        PACK.digest,
        STRICT.digest,
        STRICTEST.digest,
    ]
    assert case.copy().pack is STRICTEST


def test_a_late_fact_that_happened_before_the_move_is_judged_by_the_old_pack(moved: Moved) -> None:
    """It is its place in the order that counts, not its arrival."""
    late = moved.divisions[0]
    case = _case(moved.story.without(late))
    assert case.append(late) == frozenset()
    assert case.judged[late.digest].status is Status.CONFORMING


def test_a_move_put_in_effect_later_judges_again_what_stands_behind_it(moved: Moved) -> None:
    """A pending move has no effect; once in effect it counts from its own place."""
    move = moved.moves[0]
    pending = [one for one in moved.story.acts if one.digest != move.digest]
    told = Story(acts=[], now=move.occurred_start)
    waiting = told.tell(_move(), REVIEWER, role="quality_reviewer", at=move.occurred_start, is_in_effect=False)
    case = _case([*pending, waiting])
    assert {case.judged[one.digest].status for one in moved.divisions} == {Status.CONFORMING}
    assert case.mark_in_effect(waiting.digest, 99) == {moved.divisions[1].digest}


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (_move(), set()),
        (_move(before=STRICT), {"PACK_NOT_IN_FORCE"}),
        (_move(after=PACK.digest), {"PACK_UNCHANGED"}),
        (_move(after=bytes(32)), {"POLICY_UNKNOWN"}),
        (_move(after=OTHER_PRODUCT.digest), {"PACK_OF_ANOTHER_PRODUCT"}),
        (_move(after=OTHER_LAW.digest), {"PACK_OF_ANOTHER_PRODUCT"}),
        (_move(reason=""), {"REASON_MISSING"}),
    ],
)
def test_a_move_names_both_packs_and_a_reason(body: policy.TherapyRepinned, codes: set[str]) -> None:
    """From the pack in force, to a published one of the same product and law, for a reason."""
    assert _judge(Story().to_the_collection(), body) == codes


def test_of_two_moves_from_the_same_pack_the_second_is_refused(moved: Moved) -> None:
    """Whoever signed it did not know the pack in force."""
    assert _judge(moved.story, _move(after=STRICTEST.digest)) == {"PACK_NOT_IN_FORCE"}
    assert _judge(moved.story, _move(before=STRICT, after=STRICTEST.digest)) == set()


def test_the_pack_of_a_moment_is_the_last_one_moved_to(moved: Moved) -> None:
    """Facts are met at entry by the pack that held when they happened."""
    case = _case(moved.story.acts)
    pins, now = case.state.pins, case.state.policy_digest
    at = moved.moves[0].occurred_start
    assert pins.at(at - 1, now) == PACK.digest
    assert pins.at(at, now) == pins.at(at + HOUR, now) == STRICT.digest
