"""Judge and evolve consent, identity checks, collection, labels and storage.

The rules, in the order of the process:

* Cells are collected with the patient's consent in force, after a check of identity at the chair by the same site:
  for this collection and no earlier one, with enough identifiers matching and none otherwise, joined by a second
  person before the start. A broken chain of identity stops it.
* Each collection has a donation number of its own, that no other collection of any therapy bears.
* A collection makes collections, samples and retains, and nothing that only manufacture makes.
* A label bears the therapy's chain of identity identifier, and a donation number of a collection the cells come from.
  One that does not, breaks the chain of identity.
* A withdrawn consent to collection, manufacture or infusion holds the whole therapy; one to data or biobank does not.
* Work on a material is its custodian's; accountability moves between units of one site by a transfer.

What nonconforming facts do: a consent recorded against the rules permits nothing; a withdrawal always counts. A
collection without check or consent has been made, so its bags exist and are held. A label is on the bag, right or
wrong. Whoever stores, moves or transfers what another answers for has it and does not come to answer for it.
"""

from __future__ import annotations

from collections.abc import Container

from cellcustody.ledger.custody.act import Act, Judged, Outcome, Status, UnitRef
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.custody.references import creates_key, din_key, din_number
from cellcustody.ledger.custody.therapy_evolution import (
    BREAKS_IDENTITY,
    MATERIAL_ID_BYTES,
    end_of,
    has_code,
    make_materials,
    move_custody,
)
from cellcustody.ledger.custody.therapy_judging import Judging, compared_well, same_coi, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import (
    Collection,
    ConsentChange,
    IdentityBreak,
    IdentityCheck,
    Label,
    MaterialKind,
    TherapyState,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["ACTS", "TREATMENT_SCOPES", "check_new_materials"]

# Without any of these the course cannot go on, so that withdrawing one stops it.
TREATMENT_SCOPES = frozenset(
    {
        harvest.CONSENT_SCOPE_COLLECTION,
        harvest.CONSENT_SCOPE_MANUFACTURE,
        harvest.CONSENT_SCOPE_INFUSION,
    }
)
_IDENTITY_CHECKED = harvest.IdentityChecked.DESCRIPTOR.full_name
_COLLECTED = frozenset({MaterialKind.COLLECTION, MaterialKind.SAMPLE, MaterialKind.RETAIN})
_COLLECTION_STARTED = harvest.CollectionStarted.DESCRIPTOR.full_name
_LABEL_APPLIED = harvest.LabelApplied.DESCRIPTOR.full_name


# Enrolment and consent.


def _evolve_enrolled(state: TherapyState, act: Act, body: harvest.TherapyEnrolled, judged: Judged) -> None:
    if state.enrolled_by:
        return
    state.enrolled_by = act.digest
    state.stream = act.stream
    state.aliases = tuple((alias.scheme, alias.value) for alias in body.aliases)
    state.coi = next((alias.value for alias in body.aliases if alias.scheme == "isbt128-coi"), "")
    state.product = body.product
    state.jurisdiction = body.jurisdiction
    state.policy_digest = body.policy_digest
    state.treating_unit = unit_of(body.treating_unit)
    state.participants = frozenset(body.participants) | {body.treating_unit.site}
    state.custodian_of_record = body.custodian_of_record


def _check_consent(judging: Judging, body: harvest.ConsentRecorded) -> None:
    judging.enrolled()


def _evolve_consent(state: TherapyState, act: Act, body: harvest.ConsentRecorded, judged: Judged) -> None:
    if judged.status is Status.CONFORMING:
        state.consents.extend(ConsentChange(scope, True, act.occurred_start, act.digest) for scope in body.scopes)


def _check_withdrawal(judging: Judging, body: harvest.ConsentWithdrawn) -> None:
    if judging.enrolled() and not TREATMENT_SCOPES.isdisjoint(body.scopes):
        judging.find("CONSENT_WITHDRAWN", 1)


def _evolve_withdrawal(state: TherapyState, act: Act, body: harvest.ConsentWithdrawn, judged: Judged) -> None:
    state.consents.extend(ConsentChange(scope, False, act.occurred_start, act.digest) for scope in body.scopes)


# Identity.


def _check_identity(judging: Judging, body: harvest.IdentityChecked) -> None:
    if not judging.enrolled():
        return
    for material in body.materials:
        judging.material(material, 4, physical=False)
    if body.coi_read and not same_coi(body.coi_read, judging.state.coi):
        judging.find("IDENTITY_MISMATCH", 3)


def _evolve_identity(state: TherapyState, act: Act, body: harvest.IdentityChecked, judged: Judged) -> None:
    state.identity_checks[act.digest] = IdentityCheck(
        act.digest, body.point, end_of(act), act.site, judged.status is Status.CONFORMING, frozenset(body.materials)
    )
    break_on_comparison(state, act, judged)


def break_on_comparison(state: TherapyState, act: Act, judged: Judged) -> None:
    """Breaks the chain of identity if an identifier of the patient was found to be another's."""
    if has_code(judged, *BREAKS_IDENTITY):
        return  # Evolution in common breaks it, once.
    if any(comparison.outcome is Outcome.MISMATCH for comparison in act.comparisons):
        state.identity_breaks.append(IdentityBreak("IDENTITY_MISMATCH", act.digest, act.occurred_start))


# Collection.


def _check_collection_started(judging: Judging, body: harvest.CollectionStarted) -> None:
    if not judging.enrolled():
        return
    state, act = judging.state, judging.act
    judging.own_unit(body.unit, 3)
    if state.closed:
        judging.find("THERAPY_CLOSED")
    judging.consented(harvest.CONSENT_SCOPE_COLLECTION)
    judging.identity_intact()
    if not body.din:
        judging.find("DIN_MISSING")
    else:
        if din_number(body.din) in state.dins:
            judging.find("DIN_REUSED", 2)
        if judging.references.others(din_key(body.din), act.stream):
            judging.find("DIN_CLAIMED_TWICE", 2)
    _check_chairside(judging)


def _check_chairside(judging: Judging) -> None:
    """Finds unless the last check at the chair by this site is good for this collection."""
    state, act = judging.state, judging.act
    earlier = max((one.started_at for one in state.collections.values() if one.unit.site == act.site), default=None)
    checks = [
        check
        for check in state.identity_checks.values()
        if check.point == harvest.IDENTITY_POINT_CHAIRSIDE
        and check.site == act.site
        and check.at <= act.occurred_start
        and (earlier is None or check.at > earlier)
    ]
    if not checks:
        judging.find("IDENTITY_NOT_CHECKED")
        return
    last = max(checks, key=lambda check: (check.at, check.digest))
    checked = state.placed[last.digest]
    if not last.is_sound or not compared_well(checked.comparisons, judging.pack.patient_identifiers_min):
        judging.find("IDENTITY_NOT_CHECKED")
    judging.second_person(checked)


def _evolve_collection_started(state: TherapyState, act: Act, body: harvest.CollectionStarted, judged: Judged) -> None:
    state.collections[act.digest] = Collection(
        act.digest, body.day, din_number(body.din), unit_of(body.unit), act.occurred_start
    )


def check_new_materials(
    judging: Judging, outputs: list[common.NewMaterial], field: int, *, kinds: Container[int] | None = None
) -> None:
    """Finds new materials of other kinds than such an act makes, ids given away already, and less than nothing."""
    met: set[bytes] = set()
    for output in outputs:
        if len(output.material) != MATERIAL_ID_BYTES:
            judging.find("NO_MATERIAL", field)
        taken = output.material in judging.state.materials or output.material in met
        if taken or judging.references.others(creates_key(output.material), judging.act.stream):
            judging.find("MATERIAL_CLAIMED_TWICE", field)
        if output.quantity.mantissa < 0:
            judging.find("QUANTITY_NEGATIVE", field)
        if kinds is not None and output.kind not in kinds:
            judging.find("OUTPUT_KIND_WRONG", field)
        met.add(output.material)
    if not outputs:
        judging.find("NO_MATERIAL", field)


def _check_collection_completed(judging: Judging, body: harvest.CollectionCompleted) -> None:
    if not judging.enrolled():
        return
    started = judging.named(body.started, _COLLECTION_STARTED, 1)
    unit = judging.own_unit(body.unit, 3)
    check_new_materials(judging, list(body.outputs), 2, kinds=_COLLECTED)
    if started is None:
        return
    collection = judging.state.collections.get(started.digest)
    if collection is None:
        judging.without_effect(started, 1)
        return
    if collection.unit.site != unit.site:
        judging.find("NOT_CUSTODIAN", 3)
    if collection.completed_by:
        judging.find("ALREADY_COMPLETED", 1)


def _evolve_collection_completed(
    state: TherapyState, act: Act, body: harvest.CollectionCompleted, judged: Judged
) -> None:
    collection = state.collections.get(state.current(body.started))
    unit = unit_of(body.unit)
    custodian = collection.unit if collection is not None and has_code(judged, "NOT_CUSTODIAN") else unit
    make_materials(
        state,
        act,
        body.outputs,
        maker=unit,
        custodian=custodian,
        collected_at=end_of(act),
        din="" if collection is None else collection.din,
    )
    if collection is not None and not collection.completed_by:
        collection.completed_by = act.digest


# Labels.


def _check_label(judging: Judging, body: harvest.LabelApplied) -> None:
    if not judging.enrolled():
        return
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, UnitRef(judging.act.site), 1)
    if material.label is not None:
        judging.find("LABEL_STANDING", 1)
    if not same_coi(body.coi, judging.state.coi):
        judging.find("LABEL_MISMATCH", 3)
    if body.din and din_number(body.din) not in donation_numbers(judging.state, material):
        judging.find("LABEL_MISMATCH", 2)


