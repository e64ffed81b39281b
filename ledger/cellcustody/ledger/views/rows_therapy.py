"""The rows of a therapy: a function of its fold and nothing else.

The rules:

* A material's row names its custodian and possessor as they are now, packed or not, so that holdings are one look-up.
* A hold stands on every unit that answers for something it covers; a hold on a whole therapy on the treating unit too.
* A batch waits for quality once it has been formulated and is still open.
* A nonconforming fact wants attention, at the site that said it and at the custodians of what it touched, for as long
  as a hold that it opened stands; one that opened none, or whose holds were lifted, is history.
* A lot's use leads to what descends from that step and has not been used up, used in testing or destroyed.
* Parties of a therapy are its participants, the treating site, the custodian of record, and whoever answers for or has
  one of its materials outside a container, or did at the material's end: a carrier of containers is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.genealogy import descendants
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold
from cellcustody.ledger.custody.therapy_judging import coi_content
from cellcustody.ledger.custody.therapy_rules import ROWS
from cellcustody.ledger.custody.therapy_state import BatchStatus, Life, MaterialState, TherapyState, custody_of
from cellcustody.ledger.views import tables
from cellcustody.ledger.views.folding import StreamView
from cellcustody.ledger.views.messages import (
    batch_record,
    history_item,
    material_custody,
    outstanding_signature,
    unit_message,
)
from cellcustody.ledger.views.row_writing import RowWriter, serialised
from cellcustody.ledger.views.rows_alerts import write_therapy_alerts
from cellcustody.ledger.views.rows_found import write_found
from cellcustody.ledger.views.tables import Row
from cellcustody.v1 import common_pb2, custody_query_service_pb2

__all__ = ["alias_value", "materials_of", "therapy_rows", "unit_columns"]

COI_SCHEME = "isbt128-coi"
_FORMULATION = "formulation"  # A name of `therapy_rules_manufacturing.STEPS`.
_GONE = frozenset({Life.USED, Life.CONSUMED, Life.DESTROYED})


def alias_value(scheme: str, value: str) -> str:
    """Returns an alias as it is looked up: a chain-of-identity identifier without identifier and check characters."""
    return coi_content(value) if scheme == COI_SCHEME else value


def materials_of(act: Act) -> tuple[bytes, ...]:
    """Returns the materials that a statement of a therapy concerns, each once, in the body's order."""
    row = ROWS.get(act.body_type)
    if row is None or act.body is None:
        return ()
    return tuple(dict.fromkeys(row.touches(act)[0]))


def unit_columns(custodian: UnitRef | None, possessor: UnitRef | None) -> tuple[bytes, str, bytes, str]:
    """Returns custodian and possessor as columns; nobody is empty."""
    answers = custodian or UnitRef(b"")
    has = possessor or UnitRef(b"")
    return (answers.site, answers.unit, has.site, has.unit)


def therapy_rows(view: StreamView, case: TherapyCase) -> dict[tuple[str, Row], Row]:
    """Returns all rows of a therapy."""
    writer = RowWriter(view.stream)
    state = case.state
    _write_therapy(writer, view, case)
    for material in state.materials.values():
        units = unit_columns(*custody_of(state, material.material))
        answer = serialised(material_custody(state, view.stream, material))
        writer.write(tables.MATERIAL, material.material, *units, int(material.life.has_ended), answer)
    for hold in state.holds.values():
        writer.hold(hold, _units_under(state, hold))
    for batch in state.batches.values():
        is_to_release = batch.status is BatchStatus.OPEN and any(step.kind == _FORMULATION for step in batch.steps)
        answer = serialised(batch_record(batch))
        writer.write(tables.BATCH, batch.batch, batch.unit.site, batch.unit.unit, int(is_to_release), answer)
    for waiting in case.outstanding():
        answer = serialised(outstanding_signature(view.stream, waiting))
        writer.write(tables.OUTSTANDING, waiting.digest, waiting.site, waiting.due, answer)
    _write_lots(writer, state)
    _write_attention(writer, view, case)
    write_therapy_alerts(writer, case, view.told)
    return writer.rows


