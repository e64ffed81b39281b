"""What the rest of the ledger asks of a store; every back end passes one conformance suite.

The rules:

* One writing thread. It starts the writer, which raises the epoch, and commits groups one after the other.
* A commit is one transaction. When it returns, the whole group is on the disk; when it raises anything but a
  `FatalStoreError`, nothing of the group is there and the head is as it was.
* Reads come from any thread at any time and never wait for the writer. Each read sees whole groups only.
* A read, a finding or the start of a writer that the database does not answer raises `StoreUnavailableError`.
* The store keeps and returns bytes. Whether they are right is for the layers above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cellcustody.ledger.store.model import (
    Commit,
    Head,
    IdentityMac,
    OperationalFinding,
    StatementPosition,
    StreamEntry,
    StreamHead,
    VaultRow,
)


class LedgerStore(Protocol):
    """Keeps entries, claims, vault rows and tiles, and moves the head with them in one transaction."""

    def start_writer(self) -> Head:
        """Takes over as the one writer: raises the epoch, after which every earlier writer's commit fails.

        Raises:
            WriterLockedError: another process is the writer and its connection stands.
        """

    def commit(self, group: Commit) -> None:
        """Makes the whole group durable in one transaction.

        Raises:
            ClaimTakenError: a claim is already held; nothing was written.
            CommitFailedError: the transaction was rolled back whole.
            WriterNotStartedError, WriterBusyError: nothing was written.
            FatalStoreError: the ledger must stop signing; a subclass says why.
        """

    def head(self) -> Head:
        """Returns the head row; before the first commit size 0 and the empty root."""

    def entry(self, leaf_index: int) -> bytes:
        """Returns the exact bytes of the entry at `leaf_index`.

        Raises:
            EntryNotFoundError: no entry has that leaf index.
        """

    def entries(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` entries from leaf index `start` on, gapless and in order."""

    def leaf_hashes(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` leaf hashes from leaf index `start` on, gapless and in order."""

    def stream_entries(self, stream: bytes, after_sequence: int, limit: int) -> list[StreamEntry]:
        """Returns up to `limit` entries of `stream` whose sequence is above `after_sequence`, in order."""

    def stream_head(self, stream: bytes) -> StreamHead | None:
        """Returns the last entry's place in `stream`, or None where nothing was recorded."""

    def find_statement(self, statement_digest: bytes) -> StatementPosition | None:
        """Returns where the statement with that digest was recorded, or None."""

    def find_statement_by_id(self, statement_id: bytes) -> StatementPosition | None:
        """Returns where the statement with that id was recorded, or None."""

    def recorded_ids(self, statement_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Returns those of these statement ids under which something was recorded; asked once for a group."""

    def vault_rows(self, statement_digest: bytes) -> list[VaultRow]:
        """Returns the sealed openings of a statement, by subject and class."""

    def identity_macs(self, stream: bytes) -> list[IdentityMac]:
        """Returns the identity MACs enrolled for `stream`."""

    def tile(self, level: int, index: int) -> bytes | None:
        """Returns the present hashes of a tile, joined, or None where none was written."""

    def claim(self, kind: str, key: bytes) -> bytes | None:
        """Returns the digest of the statement that holds the claim, or None."""

    def linked(self, stream: bytes) -> list[bytes]:
        """Returns the streams that cite `stream`, in byte order."""

    def operational_finding(self, finding: OperationalFinding) -> None:
        """Keeps something refused that someone should look at, outside the log; from any thread."""

    def operational_findings(self, limit: int) -> list[OperationalFinding]:
        """Returns up to `limit` operational findings, the latest first."""

    def truncate_log(self) -> None:
        """Empties the back end's write-ahead log, as far as it is the store's to empty, after an erasure.

        Raises:
            StoreError: a reader kept the log from being emptied; try again.
        """

    def close(self) -> None:
        """Closes every connection; the store is not used after that."""


__all__ = ["LedgerStore"]
