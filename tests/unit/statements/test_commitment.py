"""Any subset of a body's records verifies against the signed root; every alteration, swap or omission fails."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.statements.commitment import (
    BODY_BYTES_MAX,
    BODY_RECORDS_MAX,
    EMPTY_COMMITMENT,
    ClosedRecord,
    Commitment,
    DisclosedBody,
    Opening,
    commit,
    cut_records,
    disclose,
    partial_body,
    verify_openings,
)
from cellcustody.ledger.statements.errors import (
    CommitmentMalformedError,
    CommitmentMismatchError,
    OpeningInvalidError,
    OpeningMissingError,
    OversizeError,
    WireFormError,
)
from cellcustody.ledger.statements.varints import encode_varint
from cellcustody.v1 import entry_pb2

SEED = bytes(range(32))


def judgements() -> st.SearchStrategy[bytes]:
    """Draws the bytes of bodies with scalars, packed numbers and repeated messages."""
    return st.builds(
        lambda rule_set, digest, codes, leaves: entry_pb2.Judgement(
            rule_set=rule_set,
            policy_digest=digest,
            findings=[entry_pb2.Finding(code=code, leaves=leaves) for code in codes],
            comparisons=[entry_pb2.IdentifierComparison(leaf=leaf) for leaf in leaves],
        ).SerializeToString(deterministic=True),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40),
        st.lists(st.sampled_from(["HOLD_OPEN", "SEAL_BROKEN", ""]), max_size=5),
        st.lists(st.integers(0, 500), max_size=4),
    )


def root_by_the_book(leaves: list[bytes]) -> bytes:
    """Returns the tree hash as RFC 6962, section 2.1 defines it, from leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_by_the_book(leaves[:split]) + root_by_the_book(leaves[split:])).digest()


@given(judgements())
def test_the_commitment_is_what_the_format_says(body: bytes) -> None:
    """Salts, leaf hashes and root are computed here a second time, from the text of the format."""
    commitment, openings = commit(body, SEED)
    leaves = []
    for index, opening in enumerate(openings):
        salt = hmac.new(SEED, index.to_bytes(8, "big"), hashlib.sha256).digest()
        assert (opening.index, opening.salt) == (index, salt)
        leaves.append(hashlib.sha256(b"\x00" + salt + opening.record).digest())
    assert commitment.root == root_by_the_book(leaves)
    assert commitment.field_numbers == tuple(number for number, _ in cut_records(body))


@given(judgements())
def test_all_openings_are_the_exact_body(body: bytes) -> None:
    commitment, openings = commit(body, SEED)
    assert verify_openings(commitment, openings) == body


def test_each_element_is_a_record_and_a_packed_field_is_one() -> None:
    body = entry_pb2.Judgement(
        rule_set=1,
        findings=[entry_pb2.Finding(code="A", leaves=[1, 2]), entry_pb2.Finding(code="B")],
    ).SerializeToString(deterministic=True)
    assert [number for number, _ in cut_records(body)] == [1, 4, 4]
    packed = entry_pb2.Finding(code="A", leaves=[1, 2, 300]).SerializeToString(deterministic=True)
    assert cut_records(packed) == ((1, b"\x0a\x01A"), (2, b"\x12\x04\x01\x02\xac\x02"))


@given(judgements(), st.sets(st.integers(0, 12)))
def test_any_subset_of_records_verifies(body: bytes, shown: set[int]) -> None:
    commitment, openings = commit(body, SEED)
    disclosed = disclose(openings, shown)
    disclosed.verify(commitment)
    assert {opening.index for opening in disclosed.openings} == shown & set(range(len(openings)))
    assert set(disclosed.closed_indexes) == set(range(len(openings))) - shown
    visible = partial_body(entry_pb2.Judgement, disclosed.openings).SerializeToString(deterministic=True)
    assert visible == b"".join(opening.record for opening in disclosed.openings)


