"""The rows of a consignment, a lot or a site: a function of its fold and nothing else.

The rules:

* A container's row names its custodian and possessor; it is open until the consignment is closed.
* A release has a row while it waits for an answer.
* A refused release wants attention at its releaser until one of its containers is released again; a nonconforming
  fact, at the site that said it and at the custodians of its containers, while a hold that it opened stands.
* Parties of a consignment are the sites it names and those that sign in it, for whoever touched it may see it.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Status, UnitRef
from cellcustody.ledger.custody.consignment_state import ConsignmentState, Release, ReleaseStatus
from cellcustody.ledger.custody.consignment_touch import containers_touched
from cellcustody.ledger.custody.equipment import EquipmentState
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.lots import LotState
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views import tables
from cellcustody.ledger.views.folding import StreamView
from cellcustody.ledger.views.messages import (
    container_custody,
    history_item,
    open_handoff,
    outstanding_signature,
    unit_message,
)
from cellcustody.ledger.views.row_writing import RowWriter, serialised
from cellcustody.ledger.views.rows_alerts import write_consignment_alerts, write_qualification_alerts
from cellcustody.ledger.views.rows_found import write_found, write_qualified
from cellcustody.ledger.views.rows_therapy import unit_columns
from cellcustody.ledger.views.tables import Row
from cellcustody.ledger.views.waiting import outstanding_in
from cellcustody.v1 import common_pb2, custody_query_service_pb2, modification_pb2, transport_pb2

__all__ = ["alone_rows", "consignment_rows"]


def consignment_rows(view: StreamView, fold: Fold[ConsignmentState]) -> dict[tuple[str, Row], Row]:
    """Returns all rows of a consignment."""
    writer = RowWriter(view.stream)
    state = fold.state
    last = view.told[-1].act.digest
    answer = custody_query_service_pb2.GetConsignmentResponse(
        consignment=view.stream,
        last_statement_digest=last,
        destination=unit_message(state.destination),
        closed=state.closed,
    )
    first_at, last_at = write_found(writer, view.told, view.latest, state)
    writer.write(tables.CONSIGNMENT, view.sequence, last, first_at, last_at, serialised(answer))
    for container in state.containers.values():
        units = unit_columns(container.custodian, container.possessor)
        written = serialised(container_custody(container))
        writer.write(tables.CONTAINER, container.container, *units, int(not state.closed), written)
    for release in state.open_releases():
        releaser, receiver = release.releaser, release.receiver
        writer.write(
            tables.HANDOFF,
            release.digest,
            releaser.site,
            releaser.unit,
            receiver.site,
            receiver.unit,
            release.released_at,
            serialised(open_handoff(view.stream, release)),
        )
    for hold in state.holds.values():
        labels = hold.containers or state.containers.keys()
        writer.hold(hold, _custodians(state, labels))
    for waiting in outstanding_in(fold):
        signature = serialised(outstanding_signature(view.stream, waiting))
        writer.write(tables.OUTSTANDING, waiting.digest, waiting.site, waiting.due, signature)
    for site in _parties(view, state):
        writer.write(tables.PARTY, site)
    _write_attention(writer, view, state)
    write_consignment_alerts(writer, state, view.told)
    return writer.rows


def alone_rows(view: StreamView) -> dict[tuple[str, Row], Row]:
    """Returns the rows of a lot, a site or a piece of equipment: its holds, and who takes part."""
    writer = RowWriter(view.stream)
    state = view.alone()
    # A site's stream has the site's id; what used a lot is found when it is asked for, for that changes without it.
    units = [UnitRef(view.stream[1:])] if view.kind is StreamKind.SITE else []
    if isinstance(state, EquipmentState) and state.owner is not None:
        units = [state.owner]
    for hold in state.holds.values():
        writer.hold(hold, units)
    for site in sorted({told.act.site for told in view.told if told.act.site}):
        writer.write(tables.PARTY, site)
    write_found(writer, view.told, view.latest, state)
    write_qualified(writer, view.told)
    write_qualification_alerts(writer, view.told)
    if isinstance(state, LotState):
        lot = common_pb2.LotUse(lot=view.stream, lot_number=state.lot_number, kind=state.kind)
        standing, is_held = str(state.standing), int(bool(state.holds))
        writer.write(tables.LOT, state.lot_number, standing, is_held, _recalled_leaf(view), serialised(lot))
    return writer.rows


def _recalled_leaf(view: StreamView) -> int:
    """Returns the leaf of the statement that recalled a lot, or -1."""
    for told in reversed(view.told):
        body = told.act.body
        if isinstance(body, modification_pb2.LotStatusChanged) and told.act.in_effect_at is not None:
            return told.act.leaf_index if body.status == modification_pb2.LOT_STATUS_RECALLED else -1
    return -1


def _custodians(state: ConsignmentState, labels: Iterable[str]) -> set[UnitRef]:
    found = (state.containers.get(label) for label in labels)
    return {one.custodian for one in found if one is not None and one.custodian is not None}


def _parties(view: StreamView, state: ConsignmentState) -> set[bytes]:
    parties = {told.act.site for told in view.told}
    if state.destination is not None:
        parties.add(state.destination.site)
    for told in view.told:
        if isinstance(told.act.body, transport_pb2.ConsignmentOpened):
            parties.update((told.act.body.carrier, told.act.body.unit.site))
    for release in state.releases.values():
        parties.update((release.releaser.site, release.receiver.site))
    for container in state.containers.values():
        for unit in (container.custodian, container.possessor):
            if unit is not None:
                parties.add(unit.site)
    parties.discard(b"")
    return parties


def _write_attention(writer: RowWriter, view: StreamView, state: ConsignmentState) -> None:
    opened_by = {hold.statement_digest for hold in state.holds.values()}
    refused = {one.answered_by: one for one in state.releases.values() if one.status is ReleaseStatus.REFUSED}
    for told in view.told:
        act = told.act
        judgement = view.latest[act.digest]
        units: set[UnitRef] = set()
        release = refused.get(act.digest)
        if release is not None and not _is_released_again(state, release):
            units.add(release.releaser)
        if judgement.judged.status is Status.NONCONFORMING and act.digest in opened_by:
            units.add(UnitRef(act.site))
            units |= _custodians(state, containers_touched(state, act) or state.containers.keys())
        if units:
            item = history_item(told, judgement)
            writer.attend(act.digest, units, act.occurred_start, item)


def _is_released_again(state: ConsignmentState, refused: Release) -> bool:
    return any(
        one.released_at > refused.released_at and not set(one.containers).isdisjoint(refused.containers)
        for one in state.releases.values()
    )
