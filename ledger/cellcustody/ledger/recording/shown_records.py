"""Give a body's records so that they can be held to what was signed: some in the clear, the others by their hashes.

The rules:

* Every record is given once: open, if the reader may see it and it is still there, else closed.
* The hash of an erased record is the one that was kept in the clear for it. Where that is gone too, nothing closed is
  given: what is open is still shown, and cannot be held to the commitment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cellcustody.ledger.recording.sealing import LEAF_HASHES, decode_leaf_hashes
from cellcustody.ledger.statements import ClosedRecord, Opening, ParsedStatement
from cellcustody.ledger.store import LedgerStore

__all__ = ["closed_records", "kept_leaf_hashes"]


def kept_leaf_hashes(store: LedgerStore, statement_digest: bytes) -> Sequence[bytes]:
    """Returns the leaf hashes of a statement's records in order; empty for a body that loses none."""
    for row in store.vault_rows(statement_digest):
        if row.disclosure_class == LEAF_HASHES:
            return decode_leaf_hashes(row.ciphertext)
    return ()


def closed_records(
    store: LedgerStore, statement: ParsedStatement, there: Sequence[Opening], shown: Collection[int]
) -> list[ClosedRecord]:
    """Returns the records that are not among the numbers `shown`, by leaf hash; none where a hash is gone.

    `there` are all openings that are left of the body.
    """
    held = {opening.index: opening for opening in there}
    count = len(statement.commitment.field_numbers)
    kept = kept_leaf_hashes(store, statement.digest) if len(held) < count else ()
    closed: list[ClosedRecord] = []
    for index in range(count):
        if index in shown:
            continue
        opening = held.get(index)
        if opening is not None:
            closed.append(ClosedRecord(index, opening.leaf_hash))
        elif len(kept) == count:
            closed.append(ClosedRecord(index, kept[index]))
        else:
            return []
    return closed
