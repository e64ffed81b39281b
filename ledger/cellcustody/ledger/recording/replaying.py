"""Read a stream's recorded statements back as acts, for folding again and for views.

The rules:

* A body is read from the vault without what may be shredded, whether it has been shredded or not.
* The findings of entry and the comparisons stand in the entry and are taken from there, or from the latest revision
  that names the statement (identifiers may be compared anew at the enrolment); they are never made again here.
* A pending authorisation is in effect from the entry whose judgement says so.
* The judgement that counts is the latest: that of the last revision that names the statement, else its entry's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import BodyType, body_type, clear_shreddable, without_shreddable_numbers
from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.findings import Family, rule_of
from cellcustody.ledger.entries import JudgedEntry, ReadEntry, read_entry, read_judgement
from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.recording.prepared import Prepared, body_without_shreddable
from cellcustody.ledger.recording.sealing import decode_openings
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import Opening, ParsedStatement, parse_recorded_statement, partial_body
from cellcustody.ledger.store import LedgerStore, ShreddedError, SubjectNotFoundError, Vault
from cellcustody.v1 import quality_pb2

__all__ = [
    "RecordedStatement",
    "act_of",
    "as_revised",
    "latest_judgements",
    "openings_of",
    "read_stream",
    "revised_judgements",
    "revised_judgements_of",
]

_READ_AT_ONCE: Final = 500
_PUBLIC: Final = 1
_REVISION: Final = quality_pb2.JudgementsRevised.DESCRIPTOR.full_name
_STAYING_CLASSES: Final = frozenset({1, 2, 3, 4})  # All but CLINICAL and IDENTITY: what rules and views rest on.


@dataclass(frozen=True, slots=True)
class RecordedStatement:
    """A statement as recorded, parsed, with the act that rules and views fold."""

    leaf_index: int
    entry: ReadEntry
    statement: ParsedStatement
    act: Act


def act_of(
    statement: ParsedStatement,
    found: BodyType | None,
    openings: Sequence[Opening],
    *,
    leaf_index: int,
    site: bytes,
    judgement: JudgedEntry,
    in_effect_at: int | None,
) -> Act:
    """Returns the act of a statement whose findings of entry stand in `judgement`."""
    numbers = statement.commitment.field_numbers
    body = None if found is None else body_without_shreddable(found, openings, numbers)
    return _act(statement, found, body, leaf_index, site, judgement, in_effect_at)


def _act(
    statement: ParsedStatement,
    found: BodyType | None,
    body: Message | None,
    leaf_index: int,
    site: bytes,
    judgement: JudgedEntry,
    in_effect_at: int | None,
) -> Act:
    header = statement.header
    occurred = header.occurred_at
    return Act(
        digest=statement.digest,
        stream=statement.stream,
        leaf_index=leaf_index,
        body_type=header.body_type,
        body=body,
        signer=header.signer.signer_id,
        site=site,
        role=header.signer.role,
        occurred_start=occurred.start_unix_micros,
        occurred_end=occurred.end_unix_micros if occurred.HasField("end_unix_micros") else None,
        signed_at=header.signed_at.unix_micros,
        seen=statement.seen,
        field_numbers=statement.commitment.field_numbers,
        joins=statement.joined_digest,
        policy_digest=header.policy_digest,
        entry_findings=entry_findings_of(judgement.judged.findings),
        comparisons=judgement.comparisons,
        is_authorisation=found is not None and found.is_authorisation,
        in_effect_at=in_effect_at,
    )


def act_of_prepared(
    prepared: Prepared, *, leaf_index: int, site: bytes, judgement: JudgedEntry, in_effect_at: int | None
) -> Act:
    """Returns the act of a statement that is about to be recorded."""
    found, body = prepared.body_type, prepared.body
    if found is not None and body is not None and without_shreddable_numbers(found.name):
        body = found.message_class.FromString(body.SerializeToString())
        clear_shreddable(found.name, body)
    return _act(prepared.statement, found, body, leaf_index, site, judgement, in_effect_at)


def entry_findings_of(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Returns those of a judgement's findings that were made at entry."""
    return tuple(finding for finding in findings if rule_of(finding.code).family is Family.ENTRY)


def openings_of(store: LedgerStore, vault: Vault, digest: bytes, classes: frozenset[int]) -> list[Opening]:
    """Returns the openings of these classes that are still there, in order."""
    openings: list[Opening] = []
    for row in store.vault_rows(digest):
        if row.disclosure_class not in classes:
            continue
        if row.disclosure_class == _PUBLIC:
            plaintext = row.ciphertext
        else:
            try:
                plaintext = vault.open(row.subject, row.disclosure_class, digest, row.ciphertext)
            except (ShreddedError, SubjectNotFoundError):
                continue
        openings.extend(decode_openings(plaintext))
    return sorted(openings, key=lambda opening: opening.index)


