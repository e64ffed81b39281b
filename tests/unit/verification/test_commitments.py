"""The quick reading of records and the exact one come to the same verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import ClosedRecord, Commitment, DisclosedBody, Opening, commit, parse_wire_form
from cellcustody.ledger.transparency import node_hash
from cellcustody.ledger.verification.commitments import RecordReader
from cellcustody.v1 import common_pb2, quality_pb2

SEED = bytes(range(32))
HOLD_LIFTED = BODIES[quality_pb2.HoldLifted.DESCRIPTOR.full_name]


def accepted(records: tuple[Opening | ClosedRecord, ...], commitment: Commitment) -> bool:
    """Tells whether the exact checks take the records, and the body where all of them are open."""
    try:
        DisclosedBody(records).verify(commitment)
        if all(isinstance(record, Opening) for record in records):
            parse_wire_form(
                quality_pb2.HoldLifted, b"".join([one.record for one in records if isinstance(one, Opening)])
            )
    except CellcustodyError:
        return False
    return True


def reader_for(numbers: tuple[int, ...]) -> RecordReader:
    """Returns a reader that has met a body with these fields."""
    reader = RecordReader()
    reader.learn(HOLD_LIFTED, numbers)
    return reader


@given(
    holds=st.lists(st.binary(min_size=1, max_size=200), max_size=9),
    text=st.text(alphabet="abc", max_size=300),
    change=st.sampled_from(["none", "salt", "record", "length", "index", "close", "drop", "swap", "field", "root"]),
    at=st.integers(min_value=0, max_value=8),
)
def test_both_readings_agree(holds: list[bytes], text: str, change: str, at: int) -> None:
    """Whatever is done to a body's records, the quick reading takes no more than the exact one."""
    body = quality_pb2.HoldLifted(
        holds=holds, disposition=text, circumstances=common_pb2.Circumstances(reason=text), procedure="SOP"
    )
    commitment, openings = commit(body.SerializeToString(deterministic=True), SEED)
    records: list[Opening | ClosedRecord] = list(openings)
    at %= len(records)
    one = openings[at]
    match change:
        case "salt":
            records[at] = replace(one, salt=one.salt[:-1])
        case "record":
            records[at] = replace(one, record=one.record[:-1] + bytes([one.record[-1] ^ 1]))
        case "length":
            records[at] = replace(one, record=one.record + b"\x00")
        case "index":
            records[at] = replace(one, index=one.index + 1)
        case "close":
            records[at] = ClosedRecord(one.index, one.leaf_hash)
        case "drop":
            del records[at]
        case "swap":
            records.reverse()
        case "field":
            records[at] = replace(one, record=bytes([one.record[0] ^ 8]) + one.record[1:])
        case "root":
            commitment = replace(commitment, root=SEED)
        case _:
            pass

    reader = reader_for(commitment.field_numbers)
    for _ in range(2):  # The second time the reader knows every record that it took.
        if reader.accepts(records, commitment.root, commitment.field_numbers, HOLD_LIFTED):
            assert accepted(tuple(records), commitment)
        reader.accepts(openings, commitment.root, commitment.field_numbers, HOLD_LIFTED)
    if change in ("none", "close") and all(len(one.record) < 120 for one in openings):
        assert reader.accepts(records, commitment.root, commitment.field_numbers, HOLD_LIFTED)


@pytest.mark.parametrize("count", range(1, 20))
def test_every_number_of_records_makes_the_same_root(count: int) -> None:
    """The tree is that of RFC 6962 for every number of leaves."""
    commitment, openings = commit(
        quality_pb2.HoldLifted(holds=[bytes(32)] * count).SerializeToString(deterministic=True), SEED
    )

    reader = reader_for(commitment.field_numbers)
    assert reader.accepts(openings, commitment.root, commitment.field_numbers, HOLD_LIFTED)
    assert not reader.accepts(openings, SEED, commitment.field_numbers, HOLD_LIFTED)


@pytest.mark.parametrize(
    "record",
    [
        b"\x0a\x03\x08\x01",  # Shorter than it says.
        b"\x0a\x80\x00",  # A length longer than it need be.
        b"\x12\x02\xff\xff",  # No text.
        b"\x12\x00",  # A default, written.
        b"\x10\x01",  # Another wire type.
    ],
)
def test_a_signed_record_that_no_body_may_have_is_not_accepted(record: bytes) -> None:
    """Whoever signs can commit to anything; where a body of these fields is known, its records are still looked at."""
    number = record[0] >> 3
    opening = Opening(0, bytes(32), record)
    reader = reader_for((number,))

    assert not accepted((opening,), Commitment(opening.leaf_hash, (number,)))
    assert not reader.accepts([opening], opening.leaf_hash, (number,), HOLD_LIFTED)


def test_fields_that_may_not_follow_one_another_are_not_learnt() -> None:
    """Field numbers are known from bodies that passed the exact check, and from nothing else."""
    commitment, openings = commit(quality_pb2.HoldLifted(disposition="x").SerializeToString(), SEED)
    twice = (openings[0], replace(openings[0], index=1))
    reader = reader_for(commitment.field_numbers)
    root = node_hash(twice[0].leaf_hash, twice[1].leaf_hash)

    assert not accepted(twice, Commitment(root, commitment.field_numbers * 2))
    assert not reader.accepts(twice, root, commitment.field_numbers * 2, HOLD_LIFTED)
