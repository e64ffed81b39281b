"""What stands on a label is read as typed, printed as the standard wants, and read back to the same value."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    CheckCharacterError,
    CheckCharacterMissingError,
    CollectionDateTime,
    Din,
    DivisionRequiredError,
    DonationSequence,
    DonorId,
    ExpiryDateTime,
    ExpiryDay,
    FlagKind,
    FlexibleDateTime,
    FlexibleTimeKind,
    Grid,
    IdentifierMalformedError,
    MphoUniqueIdentifier,
    NamingSystem,
    ProcessingFacility,
    ProcessorProductCode,
    ProductCode,
    ProductConsignment,
    ProductDivision,
    SequenceOutOfRangeError,
    SingleEuropeanCode,
    StaffId,
    Structure,
    check_character,
    division_of,
    next_chain_of_identity,
    next_din,
    random_chain_of_identity,
)

FACILITY: Final = "A9999"


@pytest.mark.parametrize(
    ("typed", "content"),
    [
        ("A9999211234563", "A99992112345600"),
        ("A999921123456003", "A99992112345600"),
        ("A9999 21 123456 00 3", "A99992112345600"),
        ("W0000 09 123456 02 G", "W00000912345602"),
        ("G123 498 654 321 H", "G12349865432100"),
    ],
)
def test_a_donation_number_is_typed_with_its_check_character(typed: str, content: str) -> None:
    """Number and K, or number, flags and K, however the label groups them."""
    assert Din.parse_printed(typed).content == content


@pytest.mark.parametrize(
    ("kind", "typed", "error", "offset"),
    [
        (Din, "A999921123456", CheckCharacterMissingError, 13),
        (Din, "A99992112345600", CheckCharacterMissingError, 15),
        (Din, "A9999 21 123456 63 3", IdentifierMalformedError, 16),
        (Din, "A9999  21 123456 3", IdentifierMalformedError, 6),
        (Din, "a9999211234563", IdentifierMalformedError, 0),
        (Din, "A9999211234564", CheckCharacterError, 13),
        (Din, "A99992112345633", CheckCharacterMissingError, 15),
        (ChainOfIdentity, "CHA999925000001", CheckCharacterMissingError, 15),
        (ChainOfIdentity, "CHA9999 25 000001", CheckCharacterMissingError, 17),
        (ChainOfIdentity, "CHA9999 25 000001 D", CheckCharacterError, 18),
        (ChainOfIdentity, "CHA999925000001G ", IdentifierMalformedError, 16),
        (ChainOfIdentity, "CHA999925000001GG", IdentifierMalformedError, 16),
        (ChainOfIdentity, "CIA999925000001G", IdentifierMalformedError, 1),
        (ChainOfIdentity, "CH09999", IdentifierMalformedError, 2),
    ],
)
def test_a_typed_identifier_is_refused_at_its_place(
    kind: type[Structure], typed: str, error: type[IdentifierMalformedError], offset: int
) -> None:
    """Offsets count the text as typed, spaces included."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        kind.parse_printed(typed)
    assert (type(refusal.value), refusal.value.offset) == (error, offset)


@pytest.mark.parametrize(
    "structure",
    [
        Din("A99992112345600"),
        ChainOfIdentity("CHA999925000001"),
        ProductCode("S12341Ba"),
        ProductCode("T0416003"),
        ProductDivision("000012"),
        ProductDivision("AABB00"),
        DonorId("A99990123456789012345"),
        StaffId("A9999TECH07"),
        ProductConsignment("A999925000010102"),
        ProcessingFacility("A9999ABC123"),
        ProcessorProductCode("A9999XYZ100S1234"),
        Grid.of("9991", "00000ABC12345"),
        ExpiryDateTime("0250601530"),
        CollectionDateTime("0240662359"),
        ExpiryDay("024366"),
        MphoUniqueIdentifier("A9999E0398A999921123456A00000"),
        SingleEuropeanCode("PL001499Z549917123456A00T041600320171231"),
        DonationSequence("PL001499Z549917123456"),
    ],
    ids=lambda structure: type(structure).__name__,
)
def test_printed_and_scanned_forms_are_read_back(structure: Structure) -> None:
    """Printing, typing, scanning and storing lead back to the same value."""
    assert type(structure).parse_printed(structure.format_print()) == structure
    assert type(structure).parse(structure.wire()) == structure
    assert type(structure).parse_content(structure.content) == structure


def test_a_type_3_flag_is_never_printed() -> None:
    """The number's own label text shows K instead."""
    assert Din.parse("=A99992112345663").format_print() == "A9999 21 123456 3"


@pytest.mark.parametrize(
    ("flags", "kind", "container"),
    [
        ("00", FlagKind.NONE, None),
        ("04", FlagKind.CONTAINER, 4),
        ("15", FlagKind.CONTAINER, 5),
        ("19", FlagKind.CONTAINER, 9),
        ("05", FlagKind.SECOND_LABEL, None),
        ("09", FlagKind.NAT_SAMPLE, None),
        ("13", FlagKind.PARTIAL_OR_ATTACHED, None),
        ("20", FlagKind.LOCAL, None),
        ("59", FlagKind.LOCAL, None),
        ("63", FlagKind.CHECK, None),
    ],
)
def test_flags_say_which_label_was_scanned(flags: str, kind: FlagKind, container: int | None) -> None:
    """Two labels of one donation differ in flags and share the number."""
    din = Din("A999921123456" + flags)
    assert (din.number, din.flag_kind, din.container_number) == ("A999921123456", kind, container)