def _write_therapy(writer: RowWriter, view: StreamView, case: TherapyCase) -> None:
    state = case.state
    last = view.told[-1].act.digest
    answer = custody_query_service_pb2.GetTherapyResponse(
        stream=view.stream,
        aliases=[common_pb2.Alias(scheme=scheme, value=value) for scheme, value in state.aliases],
        product=state.product,
        jurisdiction=state.jurisdiction,
        policy_digest=state.policy_digest,
        treating_unit=unit_message(state.treating_unit),
        last_statement_digest=last,
        entries=view.sequence,
        closed=state.closed,
        identity_broken=state.identity_broken,
        consignments=sorted(case.cited),
    )
    first_at, last_at = write_found(writer, view.told, view.latest, state)
    writer.write(tables.THERAPY, view.sequence, last, first_at, last_at, serialised(answer))
    for scheme, value in state.aliases:
        writer.write(tables.ALIAS, scheme, alias_value(scheme, value))
    for consignment in case.cited:
        writer.write(tables.CITATION, consignment)
    for site in _parties(state):
        writer.write(tables.PARTY, site)


def _parties(state: TherapyState) -> set[bytes]:
    parties = {*state.participants, state.custodian_of_record}
    if state.treating_unit is not None:
        parties.add(state.treating_unit.site)
    for material in state.materials.values():
        for unit in (material.custodian, material.possessor):
            if unit is not None:
                parties.add(unit.site)
    parties.discard(b"")
    return parties


def _custodians(state: TherapyState, materials: Iterable[MaterialState]) -> set[UnitRef]:
    units = set()
    for material in materials:
        custodian, _ = custody_of(state, material.material)
        if custodian is not None and not material.life.has_ended:
            units.add(custodian)
    return units


def _units_under(state: TherapyState, hold: Hold) -> set[UnitRef]:
    if hold.scope is ScopeOfHold.THERAPY:
        units = _custodians(state, state.materials.values())
        if state.treating_unit is not None:
            units.add(state.treating_unit)
        return units
    covered = {
        *hold.materials,
        *descendants(state, hold.materials),
        *(one.material for one in state.materials.values() if one.batch in hold.batches),
    }
    units = _custodians(state, (state.materials[one] for one in covered if one in state.materials))
    units.update(state.batches[batch].unit for batch in hold.batches if batch in state.batches)
    return units


def _write_lots(writer: RowWriter, state: TherapyState) -> None:
    ordinals: dict[bytes, int] = {}
    for use in state.lots:
        ordinal = ordinals.get(use.digest, 0)
        ordinals[use.digest] = ordinal + 1
        answer = custody_query_service_pb2.LotTrace(
            therapy=writer.stream,
            batch=use.batch,
            statement_digest=use.digest,
            lot=common_pb2.LotUse(lot=use.lot, lot_number=use.lot_number, kind=use.kind),
        )
        writer.write(tables.LOT_USE, use.digest, ordinal, use.lot_number, use.lot, serialised(answer))
        for one in sorted({*use.outputs, *descendants(state, use.outputs)}):
            material = state.materials.get(one)
            if material is not None and material.life not in _GONE:
                writer.write(tables.LOT_MATERIAL, use.digest, ordinal, one)


def _write_attention(writer: RowWriter, view: StreamView, case: TherapyCase) -> None:
    state = case.state
    opened_by = {hold.statement_digest for hold in state.holds.values()}
    for told in view.told:
        act = told.act
        judgement = view.latest[act.digest]
        if judgement.judged.status is not Status.NONCONFORMING or act.digest not in opened_by:
            continue
        concerned = materials_of(act)
        units = _custodians(state, (state.materials[one] for one in concerned if one in state.materials))
        units.add(UnitRef(act.site))
        item = history_item(told, judgement, materials=concerned)
        writer.attend(act.digest, units, act.occurred_start, item)
