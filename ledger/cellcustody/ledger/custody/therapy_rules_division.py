"""Judge and evolve what divides one material and what pools several of one patient.

The rules:

* Both conserve: outputs, what is left and what was lost, none of them negative, add up to what was there, in one
  unit, within the pack's tolerance; containers, where they were counted, are accounted for (`balances`).
* Samples and retains may be taken under a hold, and while identity is broken; anything else may not. What was taken for
  testing stays that: it becomes nothing to work on or to give.
* A pool is made of at least two materials of one kind and of one batch or none, and is of that kind. They are one
  patient's: a material of another therapy is another patient's, whatever anybody says. Cells are open while they are
  pooled, so that areas are not shared and each material is compared, as for a step.

What nonconforming facts do: what was divided or pooled is, whatever it broke; new materials stay with the custodian of
what they were made of if the maker was not.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.balances import check_balance, check_containers
from cellcustody.ledger.custody.compared import check_compared
from cellcustody.ledger.custody.therapy_evolution import use_up
from cellcustody.ledger.custody.therapy_judging import Judging, amount_of, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_rules_harvest import check_new_materials
from cellcustody.ledger.custody.therapy_rules_manufacturing import check_area, make_from
from cellcustody.ledger.custody.therapy_state import Life, TherapyState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS"]

_FOR_TESTING = (common.MATERIAL_KIND_SAMPLE, common.MATERIAL_KIND_RETAIN)
_POOLED_MIN = 2


def _check_division(judging: Judging, body: modification.MaterialDivided) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 5)
    check_new_materials(judging, list(body.outputs), 2)
    if body.HasField("containers"):
        check_containers(judging, body.containers, len(body.outputs), 6)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 5)
    if any(output.kind not in _FOR_TESTING for output in body.outputs):
        judging.identity_intact()
        judging.not_held(material, 1)
        if material.kind in _FOR_TESTING:
            judging.find("OUTPUT_KIND_WRONG", 1, 2)
    check_balance(
        judging,
        [material.quantity],
        body.outputs,
        _left_and_lost(body),
        whole_field=1,
        output_field=2,
        stated_fields=(3, 4),
    )


def _left_and_lost(body: modification.MaterialDivided) -> list[common.Quantity]:
    stated = []
    if body.HasField("left"):
        stated.append(body.left)
    if body.HasField("lost"):
        stated.append(body.lost)
    return stated


def _evolve_division(state: TherapyState, act: Act, body: modification.MaterialDivided, judged: Judged) -> None:
    material = state.materials.get(body.material)
    inputs = () if material is None else (body.material,)
    batch = b"" if material is None else material.batch
    # What came of another patient's material is there too, and nobody may use it.
    make_from(state, act, judged, inputs, body.outputs, unit=unit_of(body.unit), batch=batch)
    if material is None:
        return
    if body.HasField("left") and body.left.mantissa > 0:
        material.quantity = amount_of(body.left)
    else:
        use_up(state, act, (body.material,), Life.USED)


def _check_pool(judging: Judging, body: modification.MaterialPooled) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 3)
    judging.identity_intact()
    if len(set(body.inputs)) < _POOLED_MIN:
        judging.find("POOL_OF_ONE", 1)
    check_area(judging, body.process_area, 4)
    if body.HasField("containers"):
        check_containers(judging, body.containers, 1, 6)
    inputs = [found for one in body.inputs if (found := judging.material(one, 1)) is not None]
    for material in inputs:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 3)
        judging.not_held(material, 1)
        check_compared(judging, material, 1)
    if len({material.batch for material in inputs}) > 1:
        judging.find("IN_ANOTHER_BATCH", 1)
    check_new_materials(judging, [body.output], 2)
    if any(material.kind != body.output.kind for material in inputs):
        judging.find("OUTPUT_KIND_WRONG", 1, 2)
    if len(inputs) == len(body.inputs):
        check_balance(
            judging,
            [material.quantity for material in inputs],
            [body.output],
            [body.lost] if body.HasField("lost") else [],
            whole_field=1,
            output_field=2,
            stated_fields=(5,),
        )


def _evolve_pool(state: TherapyState, act: Act, body: modification.MaterialPooled, judged: Judged) -> None:
    inputs = tuple(one for one in body.inputs if one in state.materials)
    batch = next((found for one in inputs if (found := state.materials[one].batch)), b"")
    make_from(state, act, judged, inputs, [body.output], unit=unit_of(body.unit), batch=batch)
    use_up(state, act, inputs, Life.USED)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        modification.MaterialDivided,
        check=_check_division,
        evolve=_evolve_division,
        materials=lambda body: (body.material, *(output.material for output in body.outputs)),
    ),
    fact(
        modification.MaterialPooled,
        check=_check_pool,
        evolve=_evolve_pool,
        materials=lambda body: (*body.inputs, body.output.material),
    ),
)
