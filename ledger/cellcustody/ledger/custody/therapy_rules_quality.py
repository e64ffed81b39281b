"""Judge and evolve deviations, holds and quality's decisions about a therapy.

The rules:

* A deviation and a hold name materials, a batch or the therapy, in the stream of that therapy; containers, lots and
  sites have streams of their own. A hold on something else's stream holds the therapy, for somebody wants it held.
* A hold placed is no breach: it conforms, and stands until it is lifted.
* Lifting, restoring, overriding and establishing custody take effect in their place once in effect.

What nonconforming facts do: a hold is placed whatever else is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.authorisations import evolve_common
from cellcustody.ledger.custody.therapy_evolution import hold_over, move_custody, take_out
from cellcustody.ledger.custody.therapy_judging import Judging, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import Deviation, TherapyState
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["ACTS"]


def _scope_materials(body: quality.DeviationRaised | quality.HoldPlaced | quality.GateOverridden) -> Iterable[bytes]:
    return body.scope.ids if body.scope.kind == quality.SCOPE_KIND_MATERIAL else ()


def _scope_batches(body: quality.DeviationRaised | quality.HoldPlaced | quality.GateOverridden) -> Iterable[bytes]:
    return body.scope.ids if body.scope.kind == quality.SCOPE_KIND_BATCH else ()


def _check_scope(judging: Judging, scope: quality.Scope, field: int) -> None:
    if not judging.enrolled():
        return
    if scope.kind == quality.SCOPE_KIND_MATERIAL:
        for one in scope.ids:
            judging.material(one, field, physical=False)
    elif scope.kind == quality.SCOPE_KIND_BATCH:
        for one in scope.ids:
            judging.batch(one, field)
    elif scope.kind != quality.SCOPE_KIND_THERAPY:
        judging.find("SCOPE_OF_ANOTHER_STREAM", field)


def _check_deviation(judging: Judging, body: quality.DeviationRaised) -> None:
    _check_scope(judging, body.scope, 2)


def _evolve_deviation(state: TherapyState, act: Act, body: quality.DeviationRaised, judged: Judged) -> None:
    state.deviations.append(
        Deviation(
            act.digest,
            body.reference,
            act.occurred_start,
            frozenset(_scope_materials(body)),
            frozenset(_scope_batches(body)),
        )
    )


def _check_hold(judging: Judging, body: quality.HoldPlaced) -> None:
    _check_scope(judging, body.scope, 1)


def _evolve_hold(state: TherapyState, act: Act, body: quality.HoldPlaced, judged: Judged) -> None:
    hold_over(state, act, "HOLD_PLACED", _scope_materials(body), _scope_batches(body))


def _evolve_common(
    state: TherapyState,
    act: Act,
    body: quality.HoldLifted | quality.GateOverridden | quality.StatementCorrected | quality.StatementRetracted,
    judged: Judged,
) -> None:
    evolve_common(state, act)


def _evolve_restored(state: TherapyState, act: Act, body: quality.IdentityRestored, judged: Judged) -> None:
    state.identity_breaks.clear()
    for hold in body.holds:
        state.lift_hold(hold, act.digest)


def _evolve_established(state: TherapyState, act: Act, body: transport.CustodyEstablished, judged: Judged) -> None:
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            take_out(state, material)
            move_custody(material, unit_of(body.custodian), is_custodian=True)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        quality.DeviationRaised,
        check=_check_deviation,
        evolve=_evolve_deviation,
        materials=_scope_materials,
        batches=_scope_batches,
    ),
    fact(
        quality.HoldPlaced,
        check=_check_hold,
        evolve=_evolve_hold,
        materials=_scope_materials,
        batches=_scope_batches,
    ),
    authorisation(quality.HoldLifted, evolve=_evolve_common),
    authorisation(quality.IdentityRestored, evolve=_evolve_restored, names=lambda body: (body.reidentification,)),
    authorisation(quality.GateOverridden, evolve=_evolve_common, materials=_scope_materials),
    authorisation(quality.StatementCorrected, evolve=_evolve_common),
    authorisation(quality.StatementRetracted, evolve=_evolve_common),
    authorisation(transport.CustodyEstablished, evolve=_evolve_established, materials=lambda body: body.materials),
)
