"""Keep a ledger's maps up to its log, log them, and show what they say.

The rules:

* Maps follow the log by themselves, off the way of appends: entries are read up to the last signed checkpoint, a few at
  a time, and taken into the maps when a map is to be logged.
* Before a map is signed every head that changed is read back by its stream and held to what was read by leaf index.
* What is shown is shown as of the last logged map, for which the maps stand still until the next one.
* On opening, the maps are those of their logged entry, bit for bit, or on their way to the next one; else they are made
  again from the log. Made again, they are held to the last logged map: where they differ from it nothing is signed any
  more, and the reason is told.
* Opening costs the same at any length of the log; memory is bounded by what is read ahead.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cellcustody.ledger.completeness.errors import HeadMapDamagedError, HeadMapMismatchError
from cellcustody.ledger.completeness.kept_maps import KeptMaps, KeptState
from cellcustody.ledger.completeness.map_entries import ENROLMENT, MAP, LoggedMap, aliases_in, logged_map, place_of
from cellcustody.ledger.completeness.map_proofs import alias_proof, stream_proof
from cellcustody.ledger.completeness.values import AliasKey, alias_value, head_value, stream_key
from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.face import LedgerFace, TilesOfStore
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.statements import StreamKind, parse_recorded_statement, single_stream_id
from cellcustody.ledger.transparency import TileTree
from cellcustody.v1 import dossier_pb2, entry_pb2, heads_pb2

__all__ = ["HeadMaps", "HeldMaps"]

READ_AT_ONCE: Final = 256
AHEAD_STREAMS_MAX: Final = 20_000  # Some five megabytes read ahead; then the maps take them in.
RECORD_TIMEOUT_SECONDS: Final = 30.0
_LOG_STREAM: Final = single_stream_id(StreamKind.LOG)
_PUBLIC: Final = frozenset({int(DisclosureClass.PUBLIC)})
_CUSTODY: Final = frozenset({int(DisclosureClass.CUSTODY)})
_SEARCHED_AT_ONCE: Final = 200


@dataclass(slots=True)
class _Ahead:
    """What was read of the log and is not in the maps yet, up to `size`."""

    size: int
    heads: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    aliases: dict[bytes, set[bytes]] = field(default_factory=dict)
    enrolments: int = 0
    enrolments_erased: int = 0


class HeadMaps:
    """The maps of one ledger, for any number of threads."""

    def __init__(self, ledger: LedgerFace, path: Path | str) -> None:
        """Opens the file of the maps, or makes it.

        Raises:
            HeadMapDamagedError: it cannot be opened nor made.
        """
        self._ledger = ledger
        self._ledger_id = ledger.registry.latest.ledger_id
        self._lock = threading.RLock()
        self._tree = TileTree(TilesOfStore(ledger.store))
        self._alias_key: AliasKey | None = None
        self.failed: CellcustodyError | None = None
        self._maps = _open(path, self._ledger_id)
        if not self._may_go_on():
            self._maps.empty()
        # Made again, or on their way when the process ended, they are held to what was logged once they reach it.
        self._expected = None if self._maps.state.map_leaf is not None else self._logged_beyond()
        self._ahead = _Ahead(self._maps.state.covered_size)

    def close(self) -> None:
        """Closes the file; what was read ahead is read again next time."""
        with self._lock:
            self._maps.close()

    def alias_key(self) -> AliasKey:
        """Returns the key of aliases, which is not in the log; for auditors and regulators."""
        if self._alias_key is None:
            self._alias_key = AliasKey(self._ledger_id, self._ledger.vault.alias_key(_LOG_STREAM, self._ledger_id))
        return self._alias_key

    @property
    def state(self) -> KeptState:
        """What the maps cover."""
        return self._maps.state

    def unmapped(self) -> int:
        """Returns how many entries no map covers, those that are maps themselves left out where they stand alone."""
        with self._lock:
            size, state = self._ledger.checkpoint_size(), self._maps.state
            leaf = state.map_leaf
            covered = leaf + 1 if leaf is not None and leaf == state.covered_size else state.covered_size
            return max(0, size - covered)

    # Making. -------------------------------------------------------------------------------------------------------

    def read_on(self, *, entries_max: int = READ_AT_ONCE) -> int:
        """Reads a few entries ahead and returns how many are still to be read; the maps stay as they are.

        Raises:
            StoreError: the ledger's store did not answer.
        """
        with self._lock:
            size = self._ledger.checkpoint_size()
            wanted = min(entries_max, size - self._ahead.size)
            if wanted > 0:
                self._read(self._ahead.size + wanted)
            if len(self._ahead.heads) > AHEAD_STREAMS_MAX:
                self._take_in()
            return max(0, size - self._ahead.size)

    @contextmanager
    def held(self) -> Iterator[HeldMaps]:
        """Yields the maps, which nobody else moves meanwhile."""
        with self._lock:
            yield HeldMaps(self)

    def log_map(self) -> KeptState:
        """Logs a map of everything under the last checkpoint and returns what it covers.

        Raises:
            HeadMapMismatchError: the maps are not those of the entries, or of the last logged map; nothing was signed.
            CellcustodyError: the ledger did not record it.
        """
        with self._lock:
            if self.failed is not None:
                raise self.failed
            while self.read_on(entries_max=READ_AT_ONCE):
                pass
            try:
                self._take_in()
            except HeadMapDamagedError:
                # What is kept contradicts itself: it is dropped, and made again from the log.
                self._make_again()
                while self.read_on(entries_max=READ_AT_ONCE):
                    pass
                self._take_in()
            state = self._maps.state
            body = heads_pb2.HeadsMapped(
                covered_size=state.covered_size,
                streams=state.streams,
                heads_root=self._maps.heads.root,
                aliases=state.aliases,
                aliases_root=self._maps.aliases.root,
                alias_key_commitment=self.alias_key().commitment,
                enrolments=state.enrolments,
                enrolments_erased=state.enrolments_erased,
            )
            recorded = self._ledger.record_own(body, timeout_seconds=RECORD_TIMEOUT_SECONDS)
            with self._maps.changing() as keep:
                keep(replace(state, map_leaf=recorded.position - 1))
            return self._maps.state

    def _read(self, size: int) -> None:
        """Reads entries up to `size` into what is ahead."""
        ahead = self._ahead
        expected = self._expected
        while ahead.size < size:
            stop = size if expected is None else min(size, expected[1].covered_size)
            entries = self._ledger.store.entries(ahead.size, min(READ_AT_ONCE, stop - ahead.size))
            for entry in entries:
                place = place_of(entry)
                ahead.heads[place.stream] = (place.sequence, place.leaf_hash)
                if place.body_type == ENROLMENT:
                    self._read_enrolment(place.stream, place.envelope)
                ahead.size += 1
            if not entries:
                raise HeadMapMismatchError("entries under the checkpoint are not in the store", start=ahead.size)
            if expected is not None and ahead.size == expected[1].covered_size:
                self._take_in()
                ahead, expected = self._ahead, None

    def _read_enrolment(self, stream: bytes, envelope: bytes) -> None:
        ahead = self._ahead
        ahead.enrolments += 1
        keys = self._aliases_of(envelope)
        if keys is None:
            ahead.enrolments_erased += 1
            return
        for key in keys:
            ahead.aliases.setdefault(key, set()).add(stream)

    def _aliases_of(self, envelope: bytes) -> frozenset[bytes] | None:
        statement = parse_recorded_statement(envelope)
        openings = openings_of(self._ledger.store, self._ledger.vault, statement.digest, _CUSTODY)
        return aliases_in(openings, statement.commitment.field_numbers, self.alias_key().key)

    def _take_in(self) -> None:
        """Takes what was read ahead into the maps, after it was read back by stream."""
        ahead, state = self._ahead, self._maps.state
        if ahead.size == state.covered_size:
            return
        for stream, (sequence, leaf_hash) in ahead.heads.items():
            self._check_head(stream, sequence, leaf_hash, ahead.size)
        heads = {stream_key(stream): head_value(stream, *head) for stream, head in ahead.heads.items()}
        with self._maps.changing() as keep:
            streams = self._maps.heads.update(heads)
            aliases = self._maps.aliases.update(
                {
                    key: alias_value([*_therapies(self._maps.aliases.value(key)), *therapies])
                    for key, therapies in ahead.aliases.items()
                }
            )
            keep(
                KeptState(
                    ahead.size,
                    state.streams + streams,
                    state.aliases + aliases,
                    state.enrolments + ahead.enrolments,
                    state.enrolments_erased + ahead.enrolments_erased,
                )
            )
        self._ahead = _Ahead(ahead.size)
        self._check_expected()

    def _check_head(self, stream: bytes, sequence: int, leaf_hash: bytes, size: int) -> None:
        """Returns if the store has this as the stream's last entry below `size`."""
        found = self._ledger.store.stream_entries(stream, sequence - 1, 2)
        is_last = len(found) == 1 or (len(found) == 2 and found[1].leaf_index >= size)
        if not is_last or leaf_hash_of(found[0].entry) != leaf_hash or found[0].leaf_index >= size:
            self._fail(
                HeadMapMismatchError(
                    "a stream's last entry, read by stream, is another than by leaf index",
                    stream=stream,
                    sequence=sequence,
                    leaf_hash=leaf_hash,
                    covered_size=size,
                )
            )

    # Opening. ------------------------------------------------------------------------------------------------------

    def _may_go_on(self) -> bool:
        """Tells whether the maps opened are of this log, and those that their entry in it states."""
        state = self._maps.state
        if state.covered_size > self._ledger.store.head().size:
            return False  # The ledger was restored from a backup that is older.
        if state.map_leaf is None:
            return True
        try:
            logged = self._logged_at(state.map_leaf)
        except CellcustodyError:
            return False
        return logged is not None and _says(logged) == self._made(state)

    def _logged_beyond(self) -> tuple[int, LoggedMap] | None:
        """Returns the last map in the log, by its leaf index, if it covers more than the maps do by now."""
        last = self._last_logged()
        return None if last is None or last[1].covered_size <= self._maps.state.covered_size else last

    def _make_again(self) -> None:
        """Makes the maps again from the log's first entry, as far as the last logged map goes."""
        self._maps.empty()
        self._expected = self._logged_beyond()
        self._ahead = _Ahead(0)
        if self._expected is not None:
            self._read(self._expected[1].covered_size)

    def _last_logged(self) -> tuple[int, LoggedMap] | None:
        """Returns the last map in the log, by its leaf index; its stream is searched from the end."""
        head = self._ledger.store.stream_head(_LOG_STREAM)
        end = 0 if head is None else head.sequence
        while end > 0:
            start = max(0, end - _SEARCHED_AT_ONCE)
            for row in reversed(self._ledger.store.stream_entries(_LOG_STREAM, start, end - start)):
                if place_of(row.entry).body_type == MAP:
                    logged = self._logged_at(row.leaf_index)
                    if logged is not None:
                        return row.leaf_index, logged
            end = start
        return None

    def _logged_at(self, leaf_index: int) -> LoggedMap | None:
        place = place_of(self._ledger.store.entry(leaf_index))
        if place.body_type != MAP:
            return None
        digest = parse_recorded_statement(place.envelope).digest
        openings = openings_of(self._ledger.store, self._ledger.vault, digest, _PUBLIC)
        return logged_map(openings, leaf_index=leaf_index)

    def _check_expected(self) -> None:
        expected = self._expected
        if expected is None or self._maps.state.covered_size < expected[1].covered_size:
            return
        self._expected = None
        leaf_index, logged = expected
        found, stated = self._made(self._maps.state), _says(logged)
        # Where the key store was lost, and with it the key, the next map states the new one for everyone to see.
        is_same_key = self.alias_key().commitment == logged.alias_key_commitment
        are_aliases_told = is_same_key and not self._maps.state.enrolments_erased
        if found[:3] != stated[:3] or (are_aliases_told and found != stated):
            self._fail(
                HeadMapMismatchError(
                    "the maps made again from the log are not those that were logged",
                    covered_size=logged.covered_size,
                    heads_root=self._maps.heads.root,
                    heads_root_logged=logged.heads_root,
                    aliases_root=self._maps.aliases.root,
                    aliases_root_logged=logged.aliases_root,
                )
            )
        if found == stated and is_same_key:
            with self._maps.changing() as keep:
                keep(replace(self._maps.state, map_leaf=leaf_index))

    def _made(self, state: KeptState) -> tuple[int, int, bytes, int, bytes]:
        return (state.covered_size, state.streams, self._maps.heads.root, state.aliases, self._maps.aliases.root)

    def _fail(self, why: HeadMapMismatchError) -> None:
        self.failed = why
        raise why

    # Showing. ------------------------------------------------------------------------------------------------------

    def show(self, streams: Collection[bytes], alias_keys: Collection[bytes]) -> dossier_pb2.DossierHeads:
        """Returns what the logged map says of streams and blinded aliases; `included` adds where its entry stands."""
        with self._lock:
            try:
                return self._shown(streams, alias_keys)
            except HeadMapDamagedError:
                self._make_again()
                return self._shown(streams, alias_keys)

    def _shown(self, streams: Collection[bytes], alias_keys: Collection[bytes]) -> dossier_pb2.DossierHeads:
        leaf = self._maps.state.map_leaf
        if leaf is None:
            raise HeadMapMismatchError("no map is logged of what the maps hold now")
        entry = self._ledger.store.entry(leaf)
        digest = parse_recorded_statement(read_entry(entry).envelope).digest
        openings = openings_of(self._ledger.store, self._ledger.vault, digest, _PUBLIC)
        return dossier_pb2.DossierHeads(
            leaf_index=leaf,
            entry=entry,
            openings=[entry_pb2.Opening(index=one.index, salt=one.salt, record=one.record) for one in openings],
            streams=[
                stream_proof(stream, self._maps.heads.prove(stream_key(stream))) for stream in sorted(set(streams))
            ],
            aliases=[alias_proof(key, self._maps.aliases.prove(key)) for key in sorted(set(alias_keys))],
        )

    def included(self, heads: dossier_pb2.DossierHeads, size: int) -> dossier_pb2.DossierHeads:
        """Returns what a map says, with its entry's proof of inclusion under a checkpoint of this size, beyond it."""
        found = dossier_pb2.DossierHeads()
        found.CopyFrom(heads)
        found.inclusion[:] = self._tree.inclusion_proof(heads.leaf_index, size)
        return found

    def alias_keys_of(self, therapy: bytes) -> list[bytes]:
        """Returns the blinded aliases that a therapy's enrolments claim in the maps."""
        store, keys, after = self._ledger.store, set[bytes](), 0
        while rows := store.stream_entries(therapy, after, READ_AT_ONCE):
            for row in rows:
                after = row.sequence
                place = place_of(row.entry)
                if place.body_type == ENROLMENT and row.leaf_index < self._maps.state.covered_size:
                    keys |= self._aliases_of(place.envelope) or frozenset()
        return sorted(keys)


