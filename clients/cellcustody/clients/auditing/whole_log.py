"""Verify everything a log holds, from its tiles and entries and an anchor alone.

The rules, in the order in which they are checked:

1. Every entry up to the size that the checkpoint claims is there. What makes the registry is read with its PUBLIC
   openings, and made again: every act lawful at its position, from the founding that the anchor names.
2. The checkpoint is signed by every key that signs for the log at that size, followed from the anchor; the anchor's
   witnesses cosigned it, where it asks for any.
3. The log continues what was believed before: the leaves of then make the root of then.
4. Every entry by itself, and all of them across (`cellcustody.ledger.verification`), on all cores; together they make
   the signed root. Bodies are not in the log: what is not open to everyone is counted as not shown.
5. Every hash tile that the log serves is the one that its entries make.
6. Every map of stream heads that was logged is the one that the entries below its size make. Of its aliases nothing is
   said here: what they are made of is not open to everyone.
7. The log's time evidence is of its own trees, renewals are made again, and tokens of the anchor's authorities hold.

An audit that is interrupted goes on where it was: signatures once verified are not verified again, over entries that
make the same root. All else is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from cellcustody.clients.auditing.audit_state import AuditState, read_state, write_state
from cellcustody.clients.auditing.mirror import Mirror
from cellcustody.clients.auditing.sources import (
    FolderLog,
    LogSource,
    read_bundle,
    read_checkpoint,
    read_records,
    read_tile,
)
from cellcustody.clients.auditing.time_evidence import AuditedTimes, audit_time_evidence, read_evidence
from cellcustody.clients.errors import LogInconsistent, NotFound
from cellcustody.clients.parallel_verification import verify_export
from cellcustody.ledger.completeness import MapFollower, MapVerdict
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import Opening, PayloadType
from cellcustody.ledger.transparency import RightEdge, leaf_hash, parse_checkpoint, tile_width
from cellcustody.ledger.transparency.note_keys import format_vkey
from cellcustody.ledger.transparency.tiles import TILE_WIDTH
from cellcustody.ledger.verification import EntryToVerify, ExportReport, SoFar, replay_registry
from cellcustody.ledger.verification.container import Records
from cellcustody.ledger.verification.dossiers import verify_log_checkpoint
from cellcustody.ledger.verification.registry_replay import is_registry_entry
from cellcustody.ledger.verification.witnesses import verify_anchored_witnesses
from cellcustody.v1 import entry_pb2, envelope_pb2

__all__ = ["AuditProgress", "AuditReport", "Stage", "audit_log"]

Stage = str
READING: Final[Stage] = "reading"
VERIFYING: Final[Stage] = "verifying"
MAPPING: Final[Stage] = "maps of heads"
TIMING: Final[Stage] = "time evidence"

STATE_FILE: Final = "audit.json"
MIRROR_FOLDER: Final = "log"
LEAVES_BETWEEN_SAVES: Final = 4_096  # Some half a second's work is all that an interruption loses.

_CO_SIGNATURE: Final = PayloadType.CO_SIGNATURE.value
_SHOWN_TO_ALL: Final = frozenset(
    kind.value
    for kind in (
        PayloadType.REGISTRY,
        PayloadType.POLICY,
        PayloadType.SCHEMA,
        PayloadType.JUDGEMENT,
        PayloadType.HEAD_MAP,
        PayloadType.TIME_EVIDENCE,
    )
)


class AuditProgress(NamedTuple):
    """How far an audit has come: its stage, the leaves done, and how many there are."""

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found right. `witnesses` is None where the anchor asks for none; `seconds` are of the verification.

    `signatures` were verified by this run; those of the first `signed_before` leaves by an earlier one, over the same
    bytes. `continues` is the size that was believed before.
    """

    log: str
    origin: str
    size: int
    root: bytes
    export: ExportReport
    signatures: int
    registry_entries: int
    tiles: int
    maps: int
    times: AuditedTimes
    witnesses: tuple[str, ...] | None
    signed_before: int
    continues: int
    seconds: float
    checkpoint: bytes


