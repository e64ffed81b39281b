"""Judge and evolve what happens to a consignment between two handoffs: coolant, customs, shocks, losses; and scans.

The rules:

* Containers that are numbered are numbered 1 to N, each once, and each says the N that there are.
* Coolant is filled in before it has run out; where it ran out on the way, that is shown on receipt, and the logger's
  readings decide. The custodian fills it in.
* Customs keep containers without answering for them: custody does not move. What they opened or irradiated is held.
* An impact or a tilt over the limit set for the container holds it, and so does one that cannot be compared.
* Lost containers are held, and nobody has them, until whoever finds one says so and quality lifts the hold.
* On receipt at the destination, the documents that travelled with the consignment are there.
* Scans name the consignment, one of its containers with its shipper or logger, or the chain of identity printed on the
  outside of one. Nothing here knows patients.

What nonconforming facts do: all of it, for it is in the world. Nothing here moves custody.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.consignment_checks import by_custodian, known
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState, CustomsStay
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.quantities import compared
from cellcustody.ledger.custody.scan_comparison import (
    IDENTITY_KINDS,
    Expectation,
    ScanKind,
    compare_scans,
    scan_findings,
    scans_of,
)
from cellcustody.v1 import transport_pb2 as transport

__all__ = [
    "check_coolant_on_receipt",
    "check_documents",
    "check_numbers",
    "check_transit",
    "consignment_scan_findings",
    "evolve_transit",
    "is_scanned_well",
]


def check_transit(state: ConsignmentState, act: Act, found: Findings) -> bool:
    """Adds what the rules find in an act of the way; tells whether it was one."""
    match act.body:
        case transport.CoolantReplenished() as body:
            by_custodian(state, act, (body.container,), act.leaves_of(1), "NOT_BY_CUSTODIAN", found)
            container = state.containers.get(body.container)
            if container is not None and _ran_out(container, act.occurred_start):
                found.add("COOLANT_RAN_OUT", act.leaves_of(1))
            if body.coolant_until_unix_micros <= act.occurred_start:
                found.add("COOLANT_TIME_MISSING", act.leaves_of(4) or act.leaves_of(1))
        case transport.CustomsHeld() as body:
            known(state, body.containers, act.leaves_of(3), found)
        case transport.CustomsCleared() as body:
            _check_cleared(state, act, body, found)
        case transport.ShockRecorded() as body:
            known(state, (body.container,), act.leaves_of(1), found)
            over = compared(body.reading, body.limit) if body.HasField("reading") and body.HasField("limit") else None
            if over is None or over > 0:
                found.add("SHOCK_EXCEEDED", act.leaves_of(1, 4, 5))
        case transport.ContainersLost() as body:
            by_custodian(state, act, body.containers, act.leaves_of(1), "NOT_BY_CUSTODIAN", found)
            found.add("CONTAINER_LOST", act.leaves_of(1))
        case _:
            return False
    return True


def _check_cleared(state: ConsignmentState, act: Act, body: transport.CustomsCleared, found: Findings) -> None:
    stay = state.customs.get(state.current(body.held))
    if stay is None:
        named = state.placed.get(state.current(body.held))
        is_other = named is not None and not isinstance(named.body, transport.CustomsHeld)
        found.add("OTHER_STATEMENT_NAMED" if is_other else "PREDECESSOR_MISSING", act.leaves_of(1))
        return
    if stay.cleared_by:
        found.add("CUSTOMS_CLEARED_BEFORE", act.leaves_of(1))
    if body.opened_or_irradiated:
        found.add("OPENED_BY_AUTHORITY", act.leaves_of(2))


def evolve_transit(state: ConsignmentState, act: Act) -> bool:
    """Lets an act of the way change the state; tells whether it was one."""
    match act.body:
        case transport.CoolantReplenished() as body:
            container = state.containers.get(body.container)
            if container is not None:
                container.coolant_until = body.coolant_until_unix_micros
                container.place = body.place or container.place
        case transport.CustomsHeld() as body:
            state.last_place = body.place
            state.customs[act.digest] = CustomsStay(act.digest, frozenset(body.containers), act.occurred_start)
        case transport.CustomsCleared() as body:
            stay = state.customs.get(state.current(body.held))
            if stay is not None and not stay.cleared_by:
                stay.cleared_by = act.digest
                stay.cleared_at = act.occurred_start
        case transport.ShockRecorded():
            pass  # It moves nothing; a limit exceeded opens its hold with the finding.
        case transport.ContainersLost() as body:
            for label in body.containers:
                container = state.containers.get(label)
                if container is not None:
                    container.give_possession(None, act.occurred_start)
                    container.place = body.last_place
                    container.is_lost = True
        case _:
            return False
    return True


def check_numbers(act: Act, body: transport.ConsignmentOpened, found: Findings) -> None:
    """Finds containers whose numbers are not 1 to N, each once, with the same N on all."""
    count = len(body.containers)
    numbers = [(one.number, one.number_of) for one in body.containers]
    if any(numbers[0] if numbers else ()) or any(map(any, numbers)):
        is_whole = sorted(number for number, _ in numbers) == list(range(1, count + 1))
        if not is_whole or any(number_of != count for _, number_of in numbers):
            found.add("CONTAINERS_MISNUMBERED", act.leaves_of(3))


def _ran_out(container: ContainerState, at: int) -> bool:
    return 0 < container.coolant_until < at


def check_coolant_on_receipt(act: Act, container: ContainerState, leaf: tuple[int, ...], found: Findings) -> None:
    """Shows a container whose coolant had run out before it was inspected."""
    if _ran_out(container, act.occurred_start):
        found.add("COOLANT_SPENT", leaf)


def check_documents(state: ConsignmentState, act: Act, body: transport.ReceiptInspected, found: Findings) -> None:
    """Shows documents that travelled and are not told of at the destination, and an inspection somewhere else."""
    if state.destination is None:
        return
    if act.site != state.destination.site:
        if act.site != state.carrier:
            found.add("NOT_THE_DESTINATION", act.leaves_of(1))
        return
    if not state.documents <= {one.sha256 for one in body.documents}:
        found.add("DOCUMENT_NOT_RECEIVED", act.leaves_of(52))


def consignment_scan_findings(state: ConsignmentState, act: Act) -> tuple[Finding, ...]:
    """Returns what comparing an act's scans with the consignment's labels finds."""
    return scan_findings(act, _Labels(state).expected)


def is_scanned_well(state: ConsignmentState, act: Act) -> bool:
    """Tells whether the scans of an act confirm a consignment, and nothing in them says otherwise.

    Where a container bears a chain of identity, that or the consignment's number is among them.
    """
    compared = compare_scans(scans_of(act), _Labels(state).expected)
    if scan_findings(act, _Labels(state).expected):
        return False
    wanted = IDENTITY_KINDS if any(container.coi for container in state.containers.values()) else frozenset(ScanKind)
    return any(one.matched & wanted for one in compared)


class _Labels:
    """What the labels of a consignment say; worked out only for acts that carry scans."""

    def __init__(self, state: ConsignmentState) -> None:
        self._state = state

    def expected(self, on: str) -> Expectation:
        """Returns what a label on the container `on` says; of any container where it names none."""
        one = self._state.containers.get(on)
        containers = self._state.containers.values() if one is None else (one,)
        return Expectation.of(
            cois=[container.coi for container in containers],
            consignments=[self._state.consignment_number],
            assets=[asset for container in containers for asset in _assets(container)],
            texts=[self._state.consignment_number, *(container.container for container in containers)],
        )


def _assets(container: ContainerState) -> tuple[str, ...]:
    return (container.asset, container.declared_logger, *sorted(container.loggers), *sorted(container.seals))
