"""Read recorded statements for views: the act, and of its entry and header what a history tells.

The rules:

* A body is read without IDENTITY and CLINICAL fields, whether these are there or not, so that a view comes out the
  same after they were shredded.
* What was found at entry stands in the entry; nothing is judged here.
* An authorisation is in effect from the leaf whose judgement says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from cellcustody.ledger.contract import SHREDDABLE, DisclosureClass, body_type
from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.entries import JudgedEntry, read_entry
from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.recording.replaying import act_of, as_revised, openings_of, revised_judgements
from cellcustody.ledger.registry import RegistryState
from cellcustody.ledger.statements import ParsedStatement, StreamKind, parse_recorded_statement
from cellcustody.ledger.store import LedgerStore, Vault
from cellcustody.v1 import statement_pb2

__all__ = ["LedgerSource", "Told", "as_they_stand", "latest_judgements", "read_one", "read_one_of", "read_told"]

READ_AT_ONCE: Final = 500
_STAYING: Final = frozenset(int(disclosed) for disclosed in DisclosureClass if disclosed not in SHREDDABLE)
_MEANINGS: Final = {
    value.number: value.name.removeprefix("MEANING_").lower() for value in statement_pb2.Meaning.DESCRIPTOR.values
}


class LedgerSource(Protocol):
    """The part of a ledger that views read."""

    @property
    def store(self) -> LedgerStore:
        """Where entries lie."""
        ...

    @property
    def vault(self) -> Vault:
        """What opens bodies."""
        ...

    @property
    def registry(self) -> RegistryState:
        """The registry, live."""
        ...

    def checkpoint_size(self) -> int:
        """Returns the tree size of the last checkpoint that left; views go no further."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """A statement as recorded. Times are microseconds since 1970-01-01T00:00:00Z; `judgement` is its own entry's."""

    act: Act
    sequence: int
    recorded_at: int
    offset_minutes: int
    zone: str
    meaning: str
    judgement: JudgedEntry
    key_ids: tuple[bytes, ...] = ()
    authentication: int = 0
    clock_source: int = 0
    device: bytes = b""
    schema_digest: bytes = b""


def read_one(source: LedgerSource, leaf_index: int, raw: bytes) -> Told:
    """Returns one statement of a therapy, consignment, lot or site.

    Raises:
        StoreError: the entry is not what this ledger writes.
    """
    entry = read_entry(raw)
    return _told(
        source,
        leaf_index,
        parse_recorded_statement(entry.envelope),
        entry.sequence,
        entry.recorded_at,
        entry.judgement,
    )


def read_one_of(source: LedgerSource, kinds: Collection[StreamKind], leaf_index: int, raw: bytes) -> Told | None:
    """Returns one statement if its stream is of one of these kinds, else None.

    Raises:
        StoreError: the entry is not what this ledger writes.
    """
    entry = read_entry(raw)
    statement = parse_recorded_statement(entry.envelope)
    if StreamKind(statement.stream[0]) not in kinds:
        return None
    return _told(source, leaf_index, statement, entry.sequence, entry.recorded_at, entry.judgement)


def _told(
    source: LedgerSource,
    leaf_index: int,
    statement: ParsedStatement,
    sequence: int,
    recorded_at: int,
    judgement: JudgedEntry,
) -> Told:
    header = statement.header
    name = header.body_type
    found = body_type(name) if name else None
    if name and found is None:
        raise StoreError("an entry has a body that this contract does not know", leaf_index=leaf_index, body_type=name)
    openings = openings_of(source.store, source.vault, statement.digest, _STAYING) if found is not None else []
    act = act_of(
        statement,
        found,
        openings,
        leaf_index=leaf_index,
        site=source.registry.as_of(leaf_index).site_of_signer(header.signer.signer_id) or b"",
        judgement=judgement,
        in_effect_at=leaf_index if judgement.judged.status is Status.IN_EFFECT else None,
    )
    return Told(
        act=act,
        sequence=sequence,
        recorded_at=recorded_at,
        offset_minutes=header.occurred_at.offset_minutes,
        zone=header.occurred_at.zone,
        meaning=_MEANINGS.get(header.signer.meaning, ""),
        judgement=judgement,
        key_ids=statement.key_ids,
        authentication=header.signer.authentication,
        clock_source=header.signed_at.clock_source,
        device=header.device,
        schema_digest=header.schema_digest,
    )


def read_told(source: LedgerSource, stream: bytes, position: int) -> list[Told]:
    """Returns every statement of a stream recorded below a position of the log, in the order of recording."""
    told: list[Told] = []
    for leaf_index, raw in _entries(source.store, stream, position):
        told.append(read_one(source, leaf_index, raw))
    return as_they_stand(told)


def as_they_stand(told: list[Told]) -> list[Told]:
    """Returns the same statements with what later ones made of them.

    Authorisations that a later co-signature put in effect are in effect; comparisons of identifiers that could only be
    made when a later statement came, and what was found by them, are those of the revision that tells them.
    """
    effective = {one.judgement.puts_in_effect: one.act.leaf_index for one in told if one.judgement.puts_in_effect}
    revised: dict[bytes, JudgedEntry] = {}
    for one in told:
        revised.update(revised_judgements(one.act))
    if not effective and not revised:
        return told
    return [_as_it_stands(one, effective, revised) for one in told]


def _as_it_stands(one: Told, effective: Mapping[bytes, int], revised: Mapping[bytes, JudgedEntry]) -> Told:
    act = one.act
    if act.digest in effective:
        act = replace(act, in_effect_at=effective[act.digest])
    if act.digest in revised:
        act = as_revised(act, revised[act.digest])
    return one if act is one.act else replace(one, act=act)


def _entries(store: LedgerStore, stream: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    after = 0
    while True:
        rows = store.stream_entries(stream, after, READ_AT_ONCE)
        for row in rows:
            if row.leaf_index >= position:
                return
            after = row.sequence
            yield row.leaf_index, row.entry
        if len(rows) < READ_AT_ONCE:
            return


def latest_judgements(told: Iterable[Told]) -> dict[bytes, JudgedEntry]:
    """Returns the judgement of each statement that counts: its last revision's among these, else its entry's."""
    latest: dict[bytes, JudgedEntry] = {}
    for one in told:
        latest[one.act.digest] = one.judgement
        latest.update(revised_judgements(one.act))
    return latest
