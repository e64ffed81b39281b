"""What one commit carries and what reads give back; the store keeps bytes and knows nothing inside them.

The rules a group keeps, checked before anything is sent to a database:

* Leaf indexes run on from the previous head without a gap, and the new head's size is the number of leaves.
* The epoch is the writer's and does not change within a commit; only starting a writer raises it.
* Within a stream, sequences of the group run on by one.
* A vault row belongs to a statement of the same group; a (level, index) of a tile occurs once.
* No claim, statement id or statement digest occurs twice in one group: the writer has judged its members in order.

Rows to write are frozen dataclasses. Rows read are named tuples: they come by the thousand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from cellcustody.ledger.store.errors import ClaimTakenError, GroupInvalidError
from cellcustody.ledger.values import value

STREAM_BYTES: Final = 17  # One byte of kind, sixteen drawn at random by the client that opens the stream.
HASH_BYTES: Final = 32  # SHA-256.
STATEMENT_ID_BYTES: Final = 16  # UUIDv7.
TILE_HASHES_MAX: Final = 256  # C2SP tlog-tiles: a tile is 256 hashes wide.
ENTRY_BYTES_MAX: Final = 65_535  # C2SP tlog-tiles: an entry's length is two bytes.
ENTRIES_PER_GROUP_MAX: Final = 4_096  # A group is held in memory and in one transaction.

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()  # RFC 6962, section 2.1: the hash of an empty list.


@dataclass(frozen=True, slots=True)
class Head:
    """The size of the log, its RFC 6962 root over all leaves, and the epoch of the writer that moved it last."""

    size: int
    root_hash: bytes
    epoch: int


@value(frozen=True, slots=True)
class PendingEntry:
    """An entry about to be recorded: its place in the log, its place in its stream, and its exact bytes."""

    leaf_index: int
    stream: bytes
    sequence: int
    entry: bytes
    leaf_hash: bytes
    statement_id: bytes
    statement_digest: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that only one statement may ever hold, such as a chain-of-identity identifier."""

    kind: str
    key: bytes
    statement_digest: bytes


@value(frozen=True, slots=True)
class VaultRow:
    """A statement's openings of one disclosure class about one subject, sealed under that subject's key."""

    statement_digest: bytes
    subject: bytes
    disclosure_class: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class IdentityMac:
    """A keyed MAC of a normalised patient identifier, against which later checks are compared."""

    stream: bytes
    kind: str
    mac: bytes


@value(frozen=True, slots=True)
class TileWrite:
    """The whole present content of one hash tile; a partial tile on the right edge grows and keeps its prefix."""

    level: int
    index: int
    hashes: bytes


@value(frozen=True, slots=True)
class StreamLink:
    """A stream that cites another one: a therapy whose material was packed into a consignment, for example."""

    source_stream: bytes
    target_stream: bytes


@dataclass(frozen=True, slots=True)
class OperationalFinding:
    """Something refused that someone should look at; kept beside the log, never in it.

    `recorded_at_us` is unix time in microseconds, UTC. A finding of the same code about the same
    statement id and digest is kept once.
    """

    code: str
    statement_id: bytes
    statement_digest: bytes
    recorded_at_us: int
    detail: bytes = b""


class StreamEntry(NamedTuple):
    """An entry as read from its stream."""

    leaf_index: int
    sequence: int
    entry: bytes


class StreamHead(NamedTuple):
    """The last entry of a stream, to which the next one is chained."""

    sequence: int
    leaf_hash: bytes
    leaf_index: int


