"""Recalls and disputed donation numbers: what a lot went into, what is due there, whose number it is."""

from __future__ import annotations

import itertools
from dataclasses import replace

from google.protobuf.message import Message
from tests.unit.custody_therapy.stories import (
    CELL_LAB,
    DIN,
    NURSE,
    OPERATOR,
    OTHER_THERAPY,
    PACK,
    RETURN,
    REVIEWER,
    SUITE,
    Delivery,
    Story,
    case_of,
    material,
    outcome,
)

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.recall_records import RecallAction
from cellcustody.ledger.custody.recalls import (
    Whereabouts,
    lots_inside,
    materials_of_lot,
    recall_fan_out,
    recall_of,
)
from cellcustody.ledger.custody.references import din_key
from cellcustody.ledger.custody.therapy_authorisations import judge_authorisation
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

LOT = bytes([3]) + b"v" * 16
OTHER_LOT = bytes([3]) + b"w" * 16
QUARANTINE = facilities.RECALL_ACTION_QUARANTINE
NOTIFY = facilities.RECALL_ACTION_NOTIFY_PHYSICIAN


class LotStory(Story):
    """A story in which the vector's lot has a stream."""

    def lot_used(self) -> LotStory:
        """Names the lot in the step of modification."""
        for act in self.acts:
            if isinstance(act.body, modification.ModificationPerformed):
                act.body.vector_lot.lot = LOT
        return self

    def takes(
        self,
        action: facilities.RecallAction.ValueType,
        *bags: str,
        lot: bytes = LOT,
        signer: bytes = OPERATOR,
        unit: common.Unit = SUITE,
    ) -> Act:
        """Somebody acts on the recall."""
        body = facilities.RecallActionTaken(
            lot=lot, action=action, materials=[material(bag) for bag in bags], unit=unit
        )
        return self.tell(body, signer)

    @property
    def state(self) -> TherapyState:
        """The therapy as told."""
        return self.case().state


def story(chapter: str) -> LotStory:
    """Returns a story up to a chapter."""
    told = LotStory()
    getattr(told, chapter)()
    return told.lot_used()


def also_uses(told: LotStory, step: type[Message], lot: bytes) -> None:
    """Names one more lot in a step."""
    for act in told.acts:
        if isinstance(act.body, step) and isinstance(
            act.body, modification.ModificationPerformed | modification.FormulationPerformed
        ):
            act.body.lots.add(lot=lot, lot_number="another", kind="reagent")


def due(told: LotStory) -> dict[bytes, RecallAction | None]:
    """Returns what is due for each material of the lot."""
    return {one.material: one.action for one in recall_of(told.state, LOT)}


def test_a_lot_is_traced_forward_and_back_through_steps_and_divisions() -> None:
    """Into all that was made since the step, and not into what was before; and the same backwards."""
    told = story("to_the_release")
    names = ("modified", "expanded", "formulated", "bag-1", "bag-2", "sample")
    assert set(materials_of_lot(told.state, LOT)) == {material(name) for name in names}
    assert materials_of_lot(told.state, OTHER_LOT) == ()
    assert [use.lot for use in lots_inside(told.state, [material("bag-1")])] == [LOT]
    assert lots_inside(told.state, [material("activated")]) == ()


def test_what_is_due_follows_from_where_a_bag_is() -> None:
    """In the store, on the way, infused, gone."""
    told = story("to_the_release")
    assert due(told)[material("bag-1")] is RecallAction.QUARANTINE
    assert due(told)[material("sample")] is None
    told.opens_consignment(RETURN, SUITE, CELL_LAB, OPERATOR)
    told.packs("bag-1", RETURN, SUITE, OPERATOR)
    assert due(told)[material("bag-1")] is RecallAction.STOP_AND_RETURN
    assert due(told)[material("bag-2")] is RecallAction.QUARANTINE
    ended = story("to_the_end")
    assert due(ended)[material("bag-1")] is RecallAction.NOTIFY_PHYSICIAN
    assert due(ended)[material("bag-2")] is None
    where = {one.material: one.whereabouts for one in recall_of(ended.state, LOT)}
    assert where[material("bag-2")] is Whereabouts.GONE


def test_an_action_closes_what_was_due_and_a_quarantine_holds() -> None:
    """For the material it names alone; what is still to do comes first."""
    told = story("to_the_release")
    taken = told.takes(QUARANTINE, "bag-1")
    assert told.judged(taken).status is Status.CONFORMING
    closed = {one.material: one.closed_by for one in recall_of(told.state, LOT)}
    assert closed[material("bag-1")] == taken.digest
    assert closed[material("bag-2")] == b""
    fan_out = recall_fan_out(LOT, [told.state])
    assert [one.material for one in fan_out if one.is_open] == [fan_out[0].material] == [material("bag-2")]
    hold = told.state.holds[hold_id(taken.digest, "RECALL_QUARANTINE")]
    assert hold.materials == {material("bag-1")}


def test_what_was_quarantined_and_then_infused_is_due_again() -> None:
    """The physician is told, whatever was done before."""
    told = story("to_the_release")
    told.takes(QUARANTINE, "bag-1")
    ended = story("to_the_end")
    early = ended.takes(QUARANTINE, "bag-1")
    assert ended.codes(early) == {"RECALL_ACTION_NOT_DUE"}
    assert {one.material for one in recall_of(ended.state, LOT) if one.is_open} == {material("bag-1")}
    ended.takes(NOTIFY, "bag-1", signer=NURSE, unit=CELL_LAB)
    assert not any(one.is_open for one in recall_of(ended.state, LOT))


