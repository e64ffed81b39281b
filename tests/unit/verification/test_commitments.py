"""The quick reading of records and the exact one come to the same verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.errors import FormRefusedError
from cellcustody.ledger.statements import ClosedRecord, Commitment, DisclosedBody, Opening, commit
from cellcustody.ledger.verification.commitments import check_records
from cellcustody.v1 import common_pb2, quality_pb2

SEED = bytes(range(32))


def verdict(records: tuple[Opening | ClosedRecord, ...], commitment: Commitment, *, quick: bool) -> str:
    """Returns OK, or the reason of the refusal."""
    try:
        if quick:
            check_records(records, commitment)
        else:
            DisclosedBody(records).verify(commitment)
    except FormRefusedError as refusal:
        return refusal.reason
    return "OK"


@given(
    holds=st.lists(st.binary(min_size=1, max_size=200), max_size=9),
    text=st.text(alphabet="abc", max_size=300),
    change=st.sampled_from(["none", "salt", "record", "length", "index", "close", "drop", "swap", "field", "root"]),
    at=st.integers(min_value=0, max_value=8),
)
def test_both_readings_agree(holds: list[bytes], text: str, change: str, at: int) -> None:
    """Whatever is done to a body's records, both say the same of it."""
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

    assert verdict(tuple(records), commitment, quick=True) == verdict(tuple(records), commitment, quick=False)
    if change == "none":
        assert verdict(tuple(records), commitment, quick=True) == "OK"


@pytest.mark.parametrize("count", range(1, 20))
def test_every_number_of_records_makes_the_same_root(count: int) -> None:
    """The tree is that of RFC 6962 for every number of leaves."""
    commitment, openings = commit(
        quality_pb2.HoldLifted(holds=[bytes(32)] * count).SerializeToString(deterministic=True), SEED
    )

    assert verdict(openings, commitment, quick=True) == "OK"
