"""The rows by which streams and statements are found across the ledger: other names, and what wants a second look.

The rules:

* A stream is named by the donation numbers, shippers, loggers and equipment that its statements name, and by who
  signed in it. Sites are found by the parties, materials, lots and batches by rows of their own.
* A remark is a statement that an inspector asks for by kind: an override, a fact that broke a rule, a correction or
  retraction, a late entry, one from paper, a clock ahead of the ledger, a deviation, complaint or excursion, a decision
  outside specification. It stands while what it opened stands: a hold, an override in time.
* A remark's answer names statements by digest and leaf alone; who may read what of them is settled when it is asked.
* Rows are a function of the stream's own statements and their judgements; consignments that a therapy cites have rows
  of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.consignment_touch import containers_touched
from cellcustody.ledger.custody.fold_state import FoldState
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.therapy_rules import ROWS
from cellcustody.ledger.entries import JudgedEntry, write_judgement
from cellcustody.ledger.views import tables
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.row_writing import RowWriter, serialised
from cellcustody.v1 import common_pb2, custody_query_service_pb2, inspection_service_pb2
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["Remark", "bare", "din_content", "equipment_in", "judged", "recall_taken", "write_found", "write_qualified"]

_DIN_LENGTH: Final = 13  # Data structure 001 without flags and check character.
_STREAM_END: Final = 2**62


class Remark:
    """The kinds of remarks."""

    OVERRIDE: Final = "override"
    NONCONFORMING: Final = "nonconforming"
    CORRECTION: Final = "correction"
    LATE: Final = "late"
    FROM_PAPER: Final = "from_paper"
    CLOCK: Final = "clock"
    DEVIATION: Final = "deviation"
    OUT_OF_SPECIFICATION: Final = "out_of_specification"
    EMERGENCY: Final = "emergency"
    EMERGENCY_REVIEWED: Final = "emergency_reviewed"
    DOWNTIME: Final = "downtime"
    DISPOSED: Final = "disposed"  # What a therapy decided about the condition of its materials.


_EMERGENCY_CODES: Final = frozenset({"EMERGENCY_CREDENTIAL"})
_EXCURSION_CODES: Final = frozenset({"EXCURSION", "STORE_OUT_OF_BAND"})
_CLOCK_CODES: Final = frozenset({"CLOCK_AHEAD"})


def din_content(text: str) -> str:
    """Returns a donation number as it is looked up: 13 characters, without spaces, identifier, flags and check."""
    return "".join(text.split()).removeprefix("=").upper()[:_DIN_LENGTH]


def bare(told: Told) -> custody_query_service_pb2.HistoryItem:
    """Returns a statement as a place to be filled in for whoever asks."""
    return custody_query_service_pb2.HistoryItem(
        leaf_index=told.act.leaf_index, stream=told.act.stream, statement_digest=told.act.digest
    )


def judged(told: Told, latest: Mapping[bytes, JudgedEntry]) -> custody_query_service_pb2.HistoryItem:
    """Returns a statement as a place with its latest judgement, which its own entry does not have."""
    place = bare(told)
    place.judgement.CopyFrom(write_judgement(latest[told.act.digest]))
    return place


def write_found(
    writer: RowWriter, told: Sequence[Told], latest: Mapping[bytes, JudgedEntry], state: FoldState
) -> tuple[int, int]:
    """Adds the rows; returns the times of the first and the last occurrence, microseconds."""
    first, last = _STREAM_END, 0
    named: set[tuple[str, str]] = set()
    by_digest = {one.act.digest: one for one in told}
    opened_by = {hold.statement_digest for hold in state.holds.values()}
    for one in told:
        act = one.act
        first, last = min(first, act.occurred_start), max(last, act.occurred_start)
        named.add(("signer", act.signer.hex()))
        if act.body is not None:
            named.update(_names_in(act.body))
        for kind, stands, answer in _remarks(one, latest, by_digest, state, opened_by):
            writer.write(
                tables.REMARK,
                kind,
                act.digest,
                act.occurred_start,
                act.site,
                act.signer,
                int(stands),
                serialised(answer),
            )
    for kind, value in named:
        writer.write(tables.NAMED, kind, value)
    return min(first, last), last


def recall_taken(lot: bytes, material: bytes, action: int) -> str:
    """Returns the name under which it stands that a recall was acted on."""
    return f"{lot.hex()} {material.hex()} {action}"


def _names_in(body: Message) -> Iterator[tuple[str, str]]:
    match body:
        case harvest.CollectionStarted():
            yield "din", din_content(body.din)
        case harvest.LabelApplied():
            if body.din:
                yield "din", din_content(body.din)
        case transport.ConsignmentOpened():
            for container in body.containers:
                yield "shipper", container.container
                if container.asset:
                    yield "shipper", container.asset
                if container.logger:
                    yield "logger", container.logger
            if body.consignment_number:
                yield "consignment", body.consignment_number
        case transport.LoggerStarted():
            yield "logger", body.logger
        case transport.ReceiptInspected():
            for summary in body.loggers:
                yield "logger", summary.logger
        case facilities.RecallActionTaken():
            for material in body.materials:
                yield "recall taken", recall_taken(body.lot, material, body.action)
        case facilities.EquipmentRegistered():
            yield "equipment", body.asset
        case _:
            pass
    for equipment in equipment_in(body):
        if equipment:
            yield "equipment", equipment


_EQUIPMENT_FIELD: Final[dict[str, bool | None]] = {}  # By body: whether its `equipment` repeats; None: it has none.


def equipment_in(body: Message) -> Iterable[str]:
    name = body.DESCRIPTOR.name
    if name not in _EQUIPMENT_FIELD:
        field = body.DESCRIPTOR.fields_by_name.get("equipment")
        _EQUIPMENT_FIELD[name] = None if field is None or field.message_type is not None else field.is_repeated
    repeats = _EQUIPMENT_FIELD[name]
    if repeats is None:
        return ()
    value: object = getattr(body, "equipment")  # noqa: B009 - a field that the descriptor says is there
    if isinstance(value, str):
        return (value,)
    return [str(each) for each in value] if isinstance(value, Iterable) else ()


def _remarks(
    one: Told,
    latest: Mapping[bytes, JudgedEntry],
    by_digest: Mapping[bytes, Told],
    state: FoldState,
    opened_by: set[bytes],
) -> Iterator[tuple[str, bool, Message]]:
    act, body = one.act, one.act.body
    judgement = latest[act.digest]
    codes = {finding.code for finding in judgement.judged.findings}
    if judgement.judged.status is Status.NONCONFORMING:
        stands = act.digest in opened_by
        place = judged(one, latest)
        exception = inspection_service_pb2.ExceptionRecord(kind=Remark.NONCONFORMING, statement=place, stands=stands)
        yield Remark.NONCONFORMING, stands, exception
    if "LATE" in codes:
        yield Remark.LATE, False, inspection_service_pb2.LateRecord(statement=judged(one, latest))
    if codes & _CLOCK_CODES:
        yield Remark.CLOCK, False, inspection_service_pb2.ClockRecord(statement=judged(one, latest), disagreed=True)
    if codes & _EMERGENCY_CODES:
        yield Remark.EMERGENCY, True, bare(one)
    if body is None:
        return
    if _entry_mode(act) == common_pb2.ENTRY_MODE_FROM_PAPER:
        yield Remark.FROM_PAPER, False, judged(one, latest)
    match body:
        case quality.GateOverridden():
            answer = inspection_service_pb2.ExceptionRecord(
                kind=Remark.OVERRIDE,
                statement=bare(one),
                gate=body.gate,
                valid_until_unix_micros=body.valid_until_unix_micros,
                stands=act.in_effect_at is not None,
            )
            answer.approvals.extend(_co_signatures(act.digest, by_digest, state))
            answer.used_by.extend(_let_pass(act, body, by_digest))
            yield Remark.OVERRIDE, answer.stands, answer
        case quality.StatementCorrected() | quality.StatementRetracted():
            yield Remark.CORRECTION, act.in_effect_at is not None, _correction(one, by_digest, state, latest)
        case quality.DeviationRaised() | quality.ComplaintRecorded() | transport.ExcursionAlarmed():
            yield Remark.DEVIATION, act.digest in opened_by, _deviation(one, state, by_digest, latest)
        case transport.ReceiptInspected() if any(
            summary.condition == common_pb2.CONDITION_OUT_OF_RANGE for summary in body.loggers
        ):
            yield Remark.DEVIATION, act.digest in opened_by, _deviation(one, state, by_digest, latest)
        case _ if codes & _EXCURSION_CODES:
            yield Remark.DEVIATION, act.digest in opened_by, _deviation(one, state, by_digest, latest)
        case transport.ConditionDisposed() if act.in_effect_at is not None:
            yield (
                Remark.DISPOSED,
                True,
                inspection_service_pb2.DispositionRecord(statement=bare(one), holds=body.holds),
            )
        case facilities.EmergencyUseReviewed():
            yield Remark.EMERGENCY_REVIEWED, True, bare(one)
        case transport.DowntimeDeclared() | transport.DowntimeEnded():
            yield Remark.DOWNTIME, True, bare(one)
        case modification.OutOfSpecificationReleased():
            yield Remark.OUT_OF_SPECIFICATION, act.in_effect_at is not None, bare(one)
        case returned.BreachDecided() if body.decision == returned.BREACH_DECISION_USE:
            yield Remark.OUT_OF_SPECIFICATION, True, bare(one)
        case _:
            pass


def _entry_mode(act: Act) -> int:
    circumstances: object = getattr(act.body, "circumstances", None)
    return circumstances.mode if isinstance(circumstances, common_pb2.Circumstances) else 0


def _co_signatures(
    digest: bytes, by_digest: Mapping[bytes, Told], state: FoldState
) -> Iterator[custody_query_service_pb2.HistoryItem]:
    for joined in state.cosigners.get(digest, ()):
        if joined.digest in by_digest:
            yield bare(by_digest[joined.digest])


def _let_pass(
    override: Act, body: quality.GateOverridden, by_digest: Mapping[bytes, Told]
) -> Iterator[custody_query_service_pb2.HistoryItem]:
    """Yields the statements that show a gate let pass while this override served."""
    for one in by_digest.values():
        within = override.occurred_start <= one.act.occurred_start <= body.valid_until_unix_micros
        if within and any(finding.code == "GATE_OVERRIDDEN" for finding in one.judgement.judged.findings):
            yield bare(one)


def _correction(
    one: Told, by_digest: Mapping[bytes, Told], state: FoldState, latest: Mapping[bytes, JudgedEntry]
) -> inspection_service_pb2.CorrectionRecord:
    body = one.act.body
    answer = inspection_service_pb2.CorrectionRecord(correction=bare(one), in_effect=one.act.in_effect_at is not None)
    original = body.corrected if isinstance(body, quality.StatementCorrected) else b""
    if isinstance(body, quality.StatementRetracted):
        original = body.retracted
    if original in by_digest:
        answer.original.CopyFrom(judged(by_digest[original], latest))
    if isinstance(body, quality.StatementCorrected) and body.replacement in by_digest:
        answer.replacement.CopyFrom(judged(by_digest[body.replacement], latest))
    answer.approvals.extend(_co_signatures(one.act.digest, by_digest, state))
    return answer


def _deviation(
    one: Told, state: FoldState, by_digest: Mapping[bytes, Told], latest: Mapping[bytes, JudgedEntry]
) -> inspection_service_pb2.DeviationRecord:
    match one.act.body:
        case quality.DeviationRaised():
            kind = "deviation"
        case quality.ComplaintRecorded():
            kind = "complaint"
        case _:
            kind = "excursion"
    answer = inspection_service_pb2.DeviationRecord(kind=kind, statement=judged(one, latest))
    concerned = _concerned(one.act, state)
    for hold in state.holds.values():
        is_about = hold.statement_digest == one.act.digest or (
            concerned & {*hold.materials, *hold.batches, *hold.containers}
        )
        if is_about:
            answer.holds.append(
                custody_query_service_pb2.HoldRecord(
                    hold=hold.hold,
                    stream=hold.stream,
                    code=hold.code,
                    statement_digest=hold.statement_digest,
                    materials=sorted(hold.materials),
                    containers=sorted(hold.containers),
                    scope=str(hold.scope),
                    since_unix_micros=hold.since,
                )
            )
    lifted = {digest for digest in state.lifted.values() if digest in by_digest}
    for digest in sorted(lifted, key=lambda each: by_digest[each].act.sort_key):
        lifting = by_digest[digest].act
        if lifting.occurred_start < one.act.occurred_start or not isinstance(lifting.body, quality.HoldLifted):
            continue
        if any(_is_about(hold, one.act, concerned, state, by_digest, latest) for hold in lifting.body.holds):
            answer.dispositions.add(statement=bare(by_digest[digest]), holds=lifting.body.holds)
    own = {hold_id(one.act.digest, finding.code) for finding in latest[one.act.digest].judged.findings}
    for disposing in by_digest.values():
        body = disposing.act.body
        if not isinstance(body, transport.ConditionDisposed) or disposing.act.in_effect_at is None:
            continue
        if not own.isdisjoint(body.holds):
            answer.dispositions.add(statement=bare(disposing), holds=body.holds)
    for closing in by_digest.values():
        body = closing.act.body
        if isinstance(body, quality.DeviationClosed) and body.deviation == one.act.digest:
            answer.dispositions.add(statement=bare(closing))
    return answer


def _is_about(
    hold: bytes,
    deviation: Act,
    concerned: set[bytes | str],
    state: FoldState,
    by_digest: Mapping[bytes, Told],
    latest: Mapping[bytes, JudgedEntry],
) -> bool:
    """Tells whether a hold that was lifted is this deviation's, or stood on what it concerns.

    A lifted hold is known by its id alone, which anyone can compute from the statement that opened it.
    """
    for told in by_digest.values():
        codes = {finding.code for finding in latest[told.act.digest].judged.findings} | {"HOLD_PLACED"}
        if hold in {hold_id(told.act.digest, code) for code in codes}:
            return told.act.digest == deviation.digest or not concerned or bool(concerned & _concerned(told.act, state))
    return False


def _concerned(act: Act, state: FoldState) -> set[bytes | str]:
    """Returns the materials, batches and containers that a statement concerns; empty: all of its stream."""
    match act.body:
        case quality.DeviationRaised() | quality.ComplaintRecorded() | quality.HoldPlaced():
            return {*act.body.scope.ids, *act.body.scope.containers}
        case _ if isinstance(state, ConsignmentState):
            return set(containers_touched(state, act))
        case _:
            row = ROWS.get(act.body_type)
            return set() if row is None or act.body is None else {one for ids in row.touches(act) for one in ids}


_QUALIFICATIONS: Final = {
    facilities.QUALIFICATION_KIND_CALIBRATION: "calibration",
    facilities.QUALIFICATION_KIND_EQUIPMENT: "equipment",
    facilities.QUALIFICATION_KIND_COURIER: "courier",
    facilities.QUALIFICATION_KIND_LANE: "lane",
    facilities.QUALIFICATION_KIND_SITE: "site",
}


def write_qualified(writer: RowWriter, told: Sequence[Told]) -> None:
    """Adds what was found fit in a stream of equipment or of a site."""
    asset = ""
    withdrawn: dict[bytes, int] = {}
    for one in told:
        body = one.act.body
        if isinstance(body, facilities.EquipmentRegistered):
            asset = asset or body.asset
        elif isinstance(body, facilities.QualificationWithdrawn) and _has_effect(one.act):
            withdrawn.setdefault(body.qualification, body.withdrawn_from_unix_micros)
    for one in told:
        body = one.act.body
        if isinstance(body, facilities.QualificationRecorded) and _has_effect(one.act):
            writer.write(
                tables.QUALIFIED,
                one.act.digest,
                _QUALIFICATIONS.get(body.kind, ""),
                asset,
                b"" if asset else writer.stream[1:],
                body.lane.origin,
                body.lane.destination,
                body.valid_from_unix_micros,
                body.valid_until_unix_micros,
                withdrawn.get(one.act.digest, _STREAM_END),
                one.act.leaf_index,
            )


def _has_effect(act: Act) -> bool:
    return not act.is_authorisation or act.in_effect_at is not None