def test_division_99_demands_data_structure_032() -> None:
    """Without it the division is unknown; with it where nobody asked, the label contradicts itself."""
    elsewhere, here = ProductCode("S1234199"), ProductCode("S1234100")
    assert division_of(elsewhere, ProductDivision("000012")) == "000012"
    assert division_of(here, None) == "00"
    for product, division in ((elsewhere, None), (here, ProductDivision("000012"))):
        with pytest.raises(DivisionRequiredError):
            division_of(product, division)


@pytest.mark.parametrize(
    ("content", "offset"),
    [("S12341a0", 6), ("S123410a", 6), ("S1234190", 6), ("T041600A", 7), ("s1234100", 0), ("S12341", 6)],
)
def test_a_bad_product_code_is_refused(content: str, offset: int) -> None:
    """Levels of division come in order and in their case; tissue has a pack number."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        ProductCode(content)
    assert refusal.value.offset == offset


@pytest.mark.parametrize(
    ("content", "levels"), [("000000", ()), ("000012", ("000012",)), ("AABBCC", ("AA", "BB", "CC"))]
)
def test_divisions_of_divisions_have_levels(content: str, levels: tuple[str, ...]) -> None:
    """One level of digits, or up to three pairs of letters."""
    assert ProductDivision(content).levels == levels


@pytest.mark.parametrize("content", ["AA00BB", "A0BB00", "AABB", "AA0012", "00AA00"])
def test_a_bad_division_is_refused(content: str) -> None:
    """Pairs are whole and leave no gap; digits and letters do not mix."""
    with pytest.raises(IdentifierMalformedError):
        ProductDivision(content)


def test_the_mpho_unique_identifiers_in_use_are_read() -> None:
    """With and without a processing facility."""
    made = MphoUniqueIdentifier.parse("A9999E0398A999921123456A00000")
    assert (made.processing_facility, made.description_code) == ("A9999", "E0398")
    assert (made.donation_number, made.division) == ("A999921123456", "A00000")
    assert MphoUniqueIdentifier.parse("00000E3046A999924123457000000").processing_facility is None


def test_naming_systems_are_known_in_whatever_case() -> None:
    """Records elsewhere write the URI in two ways; it is written out in one."""
    system = NamingSystem.of("https://www.isbt128.org/uri/mphouniqueidentifier")
    assert system is NamingSystem.MPHO_UNIQUE_IDENTIFIER
    assert system.uri == "https://www.isbt128.org/uri/MPHOUniqueIdentifier"
    assert NamingSystem.of("urn:oid:2.16.840.1.113883.6.18.2.1") is NamingSystem.DONATION_NUMBER
    assert NamingSystem.of("https://www.isbt128.org/uri/other") is None


def test_the_european_code_is_printed_as_published_and_begins_with_the_donation_sequence() -> None:
    """The sequence alone is what an apheresis bag carries."""
    code = SingleEuropeanCode.parse_printed("SEC: PL001499Z549917123456 A00T041600320171231")
    donation = DonationSequence.of("PL", "1499", Din.of_number("Z549917123456"))
    assert code.format_print() == "SEC: PL001499Z549917123456 A00T041600320171231"
    assert code.donation == donation
    assert SingleEuropeanCode.of(donation, ProductCode("T0416003"), date(2017, 12, 31)) == code
    assert SingleEuropeanCode.of(donation, ProductCode("S12341Ba"), None).split == "0Ba"
    with pytest.raises(DivisionRequiredError):
        SingleEuropeanCode.of(donation, ProductCode("S1234199"), None)


@pytest.mark.parametrize(
    "content", ["PL001499Z549917123456C00T041600320171231", "PL001499Z549917123456A00T041600320170231"]
)
def test_a_bad_european_code_is_refused(content: str) -> None:
    """Coding system and calendar are checked."""
    with pytest.raises(IdentifierMalformedError):
        SingleEuropeanCode(content)


def test_label_times_are_local_to_a_zone_that_the_caller_names() -> None:
    """The same digits are other instants elsewhere; 2359 is no time of day."""
    label = ExpiryDateTime.of(date(2025, 3, 1), time(15, 30))
    assert label.wire() == "&>0250601530"
    assert label.format_print() == "01 MAR 2025 15:30"
    assert label.at(timezone(timedelta(hours=-5))) == datetime(2025, 3, 1, 20, 30, tzinfo=UTC)
    assert ExpiryDateTime.of(date(2025, 3, 1), None).clock is None
    assert ExpiryDateTime.of(date(2025, 3, 1), None).format_print() == "01 MAR 2025"


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31)))
def test_every_day_and_minute_has_its_label(moment: datetime) -> None:
    """Day of year and clock are written and read back."""
    label = CollectionDateTime.of(moment.date(), moment.time())
    assert label.day == moment.date()
    assert label.clock in (moment.time().replace(second=0, microsecond=0), None)
    assert CollectionDateTime.parse_printed(label.format_print()) == label


@pytest.mark.parametrize("content", ["0253660000", "0250000000", "0250012400", "0250011260", "9990011200", "025001120"])
def test_impossible_times_are_refused(content: str) -> None:
    """Day of year, hour, minute, century and length."""
    with pytest.raises(IdentifierMalformedError):
        ExpiryDateTime(content)


def test_a_flexible_time_in_utc_needs_no_zone() -> None:
    """An instant is written in UTC and read back, whatever zone the reader is in."""
    instant = datetime(2025, 3, 1, 15, 30, tzinfo=timezone(timedelta(hours=1)))
    label = FlexibleDateTime.of(FlexibleTimeKind.COLLECTION, instant)
    assert label.wire() == "=(2002202503011430"
    assert label.at(timezone(timedelta(hours=9))) == instant
    assert FlexibleDateTime("1002202503011530").at(timezone(timedelta(hours=1))) == instant


@pytest.mark.parametrize(
    ("typed", "offset", "value"),
    [
        ("31 FOO 20", 3, "FOO"),
        ("31 DEC 1999", 7, "1999"),
        ("31 DEC 2100 15:30", 7, "2100"),
        ("31 DEC 20", 9, ""),
        ("30 FEB 2018", 0, "30FEB2018"),
    ],
)
def test_a_bad_typed_day_is_refused_where_it_goes_wrong(typed: str, offset: int, value: str) -> None:
    """The first part that fits nothing is named, at its place in what was typed."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        ExpiryDateTime.parse_printed(typed)
    assert (refusal.value.offset, refusal.value.value) == (offset, value)


