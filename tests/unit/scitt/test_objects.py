"""Transparent statements, verified by an independent library and by ours, and what happens to forged ones."""

from __future__ import annotations

import os
from collections.abc import Sequence

import cbor2
import cwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cwt.cose_key_interface import COSEKeyInterface

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.scitt import (
    TREE_SIZE_LABEL,
    ScittInvalidError,
    sign_receipt,
    transparent_statement,
    verify_transparent_statement,
)
from cellcustody.ledger.scitt.cbor import Item, Tagged, decode, encode
from cellcustody.ledger.statements import Ed25519Signer, P256Signer, Signer, parse_public_key
from cellcustody.ledger.transparency import prove_inclusion, root_of

ISSUER = "ledger.example/a9999"
SUBJECT = "urn:cellcustody:00:01:02"
ENTRIES = [b"entry %d" % number for number in range(11)]
LEAVES = [leaf_hash_of(entry) for entry in ENTRIES]


def made(signer: Signer, index: int = 4, size: int = 11, entries: Sequence[bytes] = ENTRIES) -> bytes:
    receipt = sign_receipt(
        index,
        size,
        prove_inclusion(index, LEAVES[:size]),
        root_of(LEAVES[:size]),
        issuer=ISSUER,
        subject=SUBJECT,
        signer=signer,
    )
    return transparent_statement(entries[index], receipt, issuer=ISSUER, subject=SUBJECT, signer=signer)


@pytest.fixture(params=["ed25519", "p256"])
def signer(request: pytest.FixtureRequest) -> Signer:
    return Ed25519Signer(os.urandom(32)) if request.param == "ed25519" else P256Signer(os.urandom(32))


def cose_key(signer: Signer) -> COSEKeyInterface:
    pem = load_der_public_key(signer.public_key_spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return cwt.COSEKey.from_pem(pem, kid=signer.key_id)


def test_an_independent_library_verifies_statement_and_receipt(signer: Signer) -> None:
    """The statement's signature, then the receipt's over the root that its path leads to (RFC 9942)."""
    raw, key = made(signer), cose_key(signer)
    reader = cwt.COSE.new(verify_kid=True)

    protected, unprotected, payload = reader.decode_with_headers(raw, key)
    assert payload == ENTRIES[4]
    assert protected[3] == "application/vnd.cellcustody.entry.v1+protobuf"
    assert protected[15] == {1: ISSUER, 2: SUBJECT}

    (receipt,) = unprotected[394]
    proofs = cbor2.loads(receipt).value[1][396]
    size, index, path = cbor2.loads(proofs[-1][0])
    root = root_of(LEAVES)
    assert (size, index, list(path)) == (11, 4, prove_inclusion(4, LEAVES))
    header, _, _ = reader.decode_with_headers(receipt, key, detached_payload=root)
    assert (header[395], header[TREE_SIZE_LABEL]) == (1, 11)
    with pytest.raises(cwt.VerifyError):
        reader.decode(receipt, key, detached_payload=bytes(32))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11])
def test_every_leaf_of_every_tree(size: int) -> None:
    signer = Ed25519Signer(os.urandom(32))
    key = parse_public_key(signer.public_key_spki)
    for index in range(size):
        found = verify_transparent_statement(made(signer, index, size), key)
        assert (found.entry, found.leaf_index, found.tree_size) == (ENTRIES[index], index, size)
        assert found.root == root_of(LEAVES[:size])


def test_another_key_is_not_believed(signer: Signer) -> None:
    other = parse_public_key(Ed25519Signer(os.urandom(32)).public_key_spki)
    with pytest.raises(ScittInvalidError):
        verify_transparent_statement(made(signer), other)


def test_every_bit_of_a_small_object_counts() -> None:
    """Nothing in it is left over: what no signature covers is what the path leads through."""
    signer = Ed25519Signer(os.urandom(32))
    key, raw = parse_public_key(signer.public_key_spki), made(signer, 0, 2)
    for at in range(len(raw) * 8):
        turned = bytearray(raw)
        turned[at // 8] ^= 1 << at % 8
        with pytest.raises(ScittInvalidError):
            verify_transparent_statement(bytes(turned), key)


def test_the_tree_size_of_the_path_is_the_one_that_was_signed() -> None:
    """Paths of some trees fit others; the signed size says which tree it was."""
    signer = Ed25519Signer(os.urandom(32))
    key = parse_public_key(signer.public_key_spki)
    statement = decode(made(signer, 0, 2))
    assert isinstance(statement, Tagged) and isinstance(statement.value, list)
    receipt = decode(cbor2.loads(encode(statement)).value[1][394][0])
    assert isinstance(receipt, Tagged) and isinstance(receipt.value, list)
    path: list[Item] = list(prove_inclusion(0, LEAVES[:2]))
    proof: list[Item] = [3, 0, path]
    receipt.value[1] = {396: {-1: [encode(proof)]}}
    statement.value[1] = {394: [encode(receipt)]}
    with pytest.raises(ScittInvalidError, match="tree size"):
        verify_transparent_statement(encode(statement), key)
