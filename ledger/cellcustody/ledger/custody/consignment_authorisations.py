"""Judge the authorisations of a consignment's stream at their arrival.

The rules, beside those of `authorisations`:

* Custody is established by a person of the last custodian's site or of the site that opened the consignment (which
  keeps its record), joined by a second person; it names containers that the consignment has and the unit that
  answers from now on.
* A hold for an excursion or an unknown condition is not lifted here: what lay in the container may belong to several
  therapies, and each disposes of its own with the study that supports it.
* A hold for a label that named something else, or could not be read, is lifted once its containers were scanned again
  since, by two persons, and their labels were right.
* News counts where it touches a container that the authorisation touches; what touches the whole consignment always.

An authorisation with a finding that is a gate is refused. One in effect is never judged again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.authorisations import News, check_common, decision_news
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.consignment_touch import containers_touched
from cellcustody.ledger.custody.consignment_transit import is_scanned_well
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["consignment_news", "judge_authorisation"]

# Each therapy's quality decides about its own materials, with the study for them; the container itself needs none.
_DISPOSED_BY_THERAPIES = frozenset({"EXCURSION", "CONDITION_UNKNOWN"})
_OF_LABELS = frozenset({"SCAN_MISMATCH", "SCAN_UNREADABLE"})


def consignment_news(
    fold: Fold[ConsignmentState],
    act: Act,
    *,
    containers: frozenset[str] | None = None,
    revised_at: Mapping[bytes, int] | None = None,
) -> tuple[News, ...]:
    """Returns what concerns the same containers and the signer had not seen, oldest first.

    `containers` are those concerned (empty: the whole consignment); by default those that `act` touches.
    """
    touched = containers_touched(fold.state, act) if containers is None else containers

    def concerns(state: ConsignmentState, one: Act) -> bool:
        others = containers_touched(state, one)
        return not touched or not others or not touched.isdisjoint(others)

    return decision_news(fold, act, concerns, revised_at=revised_at)


def judge_authorisation(
    state: ConsignmentState, act: Act, pack: PolicyPack, news: Collection[News] = ()
) -> tuple[Finding, ...]:
    """Returns what the rules find in an authorisation against the state as it is now, in order of code."""
    found = Findings()
    if not state.opened:
        return (Finding("CONSIGNMENT_UNKNOWN"),)
    check_common(state, act, pack, news, found)
    if isinstance(act.body, quality.HoldLifted):
        _check_lifted(state, act, act.body, found)
    match act.body:
        case transport.CustodyEstablished() as body:
            _check_established(state, act, body, found)
        case (
            quality.HoldLifted()
            | quality.StatementCorrected()
            | quality.StatementRetracted()
            | quality.GateOverridden()
            | quality.DeviationClosed()
        ):
            pass
        case _:
            found.add("BODY_NOT_OF_CONSIGNMENT")
    return found.result()


def _check_lifted(state: ConsignmentState, act: Act, body: quality.HoldLifted, found: Findings) -> None:
    leaves = act.leaves_of(1)
    for index, one in enumerate(body.holds):
        hold = state.holds.get(one)
        if hold is not None and hold.code in _DISPOSED_BY_THERAPIES:
            found.add("DISPOSITION_NEEDED", leaves[index : index + 1])
        if hold is not None and hold.code in _OF_LABELS and not _is_rescanned(state, hold):
            found.add("RESCAN_MISSING", leaves[index : index + 1])


def _is_rescanned(state: ConsignmentState, hold: Hold) -> bool:
    """Tells whether two persons have scanned each container of a hold since, and its labels were right."""
    wanted = hold.containers or frozenset(state.containers)
    scanned: set[str] = set()
    for act in state.placed.values():
        if act.occurred_start > hold.since and not act.is_authorisation and state.others_who_signed(act):
            touched = containers_touched(state, act)
            if touched and is_scanned_well(state, act):
                scanned |= touched
    return wanted <= scanned


def _check_established(state: ConsignmentState, act: Act, body: transport.CustodyEstablished, found: Findings) -> None:
    if not body.containers or not body.custodian.site or body.materials:
        found.add("ESTABLISHES_NOTHING", act.leaves_of(1, 2, 3))
    leaves = act.leaves_of(2)
    for index, label in enumerate(body.containers):
        leaf = leaves[index : index + 1]
        container = state.containers.get(label)
        if container is None:
            found.add("UNKNOWN_CONTAINER", leaf)
            continue
        entitled = {one.site for one in (container.custodian, state.unit) if one is not None}
        if act.site not in entitled:
            found.add("NOT_LAST_CUSTODIAN", leaf)
