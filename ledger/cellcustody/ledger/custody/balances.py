"""Find where quantities and containers do not add up, and yields that no culture has.

The rules of this module:

* What conserves (division, pooling, transfer, filling) balances: what went in and was added is what came out, is left
  and was lost, none of them negative, in one unit, within the pack's tolerance.
* Containers taken from stock are filled, spoiled or given back, within the pack's tolerance; as many are filled as
  materials are made. A filling counts its containers.
* What grows (a step for which the pack gives a yield) makes new material whose quantity was measured, and as much of
  it as the pack finds plausible: by the cells counted, or by the quantities of the materials.
* Unknown is never in balance and never plausible. The arithmetic is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from cellcustody.ledger.custody.genealogy import balance, units_agree
from cellcustody.ledger.custody.manufacturing_acts import StepBody
from cellcustody.ledger.custody.therapy_judging import Judging, amount_of
from cellcustody.ledger.custody.therapy_state import Amount
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["check_balance", "check_containers", "check_no_more", "check_yield", "total"]

_COUNTED = (
    modification.SelectionPerformed
    | modification.ActivationPerformed
    | modification.ModificationPerformed
    | modification.ExpansionPerformed
    | modification.CultureHarvested
    | modification.FormulationPerformed
)


def total(amounts: Iterable[Amount | None]) -> Amount | None:
    """Returns the sum of amounts in one unit, or None if there is none or one of them is unknown or in another unit."""
    found = list(amounts)
    if not found or any(one is None for one in found):
        return None
    known = [one for one in found if one is not None]
    if not units_agree(known) or any(one.value is None for one in known):
        return None
    exponent = min(one.exponent for one in known)
    return Amount(sum(one.mantissa * 10 ** (one.exponent - exponent) for one in known), exponent, known[0].unit)


def check_balance(
    judging: Judging,
    wholes: Sequence[Amount | None],
    outputs: Sequence[common.NewMaterial],
    stated: Sequence[common.Quantity],
    *,
    whole_field: int,
    output_field: int,
    stated_fields: tuple[int, ...],
) -> None:
    """Finds unless outputs and what is stated (left, lost) add up to the wholes; what was added is one of the wholes.

    `stated` may hold quantities that are negative; that is found, and not added.
    """
    if any(one.mantissa < 0 for one in stated):
        judging.find("QUANTITY_NEGATIVE", *stated_fields)
    parts = [amount_of(output.quantity) for output in outputs if output.HasField("quantity")]
    if len(parts) < len(outputs) or not wholes or any(one is None for one in wholes):
        judging.find("QUANTITY_UNKNOWN", whole_field, output_field)
        return
    parts.extend(amount_of(one) for one in stated)
    known = [one for one in wholes if one is not None]
    if not units_agree((*known, *parts)):
        judging.find("UNIT_MISMATCH", output_field, *stated_fields)
        return
    whole = total(known)
    missed = None if whole is None else balance(whole, parts)
    if missed is None:
        judging.find("QUANTITY_UNKNOWN", whole_field, output_field)
    elif abs(missed) > judging.pack.volume_tolerance:
        judging.find("VOLUME_IMBALANCE", output_field, *stated_fields)


def check_no_more(judging: Judging, part: Amount, whole: Amount, field: int) -> None:
    """Finds a part that is more than there was of the whole, beyond the pack's tolerance, or in another unit."""
    if part.unit != whole.unit:
        judging.find("UNIT_MISMATCH", field)
    elif (
        (there := whole.value) is not None
        and (left := part.value) is not None
        and left > there * (1 + judging.pack.volume_tolerance)
    ):
        judging.find("VOLUME_IMBALANCE", field)


def check_containers(judging: Judging, count: modification.ContainerCount, made: int, field: int) -> None:
    """Finds unless the containers taken are accounted for and as many were filled as materials were made."""
    missed = count.taken - count.filled - count.spoiled - count.given_back
    if count.filled != made or abs(missed) > judging.pack.container_tolerance:
        judging.find("CONTAINER_IMBALANCE", field)


def check_yield(judging: Judging, body: StepBody) -> None:
    """Finds a growing step whose yield is unknown or that no culture has."""
    band = judging.pack.yield_for(judging.act.body_type)
    if band is None:
        return
    if any(
        not output.HasField("quantity") or output.quantity.basis != common.QUANTITY_BASIS_MEASURED
        for output in body.outputs
    ):
        judging.find("QUANTITY_NOT_MEASURED", 3)
    went_in, came_out = _cells(body) if band.measurement is not None else _quantities(judging, body)
    ratio = _ratio(went_in, came_out)
    if ratio is None:
        judging.find("YIELD_UNKNOWN", 2, 3)
    elif not band.holds(ratio):
        judging.find("YIELD_IMPLAUSIBLE", 2, 3)


def _cells(body: StepBody) -> tuple[Amount | None, Amount | None]:
    if not isinstance(body, _COUNTED):
        return (None, None)
    return (
        amount_of(body.cells_in) if body.HasField("cells_in") else None,
        amount_of(body.cells_out) if body.HasField("cells_out") else None,
    )


def _quantities(judging: Judging, body: StepBody) -> tuple[Amount | None, Amount | None]:
    materials = judging.state.materials
    return (
        total(materials[one].quantity for one in body.inputs if one in materials),
        total(amount_of(one.quantity) if one.HasField("quantity") else None for one in body.outputs),
    )


def _ratio(went_in: Amount | None, came_out: Amount | None) -> Fraction | None:
    if went_in is None or came_out is None or went_in.unit != came_out.unit:
        return None
    whole, made = went_in.value, came_out.value
    return None if not whole or made is None else made / whole
