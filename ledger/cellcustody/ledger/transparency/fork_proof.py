"""Prove, and verify offline, that a log signed two checkpoints that cannot both be true.

The rules:

* A proof is a JSON object in UTF-8 with exactly these members: `format` (cellcustody-fork-proof), `format_version` (1),
  `first` and `second` (the signed checkpoints, verbatim, as text), `prefix_root` and `proof`.
* Both checkpoints are of the same origin and signed by a key of the log. The first is not the larger.
* Of equal size: their roots differ; `prefix_root` is empty and `proof` is an empty list.
* Of different size: `proof` (base64, one text for each hash) shows that the tree of the second begins with one of the
  first one's size whose root is `prefix_root` (base64), and that root is not the first one's. As nobody can find two
  trees of one root, nothing leads from the first to the second.

Whoever has the log's keys can check it, years later and without asking anybody. No I/O here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.transparency.checkpoints import VerifiedCheckpoint, parse_checkpoint, verify_checkpoint
from cellcustody.ledger.transparency.encoding import HASH_SIZE_BYTES, decode_base64, encode_base64
from cellcustody.ledger.transparency.errors import ForkProofMalformedError, ForkUnprovenError
from cellcustody.ledger.transparency.merkle import verify_consistency

__all__ = ["ForkProof", "ProvenFork", "build_fork_proof", "parse_fork_proof", "verify_fork_proof"]

FORK_PROOF_BYTES_MAX: Final = 4_194_304  # Two notes at their limit, and 64 hashes.
_FORMAT: Final = "cellcustody-fork-proof"
_FORMAT_VERSION: Final = 1
_MEMBERS: Final = frozenset({"format", "format_version", "first", "second", "prefix_root", "proof"})
_HASHES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class ForkProof:
    """A proof as it was read: nothing in it is verified. `prefix_root` is empty where the sizes are equal."""

    first: bytes
    second: bytes
    prefix_root: bytes = b""
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvenFork:
    """Two checkpoints that one log signed and that contradict each other."""

    first: VerifiedCheckpoint
    second: VerifiedCheckpoint


def build_fork_proof(first: bytes, second: bytes, *, prefix_root: bytes = b"", proof: Sequence[bytes] = ()) -> bytes:
    """Returns the file that shows two signed checkpoints to contradict each other, the smaller one first."""
    members = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "first": first.decode("utf-8"),
        "second": second.decode("utf-8"),
        "prefix_root": encode_base64(prefix_root),
        "proof": [encode_base64(step) for step in proof],
    }
    return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"


def parse_fork_proof(raw: bytes) -> ForkProof:
    """Returns the parts of a proof, unverified.

    Raises:
        ForkProofMalformedError: it is not in its exact form.
        NoteMalformedError, CheckpointMalformedError: a checkpoint in it is not.
    """
    if len(raw) > FORK_PROOF_BYTES_MAX:
        raise ForkProofMalformedError("a proof of a fork is a small file", length=len(raw))
    try:
        members: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as refusal:
        raise ForkProofMalformedError("a proof of a fork is JSON in UTF-8", length=len(raw)) from refusal
    if not isinstance(members, dict) or set(members) != _MEMBERS:
        raise ForkProofMalformedError("a proof of a fork has exactly its members", expected=" ".join(sorted(_MEMBERS)))
    version = members["format_version"]
    if members["format"] != _FORMAT or type(version) is not int or version != _FORMAT_VERSION:
        raise ForkProofMalformedError("another format or version", member="format_version")
    steps = members["proof"]
    if not isinstance(steps, list) or len(steps) > _HASHES_MAX:
        raise ForkProofMalformedError("a proof is a list of hashes", member="proof")
    found = ForkProof(
        first=_note("first", members["first"]),
        second=_note("second", members["second"]),
        prefix_root=_hash("prefix_root", members["prefix_root"], may_be_empty=True),
        proof=tuple(_hash("proof", step) for step in steps),
    )
    for note in (found.first, found.second):
        parse_checkpoint(note)
    return found


def verify_fork_proof(raw: bytes, origin: str, log_vkeys: Sequence[str]) -> ProvenFork:
    """Returns the two checkpoints of the log of this origin that a proof shows to contradict each other.

    Raises:
        MalformedError: the proof, a checkpoint or a key is not in its exact form.
        ForkUnprovenError: the two may both be true, for all that the proof shows.
        VerificationError: a checkpoint is not the log's, or the consistency proof in it does not hold.
    """
    fork = parse_fork_proof(raw)

    # (1): The log signed both.
    first = verify_checkpoint(fork.first, origin, log_vkeys)
    second = verify_checkpoint(fork.second, origin, log_vkeys)
    if first.size > second.size:
        raise ForkUnprovenError("the smaller checkpoint comes first", first=first.size, second=second.size)

    # (2): One size has one root.
    if first.size == second.size:
        if fork.prefix_root or fork.proof:
            raise ForkProofMalformedError("checkpoints of one size need no proof")
        if first.root == second.root:
            raise ForkUnprovenError("the two checkpoints say the same", size=first.size)
        return ProvenFork(first, second)

    # (3): The tree of the second begins otherwise than the first says.
    verify_consistency(first.size, second.size, fork.prefix_root, second.root, fork.proof)
    if fork.prefix_root == first.root:
        raise ForkUnprovenError("the second checkpoint continues the first", first=first.size, second=second.size)
    return ProvenFork(first, second)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ForkProofMalformedError("a member is repeated", members=" ".join(name for name, _ in pairs))
    return members


def _note(member: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise ForkProofMalformedError("a checkpoint is text", member=member)
    try:
        return value.encode()
    except UnicodeEncodeError as refusal:
        raise ForkProofMalformedError("a checkpoint is text in UTF-8", member=member) from refusal


def _hash(member: str, value: object, *, may_be_empty: bool = False) -> bytes:
    try:
        decoded = decode_base64(value) if isinstance(value, str) else b""
    except ValueError as refusal:
        raise ForkProofMalformedError("a hash is base64", member=member) from refusal
    if not isinstance(value, str) or len(decoded) not in ((0, HASH_SIZE_BYTES) if may_be_empty else (HASH_SIZE_BYTES,)):
        raise ForkProofMalformedError("a hash is 32 bytes in base64", member=member)
    return decoded
