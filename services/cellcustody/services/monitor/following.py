"""Follow a log and say what in it is false, also where the lie was told to somebody else.

The rules, at each look:

1. The checkpoint shown is the log's. Its keys are followed from the anchor through the rotations in the log.
2. It continues what was believed before, root for root. If it does not, and the log's own tiles make what it signed,
   the two checkpoints are a fork, and the proof of it is written.
3. The entries shown make the root that is signed. Otherwise the log shows other entries than it signed.
4. Every entry is judged again (`replica`), every map of heads and aliases made again (`completeness.following`).
5. With a witness policy in the anchor, its quorum cosigned what is shown.
6. What others were shown is of the same tree: their checkpoints, signed by this log, are roots of the copy. A larger
   one is kept until the copy is as large; one that the log does not come to show is WITHHELD.

What cannot be looked at is UNVERIFIED and counted. What is false is kept for good, with the proof where there is one.
"""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from cellcustody.ledger.completeness.errors import HeadMapFalseError
from cellcustody.ledger.completeness.following import MapFollower, MapVerdict
from cellcustody.ledger.errors import CellcustodyError, NotFoundError, VerificationError
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.replica import GivenEntry, ReplayFinding, ReplicaStoppedError
from cellcustody.ledger.statements import Opening, parse_recorded_statement
from cellcustody.ledger.transparency import (
    TILE_WIDTH,
    TileTree,
    VerifiedCheckpoint,
    build_fork_proof,
    leaf_hash,
    origin_hash,
    parse_checkpoint,
    verify_checkpoint,
)
from cellcustody.ledger.verification import verify_log_checkpoint
from cellcustody.ledger.verification.witnesses import signing_vkeys, verify_anchored_witnesses
from cellcustody.services.monitor.sources import (
    LogFiles,
    LogUnavailableError,
    OpeningsSource,
    TlsPaths,
    fetch,
)
from cellcustody.services.monitor.state import MonitorState
from cellcustody.v1 import entry_pb2

__all__ = ["Look", "Monitor"]

WITHHELD_SECONDS: Final = 3600.0  # A log shows everybody the newest tree within moments; an hour is no delay.
_ALL_CLASSES: Final = frozenset(range(1, 7))
_ENTRIES_READ: Final = 256
_LENGTH: Final = struct.Struct(">I")


@dataclass(slots=True)
class Look:
    """What one look at a log showed. `findings` are those of this look, new or not."""

    size: int = 0
    root: bytes = b""
    entries: int = 0
    judged: int = 0
    unverified: int = 0
    comparisons: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    maps_matching: int = 0
    maps_unverified: int = 0
    witnesses: tuple[str, ...] | None = None
    gossip_agreeing: int = 0
    gossip_pending: int = 0
    gossip_silent: list[str] = field(default_factory=list)
    findings: list[dict[str, object]] = field(default_factory=list)


