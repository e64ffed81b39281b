"""Audit a log's time evidence: every item of it against the entries that were read.

The rules (docs/formats/timestamps.md):

* The items are numbered without a gap, each of this log. The root that each tells is that of the first so many entries.
* A renewal's root is made again from the same entries under its own hash, and its root of items from the items.
* Tokens are held to whom the anchor believes: one by nobody is counted, one that fails is a broken link.
* An item of a tree beyond the checkpoint is looked at next time. A log without time evidence has none to audit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from cellcustody.clients.auditing.sources import LogSource
from cellcustody.clients.errors import LogInconsistent, NotFound
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.timestamps import (
    AuthorityUnknownError,
    EvidenceItem,
    GrowingHashTree,
    Renewal,
    imprint_hashes,
    parse_item,
    parse_token,
    verify_token,
)
from cellcustody.ledger.timestamps.records import ITEM_BYTES_MAX
from cellcustody.ledger.transparency import RightEdge, leaf_hash
from cellcustody.v1 import timestamps_pb2

__all__ = ["AuditedTimes", "audit_time_evidence", "read_evidence"]

COUNT_PATH: Final = "timestamps/count"
CERTIFICATES_PATH: Final = "timestamps/certificates"
COUNT_BYTES_MAX: Final = 32
CERTIFICATES_BYTES_MAX: Final = 2 << 20
ITEMS_MAX: Final = 10_000_000  # An item a minute for twenty years: a bound on what a stranger can send.


class AuditedTimes(NamedTuple):
    """How many items and renewals were found right; tokens by authorities of the anchor, and by others."""

    items: int = 0
    renewals: int = 0
    tokens: int = 0
    unknown_tokens: int = 0


class _Tree:
    """The tree of a renewal as it is made again."""

    def __init__(self, item: EvidenceItem, record: Renewal) -> None:
        self.item = item
        self.record = record
        self.growing = GrowingHashTree(record.hash)


def read_evidence(source: LogSource, origin: str) -> tuple[list[EvidenceItem], tuple[bytes, ...]]:
    """Returns a log's items and the certificates that it gives with them.

    Raises:
        LogInconsistent: they are not in their form, not numbered in order, or of another log.
    """
    try:
        count = source.read(COUNT_PATH, COUNT_BYTES_MAX)
    except NotFound:
        return [], ()
    text = count.removesuffix(b"\n")
    if not text.isdigit() or len(text) > 8 or int(text) > ITEMS_MAX:
        raise LogInconsistent("the log gives what is no count", log=source.name, resource=COUNT_PATH)
    items: list[EvidenceItem] = []
    try:
        certificates = timestamps_pb2.TimeCertificates.FromString(
            source.read(CERTIFICATES_PATH, CERTIFICATES_BYTES_MAX)
        ).certificates
        for number in range(int(text)):
            item = parse_item(source.read(f"timestamps/{number}", ITEM_BYTES_MAX))
            if item.number != number or item.record.origin != origin:
                raise LogInconsistent("an item is out of its place, or of another log", number=number)
            items.append(item)
    except NotFound as absence:
        raise LogInconsistent("the log does not give time evidence that it counts", log=source.name) from absence
    except (DecodeError, CellcustodyError) as defect:
        if isinstance(defect, LogInconsistent):
            raise
        raise LogInconsistent("the log gives what is no time evidence", log=source.name, defect=str(defect)) from defect
    return items, tuple(certificates)


def audit_time_evidence(
    items: Sequence[EvidenceItem],
    certificates: Sequence[bytes],
    entries: Iterable[tuple[int, bytes]],
    anchor: Anchor,
    size: int,
) -> AuditedTimes:
    """Returns what was found right; `entries` are all of the log below `size`, in order.

    Raises:
        LogInconsistent: an item tells a tree that the entries do not make.
        VerificationError: a token of an authority of the anchor does not hold.
    """
    within = [item for item in items if item.record.size <= size]
    if not within:
        return AuditedTimes()
    _check_roots(within, entries)
    for item in within:
        if isinstance(item.record, Renewal):
            earlier = GrowingHashTree(item.record.hash)
            for other in items[: item.record.evidence_count]:
                earlier.append(other.raw)
            if earlier.root() != item.record.evidence_root:
                raise LogInconsistent("a renewal is of other items than the log gives", number=item.number)
    known = unknown = 0
    for item in within:
        for token in item.tokens:
            if parse_token(token).imprint_hash.name not in imprint_hashes(item.record):
                raise LogInconsistent("a token stamps with a hash that is not taken here", number=item.number)
            try:
                verify_token(token, item.record_bytes, anchor.time_authorities, certificates)
                known += 1
            except AuthorityUnknownError:
                unknown += 1
    return AuditedTimes(len(within), sum(isinstance(one.record, Renewal) for one in within), known, unknown)


def _check_roots(items: Sequence[EvidenceItem], entries: Iterable[tuple[int, bytes]]) -> None:
    """Makes the trees that items tell of again, all in one reading of the entries."""
    by_size: dict[int, list[EvidenceItem]] = {}
    for item in items:
        by_size.setdefault(item.record.size, []).append(item)
    renewed = [_Tree(item, item.record) for item in items if isinstance(item.record, Renewal)]
    edge = RightEdge()
    last = max(by_size)
    for leaf_index, entry in entries:
        if leaf_index >= last:
            break
        edge.append(leaf_hash(entry))
        for tree in renewed:
            if leaf_index < tree.record.size:
                tree.growing.append(entry)
        for item in by_size.get(leaf_index + 1, ()):
            if edge.root() != item.record.root:
                raise LogInconsistent("an item of time evidence is of another tree", number=item.number)
    for tree in renewed:
        if tree.growing.root() != tree.record.renewed_root:
            raise LogInconsistent("a renewal shows other entries than the log gives", number=tree.item.number)
