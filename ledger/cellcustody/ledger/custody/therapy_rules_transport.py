"""Judge and evolve packing, receipt and reported possession of materials.

The rules:

* A material is packed once at a time, by the unit that answers for both the material and the container, into a
  container of an opened consignment that is neither sealed nor closed, after its bag was read.
* Collected cells leave before their fresh hold runs out, with labels read back where the pack asks for that.
* A product on hold or not released is not packed towards the place of infusion.
* A material is received out of the container it was packed in, by the unit that answers for that container; bag and
  label are read, and the bag is whole.
* What is not sealed by itself lies in a container with no other patient's material: found in both therapies.
* An identifier on the bag, or on the outside of the container it is packed into, that is not the therapy's breaks the
  chain of identity.
* What arrives after its expiry is held, and what waited at a handoff on its way for longer than its pack lets it.
* So is what travelled out of its pack's band, or in a condition that nobody knows, as soon as the loggers were read;
  where they are read later, when it is used (`leg_conditions`).

What nonconforming facts do: the material lies in the container, wrong or not, and is taken out of it. Whoever takes it
out without answering for the container has it; the container's custodian goes on answering for it. Whoever says to
have a material has it; custody does not follow, and what is said for another site changes nothing.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged, UnitRef
from cellcustody.ledger.custody.consignment_readings import loggers_of
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState, ReleaseStatus
from cellcustody.ledger.custody.genealogy import donation_numbers
from cellcustody.ledger.custody.leg_conditions import code_of, way_condition
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import container_keys, din_number
from cellcustody.ledger.custody.scan_comparison import ScanKind
from cellcustody.ledger.custody.therapy_evolution import has_code, move_custody, take_out
from cellcustody.ledger.custody.therapy_judging import (
    MICROS_PER_SECOND,
    Judging,
    answers_for,
    same_coi,
    same_din,
    unit_of,
)
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_rules_harvest_cold import check_fresh_hold
from cellcustody.ledger.custody.therapy_rules_harvest_labels import check_read_back
from cellcustody.ledger.custody.therapy_scans import kinds_scanned
from cellcustody.ledger.custody.therapy_state import MaterialKind, MaterialState, Packed, TherapyState, custody_of
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["ACTS", "check_bag_read"]


def check_bag_read(
    judging: Judging, material: MaterialState, coi_read: str, din_read: str, *, coi_field: int, din_field: int
) -> None:
    """Finds what was read from a bag unless it is the therapy's and the label's; nothing at all is unreadable."""
    if not coi_read and not din_read:
        if not kinds_scanned(judging.state, judging.act, (material.material,)) & {ScanKind.COI, ScanKind.DIN}:
            judging.find("BAG_UNREADABLE")
        return
    if coi_read and not same_coi(coi_read, judging.state.coi):
        judging.find("IDENTITY_MISMATCH", coi_field)
    if not din_read:
        return
    if material.label is not None and material.label.din:
        if not same_din(din_read, material.label.din):
            judging.find("IDENTITY_MISMATCH", din_field)
    elif din_number(din_read) not in donation_numbers(judging.state, material):
        judging.find("IDENTITY_MISMATCH", din_field)


def _consignment(judging: Judging, stream: bytes, field: int) -> ConsignmentState | None:
    """Returns an opened consignment, or waits for it."""
    found = judging.state.consignments.get(stream)
    if found is None or not found.opened:
        judging.find("CONSIGNMENT_UNKNOWN", field)
        return None
    return found


def _container(judging: Judging, consignment: ConsignmentState, label: str, field: int) -> ContainerState | None:
    found = consignment.containers.get(label)
    if found is None:
        judging.find("UNKNOWN_CONTAINER", field)
    return found


def _check_packed(judging: Judging, body: harvest.MaterialPacked) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 4)
    material = judging.material(body.material, 1)
    consignment = _consignment(judging, body.consignment, 2)
    container = None if consignment is None else _container(judging, consignment, body.container, 3)
    if material is not None:
        if material.packed is not None:
            judging.find("ALREADY_PACKED", 1)
        else:
            judging.answered_by(material, unit, 1, 4)
        _check_dispatch(judging, material, consignment)
        check_fresh_hold(judging, material, 1)
        check_read_back(judging, material, 1)
        judging.handed_over_by_two(material, 1)
    if container is not None and consignment is not None:
        if consignment.closed:
            judging.find("CONSIGNMENT_CLOSED", 2)
        if not answers_for(container.custodian, unit):
            judging.find("CONTAINER_NOT_HELD", 3, 4)
        if container.seals:
            judging.find("CONTAINER_SEALED", 3)
        if container.coi and not same_coi(container.coi, judging.state.coi):
            judging.find("IDENTITY_MISMATCH", 3)
    _check_shared(judging, body)
    if not body.coi_read:
        if ScanKind.COI not in kinds_scanned(judging.state, judging.act, (body.material,)):
            judging.find("BAG_UNREADABLE")
    elif not same_coi(body.coi_read, judging.state.coi):
        judging.find("IDENTITY_MISMATCH", 5)


def _check_shared(judging: Judging, body: harvest.MaterialPacked) -> None:
    """Finds another therapy's material beside this one, if either is not sealed."""
    sealed, unsealed = container_keys(body.consignment, body.container)
    stream = judging.act.stream
    if judging.references.others(unsealed, stream) or (body.unsealed and judging.references.others(sealed, stream)):
        judging.find("CONTAINER_SHARED_OPEN", 3)


