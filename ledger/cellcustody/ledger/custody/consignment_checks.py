"""Ask of an act of a consignment what many of its rules ask: who signs, which containers it has, whose they are."""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState
from cellcustody.ledger.custody.findings import Findings
from cellcustody.v1 import common_pb2 as common

__all__ = ["by_custodian", "known", "signed_for"]


def signed_for(act: Act, unit: common.Unit, field: int, found: Findings) -> None:
    """Finds a signer who signs for a unit of another site."""
    if act.site != unit.site:
        found.add("SIGNED_FOR_ANOTHER_SITE", act.leaves_of(field))


def known(
    state: ConsignmentState, containers: Iterable[str], leaves: tuple[int, ...], found: Findings
) -> list[tuple[ContainerState, tuple[int, ...]]]:
    """Returns the containers that the consignment has, each with its leaf; finds those that it has not."""
    result = []
    for index, label in enumerate(containers):
        leaf = leaves[index : index + 1]
        container = state.containers.get(label)
        if container is None:
            found.add("UNKNOWN_CONTAINER", leaf)
        else:
            result.append((container, leaf))
    return result


def by_custodian(
    state: ConsignmentState,
    act: Act,
    containers: Iterable[str],
    leaves: tuple[int, ...],
    code: str,
    found: Findings,
) -> None:
    """Finds, with `code`, containers for which the signer's site does not answer."""
    for container, leaf in known(state, containers, leaves, found):
        if container.custodian is None or container.custodian.site != act.site:
            found.add(code, leaf)
