"""Identifiers of the format have one form each."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.statements.errors import IdMalformedError
from cellcustody.ledger.statements.ids import (
    StreamKind,
    check_statement_id,
    check_stream_id,
    key_id_from_text,
    new_statement_id,
    new_stream_id,
    single_stream_id,
    stream_id_from_text,
    stream_kind,
)
from cellcustody.v1 import options_pb2

MANY = [kind for kind in StreamKind if not kind.has_one_stream]
SINGLE = [kind for kind in StreamKind if kind.has_one_stream]


@pytest.mark.parametrize("kind", MANY)
def test_a_new_stream_has_its_kind_and_random_bytes(kind: StreamKind) -> None:
    stream = new_stream_id(kind, os.urandom)
    assert (len(stream), stream_kind(stream)) == (17, kind)
    assert stream_id_from_text(stream.hex()) == stream
    assert new_stream_id(kind, os.urandom) != stream


@pytest.mark.parametrize("kind", SINGLE)
def test_a_kind_with_one_stream_has_zero_bytes(kind: StreamKind) -> None:
    assert check_stream_id(single_stream_id(kind)) == bytes((kind,)) + bytes(16)
    with pytest.raises(IdMalformedError):
        new_stream_id(kind, os.urandom)
    with pytest.raises(IdMalformedError):
        check_stream_id(bytes((kind,)) + bytes(15) + b"\x01")


def test_the_kinds_are_those_of_the_contract() -> None:
    assert {f"STREAM_KIND_{kind.name}": kind.value for kind in StreamKind} == {
        name: number for name, number in options_pb2.StreamKind.items() if number
    }


@pytest.mark.parametrize("raw", [b"", bytes(17), b"\x0a" + bytes(16), b"\x01" + bytes(16), b"\x01" * 16, b"\x01" * 18])
def test_what_is_no_stream_id_is_refused(raw: bytes) -> None:
    with pytest.raises(IdMalformedError):
        check_stream_id(raw)


@pytest.mark.parametrize("kind", MANY)
def test_a_many_stream_kind_has_no_single_stream(kind: StreamKind) -> None:
    with pytest.raises(IdMalformedError):
        single_stream_id(kind)


def test_randomness_that_is_none_is_refused() -> None:
    for broken in (bytes, lambda n: b"\x01" * (n - 1)):
        with pytest.raises(IdMalformedError):
            new_stream_id(StreamKind.THERAPY, broken)
    with pytest.raises(IdMalformedError):
        new_statement_id(0, lambda n: bytes(n - 1))


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_statement_id_is_a_uuid_of_version_7(milliseconds: int, drawn: bytes) -> None:
    raw = new_statement_id(milliseconds, lambda _: drawn)
    read = uuid.UUID(bytes=bytes(check_statement_id(raw)))
    assert (read.version, read.variant, read.int >> 80) == (7, uuid.RFC_4122, milliseconds)


def test_statement_ids_ascend_with_time() -> None:
    ids = [new_statement_id(at, os.urandom) for at in range(1_767_261_600_000, 1_767_261_600_050)]
    assert ids == sorted(ids)


@pytest.mark.parametrize("milliseconds", [-1, 2**48])
def test_a_time_beyond_48_bits_makes_no_statement_id(milliseconds: int) -> None:
    with pytest.raises(IdMalformedError):
        new_statement_id(milliseconds, os.urandom)


def test_other_uuids_are_no_statement_ids() -> None:
    for raw in (uuid.uuid4().bytes, bytes(16), bytes(15), new_statement_id(0, os.urandom)[:8] + b"\xff" * 8):
        with pytest.raises(IdMalformedError):
            check_statement_id(raw)


@pytest.mark.parametrize("text", ["", "AB" * 32, "ab" * 31, "ab " * 32, "a" * 63, "0x" + "ab" * 31])
def test_a_key_id_has_one_text_form(text: str) -> None:
    with pytest.raises(IdMalformedError):
        key_id_from_text(text)