def as_revised(act: Act, judgement: JudgedEntry) -> Act:
    """Returns the act with the comparisons, and what was found by them at entry, of a later judgement of it."""
    if judgement.comparisons == act.comparisons:
        return act
    found = entry_findings_of(judgement.judged.findings)
    return replace(act, entry_findings=found, comparisons=judgement.comparisons)


def revised_judgements_of(body: Message | None) -> dict[bytes, JudgedEntry]:
    """Returns the judgements that a JudgementsRevised carries, by digest; empty for any other body."""
    if not isinstance(body, quality_pb2.JudgementsRevised):
        return {}
    return {one.statement_digest: read_judgement(one.judgement) for one in body.judgements}


def revised_judgements(act: Act) -> dict[bytes, JudgedEntry]:
    """Returns the judgements that an act carries which is a JudgementsRevised, by digest; empty for any other."""
    return revised_judgements_of(act.body)


def latest_judgements(store: LedgerStore, stream: bytes) -> dict[bytes, JudgedEntry]:
    """Returns the judgement that counts now for every statement of a stream; opens nothing but what is public.

    A pending authorisation is in effect once a co-signature's entry says so.
    """
    latest: dict[bytes, JudgedEntry] = {}
    after = 0
    while True:
        rows = store.stream_entries(stream, after, _READ_AT_ONCE)
        for row in rows:
            after = row.sequence
            entry = read_entry(row.entry)
            statement = parse_recorded_statement(entry.envelope)
            latest[statement.digest] = entry.judgement
            completed = latest.get(entry.judgement.puts_in_effect)
            if completed is not None:
                in_effect = Judged(Status.IN_EFFECT, completed.judged.findings)
                latest[entry.judgement.puts_in_effect] = replace(completed, judged=in_effect)
            if statement.header.body_type == _REVISION:
                public = [
                    opening
                    for kept in store.vault_rows(statement.digest)
                    if kept.disclosure_class == _PUBLIC
                    for opening in decode_openings(kept.ciphertext)
                ]
                body = partial_body(quality_pb2.JudgementsRevised, sorted(public, key=lambda one: one.index))
                latest.update((one.statement_digest, read_judgement(one.judgement)) for one in body.judgements)
        if len(rows) < _READ_AT_ONCE:
            return latest


def read_stream(
    store: LedgerStore, vault: Vault, registry: RegistryState, stream: bytes, *, position: int | None = None
) -> list[RecordedStatement]:
    """Returns every statement of a stream in the order of recording, up to a position of the log if one is given.

    Raises:
        StoreError: an entry is not what this ledger writes.
    """
    recorded: list[RecordedStatement] = []
    places: dict[bytes, int] = {}
    after = 0
    while True:
        rows = store.stream_entries(stream, after, _READ_AT_ONCE)
        for row in rows:
            after = row.sequence
            if position is not None and row.leaf_index >= position:
                return recorded
            one = _read(store, vault, registry, row.leaf_index, row.entry)
            completed = one.entry.judgement.puts_in_effect
            if completed and completed in places:
                earlier = recorded[places[completed]]
                recorded[places[completed]] = replace(earlier, act=replace(earlier.act, in_effect_at=row.leaf_index))
            for digest, judgement in revised_judgements(one.act).items():
                if digest in places:
                    earlier = recorded[places[digest]]
                    recorded[places[digest]] = replace(earlier, act=as_revised(earlier.act, judgement))
            places[one.act.digest] = len(recorded)
            recorded.append(one)
        if len(rows) < _READ_AT_ONCE:
            return recorded


def _read(store: LedgerStore, vault: Vault, registry: RegistryState, leaf_index: int, raw: bytes) -> RecordedStatement:
    entry = read_entry(raw)
    statement = parse_recorded_statement(entry.envelope)
    name = statement.header.body_type
    found = body_type(name) if name else None
    if name and found is None:
        raise StoreError("an entry has a body that this contract does not know", leaf_index=leaf_index, body_type=name)
    openings = openings_of(store, vault, statement.digest, _STAYING_CLASSES) if found is not None else []
    site = registry.as_of(leaf_index).site_of_signer(statement.header.signer.signer_id) or b""
    status = entry.judgement.judged.status
    act = act_of(
        statement,
        found,
        openings,
        leaf_index=leaf_index,
        site=site,
        judgement=entry.judgement,
        in_effect_at=leaf_index if status is Status.IN_EFFECT else None,
    )
    return RecordedStatement(leaf_index, entry, statement, act)
