"""A scanner's raw string is read whole or refused at the place where it breaks."""

from __future__ import annotations

from datetime import date
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    CheckCharacterError,
    CompoundCountError,
    CompoundMessage,
    Din,
    ExpiryDateTime,
    ExpiryDay,
    Giai,
    Gln,
    Grai,
    Gs1Element,
    GsrnRecipient,
    Gtin,
    IdentifierMalformedError,
    MphoLot,
    PatientId,
    ProcessorProductCode,
    ProductCode,
    ProductDivision,
    ProductionDay,
    SingleEuropeanCode,
    Sscc,
    StaffId,
    Structure,
    UnknownDataIdentifierError,
    parse_scan,
)

ST_012: Final = "=+05000=Z54991712345600=%T300=<T0416003&>0183652359&,4PL001499Z549917123456A00T041600320181231"
DEVICE: Final = "=+04035=/A9997XYZ100T0479=,000012=A99991712345600=>019031"
DEVICE_LOT: Final = "=+06000=/A9999XYZ100T0476=,000025=A99971712345600=>019032=}017032&,1000000000000XYZ123"
PARTS: Final = ("=A99991712345600", "=<S1234100", "=,000012", "&>0250012359", "&/CHA999925000001")


def _values(raw: str) -> list[Structure | Gs1Element]:
    return [scanned.value for scanned in parse_scan(raw)]


def test_the_standards_compound_example_is_read() -> None:
    """ST-012's five structures come out with their places in the string."""
    scanned = parse_scan(ST_012)

    donation, _, product, expiry, code = [part.value for part in scanned]
    assert isinstance(donation, Din) and (donation.number, donation.flags) == ("Z549917123456", "00")
    assert isinstance(product, ProductCode) and (product.description_code, product.division) == ("T0416", "003")
    assert isinstance(expiry, ExpiryDateTime) and (expiry.day, expiry.clock) == (date(2018, 12, 31), None)
    assert isinstance(code, SingleEuropeanCode) and code.expiry == date(2018, 12, 31)
    assert [part.offset for part in scanned] == [7, 23, 29, 39, 51]


def test_the_device_examples_are_read() -> None:
    """Both UDI examples come out as the structures they name."""
    assert [type(value) for value in _values(DEVICE)] == [ProcessorProductCode, ProductDivision, Din, ExpiryDay]
    assert [type(value) for value in _values(DEVICE_LOT)] == [
        ProcessorProductCode,
        ProductDivision,
        Din,
        ExpiryDay,
        ProductionDay,
        MphoLot,
    ]
    lot = _values(DEVICE_LOT)[-1]
    assert isinstance(lot, MphoLot) and lot.lot == "XYZ123"


@pytest.mark.parametrize("raw", [ST_012, DEVICE, DEVICE_LOT])
def test_a_compound_message_is_written_as_it_was_read(raw: str) -> None:
    """Wire in, wire out, character for character."""
    assert CompoundMessage.parse(raw).wire() == raw


@given(st.permutations(PARTS))
def test_structures_of_a_compound_message_come_in_any_order(parts: list[str]) -> None:
    """The same structures are found, in the symbol's own order."""
    found = _values("=+05000" + "".join(parts))
    assert [value.wire() for value in found] == parts


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 99])
def test_a_compound_message_with_another_count_is_refused_whole(count: int) -> None:
    """Fewer or more structures than announced: nothing of the message is used."""
    raw = f"=+{count:02d}000" + "".join(PARTS)
    with pytest.raises(CompoundCountError) as refusal:
        parse_scan(raw)
    assert refusal.value.offset == 7 + sum(len(part) for part in PARTS[:count])
    assert refusal.value.value == f"{count:02d}"