@given(judgements().filter(bool), st.data())
def test_every_flipped_bit_is_found(body: bytes, data: st.DataObject) -> None:
    """One bit of one record, salt or closed hash: the disclosure fails."""
    commitment, openings = commit(body, SEED)
    records: list[Opening | ClosedRecord] = list(
        disclose(openings, data.draw(st.sets(st.integers(0, len(openings) - 1)))).records
    )
    at = data.draw(st.integers(0, len(records) - 1))
    match records[at]:
        case Opening(index, salt, record):
            raw = bytearray(salt + record)
            bit = data.draw(st.integers(0, len(raw) * 8 - 1))
            raw[bit // 8] ^= 1 << bit % 8
            records[at] = Opening(index, bytes(raw[:32]), bytes(raw[32:]))
        case ClosedRecord(index, leaf):
            raw = bytearray(leaf)
            bit = data.draw(st.integers(0, len(raw) * 8 - 1))
            raw[bit // 8] ^= 1 << bit % 8
            records[at] = ClosedRecord(index, bytes(raw))
    with pytest.raises((CommitmentMismatchError, OpeningInvalidError)):
        DisclosedBody(tuple(records)).verify(commitment)


@given(judgements(), st.data())
def test_every_omission_swap_or_repetition_is_found(body: bytes, data: st.DataObject) -> None:
    """Openings left out, exchanged, renumbered or shown twice never verify, unless nothing has changed."""
    commitment, openings = commit(body, SEED)
    chosen = data.draw(st.lists(st.sampled_from(openings), max_size=len(openings) + 1)) if openings else []
    renumber = data.draw(st.booleans())
    shown = [Opening(i, o.salt, o.record) for i, o in enumerate(chosen)] if renumber else chosen
    if tuple(shown) == openings:
        assert verify_openings(commitment, shown) == body
        return
    with pytest.raises((OpeningMissingError, OpeningInvalidError, CommitmentMismatchError)):
        verify_openings(commitment, shown)


def test_a_salt_boundary_cannot_be_moved() -> None:
    """Salt and record are hashed one after the other; a shorter salt with a longer record is refused."""
    commitment, (opening,) = commit(b"\x08\x01", SEED)
    moved = Opening(0, opening.salt[:-1], opening.salt[-1:] + opening.record)
    assert moved.leaf_hash == opening.leaf_hash
    with pytest.raises(OpeningInvalidError):
        verify_openings(commitment, [moved])


def test_a_node_of_the_tree_is_no_leaf() -> None:
    """The root over two records cannot be shown as one closed record of a body that commits to two."""
    commitment, openings = commit(b"\x08\x01\x12\x01a", SEED)
    with pytest.raises(OpeningMissingError):
        DisclosedBody((ClosedRecord(0, commitment.root),)).verify(commitment)
    DisclosedBody(tuple(ClosedRecord(o.index, o.leaf_hash) for o in openings)).verify(commitment)


def test_what_must_be_complete_takes_no_closed_record() -> None:
    """At ingest every record is opened: a disclosure that closes one gives no body."""
    commitment, openings = commit(b"\x08\x01\x12\x01a", SEED)
    with pytest.raises(OpeningMissingError):
        verify_openings(commitment, openings[:1])


def test_an_empty_body_has_the_root_of_nothing() -> None:
    assert commit(b"", SEED) == (EMPTY_COMMITMENT, ())
    assert EMPTY_COMMITMENT.root == hashlib.sha256(b"").digest()
    assert verify_openings(EMPTY_COMMITMENT, ()) == b""
    with pytest.raises(OpeningInvalidError):
        verify_openings(EMPTY_COMMITMENT, [Opening(0, bytes(32), b"\x08\x01")])


@pytest.mark.parametrize(
    ("root", "numbers"),
    [(bytes(31), (1,)), (bytes(32), (0,)), (bytes(32), (2, 1)), (bytes(32), (1 << 29,)), (bytes(32), ())],
)
def test_a_commitment_that_no_body_has_is_refused(root: bytes, numbers: tuple[int, ...]) -> None:
    with pytest.raises(CommitmentMalformedError):
        Commitment(root, numbers)


@pytest.mark.parametrize("body", [b"\x08", b"\x0a\x02a", b"\x0b\x0c", b"\x10\x01\x08\x01", b"\x88\x00\x01", b"\x00"])
def test_a_body_that_cannot_be_cut_is_refused(body: bytes) -> None:
    with pytest.raises(WireFormError):
        commit(body, SEED)


def record_of(length: int) -> bytes:
    """Returns a record of `length` zero bytes in field 1, with a length of three bytes."""
    return b"\x0a" + encode_varint(length) + bytes(length)


def test_a_body_has_a_limit() -> None:
    """Openings just at the limit are taken; one byte more is refused, on the way out and on the way in."""
    length = BODY_BYTES_MAX - 32 - 4  # One salt, a tag of one byte, a length of three.
    commitment, openings = commit(record_of(length), SEED)
    assert verify_openings(commitment, openings) == record_of(length)
    with pytest.raises(OversizeError):
        commit(record_of(length + 1), SEED)
    with pytest.raises(OversizeError):
        verify_openings(commitment, [Opening(0, bytes(32), record_of(length + 1))])


def test_a_body_has_so_many_records() -> None:
    """Records of one byte each, just as many as may be; one more is refused both ways, with what was counted."""
    body = b"\x0a\x01x" * BODY_RECORDS_MAX
    commitment, openings = commit(body, SEED)
    assert verify_openings(commitment, openings) == body
    with pytest.raises(OversizeError) as refused:
        commit(body + b"\x0a\x01x", SEED)
    assert refused.value.values == {"count": str(BODY_RECORDS_MAX + 1), "limit": str(BODY_RECORDS_MAX)}
    with pytest.raises(OversizeError):
        verify_openings(commitment, [*openings, Opening(BODY_RECORDS_MAX, bytes(32), b"\x0a\x01x")])


def test_a_seed_is_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit(b"", b"short")


def test_records_of_another_message_do_not_parse_as_this_one() -> None:
    with pytest.raises(WireFormError):
        partial_body(entry_pb2.Judgement, [Opening(0, bytes(32), b"\x22\x01\xff")])


@pytest.mark.parametrize(
    ("number", "record"),
    [
        (17, b"\x8a\x01\x05"),
        (16, b"\x82"),
        (1, b"\x0a\x80"),
        (1, b"\x0a"),
        (1, b""),
        (1, b"\x0a\x81\x00\x00"),
        (1, b"\x0a\x01"),
    ],
)
def test_an_opening_is_one_whole_record(number: int, record: bytes) -> None:
    """What hashes to the root but is cut short, or longer than it need be, is no opening."""
    opening = Opening(0, bytes(32), record)
    with pytest.raises(OpeningInvalidError):
        verify_openings(Commitment(opening.leaf_hash, (number,)), [opening])


@given(st.integers(1, 40), st.integers(0, 300))
def test_a_record_of_any_length_and_number_is_an_opening(number: int, length: int) -> None:
    record = encode_varint(number << 3 | 2) + encode_varint(length) + bytes(length)
    opening = Opening(0, bytes(32), record)
    assert verify_openings(Commitment(opening.leaf_hash, (number,)), [opening]) == record
