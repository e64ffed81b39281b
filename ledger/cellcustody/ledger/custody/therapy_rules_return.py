"""Judge and evolve what is done to a bag before the bedside: issue, thaw, reconstitution, and a bag found breached.

The rules, in the order of the process:

* A bag is issued by the unit that answers for it, released by quality, free of holds, in date, while no more bags are
  out than the pack lets be, and while lymphodepletion has been given and has not lapsed.
* A product is thawed once, issued where the pack wants that first, and by two by then, released, free of holds, in
  date, and is whole afterwards. From then on it may be used until the time stated with its thaw.
* A thawed bag is diluted, washed or drawn into syringes by whoever answers for it, free of holds, in date, and not
  once something of it was infused. What is drawn balances; what comes of it goes on under the release, issue and thaw
  of the bag.
* A bag that was not whole after its thaw is held. A physician decides, in effect before quality lifts that hold.

What nonconforming facts do: everything, for it was done. What is issued by somebody who does not answer for it has
moved all the same.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged, UnitRef
from cellcustody.ledger.custody.genealogy import balance, units_agree
from cellcustody.ledger.custody.return_checks import (
    bags_issued,
    check_lymphodepletion,
    expires_at,
    in_date,
    released,
)
from cellcustody.ledger.custody.step_order import asks_for
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code, make_materials, move_custody, use_up
from cellcustody.ledger.custody.therapy_judging import Judging, amount_of, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_rules_harvest import check_new_materials
from cellcustody.ledger.custody.therapy_rules_harvest_cold import note_lot
from cellcustody.ledger.custody.therapy_state import Life, MaterialKind, MaterialState, TherapyState, custody_of
from cellcustody.ledger.custody.treatment import Breach
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS", "expires_at"]

_ISSUED = returned.MaterialIssued.DESCRIPTOR.name
_RECONSTITUTED = frozenset({MaterialKind.PRODUCT, MaterialKind.SAMPLE, MaterialKind.RETAIN})


# Issue and thaw.


def _check_issued(judging: Judging, body: returned.MaterialIssued) -> None:
    if not judging.enrolled():
        return
    releaser = judging.own_unit(body.releaser, 2)
    if body.receiver.site != releaser.site:
        judging.find("UNITS_OF_TWO_SITES", 3)
    judging.identity_intact()
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, releaser, 1, 2)
    judging.not_held(material, 1)
    released(judging, material, 1)
    in_date(judging, material, 1)
    check_lymphodepletion(judging, is_infusion=False)
    if bags_issued(judging.state, body.material) >= judging.pack.bedside.bags_at_once_max:
        judging.find("TOO_MANY_BAGS_ISSUED", 1)


def _evolve_issued(state: TherapyState, act: Act, body: returned.MaterialIssued, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    is_custodian = not has_code(judged, "NOT_CUSTODIAN", "UNITS_OF_TWO_SITES", "SIGNED_FOR_ANOTHER_SITE")
    move_custody(material, unit_of(body.receiver), is_custodian=is_custodian)
    material.issued_by = act.digest
    material.issued_to = unit_of(body.receiver)
    material.place = ""
    material.place_unit = None


def _check_thawed(judging: Judging, body: returned.MaterialThawed) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 2)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 2)
    judging.not_held(material, 1)
    if material.thawed_at is not None:
        judging.find("ALREADY_THAWED", 1)
    if material.kind == MaterialKind.PRODUCT:
        if not material.issued_by and asks_for(judging.pack, judging.act.body_type, _ISSUED):
            judging.find("NOT_ISSUED", 1)
        _issued_by_two(judging, material)
        judging.identity_intact()
        released(judging, material, 1)
        in_date(judging, material, 1)
    if not body.intact:
        judging.find("BAG_BREACHED")


def _issued_by_two(judging: Judging, material: MaterialState) -> None:
    """Finds an issue that is one person's word alone, once somebody relies on it."""
    issued = judging.state.placed.get(material.issued_by)
    if issued is not None:
        judging.second_person(issued, 1)