class HeldMaps:
    """The maps while nobody else moves them."""

    def __init__(self, maps: HeadMaps) -> None:
        self._maps = maps

    def covering(self, position: int) -> KeptState:
        """Returns what a logged map covers that reaches `position`; one is logged if none does."""
        state = self._maps.state
        if state.map_leaf is None or state.covered_size < position:
            state = self._maps.log_map()
        return state

    def show(self, streams: Collection[bytes], alias_keys: Collection[bytes]) -> dossier_pb2.DossierHeads:
        """Returns what the logged map says; `HeadMaps.included` adds where its entry stands.

        Raises:
            HeadMapMismatchError: no map is logged of what the maps hold.
        """
        return self._maps.show(streams, alias_keys)

    def alias_keys_of(self, therapy: bytes) -> list[bytes]:
        """Returns the blinded aliases that a therapy's enrolments claim in the maps."""
        return self._maps.alias_keys_of(therapy)


def _open(path: Path | str, ledger_id: bytes) -> KeptMaps:
    try:
        return KeptMaps(path, ledger_id)
    except HeadMapDamagedError:
        for name in (str(path), f"{path}-wal", f"{path}-shm"):
            Path(name).unlink(missing_ok=True)
        return KeptMaps(path, ledger_id)


def _says(logged: LoggedMap) -> tuple[int, int, bytes, int, bytes]:
    return (logged.covered_size, logged.streams, logged.heads_root, logged.aliases, logged.aliases_root)


def _therapies(value: bytes | None) -> Sequence[bytes]:
    joined = value or b""
    return [joined[at : at + 17] for at in range(0, len(joined), 17)]
