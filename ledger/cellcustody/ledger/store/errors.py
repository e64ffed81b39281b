"""The store's conditions, on the tree of `cellcustody.ledger.errors`.

ConflictError
`- ClaimTakenError             a claim of the group is already held; nothing of the group was written
StoreError
|- CommitFailedError           the transaction was rolled back whole; the same group may be tried again
|- GroupInvalidError           the group contradicts itself; nothing was sent to the database
|- WriterNotStartedError       `commit` was called before `start_writer`
|- WriterBusyError             another thread is committing; there is exactly one writing thread
|- WriterLockedError           another process holds the writer lock
|- DurabilityRefusedError      a connection would not promise that a commit is on the disk
|- StoreUnavailableError       the database did not answer a read, a finding or the start of a writer
|- UnknownTopicError           a stored event names a topic that is not in the closed table
|- JournalInUseError           another process has the head journal open
|- ShreddedError               the key of that subject and class was destroyed
`- FatalStoreError             the ledger must stop signing until someone looks
   |- HeadMovedError           another writer moved the head
   |- CommitOutcomeUnknownError  the connection was lost at COMMIT and the head could not be reread
   |- TileRewrittenError       a tile would lose or change hashes that it already holds
   |- StoreRolledBackError     the database is older than the last checkpoint that left
   |- StoreForkedError         the database holds another history than the last checkpoint that left
   |- JournalMissingError      the database has entries and the journal is empty
   |- JournalCorruptError      a journal record before the last one is damaged
   |- JournalWriteError        an append to the journal could not be made durable
   |- KeyStoreMismatchError    the key store was written under another master key
   `- VaultDamagedError        a ciphertext or a wrapped key does not open although its key is there
"""

from __future__ import annotations

from cellcustody.ledger.errors import ConflictError, FatalStoreError, NotFoundError, StoreError


class ClaimTakenError(ConflictError):
    """Raised when a claim of the group is already held; `kind` and `key` name it, nothing was written."""

    reason = "CLAIM_TAKEN"

    def __init__(self, kind: str, key: bytes) -> None:
        super().__init__("another statement already holds this claim", kind=kind, key=key)
        self.kind = kind
        self.key = key


class EntryNotFoundError(NotFoundError):
    """Raised when no entry has that leaf index."""

    reason = "ENTRY_NOT_FOUND"


class SubjectNotFoundError(NotFoundError):
    """Raised when the key store never had keys for that subject."""

    reason = "SUBJECT_NOT_FOUND"


class CommitFailedError(StoreError):
    """Raised when the transaction was rolled back whole; the head is as it was."""

    reason = "COMMIT_FAILED"


class GroupInvalidError(StoreError):
    """Raised when a group contradicts itself, before anything is sent to the database."""

    reason = "GROUP_INVALID"


class WriterNotStartedError(StoreError):
    """Raised when `commit` is called on a store whose writer was not started."""

    reason = "WRITER_NOT_STARTED"


class WriterBusyError(StoreError):
    """Raised when a second thread commits while the writing thread is committing."""

    reason = "WRITER_BUSY"


class WriterLockedError(StoreError):
    """Raised when another process holds the writer lock of this ledger."""

    reason = "WRITER_LOCKED"


class DurabilityRefusedError(StoreError):
    """Raised when a database connection would not promise that a commit is on the disk."""

    reason = "DURABILITY_REFUSED"


class StoreUnavailableError(StoreError):
    """Raised when the database does not answer a read, a finding or the start of a writer; nothing was changed."""

    reason = "STORE_UNAVAILABLE"


class UnknownTopicError(StoreError):
    """Raised when a stored event names a topic that is not in the closed table."""

    reason = "UNKNOWN_TOPIC"


class JournalInUseError(StoreError):
    """Raised when another process has the head journal open."""

    reason = "JOURNAL_IN_USE"


class ShreddedError(StoreError):
    """Raised when the key of that subject and class was destroyed: the content is gone for good."""

    reason = "SHREDDED"


class HeadMovedError(FatalStoreError):
    """Raised when the head row is not where this writer left it: another writer has taken over."""

    reason = "HEAD_MOVED"


class CommitOutcomeUnknownError(FatalStoreError):
    """Raised when a connection was lost at COMMIT and the head row could not be reread to decide."""

    reason = "COMMIT_OUTCOME_UNKNOWN"


class TileRewrittenError(FatalStoreError):
    """Raised when a tile write would shorten or change hashes that the tile already holds."""

    reason = "TILE_REWRITTEN"


class StoreRolledBackError(FatalStoreError):
    """Raised when the database is older than the last checkpoint that left this ledger."""

    reason = "STORE_ROLLED_BACK"


class StoreForkedError(FatalStoreError):
    """Raised when the database holds another history than the last checkpoint that left this ledger."""

    reason = "STORE_FORKED"


class JournalMissingError(FatalStoreError):
    """Raised when the database has entries and the journal has no record to compare them with."""

    reason = "JOURNAL_MISSING"


class JournalCorruptError(FatalStoreError):
    """Raised when a journal record is damaged and whole records follow it, which no torn write explains."""

    reason = "JOURNAL_CORRUPT"


class JournalWriteError(FatalStoreError):
    """Raised when an append to the journal could not be made durable; the journal takes no more."""

    reason = "JOURNAL_WRITE_FAILED"


class KeyStoreMismatchError(FatalStoreError):
    """Raised when the key store was written under another master key than the one given."""

    reason = "KEY_STORE_MISMATCH"


class VaultDamagedError(FatalStoreError):
    """Raised when a ciphertext or a wrapped key does not open although its key is there."""

    reason = "VAULT_DAMAGED"


__all__ = [
    "ClaimTakenError",
    "CommitFailedError",
    "CommitOutcomeUnknownError",
    "DurabilityRefusedError",
    "EntryNotFoundError",
    "GroupInvalidError",
    "HeadMovedError",
    "JournalCorruptError",
    "JournalInUseError",
    "JournalMissingError",
    "JournalWriteError",
    "KeyStoreMismatchError",
    "ShreddedError",
    "StoreForkedError",
    "StoreRolledBackError",
    "StoreUnavailableError",
    "SubjectNotFoundError",
    "TileRewrittenError",
    "UnknownTopicError",
    "VaultDamagedError",
    "WriterBusyError",
    "WriterLockedError",
    "WriterNotStartedError",
]