@pytest.mark.parametrize(
    ("raw", "error", "offset", "value"),
    [
        (ST_012[:51], CompoundCountError, 51, "05"),
        ("=A999917123456", IdentifierMalformedError, 14, ""),
        ("=zINVALID_DI_TEST", UnknownDataIdentifierError, 0, "=z"),
        ("=G12341765432171", CheckCharacterError, 14, "71"),
        ("=A99991712345697", IdentifierMalformedError, 14, "97"),
        ("=A99991712345614", IdentifierMalformedError, 14, "14"),
        ("=A9999171234560A", IdentifierMalformedError, 15, "A"),
        ("=AO99917123456 00", IdentifierMalformedError, 2, "O"),
        ("=A99991712345600=<S1234100", IdentifierMalformedError, 16, "="),
        ("=A99991712345600\r", IdentifierMalformedError, 16, "\r"),
        ("=+02000=A99991712345600&aXYZ", UnknownDataIdentifierError, 23, "&a"),
        ("=+01000=+01000=A99991712345600", UnknownDataIdentifierError, 7, "=+"),
        ("=+00000", IdentifierMalformedError, 2, "00"),
        ("=+02000=A99991712345600&>0183660000", IdentifierMalformedError, 28, "366"),
        ("&/CHA9999250000a1", IdentifierMalformedError, 15, "a"),
        ("&/CHA999925000001G", IdentifierMalformedError, 17, "G"),
        ("]X1=A99991712345600", UnknownDataIdentifierError, 0, "]X1"),
        ("", UnknownDataIdentifierError, 0, ""),
        ("A99991712345600", UnknownDataIdentifierError, 0, "A9"),
        ("=A\u066199917123456", IdentifierMalformedError, 2, "\u0661"),
        ("=" * 4000, IdentifierMalformedError, 3116, "4000 characters"),
    ],
)
def test_a_bad_scan_is_refused_at_its_place(
    raw: str, error: type[IdentifierMalformedError], offset: int, value: str
) -> None:
    """Class, 0-based offset and value say what is wrong with it."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        parse_scan(raw)
    assert type(refusal.value) is error
    assert (refusal.value.offset, refusal.value.value) == (offset, value)


@given(st.text(max_size=60) | st.text(alphabet="=&+,</>0123456789ABCDEFGHIJ", max_size=60))
def test_any_text_is_read_or_refused_with_a_place(raw: str) -> None:
    """No text makes the parser fail in another way, and what it reads it writes back."""
    try:
        scanned = parse_scan(raw)
    except IdentifierMalformedError as refusal:
        assert 0 <= refusal.offset <= len(raw)
    else:
        assert "".join(part.value.wire() for part in scanned) in raw


@given(st.sampled_from([ST_012, DEVICE, DEVICE_LOT]), st.data())
def test_a_truncated_compound_message_is_refused(raw: str, data: st.DataObject) -> None:
    """No proper beginning of a compound message is read."""
    with pytest.raises(IdentifierMalformedError):
        parse_scan(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize("symbology", ["", "]C0", "]d1"])
def test_a_symbology_identifier_may_lead(symbology: str) -> None:
    """The structure is the same and its offset counts the whole string."""
    (scanned,) = parse_scan(symbology + "&/CHA999925000001")
    assert scanned.value == ChainOfIdentity("CHA999925000001")
    assert scanned.offset == len(symbology)


def test_a_message_is_composed_with_its_count() -> None:
    """What is composed is read back."""
    message = CompoundMessage.of(Din.parse("=A99991712345600"), StaffId.parse("='A9999TECH07"))
    assert message.wire() == "=+02000=A99991712345600='A9999TECH07"
    assert _values(message.wire()) == [scanned.value for scanned in message.structures]


def test_errors_and_reprs_withhold_what_is_about_a_patient() -> None:
    """Neither a refused nor a read patient number shows in text that may reach a log."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        parse_scan("&#0010SECRET!!!!")
    assert refusal.value.value == "withheld"
    (scanned,) = parse_scan("&#0006SECRET")
    assert isinstance(scanned.value, PatientId) and scanned.value.patient_number == "SECRET"
    assert "SECRET" not in repr(scanned) + str(scanned.value)


def test_the_rest_of_a_misread_patient_number_is_withheld_too() -> None:
    """A length two too small leaves two characters of the number where the next structure should begin."""
    with pytest.raises(UnknownDataIdentifierError) as refusal:
        parse_scan("=+02000&#0004SECRET")
    assert (refusal.value.offset, refusal.value.value) == (17, "withheld")
    with pytest.raises(UnknownDataIdentifierError) as refusal:
        parse_scan("=+03000&#0006SECRET=%T300?!")
    assert (refusal.value.offset, refusal.value.value) == (25, "?!")


def test_a_gs1_symbol_of_a_shipper_is_read_to_its_end() -> None:
    """Elements of variable length end at FNC1; those of predefined length need none."""
    raw = "]d20010614141234567890841495060001343528003006141410073492ABC\x1d80040614141LOG-7"
    scanned = parse_scan(raw)
    assert [part.value for part in scanned] == [
        Sscc("106141412345678908"),
        Gln("9506000134352"),
        Grai("00614141007349" + "2ABC"),
        Giai("0614141LOG-7"),
    ]
    assert [part.offset for part in scanned] == [3, 23, 39, 62]


def test_a_gs1_element_of_variable_length_needs_its_fnc1() -> None:
    """Text that runs on is refused, and so is an identifier nobody here reads."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        parse_scan("]C18018106141412345678908" + "10LOT")
    assert (refusal.value.offset, refusal.value.rule) == (25, "FNC1 must end GSRN of a recipient")
    with pytest.raises(UnknownDataIdentifierError) as refusal:
        parse_scan("]C100106141412345678908" + "3103000189")
    assert (refusal.value.offset, refusal.value.value) == (23, "3103")


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        (Sscc("106141412345678908"), "(00)106141412345678908"),
        (Gtin("06291041500213"), "(01)06291041500213"),
        (Gln("9506000134352"), "(414)9506000134352"),
        (Grai("00614141007349SHIPPER-1"), "(8003)00614141007349SHIPPER-1"),
        (Giai("0614141LOG-7"), "(8004)0614141LOG-7"),
        (GsrnRecipient("106141412345678908"), "(8018)106141412345678908"),
    ],
)
def test_a_gs1_key_is_printed_and_read_back(key: Gs1Element, printed: str) -> None:
    """Printed, typed and scanned forms name the same key."""
    assert key.format_print() == printed
    assert type(key).parse_printed(printed) == key
    assert type(key).parse(key.wire()) == key


def test_gs1_keys_check_their_digit() -> None:
    """A wrong digit is refused where it stands."""
    with pytest.raises(CheckCharacterError) as refusal:
        Sscc.parse("00106141412345678907")
    assert (refusal.value.offset, refusal.value.value) == (19, "7")
