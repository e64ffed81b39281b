"""The fast path and the exact walk give one verdict, and the walk names each defect and where it is."""

from __future__ import annotations

import random
import unicodedata

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.ledger.statements.errors import WireFormError, WireRule
from cellcustody.ledger.statements.shapes import DEPTH_MAX
from cellcustody.ledger.statements.varints import encode_varint
from cellcustody.ledger.statements.wireform import check_exactly, fast_path_accepts, parse_wire_form
from cellcustody.v1 import statement_pb2

Field = descriptor_pb2.FieldDescriptorProto


def sample_class() -> type[Message]:
    """Returns a message with every kind of field that a statement may have, and itself as a member."""
    file = descriptor_pb2.FileDescriptorProto(name="sample.proto", package="sample", syntax="proto3")
    colour = file.enum_type.add(name="Colour")
    for number, name in enumerate(("COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_BLUE")):
        colour.value.add(name=name, number=number)
    sample = file.message_type.add(name="Sample")
    sample.oneof_decl.add(name="choice")

    def add(name: str, number: int, kind: Field.Type.ValueType, *, repeated: bool = False, **more: object) -> None:
        label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
        type_name = {Field.TYPE_ENUM: ".sample.Colour", Field.TYPE_MESSAGE: ".sample.Sample"}.get(kind)
        sample.field.add(name=name, number=number, type=kind, label=label, type_name=type_name, **more)

    add("flag", 1, Field.TYPE_BOOL)
    add("small", 2, Field.TYPE_INT32)
    add("count", 3, Field.TYPE_UINT32)
    add("big", 4, Field.TYPE_UINT64)
    add("zigzag", 5, Field.TYPE_SINT64)
    add("text", 6, Field.TYPE_STRING)
    add("raw", 7, Field.TYPE_BYTES)
    add("colour", 8, Field.TYPE_ENUM)
    add("child", 9, Field.TYPE_MESSAGE)
    add("fixed", 10, Field.TYPE_FIXED32)
    add("wide", 11, Field.TYPE_SFIXED64)
    add("counts", 12, Field.TYPE_UINT32, repeated=True)
    add("colours", 13, Field.TYPE_ENUM, repeated=True)
    add("texts", 14, Field.TYPE_STRING, repeated=True)
    add("children", 15, Field.TYPE_MESSAGE, repeated=True)
    add("chosen_text", 16, Field.TYPE_STRING, oneof_index=0)
    add("chosen_count", 17, Field.TYPE_UINT32, oneof_index=0)
    add("maybe", 18, Field.TYPE_SINT32, oneof_index=1, proto3_optional=True)
    add("maybe_colour", 19, Field.TYPE_ENUM, oneof_index=2, proto3_optional=True)
    add("short_zigzag", 20, Field.TYPE_SINT32)
    sample.oneof_decl.add(name="_maybe")
    sample.oneof_decl.add(name="_maybe_colour")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sample.Sample"))


SAMPLE = sample_class()


def exact_accepts(data: bytes) -> bool:
    try:
        check_exactly(SAMPLE, data)
    except WireFormError:
        return False
    return True


