"""Who had what: the history, holdings, handoffs and gaps of one stream.

The rules:

* A history has every statement, those corrected and taken back too, and the gaps in custody beside it.
* A handoff is a release with its answer, line by line, with seals as both sides read them; between units of a site it
  is the transfer or issue and whoever joined it.
* What was compared is what packing and receipt read, and what was scanned or typed; how it was read is said where the
  statement says it, and never guessed.
* A gap is explained by delays, deviations and reports of possession that fall into it; there may be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import body_type
from cellcustody.ledger.custody.act import Outcome
from cellcustody.ledger.custody.consignment_state import ConsignmentState, Release, ReleaseStatus
from cellcustody.ledger.views.account import Account
from cellcustody.ledger.views.folding import fold_consignment, fold_therapy
from cellcustody.ledger.views.gaps import release_gaps
from cellcustody.ledger.views.messages import container_custody, material_custody, unit_message
from cellcustody.ledger.views.reading import Told
from cellcustody.ledger.views.rows_found import bare
from cellcustody.ledger.views.subjects import Scope
from cellcustody.ledger.views.telling import Teller
from cellcustody.v1 import common_pb2, quality_pb2, transport_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import inspection_service_pb2 as pb
from cellcustody.v1 import return_pb2 as returned

__all__ = ["gaps", "handoffs", "history", "holdings", "readings_in"]

_MICROS: Final = 1_000_000
_METHODS: Final = {1: "scanned", 2: "manual", 3: "unreadable"}


def history(answer: pb.InspectHistoryResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds everything that happened, in order, with the gaps."""
    for told in account.in_time(alone=scope.alone):
        if isinstance(told.act.body, quality_pb2.JudgementsRevised) or not scope.admits(told):
            continue
        if scope.material and scope.material not in teller.materials_of(told) and told.act.joins is None:
            continue
        answer.items.append(bare(told))
    if not scope.alone:
        answer.gaps.extend(account.gaps())


def holdings(
    answer: pb.InspectHoldingsResponse, account: Account, scope: Scope, teller: Teller, now: int, at: int | None
) -> None:
    """Adds every material of a therapy, or every container of a consignment; as it was at a time, or now."""
    if account.case is not None:
        state = account.case.state
        if at is not None:
            own = [one for one in account.told.values() if one.act.stream == account.stream]
            carried: dict[bytes, list[Told]] = {stream: [] for stream in account.consignments}
            for one in account.told.values():
                if one.act.stream in carried:
                    carried[one.act.stream].append(one)
            state = fold_therapy(account.stream, _as_recorded(own), carried, account.pack, at=at).state
        for material in state.materials.values():
            if not scope.material or material.material == scope.material:
                answer.materials.append(material_custody(state, account.stream, material))
        return
    for stream, consignment in account.consignments.items():
        shown: ConsignmentState = consignment
        if at is not None:
            shown = fold_consignment(stream, _as_recorded(account.told.values()), at=at).state
        for container in shown.containers.values():
            answer.containers.add(consignment=stream, container=container_custody(container))


def _as_recorded(told: Iterable[Told]) -> list[Told]:
    return sorted(told, key=lambda one: one.act.leaf_index)


