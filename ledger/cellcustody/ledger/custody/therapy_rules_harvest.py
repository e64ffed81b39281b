"""Judge and evolve consent, identity checks, collection and storage.

The rules, in the order of the process:

* Cells are collected with the patient's consent in force, after a check of identity at the chair by the same site:
  for this collection and no earlier one, with the chain of identity identifier read, enough identifiers of the patient
  matching and none otherwise, joined by a second person before the start. A broken chain of identity stops it.
* Each collection has a donation number of its own, that no other collection of any therapy bears.
* A collection makes collections, samples and retains, and nothing that only manufacture makes.
* Days are counted from 1, and a day of an attempt has one collection; nothing measured is below nothing.
* A check at the chair holds for the policy's time and no longer.
* A broken chain of identity is identified anew from a named source record, by two persons; restoring it names that.
* A withdrawn consent to collection, manufacture or infusion holds the whole therapy; one to data or biobank does not.
* The stated temperature of a store lies within the pack's band for what is kept there.
* Work on a material is its custodian's; accountability moves between units of one site by a transfer, which
  whoever uses the material next relies on: by then the second person has joined.

What nonconforming facts do: a consent recorded against the rules permits nothing; a withdrawal always counts. A
collection without check or consent has been made, so its bags exist and are held. Whoever stores, moves or transfers
what another answers for has it and does not come to answer for it.
"""

from __future__ import annotations

from collections.abc import Container

from cellcustody.ledger.custody import (
    therapy_rules_harvest_before,
    therapy_rules_harvest_cold,
    therapy_rules_harvest_labels,
)
from cellcustody.ledger.custody.act import Act, Judged, Outcome, Status
from cellcustody.ledger.custody.compared import names_course
from cellcustody.ledger.custody.leg_conditions import is_store_in_band
from cellcustody.ledger.custody.references import creates_key, din_key, din_number
from cellcustody.ledger.custody.therapy_evolution import (
    BREAKS_IDENTITY,
    MATERIAL_ID_BYTES,
    end_of,
    has_code,
    make_materials,
    move_custody,
)
from cellcustody.ledger.custody.therapy_judging import (
    MICROS_PER_SECOND,
    Judging,
    answers_for,
    compared_well,
    same_coi,
    unit_of,
)
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_rules_harvest_before import check_before_collection
from cellcustody.ledger.custody.therapy_rules_harvest_cold import note_lot
from cellcustody.ledger.custody.therapy_rules_harvest_labels import check_labels_before_collection
from cellcustody.ledger.custody.therapy_state import (
    Collection,
    ConsentChange,
    IdentityBreak,
    IdentityCheck,
    MaterialKind,
    TherapyState,
    custody_of,
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
_CONSENT_FORM = "consent-form"  # As `Document.kind` in the contract has it.
_IDENTITY_CHECKED = harvest.IdentityChecked.DESCRIPTOR.full_name
_COLLECTED = frozenset({MaterialKind.COLLECTION, MaterialKind.SAMPLE, MaterialKind.RETAIN})
_COLLECTION_STARTED = harvest.CollectionStarted.DESCRIPTOR.full_name


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
    has_form = any(document.kind == _CONSENT_FORM and document.sha256 for document in body.documents)
    if judging.enrolled() and not (body.form_version and has_form):
        judging.find("CONSENT_WITHOUT_FORM", 2, 52)


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


def _check_reidentified(judging: Judging, body: harvest.ReidentificationPerformed) -> None:
    if not judging.enrolled():
        return
    if not body.source_record:
        judging.find("SOURCE_RECORD_MISSING", 1)
    if not same_coi(body.coi_read, judging.state.coi):
        judging.find("IDENTITY_MISMATCH", 3)
    for material in body.materials:
        judging.material(material, 4, physical=False)
    for broken in body.breaks:
        if judging.state.current(broken) not in judging.state.placed:
            judging.find("PREDECESSOR_MISSING", 5)


def _evolve_reidentified(
    state: TherapyState, act: Act, body: harvest.ReidentificationPerformed, judged: Judged
) -> None:
    state.identity_checks[act.digest] = IdentityCheck(
        act.digest,
        harvest.IDENTITY_POINT_REIDENTIFICATION,
        end_of(act),
        act.site,
        judged.status is Status.CONFORMING,
        frozenset(body.materials),
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
    _check_day(judging, body)
    _check_chairside(judging)
    check_before_collection(judging, body)
    check_labels_before_collection(judging)


def _check_day(judging: Judging, body: harvest.CollectionStarted) -> None:
    attempt = _attempt(body)
    collections = judging.state.collections.values()
    if body.day < 1:
        judging.find("DAY_OUT_OF_RANGE", 1)
    if any((one.attempt, one.day) == (attempt, body.day) for one in collections):
        judging.find("DAY_COLLECTED_ALREADY", 1, 6)
    if attempt > 1 + max((one.attempt for one in collections), default=0):
        judging.find("ATTEMPT_SKIPPED", 6)


def _attempt(body: harvest.CollectionStarted) -> int:
    return body.attempt or 1


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
    if act.occurred_start - last.at > judging.pack.chairside_validity_seconds * MICROS_PER_SECOND:
        judging.find("IDENTITY_CHECK_STALE")
    if not names_course(state, checked):
        judging.find("IDENTITY_NOT_CHECKED")
    if not last.is_sound or not compared_well(checked.comparisons, judging.pack.patient_identifiers_min):
        judging.find("IDENTITY_NOT_CHECKED")
    judging.second_person(checked)


def _evolve_collection_started(state: TherapyState, act: Act, body: harvest.CollectionStarted, judged: Judged) -> None:
    state.collections[act.digest] = Collection(
        act.digest,
        body.day,
        din_number(body.din),
        unit_of(body.unit),
        act.occurred_start,
        attempt=_attempt(body),
        kit=state.current(body.kit) if body.kit else b"",
    )
    kit = state.harvest.kits.get(state.current(body.kit)) if body.kit else None
    if kit is not None and not kit.used_by:
        kit.used_by = act.digest


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
        if output.quantity.mantissa < 0 or output.dose.mantissa < 0:
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
    if body.blood_processed.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 6)
    if body.anticoagulant_used.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 7)
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
    judging.not_before(collection.started_at, 1)


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
    if collection is None:
        return
    if not collection.completed_by:
        collection.completed_by = act.digest
    _note_lots(state, act, collection, [output.material for output in body.outputs])


