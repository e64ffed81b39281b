"""Keep a copy of somebody else's log, and judge every entry again on the way.

The rules, for each entry in the order of the log:

1. It is in its exact form; its statement verifies under a key that the registry, as followed up to here, knows.
2. It goes on its stream's chain: the next sequence, the leaf hash of the one before; no statement and no id twice.
3. The records shown are those that were signed.
4. The registry's acts are judged again. If one is false, nobody can tell any more who may say what: the replica stops.
5. Every other statement is judged again by the rule-set that its entry names, with the time and place of the entry, if
   its records are open but for a patient's identifiers. The result is the entry's judgement, word for word, and the
   re-judgements that follow it in the log are those that it causes.
6. A re-judgement that nothing caused is false.

What is false is kept as a finding, and its stream is disputed from there on: what is judged in it, or with a look at
it, is unverified. The copy keeps what is open of bodies, sealed under a key of its own, and goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import RULE_SET, ZERO_HASH, JudgedEntry, ReadEntry, leaf_hash_of, read_entry
from cellcustody.ledger.errors import CellcustodyError, RefusedError, VerificationError
from cellcustody.ledger.recording.opening import open_registry
from cellcustody.ledger.recording.planning import AlreadyRecorded, Plan
from cellcustody.ledger.recording.prepared import Prepared, check_header_fits_body
from cellcustody.ledger.recording.replaying import revised_judgements_of
from cellcustody.ledger.recording.sealing import classes_in, encode_openings
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.registry.founding import founding_keys
from cellcustody.ledger.replica.findings import Replayed, ReplayFinding, ReplayOutcome
from cellcustody.ledger.replica.judges import RecordedVoice, ReplayJudge, RevisionFalseError, Told, with_placeholders
from cellcustody.ledger.statements import (
    KeyId,
    Opening,
    ParsedStatement,
    PayloadType,
    PublicKey,
    StreamKind,
    parse_statement,
    read_statement,
)
from cellcustody.ledger.store import (
    Claim,
    Commit,
    Head,
    IdentityMac,
    LedgerStore,
    OperationalFinding,
    PendingEntry,
    StreamLink,
    TileWrite,
    Vault,
    VaultRow,
)
from cellcustody.ledger.transparency import RightEdge, TileTree
from cellcustody.ledger.verification import EntryToVerify
from cellcustody.ledger.verification.container import Records
from cellcustody.ledger.verification.statements import read_given_entry, verify_body
from cellcustody.v1 import registry_pb2

__all__ = ["GivenEntry", "Replica", "ReplicaStoppedError"]

GROUP_ENTRIES_MAX: Final = 256  # One commit of the copy; its sync is shared by as many.
FINDINGS_MAX: Final = 1_000  # A ledger that lies more often has been found out.
_CLOSED: Final = "REPLICA_CLOSED"
_DISPUTED: Final = "REPLICA_DISPUTED"
_NOTES_READ_MAX: Final = 10_000_000  # All of them: one for each stream that is closed or disputed.
_REGISTRY_KINDS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})
_CLOSED_TO_RULES: Final = frozenset({DisclosureClass.IDENTITY})


class ReplicaStoppedError(VerificationError):
    """Raised when a log cannot be followed any further: an entry cannot be, or the registry in it is false."""

    reason = "LOG_UNFOLLOWABLE"


@dataclass(frozen=True, slots=True)
class GivenEntry:
    """An entry with the records of its body as far as its reader may see them; None: nothing of it was to be had."""

    leaf_index: int
    entry: bytes
    records: Records | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry that stands by itself: its form, signatures, chain and commitment hold."""

    leaf_index: int
    raw: bytes
    entry: ReadEntry
    prepared: Prepared
    closed: frozenset[DisclosureClass]
    is_shown: bool

    @property
    def statement(self) -> ParsedStatement:
        """Its statement."""
        return self.prepared.statement

    @property
    def kind(self) -> StreamKind:
        """The kind of its stream."""
        return StreamKind(self.statement.stream[0])


