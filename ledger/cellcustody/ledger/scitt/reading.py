"""Verify a transparent statement of an export, against the ledger's service key.

The steps:

1. The signed statement is in its exact form; the issuer's signature covers header and entry.
2. The receipt is in its exact form; the path leads from the entry to a root, which the receipt's signature covers.
3. The tree size that the path was followed with is the one in the receipt's protected header.

That the root is the log's own is seen by comparing it with a checkpoint of that size, which the log signed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError, VerificationError
from cellcustody.ledger.scitt.cbor import CborMalformedError, Item, Tagged, decode
from cellcustody.ledger.scitt.objects import (
    ALG,
    ALGORITHMS,
    CONTENT_TYPE,
    CONTENT_TYPE_LABEL,
    COSE_SIGN1,
    CWT_CLAIMS,
    INCLUSION,
    ISSUER,
    KID,
    RECEIPTS,
    RFC9162_SHA256,
    SUBJECT,
    TREE_SIZE_LABEL,
    VDP,
    VDS,
    signature_structure,
)
from cellcustody.ledger.statements import PublicKey
from cellcustody.ledger.statements.signatures import verify as verify_signature
from cellcustody.ledger.transparency import node_hash

__all__ = ["ScittInvalidError", "TransparentStatement", "verify_transparent_statement"]

_HASH_BYTES: Final = 32
_PATH_MAX: Final = 64


class ScittInvalidError(VerificationError):
    """Raised when a COSE object of an export does not show what it claims."""

    reason = "SCITT_INVALID"


class TransparentStatement(NamedTuple):
    """What was verified: an entry, where it stands, and in which tree."""

    entry: bytes
    issuer: str
    subject: str
    leaf_index: int
    tree_size: int
    root: bytes


def verify_transparent_statement(raw: bytes, key: PublicKey) -> TransparentStatement:
    """Returns the statement after its signature and its receipt were verified under the ledger's service key.

    Raises:
        ScittInvalidError: something in it is wrong.
    """
    try:
        # (1): The signed statement.
        protected, unprotected, entry, signature = _sign1(raw)
        header = _map(decode(protected))
        claims = _map(header.get(CWT_CLAIMS))
        issuer, subject = claims.get(ISSUER), claims.get(SUBJECT)
        if (
            set(header) != {ALG, CONTENT_TYPE_LABEL, KID, CWT_CLAIMS}
            or header[CONTENT_TYPE_LABEL] != CONTENT_TYPE
            or not isinstance(issuer, str)
            or not isinstance(subject, str)
            or entry is None
        ):
            raise ScittInvalidError("the header is not that of a statement of ours")
        _verify(header, key, protected, entry, signature)

        # (2) and (3): Its one receipt.
        receipts = unprotected.get(RECEIPTS)
        if set(unprotected) != {RECEIPTS} or not isinstance(receipts, list) or len(receipts) != 1:
            raise ScittInvalidError("a statement carries one receipt")
        index, size, root = _verify_receipt(_bytes(receipts[0]), entry, claims, key)
    except CborMalformedError as defect:
        raise ScittInvalidError("an object is not in its exact form", defect=str(defect)) from defect
    return TransparentStatement(entry, issuer, subject, index, size, root)


def _verify_receipt(raw: bytes, entry: bytes, claims: dict[int | str, Item], key: PublicKey) -> tuple[int, int, bytes]:
    protected, unprotected, payload, signature = _sign1(raw)
    header = _map(decode(protected))
    if payload is not None or set(header) != {ALG, KID, CWT_CLAIMS, VDS, TREE_SIZE_LABEL}:
        raise ScittInvalidError("the header is not that of a receipt of ours, or the root is not detached")
    if header[VDS] != RFC9162_SHA256 or _map(header[CWT_CLAIMS]) != claims or set(unprotected) != {VDP}:
        raise ScittInvalidError("the receipt is of another kind, issuer or subject")
    proofs = _map(unprotected[VDP]).get(INCLUSION)
    if not isinstance(proofs, list) or len(proofs) != 1:
        raise ScittInvalidError("a receipt has one proof of inclusion")
    proof = decode(_bytes(proofs[0]))
    if not isinstance(proof, list) or len(proof) != 3 or not isinstance(proof[2], list):
        raise ScittInvalidError("a proof is a tree size, a leaf index and a path")
    size, index, path = proof[0], proof[1], [_bytes(one) for one in proof[2]]
    if not isinstance(size, int) or not isinstance(index, int) or size != header[TREE_SIZE_LABEL]:
        raise ScittInvalidError("the tree size is not the one that was signed")
    root = _root(index, size, leaf_hash_of(entry), path)
    _verify(header, key, protected, root, signature)
    return index, size, root


def _root(index: int, size: int, here: bytes, path: list[bytes]) -> bytes:
    """Follows a path to its root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or len(path) > _PATH_MAX or any(len(one) != _HASH_BYTES for one in path):
        raise ScittInvalidError("a proof names no leaf, or has no path", index=index, size=size)
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise ScittInvalidError("a path is too long")
        if node & 1 or node == last:
            here = node_hash(sibling, here)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            here = node_hash(here, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ScittInvalidError("a path is too short")
    return here


def _verify(header: dict[int | str, Item], key: PublicKey, protected: bytes, payload: bytes, signature: bytes) -> None:
    if header.get(ALG) != ALGORITHMS.get(key.algorithm) or header.get(KID) != key.key_id:
        raise ScittInvalidError("an object names another key or algorithm")
    try:
        verify_signature(key, signature, signature_structure(protected, payload))
    except CellcustodyError as wrong:
        raise ScittInvalidError("a signature does not verify", defect=str(wrong)) from wrong


def _sign1(raw: bytes) -> tuple[bytes, dict[int | str, Item], bytes | None, bytes]:
    item = decode(raw)
    if not isinstance(item, Tagged) or item.tag != COSE_SIGN1:
        raise ScittInvalidError("an object is no tagged COSE_Sign1")
    parts = item.value
    if not isinstance(parts, list) or len(parts) != 4:
        raise ScittInvalidError("a COSE_Sign1 has four parts")
    payload = parts[2]
    if payload is not None and not isinstance(payload, bytes):
        raise ScittInvalidError("a payload is bytes, or detached")
    return _bytes(parts[0]), _map(parts[1]), payload, _bytes(parts[3])


def _bytes(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise ScittInvalidError("bytes are expected")
    return item


def _map(item: Item) -> dict[int | str, Item]:
    if not isinstance(item, dict):
        raise ScittInvalidError("a map is expected")
    return item
