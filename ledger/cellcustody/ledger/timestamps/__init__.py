"""Time evidence: RFC 3161 tokens on checkpoints, their renewal, and what they show decades later.

Specified in docs/formats/timestamps.md. No I/O, no clock; `cryptography` is all it needs.
"""

from cellcustody.ledger.timestamps.algorithm_policy import (
    NOTHING_BROKEN,
    AlgorithmPolicy,
    Broken,
    parse_algorithm_policy,
)
from cellcustody.ledger.timestamps.errors import (
    AlgorithmPolicyMalformedError,
    AuthorityUnknownError,
    DerMalformedError,
    RenewalProofError,
    TimeEvidenceDamagedError,
    TimeRecordMalformedError,
    TimeResponseError,
    TokenInvalidError,
    TokenMalformedError,
)
from cellcustody.ledger.timestamps.hash_trees import GrowingHashTree, HashTree, verify_shared_hash_proof
from cellcustody.ledger.timestamps.hashes import HASHES_BY_NAME, HashAlgorithm
from cellcustody.ledger.timestamps.paths import TimeAuthority, load_certificate
from cellcustody.ledger.timestamps.records import (
    RENEWAL_HASHES,
    STAMP_HASH,
    EvidenceItem,
    Renewal,
    Stamp,
    encode_item,
    format_record,
    imprint_hashes,
    log_note,
    note_digest,
    parse_item,
    parse_record,
)
from cellcustody.ledger.timestamps.requests import (
    ReceivedToken,
    TimeRequest,
    accept_response,
    build_request,
    token_in_response,
)
from cellcustody.ledger.timestamps.tokens import VerifiedToken, certificates_for, parse_token, verify_token
from cellcustody.ledger.timestamps.validity import HeldItem, held_items

__all__ = [
    "HASHES_BY_NAME",
    "NOTHING_BROKEN",
    "RENEWAL_HASHES",
    "STAMP_HASH",
    "AlgorithmPolicy",
    "AlgorithmPolicyMalformedError",
    "AuthorityUnknownError",
    "Broken",
    "DerMalformedError",
    "EvidenceItem",
    "GrowingHashTree",
    "HashAlgorithm",
    "HashTree",
    "HeldItem",
    "ReceivedToken",
    "Renewal",
    "RenewalProofError",
    "Stamp",
    "TimeAuthority",
    "TimeEvidenceDamagedError",
    "TimeRecordMalformedError",
    "TimeRequest",
    "TimeResponseError",
    "TokenInvalidError",
    "TokenMalformedError",
    "VerifiedToken",
    "accept_response",
    "build_request",
    "certificates_for",
    "encode_item",
    "format_record",
    "held_items",
    "imprint_hashes",
    "load_certificate",
    "log_note",
    "note_digest",
    "parse_algorithm_policy",
    "parse_item",
    "parse_record",
    "parse_token",
    "token_in_response",
    "verify_shared_hash_proof",
    "verify_token",
]
