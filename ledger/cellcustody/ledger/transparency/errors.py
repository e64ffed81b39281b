"""What can be wrong with the log's bytes and proofs, each condition a class of its own.

MalformedError
|- NoteMalformedError            a signed note is not in its exact form
|- VerifierKeyMalformedError     a verifier key is not in its exact form, or two keys cannot be told apart
|- CheckpointMalformedError      a note's text is not a checkpoint
|- LogProofMalformedError        a tlog-proof is not in its exact form
|- PolicyMalformedError          a witness policy is not in its exact form
|- TilePathMalformedError        a path names no tile and no entry bundle
`- BundleMalformedError          the bytes of an entry bundle do not fall into entries
VerificationError
|- InclusionProofError           a leaf is not shown to be in the tree
|- ConsistencyProofError         a tree is not shown to be a prefix of another
|- TileContentError              a tile's bytes are not what its place demands
|- NoteSignatureError            the signature of a known key does not verify
|- NoteUnsignedError             no known key signed the note
|- CheckpointOriginError         a checkpoint is of another log
|- CheckpointRootError           an empty tree is claimed with a root that is not the empty root
|- CheckpointUnsignedError       a key that must have signed the checkpoint did not
`- QuorumUnmetError              too few witnesses signed
"""

from __future__ import annotations

from cellcustody.ledger.errors import MalformedError, VerificationError

__all__ = [
    "BundleMalformedError",
    "CheckpointMalformedError",
    "CheckpointOriginError",
    "CheckpointRootError",
    "CheckpointUnsignedError",
    "ConsistencyProofError",
    "InclusionProofError",
    "LogProofMalformedError",
    "NoteMalformedError",
    "NoteSignatureError",
    "NoteUnsignedError",
    "PolicyMalformedError",
    "QuorumUnmetError",
    "TileContentError",
    "TilePathMalformedError",
    "VerifierKeyMalformedError",
]


class NoteMalformedError(MalformedError):
    """Raised when a signed note is not in its exact form."""

    reason = "NOTE_MALFORMED"


class VerifierKeyMalformedError(MalformedError):
    """Raised when a verifier key is not in its exact form, or two keys share name and id."""

    reason = "VERIFIER_KEY_MALFORMED"


class CheckpointMalformedError(MalformedError):
    """Raised when a note's text is not a checkpoint."""

    reason = "CHECKPOINT_MALFORMED"


class LogProofMalformedError(MalformedError):
    """Raised when a tlog-proof is not in its exact form."""

    reason = "LOG_PROOF_MALFORMED"


class PolicyMalformedError(MalformedError):
    """Raised when a witness policy is not in its exact form."""

    reason = "WITNESS_POLICY_MALFORMED"


class TilePathMalformedError(MalformedError):
    """Raised when a path names no tile and no entry bundle."""

    reason = "TILE_PATH_MALFORMED"


class BundleMalformedError(MalformedError):
    """Raised when the bytes of an entry bundle do not fall into entries, or an entry does not fit in one."""

    reason = "ENTRY_BUNDLE_MALFORMED"


class InclusionProofError(VerificationError):
    """Raised when a proof does not show that a leaf is in a tree."""

    reason = "INCLUSION_PROOF_INVALID"


class ConsistencyProofError(VerificationError):
    """Raised when a proof does not show that a tree is a prefix of another."""

    reason = "CONSISTENCY_PROOF_INVALID"


class TileContentError(VerificationError):
    """Raised when a tile's bytes are not what its place in the tree demands."""

    reason = "TILE_CONTENT_INVALID"


class NoteSignatureError(VerificationError):
    """Raised when the signature of a known key does not verify: the whole note is refused."""

    reason = "NOTE_SIGNATURE_INVALID"


class NoteUnsignedError(VerificationError):
    """Raised when no known key signed the note."""

    reason = "NOTE_UNSIGNED"


class CheckpointOriginError(VerificationError):
    """Raised when a checkpoint is of another log."""

    reason = "CHECKPOINT_ORIGIN_MISMATCH"


class CheckpointRootError(VerificationError):
    """Raised when a checkpoint of size 0 names a root that is not the root of the empty tree."""

    reason = "CHECKPOINT_ROOT_IMPOSSIBLE"


class CheckpointUnsignedError(VerificationError):
    """Raised when a key that must have signed the checkpoint did not."""

    reason = "CHECKPOINT_UNSIGNED"


class QuorumUnmetError(VerificationError):
    """Raised when too few witnesses signed for the quorum of the policy."""

    reason = "WITNESS_QUORUM_UNMET"
