"""Bring back entries that a restored database lacks, exactly as they were, from copies that others hold.

The rules:

* A log never signs two histories. So what comes back is what the last signed head covers, every entry byte for byte,
  from the store's own end up to that head: it is recorded only if it makes the very root that was signed. If one entry
  is nowhere to be had, nothing is recorded, and what is missing is told.
* Judgements are taken as they stand in the entries, for the root covers them; nothing is judged again and nothing is
  signed. The ledger signs when it is started again, and finds what its journal says.
* Copies that disagree about an entry are named; none of them is believed before somebody has looked.
* Bodies come back as openings, held to the commitment that their signer made. What may be erased while the ledger runs
  (CLINICAL, IDENTITY, what is about persons) may be absent, as after an erasure, and is told; every other record has
  to be there. Without the identifiers of an enrolment later scans of that patient cannot be compared: that is told too.
* Recording again is in order, in groups; a crash between two leaves a shorter tail to bring back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.contract import BODIES, SHREDDABLE, BodyType, DisclosureClass
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.references import reference_keys
from cellcustody.ledger.entries import ReadEntry, leaf_hash_of, read_entry
from cellcustody.ledger.errors import CellcustodyError, StoreError
from cellcustody.ledger.identifiers import ChainOfIdentity
from cellcustody.ledger.recording.identity import enrolled_macs
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.replaying import act_of
from cellcustody.ledger.recording.sealing import (
    LEAF_HASHES,
    classes_in,
    encode_openings,
    is_erasable,
)
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.statements import (
    ClosedRecord,
    DisclosedBody,
    Opening,
    ParsedStatement,
    StreamKind,
    parse_statement,
    partial_body,
)
from cellcustody.ledger.store import (
    Claim,
    Commit,
    Head,
    IdentityMac,
    LedgerStore,
    PendingEntry,
    ShreddedError,
    StreamLink,
    TileWrite,
    Vault,
    VaultRow,
)
from cellcustody.ledger.transparency import RightEdge
from cellcustody.v1 import harvest_pb2

__all__ = ["Copied", "Copies", "Recovered", "RecoveryConflictError", "RecoveryIncompleteError", "recover_tail"]

GROUP_ENTRIES_MAX: Final = 256
_TOLD_MAX: Final = 20  # As many of what is missing are named one by one.
_LINKED: Final = frozenset({StreamKind.THERAPY, StreamKind.EQUIPMENT})
_CUSTODY: Final = frozenset(
    {StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT}
)


class RecoveryIncompleteError(StoreError):
    """Raised when no copy holds an entry, or a record of it, that has to come back; nothing was recorded."""

    reason = "RECOVERY_INCOMPLETE"


class RecoveryConflictError(StoreError):
    """Raised when copies contradict each other or the signed head; nothing was recorded."""

    reason = "RECOVERY_CONFLICT"


@dataclass(slots=True)
class Copied:
    """An entry as a copy holds it, and what copies hold of its body by number of the record."""

    entry: bytes
    source: str
    openings: dict[int, Opening] = field(default_factory=dict)
    closed: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Copies:
    """What several copies hold of one log, by leaf index."""

    entries: dict[int, Copied] = field(default_factory=dict)
    bodies: dict[bytes, dict[int, Opening]] = field(default_factory=dict)
    """Openings by statement digest, from copies that know statements and not their places."""

    def add(self, source: str, leaf_index: int, entry: bytes, records: Sequence[Opening | ClosedRecord] = ()) -> None:
        """Takes an entry that a copy holds.

        Raises:
            RecoveryConflictError: another copy holds another entry there.
        """
        known = self.entries.setdefault(leaf_index, Copied(entry, source))
        if known.entry != entry:
            raise RecoveryConflictError(
                "two copies hold different entries", leaf_index=leaf_index, one=known.source, other=source
            )
        for record in records:
            if isinstance(record, Opening):
                known.openings[record.index] = record
            else:
                known.closed[record.index] = record.leaf_hash

    def add_body(self, statement_digest: bytes, openings: Sequence[Opening]) -> None:
        """Takes the openings of a statement that its submitter still has."""
        self.bodies.setdefault(statement_digest, {}).update((one.index, one) for one in openings)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back: from which size, up to which head; and what could not, for it may be erased."""

    from_size: int
    head: Head
    records_absent: int
    therapies_without_identifiers: tuple[bytes, ...]