def _evolve_label(state: TherapyState, act: Act, body: harvest.LabelApplied, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    expires_at = body.expires_at_unix_micros if body.HasField("expires_at_unix_micros") else None
    material.label = Label(act.digest, body.din, body.coi, body.product_code, body.division, expires_at)
    if has_code(judged, "NOT_CUSTODIAN"):
        move_custody(material, UnitRef(act.site), is_custodian=False)


def _check_label_voided(judging: Judging, body: harvest.LabelVoided) -> None:
    if not judging.enrolled():
        return
    applied = judging.named(body.applied, _LABEL_APPLIED, 1)
    if applied is None or not isinstance(applied.body, harvest.LabelApplied):
        return
    material = judging.material(applied.body.material, 1, physical=False)
    if material is None:
        return
    judging.answered_by(material, UnitRef(judging.act.site), 1)
    if material.label is None or material.label.applied_by != applied.digest:
        judging.find("LABEL_NOT_STANDING", 1)


def _evolve_label_voided(state: TherapyState, act: Act, body: harvest.LabelVoided, judged: Judged) -> None:
    applied = state.current(body.applied)
    for material in state.materials.values():
        if material.label is not None and material.label.applied_by == applied:
            material.label = None


# Storage and transfer within a site.


def _check_kept(judging: Judging, body: harvest.MaterialStored | harvest.MaterialMoved) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.position.unit, 2)
    material = judging.material(body.material, 1)
    if material is not None:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 2)