@dataclass(slots=True)
class _Group:
    """What is committed to the copy at once; an entry and the re-judgements that it causes are never parted."""

    entries: list[PendingEntry] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    links: list[StreamLink] = field(default_factory=list)
    macs: list[IdentityMac] = field(default_factory=list)
    sealed: list[tuple[bytes, DisclosureClass, bytes, bytes]] = field(default_factory=list)

    def take(self, other: _Group) -> None:
        """Adds another group after this one."""
        self.entries += other.entries
        self.claims += other.claims
        self.links += other.links
        self.macs += other.macs
        self.sealed += other.sealed


class Replica:
    """A copy of one log in a store of its own; owned by one thread."""

    def __init__(self, store: LedgerStore, vault: Vault) -> None:
        """Goes on where the copy stops, with what was closed or false before."""
        self.store = store
        self.vault = vault
        self._head = store.start_writer()
        self.registry = open_registry(store, vault)
        self._reader = TilesOfStore(store)
        self.tree = TileTree(self._reader)
        self._edge = RightEdge.resume(self._reader, self._head.size, older=self.tree)
        self._voice = RecordedVoice(self._recorded_at)
        self._judge = ReplayJudge(store, vault, self.registry, self._voice)
        noted = store.operational_findings(_NOTES_READ_MAX)
        self._disputed = {note.detail for note in noted if note.code == _DISPUTED}
        self._blind = {note.detail for note in noted if note.code == _CLOSED}
        self._entry_at: Callable[[int], GivenEntry | None] = lambda leaf_index: None
        self._found: Callable[[ReplayFinding], None] = lambda finding: None
        self._read_ahead: dict[int, _Read] = {}
        self._heads: dict[bytes, tuple[int, bytes]] = {}
        self._group = _Group()
        self._unit = _Group()

    @property
    def size(self) -> int:
        """How many entries the copy has."""
        return self._head.size

    @property
    def disputed(self) -> frozenset[bytes]:
        """The streams in which something was false."""
        return frozenset(self._disputed)

    def root_with(self, entries: Sequence[bytes]) -> bytes:
        """Returns the root of the copy's tree with these entries after it; the copy stays as it is."""
        edge = self._edge.copy()
        edge.extend([leaf_hash_of(raw) for raw in entries])
        return edge.root()

    def growing(self) -> RightEdge:
        """Returns the right edge of the copy's tree, for whoever hashes what comes next."""
        return self._edge.copy()

    def advance(
        self,
        size: int,
        entry_at: Callable[[int], GivenEntry | None],
        *,
        told: Callable[[GivenEntry, Sequence[Opening]], None] = lambda given, openings: None,
        found: Callable[[ReplayFinding], None] = lambda finding: None,
    ) -> Replayed:
        """Takes the entries up to `size` into the copy, and returns what was found of them.

        `entry_at` gives the entry of a leaf below `size`, None beyond it. `told` is called with each entry in order,
        and what is open of its body, after its records were found to be those that were signed. `found` is called with
        each finding before its entry is in the copy, so that it can be kept: it is not found a second time.

        Raises:
            ReplicaStoppedError: the log cannot be followed any further; what came before is in the copy.
        """
        self._entry_at = lambda leaf_index: entry_at(leaf_index) if leaf_index < size else None
        self._read_ahead.clear()
        self._found = found
        replayed = Replayed()
        leaf_index = self._head.size
        try:
            while leaf_index < size:
                taken = self._take(self._read(leaf_index), replayed)
                self._merge()
                for one in taken:
                    told(GivenEntry(one.leaf_index, one.raw), one.prepared.openings)
                leaf_index = taken[-1].leaf_index + 1
                if len(self._group.entries) >= GROUP_ENTRIES_MAX or taken[0].kind in _REGISTRY_KINDS:
                    self._commit()  # What the registry knows is never taken back with somebody else's entry.
                if len(replayed.findings) >= FINDINGS_MAX:
                    raise ReplicaStoppedError("too much is false to go on", leaf_index=leaf_index, limit=FINDINGS_MAX)
        except BaseException:
            # What was being taken is left out whole, so that an entry is never there without what it causes.
            self._unit = _Group()
            self._judge.abandon()
            self._commit(is_judged=False)
            self._judge.settled(self._head.size)
            self._heads.clear()
            raise
        self._commit()
        return replayed

    # One entry. ----------------------------------------------------------------------------------------------------

    def _take(self, read: _Read, replayed: Replayed) -> list[_Read]:
        """Takes one entry and the re-judgements that it causes; returns them in order."""
        self._check_chain(read)
        why = self._why_not(read)
        if why:
            self._commit()
            self._skip(read, replayed, why)
            return [read]
        recorded = read.entry.judgement
        self._voice.found.clear()
        self._judge.tell(self._told(read))
        finding: ReplayFinding | None = None
        try:
            plan = self._judge.judge(
                read.prepared, read.entry.submitting_site, leaf_index=read.leaf_index, now=read.entry.recorded_at
            )
            if isinstance(plan, AlreadyRecorded):
                raise ReplicaStoppedError("a statement stands twice", leaf_index=read.leaf_index)
        except RefusedError as refusal:
            uncaused = read.statement.payload_type is PayloadType.JUDGEMENT
            code = "REJUDGEMENT_UNCAUSED" if uncaused else "RECORDED_THOUGH_REFUSED"
            finding = self._finding(code, read, recorded, str(refusal))
        except RevisionFalseError as false:
            finding = ReplayFinding(
                false.reason,
                int(false.values["leaf_index"]),
                bytes.fromhex(false.values["of_stream"]),
                false.values.get("said", "nothing"),
                false.values["expected"],
            )
        except CellcustodyError:
            raise
        except Exception as fault:
            if not self._is_clouded():
                raise ReplicaStoppedError(
                    "the rules cannot take an entry", leaf_index=read.leaf_index, failure=repr(fault)
                ) from fault
            self._drop(read)
            self._skip(read, replayed, f"the rules met what is closed: {type(fault).__name__}")
            return [read]
        else:
            if plan.entries[0].judgement == recorded and recorded.rule_set == RULE_SET:
                replayed.count(ReplayOutcome.JUDGED)
                replayed.comparisons += bool(recorded.comparisons) and DisclosureClass.IDENTITY in read.closed
                return self._taken(read, plan, replayed)
            finding = self._finding("JUDGEMENT_FALSE", read, recorded, _in_words(plan.entries[0].judgement))
        self._drop(read)
        if self._is_clouded():
            self._skip(read, replayed, "it rests on a stream that is closed or disputed")
            return [read]
        if read.kind in _REGISTRY_KINDS:
            raise ReplicaStoppedError(
                "the registry is false", leaf_index=read.leaf_index, code=finding.code, expected=finding.expected
            )
        replayed.count(ReplayOutcome.FALSE)
        replayed.findings.append(finding)
        self._found(finding)
        self._note(_DISPUTED, read, read.statement.stream)
        self._note(_DISPUTED, read, finding.stream)
        self._disputed.update((read.statement.stream, finding.stream))
        self._record(read)
        self._merge()
        self._commit(is_judged=False)
        self._judge.skipped(read.statement.stream, self._head.size)
        return [read]

    def _taken(self, read: _Read, plan: Plan, replayed: Replayed) -> list[_Read]:
        """Puts an entry whose judgement was found right into the group, and the re-judgements that it causes."""
        self._record(read)
        self._unit.claims.extend(plan.claims)
        self._unit.links.extend(plan.links)
        self._unit.macs.extend(plan.identity_macs)
        caused = [self._read(leaf_index) for leaf_index, _ in self._voice.found]
        for one in caused:
            self._check_chain(one)
            self._record(one)
            replayed.count(ReplayOutcome.JUDGED)
        return [read, *caused]

    def _drop(self, read: _Read) -> None:
        """Commits what was right before this entry, with the judge as it was before it."""
        self._judge.abandon()
        for one in (read.statement.stream, *self._judge.consulted):
            self._judge.cases.touch(one)
        self._judge.abandon()
        self._commit(is_judged=False)

    def _skip(self, read: _Read, replayed: Replayed, why: str) -> None:
        """Takes an entry that could not be judged; its stream is closed to the rules from here on."""
        replayed.count(ReplayOutcome.UNVERIFIED, why)
        if read.statement.payload_type is not PayloadType.JUDGEMENT:
            self._note(_CLOSED, read, read.statement.stream)
            self._blind.add(read.statement.stream)
        self._record(read)
        self._merge()
        self._commit(is_judged=False)
        self._judge.skipped(read.statement.stream, self._head.size)

    def _note(self, code: str, read: _Read, stream: bytes) -> None:
        """Keeps that a stream is closed or disputed, before the entry that makes it so is in the copy."""
        if stream not in (self._blind if code == _CLOSED else self._disputed):
            self.store.operational_finding(
                OperationalFinding(
                    code, read.statement.statement_id, stream + bytes(15), read.entry.recorded_at, stream
                )
            )

    def _why_not(self, read: _Read) -> str:
        """Returns why an entry cannot be judged, or nothing where it can."""
        if read.entry.judgement.rule_set != RULE_SET:
            return "its rule-set is not known here"
        if read.kind in _REGISTRY_KINDS:
            return ""
        if read.statement.stream in self._disputed:
            return "its stream is disputed"
        if read.statement.stream in self._blind:
            return "its stream is closed"
        if read.statement.payload_type is PayloadType.JUDGEMENT:
            if self._blind or self._disputed:
                return "what caused it may be closed or disputed"
            return ""
        if not read.is_shown or not read.closed <= _CLOSED_TO_RULES:
            return "records of its body are closed"
        return ""

    def _is_clouded(self) -> bool:
        clouded = self._blind | self._disputed
        return not clouded.isdisjoint(self._judge.consulted)

    def _told(self, read: _Read) -> Told:
        revised: dict[bytes, JudgedEntry] = {}
        if DisclosureClass.IDENTITY in read.closed:
            following = self._recorded_at(read.leaf_index + 1)
            if following is not None and following.statement.stream == read.statement.stream:
                revised = revised_judgements_of(following.body)
        return Told(read.entry.judgement, DisclosureClass.IDENTITY in read.closed, revised)

    def _finding(self, code: str, read: _Read, said: JudgedEntry, expected: str) -> ReplayFinding:
        return ReplayFinding(code, read.leaf_index, read.statement.stream, _in_words(said), expected)

    # Reading. ------------------------------------------------------------------------------------------------------

    def _recorded_at(self, leaf_index: int) -> Prepared | None:
        if self._entry_at(leaf_index) is None:
            return None
        return self._read(leaf_index).prepared

    def _read(self, leaf_index: int) -> _Read:
        """Returns an entry after form, signatures and commitment were found right; each is read once."""
        found = self._read_ahead.get(leaf_index)
        if found is not None:
            return found
        given = self._entry_at(leaf_index)
        if given is None:
            raise ReplicaStoppedError("an entry is not given", leaf_index=leaf_index)
        try:
            read = self._checked(given)
        except CellcustodyError as defect:
            raise ReplicaStoppedError(
                "an entry is not what it must be", leaf_index=leaf_index, defect=str(defect)
            ) from defect
        self._read_ahead = {index: one for index, one in self._read_ahead.items() if index >= self._planned_size()}
        self._read_ahead[leaf_index] = read
        return read

    def _planned_size(self) -> int:
        return self._head.size + len(self._group.entries) + len(self._unit.entries)

    def _checked(self, given: GivenEntry) -> _Read:
        to_verify = EntryToVerify(given.leaf_index, given.entry, given.records)
        read_given_entry(to_verify)
        entry = read_entry(given.entry)
        unsigned = parse_statement(entry.envelope)
        found = check_header_fits_body(unsigned)
        body: Message | None = None
        shown = True
        closed: frozenset[DisclosureClass] = frozenset()
        openings: tuple[Opening, ...] = ()
        if found is not None:
            body, _, _ = verify_body(given.leaf_index, unsigned.commitment, given.records, found)
            openings = tuple(one for one in given.records or () if isinstance(one, Opening))
            there = {one.index for one in openings}
            numbers = unsigned.commitment.field_numbers
            closed = frozenset(found.classes[number] for index, number in enumerate(numbers) if index not in there)
            shown = given.records is not None or not numbers
            if DisclosureClass.IDENTITY in closed:
                body = with_placeholders(body, numbers)
        statement = read_statement(entry.envelope, self._lookup(given.leaf_index, body))
        depends = any(one.code == "DEPENDS_ON_REFUSED" for one in entry.judgement.judged.findings)
        prepared = Prepared(statement, found, body, openings, depends)
        return _Read(given.leaf_index, given.entry, entry, prepared, closed, shown)

    def _lookup(self, leaf_index: int, body: Message | None) -> Callable[[KeyId], PublicKey | None]:
        if leaf_index == 0 and isinstance(body, registry_pb2.LedgerFounded):
            return founding_keys(body).get
        return self.registry.public_key

    def _check_chain(self, read: _Read) -> None:
        stream = read.statement.stream
        known = self._heads.get(stream)
        if known is None:
            head = self.store.stream_head(stream)
            known = (0, ZERO_HASH) if head is None else (head.sequence, head.leaf_hash)
        if (read.entry.sequence, read.entry.previous_leaf_hash) != (known[0] + 1, known[1]):
            raise ReplicaStoppedError(
                "a stream's chain is broken",
                leaf_index=read.leaf_index,
                of_stream=stream,
                sequence=read.entry.sequence,
                expected=known[0] + 1,
            )
        if self.store.find_statement(read.statement.digest) is not None:
            raise ReplicaStoppedError("a statement stands twice", leaf_index=read.leaf_index)

    # Writing. ------------------------------------------------------------------------------------------------------

    def _record(self, read: _Read) -> None:
        statement = read.statement
        self._unit.entries.append(
            PendingEntry(
                read.leaf_index,
                statement.stream,
                read.entry.sequence,
                read.raw,
                leaf_hash_of(read.raw),
                statement.statement_id,
                statement.digest,
            )
        )
        self._heads[statement.stream] = (read.entry.sequence, leaf_hash_of(read.raw))
        for subject, disclosed, openings in classes_in(read.prepared):
            self._unit.sealed.append((subject, disclosed, statement.digest, encode_openings(openings)))

    def _merge(self) -> None:
        unit, self._unit = self._unit, _Group()
        self._group.take(unit)

    def _commit(self, *, is_judged: bool = True) -> None:
        group, self._group = self._group, _Group()
        if not group.entries:
            return
        self.vault.ensure_subjects(
            {subject for subject, disclosed, _, _ in group.sealed if disclosed is not DisclosureClass.PUBLIC}
        )
        tiles = self._edge.extend([entry.leaf_hash for entry in group.entries])
        head = Head(self._head.size + len(group.entries), self._edge.root(), self._head.epoch)
        self.store.commit(
            Commit(
                entries=tuple(group.entries),
                claims=tuple(group.claims),
                vault_rows=tuple(self._row(*sealed) for sealed in group.sealed),
                identity_macs=tuple(group.macs),
                tiles=tuple(TileWrite(tile.level, tile.index, tile.hashes) for tile in tiles),
                links=tuple(dict.fromkeys(group.links)),
                previous_head=self._head,
                new_head=head,
            )
        )
        self._head = head
        if is_judged:
            self._judge.committed()

    def _row(self, subject: bytes, disclosed: DisclosureClass, digest: bytes, plaintext: bytes) -> VaultRow:
        if disclosed is DisclosureClass.PUBLIC:
            return VaultRow(digest, subject, disclosed, plaintext)
        return VaultRow(digest, subject, disclosed, self.vault.seal(subject, disclosed, digest, plaintext))


def _in_words(judgement: JudgedEntry) -> str:
    codes = " ".join(finding.code for finding in judgement.judged.findings) or "without findings"
    effect = f", puts {judgement.puts_in_effect.hex()[:16]} in effect" if judgement.puts_in_effect else ""
    return f"{judgement.judged.status.name} {codes}{effect}"