def recover_tail(store: LedgerStore, vault: Vault, copies: Copies, *, size: int, root_hash: bytes) -> Recovered:
    """Records from copies what the store lacks up to the signed head of this size and root.

    Raises:
        RecoveryIncompleteError: something that has to come back is in no copy.
        RecoveryConflictError: copies contradict each other, their bodies, or the head.
    """
    head = store.start_writer()
    if head.size > size:
        raise RecoveryConflictError("the store has more than the signed head", store_size=head.size, size=size)

    # (1): Every entry is there.
    missing = [leaf for leaf in range(head.size, size) if leaf not in copies.entries]
    if missing:
        raise RecoveryIncompleteError(
            "no copy holds these entries; without them this log ends at its last signed head",
            missing=_ranges(missing),
            count=len(missing),
        )

    # (2): Together they make what was signed. Nothing in them is believed before this step.
    reader = TilesOfStore(store)
    edge = RightEdge.resume(reader, head.size)
    hashes = [leaf_hash_of(copies.entries[leaf].entry) for leaf in range(head.size, size)]
    edge.extend(hashes)
    if edge.root() != root_hash:
        raise RecoveryConflictError(
            "the store and these copies do not make the signed root: one of them holds another history",
            size=size,
            signed_root=root_hash,
            computed_root=edge.root(),
        )

    # (3): Their bodies are what was committed to, as far as they have to be.
    tail = [_Returning(leaf, copies) for leaf in range(head.size, size)]
    lacking = [one for one in tail if one.lacks]
    if lacking:
        raise RecoveryIncompleteError(
            "no copy holds the bodies of these statements; ask who submitted them",
            statements=" ".join(one.statement.digest.hex() for one in lacking[:_TOLD_MAX]),
            count=len(lacking),
        )

    # (4): Recorded as they were.
    start, edge = head.size, RightEdge.resume(reader, head.size)
    for at in range(0, len(tail), GROUP_ENTRIES_MAX):
        head = _record(store, vault, head, edge, tail[at : at + GROUP_ENTRIES_MAX])
    return Recovered(
        start,
        head,
        sum(one.absent for one in tail),
        tuple(one.statement.stream for one in tail if one.is_enrolment and not one.macs_known),
    )


class _Returning:
    """One entry on its way back, with its body as far as it is known."""

    def __init__(self, leaf_index: int, copies: Copies) -> None:
        copied = copies.entries[leaf_index]
        self.leaf_index = leaf_index
        self.entry: ReadEntry = read_entry(copied.entry)
        self.statement: ParsedStatement = parse_statement(self.entry.envelope)
        self.body_type: BodyType | None = BODIES.get(self.statement.header.body_type)
        held = {**copies.bodies.get(self.statement.digest, {}), **copied.openings}
        self.openings = tuple(held[index] for index in sorted(held))
        self.hashes = {**copied.closed, **{one.index: one.leaf_hash for one in self.openings}}
        self.absent = 0
        self.lacks = self._lacks()
        if not self.lacks:
            self._check()
        self.is_enrolment = self.statement.header.body_type == harvest_pb2.TherapyEnrolled.DESCRIPTOR.full_name
        self.macs_known = not self.is_enrolment or bool(self.enrolment().patient_identifiers)

    def _lacks(self) -> bool:
        """Tells whether a record is in no copy that may not be absent."""
        numbers = self.statement.commitment.field_numbers
        body_type = self.body_type
        if body_type is None:
            return bool(numbers)
        shown = {one.index for one in self.openings}
        for index, number in enumerate(numbers):
            if index in shown:
                continue
            self.absent += 1
            may_be_absent = body_type.classes.get(number) in SHREDDABLE or number in body_type.about_person
            if not may_be_absent or index not in self.hashes:
                return True
        return False

    def _check(self) -> None:
        numbers = self.statement.commitment.field_numbers
        shown = {one.index: one for one in self.openings}
        records = tuple(shown.get(index) or ClosedRecord(index, self.hashes[index]) for index in range(len(numbers)))
        try:
            DisclosedBody(records).verify(self.statement.commitment)
        except CellcustodyError as defect:
            raise RecoveryConflictError(
                "a copy's body is not what was signed", leaf_index=self.leaf_index, defect=defect.reason
            ) from defect

    def enrolment(self) -> harvest_pb2.TherapyEnrolled:
        """Returns the body of an enrolment as far as it is open."""
        return partial_body(harvest_pb2.TherapyEnrolled, self.openings)

    def pending(self) -> PendingEntry:
        """Returns the entry as the store takes it."""
        statement = self.statement
        return PendingEntry(
            self.leaf_index,
            statement.stream,
            self.entry.sequence,
            self.entry.raw,
            leaf_hash_of(self.entry.raw),
            statement.statement_id,
            statement.digest,
        )

    def claims(self) -> Iterator[Claim]:
        """Yields what only this statement may ever hold."""
        digest, joined = self.statement.digest, self.statement.joined_digest
        if self.is_enrolment:
            for alias in self.enrolment().aliases:
                if alias.scheme == "isbt128-coi":
                    yield Claim("coi", ChainOfIdentity.parse_printed(alias.value).content.encode(), digest)
        if joined is not None and StreamKind(self.statement.stream[0]) in _CUSTODY:
            yield Claim("co_signature", joined + self.statement.header.signer.signer_id, digest)

    def links(self) -> Iterator[StreamLink]:
        """Yields the streams and things that the statement's stream cites by it."""
        stream = self.statement.stream
        if StreamKind(stream[0]) not in _LINKED:
            return
        in_effect = self.leaf_index if self.entry.judgement.judged.status is Status.IN_EFFECT else None
        act = act_of(
            self.statement,
            self.body_type,
            self.openings,
            leaf_index=self.leaf_index,
            site=b"",
            judgement=self.entry.judgement,
            in_effect_at=in_effect,
        )
        for key in sorted(reference_keys(act)):
            yield StreamLink(stream, key)


