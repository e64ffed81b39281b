"""What is stamped, the items that carry it, the trees of renewals, and the policy on algorithms."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_authority import token

from cellcustody.ledger.timestamps import (
    HASHES_BY_NAME,
    AlgorithmPolicyMalformedError,
    HashTree,
    Renewal,
    RenewalProofError,
    Stamp,
    TimeRecordMalformedError,
    encode_item,
    format_record,
    parse_algorithm_policy,
    parse_item,
    parse_record,
    verify_shared_hash_proof,
)
from cellcustody.ledger.timestamps.hash_trees import CHUNK
from cellcustody.ledger.transparency import root_of

SHA512 = HASHES_BY_NAME["sha512"]
STAMP = Stamp("ledger.example/a9999", 12, bytes(32), bytes(64))
RENEWAL = Renewal("ledger.example/a9999", 12, bytes(32), SHA512, bytes(64), 3, bytes(64))


@pytest.mark.parametrize("record", [STAMP, RENEWAL], ids=["stamp", "renewal"])
def test_a_record_is_read_as_it_was_written(record: Stamp | Renewal) -> None:
    assert parse_record(format_record(record)) == record


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("no newline at the end", lambda text: text[:-1]),
        ("a line more", lambda text: text + "more\n"),
        ("a carriage return", lambda text: text.replace("\n12\n", "\r\n12\n")),
        ("a leading zero", lambda text: text.replace("\n12\n", "\n012\n")),
        ("a sign", lambda text: text.replace("\n12\n", "\n+12\n")),
        ("foreign digits", lambda text: text.replace("\n12\n", "\n١٢\n")),
        ("size zero", lambda text: text.replace("\n12\n", "\n0\n")),
        ("another version", lambda text: text.replace("/v1", "/v2")),
        ("no origin", lambda text: text.replace("ledger.example/a9999", "")),
        ("base64 without padding", lambda text: text.replace("=\n", "\n", 1)),
        ("a shorter hash", lambda text: text.replace("A" * 43 + "=", "AAAA")),
        ("another hash", lambda text: text.replace("sha512", "md5") if "renewal" in text else text[1:]),
    ],
)
@pytest.mark.parametrize("record", [STAMP, RENEWAL], ids=["stamp", "renewal"])
def test_a_record_has_one_form(record: Stamp | Renewal, name: str, change: object) -> None:
    text = format_record(record).decode()
    changed = change(text)  # type: ignore[operator]  # A function of the table above.
    assert changed != text, name
    with pytest.raises(TimeRecordMalformedError):
        parse_record(changed.encode())


def test_an_item_has_one_form() -> None:
    raw = encode_item(4, RENEWAL, (token(),))
    item = parse_item(raw)
    assert (item.number, item.record, len(item.tokens)) == (4, RENEWAL, 1)
    for broken in (raw + b"\x20\x01", raw[:-1], b"", raw.replace(b"\x08\x04", b"\x08\x84\x00", 1)):
        with pytest.raises(TimeRecordMalformedError):
            parse_item(broken)


def test_a_renewal_covers_only_what_came_before_it() -> None:
    with pytest.raises(TimeRecordMalformedError):
        encode_item(2, RENEWAL, (token(),))


def test_an_item_without_tokens_is_none() -> None:
    with pytest.raises(TimeRecordMalformedError):
        encode_item(0, STAMP, ())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3 * CHUNK + 2), st.data())
def test_a_shared_proof_proves_what_it_was_made_for(size: int, data: st.DataObject) -> None:
    """And nothing else: another leaf, another order, a hash too many or too few are refused."""
    items = [b"item %d" % number for number in range(size)]
    tree = HashTree.over(SHA512, items)
    if not size:
        assert tree.root == SHA512.digest(b"")
        return
    leaves = sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=8)))
    proof = b"".join(tree.shared_proof(leaves))
    shown = [(leaf, items[leaf]) for leaf in leaves]
    verify_shared_hash_proof(SHA512, shown, size, proof, tree.root)
    wrong: list[tuple[list[tuple[int, bytes]], bytes]] = [(shown, proof + bytes(64))]
    if proof:
        wrong.append((shown, proof[:-64]))
    if shown:
        wrong.append(([(shown[0][0], b"other"), *shown[1:]], proof))
    for leaves_given, proof_given in wrong:
        with pytest.raises(RenewalProofError):
            verify_shared_hash_proof(SHA512, leaves_given, size, proof_given, tree.root)


def test_the_tree_is_that_of_rfc_6962() -> None:
    """With SHA-256 it is the log's own, whatever is kept of it."""
    sha256 = HASHES_BY_NAME["sha256"]
    items = [b"entry %d" % number for number in range(300)]
    tree = HashTree.over(sha256, items)
    assert tree.root == root_of([sha256.digest(b"\0" + item) for item in items])
    again = HashTree(sha256, 300, lambda start, count: items[start : start + count], tree.chunk_hashes)
    assert again.root == tree.root


# The policy on algorithms. -----------------------------------------------------------------------------------------


def policy(*rows: object, **changed: object) -> bytes:
    members = {"format": "cellcustody-algorithm-policy", "format_version": 1, "broken": list(rows)} | changed
    return json.dumps(members).encode()


def test_a_policy_says_what_is_broken_and_from_when() -> None:
    read = parse_algorithm_policy(
        policy(
            {"algorithm": "ed25519", "from_leaf": 120},
            {"algorithm": "sha-256", "from": "2041-01-01T00:00:00Z"},
            {"algorithm": "certificate:" + "0" * 64, "from": "2030-06-01T12:00:00Z"},
        )
    )
    assert read.broken["ed25519"].from_leaf == 120
    assert read.good_until(["sha-256", "rsa"]) == datetime(2041, 1, 1, tzinfo=UTC)
    assert read.good_until(["rsa"]) is None


@pytest.mark.parametrize(
    "raw",
    [
        policy({"algorithm": "ed25519"}),
        policy({"algorithm": "md5", "from": "2041-01-01T00:00:00Z"}),
        policy({"algorithm": "ed25519", "from_leaf": -1}),
        policy({"algorithm": "ed25519", "from_leaf": True}),
        policy({"algorithm": "sha-256", "from_leaf": 1}),
        policy({"algorithm": "sha-256", "from": "2041-01-01"}),
        policy({"algorithm": "sha-256", "from": "2041-02-30T00:00:00Z"}),
        policy({"algorithm": "sha-256", "from": "2041-01-01T00:00:00Z", "more": 1}),
        policy(
            {"algorithm": "rsa", "from": "2041-01-01T00:00:00Z"}, {"algorithm": "rsa", "from": "2042-01-01T00:00:00Z"}
        ),
        policy(format_version=2),
        policy(more=1),
        b'{"format": "cellcustody-algorithm-policy", "format": "x"}',
        b"[]",
        b"\xff",
        b"[" * 70_000,
    ],
)
def test_a_policy_has_one_form(raw: bytes) -> None:
    with pytest.raises(AlgorithmPolicyMalformedError):
        parse_algorithm_policy(raw)
