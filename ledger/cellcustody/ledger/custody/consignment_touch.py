"""Say which containers an act of a consignment touches, and which of its leaves speaks of which.

The rules:

* An act touches the containers it names; one that names a release touches those of the release.
* A finding on leaves that speak of containers touches those alone; any other touches all that the act touches; where
  that is none, the whole consignment.
"""

from __future__ import annotations

from collections.abc import Sequence

from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.consignment_readings import loggers_of
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["containers_found", "containers_touched"]


def containers_touched(state: ConsignmentState, act: Act) -> frozenset[str]:
    """Returns the labels of the containers that the act touches; empty for the whole consignment."""
    body = act.body
    match body:
        case transport.CustodyAccepted():
            release = state.release_of(body.release)
            of_release = () if release is None else release.containers
            return frozenset((*of_release, *(line.container for line in body.lines)))
        case transport.CustodyRefused() | transport.ReleaseWithdrawn() | transport.ReceiverRenamed():
            release = state.release_of(body.release)
            return frozenset(() if release is None else release.containers)
        case (
            transport.LoggerStarted()
            | transport.SealApplied()
            | transport.ExcursionAlarmed()
            | transport.CoolantReplenished()
            | transport.ShockRecorded()
        ):
            return frozenset((body.container,))
        case transport.CustomsCleared():
            stay = state.customs.get(state.current(body.held))
            return frozenset() if stay is None else stay.containers
        case (
            transport.CustodyReleased()
            | transport.PossessionReported()
            | transport.CustodyEstablished()
            | transport.TransitCheckpointPassed()
            | transport.ReceiptInspected()
            | transport.CustomsHeld()
            | transport.ContainersLost()
        ):
            return frozenset(body.containers)
        case quality.DeviationRaised() | quality.HoldPlaced() | quality.GateOverridden():
            return frozenset(body.scope.containers)
        case quality.HoldLifted():
            covered = [state.holds[hold].containers for hold in body.holds if hold in state.holds]
            return frozenset() if not all(covered) else frozenset[str]().union(*covered)
        case quality.StatementCorrected():
            target = state.placed.get(body.corrected)
            return frozenset() if target is None else containers_touched(state, target)
        case quality.StatementRetracted():
            target = state.placed.get(body.retracted)
            return frozenset() if target is None else containers_touched(state, target)
        case _:
            return frozenset()


def containers_found(state: ConsignmentState, act: Act, finding: Finding) -> frozenset[str]:
    """Returns the labels of the containers that the finding concerns; empty for the whole consignment."""
    concerned: set[str] = set()
    found = frozenset(finding.leaves)
    for labels, leaves in _spoken_of(state, act):
        for label, leaf in zip(labels, leaves, strict=False):
            if leaf in found:
                concerned.update(label)
    return frozenset(concerned) or containers_touched(state, act)


def _spoken_of(state: ConsignmentState, act: Act) -> list[tuple[Sequence[Sequence[str]], tuple[int, ...]]]:
    """Returns, for each repeated field that speaks of containers, the labels of each element and the leaves."""
    body = act.body
    match body:
        case transport.CustodyAccepted():
            return [
                ([(line.container,) for line in body.lines], act.leaves_of(3)),
                ([(seal.container,) for seal in body.seals], act.leaves_of(5)),
            ]
        case transport.CustodyReleased():
            return [
                ([(label,) for label in body.containers], act.leaves_of(3)),
                ([(seal.container,) for seal in body.seals], act.leaves_of(5)),
            ]
        case transport.TransitCheckpointPassed():
            return [
                ([(label,) for label in body.containers], act.leaves_of(2)),
                ([(seal.container,) for seal in body.seals], act.leaves_of(3)),
            ]
        case transport.ReceiptInspected():
            loaded = {
                logger: [one.container for one in state.containers.values() if logger in loggers_of(one)]
                for logger in (summary.logger for summary in body.loggers)
            }
            return [
                ([(label,) for label in body.containers], act.leaves_of(2)),
                ([(seal.container,) for seal in body.seals], act.leaves_of(3)),
                ([loaded[summary.logger] for summary in body.loggers], act.leaves_of(4)),
            ]
        case transport.PossessionReported():
            return [([(label,) for label in body.containers], act.leaves_of(2))]
        case _:
            return []