def _record(store: LedgerStore, vault: Vault, head: Head, edge: RightEdge, group: Sequence[_Returning]) -> Head:
    sealed = [
        (one, subject, disclosed, encode_openings(openings))
        for one in group
        for subject, disclosed, openings in classes_in(Prepared(one.statement, one.body_type, None, one.openings))
    ]
    vault.ensure_subjects({subject for _, subject, disclosed, _ in sealed if disclosed is not DisclosureClass.PUBLIC})
    rows: list[VaultRow] = []
    erasable: set[bytes] = set()
    for one, subject, disclosed, plaintext in sealed:
        digest = one.statement.digest
        if is_erasable(disclosed, subject):
            erasable.add(digest)
        if disclosed is DisclosureClass.PUBLIC:
            rows.append(VaultRow(digest, subject, disclosed, plaintext))
            continue
        try:
            rows.append(VaultRow(digest, subject, disclosed, vault.seal(subject, disclosed, digest, plaintext)))
        except ShreddedError:  # What was erased stays so.
            continue
    macs: list[IdentityMac] = []
    for one in group:
        if one.absent or one.statement.digest in erasable:
            count = len(one.statement.commitment.field_numbers)
            joined = b"".join(one.hashes[index] for index in range(count))
            rows.append(VaultRow(one.statement.digest, one.statement.stream, LEAF_HASHES, joined))
        if one.is_enrolment and one.macs_known:
            vault.ensure_subjects([one.statement.stream])
            macs += enrolled_macs(vault, one.statement.stream, one.enrolment().patient_identifiers)
    entries = tuple(one.pending() for one in group)
    tiles = edge.extend([entry.leaf_hash for entry in entries])
    new_head = Head(head.size + len(entries), edge.root(), head.epoch)
    store.commit(
        Commit(
            entries=entries,
            claims=tuple(claim for one in group for claim in one.claims()),
            vault_rows=tuple(rows),
            identity_macs=tuple(macs),
            tiles=tuple(TileWrite(tile.level, tile.index, tile.hashes) for tile in tiles),
            links=tuple(dict.fromkeys(link for one in group for link in one.links())),
            previous_head=head,
            new_head=new_head,
        )
    )
    return new_head


def _ranges(numbers: Sequence[int]) -> str:
    """Returns ascending numbers as ranges, such as 3-5 9."""
    parts: list[str] = []
    start = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number == last + 1:
            last = number
            continue
        parts.append(str(start) if start == last else f"{start}-{last}")
        start = last = number
    shown = " ".join(parts[:_TOLD_MAX])
    return shown if len(parts) <= _TOLD_MAX else f"{shown} and more"
