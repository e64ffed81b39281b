"""CBOR as the objects of an export are written, held to an independent library."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.scitt.cbor import CborMalformedError, Item, Tagged, decode, encode

ITEMS = st.recursive(
    st.one_of(st.integers(-(2**64), 2**64 - 1), st.binary(max_size=300), st.text(max_size=20), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.integers(-300, 300), st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=20,
)


@given(ITEMS)
def test_another_library_reads_what_is_written(item: Item) -> None:
    raw = encode(item)
    assert cbor2.loads(raw) == item
    assert decode(raw) == item


@given(ITEMS)
def test_another_library_writes_the_same(item: Item) -> None:
    """In its canonical form, but for the order of keys, which RFC 7049 had by length."""
    assert sorted(cbor2.dumps(item, canonical=True)) == sorted(encode(item))


@given(st.binary(max_size=60))
def test_what_is_read_is_written_again_in_the_same_bytes(raw: bytes) -> None:
    try:
        item = decode(raw)
    except CborMalformedError:
        return
    assert encode(item) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x18\x17",
        b"\x19\x00\xff",
        b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
        b"\x5f\x41\x00\xff",
        b"\x9f\xff",
        b"\xbf\xff",
        b"\x42\x00",
        b"\x61\xff",
        b"\xa2\x02\x00\x01\x00",
        b"\xa2\x01\x00\x01\x00",
        b"\xa1\x40\x00",
        b"\xf4",
        b"\xf9\x00\x00",
        b"\x00\x00",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x81" * 30 + b"\x00",
    ],
    ids=lambda raw: raw[:6].hex() or "nothing",
)
def test_every_other_form_is_refused(raw: bytes) -> None:
    with pytest.raises(CborMalformedError):
        decode(raw)


def test_a_tag_is_read() -> None:
    assert decode(encode(Tagged(18, [b"", {}, None, b""]))) == Tagged(18, [b"", {}, None, b""])