def _evolve_kept(
    state: TherapyState, act: Act, body: harvest.MaterialStored | harvest.MaterialMoved, judged: Judged
) -> None:
    material = state.materials.get(body.material)
    if material is not None:
        material.place = body.position.place
        material.place_unit = unit_of(body.position.unit)
        move_custody(material, material.place_unit, is_custodian=False)


def _check_transfer(judging: Judging, body: harvest.UnitTransferred) -> None:
    if not judging.enrolled():
        return
    releaser = judging.own_unit(body.releaser, 2)
    if body.receiver.site != releaser.site:
        judging.find("UNITS_OF_TWO_SITES", 3)
    for one in body.materials:
        material = judging.material(one, 1)
        if material is not None:
            judging.unpacked(material, 1)
            judging.answered_by(material, releaser, 1, 2)


def _evolve_transfer(state: TherapyState, act: Act, body: harvest.UnitTransferred, judged: Judged) -> None:
    is_custodian = not has_code(judged, "NOT_CUSTODIAN", "UNITS_OF_TWO_SITES", "SIGNED_FOR_ANOTHER_SITE")
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            move_custody(material, unit_of(body.receiver), is_custodian=is_custodian)
            material.place = ""
            material.place_unit = None


ACTS: tuple[TherapyAct, ...] = (
    authorisation(harvest.TherapyEnrolled, evolve=_evolve_enrolled),
    fact(harvest.ConsentRecorded, check=_check_consent, evolve=_evolve_consent),
    fact(harvest.ConsentWithdrawn, check=_check_withdrawal, evolve=_evolve_withdrawal),
    fact(
        harvest.IdentityChecked,
        check=_check_identity,
        evolve=_evolve_identity,
        materials=lambda body: body.materials,
    ),
    fact(harvest.CollectionStarted, check=_check_collection_started, evolve=_evolve_collection_started),
    fact(
        harvest.CollectionCompleted,
        check=_check_collection_completed,
        evolve=_evolve_collection_completed,
        names=lambda body: (body.started,),
        materials=lambda body: (output.material for output in body.outputs),
    ),
    fact(harvest.LabelApplied, check=_check_label, evolve=_evolve_label, materials=lambda body: (body.material,)),
    fact(
        harvest.LabelVoided,
        check=_check_label_voided,
        evolve=_evolve_label_voided,
        names=lambda body: (body.applied,),
    ),
    fact(harvest.MaterialStored, check=_check_kept, evolve=_evolve_kept, materials=lambda body: (body.material,)),
    fact(harvest.MaterialMoved, check=_check_kept, evolve=_evolve_kept, materials=lambda body: (body.material,)),
    fact(
        harvest.UnitTransferred,
        check=_check_transfer,
        evolve=_evolve_transfer,
        materials=lambda body: body.materials,
    ),
)