class Monitor:
    """One monitor of one log; for one thread."""

    def __init__(
        self,
        anchor: Anchor,
        files: LogFiles,
        openings: OpeningsSource,
        state: MonitorState,
        *,
        gossip: Sequence[str] = (),
        tls: TlsPaths | None = None,
        alias_key: bytes | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`gossip` are addresses of witnesses or mirrors; `now` gives Unix seconds."""
        self._anchor = anchor
        self._files = files
        self._openings = openings
        self._state = state
        self._replica = state.replica
        self._gossip = tuple(gossip)
        self._tls = tls
        self._alias_key = alias_key
        self._now = now
        self._maps: MapFollower | None = None

    def look(self) -> Look:
        """Looks at the log once, and at what others show of it.

        Raises:
            LogUnavailableError, AccessDeniedError: the log does not answer, or not to this reader.
        """
        look = Look(size=self._replica.size)
        try:
            self._look_at_log(look)
        except ReplicaStoppedError as stopped:
            self._found(look, stopped.reason, **stopped.values)
        except CellcustodyError as failure:
            if not isinstance(failure, VerificationError):
                raise
            self._found(look, failure.reason, message=failure.message, **failure.values)
        self._look_at_others(look)
        look.size = self._replica.size
        look.root = self._replica.tree.root(look.size)
        return look

    # The log itself. -----------------------------------------------------------------------------------------------

    def _look_at_log(self, look: Look) -> None:
        raw = self._files.checkpoint()
        shown = self._verified(raw)
        believed = self._state.believed
        if believed is not None and not self._continues(look, believed, raw, shown):
            return
        if shown.size > self._replica.size:
            with tempfile.TemporaryFile(dir=self._state.folder) as spool:
                entries = _Spool(spool, self._replica.size)
                if not self._read_entries(look, raw, shown, entries):
                    return
                self._replay(look, shown, entries)
        registry = self._replica.registry
        verified = verify_log_checkpoint(raw, registry, self._anchor)
        self._state.believe(raw)
        self._check_witnesses(look, raw, verified)

    def _verified(self, raw: bytes) -> VerifiedCheckpoint:
        """Returns a checkpoint that a key of the log signed, as far as its keys are known up to here.

        Where keys were rotated since, nothing known has signed: what the checkpoint claims is then followed, and its
        keys looked up in what is found, before it is believed.
        """
        eras = [keys for _, keys in self._replica.registry.log_keys.changes(1 << 63)]
        known = tuple(dict.fromkeys([*self._anchor.log_keys, *(key for era in eras for key in era.keys)]))
        try:
            return verify_checkpoint(raw, self._anchor.log_origin, known)
        except VerificationError:
            claimed = parse_checkpoint(raw)
            if claimed.origin != self._anchor.log_origin or claimed.size <= self._replica.size:
                raise
            return VerifiedCheckpoint(claimed.origin, claimed.size, claimed.root, (), False, (), ())

    def _continues(self, look: Look, believed: bytes, raw: bytes, shown: VerifiedCheckpoint) -> bool:
        """Tells whether what is shown can be true beside what was believed; a fork is proven where it is one."""
        if shown.size > self._replica.size:
            return True  # The entries decide.
        if self._replica.tree.root(shown.size) == shown.root:
            return (
                shown.size == self._replica.size
            )  # An older one that is right, from a cache, is looked at no further.
        self._fork(look, raw, shown, believed)
        return False

    def _read_entries(self, look: Look, raw: bytes, shown: VerifiedCheckpoint, entries: _Spool) -> bool:
        """Reads what is new, and tells whether it makes the root that is shown."""
        edge = self._replica.growing()
        at = self._replica.size
        while at < shown.size:
            index, skipped = divmod(at, TILE_WIDTH)
            width = min(TILE_WIDTH, shown.size - index * TILE_WIDTH)
            bundle = self._files.bundle(index, width)[skipped:]
            edge.extend([leaf_hash(entry) for entry in bundle])
            for entry in bundle:
                entries.add(entry)
            at += len(bundle)
        if edge.root() == shown.root:
            return True
        self._prove_rewritten(look, raw, shown, edge.root())
        return False

    def _prove_rewritten(self, look: Look, raw: bytes, shown: VerifiedCheckpoint, computed: bytes) -> None:
        """Finds out whether the log signed another history, or shows other entries than it signed."""
        remote = TileTree(self._files)
        believed = self._state.believed
        size = self._replica.size
        try:
            is_signed = remote.root(shown.size) == shown.root
            prefix = remote.root(size) if is_signed and size else b""
        except CellcustodyError:
            is_signed, prefix = False, b""
        if is_signed and believed is not None and prefix != self._replica.tree.root(size):
            proof = build_fork_proof(
                believed, raw, prefix_root=prefix, proof=remote.consistency_proof(size, shown.size)
            )
            self._found_fork(look, proof, size, shown.size)
            return
        self._found(
            look, "ENTRIES_NOT_SIGNED", size=shown.size, signed_root=shown.root.hex(), computed_root=computed.hex()
        )

    def _replay(self, look: Look, shown: VerifiedCheckpoint, entries: _Spool) -> None:
        def entry_at(leaf_index: int) -> GivenEntry | None:
            raw = entries.at(leaf_index)
            if raw is None:
                return None
            told = self._openings.of(leaf_index)
            if told.entry is not None and told.entry != raw:
                self._found(look, "ENTRY_SHOWN_TWICE", leaf_index=leaf_index)
            return GivenEntry(leaf_index, raw, told.records)

        def found(one: ReplayFinding) -> None:
            stream = one.stream.hex()
            self._found(look, one.code, leaf_index=one.leaf_index, stream=stream, said=one.said, expected=one.expected)

        before = self._replica.size
        try:
            replayed = self._replica.advance(shown.size, entry_at, told=self._follower(look), found=found)
        finally:
            look.entries = self._replica.size - before
        look.judged, look.unverified = replayed.judged, replayed.unverified
        look.comparisons = replayed.comparisons
        for reason, count in replayed.reasons.items():
            look.reasons[reason] = look.reasons.get(reason, 0) + count

    def _check_witnesses(self, look: Look, raw: bytes, shown: VerifiedCheckpoint) -> None:
        try:
            look.witnesses = verify_anchored_witnesses(raw, self._anchor, signing_vkeys(shown))
        except VerificationError as unmet:
            self._found(look, unmet.reason, message=unmet.message, **unmet.values)

    # Maps of heads and aliases. ------------------------------------------------------------------------------------

    def _follower(self, look: Look) -> Callable[[GivenEntry, Sequence[Opening]], None]:
        def follow(given: GivenEntry, openings: Sequence[Opening]) -> None:
            maps = self._maps
            if maps is None:
                maps = self._maps = self._maps_so_far(given.leaf_index)
            if maps is None:
                return
            try:
                checked = maps.take(given.leaf_index, given.entry, openings)
            except HeadMapFalseError as false:
                self._found(look, false.reason, **{"leaf_index": given.leaf_index, **false.values})
                return
            if checked is None:
                return
            if MapVerdict.UNVERIFIED in (checked.heads, checked.aliases):
                look.maps_unverified += 1
                look.reasons[f"map: {checked.note}"] = look.reasons.get(f"map: {checked.note}", 0) + 1
            else:
                look.maps_matching += 1

        return follow

    def _maps_so_far(self, size: int) -> MapFollower | None:
        """Returns a follower that has taken what is in the copy below `size`; what it found then was told then."""
        ledger_id = self._replica.registry.latest.ledger_id
        if not ledger_id:
            return None  # The founding is being taken; the follower begins with the first entry after it.
        maps = MapFollower(ledger_id, self._alias_key)
        store, vault = self._replica.store, self._replica.vault
        at = 0
        while at < size:
            for raw in store.entries(at, min(_ENTRIES_READ, size - at)):
                statement = parse_recorded_statement(entry_pb2.Entry.FromString(raw).envelope)
                with suppress(HeadMapFalseError):  # Found and kept when it was taken.
                    maps.take(at, raw, openings_of(store, vault, statement.digest, _ALL_CLASSES))
                at += 1
        return maps

    # What others were shown. ---------------------------------------------------------------------------------------

    def _look_at_others(self, look: Look) -> None:
        for url in self._gossip:
            try:
                raw = self._shown_at(url)
                self._verified_by_log(raw)
            except (LogUnavailableError, NotFoundError):
                look.gossip_silent.append(url)
                continue
            except CellcustodyError:
                look.gossip_silent.append(url)  # What the log did not sign is not its word.
                continue
            self._state.keep_gossip(raw, at=self._now())
        for path, raw, since in self._state.gossip():
            try:
                shown = self._verified_by_log(raw)
            except CellcustodyError:
                path.unlink()
                continue
            if shown.size <= self._replica.size:
                if self._replica.tree.root(shown.size) == shown.root:
                    look.gossip_agreeing += 1
                elif (believed := self._state.believed) is not None:
                    self._fork(look, raw, shown, believed)
                path.unlink()
                continue
            look.gossip_pending += 1
            if self._now() - since > WITHHELD_SECONDS:
                self._found(look, "WITHHELD", size=shown.size, shown_size=self._replica.size, root=shown.root.hex())

    def _shown_at(self, url: str) -> bytes:
        try:
            return fetch(url, f"{origin_hash(self._anchor.log_origin)}/checkpoint", self._tls)
        except NotFoundError:
            return fetch(url, "checkpoint", self._tls)

    def _verified_by_log(self, raw: bytes) -> VerifiedCheckpoint:
        eras = [keys for _, keys in self._replica.registry.log_keys.changes(1 << 63)]
        known = tuple(dict.fromkeys([*self._anchor.log_keys, *(key for era in eras for key in era.keys)]))
        return verify_checkpoint(raw, self._anchor.log_origin, known)

    # Findings. -----------------------------------------------------------------------------------------------------

    def _fork(self, look: Look, raw: bytes, shown: VerifiedCheckpoint, believed: bytes) -> None:
        """Proves that a checkpoint contradicts the one believed, of whose tree the copy is."""
        size = parse_checkpoint(believed).size
        if shown.size == size:
            self._found_fork(look, build_fork_proof(raw, believed), shown.size, size)
        elif 0 < shown.size < size:
            tree = self._replica.tree
            proof = build_fork_proof(
                raw, believed, prefix_root=tree.root(shown.size), proof=tree.consistency_proof(shown.size, size)
            )
            self._found_fork(look, proof, shown.size, size)
        else:
            self._found(look, "FORK_UNPROVEN", first=size, second=shown.size)

    def _found_fork(self, look: Look, proof: bytes, first: int, second: int) -> None:
        path = self._state.keep_fork(proof)
        self._found(look, "FORK", first=first, second=second, proof=str(path))

    def _found(self, look: Look, code: str, **values: object) -> None:
        finding: dict[str, object] = {"code": code, **values}
        look.findings.append(finding)
        self._state.keep_finding({**finding, "found_at": int(self._now())})


class _Spool:
    """New entries on the disk while they are hashed and then judged: a whole log may not fit in memory."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start
        self._places: list[int] = []
        self._end = 0

    def add(self, entry: bytes) -> None:
        """Adds the next entry."""
        self._places.append(self._end)
        self._file.write(_LENGTH.pack(len(entry)) + entry)
        self._end += _LENGTH.size + len(entry)

    def at(self, leaf_index: int) -> bytes | None:
        """Returns the entry of a leaf, None beyond the end."""
        number = leaf_index - self._start
        if not 0 <= number < len(self._places):
            return None
        self._file.seek(self._places[number])
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return self._file.read(length)
