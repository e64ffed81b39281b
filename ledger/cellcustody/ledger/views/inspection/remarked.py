"""List what an inspector asks for by kind, across all streams or for one subject: from rows, never from the log.

The rules:

* Overrides, nonconforming facts, corrections, late entries, deviations and their like have rows of their own, in order
  of occurrence; a page of them costs its own length, however long the log is.
* Emergency credentials stand in the registry and are listed with the overrides, each with the statements signed by it.
* Reasons, references and descriptions are read from the statements when they are asked for, as far as the reader may.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.entries import read_judgement
from cellcustody.ledger.recording.explaining import explain
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views.access import Reach
from cellcustody.ledger.views.asking import Asked
from cellcustody.ledger.views.paging import Pages
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import Remark
from cellcustody.ledger.views.subjects import subject_streams
from cellcustody.ledger.views.tables import Value
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import facilities_pb2, ledger_service_pb2, quality_pb2, registry_pb2, transport_pb2
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["corrections", "deviations", "exceptions", "fill_disposition", "remarks"]

_MICROS: Final = 1_000_000
_DECISIONS: Final = {
    value.number: value.name.removeprefix("CONDITION_DECISION_").lower()
    for value in transport_pb2.ConditionDecision.DESCRIPTOR.values
    if value.number
}
_KEYS: Final = ("occurred", "kind", "stream", "statement_digest")


def remarks(
    asked: Asked, request: pb.InspectRequest, pages: Pages, section: int, *kinds: str
) -> Iterator[tuple[str, bytes]]:
    """Yields kind and answer of the remarks of these kinds on this page, by time."""
    sql = f"SELECT answer, {', '.join(_KEYS)} FROM remark WHERE kind IN ({', '.join('?' * len(kinds))})"
    parameters: list[Value] = list(kinds)
    match request.subject.WhichOneof("subject"):
        case None:
            pass
        case "person":
            sql += " AND signer = ?"
            parameters.append(request.subject.person)
        case "site":
            sql += " AND site = ?"
            parameters.append(request.subject.site)
        case _:
            streams, named = subject_streams(asked, request)
            sql += f" AND stream IN ({streams})"
            parameters += named
    if request.HasField("from_unix_micros"):
        sql += " AND occurred >= ?"
        parameters.append(request.from_unix_micros)
    if request.HasField("until_unix_micros"):
        sql += " AND occurred < ?"
        parameters.append(request.until_unix_micros)
    visible, of_reader = _visible(asked)
    for row in pages.rows(section, f"{sql} AND {visible}", [*parameters, *of_reader], _KEYS):
        if isinstance(row[0], bytes) and isinstance(row[2], str):
            yield row[2], row[0]


def _visible(asked: Asked) -> tuple[str, list[Value]]:
    therapies, of_therapies = asked.visible("remark", asked.reader.therapies)
    consignments, of_consignments = asked.visible("remark", asked.reader.consignments)
    if asked.reader.therapies is Reach.OWN:
        consignments = (
            f"({consignments} OR EXISTS (SELECT 1 FROM citation JOIN party ON party.stream = citation.stream "
            "WHERE citation.consignment = remark.stream AND party.site = ?))"
        )
        of_consignments = (*of_consignments, asked.reader.site)
    others = "0" if asked.reader.therapies is Reach.NONE else "1"
    sql = f"CASE substr(stream, 1, 1) WHEN x'01' THEN {therapies} WHEN x'02' THEN {consignments} ELSE {others} END"
    return sql, [*of_therapies, *of_consignments]


def exceptions(
    answer: pb.InspectExceptionsResponse,
    asked: Asked,
    request: pb.InspectRequest,
    pages: Pages,
    teller: Teller,
    now: int,
) -> None:
    """Adds overrides, nonconforming facts, and emergency credentials."""
    for _, raw in remarks(asked, request, pages, 1, Remark.OVERRIDE, Remark.NONCONFORMING):
        record = pb.ExceptionRecord.FromString(raw)
        told = teller.told_at(record.statement.leaf_index)
        record.reason = teller.reason_of(told)
        if record.kind == Remark.OVERRIDE:
            record.stands = record.stands and record.valid_until_unix_micros >= now
        else:
            record.findings.extend(_explained(record.statement, told))
        answer.exceptions.append(record)
    granted = dict(_emergency(asked, request, teller, now))
    answer.exceptions.extend(pages.of_memory(2, granted))


def _explained(item: custody.HistoryItem, told: Told) -> Iterator[ledger_service_pb2.ExplainedFinding]:
    judgement = read_judgement(item.judgement) if item.HasField("judgement") else told.judgement
    for one in explain(judgement.judged.findings):
        yield ledger_service_pb2.ExplainedFinding(
            code=one.code,
            strength=one.strength,
            explanation=one.explanation,
            values=[ledger_service_pb2.NamedValue(name=name, value=value) for name, value in one.values],
        )


def _emergency(
    asked: Asked, request: pb.InspectRequest, teller: Teller, now: int
) -> Iterator[tuple[bytes, pb.ExceptionRecord]]:
    """Yields the emergency credentials that the registry has, by leaf."""
    kind = request.subject.WhichOneof("subject")
    if asked.reader.therapies is Reach.NONE or kind not in (None, "person", "site"):
        return
    for digest, joined in tuple(teller.registry.acts.items()):
        body = joined.statement.body
        if not isinstance(body, registry_pb2.EmergencyCredentialGranted):
            continue
        holder = teller.registry.latest.person(body.person)
        if kind == "person" and body.person != request.subject.person:
            continue
        if kind == "site" and (holder is None or holder.site != request.subject.site):
            continue
        start = body.valid_from_unix_micros or joined.statement.signed_at
        end = start + body.valid_seconds * _MICROS
        if request.HasField("from_unix_micros") and end < request.from_unix_micros:
            continue
        if request.HasField("until_unix_micros") and start >= request.until_unix_micros:
            continue
        granted = teller.told_at(joined.leaf_index)
        record = pb.ExceptionRecord(
            kind="emergency_credential",
            statement=custody.HistoryItem(leaf_index=joined.leaf_index, statement_digest=digest),
            valid_until_unix_micros=end,
            reason=body.grounds if teller.may_read(granted, DisclosureClass.OPERATIONAL) else "",
            approvals=[
                custody.HistoryItem(leaf_index=leaf, statement_digest=one.digest) for leaf, one in joined.co_signatures
            ],
            used_by=_signed_by(asked, body.person, start, end),
            reviews=_reviews(asked, digest, teller),
            stands=joined.in_effect_at is not None and start <= now <= end,
        )
        yield joined.leaf_index.to_bytes(8, "big"), record


def _signed_by(asked: Asked, person: bytes, start: int, end: int) -> Iterator[custody.HistoryItem]:
    sql = "SELECT answer FROM remark WHERE kind = ? AND signer = ? AND occurred BETWEEN ? AND ? ORDER BY occurred"
    for raw in asked.snapshot.blobs(sql, (Remark.EMERGENCY, person, start, end)):
        yield custody.HistoryItem.FromString(raw)


def _reviews(asked: Asked, grant: bytes, teller: Teller) -> Iterator[custody.HistoryItem]:
    sql = "SELECT answer FROM remark WHERE kind = ? ORDER BY occurred"
    for raw in asked.snapshot.blobs(sql, (Remark.EMERGENCY_REVIEWED,)):
        item = custody.HistoryItem.FromString(raw)
        body = teller.told_at(item.leaf_index).act.body
        if isinstance(body, facilities_pb2.EmergencyUseReviewed) and body.grant == grant:
            yield item


def corrections(
    answer: pb.InspectCorrectionsResponse, asked: Asked, request: pb.InspectRequest, pages: Pages, teller: Teller
) -> None:
    """Adds corrections and retractions, and late entries with their delays."""
    for kind, raw in remarks(asked, request, pages, 1, Remark.CORRECTION, Remark.LATE):
        if kind == Remark.CORRECTION:
            correction = pb.CorrectionRecord.FromString(raw)
            correction.reason = teller.reason_of(teller.told_at(correction.correction.leaf_index))
            answer.corrections.append(correction)
            continue
        late = pb.LateRecord.FromString(raw)
        told = teller.told_at(late.statement.leaf_index)
        late.delay_seconds = max(0, told.recorded_at - (told.act.occurred_end or told.act.occurred_start)) // _MICROS
        late.reason = teller.reason_of(told)
        answer.late.append(late)
    answer.late_count = len(answer.late)
    answer.delay_seconds_max = max((one.delay_seconds for one in answer.late), default=0)


def deviations(
    answer: pb.InspectDeviationsResponse, asked: Asked, request: pb.InspectRequest, pages: Pages, teller: Teller
) -> None:
    """Adds deviations, complaints and excursions with their holds and dispositions."""
    for _, raw in remarks(asked, request, pages, 1, Remark.DEVIATION):
        record = pb.DeviationRecord.FromString(raw)
        told = teller.told_at(record.statement.leaf_index)
        if teller.may_read(told, DisclosureClass.QUALITY) and isinstance(
            told.act.body, quality_pb2.DeviationRaised | quality_pb2.ComplaintRecorded
        ):
            record.reference = told.act.body.reference
            record.description = told.act.body.description
        record.dispositions.extend(_disposed_by_therapies(asked, record, teller))
        for disposition in record.dispositions:
            fill_disposition(disposition, teller.told_at(disposition.statement.leaf_index), teller)
        answer.deviations.append(record)


def _disposed_by_therapies(asked: Asked, record: pb.DeviationRecord, teller: Teller) -> Iterator[pb.DispositionRecord]:
    """Yields what therapies decided about what a consignment's excursion did to their own materials."""
    statement = record.statement
    if not statement.stream or statement.stream[0] != StreamKind.CONSIGNMENT:
        return
    visible, of_reader = asked.visible("remark", asked.reader.therapies)
    sql = (
        "SELECT remark.answer FROM citation JOIN remark ON remark.stream = citation.stream AND remark.kind = ? "
        f"WHERE citation.consignment = ? AND {visible} ORDER BY remark.occurred, remark.statement_digest"
    )
    holds = {hold.hold for hold in record.holds} | set(_holds_of(statement))
    for raw in asked.snapshot.blobs(sql, (Remark.DISPOSED, statement.stream, *of_reader)):
        disposition = pb.DispositionRecord.FromString(raw)
        body = teller.told_at(disposition.statement.leaf_index).act.body
        if isinstance(body, transport_pb2.ConditionDisposed) and (
            body.inspection == statement.statement_digest or not holds.isdisjoint(disposition.holds)
        ):
            yield disposition


def _holds_of(statement: custody.HistoryItem) -> Iterator[bytes]:
    for finding in read_judgement(statement.judgement).judged.findings:
        yield hold_id(statement.statement_digest, finding.code)


def fill_disposition(record: pb.DispositionRecord, told: Told, teller: Teller) -> None:
    """Fills in what quality decided, where the reader may read it."""
    if not teller.may_read(told, DisclosureClass.QUALITY):
        return
    match told.act.body:
        case quality_pb2.HoldLifted() as body:
            record.disposition = body.disposition
            if body.HasField("support"):
                record.support.CopyFrom(body.support)
        case transport_pb2.ConditionDisposed() as body:
            decision = _DECISIONS.get(body.decision, "")
            record.disposition = "; ".join(part for part in (decision, body.study_reference, body.rationale) if part)
            if body.HasField("study"):
                record.support.CopyFrom(body.study)
        case quality_pb2.DeviationClosed() as body:
            record.disposition = "; ".join(part for part in (body.outcome, body.capa_reference) if part)
            if body.HasField("report"):
                record.support.CopyFrom(body.report)
        case _:
            pass
