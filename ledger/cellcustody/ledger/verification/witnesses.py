"""Hold checkpoints and receipts to the witness policy that an anchor carries (docs/formats/witness.md).

The rules:

* Without an anchor, or with one that names no policy, nothing is said of witnesses: None, never a success.
* The log's own keys are known from elsewhere: in a dossier from its registry, for a receipt from the anchor.
* Where fewer witnesses cosigned than the quorum asks for, the error names those that did and those that are lacking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.transparency import (
    VerifiedCheckpoint,
    format_vkey,
    parse_log_proof,
    parse_policy,
    parse_vkey,
    verify_log_proof,
    verify_witnesses,
)
from cellcustody.ledger.transparency.errors import QuorumUnmetError
from cellcustody.ledger.verification.errors import CheckpointInvalidError, InclusionInvalidError, WitnessQuorumError

__all__ = ["CheckedReceipt", "signing_vkeys", "verify_anchored_witnesses", "verify_receipt"]


class CheckedReceipt(NamedTuple):
    """An entry that is in the log. `witnesses` are the names of those that cosigned; None: nobody asked for any."""

    leaf_index: int
    checkpoint: VerifiedCheckpoint
    witnesses: tuple[str, ...] | None


def signing_vkeys(checkpoint: VerifiedCheckpoint) -> tuple[str, ...]:
    """Returns the verifier keys of the log that signed a verified checkpoint."""
    keys = (signature.key for signature in checkpoint.log_signatures)
    return tuple(format_vkey(key.name, key.type, key.public_key) for key in keys)


def verify_anchored_witnesses(raw: bytes, anchor: Anchor | None, log_vkeys: Sequence[str]) -> tuple[str, ...] | None:
    """Returns the names of the policy's witnesses that cosigned a checkpoint, once they are a quorum of the anchor's.

    `log_vkeys` are the keys that sign for the log at the checkpoint's size, of which one signed. None where the anchor
    asks for no witness.

    Raises:
        WitnessQuorumError: too few cosigned.
        CheckpointInvalidError: a cosignature does not verify, or the policy does not fit this log.
    """
    if anchor is None or not anchor.witness_policy:
        return None
    try:
        policy = parse_policy(anchor.witness_policy.encode())
        verified = verify_witnesses(raw, policy, anchor.log_origin, log_vkeys)
    except QuorumUnmetError as unmet:
        raise WitnessQuorumError(
            "fewer witnesses cosigned than the anchor asks for",
            signed=unmet.values["signed"],
            lacking=unmet.values["lacking"],
            size=unmet.values["size"],
        ) from unmet
    except CellcustodyError as defect:
        raise CheckpointInvalidError("the anchor's policy does not fit this log", defect=str(defect)) from defect
    signed = {signature.key for signature in verified.witness_signatures}
    return tuple(name.decode(errors="replace") for name, vkey in policy.witnesses.items() if parse_vkey(vkey) in signed)


def verify_receipt(
    receipt: bytes, entry: bytes, anchor: Anchor, *, log_vkeys: Sequence[str] | None = None
) -> CheckedReceipt:
    """Returns where an entry stands in the log of the anchor, under a checkpoint that its witnesses cosigned.

    `log_vkeys` are the log's keys at the receipt's size, where the anchor is older than a rotation of them.

    Raises:
        WitnessQuorumError: fewer witnesses cosigned than the anchor asks for.
        CheckpointInvalidError: the log did not sign, or a cosignature does not verify.
        InclusionInvalidError: the receipt does not lead from this entry to the checkpoint.
    """
    keys = anchor.log_keys if log_vkeys is None else tuple(log_vkeys)

    # (1): The log signed the checkpoint, and the entry is under it.
    try:
        parts = parse_log_proof(receipt)
        proof = verify_log_proof(receipt, leaf_hash_of(entry), anchor.log_origin, keys)
    except CellcustodyError as defect:
        wrong = InclusionInvalidError if defect.reason == "INCLUSION_PROOF_INVALID" else CheckpointInvalidError
        raise wrong("the receipt does not show that the entry is in the log", defect=str(defect)) from defect

    # (2): Others saw the same log.
    return CheckedReceipt(proof.index, proof.checkpoint, verify_anchored_witnesses(parts.checkpoint, anchor, keys))