def audit_log(
    source: LogSource,
    anchor: Anchor,
    *,
    state_folder: Path | None = None,
    threads: int | None = None,
    progress: Callable[[AuditProgress], None] | None = None,
) -> AuditReport:
    """Returns what was found, when everything was found right.

    With `state_folder` the audit goes on where it was, keeps what it reads, and demands that the log continues what
    was believed there before.

    Raises:
        VerificationError: the first broken link.
        LogInconsistent: the log withholds, contradicts itself, or does not continue what it showed before.
        LogSourceUnavailable, AccessDenied: it cannot be read.
    """
    tell = progress or (lambda _: None)
    if state_folder is None:
        if isinstance(source, FolderLog):
            return _Audit(source, anchor, None, threads, tell).run()
        with tempfile.TemporaryDirectory(prefix="cellcustody-audit-") as folder:
            return _Audit(Mirror(source, Path(folder)), anchor, None, threads, tell).run()
    mirror = source if isinstance(source, FolderLog) else Mirror(source, state_folder / MIRROR_FOLDER)
    return _Audit(mirror, anchor, state_folder / STATE_FILE, threads, tell).run()


class _Audit:
    """One audit under way."""

    def __init__(
        self,
        source: LogSource,
        anchor: Anchor,
        state_path: Path | None,
        threads: int | None,
        tell: Callable[[AuditProgress], None],
    ) -> None:
        self._source = source
        self._anchor = anchor
        self._state_path = state_path
        self._threads = threads
        self._tell = tell
        self._tiles = 0
        self._signatures_before = 0

    def run(self) -> AuditReport:
        state = (
            AuditState(self._anchor.log_origin, self._anchor.founding_digest)
            if self._state_path is None
            else read_state(self._state_path, self._anchor)
        )

        # (1): All entries, and from them the registry. The size is the log's claim until its keys are known.
        raw = read_checkpoint(self._source)
        claimed = parse_checkpoint(raw)
        if claimed.size < state.size:
            raise LogInconsistent(
                "the log shows fewer entries than it did before", believed=state.size, shown=claimed.size
            )
        shown = self._read_all(claimed.size, state)
        registry = replay_registry(
            [one for one in shown.values() if is_registry_entry(one)], self._anchor.founding_digest
        )

        # (2): The head.
        checkpoint = verify_log_checkpoint(raw, registry.state, self._anchor)
        signing = [format_vkey(one.key.name, one.key.type, one.key.public_key) for one in checkpoint.log_signatures]
        witnesses = verify_anchored_witnesses(raw, self._anchor, signing)

        # (3): What was believed was held to the entries while they were read.
        signed_before = state.signed_leaves if state.signed_leaves <= checkpoint.size else 0

        # (4) and (5): Everything.
        started = time.perf_counter()
        remembered = state

        def watch(so_far: SoFar) -> None:
            nonlocal remembered
            self._tell(AuditProgress(VERIFYING, so_far.entries, checkpoint.size))
            if so_far.entries <= signed_before:
                self._signatures_before = so_far.signatures
            for tile in so_far.tiles:
                if tile.width == tile_width(tile.level, tile.index, checkpoint.size):
                    self._check_tile(tile.level, tile.index, tile.hashes)
            is_due = so_far.entries >= remembered.signed_leaves + LEAVES_BETWEEN_SAVES
            if self._state_path is not None and so_far.edge is not None and is_due:
                remembered = remembered.signed_up_to(so_far.entries, so_far.edge.root())
                write_state(self._state_path, remembered)

        export = verify_export(
            self._entries(checkpoint.size, shown),
            registry,
            root=checkpoint.root,
            threads=self._threads,
            signed_before=signed_before,
            watch=watch,
        )
        seconds = time.perf_counter() - started

        # (6): The log's own word on where its streams end.
        maps = self._check_maps(checkpoint.size, shown, registry.state.latest.ledger_id)

        # (7): What authorities stamped, and what renewals show again.
        items, certificates = read_evidence(self._source, checkpoint.origin)
        stage = TIMING if items else None
        times = audit_time_evidence(
            items, certificates, self._raw_entries(checkpoint.size, stage), self._anchor, checkpoint.size
        )
        if self._state_path is not None:
            write_state(self._state_path, state.believing(checkpoint.size, checkpoint.root))
        if isinstance(self._source, Mirror):
            self._source.believe(raw)
        return AuditReport(
            self._source.name,
            checkpoint.origin,
            checkpoint.size,
            checkpoint.root,
            export,
            export.signatures - self._signatures_before,
            len(registry.leaf_indexes),
            self._tiles,
            maps,
            times,
            witnesses,
            signed_before,
            state.size,
            seconds,
            raw,
        )

    def _read_all(self, size: int, state: AuditState) -> dict[int, EntryToVerify]:
        """Reads every entry once; returns those whose bodies everyone may see, with their openings.

        Raises:
            LogInconsistent: an entry is withheld, or the log does not continue what was believed before.
        """
        shown: dict[int, EntryToVerify] = {}
        edge = RightEdge()
        for leaf_index, entry in self._raw_entries(size, READING):
            if edge.size < max(state.size, state.signed_leaves):
                edge.append(leaf_hash(entry))
                self._check_believed(edge, state)
            kind = _kind_of(entry)
            if kind in _SHOWN_TO_ALL:
                shown[leaf_index] = EntryToVerify(leaf_index, entry, self._records(leaf_index))
            elif kind == _CO_SIGNATURE:  # It has no body; what joins an act of the registry is filed with it.
                given = EntryToVerify(leaf_index, entry)
                if is_registry_entry(given):
                    shown[leaf_index] = given
        return shown

    def _check_maps(self, size: int, shown: Mapping[int, EntryToVerify], ledger_id: bytes) -> int:
        """Returns how many logged maps are those that the entries make.

        Raises:
            HeadMapFalseError: one is not.
        """
        if not any(_kind_of(one.entry) == PayloadType.HEAD_MAP.value for one in shown.values()):
            return 0
        follower = MapFollower(ledger_id)
        matching = 0
        for leaf_index, entry in self._raw_entries(size, MAPPING):
            given = shown.get(leaf_index)
            records = () if given is None else given.records or ()
            openings = [record for record in records if isinstance(record, Opening)]
            found = follower.take(leaf_index, entry, openings)
            matching += found is not None and found.heads is MapVerdict.MATCHES
        return matching

    def _check_believed(self, edge: RightEdge, state: AuditState) -> None:
        for size, root, what in (
            (state.size, state.root, "the log does not continue what was believed before"),
            (state.signed_leaves, state.signed_root, "the entries are not those that were verified before"),
        ):
            if size and edge.size == size and edge.root() != root:
                raise LogInconsistent(what, size=size, believed=root.hex(), shown=edge.root().hex())

    def _records(self, leaf_index: int) -> Records | None:
        try:
            return read_records(self._source, leaf_index) or None
        except NotFound as absence:
            raise LogInconsistent(
                "the log does not give what everyone may see of an entry", log=self._source.name, leaf_index=leaf_index
            ) from absence

    def _entries(self, size: int, shown: Mapping[int, EntryToVerify]) -> Iterator[EntryToVerify]:
        for leaf_index, entry in self._raw_entries(size, None):
            yield shown.get(leaf_index) or EntryToVerify(leaf_index, entry)

    def _raw_entries(self, size: int, stage: Stage | None) -> Iterator[tuple[int, bytes]]:
        for index in range(-(-size // TILE_WIDTH)):
            width = tile_width(0, index, size)
            try:
                entries = read_bundle(self._source, index, width)
            except NotFound as absence:
                raise LogInconsistent(
                    "the log does not give entries that its checkpoint covers",
                    log=self._source.name,
                    size=size,
                    leaf_index=index * TILE_WIDTH,
                ) from absence
            yield from enumerate(entries, index * TILE_WIDTH)
            if stage is not None:
                self._tell(AuditProgress(stage, index * TILE_WIDTH + width, size))

    def _check_tile(self, level: int, index: int, hashes: bytes) -> None:
        width = len(hashes) // 32
        try:
            served = read_tile(self._source, level, index, width)
        except NotFound as absence:
            raise LogInconsistent(
                "the log does not give a tile that its checkpoint covers",
                log=self._source.name,
                level=level,
                index=index,
            ) from absence
        if served != hashes:
            raise LogInconsistent(
                "the log serves a tile that its entries do not make", log=self._source.name, level=level, index=index
            )
        self._tiles += 1


def _kind_of(entry: bytes) -> str:
    """Returns the payload type that an entry claims; empty where it is none: the verification says what is wrong."""
    try:
        return envelope_pb2.Envelope.FromString(entry_pb2.Entry.FromString(entry).envelope).payload_type
    except DecodeError:
        return ""