@pytest.mark.parametrize("content", ["3002202503011430", "2102202503011430", "2007202503011430", "2002202502301430"])
def test_a_bad_flexible_time_is_refused(content: str) -> None:
    """Zone digit, reserved digit, kind and calendar are checked."""
    with pytest.raises(IdentifierMalformedError):
        FlexibleDateTime(content)


def test_consignment_papers_have_no_container_number() -> None:
    """Container 00 is the papers; no container lies beyond the total."""
    assert ProductConsignment("A999925000010002").container is None
    assert ProductConsignment("A999925000010202").container == 2
    for content in ("A999925000010302", "A999925000010000"):
        with pytest.raises(IdentifierMalformedError):
            ProductConsignment(content)


def test_a_grid_with_another_checksum_is_refused_without_naming_the_donor() -> None:
    """The check covers issuer and donor; the refusal withholds both."""
    grid = Grid.of("9991", "00000ABC12345")
    wrong = grid.content[:-2] + f"{(int(grid.content[-2:]) + 1) % 37:02d}"
    with pytest.raises(CheckCharacterError) as refusal:
        Grid(wrong)
    assert (refusal.value.offset, refusal.value.value) == (17, "withheld")
    assert "ABC12345" not in repr(grid)


def test_a_donor_identifier_is_typed_with_its_check_character() -> None:
    """Content alone is refused."""
    content = "A99990123456789012345"
    assert DonorId.parse_printed(content + check_character(content)).content == content
    with pytest.raises(CheckCharacterMissingError):
        DonorId.parse_printed(content)


def test_identifiers_are_assigned_from_facility_year_and_counter() -> None:
    """The same counter gives the same identifier; bounds are refused."""
    assert next_din(FACILITY, 2021, 123456) == Din("A99992112345600")
    assert next_chain_of_identity(FACILITY, 2025, 1).printed_compact == "CHA999925000001G"
    for year, counter in ((1999, 1), (2100, 1), (2025, -1), (2025, 1_000_000)):
        with pytest.raises(SequenceOutOfRangeError):
            next_chain_of_identity(FACILITY, year, counter)
        with pytest.raises(SequenceOutOfRangeError):
            next_din(FACILITY, year, counter)


@given(st.binary(min_size=6, max_size=6))
def test_a_random_sequence_passes_over_bytes_that_would_favour_some_characters(drawn: bytes) -> None:
    """Bytes of 252 and more are drawn again."""
    draws = iter((drawn, bytes(range(6)), bytes(range(6))))
    made = random_chain_of_identity(FACILITY, 2025, lambda length: next(draws))
    kept = [byte for byte in drawn if byte < 252] + list(range(6))
    assert made.sequence == "".join("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[byte % 36] for byte in kept[:6])


def test_no_assignment_takes_anything_about_a_person() -> None:
    """Facility, year, and a counter or randomness: nothing else can enter an identifier."""
    assert list(inspect.signature(next_din).parameters) == ["facility", "year", "counter"]
    assert list(inspect.signature(next_chain_of_identity).parameters) == ["facility", "year", "counter"]
    assert list(inspect.signature(random_chain_of_identity).parameters) == ["facility", "year", "random_bytes"]