def test_an_action_on_another_lot_closes_nothing_of_this_one() -> None:
    """Both went into the same bags: each has its own action, and names its own uses."""
    told = story("to_the_release")
    also_uses(told, modification.ModificationPerformed, OTHER_LOT)
    mine = told.takes(QUARANTINE, "bag-1")
    closed = {one.material: one for one in recall_of(told.state, OTHER_LOT)}
    assert closed[material("bag-1")].closed_by == b""
    theirs = told.takes(QUARANTINE, "bag-1", lot=OTHER_LOT)
    closed = {one.material: one for one in recall_of(told.state, OTHER_LOT)}
    assert closed[material("bag-1")].closed_by == theirs.digest
    own = {one.material: one for one in recall_of(told.state, LOT)}
    assert own[material("bag-1")].closed_by == mine.digest
    uses = [use for use in told.state.lots if use.lot == LOT]
    assert own[material("bag-1")].used_by == tuple(use.digest for use in uses)
    others = [use for use in told.state.lots if use.lot == OTHER_LOT]
    assert closed[material("bag-1")].used_by == tuple(use.digest for use in others)


def test_a_use_that_came_later_is_none_of_an_earlier_material() -> None:
    """A lot that went into the formulation is not named for what was made before it."""
    told = story("to_the_release")
    also_uses(told, modification.FormulationPerformed, LOT)
    dues = {one.material: one for one in recall_of(told.state, LOT)}
    assert len(dues[material("modified")].used_by) == 1
    assert len(dues[material("bag-1")].used_by) == 2


def test_an_action_names_materials_of_the_lot_for_the_signers_own_site() -> None:
    """Another lot's materials, another site's unit, no material at all."""
    told = story("to_the_release")
    assert told.codes(told.takes(QUARANTINE, "activated")) == {"RECALL_OF_ANOTHER_LOT"}
    assert told.codes(told.takes(QUARANTINE, "bag-1", lot=OTHER_LOT)) == {"RECALL_OF_ANOTHER_LOT"}
    assert told.codes(told.takes(QUARANTINE, "bag-1", unit=CELL_LAB)) == {"SIGNED_FOR_ANOTHER_SITE"}
    assert told.codes(told.takes(QUARANTINE)) == {"NO_MATERIAL"}


def test_a_recall_ends_alike_in_any_order_of_delivery() -> None:
    """The action delivered before the step that used the lot, and after."""
    told = story("to_the_release")
    told.takes(QUARANTINE, "bag-1")
    last = [told.acts[-1]]
    steps = [act for act in told.acts if isinstance(act.body, modification.ModificationPerformed)]
    others = [act for act in told.acts if act not in (*last, *steps)]
    expected = outcome(case_of(told.acts))
    for tail in itertools.permutations((*last, *steps)):
        delivery = Delivery()
        for act in (*others, *tail):
            delivery.deliver(act)
        assert outcome(delivery.case) == expected
        assert recall_of(delivery.case.state, LOT) == recall_of(told.state, LOT)


# Donation numbers in dispute. ---------------------------------------------------------------------------------------

CLAIMED = {din_key(DIN): frozenset((OTHER_THERAPY,))}


def disputed() -> tuple[Story, Act, facilities.DonationNumberSettled]:
    """Returns a story in which another therapy claims the number too, the claim, and a settlement."""
    told = Story()
    told.enrols()
    told.consents()
    told.checks_identity()
    claim = told.starts_collection()
    return told, claim, facilities.DonationNumberSettled(din=DIN, claim=claim.digest, grounds="run sheet")


def test_a_settled_number_is_no_longer_held_and_stays_told_as_disputed() -> None:
    """The finding stays in the history; the hold ends."""
    told, claim, body = disputed()
    hold = hold_id(claim.digest, "DIN_CLAIMED_TWICE")
    assert hold in told.case(creators=CLAIMED).state.holds
    settled = told.tell(body, REVIEWER, is_in_effect=False)
    assert judge_authorisation(told.case(creators=CLAIMED).state, settled, PACK) == ()
    told.acts[-1] = settled = replace(settled, in_effect_at=settled.leaf_index)
    case = told.case(creators=CLAIMED)
    assert hold not in case.state.holds
    assert codes_of(case.judged[claim.digest].findings) == {"DIN_CLAIMED_TWICE"}
    assert list(case.state.settled_dins.values()) == [settled.digest]


def test_only_a_number_in_dispute_is_settled_and_for_the_collection_that_bears_it() -> None:
    """Nobody claims it twice; another statement bears another number; a claim not here may come."""
    told, claim, body = disputed()
    calm = told.tell(body, REVIEWER, is_in_effect=False)
    other = told.tell(
        facilities.DonationNumberSettled(din="A999925000009", claim=claim.digest), REVIEWER, is_in_effect=False
    )
    unknown = told.tell(facilities.DonationNumberSettled(din=DIN, claim=bytes(32)), REVIEWER, is_in_effect=False)
    state = told.case(creators=CLAIMED).state
    assert codes_of(judge_authorisation(told.case().state, calm, PACK)) == {"DIN_NOT_DISPUTED"}
    assert codes_of(judge_authorisation(state, other, PACK)) == {"CLAIM_OF_ANOTHER_NUMBER"}
    assert codes_of(judge_authorisation(state, unknown, PACK)) == {"PREDECESSOR_MISSING"}


def test_no_other_lifting_ends_the_dispute() -> None:
    """A HoldLifted is refused."""
    told, claim, _ = disputed()
    lifting = told.tell(
        quality.HoldLifted(holds=[hold_id(claim.digest, "DIN_CLAIMED_TWICE")]),
        REVIEWER,
        role="quality_reviewer",
        is_in_effect=False,
    )
    found = judge_authorisation(told.case(creators=CLAIMED).state, lifting, PACK)
    assert codes_of(found) == {"LIFTING_NOT_PERMITTED"}
