"""Read, write and verify tlog-proofs, which are this ledger's receipts (C2SP tlog-proof).

The rules:

* First line `c2sp.org/tlog-proof@v1`; then, only if there is extra data, `extra` and its base64; then `index` and
  the leaf's index, plain decimal; then the inclusion hashes, base64 of 32 bytes each, from the leaf's sibling up;
  then an empty line; then the signed checkpoint, verbatim.
* An `extra` line without data is not in the form: without data the line is left out.
* Extra data are authenticated by nothing and are never trusted here.
* A proof is verified by its checkpoint first, then by its path to the checkpoint's root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.transparency.checkpoints import VerifiedCheckpoint, parse_checkpoint, verify_checkpoint
from cellcustody.ledger.transparency.encoding import (
    HASH_SIZE_BYTES,
    UINT64_MAX,
    decode_base64,
    decode_decimal,
    encode_base64,
)
from cellcustody.ledger.transparency.errors import LogProofMalformedError
from cellcustody.ledger.transparency.merkle import verify_inclusion

__all__ = ["LogProof", "VerifiedLogProof", "build_log_proof", "parse_log_proof", "verify_log_proof"]

LOG_PROOF_HASHES_MAX: Final = 64  # The path in a tree of 2^64 leaves.
_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class LogProof:
    """A proof as it was read: nothing in it is verified."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""


@dataclass(frozen=True, slots=True)
class VerifiedLogProof:
    """Where a leaf stands, and the checkpoint under which it stands there; `extra` is not authenticated."""

    index: int
    checkpoint: VerifiedCheckpoint
    extra: bytes


def build_log_proof(index: int, hashes: Sequence[bytes], checkpoint: bytes, *, extra: bytes = b"") -> bytes:
    """Returns the bytes of a proof; empty `extra` leaves its line out.

    Raises:
        LogProofMalformedError: index or hashes make no proof. The checkpoint is taken as it is.
    """
    if not 0 <= index <= UINT64_MAX or len(hashes) > LOG_PROOF_HASHES_MAX:
        raise LogProofMalformedError("index or path is out of bounds", index=index, hashes=len(hashes))
    if any(len(step) != HASH_SIZE_BYTES for step in hashes):
        raise LogProofMalformedError("a hash is not 32 bytes")
    lines = [_HEADER]
    if extra:
        lines.append(f"extra {encode_base64(extra)}")
    lines.append(f"index {index}")
    lines += map(encode_base64, hashes)
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


def parse_log_proof(raw: bytes) -> LogProof:
    """Returns the parts of a proof, unverified.

    Raises:
        LogProofMalformedError: the lines before the checkpoint are not in the exact form.
        NoteMalformedError, CheckpointMalformedError: the checkpoint is not.
    """
    head, divider, checkpoint = raw.partition(b"\n\n")
    if not divider:
        raise LogProofMalformedError("no empty line precedes a checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as refusal:
        raise LogProofMalformedError("the proof is not ASCII before its checkpoint") from refusal
    if lines.pop(0) != _HEADER:
        raise LogProofMalformedError("the first line is not the header of this format")

    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _base64(lines.pop(0).removeprefix("extra "), "extra")
        if not extra:
            raise LogProofMalformedError("an extra line without data")
    if not lines or not lines[0].startswith("index "):
        raise LogProofMalformedError("the index line is missing")
    index_text = lines.pop(0).removeprefix("index ")
    try:
        index = decode_decimal(index_text)
    except ValueError as refusal:
        raise LogProofMalformedError("the index is not a plain number", index=repr(index_text)) from refusal
    if len(lines) > LOG_PROOF_HASHES_MAX:
        raise LogProofMalformedError("the path is too long for any tree", hashes=len(lines))
    hashes = tuple(_base64(line, "hash") for line in lines)
    if any(len(step) != HASH_SIZE_BYTES for step in hashes):
        raise LogProofMalformedError("a hash is not 32 bytes")
    parse_checkpoint(checkpoint)
    return LogProof(index, hashes, checkpoint, extra)


def verify_log_proof(
    raw: bytes,
    leaf_hash: bytes,
    origin: str,
    log_vkeys: Sequence[str],
    *,
    required_vkeys: Sequence[str] = (),
    witness_vkeys: Sequence[str] = (),
) -> VerifiedLogProof:
    """Returns where the leaf with this 32-byte hash stands in the log of this origin.

    The keys are those of `verify_checkpoint`.

    Raises:
        MalformedError: proof, checkpoint or a verifier key is not in its exact form.
        VerificationError: the checkpoint is not the log's, or the path does not lead to its root.
    """
    proof = parse_log_proof(raw)

    # (1): The checkpoint is the log's.
    checkpoint = verify_checkpoint(
        proof.checkpoint, origin, log_vkeys, required_vkeys=required_vkeys, witness_vkeys=witness_vkeys
    )

    # (2): The leaf is in the tree that the checkpoint names.
    verify_inclusion(proof.index, checkpoint.size, leaf_hash, proof.hashes, checkpoint.root)
    return VerifiedLogProof(proof.index, checkpoint, proof.extra)


def _base64(text: str, of: str) -> bytes:
    try:
        return decode_base64(text)
    except ValueError as refusal:
        raise LogProofMalformedError("a line is not base64", of=of, line=repr(text[:100])) from refusal
