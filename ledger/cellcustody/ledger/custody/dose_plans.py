"""Judge, keep and follow the plan of a dose: which bags make it, in which order.

The rules:

* A plan names bags of the product that are there and whose doses are known, each once; what a patient was already
  given of an earlier plan may stand in a later one. The latest plan in effect counts.
* The doses add up, exactly, in one unit, to the total that is stated, and lie within the pack's limits: in all, or for
  each kilogram as stated. Unknown is never in range.
* Where the pack names components, each bag is of one of them, and their shares are in the pack's ratio within its
  tolerance.
* Bags are given in the order of their numbers; bags with one number in any order. The dose is complete when every bag
  of the plan was given wholly. What was drawn or washed from a bag is given in its place.

A plan permits nothing by itself: release, readiness and the check at the bedside stand as they are.
"""

from __future__ import annotations

from fractions import Fraction

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.balances import total
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_limits import Dose
from cellcustody.ledger.custody.therapy_judging import amount_of
from cellcustody.ledger.custody.therapy_state import DosePlan, Life, MaterialKind, MaterialState, TherapyState
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["bags_to_give", "check_planned", "evolve_planned", "is_complete", "is_in_turn"]

_GIVEN = (Life.INFUSED, Life.PARTIALLY_INFUSED)


# The plan.


def check_planned(
    state: TherapyState, act: Act, body: modification.DosePlanned, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against a plan."""
    leaves = act.leaves_of(1)
    if not body.bags:
        found.add("NO_MATERIAL")
        return
    bags: dict[bytes, MaterialState] = {}
    for index, planned in enumerate(body.bags):
        leaf = leaves[index : index + 1]
        material = state.materials.get(planned.material)
        if material is None:
            found.add("MATERIAL_UNKNOWN", leaf)
            continue
        if planned.material in bags:
            found.add("BAG_PLANNED_TWICE", leaf)
        if material.kind != MaterialKind.PRODUCT:
            found.add("NOT_A_PRODUCT", leaf)
        if material.life.has_ended and material.life not in _GIVEN:
            found.add("AFTER_TERMINAL_ACT", leaf)
        bags[planned.material] = material
    if len(bags) < len(body.bags):
        return
    doses = total(bag.dose for bag in bags.values())
    if doses is None:
        found.add("DOSE_UNKNOWN", leaves)
        return
    if body.HasField("total"):
        stated = amount_of(body.total)
        if stated.unit != doses.unit or stated.value != doses.value:
            found.add("DOSE_NOT_THE_SUM", act.leaves_of(2))
    if pack.dose is not None:
        _check_limits(act, body, pack.dose, doses.unit, doses.value, found)
        _check_ratio(act, pack.dose, list(bags.values()), found)


def _check_limits(
    act: Act, body: modification.DosePlanned, dose: Dose, unit: str, whole: Fraction | None, found: Findings
) -> None:
    if dose.per_kilogram:
        if not body.HasField("per_kilogram"):
            found.add("DOSE_UNKNOWN", act.leaves_of(3))
            return
        stated = amount_of(body.per_kilogram)
        unit, whole = stated.unit, stated.value
    if unit != dose.unit or whole is None or not dose.holds(whole):
        found.add("DOSE_OUT_OF_LIMITS", act.leaves_of(1, 2, 3))


def _check_ratio(act: Act, dose: Dose, bags: list[MaterialState], found: Findings) -> None:
    if not dose.components:
        return
    shares = {one.component: Fraction(0) for one in dose.components}
    for bag in bags:
        if bag.component not in shares:
            found.add("DOSE_RATIO_WRONG", act.leaves_of(1))
            return
        value = None if bag.dose is None else bag.dose.value
        shares[bag.component] += value or 0
    whole, parts = sum(shares.values()), sum(one.parts for one in dose.components)
    for one in dose.components:
        expected = whole * Fraction(one.parts, parts)
        if abs(shares[one.component] - expected) > dose.ratio_tolerance * expected:
            found.add("DOSE_RATIO_WRONG", act.leaves_of(1))


def evolve_planned(state: TherapyState, act: Act, body: modification.DosePlanned, judged: Judged) -> None:
    """Lets a plan count from now on."""
    state.dose_plan = DosePlan(act.digest, tuple((bag.material, bag.order) for bag in body.bags))


# Following it.


def bags_to_give(state: TherapyState) -> tuple[bytes, ...]:
    """Returns the bags of the plan that were not given wholly, in the plan's order; empty without a plan."""
    if state.dose_plan is None:
        return ()
    waiting = [
        (order, bag)
        for bag, order in state.dose_plan.bags
        if not all(one is not None and one.life is Life.INFUSED for one in _given_as(state, bag))
    ]
    return tuple(bag for _, bag in sorted(waiting))


def is_complete(state: TherapyState) -> bool:
    """Tells whether every bag of the plan was given wholly; False without a plan."""
    return state.dose_plan is not None and not bags_to_give(state)


def is_in_turn(state: TherapyState, material: bytes) -> bool:
    """Tells whether a bag may be given next by the plan: it stands in it, and none before it was not begun.

    Without a plan any bag is in turn.
    """
    if state.dose_plan is None:
        return True
    orders = dict(state.dose_plan.bags)
    planned = next((one.material for one in state.line_of(material) if one.material in orders), None)
    if planned is None:
        return False
    return all(
        order >= orders[planned] or any(_was_begun(state, one) for one in _given_as(state, bag))
        for bag, order in state.dose_plan.bags
    )


def _was_begun(state: TherapyState, one: MaterialState | None) -> bool:
    """Tells whether some of a bag was given, whatever became of the rest."""
    if one is None or one.life in _GIVEN:
        return one is not None
    return any(
        infusion.material == one.material and infusion.outcome == returned.INFUSION_OUTCOME_PARTIAL
        for infusion in state.infusions.values()
    )


def _given_as(state: TherapyState, bag: bytes) -> list[MaterialState | None]:
    """Returns what a bag is given as: itself, or the syringes and bags that it was drawn or washed into."""
    found = state.materials.get(bag)
    if found is None or found.life is not Life.USED:
        return [found]
    drawn = [one for child in found.children if (one := state.materials[child]).kind == MaterialKind.PRODUCT]
    return [part for one in drawn for part in _given_as(state, one.material)]