DEFECTS: dict[str, tuple[bytes, WireRule, int]] = {
    "tag cut short": (b"\x80", WireRule.TRUNCATED, 0),
    "length past the end": (b"\x3a\x02\x00", WireRule.TRUNCATED, 1),
    "fixed value past the end": (b"\x55\x01\x02\x03", WireRule.TRUNCATED, 1),
    "tag not shortest": (b"\x88\x00\x01", WireRule.VARINT_NOT_SHORTEST, 0),
    "length not shortest": (b"\x3a\x81\x00\x07", WireRule.VARINT_NOT_SHORTEST, 1),
    "value not shortest": (b"\x18\x81\x00", WireRule.VARINT_NOT_SHORTEST, 1),
    "packed element not shortest": (b"\x62\x02\x81\x00", WireRule.VARINT_NOT_SHORTEST, 2),
    "uint32 with 33 bits": (b"\x18\x80\x80\x80\x80\x10", WireRule.VARINT_TOO_WIDE, 1),
    "sint32 with 33 bits": (b"\xa0\x01\x80\x80\x80\x80\x10", WireRule.VARINT_TOO_WIDE, 2),
    "negative int32 in five bytes": (b"\x10\xff\xff\xff\xff\x0f", WireRule.VARINT_TOO_WIDE, 1),
    "uint64 with 65 bits": (b"\x20" + b"\xff" * 9 + b"\x02", WireRule.VARINT_TOO_WIDE, 1),
    "varint of eleven bytes": (b"\x20" + b"\x80" * 10 + b"\x01", WireRule.VARINT_TOO_WIDE, 1),
    "field number 0": (b"\x00\x01", WireRule.TAG_INVALID, 0),
    "wire type 7": (b"\x0f", WireRule.TAG_INVALID, 0),
    "group": (b"\x4b\x4c", WireRule.GROUP, 0),
    "unknown field": (b"\xf8\x07\x01", WireRule.FIELD_UNKNOWN, 0),
    "wire type of another kind": (b"\x0a\x00", WireRule.WIRE_TYPE, 0),
    "repeated scalar alone": (b"\x60\x01", WireRule.SCALAR_NOT_PACKED, 0),
    "packed field empty": (b"\x62\x00", WireRule.PACKED_EMPTY, 2),
    "packed field twice": (b"\x62\x01\x01\x62\x01\x02", WireRule.FIELD_TWICE, 3),
    "fields descend": (b"\x18\x01\x08\x01", WireRule.FIELD_ORDER, 2),
    "scalar twice": (b"\x18\x01\x18\x02", WireRule.FIELD_TWICE, 2),
    "message twice": (b"\x4a\x00\x4a\x00", WireRule.FIELD_TWICE, 2),
    "two of a oneof": (b"\x82\x01\x01a\x88\x01\x01", WireRule.ONEOF_TWICE, 4),
    "false encoded": (b"\x08\x00", WireRule.DEFAULT_ENCODED, 1),
    "zero encoded": (b"\x18\x00", WireRule.DEFAULT_ENCODED, 1),
    "empty text encoded": (b"\x32\x00", WireRule.DEFAULT_ENCODED, 2),
    "fixed zero encoded": (b"\x55\x00\x00\x00\x00", WireRule.DEFAULT_ENCODED, 1),
    "bool 2": (b"\x08\x02", WireRule.BOOL_NOT_0_OR_1, 1),
    "enum 0 with implicit presence": (b"\x40\x00", WireRule.ENUM_ZERO, 1),
    "enum 0 with explicit presence": (b"\x98\x01\x00", WireRule.ENUM_ZERO, 2),
    "enum 0 in a list": (b"\x6a\x02\x01\x00", WireRule.ENUM_ZERO, 3),
    "enum unknown": (b"\x40\x03", WireRule.ENUM_UNKNOWN, 1),
    "enum unknown in a list": (b"\x6a\x02\x01\x09", WireRule.ENUM_UNKNOWN, 3),
    "text not UTF-8": (b"\x32\x02a\xff", WireRule.UTF8, 3),
    "text with a surrogate": (b"\x32\x03\xed\xa0\x80", WireRule.UTF8, 2),
    "text not NFC": (b"\x32\x03u\xcc\x88", WireRule.NFC, 2),
    "text not NFC in a list": (b"\x72\x03u\xcc\x88", WireRule.NFC, 2),
    "defect in a child": (b"\x4a\x02\x08\x02", WireRule.BOOL_NOT_0_OR_1, 3),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_the_walk_names_the_defect(name: str) -> None:
    data, rule, offset = DEFECTS[name]
    with pytest.raises(WireFormError) as refusal:
        parse_wire_form(SAMPLE, data)
    assert (refusal.value.rule, refusal.value.offset) == (rule, offset)


def test_every_rule_has_an_example() -> None:
    """No rule is documented that nothing can break."""
    assert {rule for _, rule, _ in DEFECTS.values()} | {WireRule.DEPTH} == set(WireRule)


GOOD = {
    "nothing": b"",
    "explicit zero": b"\x90\x01\x00",
    "negative int32 in ten bytes": b"\x10" + b"\xff" * 9 + b"\x01",
    "empty element of a list": b"\x72\x00\x72\x00",
    "empty child": b"\x4a\x00",
    "zero in a packed list": b"\x62\x02\x00\x00",
    "empty member of a oneof": b"\x82\x01\x00",
    "text in NFC": b"\x32\x02\xc3\xbc",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_form_allows_is_taken_by_both(name: str) -> None:
    assert exact_accepts(GOOD[name])
    assert fast_path_accepts(SAMPLE, GOOD[name])


def nested(levels: int) -> bytes:
    """Returns a message of so many levels, the outermost counted as the first."""
    data = b""
    for _ in range(levels - 1):
        data = b"\x4a" + encode_varint(len(data)) + data
    return data


def test_eight_levels_and_no_more() -> None:
    assert exact_accepts(nested(DEPTH_MAX))
    assert fast_path_accepts(SAMPLE, nested(DEPTH_MAX))
    with pytest.raises(WireFormError) as refusal:
        parse_wire_form(SAMPLE, nested(DEPTH_MAX + 1))
    assert refusal.value.rule is WireRule.DEPTH
    with pytest.raises(WireFormError):
        parse_wire_form(SAMPLE, nested(500))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=4)
UNSIGNED_32 = st.integers(0, 2**32 - 1)


def messages() -> st.SearchStrategy[dict[str, object]]:
    """Draws the fields of a message, any of them, defaults and unknown enums included."""
    base: dict[str, st.SearchStrategy[object]] = {
        "flag": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "count": UNSIGNED_32,
        "big": st.integers(0, 2**64 - 1),
        "zigzag": st.integers(-(2**63), 2**63 - 1),
        "text": TEXTS,
        "raw": st.binary(max_size=4),
        "colour": st.integers(0, 3),
        "fixed": UNSIGNED_32,
        "wide": st.integers(-(2**63), 2**63 - 1),
        "counts": st.lists(UNSIGNED_32, max_size=3),
        "colours": st.lists(st.integers(0, 3), max_size=3),
        "texts": st.lists(TEXTS, max_size=3),
        "chosen_text": TEXTS,
        "chosen_count": UNSIGNED_32,
        "maybe": st.integers(-(2**31), 2**31 - 1),
        "maybe_colour": st.integers(0, 3),
        "short_zigzag": st.integers(-(2**31), 2**31 - 1),
    }
    leaf = st.fixed_dictionaries({}, optional=base)
    return st.recursive(
        leaf,
        lambda inner: st.fixed_dictionaries(
            {}, optional=base | {"child": inner, "children": st.lists(inner, max_size=2)}
        ),
        max_leaves=4,
    )


@given(messages())
def test_one_verdict_on_what_a_serialiser_writes(fields: dict[str, object]) -> None:
    data = SAMPLE(**fields).SerializeToString(deterministic=True)
    assert fast_path_accepts(SAMPLE, data) == exact_accepts(data)


@settings(max_examples=400)
@given(messages(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_one_verdict_on_what_is_altered(fields: dict[str, object], chance: random.Random, count: int) -> None:
    """Bytes changed, inserted, removed, repeated or cut off: both implementations say the same."""
    data = bytearray(SAMPLE(**fields).SerializeToString(deterministic=True))
    for _ in range(count):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(data):
                del data[at]
            case 2:
                data[at:at] = bytes((chance.randrange(256),))
            case 3:
                data += data[at:]
            case _:
                del data[at:]
    assert fast_path_accepts(SAMPLE, bytes(data)) == exact_accepts(bytes(data))


@settings(max_examples=400)
@given(st.lists(st.sampled_from([data for data, _, _ in DEFECTS.values()] + list(GOOD.values())), max_size=4))
def test_one_verdict_on_records_put_together(records: list[bytes]) -> None:
    data = b"".join(records)
    assert fast_path_accepts(SAMPLE, data) == exact_accepts(data)


@given(st.binary(max_size=12))
def test_one_verdict_on_noise(data: bytes) -> None:
    assert fast_path_accepts(SAMPLE, data) == exact_accepts(data)


@given(TEXTS)
def test_text_is_taken_in_nfc_and_in_nothing_else(text: str) -> None:
    """A reading of a clock may carry any zone that is in NFC; whether it is a zone is another question."""
    data = statement_pb2.ClockReading(zone=text).SerializeToString(deterministic=True)
    assert fast_path_accepts(statement_pb2.ClockReading, data) == (unicodedata.normalize("NFC", text) == text)
