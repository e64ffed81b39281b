"""Witness a log: read what it submits, hold it to what was cosigned before, and cosign (C2SP tlog-witness).

The rules of a witness, in the order in which they are checked; each failure has one status over HTTP:

1. The request is in its exact form: `old <size>`, at most 63 hashes in base64, an empty line, a checkpoint (400).
2. The checkpoint's origin is that of a log that is witnessed here (404).
3. One of the log's keys signed it, and no signature of a known key fails (403).
4. The old size is not above the checkpoint's (400).
5. The old size is that of the last checkpoint cosigned for this origin, 0 before the first (409, with that size).
6. The checkpoint continues that one (422): an empty tree has the empty root; a proof from size 0 is empty; equal sizes
   have equal roots and an empty proof; otherwise the consistency proof verifies.

What passes is made durable in the same transaction that found rule 5 to hold, and only then answered. The status of
rule 6 where roots of equal size differ is 422, as the text says since July 2026; it was 409 before.

And the rule of a log that asks: a witness's answer counts for the keys it is known by, and for the text that was sent.

This module reads no clock, no network and no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cellcustody.ledger.transparency.checkpoints import VerifiedCheckpoint, parse_checkpoint, verify_checkpoint
from cellcustody.ledger.transparency.encoding import (
    HASH_SIZE_BYTES,
    UINT64_MAX,
    decode_base64,
    decode_decimal,
    encode_base64,
)
from cellcustody.ledger.transparency.errors import (
    ConsistencyProofError,
    NoteMalformedError,
    NoteUnsignedError,
    OldSizeError,
    OriginUnknownError,
    WitnessRequestMalformedError,
    WitnessStateError,
)
from cellcustody.ledger.transparency.merkle import EMPTY_ROOT, verify_consistency
from cellcustody.ledger.transparency.note_keys import parse_vkey
from cellcustody.ledger.transparency.notes import (
    NoteSignature,
    NoteSigner,
    format_note,
    parse_note,
    parse_signature_line,
    verify_note,
)

__all__ = [
    "SIZE_CONTENT_TYPE",
    "WITNESS_PROOF_HASHES_MAX",
    "AddCheckpoint",
    "CosignedHead",
    "add_cosignatures",
    "build_add_checkpoint",
    "check_submission",
    "cosign",
    "origin_hash",
    "parse_add_checkpoint",
    "parse_cosignatures",
    "parse_size",
    "read_cosignatures",
]

WITNESS_PROOF_HASHES_MAX: Final = 63  # tlog-witness: a client must not send more.
SIZE_CONTENT_TYPE: Final = "text/x.tlog.size"
_ANSWER_SIZE_MAX_BYTES: Final = 262_144  # A hundred lines of ML-DSA-44 would be more than anybody sends.


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request as it was read; nothing in it is verified."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class CosignedHead:
    """The last head that a witness cosigned for one origin: tree size and 32-byte root."""

    size: int
    root: bytes


def origin_hash(origin: str) -> str:
    """Returns the name under which a witness shows its last checkpoint of a log: SHA-256 of the origin in hex."""
    return sha256(origin.encode()).hexdigest()


def build_add_checkpoint(old_size: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Returns the body of an `add-checkpoint` request.

    Raises:
        WitnessRequestMalformedError: size or proof make no request. The checkpoint is taken as it is.
    """
    if not 0 <= old_size <= UINT64_MAX or len(proof) > WITNESS_PROOF_HASHES_MAX:
        raise WitnessRequestMalformedError("size or proof is out of bounds", old_size=old_size, hashes=len(proof))
    if any(len(step) != HASH_SIZE_BYTES for step in proof):
        raise WitnessRequestMalformedError("a hash is not 32 bytes")
    lines = [f"old {old_size}", *map(encode_base64, proof)]
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