def _check_dispatch(judging: Judging, material: MaterialState, consignment: ConsignmentState | None) -> None:
    """Finds a product that goes to where it is infused while it may not be."""
    treating = judging.state.treating_unit
    if (
        material.kind == MaterialKind.PRODUCT
        and consignment is not None
        and consignment.destination is not None
        and treating is not None
        and consignment.destination.site == treating.site
        and judging.act.site != treating.site
    ):
        judging.not_held(material, 1)
        if not material.is_released:
            judging.find("NOT_RELEASED", 1)


def _evolve_packed(state: TherapyState, act: Act, body: harvest.MaterialPacked, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    take_out(state, material)
    material.packed = Packed(body.consignment, body.container)
    material.journeys.append(material.packed)
    material.handed_over_by = b""  # From here on its consignment tells who has it.
    material.place = ""
    material.place_unit = None


def _check_received(judging: Judging, body: harvest.MaterialReceived) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 4)
    material = judging.material(body.material, 1)
    consignment = _consignment(judging, body.consignment, 2)
    if material is None or consignment is None:
        return
    here = Packed(body.consignment, body.container)
    if material.packed is None:
        # Taken out before, or its packing is still to come.
        judging.find("ALREADY_RECEIVED" if here in material.journeys else "PACKING_UNKNOWN", 1, 2)
    elif material.packed != here:
        judging.find("NOT_PACKED_THERE", 2, 3)
    container = consignment.containers.get(body.container)
    if container is None:
        judging.find("UNKNOWN_CONTAINER", 3)
    elif not answers_for(container.custodian, unit):
        judging.find("NOT_CUSTODIAN", 3, 4)
    check_bag_read(judging, material, body.coi_read, body.din_read, coi_field=6, din_field=5)
    if not body.intact:
        judging.find("BAG_BREACHED")
    _check_arrived(judging, material, here)


def _check_arrived(judging: Judging, material: MaterialState, way: Packed) -> None:
    """Finds what arrived expired, or of which the loggers that were read say more than its pack lets pass."""
    label = material.label
    if label is not None and label.expires_at is not None and judging.act.occurred_start > label.expires_at:
        judging.find("EXPIRED_ON_RECEIPT", 1)
    consignment = judging.state.consignments.get(way.consignment)
    if consignment is not None and _waited_too_long(judging.pack, consignment, way.container):
        judging.find("HANDOFF_TOO_LONG", 2, 3)
    container = None if consignment is None else consignment.containers.get(way.container)
    if container is None or not (container.inspected_by or not loggers_of(container)):
        return  # Its loggers are still to be read: it is asked again when the material is used.
    if container.condition in (common.CONDITION_OUT_OF_RANGE, common.CONDITION_UNKNOWN):
        return  # The inspection itself holds the container, and all that travelled in it.
    code = code_of(way_condition(judging.state, judging.pack, material, way))
    if code is not None:
        judging.find(code, 2, 3)


def _waited_too_long(pack: PolicyPack, consignment: ConsignmentState, container: str) -> bool:
    """Tells whether a handoff of the container was accepted later than the pack lets it wait."""
    budget = pack.handoff_acceptance_seconds * MICROS_PER_SECOND
    return any(
        container in release.containers
        and release.status is ReleaseStatus.ANSWERED
        and release.answered_at is not None
        and release.answered_at - release.released_at > budget
        for release in consignment.releases.values()
    )


def _evolve_received(state: TherapyState, act: Act, body: harvest.MaterialReceived, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    take_out(state, material)
    is_custodian = not has_code(
        judged, "NOT_CUSTODIAN", "NOT_PACKED_THERE", "ALREADY_RECEIVED", "UNKNOWN_CONTAINER", "SIGNED_FOR_ANOTHER_SITE"
    )
    move_custody(material, unit_of(body.unit), is_custodian=is_custodian)
    if not body.intact:
        material.breached = True


def _check_possession(judging: Judging, body: transport.PossessionReported) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.possessor, 1)
    for one in body.materials:
        material = judging.material(one, 3, physical=False)
        if material is None:
            continue
        custodian, _ = custody_of(judging.state, one)
        if not answers_for(custodian, unit):
            judging.find("POSSESSION_DISPUTED", 1, 3)
    if body.containers:
        judging.find("SCOPE_OF_ANOTHER_STREAM", 2)


def _evolve_possession(state: TherapyState, act: Act, body: transport.PossessionReported, judged: Judged) -> None:
    if has_code(judged, "SIGNED_FOR_ANOTHER_SITE"):
        return
    possessor = UnitRef(body.possessor.site, body.possessor.unit)
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            take_out(state, material)
            move_custody(material, possessor, is_custodian=False)
            material.place = body.place


ACTS: tuple[TherapyAct, ...] = (
    fact(harvest.MaterialPacked, check=_check_packed, evolve=_evolve_packed, materials=lambda body: (body.material,)),
    fact(
        harvest.MaterialReceived,
        check=_check_received,
        evolve=_evolve_received,
        materials=lambda body: (body.material,),
    ),
    fact(
        transport.PossessionReported,
        check=_check_possession,
        evolve=_evolve_possession,
        materials=lambda body: body.materials,
    ),
)
