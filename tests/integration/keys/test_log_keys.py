"""The log's own keys rotate, overlap and get lost; whoever has an old anchor follows, offline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from key_world import REGISTRY, KeyWorld, new_log_signers

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.judging import LogKeyNotHereError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.writer import LedgerStoppedError
from cellcustody.ledger.registry.errors import RegistryFieldInvalidError
from cellcustody.ledger.transparency import parse_checkpoint, sign_checkpoint, verify_checkpoint
from cellcustody.ledger.verification import (
    CheckpointInvalidError,
    InclusionInvalidError,
    IssuerMismatchError,
    KeyFinding,
    Outcome,
    checkpoint_standing,
    verify_dossier,
    verify_log_checkpoint,
    verify_receipt_by_registry,
)
from cellcustody.v1 import registry_pb2


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeyWorld]:
    """A ledger of the test's own."""
    made = KeyWorld(tmp_path)
    yield made
    made.close()


def rotation(world: KeyWorld, overlap: int, lost: tuple[str, ...] = (), **more: int) -> registry_pb2.LogKeysRotated:
    """Draws new keys, lets the ledger start with old and new ones, and returns the act that rotates to them."""
    new = new_log_signers()
    world.harness.log_signers = (*world.harness.log_signers, *new)
    world.harness.reopen()
    size = world.harness.store.head().size
    return registry_pb2.LogKeysRotated(
        log_keys=[one.vkey for one in new],
        overlap_until_size=size + overlap if overlap else 0,
        lost_keys=lost,
        **more,
    )


def test_an_old_anchor_leads_through_a_rotation_and_its_overlap(world: KeyWorld) -> None:
    """During the overlap all four keys sign, after it the new two; the anchor of the founding verifies both."""
    old, body = world.harness.log_signers, rotation(world, overlap=4)
    world.enacts(body)
    registry = world.harness.ledger.registry
    during = world.harness.ledger.checkpoint()
    assert len(verify_log_checkpoint(during, registry, world.anchor).log_signatures) == 4
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED

    for _ in range(3):
        world.says(world.second)
    world.harness.log_signers = world.harness.log_signers[2:]
    world.harness.reopen()  # The former keys are gone now, and nobody misses them.
    world.says(world.second)
    after = world.harness.ledger.checkpoint()
    assert len(verify_log_checkpoint(after, world.harness.ledger.registry, world.anchor).log_signatures) == 2
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED
    assert verify_dossier(world.dossier(), world.anchor_now()).outcome is Outcome.VERIFIED
    with pytest.raises(CellcustodyError):
        verify_checkpoint(after, world.anchor.log_origin, [one.vkey for one in old])


@pytest.mark.parametrize("missing", range(4))
def test_in_the_overlap_every_key_signs_or_the_checkpoint_counts_not(world: KeyWorld, missing: int) -> None:
    """A checkpoint without one of the four, or by the old two alone, is none of this log's."""
    world.enacts(rotation(world, overlap=4))
    said = parse_checkpoint(world.harness.ledger.checkpoint())
    for signers in (
        [one for number, one in enumerate(world.harness.log_signers) if number != missing],
        list(world.harness.log_signers[:2]),
    ):
        note = sign_checkpoint(said.origin, said.size, said.root, signers, timestamp_seconds=1_800_000_000)
        with pytest.raises(CheckpointInvalidError):
            verify_log_checkpoint(note, world.harness.ledger.registry, world.anchor)


def test_an_anchor_does_not_lead_back(world: KeyWorld) -> None:
    """What ends before the anchor's keys began proves nothing to whoever has only these."""
    before = world.dossier()
    world.enacts(rotation(world, overlap=4))
    world.harness.log_signers = world.harness.log_signers[2:]
    with pytest.raises(IssuerMismatchError):
        verify_dossier(before, world.anchor_now())
    assert verify_dossier(before, world.anchor).outcome is Outcome.VERIFIED


def test_a_rotation_to_a_key_that_is_not_here_is_refused(world: KeyWorld) -> None:
    """The ledger would stop at its next checkpoint."""
    body = registry_pb2.LogKeysRotated(log_keys=[one.vkey for one in new_log_signers()])
    with pytest.raises(LogKeyNotHereError):
        world.enacts(body)
    world.says(world.second)
    assert world.harness.ledger.stopped is None


def test_a_lost_key_is_replaced_without_its_signature(world: KeyWorld) -> None:
    """The registrars' statements are recorded before anything is signed; an old anchor leads across the loss."""
    harness = world.harness
    lost = harness.log_signers[0]
    new = new_log_signers()[:1]
    body = registry_pb2.LogKeysRotated(log_keys=[new[0].vkey, harness.log_signers[1].vkey], lost_keys=[lost.vkey])
    proposed = harness.statement(harness.registrars[0], REGISTRY, body)
    digest = world.digest_of(proposed)
    joined = harness.statement(harness.registrars[1], REGISTRY, None, joins=digest)
    harness.log_signers = (*new, harness.log_signers[1])

    harness.replaces_log_keys = True
    harness.reopen()
    results = harness.ledger.submit_many([proposed, joined], timeout_seconds=30)
    assert all(isinstance(one, Recorded) for one in results)
    assert harness.ledger.stopped is None
    harness.replaces_log_keys = False
    harness.reopen()
    world.says(world.second)

    checkpoint = verify_log_checkpoint(harness.ledger.checkpoint(), harness.ledger.registry, world.anchor)
    assert len(checkpoint.log_signatures) == 2
    report = verify_dossier(world.dossier(), world.anchor)
    assert report.outcome is Outcome.VERIFIED
    thief = sign_checkpoint(
        checkpoint.origin, checkpoint.size, checkpoint.root, [lost], timestamp_seconds=1_800_000_000
    )
    with pytest.raises(CheckpointInvalidError):
        verify_log_checkpoint(thief, harness.ledger.registry, world.anchor)


