"""Judge and evolve how materials end, and how a therapy is closed, reopened and handed on.

The rules:

* A material ends by its accountable custodian's act, unpacked. Destruction has a witness, and for product a
  certificate; what is archived or kept for a study has a date, and a study the patient's consent.
* Closing, reopening and passing the record on are authorisations; what they ask for stands in `closing`.

What nonconforming facts do: the material has ended, whoever ended it; the first end counts.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged, UnitRef
from cellcustody.ledger.custody.therapy_evolution import move_custody, take_out, use_up
from cellcustody.ledger.custody.therapy_judging import Judging, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import Life, MaterialKind, MaterialState, TherapyState
from cellcustody.ledger.custody.treatment import RecordPassed
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS"]


# Ends.


def _check_ending(judging: Judging, one: bytes, unit: UnitRef) -> MaterialState | None:
    if not judging.enrolled():
        return None
    material = judging.material(one, 1)
    if material is not None:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 2)
    return material


def _check_destroyed(judging: Judging, body: returned.MaterialDestroyed) -> None:
    material = _check_ending(judging, body.material, judging.own_unit(body.unit, 2))
    if body.quantity.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 4)
    if material is not None and material.kind == MaterialKind.PRODUCT and not body.certificate.sha256:
        judging.find("DESTRUCTION_NOT_CERTIFIED")


def _check_consumed(judging: Judging, body: returned.MaterialConsumed) -> None:
    _check_ending(judging, body.material, judging.own_unit(body.unit, 2))


def _check_kept_until(judging: Judging, kept_until: int) -> None:
    if kept_until <= judging.act.occurred_start:
        judging.find("KEPT_WITHOUT_DATE")


def _check_archived(judging: Judging, body: returned.MaterialArchived) -> None:
    _check_ending(judging, body.material, judging.own_unit(body.position.unit, 2))
    _check_kept_until(judging, body.kept_until_unix_micros)


def _check_retained(judging: Judging, body: returned.RemainderRetained) -> None:
    _check_ending(judging, body.material, judging.own_unit(body.position.unit, 2))
    _check_kept_until(judging, body.kept_until_unix_micros)
    judging.consented(harvest.CONSENT_SCOPE_BIOBANK)
    if body.quantity.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 5)
    if not body.study:
        judging.find("STUDY_NOT_NAMED")


def _evolve_destroyed(state: TherapyState, act: Act, body: returned.MaterialDestroyed, judged: Judged) -> None:
    use_up(state, act, (body.material,), Life.DESTROYED)


def _evolve_consumed(state: TherapyState, act: Act, body: returned.MaterialConsumed, judged: Judged) -> None:
    use_up(state, act, (body.material,), Life.CONSUMED)


def _put_away(state: TherapyState, act: Act, one: bytes, position: common.Position, life: Life) -> None:
    material = state.materials.get(one)
    if material is not None and not material.life.has_ended:
        take_out(state, material)
        material.place = position.place
        material.place_unit = unit_of(position.unit)
        move_custody(material, material.place_unit, is_custodian=False)
        use_up(state, act, (one,), life)


def _evolve_archived(state: TherapyState, act: Act, body: returned.MaterialArchived, judged: Judged) -> None:
    _put_away(state, act, body.material, body.position, Life.ARCHIVED)


def _evolve_retained(state: TherapyState, act: Act, body: returned.RemainderRetained, judged: Judged) -> None:
    _put_away(state, act, body.material, body.position, Life.RETAINED)


# The therapy as a whole.


def _evolve_closed(state: TherapyState, act: Act, body: returned.TherapyClosed, judged: Judged) -> None:
    state.closed_by = act.digest
    state.kept_until = body.kept_until_unix_micros


def _evolve_reopened(state: TherapyState, act: Act, body: returned.TherapyReopened, judged: Judged) -> None:
    # One that names an earlier closure, and stands behind a later one, reopens nothing.
    if state.closed_by == body.closed:
        state.closed_by = b""
        state.treatment.reopened_by.append(act.digest)


def _evolve_record_passed(
    state: TherapyState, act: Act, body: returned.CustodianOfRecordChanged, judged: Judged
) -> None:
    state.custodian_of_record = body.custodian_of_record
    state.participants |= {body.custodian_of_record}
    if body.kept_until_unix_micros:
        state.kept_until = body.kept_until_unix_micros
    state.treatment.records_passed.append(
        RecordPassed(act.digest, body.custodian_of_record, body.copy_sha256, body.checkpoint_size, act.occurred_start)
    )


ACTS: tuple[TherapyAct, ...] = (
    fact(
        returned.MaterialDestroyed,
        check=_check_destroyed,
        evolve=_evolve_destroyed,
        materials=lambda body: (body.material,),
    ),
    fact(
        returned.MaterialConsumed,
        check=_check_consumed,
        evolve=_evolve_consumed,
        materials=lambda body: (body.material,),
    ),
    fact(
        returned.MaterialArchived,
        check=_check_archived,
        evolve=_evolve_archived,
        materials=lambda body: (body.material,),
    ),
    fact(
        returned.RemainderRetained,
        check=_check_retained,
        evolve=_evolve_retained,
        materials=lambda body: (body.material,),
    ),
    authorisation(returned.TherapyClosed, evolve=_evolve_closed),
    authorisation(returned.TherapyReopened, evolve=_evolve_reopened, names=lambda body: (body.closed,)),
    authorisation(returned.CustodianOfRecordChanged, evolve=_evolve_record_passed),
)
