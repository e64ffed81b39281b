"""A group that contradicts itself is refused before anything is sent to a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cellcustody.ledger.store import (
    Claim,
    ClaimTakenError,
    Commit,
    GroupInvalidError,
    Head,
    PendingEntry,
    TileWrite,
    VaultRow,
)

STREAM = bytes([1]) + bytes(16)
OTHER_STREAM = bytes([2]) + bytes(16)


def digest(number: int) -> bytes:
    return bytes([number]) * 32


def pending(leaf_index: int, sequence: int, stream: bytes = STREAM) -> PendingEntry:
    number = leaf_index + 1
    return PendingEntry(leaf_index, stream, sequence, b"entry", digest(number), digest(number)[:16], digest(number))


GOOD = Commit(
    entries=(pending(3, 8), pending(4, 1, OTHER_STREAM), pending(5, 9)),
    claims=(Claim("coi", b"x", digest(4)),),
    vault_rows=(VaultRow(digest(4), STREAM, 5, b"sealed"), VaultRow(digest(4), STREAM, 6, b"sealed")),
    identity_macs=(),
    tiles=(TileWrite(0, 0, bytes(32 * 6)),),
    links=(),
    previous_head=Head(3, digest(1), 7),
    new_head=Head(6, digest(2), 7),
)

BROKEN: dict[str, Callable[[], Commit]] = {
    "no entries": lambda: replace(GOOD, entries=()),
    "a gap before the first leaf": lambda: replace(GOOD, entries=(pending(4, 8), pending(5, 9), pending(6, 10))),
    "a gap between leaves": lambda: replace(GOOD, entries=(pending(3, 8), pending(5, 9), pending(6, 10))),
    "a gap in a stream": lambda: replace(GOOD, entries=(pending(3, 8), pending(4, 10), pending(5, 11))),
    "a sequence that starts at 0": lambda: replace(GOOD, entries=(pending(3, 0), pending(4, 1), pending(5, 2))),
    "a head that is not the number of leaves": lambda: replace(GOOD, new_head=Head(7, digest(2), 7)),
    "an epoch that changes": lambda: replace(GOOD, new_head=Head(6, digest(2), 8)),
    "a short root": lambda: replace(GOOD, new_head=Head(6, b"short", 7)),
    "a short stream": lambda: replace(GOOD, entries=(pending(3, 8, b"short"), pending(4, 1), pending(5, 2))),
    "an empty entry": lambda: replace(GOOD, entries=(replace(pending(3, 8), entry=b""), *GOOD.entries[1:])),
    "an entry of 65,536 bytes": lambda: replace(
        GOOD, entries=(replace(pending(3, 8), entry=bytes(65_536)), *GOOD.entries[1:])
    ),
    "a vault row of no member": lambda: replace(GOOD, vault_rows=(VaultRow(digest(99), STREAM, 5, b"sealed"),)),
    "a vault row twice": lambda: replace(GOOD, vault_rows=GOOD.vault_rows[:1] * 2),
    "a tile twice": lambda: replace(GOOD, tiles=GOOD.tiles * 2),
    "a tile cut within a hash": lambda: replace(GOOD, tiles=(TileWrite(0, 0, bytes(33)),)),
    "an empty tile": lambda: replace(GOOD, tiles=(TileWrite(0, 0, b""),)),
    "a tile of 257 hashes": lambda: replace(GOOD, tiles=(TileWrite(0, 0, bytes(32 * 257)),)),
}


def test_the_longest_entry_is_taken() -> None:
    """65,535 bytes, what a tile's two-byte length can say, are not too many."""
    longest = replace(GOOD, entries=(replace(pending(3, 8), entry=bytes(65_535)), *GOOD.entries[1:]))
    assert len(longest.entries[0].entry) == 65_535


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_group_is_refused(fault: str) -> None:
    """Each rule of the group is checked by itself."""
    with pytest.raises(GroupInvalidError):
        BROKEN[fault]()


def test_a_group_claims_nothing_twice() -> None:
    """Two members of a group that claim the same are a conflict that names the claim."""
    with pytest.raises(ClaimTakenError) as refusal:
        replace(GOOD, claims=(Claim("coi", b"x", digest(4)), Claim("coi", b"x", digest(5))))
    assert (refusal.value.kind, refusal.value.key) == ("coi", b"x")


@pytest.mark.parametrize("field", ["statement_id", "statement_digest"])
def test_a_group_holds_a_statement_once(field: str) -> None:
    """Two members of a group with the same statement id or digest are a conflict."""
    first, second, third = GOOD.entries
    twin = (
        replace(third, statement_id=first.statement_id)
        if field == "statement_id"
        else replace(third, statement_digest=first.statement_digest)
    )
    with pytest.raises(ClaimTakenError) as refusal:
        replace(GOOD, entries=(first, second, twin), vault_rows=())
    assert refusal.value.kind == field


def test_a_claim_of_another_kind_is_another_claim() -> None:
    """The same key under two kinds is no conflict."""
    both = replace(GOOD, claims=(Claim("coi", b"x", digest(4)), Claim("co_signature", b"x", digest(5))))
    assert len(both.claims) == 2
