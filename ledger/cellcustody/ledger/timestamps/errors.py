"""What can be wrong with time evidence, each condition a class of its own.

MalformedError
|- DerMalformedError               bytes are not DER, or not of the structure expected
|- TokenMalformedError             a time-stamp token is not in its exact form
|- TimeRecordMalformedError        a stamped record or an item of evidence is not in its exact form
`- AlgorithmPolicyMalformedError   an algorithm policy is not in its exact form
VerificationError
|- TokenInvalidError               a token does not show what it claims
|- AuthorityUnknownError           a token's certificate leads to nobody who is believed
|- TimeResponseError               what an authority answered is not what it was asked
`- RenewalProofError               an entry or item is not shown to be in a renewal's tree
StoreError
`- TimeEvidenceDamagedError        the file that keeps items holds something else than was written
"""

from __future__ import annotations

from cellcustody.ledger.errors import FatalStoreError, MalformedError, VerificationError

__all__ = [
    "AlgorithmPolicyMalformedError",
    "AuthorityUnknownError",
    "DerMalformedError",
    "RenewalProofError",
    "TimeEvidenceDamagedError",
    "TimeRecordMalformedError",
    "TimeResponseError",
    "TokenInvalidError",
    "TokenMalformedError",
]


class DerMalformedError(MalformedError):
    """Raised when bytes are not DER, or not of the structure that is expected there."""

    reason = "DER_MALFORMED"


class TokenMalformedError(MalformedError):
    """Raised when a time-stamp token is not in its exact form."""

    reason = "TIME_TOKEN_MALFORMED"


class TimeRecordMalformedError(MalformedError):
    """Raised when a stamped record, or an item of evidence, is not in its exact form."""

    reason = "TIME_RECORD_MALFORMED"


class AlgorithmPolicyMalformedError(MalformedError):
    """Raised when an algorithm policy is not in its exact form."""

    reason = "ALGORITHM_POLICY_MALFORMED"


class TokenInvalidError(VerificationError):
    """Raised when a token does not show what it claims: its signature, its imprint, its signer's certificate."""

    reason = "TIME_TOKEN_INVALID"


class AuthorityUnknownError(VerificationError):
    """Raised when a token's certificate leads to nobody who is believed; it may still be good for others."""

    reason = "TIME_AUTHORITY_UNKNOWN"


class TimeResponseError(VerificationError):
    """Raised when what an authority answered is not what it was asked for."""

    reason = "TIME_RESPONSE_INVALID"


class RenewalProofError(VerificationError):
    """Raised when an entry or an item is not shown to be in a renewal's tree."""

    reason = "RENEWAL_PROOF_INVALID"


class TimeEvidenceDamagedError(FatalStoreError):
    """Raised when the file that keeps items of evidence holds something else than was written."""

    reason = "TIME_EVIDENCE_DAMAGED"
