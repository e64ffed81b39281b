"""Bound when entries were in the log, by time authorities and witnesses that the anchor believes.

The rules (docs/formats/timestamps.md):

* An entry was there before the time of every stamped tree that holds it, and before a quorum of witnesses cosigned one.
* An entry came after every item of evidence that an earlier entry names. That a smaller tree was stamped bounds nothing
  from below: it may have been stamped long afterwards.
* Whatever is given must be in its form and tied to this log, whoever is believed. A token by nobody in the anchor is
  counted and no more; one by somebody in it that fails is a broken link.
* Claims outside the bounds make the statement's time SUSPECT. Nothing is rewritten, and no link is broken by it.

No clock: the time of verification is in the standpoint.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import Opening, PayloadType, parse_wire_form
from cellcustody.ledger.timestamps import (
    AuthorityUnknownError,
    EvidenceItem,
    HeldItem,
    Renewal,
    VerifiedToken,
    held_items,
    imprint_hashes,
    load_certificate,
    parse_item,
    parse_token,
    verify_shared_hash_proof,
    verify_token,
)
from cellcustody.ledger.transparency import (
    VerifiedCheckpoint,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from cellcustody.ledger.verification.container import EntryToVerify
from cellcustody.ledger.verification.errors import TimeInvalidError
from cellcustody.ledger.verification.report import TimeFinding
from cellcustody.ledger.verification.standpoint import NOWHERE, Standpoint
from cellcustody.ledger.verification.statements import StatementVerifier
from cellcustody.v1 import timestamps_pb2

__all__ = ["TIME_TOLERANCE", "TimeBounds", "VerifiedTimes", "time_of", "verify_times"]

TIME_TOLERANCE: Final = timedelta(minutes=5)  # The five minutes that a clock may be ahead of the ledger's.
EVIDENCE_MAX: Final = 64
CERTIFICATES_MAX: Final = 64
_RECORDED: Final = timestamps_pb2.TimeEvidenceRecorded.DESCRIPTOR.full_name
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeBounds(NamedTuple):
    """Not before, and not after (aware, UTC; None: unbounded), with what contradicts them in words."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    finding: TimeFinding = TimeFinding.UNVERIFIED
    contradictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedTimes:
    """Time evidence that was verified; `bounds` gives what it shows of an entry."""

    held: Mapping[int, HeldItem]
    renewals: tuple[HeldItem, ...]
    unknown_tokens: int
    disagreeing: tuple[int, ...]
    has_authorities: bool
    size: int
    witnessed_at: datetime | None
    _sizes: list[int] = field(default_factory=list)
    _after: list[datetime] = field(default_factory=list)
    _leaves: list[int] = field(default_factory=list)
    _before: list[datetime] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        held: Mapping[int, HeldItem],
        recorded: Mapping[int, int],
        *,
        unknown_tokens: int,
        disagreeing: tuple[int, ...],
        has_authorities: bool,
        size: int,
        witnessed_at: datetime | None,
    ) -> VerifiedTimes:
        """Returns the evidence with its bounds in order; `recorded` gives items' leaf indexes by number."""
        by_size = sorted((one.item.record.size, one.latest) for one in held.values())
        after = [latest for _, latest in by_size]
        for at in range(len(after) - 2, -1, -1):
            after[at] = min(after[at], after[at + 1])
        by_leaf = sorted((recorded[number], one.earliest) for number, one in held.items() if number in recorded)
        before = [earliest for _, earliest in by_leaf]
        for at in range(1, len(before)):
            before[at] = max(before[at - 1], before[at])
        renewals = tuple(one for _, one in sorted(held.items()) if isinstance(one.item.record, Renewal))
        return cls(
            held,
            renewals,
            unknown_tokens,
            disagreeing,
            has_authorities,
            size,
            witnessed_at,
            [size_of for size_of, _ in by_size],
            after,
            [leaf for leaf, _ in by_leaf],
            before,
        )

    def not_after(self, leaf_index: int) -> datetime | None:
        """Returns the time after which this entry was in the log for certain, or None."""
        times = [self.witnessed_at] if self.witnessed_at is not None and leaf_index < self.size else []
        at = bisect_right(self._sizes, leaf_index)
        if at < len(self._after):
            times.append(self._after[at])
        return min(times, default=None)

    def not_before(self, leaf_index: int) -> datetime | None:
        """Returns the time before which this entry was not in the log for certain, or None."""
        at = bisect_left(self._leaves, leaf_index)
        return self._before[at - 1] if at else None

    def bounds(self, leaf_index: int, *, signed_at: int, recorded_at: int) -> TimeBounds:
        """Returns what is shown of a statement with these claims (microseconds since 1970-01-01T00:00:00Z)."""
        before, after = self.not_before(leaf_index), self.not_after(leaf_index)
        if before is None and after is None:
            return TimeBounds()
        contradictions: list[str] = []
        recorded, signed = time_of(recorded_at), time_of(signed_at)
        if before is not None and recorded < before - TIME_TOLERANCE:
            contradictions.append("recorded_at is before the entry can have been there")
        if after is not None and recorded > after + TIME_TOLERANCE:
            contradictions.append("recorded_at is after the entry was there")
        if after is not None and signed > after + TIME_TOLERANCE:
            contradictions.append("signed_at is after the entry was there")
        finding = TimeFinding.SUSPECT if contradictions else TimeFinding.BOUNDED
        return TimeBounds(before, after, finding, tuple(contradictions))


