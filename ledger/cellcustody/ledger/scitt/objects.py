"""Make the COSE objects of an export: signed statements, receipts, and the two together (docs/formats/scitt.md).

The rules:

* The payload of a signed statement is an entry of the log, byte for byte: the statement inside keeps the signatures of
  those who made it. The ledger signs, as the issuer, that this is what it recorded.
* A receipt proves that this payload is a leaf of the log's tree: COSE Receipts (RFC 9942) with RFC9162_SHA256. The root
  is detached; the tree size stands in the protected header, for a receipt alone would not sign it.
* Both are signed by the ledger's service key, which signs all that the ledger itself says. The log's own keys sign
  checkpoints and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.scitt.cbor import Item, Tagged, encode
from cellcustody.ledger.statements import Signer, parse_public_key
from cellcustody.ledger.statements.keys import KeyAlgorithm

__all__ = [
    "ALGORITHMS",
    "CONTENT_TYPE",
    "TREE_SIZE_LABEL",
    "CoseKeyUnfitError",
    "sign_receipt",
    "signature_structure",
    "transparent_statement",
]

ALG, CONTENT_TYPE_LABEL, KID, CWT_CLAIMS = 1, 3, 4, 15
RECEIPTS, VDS, VDP = 394, 395, 396
ISSUER, SUBJECT = 1, 2
INCLUSION: Final = -1
RFC9162_SHA256: Final = 1
COSE_SIGN1: Final = 18
CONTENT_TYPE: Final = "application/vnd.cellcustody.entry.v1+protobuf"
TREE_SIZE_LABEL: Final = "cellcustody.tree-size"  # Of our own: the registered labels have none for it.
ALGORITHMS: Final = {KeyAlgorithm.ED25519: -8, KeyAlgorithm.P256: -7, KeyAlgorithm.ML_DSA_65: -49}
"""COSE algorithms: EdDSA, ES256, ML-DSA-65."""


class CoseKeyUnfitError(ConfigurationError):
    """Raised when a key is of an algorithm that COSE has no number for."""

    reason = "COSE_KEY_UNFIT"


def signature_structure(protected: bytes, payload: bytes) -> bytes:
    """Returns what is signed: the Sig_structure of RFC 9052, section 4.4, without external data."""
    return encode(["Signature1", protected, b"", payload])


def sign_receipt(
    leaf_index: int, tree_size: int, path: Sequence[bytes], root: bytes, *, issuer: str, subject: str, signer: Signer
) -> bytes:
    """Returns a receipt of inclusion (a tagged COSE_Sign1) with the root detached."""
    protected = encode(
        {
            ALG: _algorithm(signer),
            KID: signer.key_id,
            CWT_CLAIMS: {ISSUER: issuer, SUBJECT: subject},
            VDS: RFC9162_SHA256,
            TREE_SIZE_LABEL: tree_size,
        }
    )
    proof = encode([tree_size, leaf_index, list(path)])
    unprotected: Item = {VDP: {INCLUSION: [proof]}}
    signature = signer.sign(signature_structure(protected, root))
    return encode(Tagged(COSE_SIGN1, [protected, unprotected, None, signature]))


def transparent_statement(entry: bytes, receipt: bytes, *, issuer: str, subject: str, signer: Signer) -> bytes:
    """Returns a signed statement that carries its receipt in the unprotected header."""
    protected = encode(
        {
            ALG: _algorithm(signer),
            CONTENT_TYPE_LABEL: CONTENT_TYPE,
            KID: signer.key_id,
            CWT_CLAIMS: {ISSUER: issuer, SUBJECT: subject},
        }
    )
    signature = signer.sign(signature_structure(protected, entry))
    return encode(Tagged(COSE_SIGN1, [protected, {RECEIPTS: [receipt]}, entry, signature]))


def _algorithm(signer: Signer) -> int:
    found = ALGORITHMS.get(parse_public_key(signer.public_key_spki).algorithm)
    if found is None:
        raise CoseKeyUnfitError("COSE has no number for this key's algorithm", key_id=signer.key_id)
    return found
