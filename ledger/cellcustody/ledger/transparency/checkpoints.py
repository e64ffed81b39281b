"""Sign checkpoints as the log and verify them as anyone (C2SP tlog-checkpoint, tlog-cosignature).

The rules, in the order they are checked:

* The note is in its exact form, and every signature by a known key verifies.
* Its text is a checkpoint of the expected origin.
* The log signed it: at least one of the log's keys did, and every key named as required. The log's keys are of
  type 01 (Ed25519) or 06 (ML-DSA-44); type 04 is for witnesses alone.
* A witness's signature never stands in for the log's, nor the log's for a witness's.
* A tree of size 0 has the empty root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cellcustody.ledger.transparency.checkpoint_text import (
    Checkpoint,
    build_checkpoint_text,
    parse_checkpoint_text,
)
from cellcustody.ledger.transparency.errors import (
    CheckpointOriginError,
    CheckpointRootError,
    CheckpointUnsignedError,
    VerifierKeyMalformedError,
)
from cellcustody.ledger.transparency.merkle import EMPTY_ROOT
from cellcustody.ledger.transparency.note_keys import NoteKeyType, parse_vkey
from cellcustody.ledger.transparency.notes import NoteSigner, VerifiedSignature, parse_note, sign_note, verify_note

__all__ = [
    "Checkpoint",
    "VerifiedCheckpoint",
    "build_checkpoint_text",
    "parse_checkpoint",
    "parse_checkpoint_text",
    "sign_checkpoint",
    "verify_checkpoint",
]


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """What a log signed, who else signed it, and whether the extension lines are signed at all.

    ML-DSA-44 does not cover extension lines: where `extension_lines_signed` is False and there are some, they are
    anybody's words.
    """

    origin: str
    size: int
    root: bytes
    extension_lines: tuple[str, ...]
    extension_lines_signed: bool
    log_signatures: tuple[VerifiedSignature, ...]
    witness_signatures: tuple[VerifiedSignature, ...]


def parse_checkpoint(raw: bytes) -> Checkpoint:
    """Returns what a signed checkpoint says, unverified.

    Raises:
        NoteMalformedError: the note is not in its exact form.
        CheckpointMalformedError: its text is not a checkpoint.
    """
    return parse_checkpoint_text(parse_note(raw).text)


def sign_checkpoint(
    origin: str, size: int, root: bytes, signers: Sequence[NoteSigner], *, timestamp_seconds: int
) -> bytes:
    """Returns the signed checkpoint of a tree, by all of the log's signers.

    The caller answers for the log's one promise: never to sign a tree that is not consistent with every tree it
    signed before.

    Args:
        origin: the log's identity, the first line.
        size: number of leaves.
        root: 32 bytes.
        signers: the log's keys, each named as the origin, types 01 and 06.
        timestamp_seconds: time of signing since the epoch, not zero.

    Raises:
        VerifierKeyMalformedError: a signer is not a key of this log.
        CheckpointMalformedError: the values make no checkpoint.
    """
    for signer in signers:
        key = parse_vkey(signer.vkey)
        if key.name != origin or key.type is NoteKeyType.ED25519_COSIGNATURE:
            raise VerifierKeyMalformedError("the signer is not a key of this log", name=key.name, origin=origin)
    return sign_note(build_checkpoint_text(origin, size, root), signers, timestamp_seconds=timestamp_seconds)


def verify_checkpoint(
    raw: bytes,
    origin: str,
    log_vkeys: Sequence[str],
    *,
    required_vkeys: Sequence[str] = (),
    witness_vkeys: Sequence[str] = (),
) -> VerifiedCheckpoint:
    """Returns what the log of this origin signed.

    Args:
        raw: the signed checkpoint.
        origin: the log that is expected.
        log_vkeys: the log's keys; one of them must have signed.
        required_vkeys: keys of the log that must have signed, each.
        witness_vkeys: keys of witnesses, whose signatures are verified and returned, and not demanded here.

    Raises:
        VerifierKeyMalformedError: a verifier key is malformed or of a type unfit for its part.
        NoteMalformedError, CheckpointMalformedError: the bytes are not in their exact form.
        NoteSignatureError: the signature of a known key does not verify.
        NoteUnsignedError, CheckpointUnsignedError: the log, or a required key, did not sign.
        CheckpointOriginError: the checkpoint is of another log.
        CheckpointRootError: an empty tree with a root that is not the empty root.
    """
    log_keys = {parse_vkey(vkey) for vkey in (*log_vkeys, *required_vkeys)}
    for key in log_keys:
        if key.type is NoteKeyType.ED25519_COSIGNATURE:
            raise VerifierKeyMalformedError("a log's key is not of a witness's type", name=key.name)
    # A key that the log signs with is the log's, whatever other list it is in.
    witness_keys = {parse_vkey(vkey) for vkey in witness_vkeys}
    log_materials = {key.public_key for key in log_keys}
    for key in witness_keys:
        if key.type is NoteKeyType.ED25519:
            raise VerifierKeyMalformedError("a witness's key is not of a cosignature's type", name=key.name)

    # (1): The signatures cover these very bytes. Nothing in them is believed before this step.
    note = verify_note(raw, (*log_vkeys, *required_vkeys, *witness_vkeys))

    # (2): The text is a checkpoint of the log that is expected.
    checkpoint = parse_checkpoint_text(note.text)
    if checkpoint.origin != origin:
        raise CheckpointOriginError("the checkpoint is of another log", expected=origin, found=checkpoint.origin)

    # (3): The log itself signed it, with every key that must.
    by_log = tuple(signature for signature in note.signatures if signature.key in log_keys)
    if not by_log:
        raise CheckpointUnsignedError("no key of the log signed the checkpoint", origin=origin)
    signed = {signature.key for signature in by_log}
    for vkey in required_vkeys:
        if parse_vkey(vkey) not in signed:
            raise CheckpointUnsignedError("a required key did not sign the checkpoint", origin=origin, vkey=vkey)

    # (4): An empty tree has one root.
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise CheckpointRootError("an empty tree has the empty root", root=checkpoint.root)

    return VerifiedCheckpoint(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root,
        extension_lines=checkpoint.extension_lines,
        extension_lines_signed=any(signature.key.type is NoteKeyType.ED25519 for signature in by_log),
        log_signatures=by_log,
        witness_signatures=tuple(
            signature
            for signature in note.signatures
            if signature.key in witness_keys and signature.key.public_key not in log_materials
        ),
    )
