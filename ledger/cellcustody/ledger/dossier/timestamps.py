"""Gather the time evidence of a dossier: what bounds its entries, and what keeps that good.

The rules (docs/formats/timestamps.md):

* Given are, for the dossier's entries, the first item above each and the last recorded one below each, the newest item
  and every renewal; of more than 32 stamps, evenly fewer.
* Of certificates, those that paths of these items' tokens may go through.
* Nothing beyond the dossier's checkpoint is given: no item of a larger tree, and no entry there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Protocol

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.statements import Opening, parse_statement
from cellcustody.ledger.store import LedgerStore
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.timestamps import HashTree, Renewal, certificates_for
from cellcustody.ledger.transparency import TileTree
from cellcustody.v1 import entry_pb2, timestamps_pb2

__all__ = ["EVIDENCE_MAX", "OpeningsOf", "RenewedTrees", "build_timestamps", "evidence_wanted"]

EVIDENCE_MAX: Final = 64
CERTIFICATES_MAX: Final = 64  # Thirty items by two authorities that change certificates each year need no more.
STAMPS_MAX: Final = 32  # Some 3.5 kB each with their proofs; a therapy of 120 statements stays below a megabyte.


class OpeningsOf(Protocol):
    """Finds the openings of a statement by its digest."""

    def __call__(self, statement_digest: bytes) -> Sequence[Opening]:
        """Returns them in order."""
        ...


class RenewedTrees:
    """The trees of renewals, made when they are first asked for and kept."""

    def __init__(self, evidence: TimeEvidenceFile, store: LedgerStore) -> None:
        self._evidence = evidence
        self._store = store
        self._entries: dict[int, HashTree] = {}
        self._items: dict[int, HashTree] = {}

    def of_entries(self, number: int, renewal: Renewal) -> HashTree:
        """Returns the tree over the entries that a renewal shows again."""
        tree = self._entries.get(number)
        if tree is None:
            kept = self._evidence.kept_hashes(number)
            tree = HashTree(renewal.hash, renewal.size, self._store.entries, kept)
            if tree.root != renewal.renewed_root and kept is not None:
                tree = HashTree(renewal.hash, renewal.size, self._store.entries)  # What was kept is damaged.
            self._entries[number] = tree
        return tree

    def of_items(self, number: int, renewal: Renewal) -> HashTree:
        """Returns the tree over the items that a renewal covers."""
        tree = self._items.get(number)
        if tree is None:
            tree = HashTree(renewal.hash, renewal.evidence_count, self._evidence.raw_items)
            self._items[number] = tree
        return tree


def evidence_wanted(evidence: TimeEvidenceFile, leaves: Sequence[int], size: int) -> list[int]:
    """Returns the numbers of the items that a dossier of these leaves (ascending) under this tree size is given."""
    numbers = [number for number, kept in enumerate(evidence.kept) if kept.size <= size]
    if not numbers:
        return []
    sizes = [evidence.kept[number].size for number in numbers]  # They only grow: later stamps are of later trees.
    recorded = [
        (leaf, number) for number in numbers if (leaf := evidence.recorded_at(number)) is not None and leaf < size
    ]
    leaf_of = [leaf for leaf, _ in recorded]
    wanted = {numbers[-1]}
    for leaf in leaves:
        above = bisect_right(sizes, leaf)
        if above < len(numbers):
            wanted.add(numbers[above])
        below = bisect_right(leaf_of, leaf - 1)
        if below:
            wanted.add(recorded[below - 1][1])
    renewals = [number for number in numbers if evidence.kept[number].is_renewal][-EVIDENCE_MAX // 2 :]
    stamps = sorted(wanted - set(renewals))
    room = min(STAMPS_MAX, EVIDENCE_MAX - len(renewals))
    if len(stamps) > room:
        step = (len(stamps) - 1) / (room - 1)
        stamps = sorted({stamps[round(place * step)] for place in range(room)})
    return sorted((*stamps, *renewals))


def build_timestamps(
    evidence: TimeEvidenceFile,
    trees: RenewedTrees,
    store: LedgerStore,
    tree: TileTree,
    openings_of: OpeningsOf,
    leaves: Sequence[int],
    size: int,
) -> bytes:
    """Returns the file of time evidence for a dossier with these leaves (ascending) under a checkpoint of `size`."""
    numbers = evidence_wanted(evidence, leaves, size)
    if not numbers:
        return b""
    given: list[timestamps_pb2.DossierEvidence] = []
    pool = evidence.certificates
    needed: set[bytes] = set()
    for number in numbers:
        item = evidence.item(number)
        needed.update(der for token in item.tokens for der in certificates_for(token, pool))
        shape = timestamps_pb2.DossierEvidence(
            item=item.raw, consistency=tree.consistency_proof(item.record.size, size)
        )
        leaf_index = evidence.recorded_at(number)
        if leaf_index is not None and leaf_index < size:
            shape.recorded.CopyFrom(_recorded(store, tree, openings_of, leaf_index, size))
        if isinstance(item.record, Renewal):
            below = [leaf for leaf in leaves if leaf < item.record.size]
            earlier = [other for other in numbers if other < item.record.evidence_count]
            of_entries = trees.of_entries(number, item.record).shared_proof(below)
            of_items = trees.of_items(number, item.record).shared_proof(earlier)
            shape.renewed_entries = b"".join(of_entries)
            shape.renewed_evidence = b"".join(of_items)
        given.append(shape)
    message = timestamps_pb2.DossierTimestamps(certificates=sorted(needed)[:CERTIFICATES_MAX], evidence=given)
    return message.SerializeToString(deterministic=True)


def _recorded(
    store: LedgerStore, tree: TileTree, openings_of: OpeningsOf, leaf_index: int, size: int
) -> timestamps_pb2.DossierTimeEntry:
    (entry,) = store.entries(leaf_index, 1)
    digest = parse_statement(read_entry(entry).envelope).digest
    return timestamps_pb2.DossierTimeEntry(
        leaf_index=leaf_index,
        entry=entry,
        openings=[
            entry_pb2.Opening(index=opening.index, salt=opening.salt, record=opening.record)
            for opening in openings_of(digest)
        ],
        inclusion=tree.inclusion_proof(leaf_index, size),
    )