def _note_lots(state: TherapyState, act: Act, collection: Collection, bags: list[bytes]) -> None:
    """Notes kit and anticoagulant of a collection as lots inside its bags."""
    kit = state.placed.get(collection.kit)
    if kit is not None and isinstance(kit.body, harvest.KitReceived):
        note_lot(state, act, kit.body.lot, bags)
    started = state.placed.get(collection.started_by)
    if started is not None and isinstance(started.body, harvest.CollectionStarted):
        note_lot(state, act, started.body.anticoagulant_lot, bags)


# Storage and transfer within a site.


def _check_kept(judging: Judging, body: harvest.MaterialStored | harvest.MaterialMoved) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.position.unit, 2)
    material = judging.material(body.material, 1)
    if material is not None:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 2)
        if isinstance(body, harvest.MaterialStored) and body.HasField("temperature"):
            was_frozen = body.material in judging.state.harvest.frozen_at
            if not is_store_in_band(judging.pack, material, body.temperature, was_frozen=was_frozen):
                judging.find("STORE_OUT_OF_BAND", 3)


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
    can_pass = not has_code(judged, "UNITS_OF_TWO_SITES", "SIGNED_FOR_ANOTHER_SITE")
    is_disputed = has_code(judged, "NOT_CUSTODIAN")
    releaser = unit_of(body.releaser)
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            # The finding is of the whole transfer; custody passes for each material that was the releaser's to give.
            is_custodian = can_pass and (not is_disputed or answers_for(custody_of(state, one)[0], releaser))
            move_custody(material, unit_of(body.receiver), is_custodian=is_custodian)
            material.handed_over_by = act.digest
            material.place = ""
            material.place_unit = None


ACTS: tuple[TherapyAct, ...] = (
    *therapy_rules_harvest_before.ACTS,
    *therapy_rules_harvest_labels.ACTS,
    *therapy_rules_harvest_cold.ACTS,
    authorisation(harvest.TherapyEnrolled, evolve=_evolve_enrolled),
    fact(harvest.ConsentRecorded, check=_check_consent, evolve=_evolve_consent),
    fact(harvest.ConsentWithdrawn, check=_check_withdrawal, evolve=_evolve_withdrawal),
    fact(
        harvest.IdentityChecked,
        check=_check_identity,
        evolve=_evolve_identity,
        materials=lambda body: body.materials,
    ),
    fact(
        harvest.ReidentificationPerformed,
        check=_check_reidentified,
        evolve=_evolve_reidentified,
        names=lambda body: body.breaks,
        materials=lambda body: body.materials,
    ),
    fact(
        harvest.CollectionStarted,
        check=_check_collection_started,
        evolve=_evolve_collection_started,
        names=lambda body: (body.kit, body.slot),
    ),
    fact(
        harvest.CollectionCompleted,
        check=_check_collection_completed,
        evolve=_evolve_collection_completed,
        names=lambda body: (body.started,),
        materials=lambda body: (output.material for output in body.outputs),
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