def test_without_the_quorum_a_lost_key_stops_the_ledger_and_signs_nothing(world: KeyWorld) -> None:
    """One registrar's word is recorded and not published; the second one's, later, is."""
    harness = world.harness
    new = new_log_signers()
    body = registry_pb2.LogKeysRotated(
        log_keys=[one.vkey for one in new], lost_keys=[one.vkey for one in harness.log_signers]
    )
    proposed = harness.statement(harness.registrars[0], REGISTRY, body)
    joined = harness.statement(harness.registrars[1], REGISTRY, None, joins=world.digest_of(proposed))
    size = parse_checkpoint(harness.ledger.checkpoint()).size
    harness.log_signers, harness.replaces_log_keys = new, True
    harness.reopen()
    with pytest.raises(LedgerStoppedError):
        harness.ledger.submit(proposed, timeout_seconds=30)
    assert harness.ledger.published is not None and harness.ledger.published.head.size == size
    harness.reopen()
    harness.ledger.submit_many([proposed, joined], timeout_seconds=30)
    assert parse_checkpoint(harness.ledger.checkpoint()).size == size + 2
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED


@pytest.mark.parametrize("wrong", ["a stranger's", "one of the new", "without a loss", "of the future"])
def test_only_keys_of_the_log_are_lost(world: KeyWorld, wrong: str) -> None:
    """A loss names former keys, and a size of the past."""
    body = rotation(world, overlap=0, lost=(world.harness.log_signers[0].vkey,))
    match wrong:
        case "a stranger's":
            body.lost_keys[:] = [new_log_signers()[0].vkey]
        case "one of the new":
            body.lost_keys[:] = [body.log_keys[0]]
        case "without a loss":
            del body.lost_keys[:]
            body.compromised_since_size = 1
        case _:
            body.compromised_since_size = world.harness.store.head().size + 1
    with pytest.raises(RegistryFieldInvalidError):
        world.enacts(body)


def test_receipts_of_every_era_lead_back_to_the_old_anchor(world: KeyWorld) -> None:
    """A receipt of before the rotation, one of the overlap and one of after it: each by the keys of its size."""
    harness = world.harness
    receipts = [(harness.store.entry(3), harness.ledger.receipt(3))]
    world.enacts(rotation(world, overlap=2))
    receipts.append((harness.store.entry(4), harness.ledger.receipt(4)))
    world.says(world.second)
    receipts.append((harness.store.entry(5), harness.ledger.receipt(5)))
    for number, (entry, receipt) in enumerate(receipts):
        found = verify_receipt_by_registry(receipt, entry, harness.ledger.registry, world.anchor)
        assert (found.leaf_index, found.standing) == (3 + number, KeyFinding.VALID)
        with pytest.raises(InclusionInvalidError):
            verify_receipt_by_registry(receipt, entry + b"\x00", harness.ledger.registry, world.anchor)


def test_what_a_stolen_log_key_signed_alone_is_suspect(world: KeyWorld) -> None:
    """Up to the size named it stays valid; beyond it, and up to the new keys, it needs a proof of consistency."""
    harness = world.harness
    stolen = tuple(one.vkey for one in harness.log_signers)
    safe = harness.store.head().size
    world.says(world.second)
    doubtful = harness.ledger.receipt(4)
    beyond = harness.store.head().size
    world.enacts(rotation(world, 0, stolen, compromised_since_size=safe))
    registry = harness.ledger.registry
    assert checkpoint_standing(registry, safe) is KeyFinding.VALID
    assert checkpoint_standing(registry, safe + 1) is KeyFinding.SUSPECT
    found = verify_receipt_by_registry(doubtful, harness.store.entry(4), registry, world.anchor)
    assert (found.checkpoint.size, found.standing) == (beyond, KeyFinding.SUSPECT)
    now = harness.store.head().size
    assert checkpoint_standing(registry, now) is KeyFinding.VALID
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED


def test_a_key_that_was_found_again_signs_again(world: KeyWorld) -> None:
    """Suspect is what it signed before it was said to be lost; what it signs after it was taken back is not."""
    harness = world.harness
    first = harness.log_signers
    safe = harness.store.head().size
    world.says(world.second)
    world.enacts(rotation(world, 0, tuple(one.vkey for one in first), compromised_since_size=safe))
    between = harness.store.head().size
    world.enacts(registry_pb2.LogKeysRotated(log_keys=[one.vkey for one in first]))
    registry = harness.ledger.registry
    assert checkpoint_standing(registry, safe + 1) is KeyFinding.SUSPECT
    assert checkpoint_standing(registry, between) is KeyFinding.VALID
    assert checkpoint_standing(registry, harness.store.head().size) is KeyFinding.VALID
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED
