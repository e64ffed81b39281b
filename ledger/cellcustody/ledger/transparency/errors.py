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
    "ForkProofMalformedError",
    "ForkUnprovenError",
    "InclusionProofError",
    "LogProofMalformedError",
    "NoteMalformedError",
    "NoteSignatureError",
    "NoteUnsignedError",
    "OldSizeError",
    "OriginUnknownError",
    "PolicyMalformedError",
    "QuorumUnmetError",
    "TileContentError",
    "TilePathMalformedError",
    "VerifierKeyMalformedError",
    "WitnessRequestMalformedError",
    "WitnessStateError",
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


class WitnessRequestMalformedError(MalformedError):
    """Raised when a request to a witness, or a witness's answer, is not in its exact form."""

    reason = "WITNESS_REQUEST_MALFORMED"


class OldSizeError(MalformedError):
    """Raised when a request to a witness names an old size above that of its checkpoint."""

    reason = "OLD_SIZE_BEYOND"


class ForkProofMalformedError(MalformedError):
    """Raised when a proof of a fork is not in its exact form."""

    reason = "FORK_PROOF_MALFORMED"


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


class OriginUnknownError(VerificationError):
    """Raised when a checkpoint is of a log that a witness does not know."""

    reason = "ORIGIN_UNKNOWN"


class WitnessStateError(VerificationError):
    """Raised when a witness has cosigned another size last than the one it is asked to go on from; `size` is that."""

    reason = "WITNESS_STATE"

    def __init__(self, message: str, /, *, size: int, **values: object) -> None:
        super().__init__(message, size=size, **values)
        self.size = size


class ForkUnprovenError(VerificationError):
    """Raised when two checkpoints are not shown to contradict each other."""

    reason = "FORK_UNPROVEN"


class QuorumUnmetError(VerificationError):
    """Raised when too few witnesses signed for the quorum of the policy."""

    reason = "WITNESS_QUORUM_UNMET"