def parse_add_checkpoint(raw: bytes) -> AddCheckpoint:
    """Returns the parts of an `add-checkpoint` request, unverified.

    Raises:
        WitnessRequestMalformedError: the lines before the checkpoint are not in the exact form.
        NoteMalformedError, CheckpointMalformedError: the checkpoint is not.
    """
    head, divider, checkpoint = raw.partition(b"\n\n")
    if not divider:
        raise WitnessRequestMalformedError("no empty line precedes a checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as refusal:
        raise WitnessRequestMalformedError("the request is not ASCII before its checkpoint") from refusal
    keyword, space, size_text = first.partition(" ")
    if keyword != "old" or not space:
        raise WitnessRequestMalformedError("the first line is not the old size")
    try:
        old_size = decode_decimal(size_text)
    except ValueError as refusal:
        raise WitnessRequestMalformedError("the old size is not a plain number") from refusal
    if len(lines) > WITNESS_PROOF_HASHES_MAX:
        raise WitnessRequestMalformedError("the proof has more lines than any needs", hashes=len(lines))
    try:
        proof = tuple(map(decode_base64, lines))
    except ValueError as refusal:
        raise WitnessRequestMalformedError("a line of the proof is not base64") from refusal
    if any(len(step) != HASH_SIZE_BYTES for step in proof):
        raise WitnessRequestMalformedError("a hash is not 32 bytes")
    parse_checkpoint(checkpoint)
    return AddCheckpoint(old_size, proof, checkpoint)


def check_submission(
    request: AddCheckpoint, origin: str, log_vkeys: Sequence[str], latest: CosignedHead | None
) -> VerifiedCheckpoint:
    """Returns the checkpoint that may be cosigned for the log of this origin and these keys.

    `latest` is the last head cosigned for the origin, None before the first.

    Raises:
        OriginUnknownError: it is of another log (404).
        NoteSignatureError, NoteUnsignedError, CheckpointUnsignedError: the log did not sign it (403).
        OldSizeError: the old size is above the checkpoint's (400).
        WitnessStateError: the old size is not the last one cosigned, which it carries (409).
        CheckpointRootError, ConsistencyProofError: it does not continue the last one (422).
    """
    # (1): Of this log; nothing is believed by this, it only says which keys must have signed.
    submitted = parse_checkpoint(request.checkpoint)
    if submitted.origin != origin:
        raise OriginUnknownError("no such log is witnessed here", origin=submitted.origin)

    # (2): Signed by it. The root of an empty tree is looked at where consistency is.
    verify_note(request.checkpoint, log_vkeys)

    # (3): Going on from where this witness stands.
    if request.old_size > submitted.size:
        raise OldSizeError("the old size is above the checkpoint's", old_size=request.old_size, size=submitted.size)
    last = latest or CosignedHead(0, EMPTY_ROOT)
    if request.old_size != last.size:
        raise WitnessStateError("another size was cosigned last", size=last.size, old_size=request.old_size)

    # (4): Nothing that was cosigned is gone or altered.
    checkpoint = verify_checkpoint(request.checkpoint, origin, log_vkeys)
    if request.old_size == 0:
        if request.proof:
            raise ConsistencyProofError("a proof from size 0 is empty", hashes=len(request.proof))
    else:
        verify_consistency(request.old_size, checkpoint.size, last.root, checkpoint.root, list(request.proof))
    return checkpoint


def cosign(text: str, cosigners: Sequence[NoteSigner], *, timestamp_seconds: int) -> bytes:
    """Returns the signature lines of a witness's keys, types 04 and 06, over a checkpoint's text; the time is not 0."""
    return "".join(one.sign(text, timestamp_seconds).line() for one in cosigners).encode()


def parse_size(raw: bytes) -> int:
    """Returns the size that the body of a 409 tells.

    Raises:
        WitnessRequestMalformedError: it is not a plain number and a newline.
    """
    if not raw.endswith(b"\n"):
        raise WitnessRequestMalformedError("a size ends in a newline", length=len(raw))
    try:
        return decode_decimal(raw[:-1].decode("ascii"))
    except ValueError as refusal:
        raise WitnessRequestMalformedError("a size is a plain number", length=len(raw)) from refusal


def parse_cosignatures(raw: bytes) -> tuple[NoteSignature, ...]:
    """Returns the signature lines in a witness's answer, unverified.

    Raises:
        NoteMalformedError: they are not in their exact form, or there is none.
    """
    if len(raw) > _ANSWER_SIZE_MAX_BYTES:
        raise NoteMalformedError("an answer is too large", size_bytes=len(raw))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as refusal:
        raise NoteMalformedError("an answer is not UTF-8") from refusal
    if not text.endswith("\n"):
        raise NoteMalformedError("an answer has no signature line that ends in a newline")
    return tuple(parse_signature_line(line + "\n") for line in text[:-1].split("\n"))


def read_cosignatures(raw: bytes, text: str, witness_vkeys: Sequence[str]) -> tuple[NoteSignature, ...]:
    """Returns those lines of a witness's answer that its known keys made over this checkpoint's text, one for each key.

    Raises:
        NoteMalformedError: the answer is not in its exact form.
        NoteSignatureError, NoteUnsignedError: a known key's line does not verify, or no line is a known key's.
    """
    keys = {(key.name, key.id): key for key in map(parse_vkey, witness_vkeys)}
    found: dict[tuple[str, int], NoteSignature] = {}
    for line in parse_cosignatures(raw):
        key = keys.get((line.name, line.key_id))
        if key is not None:
            key.verify(text, line.signature)
            found[(line.name, line.key_id)] = line
    if not found:
        raise NoteUnsignedError("no key of the witness cosigned", keys=len(keys))
    return tuple(found.values())


def add_cosignatures(checkpoint: bytes, lines: Sequence[NoteSignature]) -> bytes:
    """Returns a signed checkpoint with these lines after its own; a key's earlier line gives way to its new one."""
    note = parse_note(checkpoint)
    new = {(line.name, line.key_id) for line in lines}
    kept = [line for line in note.signatures if (line.name, line.key_id) not in new]
    return format_note(note.text, [*kept, *lines])
