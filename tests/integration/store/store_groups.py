"""Groups of opaque entries for the store's tests: leaf hashes are RFC 6962, roots are made up but distinct."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cellcustody.ledger.store import (
    Claim,
    Commit,
    Head,
    IdentityMac,
    PendingEntry,
    StreamLink,
    TileWrite,
    VaultRow,
)

THERAPY = bytes([1]) + bytes(range(16))
OTHER_THERAPY = bytes([1]) + bytes(range(16, 32))
CONSIGNMENT = bytes([2]) + bytes(range(32, 48))
CLINICAL, IDENTITY = 5, 6


def digest_of(name: str) -> bytes:
    """Returns the statement digest of the statement called `name`."""
    return hashlib.sha256(b"statement " + name.encode()).digest()


def id_of(name: str) -> bytes:
    """Returns the statement id of the statement called `name`."""
    return hashlib.sha256(b"id " + name.encode()).digest()[:16]


def entry_of(name: str) -> bytes:
    """Returns the entry bytes of the statement called `name`; some are not text, as real ones are not."""
    return b"\x00\xff" + name.encode() * 20


def leaf_hash_of(name: str) -> bytes:
    """Returns the RFC 6962 leaf hash of the entry called `name`."""
    return hashlib.sha256(b"\x00" + entry_of(name)).digest()


class GroupMaker:
    """Makes the next group after a head, keeping each stream's sequence."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.hashes: list[bytes] = []
        self.sequences: dict[bytes, int] = {}

    def makes(
        self,
        *names: str,
        stream: bytes = THERAPY,
        claims: Sequence[Claim] = (),
    ) -> Commit:
        """Returns a group of one entry for each name, with a vault row, a MAC and a link for each."""
        entries: list[PendingEntry] = []
        for name in names:
            sequence = self.sequences.get(stream, 0) + 1
            self.sequences[stream] = sequence
            leaf_index = self.head.size + len(entries)
            entries.append(
                PendingEntry(
                    leaf_index, stream, sequence, entry_of(name), leaf_hash_of(name), id_of(name), digest_of(name)
                )
            )
        hashes = self.hashes + [entry.leaf_hash for entry in entries]
        return Commit(
            entries=tuple(entries),
            claims=tuple(claims) or tuple(Claim("co_signature", id_of(name), digest_of(name)) for name in names),
            vault_rows=tuple(
                VaultRow(digest_of(name), stream, number, b"sealed " + name.encode())
                for name in names
                for number in (CLINICAL, IDENTITY)
            ),
            identity_macs=tuple(IdentityMac(stream, "mrn", digest_of("mac " + name)) for name in names),
            tiles=(TileWrite(0, 0, b"".join(hashes)),),
            links=(StreamLink(stream, CONSIGNMENT),),
            previous_head=self.head,
            new_head=Head(self.head.size + len(entries), hashlib.sha256(b"".join(hashes)).digest(), self.head.epoch),
        )

    def moved(self, group: Commit) -> None:
        """Takes `group` as committed: the next group follows it."""
        self.head = group.new_head
        self.hashes += [entry.leaf_hash for entry in group.entries]

    def dropped(self, group: Commit) -> None:
        """Takes `group` as refused: its sequences are free again."""
        for entry in group.entries:
            self.sequences[entry.stream] -= 1
