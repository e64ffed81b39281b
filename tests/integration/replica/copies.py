"""Copies of a real ledger's log, whole or with closed records, honest or forged, and a replica to hold them to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from courses import World

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.entries import ZERO_HASH, leaf_hash_of
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.replica import GivenEntry, Replica
from cellcustody.ledger.statements import ClosedRecord, Opening, parse_statement
from cellcustody.ledger.store import KeyStore, Vault, open_sqlite, write_new_master_key
from cellcustody.v1 import entry_pb2

ALL = frozenset(DisclosureClass)
BUT_IDENTITY = ALL - {DisclosureClass.IDENTITY}
Forge = Callable[[entry_pb2.Entry], None]


@dataclass(frozen=True)
class Copy:
    """Entries with their records."""

    given: tuple[GivenEntry, ...]

    def at(self, leaf_index: int) -> GivenEntry | None:
        """The entry of a leaf, None beyond the end."""
        return self.given[leaf_index] if leaf_index < len(self.given) else None

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.given)

    def body_type(self, leaf_index: int) -> str:
        """The short name of an entry's body, empty for a co-signature."""
        message = entry_pb2.Entry.FromString(self.given[leaf_index].entry)
        return parse_statement(message.envelope).header.body_type.rpartition(".")[2]

    def leaves_of(self, body_type: str) -> list[int]:
        """The leaves with bodies of this short name."""
        return [leaf for leaf in range(self.size) if self.body_type(leaf) == body_type]

    def forged(self, leaf_index: int, forge: Forge) -> Copy:
        """The log as an operator would rewrite it: one entry says something else, and every chain after it fits."""
        given = list(self.given)
        message = entry_pb2.Entry.FromString(given[leaf_index].entry)
        forge(message)
        given[leaf_index] = replace(given[leaf_index], entry=message.SerializeToString(deterministic=True))
        return Copy(tuple(given)).chained()

    def without(self, leaf_index: int) -> Copy:
        """The log with one entry left out, and every chain after it fitting."""
        given = [one for one in self.given if one.leaf_index != leaf_index]
        return Copy(tuple(replace(one, leaf_index=index) for index, one in enumerate(given))).chained()

    def chained(self) -> Copy:
        """The same entries with sequences and leaf hashes as they must follow on each other."""
        heads: dict[bytes, tuple[int, bytes]] = {}
        given: list[GivenEntry] = []
        for one in self.given:
            message = entry_pb2.Entry.FromString(one.entry)
            stream = parse_statement(message.envelope).stream
            sequence, previous = heads.get(stream, (0, ZERO_HASH))
            message.sequence, message.previous_leaf_hash = sequence + 1, previous
            raw = message.SerializeToString(deterministic=True)
            heads[stream] = (sequence + 1, leaf_hash_of(raw))
            given.append(replace(one, entry=raw))
        return Copy(tuple(given))


def copy_of(world: World, classes: Collection[DisclosureClass] = ALL) -> Copy:
    """The whole log of a world, with the records of these classes open and the others closed."""
    store, vault = world.harness.ledger.store, world.harness.ledger.vault
    given: list[GivenEntry] = []
    for leaf_index, raw in enumerate(store.entries(0, store.head().size)):
        statement = parse_statement(entry_pb2.Entry.FromString(raw).envelope)
        found = BODIES.get(statement.header.body_type)
        records: tuple[Opening | ClosedRecord, ...] | None = None
        if found is not None:
            numbers = statement.commitment.field_numbers
            records = tuple(
                one if found.classes[numbers[one.index]] in classes else ClosedRecord(one.index, one.leaf_hash)
                for one in openings_of(store, vault, statement.digest, frozenset(range(1, 7)))
            )
        given.append(GivenEntry(leaf_index, raw, records))
    return Copy(tuple(given))


@contextmanager
def replica_in(folder: Path) -> Iterator[Replica]:
    """Yields a replica that keeps its copy in a folder."""
    folder.mkdir(exist_ok=True)
    key = folder / "master.key"
    if not key.exists():
        write_new_master_key(key)
    from cellcustody.ledger.store import read_master_key

    keys = KeyStore(folder / "keys.sqlite", read_master_key(key), random_bytes=os.urandom)
    store = open_sqlite(folder / "copy.sqlite")
    try:
        yield Replica(store, Vault(keys, random_bytes=os.urandom))
    finally:
        store.close()
        keys.close()