def _evolve_thawed(state: TherapyState, act: Act, body: returned.MaterialThawed, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    if material.thawed_at is None:
        material.thawed_at = end_of(act)
    if not body.intact:
        material.breached = True
    if body.HasField("usable_until_unix_micros"):
        _use_by(material, body.usable_until_unix_micros)
    move_custody(material, unit_of(body.unit), is_custodian=False)


def _use_by(material: MaterialState, until: int) -> None:
    """Lets a material be usable until a time, and no longer than was said before."""
    material.usable_until = until if material.usable_until is None else min(material.usable_until, until)


# Reconstitution.


def _check_reconstituted(judging: Judging, body: returned.MaterialReconstituted) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 3)
    if body.reconstitution == returned.RECONSTITUTION_KIND_UNSPECIFIED:
        judging.find("RECONSTITUTION_NOT_STATED")
    if body.outputs:
        check_new_materials(judging, list(body.outputs), 4, kinds=_RECONSTITUTED)
    if any(stated.mantissa < 0 for stated in _left_and_lost(body)):
        judging.find("QUANTITY_NEGATIVE", 5, 6)
    judging.identity_intact()
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 3)
    judging.not_held(material, 1)
    if material.kind != MaterialKind.PRODUCT:
        judging.find("NOT_A_PRODUCT", 1)
    released(judging, material, 1)
    in_date(judging, material, 1)
    if material.thawed_at is None:
        judging.find("NOT_THAWED", 1)
    if any(one.material == body.material and one.stopped_at is None for one in judging.state.infusions.values()):
        judging.find("INFUSION_RUNNING", 1)
    if material.life is Life.PARTIALLY_INFUSED:
        judging.find("ALREADY_INFUSED_FROM", 1)
    if body.reconstitution == returned.RECONSTITUTION_KIND_DRAWN:
        _check_drawn(judging, material, body)


def _check_drawn(judging: Judging, material: MaterialState, body: returned.MaterialReconstituted) -> None:
    """Finds syringes that do not add up to the bag they were drawn from."""
    if not body.outputs:
        judging.find("NO_MATERIAL", 4)
        return
    whole = material.quantity
    if whole is None or not all(output.HasField("quantity") for output in body.outputs):
        judging.find("QUANTITY_UNKNOWN", 1, 4)
        return
    parts = [amount_of(output.quantity) for output in body.outputs]
    parts.extend(amount_of(stated) for stated in _left_and_lost(body))
    if not units_agree((whole, *parts)):
        judging.find("UNIT_MISMATCH", 4, 5, 6)
        return
    missed = balance(whole, parts)
    if missed is None:
        judging.find("QUANTITY_UNKNOWN", 1, 4)
    elif abs(missed) > judging.pack.volume_tolerance:
        judging.find("VOLUME_IMBALANCE", 4, 5, 6)


def _left_and_lost(body: returned.MaterialReconstituted) -> list[common.Quantity]:
    stated = []
    if body.HasField("left"):
        stated.append(body.left)
    if body.HasField("lost"):
        stated.append(body.lost)
    return stated


def _evolve_reconstituted(state: TherapyState, act: Act, body: returned.MaterialReconstituted, judged: Judged) -> None:
    material = state.materials.get(body.material)
    unit = unit_of(body.unit)
    if material is None:  # What came of another patient's material is there too, and nobody may use it.
        make_materials(state, act, body.outputs, maker=unit, custodian=unit)
        return
    if body.HasField("usable_until_unix_micros"):
        _use_by(material, body.usable_until_unix_micros)
    custodian: UnitRef | None = unit
    if has_code(judged, "NOT_CUSTODIAN", "SIGNED_FOR_ANOTHER_SITE"):
        custodian, _ = custody_of(state, body.material)
    made = make_materials(
        state,
        act,
        body.outputs,
        maker=unit,
        custodian=custodian,
        parents=(body.material,),
        batch=material.batch,
        din=material.din,
    )
    for lot in body.lots:
        note_lot(state, act, lot, made or (body.material,))
    for one in made:
        drawn = state.materials[one]
        if drawn.created_by == act.digest and drawn.kind == MaterialKind.PRODUCT:
            drawn.released_by = material.released_by
            drawn.thawed_at = material.thawed_at
            drawn.issued_by, drawn.issued_to = material.issued_by, material.issued_to
            drawn.usable_until = expires_at(material)
            drawn.breached = material.breached
    if body.HasField("left") and (body.left.mantissa > 0 or not made):
        material.quantity = amount_of(body.left)
    elif made:
        use_up(state, act, (body.material,), Life.USED)


# A bag that was not whole.


def _evolve_breach_decided(state: TherapyState, act: Act, body: returned.BreachDecided, judged: Judged) -> None:
    thawed = state.current(body.thawed)
    state.treatment.breaches[thawed] = Breach(act.digest, thawed, body.decision == returned.BREACH_DECISION_USE)


ACTS: tuple[TherapyAct, ...] = (
    fact(returned.MaterialIssued, check=_check_issued, evolve=_evolve_issued, materials=lambda body: (body.material,)),
    fact(returned.MaterialThawed, check=_check_thawed, evolve=_evolve_thawed, materials=lambda body: (body.material,)),
    fact(
        returned.MaterialReconstituted,
        check=_check_reconstituted,
        evolve=_evolve_reconstituted,
        materials=lambda body: (body.material, *(output.material for output in body.outputs)),
    ),
    authorisation(
        returned.BreachDecided,
        evolve=_evolve_breach_decided,
        names=lambda body: (body.thawed, body.deviation),
        materials=lambda body: (body.culture_sample,) if body.culture_sample else (),
    ),
)
