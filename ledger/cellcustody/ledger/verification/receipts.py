"""Verify receipts and checkpoints of any time with the log's keys as the registry tells them.

The rules:

* Which keys must have signed follows from the size, through every rotation (`dossiers.verify_log_checkpoint`).
* A checkpoint that a key has signed which was later said to be lost, and others to have it since a smaller size, is
  SUSPECT: it proves something only with a consistency proof to a checkpoint of newer keys, which is the caller's to ask
  for. Every other one that verifies is VALID.
"""

from __future__ import annotations

from typing import NamedTuple

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor, RegistryState
from cellcustody.ledger.transparency import VerifiedCheckpoint, parse_log_proof, verify_inclusion
from cellcustody.ledger.verification.dossiers import verify_log_checkpoint
from cellcustody.ledger.verification.errors import InclusionInvalidError
from cellcustody.ledger.verification.report import KeyFinding

__all__ = ["VerifiedReceipt", "checkpoint_standing", "verify_receipt_by_registry"]


class VerifiedReceipt(NamedTuple):
    """Where an entry stands, under which checkpoint, and what that checkpoint is worth by all that is known now."""

    leaf_index: int
    checkpoint: VerifiedCheckpoint
    standing: KeyFinding


def checkpoint_standing(registry: RegistryState, size: int) -> KeyFinding:
    """Returns what a checkpoint of this size is worth that its own keys have signed: VALID or SUSPECT."""
    keys = registry.as_of(size).log_keys
    signing = frozenset(keys.signing(size)) if keys is not None else frozenset()
    for leaf_index, era in registry.log_keys.changes(1 << 63):
        since = era.compromised_since_size
        if leaf_index >= size and since is not None and size > since and not signing.isdisjoint(era.lost):
            return KeyFinding.SUSPECT
    return KeyFinding.VALID


def verify_receipt_by_registry(
    receipt: bytes, entry: bytes, registry: RegistryState, anchor: Anchor | None
) -> VerifiedReceipt:
    """Returns where `entry` stands by a receipt of any time; without an anchor the issuer is unproven.

    Raises:
        IssuerMismatchError, CheckpointInvalidError: the checkpoint is not the log's.
        InclusionInvalidError: the receipt is not in its form, or of another entry.
    """
    try:
        proof = parse_log_proof(receipt)
    except CellcustodyError as defect:
        raise InclusionInvalidError("a receipt is not in its form", defect=str(defect)) from defect
    checkpoint = verify_log_checkpoint(proof.checkpoint, registry, anchor)
    try:
        verify_inclusion(proof.index, checkpoint.size, leaf_hash_of(entry), proof.hashes, checkpoint.root)
    except CellcustodyError as defect:
        raise InclusionInvalidError("a receipt is of another entry", defect=str(defect)) from defect
    return VerifiedReceipt(proof.index, checkpoint, checkpoint_standing(registry, checkpoint.size))