def handoffs(answer: pb.InspectHandoffsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds every handoff of a therapy's consignments, or of a consignment, and those between units of a site."""
    found: list[tuple[int, pb.HandoffRecord]] = []
    if account.therapy is None or not scope.alone:
        for stream, consignment in account.consignments.items():
            for release in consignment.releases.values():
                if scope.shipper and scope.shipper not in _names_of_containers(consignment, release.containers):
                    continue
                record = _handoff(account, stream, consignment, release, now)
                if record is not None:
                    found.append((release.released_at, record))
    for told in account.own():
        record = _inside(account, told)
        if record is not None:
            found.append((told.act.occurred_start, record))
    for at, record in sorted(found, key=lambda pair: (pair[0], pair[1].released.statement_digest)):
        units = (record.releaser.site, record.receiver.site)
        if not scope.is_in_time(at) or (scope.site and scope.site not in units):
            continue
        if scope.material and scope.material not in record.materials:
            continue
        if scope.person and not _is_by(account, record, scope.person):
            continue
        answer.handoffs.append(record)


def _is_by(account: Account, record: pb.HandoffRecord, person: bytes) -> bool:
    digests = (record.released.statement_digest, record.answered.statement_digest)
    return any(digest in account.told and account.told[digest].act.signer == person for digest in digests)


def _names_of_containers(consignment: ConsignmentState, labels: Iterable[str]) -> set[str]:
    named: set[str] = set()
    for label in labels:
        named.add(label)
        container = consignment.containers.get(label)
        if container is not None and container.asset:
            named.add(container.asset)
    return named


def _handoff(
    account: Account, stream: bytes, consignment: ConsignmentState, release: Release, now: int
) -> pb.HandoffRecord | None:
    told = account.told.get(release.digest)
    if told is None or not isinstance(told.act.body, transport_pb2.CustodyReleased):
        return None
    labels = sorted(consignment.containers)
    record = pb.HandoffRecord(
        consignment=stream,
        consignment_number=consignment.consignment_number,
        releaser=unit_message(release.releaser),
        receiver=unit_message(release.receiver),
        released=bare(told),
        outcome=str(release.status),
        released_seals=told.act.body.seals,
        readings=readings_in(told),
        unsigned_by_receiver=release.is_unsigned_by_receiver,
    )
    answered = account.told.get(release.answered_by or b"")
    outcomes: dict[str, tuple[common_pb2.LineOutcome.ValueType, str]] = {}
    if answered is not None:
        record.answered.CopyFrom(bare(answered))
        record.readings.extend(readings_in(answered))
        if isinstance(answered.act.body, transport_pb2.CustodyAccepted):
            record.accepted_seals.extend(answered.act.body.seals)
            outcomes = {line.container: (line.outcome, line.condition) for line in answered.act.body.lines}
    for label in [*release.containers, *sorted(outcomes.keys() - set(release.containers))]:
        outcome, condition = outcomes.get(label, (common_pb2.LINE_OUTCOME_UNSPECIFIED, ""))
        number = labels.index(label) + 1 if label in labels else 0
        record.lines.add(container=label, number=number, containers=len(labels), outcome=outcome, condition=condition)
    end = release.answered_at if release.status is not ReleaseStatus.OPEN else now
    if end is not None:
        record.open_seconds = max(0, end - release.released_at) // _MICROS
    if account.therapy is not None:
        for other in account.own():
            body = other.act.body
            is_of_it = isinstance(body, harvest.MaterialPacked | harvest.MaterialReceived) and (
                body.consignment == stream and body.container in release.containers
            )
            if is_of_it and isinstance(body, harvest.MaterialPacked):
                record.materials.append(body.material)
            if is_of_it:
                record.readings.extend(readings_in(other))
    return record


def _inside(account: Account, told: Told) -> pb.HandoffRecord | None:
    """Returns a transfer between units of a site, or an issue to the ward."""
    body = told.act.body
    match body:
        case harvest.UnitTransferred():
            materials = list(body.materials)
        case returned.MaterialIssued():
            materials = [body.material]
        case _:
            return None
    record = pb.HandoffRecord(
        releaser=body.releaser,
        receiver=body.receiver,
        released=bare(told),
        materials=materials,
        readings=readings_in(told),
        outcome=str(ReleaseStatus.OPEN),
    )
    joined = account.co_signatures(told.act.digest)
    if joined:
        record.outcome = str(ReleaseStatus.ANSWERED)
        record.answered.CopyFrom(bare(joined[0]))
        record.open_seconds = max(0, joined[0].act.signed_at - told.act.signed_at) // _MICROS
    return record


def readings_in(told: Told) -> Iterator[pb.IdentifierReading]:
    """Yields what a statement says was read, with how, and the ledger's word on it where it compared."""
    act, body = told.act, told.act.body
    found = body_type(act.body_type)
    if body is None or found is None:
        return
    outcomes = {one.leaf: one.outcome for one in act.comparisons}
    scans: object = getattr(body, "scans", ())
    methods: dict[str, int] = {}
    for scan in scans if isinstance(scans, Iterable) else ():
        if isinstance(scan, common_pb2.Scan):
            methods[scan.on] = scan.method
            yield pb.IdentifierReading(
                kind=scan.on or "scan",
                value=scan.raw,
                method=_METHODS.get(scan.method, ""),
                outcome=_outcome(found.descriptor.fields_by_name["scans"].number, told, outcomes),
                statement_digest=act.digest,
            )
    for name, kind in (("coi_read", "coi"), ("din_read", "din")):
        value: object = getattr(body, name, "")
        if isinstance(value, str) and value:
            yield pb.IdentifierReading(
                kind=kind,
                value=value,
                method=_METHODS.get(methods.get(kind, 0), ""),
                outcome=_of_finding(told),
                statement_digest=act.digest,
            )
    number = found.descriptor.fields_by_name.get("patient_identifiers")
    if number is not None:
        for leaf in act.leaves_of(number.number):
            outcome = outcomes.get(leaf)
            yield pb.IdentifierReading(
                kind="patient identifier",
                outcome="" if outcome is None else outcome.name.lower().replace("_", " "),
                statement_digest=act.digest,
            )


def _outcome(number: int, told: Told, outcomes: dict[int, Outcome]) -> str:
    found = {outcomes[leaf] for leaf in told.act.leaves_of(number) if leaf in outcomes}
    if len(found) == 1:
        return next(iter(found)).name.lower().replace("_", " ")
    return ""


_MISMATCHES: Final = frozenset({"IDENTIFIER_MISMATCH", "LABEL_MISMATCH", "SCAN_MISMATCH"})


def _of_finding(told: Told) -> str:
    return "mismatch" if any(one.code in _MISMATCHES for one in told.judgement.judged.findings) else "match"


def gaps(answer: pb.InspectGapsResponse, account: Account, scope: Scope, teller: Teller, now: int) -> None:
    """Adds the intervals without an accepted custodian, each with what explains it."""
    found: list[custody.CustodyGap]
    if account.case is not None:
        found = [] if scope.alone else list(account.gaps())
    else:
        found = [gap for consignment in account.consignments.values() for gap in release_gaps(consignment)]
    explaining = [told for told in account.in_time() if _explains(told.act.body)]
    for gap in found:
        end = gap.end_unix_micros if gap.HasField("end_unix_micros") else now
        if scope.before is not None and gap.start_unix_micros >= scope.before:
            continue
        if scope.since is not None and end < scope.since:
            continue
        record = answer.gaps.add(gap=gap, length_seconds=max(0, end - gap.start_unix_micros) // _MICROS)
        opened = account.told.get(gap.statement_digest)
        if opened is not None:
            record.opened_by.CopyFrom(bare(opened))
        for told in explaining:
            is_near = opened is None or told.act.stream in (opened.act.stream, account.stream)
            if is_near and gap.start_unix_micros <= told.act.occurred_start <= end:
                record.explanations.append(bare(told))


def _explains(body: Message | None) -> bool:
    return isinstance(
        body,
        transport_pb2.DelayReported
        | transport_pb2.TransitCheckpointPassed
        | transport_pb2.PossessionReported
        | transport_pb2.CustodyEstablished
        | transport_pb2.ContainersLost
        | transport_pb2.CustomsHeld
        | quality_pb2.DeviationRaised,
    )
