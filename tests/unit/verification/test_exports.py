"""A whole log is verified in chunks, and what is said of it does not depend on how they run."""

from __future__ import annotations

import hashlib

import pytest
from forge import Forge

from cellcustody.clients.parallel_verification import verify_export
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.ledger.verification import (
    EntryToVerify,
    InclusionInvalidError,
    NothingCheckedError,
    SignerInvalidError,
    StatementInvalidError,
    StreamBrokenError,
    replay_registry,
    verify_entries,
)


@pytest.fixture(scope="module")
def long() -> Forge:
    """A log of some hundred statements in several chunks."""
    forge = Forge().founds().lives()
    for _ in range(600):
        forge.records_elsewhere()
    return forge


def test_a_whole_log_is_verified_to_its_root(long: Forge) -> None:
    """One after the other or side by side, the same is found, down to the root that the checkpoint names."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8], long.anchor.founding_digest)
    root = parse_checkpoint(long.checkpoint()).root

    alone = verify_entries(entries, registry, root=root)
    together = verify_export(entries, registry, root=root, threads=3)

    assert alone == together
    assert alone.entries == alone.signatures == len(long.entries)
    assert alone.root == root
    assert (alone.suspect, alone.bodies_not_shown) == (0, 0)


def test_another_root_is_refused(long: Forge) -> None:
    """A checkpoint of another tree is not this log's."""
    entries = long.to_verify()

    with pytest.raises(InclusionInvalidError):
        verify_entries(entries, replay_registry(entries[:8]), root=hashlib.sha256(b"other").digest())


def test_nothing_is_not_verified() -> None:
    """No entry, no verdict."""
    forge = Forge().founds()

    with pytest.raises(NothingCheckedError):
        verify_entries([], replay_registry(forge.to_verify()))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_broken_entry_is_named_however_many_threads_run(threads: int) -> None:
    """Two entries are broken; the one that comes first in the log is told."""
    forge = Forge().founds().lives()
    for _ in range(300):
        forge.records_elsewhere()
    forge.nurse.role = "physician"
    forge.records_elsewhere()
    forge.records_elsewhere()
    for _ in range(300):
        forge.places_hold(Judged(Status.NONCONFORMING, (Finding("ROLE_NOT_HELD"),)))
    entries = forge.to_verify()
    broken = 8 + 7 + 300

    with pytest.raises(SignerInvalidError) as refused:
        verify_export(entries, replay_registry(entries[:8]), threads=threads)

    assert refused.value.values["leaf_index"] == str(broken)


def test_a_flipped_signature_and_a_missing_entry_are_found(long: Forge) -> None:
    """What a dossier's verifier finds, an export's finds too."""
    entries = long.to_verify()
    registry = replay_registry(entries[:8])
    raw = bytearray(entries[100].entry)
    raw[raw.index(b"\x1a") + 200] ^= 1
    bent = [*entries[:100], EntryToVerify(100, bytes(raw), entries[100].records), *entries[101:]]
    without = [*entries[:11], *entries[12:]]

    with pytest.raises((StatementInvalidError, SignerInvalidError)):
        verify_entries(bent, registry)
    with pytest.raises(StreamBrokenError):
        verify_entries(without, registry)
