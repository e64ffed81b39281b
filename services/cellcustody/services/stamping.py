"""Stamp the log's checkpoints with time authorities, record it in the log, and renew before algorithms age.

The rules (docs/formats/timestamps.md):

* A checkpoint is stamped at an interval, if anything but the ledger's own words was recorded since the last, and when a
  dossier is made. Appends never wait here; a dossier waits for as long as the configuration says, and no longer.
* If one authority answers, there is an item; the others are asked again with the next. If none does, there is none.
* An item is on the disk first, then recorded in the log, so that what follows is known to be later. One that was not
  recorded when the server stopped is recorded when it starts.
* A renewal is made some time before the first certificate of what is not renewed expires, over every entry and every
  item, under the newer hash that the configuration names.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cellcustody.ledger.dossier.timestamps import RenewedTrees, build_timestamps
from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.statements import Opening, StreamKind, single_stream_id
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.timestamps import (
    HASHES_BY_NAME,
    STAMP_HASH,
    EvidenceItem,
    HashTree,
    ReceivedToken,
    Renewal,
    Stamp,
    encode_item,
    format_record,
    note_digest,
    verify_token,
)
from cellcustody.ledger.transparency import TileTree, parse_checkpoint
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_client import AskedAuthority, ask_authorities
from cellcustody.services.timestamp_settings import TimestampSettings
from cellcustody.v1 import timestamps_pb2

__all__ = ["TimeStamper"]

POLL_SECONDS: Final = 1.0
RECORD_TIMEOUT_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 60.0
_PUBLIC: Final = frozenset({1})


class TimeStamper:
    """Stamps one ledger's checkpoints. Threads may ask for a stamp at once; one is made at a time."""

    def __init__(
        self,
        ledger: LedgerFace,
        evidence: TimeEvidenceFile,
        settings: TimestampSettings,
        log: StructuredLog,
        *,
        origin: str,
        now: Callable[[], int],
    ) -> None:
        """`now` is in microseconds since 1970-01-01T00:00:00Z.

        Raises:
            ConfigurationError: an authority's certificate cannot be read.
        """
        self._ledger = ledger
        self.evidence = evidence
        self._settings = settings
        self._authorities = tuple(AskedAuthority(one.load(), one.url) for one in settings.authorities)
        self._log = log
        self._origin = origin
        self._now = now
        self._trees = RenewedTrees(evidence, ledger.store)
        self._making = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cellcustody-stamping", daemon=True)

    def start(self) -> None:
        """Stamps at the interval from now on, in a thread of its own."""
        if self._authorities:
            self._thread.start()

    def close(self) -> None:
        """Ends the thread after what it is at."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(self._settings.timeout_seconds + RECORD_TIMEOUT_SECONDS)

    def at_export(self, note: bytes) -> None:
        """Stamps the checkpoint of a dossier where the configuration asks for it; what fails is told and no more."""
        if self._settings.at_export:
            try:
                self.stamp(note)
            except CellcustodyError as failure:
                self._log.write("stamping_failed", reason=failure.reason)

    def stamp(self, note: bytes) -> EvidenceItem | None:
        """Returns the item that stamps this checkpoint, or None where no authority answered or none is asked."""
        if not self._authorities:
            return None
        with self._making:
            checkpoint = parse_checkpoint(note)
            digest = note_digest(note, self._origin)
            if self.evidence.count:
                last = self.evidence.item(self.evidence.count - 1)
                if checkpoint.size < last.record.size:
                    return None
                if isinstance(last.record, Stamp) and last.record.note_sha512 == digest:
                    return last
            record = Stamp(self._origin, checkpoint.size, checkpoint.root, digest)
            return self._make(record)

    def renew(self, hash_name: str | None = None) -> EvidenceItem | None:
        """Returns the renewal of every entry and every item there is, or None where no authority answered.

        Raises:
            ConfigurationError: there is no such hash for renewals.
        """
        algorithm = HASHES_BY_NAME.get(hash_name or self._settings.renewal_hash)
        if algorithm is None or algorithm.name not in ("sha512", "sha3-512"):
            raise ConfigurationError("a renewal is with sha512 or sha3-512", value=hash_name)
        with self._making:
            checkpoint = parse_checkpoint(self._ledger.checkpoint())
            # The same entries are hashed with both: what the renewal says of them is what they are.
            tree = HashTree(algorithm, checkpoint.size, self._ledger.store.entries)
            if self._ledger.root(checkpoint.size) != checkpoint.root:
                raise ConfigurationError("the stored entries do not make the checkpoint's root")
            count = self.evidence.count
            items = HashTree(algorithm, count, self.evidence.raw_items)
            self.evidence.keep_hashes(count, tree.chunk_hashes)
            record = Renewal(self._origin, checkpoint.size, checkpoint.root, algorithm, tree.root, count, items.root)
            return self._make(record)

    def timestamps_for(self, leaves: Sequence[int], size: int) -> bytes:
        """Returns a dossier's file of time evidence for these leaf indexes under a checkpoint of this size."""
        tree = TileTree(TilesOfStore(self._ledger.store))
        with self._making:  # What is being added is not half there.
            return build_timestamps(self.evidence, self._trees, self._ledger.store, tree, self._openings, leaves, size)

    def _openings(self, statement_digest: bytes) -> list[Opening]:
        return list(openings_of(self._ledger.store, self._ledger.vault, statement_digest, _PUBLIC))

    def _make(self, record: Stamp | Renewal) -> EvidenceItem | None:
        algorithm = record.hash if isinstance(record, Renewal) else STAMP_HASH
        received = ask_authorities(
            self._authorities,
            format_record(record),
            algorithm,
            pool=self.evidence.certificates,
            timeout_seconds=self._settings.timeout_seconds,
            now=self._time,
            log=self._log,
        )
        if not received:
            self._log.write("not_stamped", size=record.size)
            return None
        self.evidence.add_certificates([der for one in received for der in one.verified.path])
        raw = encode_item(self.evidence.count, record, tuple(one.token for one in received))
        item = self.evidence.append(raw)
        self._log.write("stamped", size=record.size, number=item.number, authorities=len(received))
        self._tell_disagreement(received)
        self._record(item)
        return item

    def _record(self, item: EvidenceItem) -> None:
        """Records an item in the log; if that fails it is done later, and nothing is lost but a bound."""
        body = timestamps_pb2.TimeEvidenceRecorded(
            ordinal=item.number + 1, sha512=hashlib.sha512(item.raw).digest(), size=item.record.size
        )
        try:
            recorded = self._ledger.record_own(body, timeout_seconds=RECORD_TIMEOUT_SECONDS)
        except CellcustodyError as failure:
            self._log.write("time_evidence_not_recorded", number=item.number, reason=failure.reason)
            return
        self.evidence.note_recorded(item.number, recorded.position - 1)

    def _tell_disagreement(self, received: list[ReceivedToken]) -> None:
        times = [one.verified.gen_time for one in received]
        apart = max(times) - min(times)
        if apart > timedelta(seconds=1):
            self._log.write("time_authorities_disagree", seconds=round(apart.total_seconds(), 3))

    def _time(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._now())

    # At the interval. ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        waited = self._settings.interval_seconds
        renewal_waited = 0.0
        stamped_others = -1
        while not self._closing.wait(POLL_SECONDS):
            waited += POLL_SECONDS
            renewal_waited -= POLL_SECONDS
            if waited < self._settings.interval_seconds or self._ledger.stopped is not None:
                continue
            try:
                self._record_left_over()
                others = self._others()
                if others != stamped_others:
                    done = self.stamp(self._ledger.checkpoint())
                    waited = 0.0 if done else max(0.0, self._settings.interval_seconds - RETRY_SECONDS)
                    stamped_others = others if done else stamped_others
                if renewal_waited <= 0 and self._is_renewal_due():
                    self.renew()
                    renewal_waited = self._settings.interval_seconds
            except CellcustodyError as failure:
                self._log.write("stamping_failed", reason=failure.reason)
                waited = max(0.0, self._settings.interval_seconds - RETRY_SECONDS)

    def _others(self) -> int:
        """Returns how many entries are not the ledger's own words, which would call for one another."""
        own = self._ledger.store.stream_head(single_stream_id(StreamKind.LOG))
        return self._ledger.store.head().size - (0 if own is None else own.sequence)

    def _record_left_over(self) -> None:
        for number in range(max(0, self.evidence.count - 2), self.evidence.count):
            if self.evidence.recorded_at(number) is None:
                self._record(self.evidence.item(number))

    def _is_renewal_due(self) -> bool:
        """Tells whether a certificate of the first item that no renewal covers is about to expire."""
        renewals = [number for number, kept in enumerate(self.evidence.kept) if kept.is_renewal]
        first = renewals[-1] if renewals else 0
        if first >= self.evidence.count:
            return False
        item = self.evidence.item(first)
        until = [self._time() + timedelta(days=self._settings.renew_days)]
        for token in item.tokens:
            for one in self._authorities:
                try:
                    verified = verify_token(token, item.record_bytes, (one.authority,), self.evidence.certificates)
                except CellcustodyError:
                    continue  # By another authority.
                if verified.valid_until < until[0]:
                    return True
        return False
