"""Judge and evolve labels: printed, put on, read back by a second person, voided, returned, reconciled.

The rules:

* A serial is given once, bears the therapy's chain of identity identifier, and has one fate. Labels that came with a
  kit are counted like printed ones.
* A label put on a material bears the therapy's identifier, a donation number that the material's cells come from, and
  the donation number it was printed with, if any. One that does not, breaks the chain of identity.
* Where the donor is reactive, was not wholly evaluated, or nobody says which, the label says so.
* Where the policy asks for labels to be reconciled, a label put on has a serial that was printed or came with a kit.
* Where the policy asks for it (`LABEL` among its identity checks), what is collected or made to be given bears a label
  when it leaves, and a second person has scanned it; both identifiers match.
* A unit's count balances (printed = applied + voided + returned) and agrees with what the ledger knows.
* Where the policy asks for labels to be reconciled, a site has a sound count behind an earlier collection, and nothing
  left over of it, before it collects again; at closure, every site that had labels.

What nonconforming facts do: a label is on the bag, right or wrong, and its serial has its first fate; a read-back that
breaks a rule reads nothing back; a count that breaks a rule is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import din_number
from cellcustody.ledger.custody.scan_comparison import ScanKind, compare_scans, has_matched
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code, move_custody
from cellcustody.ledger.custody.therapy_harvest_state import LabelFate, LabelSerial, LabelTally, Reconciliation
from cellcustody.ledger.custody.therapy_judging import Judging, same_coi, same_din, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_scans import expectation_of
from cellcustody.ledger.custody.therapy_state import Label, MaterialKind, MaterialState, TherapyState
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels

__all__ = ["ACTS", "check_labels_at_closure", "check_labels_before_collection", "check_read_back", "label_difference"]

_LABEL_APPLIED = harvest.LabelApplied.DESCRIPTOR.full_name
_LABELLED = (MaterialKind.COLLECTION, MaterialKind.PRODUCT)
_LABEL = "LABEL"  # Among the pack's required identity checks: labels are read back.
_COUNTED_FIELDS = {"printed": 2, "applied": 3, "voided": 4, "returned": 5}


# Printed.


def _check_printed(judging: Judging, body: labels.LabelsPrinted) -> None:
    if not judging.enrolled():
        return
    judging.own_unit(body.unit, 5)
    if not same_coi(body.coi, judging.state.coi):
        judging.find("LABEL_MISMATCH", 2)
    known = judging.state.harvest.labels
    if len(set(body.serials)) != len(body.serials) or any(serial in known for serial in body.serials):
        judging.find("LABEL_SERIAL_TAKEN", 1)


def _evolve_printed(state: TherapyState, act: Act, body: labels.LabelsPrinted, judged: Judged) -> None:
    unit = unit_of(body.unit)
    for serial in body.serials:
        state.harvest.labels.setdefault(
            serial, LabelSerial(serial, unit, act.digest, end_of(act), din=din_number(body.din))
        )


# Put on, voided.


def _check_applied(judging: Judging, body: harvest.LabelApplied) -> None:
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
    if not any(body.texts) and _needs_text(judging.state):
        judging.find("LABEL_TEXT_MISSING", 8)
    _check_serial(judging, body)


def _needs_text(state: TherapyState) -> bool:
    """Tells whether the last sample screened was reactive, or not wholly evaluated, or nobody says what it was."""
    last = max(state.harvest.screenings, key=lambda one: (one.sample_at, one.digest), default=None)
    return last is not None and (last.biohazard != harvest.BIOHAZARD_NEGATIVE or bool(last.left_out))


def _check_serial(judging: Judging, body: harvest.LabelApplied) -> None:
    serial = judging.state.harvest.labels.get(body.label_serial)
    if serial is None:
        if judging.pack.labels_reconciled:
            judging.find("LABEL_SERIAL_UNKNOWN", 7)
        return
    if serial.fate is not LabelFate.PRINTED:
        judging.find("LABEL_SERIAL_SPENT", 7)
    if serial.din and body.din and not same_din(body.din, serial.din):
        judging.find("LABEL_MISMATCH", 2)


def _evolve_applied(state: TherapyState, act: Act, body: harvest.LabelApplied, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    expires_at = body.expires_at_unix_micros if body.HasField("expires_at_unix_micros") else None
    material.label = Label(act.digest, body.din, body.coi, body.product_code, body.division, expires_at)
    if has_code(judged, "NOT_CUSTODIAN"):
        move_custody(material, UnitRef(act.site), is_custodian=False)
    if body.label_serial:
        known = state.harvest.labels.setdefault(
            body.label_serial,
            LabelSerial(body.label_serial, UnitRef(act.site), act.digest, act.occurred_start, was_printed=False),
        )
        if known.fate is LabelFate.PRINTED:
            _settle(known, LabelFate.APPLIED, act)


def _settle(serial: LabelSerial, fate: LabelFate, act: Act) -> None:
    serial.fate = fate
    serial.fate_by = act.digest
    serial.fate_at = act.occurred_start


def _check_voided(judging: Judging, body: harvest.LabelVoided) -> None:
    if not judging.enrolled():
        return
    _check_unused(judging, body.serials, 2)
    if not body.applied and body.serials:
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


def _check_unused(judging: Judging, serials: Iterable[str], field: int) -> None:
    for one in serials:
        serial = judging.state.harvest.labels.get(one)
        if serial is None:
            judging.find("LABEL_SERIAL_UNKNOWN", field)
        elif serial.fate is not LabelFate.PRINTED:
            judging.find("LABEL_SERIAL_SPENT", field)


def _evolve_voided(state: TherapyState, act: Act, body: harvest.LabelVoided, judged: Judged) -> None:
    _spend(state, act, body.serials, LabelFate.VOIDED)
    if not body.applied:
        return
    digest = state.current(body.applied)
    for material in state.materials.values():
        if material.label is not None and material.label.applied_by == digest:
            material.label = None
    applied = state.placed.get(digest)
    if applied is not None and isinstance(applied.body, harvest.LabelApplied):
        serial = state.harvest.labels.get(applied.body.label_serial)
        if serial is not None and serial.fate_by == digest:
            _settle(serial, LabelFate.VOIDED, act)


def _spend(state: TherapyState, act: Act, serials: Iterable[str], fate: LabelFate) -> None:
    for one in serials:
        serial = state.harvest.labels.get(one)
        if serial is not None and serial.fate is LabelFate.PRINTED:
            _settle(serial, fate, act)


def _check_returned(judging: Judging, body: labels.LabelsReturned) -> None:
    if judging.enrolled():
        judging.own_unit(body.unit, 2)
        _check_unused(judging, body.serials, 1)


def _evolve_returned(state: TherapyState, act: Act, body: labels.LabelsReturned, judged: Judged) -> None:
    _spend(state, act, body.serials, LabelFate.RETURNED)


# Read back.


def _check_read_back(judging: Judging, body: labels.LabelReadBack) -> None:
    if not judging.enrolled():
        return
    applied = judging.named(body.applied, _LABEL_APPLIED, 1)
    if applied is None or not isinstance(applied.body, harvest.LabelApplied):
        return
    if applied.signer == judging.act.signer:
        judging.find("READ_BACK_BY_SAME_PERSON", 1)
    if body.material != applied.body.material:
        judging.find("OTHER_STATEMENT_NAMED", 1, 2)
    material = judging.material(body.material, 2, physical=False)
    if material is None:
        return
    if material.label is None or material.label.applied_by != applied.digest:
        judging.find("LABEL_NOT_STANDING", 1)
    compared = compare_scans(body.scans, expectation_of(judging.state, judging.act, ()))
    if not has_matched(compared, ScanKind.COI, ScanKind.DIN):
        judging.find("READ_BACK_INCOMPLETE", 50)


def _evolve_read_back(state: TherapyState, act: Act, body: labels.LabelReadBack, judged: Judged) -> None:
    if judged.status is Status.CONFORMING:
        state.harvest.read_back.setdefault(state.current(body.applied), act.digest)


def check_read_back(judging: Judging, material: MaterialState, field: int) -> None:
    """Finds, where the policy asks for labels to be read back, a bag that leaves without, and one without a label.

    Samples and retains may go under the laboratory's own labels; what is collected or given may not.
    """
    if _LABEL not in judging.pack.required_identity_checks:
        return
    if material.label is None:
        if material.kind in _LABELLED:
            judging.find("LABEL_MISSING", field)
    elif material.label.applied_by not in judging.state.harvest.read_back:
        judging.find("LABEL_NOT_READ_BACK", field)


# Reconciled.


def _counted(body: labels.LabelsReconciled) -> LabelTally:
    return LabelTally(body.printed, body.applied, body.voided, body.returned)


def label_difference(body: labels.LabelsReconciled) -> int:
    """Returns how many labels of a count nobody accounts for; negative where more turned up than were printed."""
    return _counted(body).difference


def _check_reconciled(judging: Judging, body: labels.LabelsReconciled) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 1)
    counted, known = _counted(body), judging.state.harvest.tally(unit)
    if counted.difference:
        judging.find("LABELS_DO_NOT_BALANCE", *_COUNTED_FIELDS.values())
    differing = [field for name, field in _COUNTED_FIELDS.items() if getattr(counted, name) != getattr(known, name)]
    if differing:
        judging.find("LABEL_COUNT_DIFFERS", *differing)


def _evolve_reconciled(state: TherapyState, act: Act, body: labels.LabelsReconciled, judged: Judged) -> None:
    is_sound = judged.status is Status.CONFORMING
    state.harvest.reconciliations.append(Reconciliation(act.digest, unit_of(body.unit), end_of(act), is_sound))


def _is_reconciled(state: TherapyState, site: bytes, known_until: int | None) -> bool:
    """Tells whether a site accounts for its labels that were known by a time, or for all."""
    unit = UnitRef(site)
    concerned = [one for one in state.harvest.labels_of(unit) if known_until is None or one.known_at <= known_until]
    if not concerned:
        return True
    if any(one.fate is LabelFate.PRINTED for one in concerned):
        return False
    # A sound count of the very unit, or of its site as a whole, behind the last word on each label.
    return all(
        any(
            count.is_sound
            and count.unit.site == site
            and count.unit.unit in ("", one.unit.unit)
            and count.at >= one.changed_at
            for count in state.harvest.reconciliations
        )
        for one in concerned
    )


def check_labels_before_collection(judging: Judging) -> None:
    """Finds labels of this site's earlier collection that nobody accounts for, where the policy asks for it."""
    if not judging.pack.labels_reconciled:
        return
    state, site = judging.state, judging.act.site
    ends = [
        end_of(completed)
        for collection in state.collections.values()
        if collection.unit.site == site and (completed := state.placed.get(collection.completed_by)) is not None
    ]
    if ends and not _is_reconciled(state, site, max(ends)):
        judging.find("LABELS_NOT_RECONCILED")


def check_labels_at_closure(state: TherapyState, pack: PolicyPack, found: Findings) -> None:
    """Adds what stands against closing a therapy for its labels' sake."""
    if not pack.labels_reconciled:
        return
    if not all(_is_reconciled(state, site, None) for site in {one.unit.site for one in state.harvest.labels.values()}):
        found.add("LABELS_NOT_RECONCILED")


ACTS: tuple[TherapyAct, ...] = (
    fact(labels.LabelsPrinted, check=_check_printed, evolve=_evolve_printed),
    fact(harvest.LabelApplied, check=_check_applied, evolve=_evolve_applied, materials=lambda body: (body.material,)),
    fact(harvest.LabelVoided, check=_check_voided, evolve=_evolve_voided, names=lambda body: (body.applied,)),
    fact(labels.LabelsReturned, check=_check_returned, evolve=_evolve_returned),
    fact(
        labels.LabelReadBack,
        check=_check_read_back,
        evolve=_evolve_read_back,
        names=lambda body: (body.applied,),
        materials=lambda body: (body.material,),
    ),
    fact(labels.LabelsReconciled, check=_check_reconciled, evolve=_evolve_reconciled),
)
