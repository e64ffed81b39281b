"""Trace both ways: from a lot to every material it went into, with the action due; from a therapy to all it rests on.

The rules:

* A lot's materials come from rows, through steps, pools and divisions, so that a recall of a lot in a thousand
  therapies is answered a page at a time, each page as fast as the first.
* The state says where the material is: frozen or otherwise stored, in transit, in process, infused, or how it ended.
* The action follows from the state: quarantine what is stored or in process, stop and return what is under way, notify
  the physician of who was infused; nothing is due for what was used up or destroyed. It is due while the lot is stopped
  and nobody has recorded it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import DisclosureClass, body_type
from cellcustody.ledger.custody.recall_records import RecallAction
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.errors import LotNotFoundError, ReadNotPermittedError
from cellcustody.ledger.views.paging import Pages
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare, equipment_in, recall_taken
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import common_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["action_open", "recall_of_lot", "state_of", "trace_of_therapy", "who_acts"]

STOPPED: Final = ("quarantined", "recalled")
ACTIONS: Final = {
    RecallAction.QUARANTINE: "quarantine",
    RecallAction.STOP_AND_RETURN: "stop and return",
    RecallAction.NOTIFY_PHYSICIAN: "notify the physician",
}
_DUE: Final = {
    "frozen": RecallAction.QUARANTINE,
    "stored": RecallAction.QUARANTINE,
    "in_process": RecallAction.QUARANTINE,
    "archived": RecallAction.QUARANTINE,
    "in_transit": RecallAction.STOP_AND_RETURN,
    "infused": RecallAction.NOTIFY_PHYSICIAN,
    "partially_infused": RecallAction.NOTIFY_PHYSICIAN,
}
_STATEMENTS_SHOWN: Final = 5
_KEYS: Final = ("lot_material.stream", "lot_material.statement_digest", "lot_material.ordinal", "lot_material.material")


def state_of(material: custody.MaterialCustody) -> str:
    """Returns where a material is, for whoever has to act on it."""
    if material.state == "available":
        if material.consignment:
            return "in_transit"
        if material.kind == common_pb2.MATERIAL_KIND_PRODUCT and material.position.place:
            return "frozen"
        return "stored" if material.position.place else "in_process"
    return material.state


def action_open(asked: Asked, lot: bytes, stream: bytes, material: custody.MaterialCustody) -> str:
    """Returns what is due for a material of a recalled lot where it is now, or nothing once it was done."""
    action = _DUE.get(state_of(material))
    if action is None:
        return ""
    sql = "SELECT 1 FROM named WHERE stream = ? AND kind = 'recall taken' AND value = ?"
    if asked.snapshot.rows(sql, (stream, recall_taken(lot, material.material, action))):
        return ""
    return ACTIONS[action]


def who_acts(asked: Asked, material: custody.MaterialCustody) -> common_pb2.Unit | None:
    """Returns who is to act: the custodian, or for what was infused the treating unit."""
    if material.HasField("custodian") and not material.state.endswith("infused"):
        return material.custodian
    for raw in asked.snapshot.blobs("SELECT answer FROM therapy WHERE stream = ?", (material.therapy,)):
        therapy = custody.GetTherapyResponse.FromString(raw)
        if therapy.HasField("treating_unit"):
            return therapy.treating_unit
    return material.custodian if material.HasField("custodian") else None


def recall_of_lot(
    answer: pb.InspectRecallResponse, asked: Asked, request: pb.InspectRequest, pages: Pages, teller: Teller
) -> None:
    """Adds every material that a lot went into.

    Raises:
        LotNotFoundError: no therapy that the caller may read used this lot.
        ReadNotPermittedError: the caller sees no lots in use.
    """
    asked.refuse_without_therapies()
    if not asked.reader.may_read(DisclosureClass.OPERATIONAL):
        raise ReadNotPermittedError("lots in use are for sites at work and regulators", site=asked.reader.site)
    visible, of_reader = asked.visible("lot_use", asked.reader.therapies)
    sql = (
        f"SELECT lot_use.answer, material.answer, lot_use.lot, {', '.join(_KEYS)} FROM lot_use "
        "JOIN lot_material USING (stream, statement_digest, ordinal) JOIN material USING (stream, material) "
        f"WHERE lot_use.lot_number = ? AND {visible}"
    )
    rows = pages.rows(1, sql, [request.subject.lot, *of_reader], _KEYS)
    if not rows and not request.page_token:
        raise LotNotFoundError(
            "no step of a therapy that this site takes part in used this lot", asked=request.subject.lot
        )
    standings: dict[bytes, tuple[str, bool]] = {}
    aliases: dict[bytes, list[common_pb2.Alias]] = {}
    for use_raw, material_raw, lot, *_ in rows:
        if not (isinstance(use_raw, bytes) and isinstance(material_raw, bytes) and isinstance(lot, bytes)):
            continue
        use, material = custody.LotTrace.FromString(use_raw), custody.MaterialCustody.FromString(material_raw)
        if lot not in standings:
            standings[lot] = _standing(asked, lot)
        if use.therapy not in aliases:
            aliases[use.therapy] = _aliases(asked, use.therapy)
        standing, is_stopped = standings[lot]
        state = state_of(material)
        answer.lines.add(
            therapy=use.therapy,
            aliases=aliases[use.therapy],
            lot=use.lot,
            lot_status=standing,
            statement_digest=use.statement_digest,
            material=material,
            state=state,
            action=action_open(asked, lot, use.therapy, material) if is_stopped else "",
            addressee=who_acts(asked, material),
        )
    _count(answer)


def _standing(asked: Asked, lot: bytes) -> tuple[str, bool]:
    """Returns what quality has said of a lot, and whether it is stopped."""
    for standing, is_held in asked.snapshot.rows("SELECT standing, is_held FROM lot WHERE stream = ?", (lot,)):
        return str(standing), standing in STOPPED or bool(is_held)
    return "", False


def _aliases(asked: Asked, therapy: bytes) -> list[common_pb2.Alias]:
    sql = "SELECT answer FROM therapy WHERE stream = ?"
    for raw in asked.snapshot.blobs(sql, (therapy,)):
        return list(custody.GetTherapyResponse.FromString(raw).aliases)
    return []


def _count(answer: pb.InspectRecallResponse) -> None:
    by_state: dict[str, tuple[set[bytes], set[bytes]]] = {}
    for line in answer.lines:
        materials, therapies = by_state.setdefault(line.state, (set(), set()))
        materials.add(line.material.material)
        therapies.add(line.therapy)
    for state in sorted(by_state):
        materials, therapies = by_state[state]
        answer.counts.add(state=state, materials=len(materials), therapies=len(therapies))


def trace_of_therapy(answer: pb.InspectRecallResponse, account: Account, teller: Teller) -> None:
    """Adds every lot, piece of equipment, person, site, shipper and logger of a therapy."""
    found: dict[tuple[str, str, bytes], list[Told]] = {}
    for told in account.standing():
        for kind, name, identity in _names(told, teller):
            found.setdefault((kind, name, identity), []).append(told)
    for (kind, name, identity), statements in sorted(found.items(), key=lambda pair: pair[0]):
        answer.traces.add(
            kind=kind,
            name=name,
            id=identity,
            statements=map(bare, statements[:_STATEMENTS_SHOWN]),
            statements_count=len(statements),
        )


def _names(told: Told, teller: Teller) -> Iterable[tuple[str, str, bytes]]:
    act, body = told.act, told.act.body
    yield "person", teller.name(act.signer), act.signer
    if act.site:
        yield "site", teller.site_name(act.site), act.site
    if body is None or body_type(act.body_type) is None:
        return
    if teller.may_read(told, DisclosureClass.OPERATIONAL):
        for lot in _lots_in(body):
            yield "lot", lot.lot_number, lot.lot
        for equipment in equipment_in(body):
            if equipment:
                yield "equipment", equipment, b""
    match body:
        case transport.ConsignmentOpened():
            for container in body.containers:
                yield "shipper", container.asset or container.container, act.stream
        case transport.LoggerStarted():
            yield "logger", body.logger, act.stream
        case _:
            pass


def _lots_in(body: Message) -> Iterable[common_pb2.LotUse]:
    for field, value in body.ListFields():
        if field.message_type is not None and field.message_type.full_name == common_pb2.LotUse.DESCRIPTOR.full_name:
            yield from value if field.is_repeated else (value,)