class StatementPosition(NamedTuple):
    """Where a statement was recorded."""

    leaf_index: int
    stream: bytes
    sequence: int
    statement_digest: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """One group: everything that becomes durable together, or not at all.

    Raises:
        GroupInvalidError: the group contradicts itself; a rule of this module's docstring is named.
        ClaimTakenError: two members of the group hold the same claim.
    """

    entries: tuple[PendingEntry, ...]
    claims: tuple[Claim, ...]
    vault_rows: tuple[VaultRow, ...]
    identity_macs: tuple[IdentityMac, ...]
    tiles: tuple[TileWrite, ...]
    links: tuple[StreamLink, ...]
    previous_head: Head
    new_head: Head

    def __post_init__(self) -> None:
        """Checks the rules of this module's docstring."""
        self._check_heads()
        self._check_entries()
        claimed: set[tuple[str, bytes]] = set()
        for claim in self.claims:
            if (claim.kind, claim.key) in claimed:
                raise ClaimTakenError(claim.kind, claim.key)
            claimed.add((claim.kind, claim.key))
        digests = {entry.statement_digest for entry in self.entries}
        for row in self.vault_rows:
            if row.statement_digest not in digests:
                raise GroupInvalidError("a vault row belongs to no statement of the group", digest=row.statement_digest)
        if len({(row.statement_digest, row.subject, row.disclosure_class) for row in self.vault_rows}) != len(
            self.vault_rows
        ):
            raise GroupInvalidError("a statement has two vault rows of one subject and class")
        if len({(tile.level, tile.index) for tile in self.tiles}) != len(self.tiles):
            raise GroupInvalidError("a tile is written twice in one group")
        for tile in self.tiles:
            if len(tile.hashes) % HASH_BYTES or not 0 < len(tile.hashes) <= TILE_HASHES_MAX * HASH_BYTES:
                raise GroupInvalidError("a tile does not hold 1 to 256 hashes", level=tile.level, index=tile.index)

    def _check_heads(self) -> None:
        if not 0 < len(self.entries) <= ENTRIES_PER_GROUP_MAX:
            raise GroupInvalidError("a group has 1 to 4096 entries", entries=len(self.entries))
        if self.new_head.size != self.previous_head.size + len(self.entries):
            raise GroupInvalidError("the new head's size is not the number of leaves", size=self.new_head.size)
        if self.new_head.epoch != self.previous_head.epoch:
            raise GroupInvalidError("only starting a writer raises the epoch", epoch=self.new_head.epoch)
        if len(self.new_head.root_hash) != HASH_BYTES:
            raise GroupInvalidError("a root hash has 32 bytes", root_hash=self.new_head.root_hash)

    def _check_entries(self) -> None:
        sequences: dict[bytes, int] = {}
        ids: set[bytes] = set()
        digests: set[bytes] = set()
        for leaf_index, entry in enumerate(self.entries, start=self.previous_head.size):
            if entry.leaf_index != leaf_index:
                raise GroupInvalidError("leaf indexes do not run on from the previous head", leaf=entry.leaf_index)
            if entry.sequence < 1 or sequences.setdefault(entry.stream, entry.sequence - 1) != entry.sequence - 1:
                raise GroupInvalidError("sequences of a stream do not run on by one", leaf=leaf_index)
            sequences[entry.stream] = entry.sequence
            if (
                len(entry.stream) != STREAM_BYTES
                or len(entry.leaf_hash) != HASH_BYTES
                or len(entry.statement_digest) != HASH_BYTES
                or len(entry.statement_id) != STATEMENT_ID_BYTES
            ):
                raise GroupInvalidError("a stream, hash, digest or statement id has the wrong length", leaf=leaf_index)
            if not 0 < len(entry.entry) <= ENTRY_BYTES_MAX:
                raise GroupInvalidError("an entry has 1 to 65535 bytes", leaf=leaf_index, length=len(entry.entry))
            if entry.statement_id in ids:
                raise ClaimTakenError("statement_id", entry.statement_id)
            if entry.statement_digest in digests:
                raise ClaimTakenError("statement_digest", entry.statement_digest)
            ids.add(entry.statement_id)
            digests.add(entry.statement_digest)


__all__ = [
    "EMPTY_ROOT",
    "Claim",
    "Commit",
    "Head",
    "IdentityMac",
    "OperationalFinding",
    "PendingEntry",
    "StatementPosition",
    "StreamEntry",
    "StreamHead",
    "StreamLink",
    "TileWrite",
    "VaultRow",
]