def time_of(micros: int) -> datetime:
    """Returns a time of microseconds since 1970-01-01T00:00:00Z, the farthest there is where it cannot be told."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if micros > 0 else datetime.min.replace(tzinfo=UTC)


def verify_times(
    raw: bytes,
    *,
    checkpoint: VerifiedCheckpoint,
    entries: Sequence[EntryToVerify],
    verifier: StatementVerifier,
    anchor: Anchor | None,
    standpoint: Standpoint = NOWHERE,
    witnessed_at: datetime | None = None,
) -> VerifiedTimes:
    """Returns the time evidence of a dossier (its file of that name) after all of it was verified.

    Raises:
        TimeInvalidError: the first thing in it that is wrong.
    """
    try:
        return _verify(raw, checkpoint, entries, verifier, anchor, standpoint, witnessed_at)
    except TimeInvalidError:
        raise
    except CellcustodyError as defect:
        raise TimeInvalidError("the time evidence does not hold", defect=str(defect)) from defect


def _verify(
    raw: bytes,
    checkpoint: VerifiedCheckpoint,
    entries: Sequence[EntryToVerify],
    verifier: StatementVerifier,
    anchor: Anchor | None,
    standpoint: Standpoint,
    witnessed_at: datetime | None,
) -> VerifiedTimes:
    # (1): The form, and the limits.
    message = parse_wire_form(timestamps_pb2.DossierTimestamps, raw)
    items = [parse_item(one.item) for one in message.evidence]
    pool = tuple(message.certificates)
    _check_form(raw, message, items, pool)

    # (2): Of this log, and of the tree that the checkpoint names.
    recorded: dict[int, int] = {}
    for given, item in zip(message.evidence, items, strict=True):
        record = item.record
        if record.origin != checkpoint.origin or record.size > checkpoint.size:
            raise TimeInvalidError("an item is of another log, or of a later tree", number=item.number)
        verify_consistency(record.size, checkpoint.size, record.root, checkpoint.root, list(given.consistency))
        if given.HasField("recorded"):
            recorded[item.number] = _verify_recorded(given.recorded, item, checkpoint, verifier)
        if not isinstance(record, Renewal) and (given.renewed_entries or given.renewed_evidence):
            raise TimeInvalidError("a stamp renews nothing", number=item.number)

    # (3): The tokens, each with those whom the anchor believes.
    authorities = () if anchor is None else anchor.time_authorities
    tokens: dict[int, list[VerifiedToken]] = {}
    unknown = 0
    for item in items:
        good: list[VerifiedToken] = []
        for token in item.tokens:
            if parse_token(token).imprint_hash.name not in imprint_hashes(item.record):
                raise TimeInvalidError("a token stamps with a hash that is not taken here", number=item.number)
            try:
                good.append(verify_token(token, item.record_bytes, authorities, pool))
            except AuthorityUnknownError:
                unknown += 1
        tokens[item.number] = good

    # (4): What renewals show again.
    for given, item in zip(message.evidence, items, strict=True):
        if isinstance(item.record, Renewal):
            _verify_renewal(item.number, item.record, given, entries, items)

    # (5): What of it counts at this standpoint.
    held = held_items(
        items,
        tokens,
        policy=standpoint.algorithms,
        now=standpoint.now,
        authorities_min=1 if anchor is None else anchor.time_authorities_min,
    )
    return VerifiedTimes.of(
        held,
        recorded,
        unknown_tokens=unknown,
        disagreeing=tuple(number for number, good in tokens.items() if _disagree(good)),
        has_authorities=bool(authorities),
        size=checkpoint.size,
        witnessed_at=witnessed_at,
    )


def _check_form(
    raw: bytes, message: timestamps_pb2.DossierTimestamps, items: Sequence[EvidenceItem], pool: Sequence[bytes]
) -> None:
    if raw and not items:
        raise TimeInvalidError("a file without items is empty")
    if len(items) > EVIDENCE_MAX or len(pool) > CERTIFICATES_MAX:
        raise TimeInvalidError(
            "more items or certificates than a dossier has", items=len(items), certificates=len(pool)
        )
    if any(earlier.number >= later.number for earlier, later in pairwise(items)):
        raise TimeInvalidError("items ascend by number, each once")
    if any(earlier >= later for earlier, later in pairwise(pool)):
        raise TimeInvalidError("certificates ascend, each once")
    for der in pool:
        load_certificate(der)


def _verify_recorded(
    given: timestamps_pb2.DossierTimeEntry,
    item: EvidenceItem,
    checkpoint: VerifiedCheckpoint,
    verifier: StatementVerifier,
) -> int:
    leaf_index = given.leaf_index
    if leaf_index >= checkpoint.size:
        raise TimeInvalidError("an item is recorded beyond the checkpoint", number=item.number)
    verify_inclusion(leaf_index, checkpoint.size, leaf_hash(given.entry), list(given.inclusion), checkpoint.root)
    openings = tuple(Opening(one.index, one.salt, one.record) for one in given.openings)
    found = verifier.verify(EntryToVerify(leaf_index, given.entry, openings))
    body = found.body
    if (
        found.kind is not PayloadType.TIME_EVIDENCE
        or found.body_type != _RECORDED
        or not isinstance(body, timestamps_pb2.TimeEvidenceRecorded)
        or not found.is_whole
        or body.ordinal != item.number + 1
        or body.sha512 != hashlib.sha512(item.raw).digest()
        or body.size != item.record.size
    ):
        raise TimeInvalidError("an entry does not record this item", number=item.number, leaf_index=leaf_index)
    return leaf_index


def _verify_renewal(
    number: int,
    record: Renewal,
    given: timestamps_pb2.DossierEvidence,
    entries: Sequence[EntryToVerify],
    items: Sequence[EvidenceItem],
) -> None:
    shown = [(one.leaf_index, one.entry) for one in entries if one.leaf_index < record.size]
    verify_shared_hash_proof(record.hash, shown, record.size, given.renewed_entries, record.renewed_root)
    covered = [(item.number, item.raw) for item in items if item.number < record.evidence_count]
    if record.evidence_count:
        verify_shared_hash_proof(
            record.hash, covered, record.evidence_count, given.renewed_evidence, record.evidence_root
        )
    elif given.renewed_evidence or record.evidence_root != record.hash.digest(b""):
        raise TimeInvalidError("a renewal of nothing covers nothing", number=number)


def _disagree(tokens: Sequence[VerifiedToken]) -> bool:
    times = [token.gen_time for token in tokens]
    return bool(times) and max(times) - min(times) > TIME_TOLERANCE
