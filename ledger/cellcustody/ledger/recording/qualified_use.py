"""Find what stands against using equipment, shippers, loggers, carriers and ways, as they stand at this entry.

The rules:

* Equipment that its stream says is out of service or on hold is not used, whatever the pack asks for.
* Of the kinds that the pack names, equipment is calibrated or qualified at the time of the act. Where the pack names
  any kind, equipment that nobody registered is none that can be relied on.
* What a material is packed into, or received out of, is judged then, under the therapy's pack: shipper, loggers,
  carrier and lane of the consignment as known here. A carrier and a lane count as qualified by the word of a site of
  the therapy; unknown is never qualified.
* A consignment has no pack of its own and learns of none: what lapsed is an advisory there.

Judged once, by the time of the act, against what the log holds in front of this entry; a qualification that comes
later, or is withdrawn, changes none of it (ADR 0042). The writer's thread alone calls this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState
from cellcustody.ledger.custody.equipment import EquipmentState
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.qualifications import QualificationKind, in_force
from cellcustody.ledger.custody.references import registers_key
from cellcustody.ledger.custody.sites import SiteState
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.custody.uses import equipment_used
from cellcustody.ledger.recording.cases import Cases
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import harvest_pb2, transport_pb2

__all__ = ["qualification_findings"]

_STREAM_BYTES: Final = 17
_SITE_BYTES: Final = 16


def qualification_findings(
    cases: Cases, state: object, body: Message, numbers: Sequence[int], at: int, pack: PolicyPack
) -> tuple[Finding, ...]:
    """Returns what stands against what the act used; `state` is its stream's, `at` its time in microseconds."""
    found = Findings()
    match body:
        case transport_pb2.ConsignmentOpened():
            leaves = _leaves(numbers, 3)
            for index, one in enumerate(body.containers):
                _advise(cases, (one.asset, one.logger), at, leaves[index : index + 1], found)
        case transport_pb2.LoggerStarted():
            _advise(cases, (body.logger,), at, _leaves(numbers, 2), found)
        case harvest_pb2.MaterialPacked() | harvest_pb2.MaterialReceived() if isinstance(state, TherapyState):
            _judge_way(cases, state, body.consignment, body.container, numbers, at, pack, found)
        case _:
            for number, asset in equipment_used(body):
                _judge_equipment(cases, asset, at, pack, _leaves(numbers, number), found)
    return found.result()


def _leaves(numbers: Sequence[int], number: int) -> tuple[int, ...]:
    return tuple(leaf for leaf, one in enumerate(numbers) if one == number)


def _registered(cases: Cases, asset: str) -> tuple[EquipmentState, ...]:
    """Returns the equipment registered under an asset identifier; more than one if somebody made a mistake."""
    if not asset:
        return ()
    states = (cases.case(stream).state for stream in sorted(cases.linked(registers_key(asset))))
    return tuple(one for one in states if isinstance(one, EquipmentState) and one.asset == asset)


def _judge_equipment(
    cases: Cases, asset: str, at: int, pack: PolicyPack, leaves: tuple[int, ...], found: Findings
) -> None:
    asked = pack.qualifications_required.equipment
    registered = _registered(cases, asset)
    if not registered and asked:
        found.add("EQUIPMENT_UNKNOWN", leaves)
    for one in registered:
        if not one.is_in_service(at):
            found.add("EQUIPMENT_OUT_OF_SERVICE", leaves)
        if not one.in_force(at):
            found.add("EQUIPMENT_OUT_OF_CALIBRATION" if one.kind in asked else "QUALIFICATION_LAPSED", leaves)


def _advise(cases: Cases, assets: Iterable[str], at: int, leaves: tuple[int, ...], found: Findings) -> None:
    if any(not one.is_fit(at) for asset in assets for one in _registered(cases, asset)):
        found.add("QUALIFICATION_LAPSED", leaves)


# The way of a material from one site to another. ------------------------------------------------------------------


def _judge_way(
    cases: Cases,
    state: TherapyState,
    stream: bytes,
    label: str,
    numbers: Sequence[int],
    at: int,
    pack: PolicyPack,
    found: Findings,
) -> None:
    asked = pack.qualifications_required
    if not (asked.shipper or asked.logger or asked.lane or asked.courier):
        return
    if len(stream) != _STREAM_BYTES or stream[0] != StreamKind.CONSIGNMENT:
        return
    consignment = cases.case(stream).state
    if not isinstance(consignment, ConsignmentState) or not consignment.opened:
        return  # The act waits for the consignment, and says so; it is judged again where the material is received.
    container = consignment.containers.get(label)
    at_consignment, at_container = _leaves(numbers, 2), _leaves(numbers, 3)
    if container is not None:
        if asked.shipper and not _is_fit(cases, container.asset, at):
            found.add("SHIPPER_QUALIFICATION_MISSING", at_container)
        if asked.logger and not all(_is_fit(cases, logger, at) for logger in _loggers(container)):
            found.add("LOGGER_CALIBRATION_MISSING", at_container)
    trusted = _sites_of(state)
    carrier = _site_state(cases, consignment.carrier)
    if asked.courier and not _holds(carrier, at, QualificationKind.COURIER, None, trusted):
        found.add("COURIER_NOT_QUALIFIED", at_consignment)
    if asked.lane and not _holds(carrier, at, QualificationKind.LANE, _lane(consignment), trusted):
        found.add("LANE_NOT_QUALIFIED", at_consignment)


def _is_fit(cases: Cases, asset: str, at: int) -> bool:
    registered = _registered(cases, asset)
    return bool(registered) and all(one.is_fit(at) for one in registered)


def _loggers(container: ContainerState) -> Iterator[str]:
    """Yields the loggers of a container: those started, or else the one that was declared, if any."""
    if container.loggers:
        yield from container.loggers
    else:
        yield container.declared_logger


def _lane(consignment: ConsignmentState) -> tuple[bytes, bytes] | None:
    origin, destination = consignment.unit, consignment.destination
    return None if origin is None or destination is None else (origin.site, destination.site)


def _holds(
    carrier: SiteState | None,
    at: int,
    kind: QualificationKind,
    lane: tuple[bytes, bytes] | None,
    trusted: frozenset[bytes],
) -> bool:
    if carrier is None or (kind is QualificationKind.LANE and lane is None):
        return False
    return bool(in_force(carrier.qualifications.values(), at, kind, lane=lane, by=trusted))


def _site_state(cases: Cases, site: bytes) -> SiteState | None:
    if len(site) != _SITE_BYTES:
        return None
    state = cases.case(bytes([StreamKind.SITE]) + site).state
    return state if isinstance(state, SiteState) else None


def _sites_of(state: TherapyState) -> frozenset[bytes]:
    """Returns the sites of a therapy, whose word on a carrier counts in it."""
    treating = () if state.treating_unit is None else (state.treating_unit.site,)
    return state.participants.union(treating, (state.custodian_of_record,)) - {b""}
