"""What a careless reader would take: foreign digits, other cases, short and long text, members that repeat."""

from __future__ import annotations

import ast
import inspect
from datetime import date, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.identifiers import (
    KINDS,
    CompoundMessage,
    CompoundRepeatedError,
    Din,
    DonationSequence,
    ExpiryDateTime,
    ExpiryDay,
    FlexibleDateTime,
    Grid,
    IdentifierMalformedError,
    PlainIdentifier,
    ProductCode,
    UnknownDataIdentifierError,
    generation,
    parse_scan,
    print_identifier,
    random_chain_of_identity,
    read_content,
    read_printed,
    read_scan,
    wire_of,
)

WIRES: Final = [
    "=A99991712345600",
    "=%T300",
    "=<S1234100",
    "=>019031",
    "&>0183652359",
    "=*019031",
    "&*0183652359",
    "=}017032",
    "&}0183652359",
    "&(N0003",
    "=;A99990123456789012345",
    "='A9999TECH07",
    "=#0119800229",
    "&#0106ABC123",
    "=$A999925000010102",
    "=(2002202503011430",
    "=,000012",
    "=,AABB00",
    "&+A9999ABC123",
    "=/A9999XYZ100S1234",
    "&,1000000000000XYZ123",
    "&,2000000000000XYZ123",
    "&,4PL001499Z549917123456A00T041600320181231",
    "&:" + Grid.of("9991", "00000ABC12345").content,
    "&/CHA999925000001",
]
FOREIGN: Final = (
    "\u0661\u06f1\u0967\uff11\u00b2\u2160\uff21\u0410\u00e4\u0130\u017f\u212a\u00a0\u200b\ufeff\x00\x1d\r\n\t "
)


@pytest.mark.parametrize("wire", WIRES)
def test_no_beginning_of_a_structure_and_nothing_after_it_is_read(wire: str) -> None:
    """Cut short it is refused at its end; whatever follows is refused where it begins."""
    assert parse_scan(wire)[0].value.wire() == wire
    for length in range(len(wire)):
        with pytest.raises(IdentifierMalformedError) as refusal:
            parse_scan(wire[:length])
        assert refusal.value.offset <= length
    for more in ("0", "A", " ", "\r", "\x1d", "\u0661"):
        with pytest.raises(IdentifierMalformedError) as refusal:
            parse_scan(wire + more)
        assert refusal.value.offset == len(wire)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("prefix", ["", "=+01000", "]d1"])
def test_a_foreign_character_is_refused_at_its_place_wherever_it_stands(wire: str, prefix: str) -> None:
    """Digits of other scripts, letters that look alike, spaces and control characters are no characters of a label."""
    text = prefix + wire
    for place in range(len(prefix), len(text)):
        for character in FOREIGN:
            with pytest.raises(IdentifierMalformedError) as refusal:
                parse_scan(text[:place] + character + text[place + 1 :])
            # A data identifier is refused as a whole, so at its first character.
            assert refusal.value.offset in ({place} if place >= len(prefix) + 3 else range(len(prefix), place + 1))


@pytest.mark.parametrize("wire", [wire for wire in WIRES if not wire.startswith(("=%", "&(", "&#", "&,4"))])
def test_lower_case_is_read_nowhere_but_in_divisions_and_three_collection_types(wire: str) -> None:
    """A scanner that was set to lower case is noticed."""
    for place, character in enumerate(wire):
        if character.isalpha() and place >= 2:
            with pytest.raises(IdentifierMalformedError) as refusal:
                parse_scan(wire[:place] + character.lower() + wire[place + 1 :])
            assert refusal.value.offset == place


@pytest.mark.parametrize("collection_type", ["0", "1", "8", "A", "X", "r", "s", "d"])
def test_collection_types_of_the_standard_are_read(collection_type: str) -> None:
    """Paid and research donors have lower-case types."""
    assert ProductCode(f"S1234{collection_type}00").collection_type == collection_type
    with pytest.raises(IdentifierMalformedError):
        ProductCode("S1234x00")


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_every_day_of_a_century_is_read_and_the_day_after_its_last_is_not(day: date) -> None:
    """Day of year 366 stands only in leap years; 000 and 367 never."""
    assert ExpiryDay.of(day).day == day
    last = date(day.year, 12, 31).timetuple().tm_yday
    for wrong in (0, last + 1, 999):
        with pytest.raises(IdentifierMalformedError) as refusal:
            ExpiryDay.parse(f"=>0{day.year % 100:02d}{wrong:03d}")
        assert (refusal.value.offset, refusal.value.value) == (5, f"{wrong:03d}")


@pytest.mark.parametrize(
    ("wire", "offset"),
    [
        ("&>0250012400", 8),
        ("&>0250012360", 10),
        ("&>1250012359", 2),
        ("=(2002202502290000", 6),
        ("=(2002202402302400", 6),
        ("=(2002202402292400", 14),
        ("=(2000202402290000", 4),
        ("=(2102202402290000", 3),
        ("=#0119800230", 4),
        ("=#0100000101", 4),
        ("=$A999925000010000", 16),
        ("&#0100", 4),
        ("&,4PL001499Z549917123456A00T041600320180229", 35),
        ("&,4PL001499Z549917123456a00T041600320181231", 24),
        ("&,3PL0014", 0),
        ("=@A9999", 0),
        ("=00000", 0),
        ("=O99991712345600", 0),
        ("&a123", 0),
    ],
)
def test_impossible_values_are_refused_where_they_stand(wire: str, offset: int) -> None:
    """Hour 24, the 366th day, the 30th of February, no century, no such identifier."""
    with pytest.raises(IdentifierMalformedError) as refusal:
        parse_scan(wire)
    assert refusal.value.offset == offset


def test_a_leap_day_is_a_day() -> None:
    """2024 has a 366th day and 2025 has none."""
    assert ExpiryDateTime("0243662359").day == date(2024, 12, 31)
    with pytest.raises(IdentifierMalformedError):
        ExpiryDateTime("0253662359")


def test_a_message_with_two_structures_of_one_kind_is_refused_at_the_second() -> None:
    """Of two donation numbers or two expiries nobody knows which counts; the same one twice is no better."""
    for second in ("=A99991712345700", "=A99991712345600"):
        with pytest.raises(CompoundRepeatedError) as refusal:
            parse_scan("=+03000=A99991712345600=<S1234100" + second)
        assert refusal.value.offset == 33
    with pytest.raises(CompoundRepeatedError):
        CompoundMessage.parse("=+02000=>019031=>019031")
    with pytest.raises(CompoundRepeatedError):
        parse_scan("]d20010614141234567890800106141412345678908")


def test_a_message_may_hold_flexible_times_of_different_things() -> None:
    """Collection and expiry beside each other; two collections are refused."""
    collected, expires = "=(2002202503011430", "=(2001202603011430"
    found = [part.value for part in parse_scan("=+02000" + collected + expires)]
    assert [value.kind.name for value in found if isinstance(value, FlexibleDateTime)] == ["COLLECTION", "EXPIRY"]
    with pytest.raises(CompoundRepeatedError):
        parse_scan("=+02000" + collected + collected)


def test_two_linear_symbols_that_the_scanner_joined_are_two_structures() -> None:
    """`]C4` says so; without it the second is too much, and with it one is too few."""
    joined = "=A99991712345600=%T300"
    assert [part.offset for part in parse_scan("]C4" + joined)] == [3, 19]
    with pytest.raises(IdentifierMalformedError) as refusal:
        parse_scan("]C0" + joined)
    assert refusal.value.offset == 19
    with pytest.raises(UnknownDataIdentifierError) as missing:
        parse_scan("]C4=A99991712345600")
    assert missing.value.offset == 19


def test_no_character_moves_from_one_part_to_its_neighbour() -> None:
    """Parts that are put together are read each by itself first."""
    donation = Din.of_number("Z549917123456")
    for country, establishment in (("P", "L001499"), ("PLA", "01499"), ("PL", ""), ("PL", "0014999"), ("pl", "1499")):
        with pytest.raises(IdentifierMalformedError):
            DonationSequence.of(country, establishment, donation)
    for issuer, donor in (("99910", "0000ABC12345"), ("999", "100000ABC12345")):
        with pytest.raises(IdentifierMalformedError):
            Grid.of(issuer, donor)


def _is_the_same(one: PlainIdentifier, other: PlainIdentifier) -> bool:
    return all(one[member] == other[member] for member in ("kind", "content", "printed", "fields"))


@pytest.mark.parametrize("wire", WIRES)
def test_plain_forms_say_the_same_of_what_was_scanned_and_stored(wire: str) -> None:
    """A program that knows only text reads, stores, prints and writes back every kind."""
    (scanned,) = read_scan(wire)
    kind, content = scanned["kind"], scanned["content"]
    assert scanned["offset"] == 0
    assert kind in KINDS
    assert _is_the_same(scanned, read_content(kind, content))
    assert print_identifier(kind, content) == scanned["printed"]
    assert wire_of(kind, content) == wire


def test_plain_forms_read_what_was_typed() -> None:
    """Kinds by name; an unknown name is refused like any other malformed text."""
    typed = read_printed("din", "A9999 21 123456 00 3")
    assert typed["fields"]["number"] == "A999921123456"
    assert read_content("flexible-date-time", "2002202503011430")["fields"]["kind"] == "02"
    with pytest.raises(IdentifierMalformedError):
        read_printed("passport", "X")


def test_assigned_identifiers_depend_on_facility_year_and_drawn_bytes_alone() -> None:
    """The same bytes give the same identifier, whoever it is for: nothing else can have entered."""
    made = {random_chain_of_identity("A9999", 2025, lambda count: bytes(range(count))) for _ in range(3)}
    assert {each.content for each in made} == {"CHA999925012345"}
    other = random_chain_of_identity("A9999", 2025, lambda count: bytes(count))
    assert other.content == "CHA999925000000"


def test_the_generator_reads_no_clock_no_registry_and_no_person() -> None:
    """It imports what it makes, its refusals, and types; it keeps no state between calls."""
    tree = ast.parse(inspect.getsource(generation))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert imported == {
        "__future__",
        "collections.abc",
        "typing",
        "cellcustody.ledger.identifiers.chain_of_identity",
        "cellcustody.ledger.identifiers.donations",
        "cellcustody.ledger.identifiers.errors",
    }
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal)]


def test_the_label_times_window_is_one_century() -> None:
    """1999 and 2100 have no label here; their neighbours have."""
    for day in (date(2000, 1, 1), date(2099, 12, 31)):
        assert ExpiryDay.of(day).day == day
    for outside in (date(2000, 1, 1) - timedelta(days=1), date(2099, 12, 31) + timedelta(days=1)):
        with pytest.raises(IdentifierMalformedError):
            ExpiryDay.of(outside)


@pytest.mark.parametrize(
    ("day", "suits"),
    [
        (date(2025, 6, 1), True),
        (date(2024, 12, 1), True),
        (date(2024, 11, 29), False),
        (date(2026, 1, 31), True),
        (date(2026, 2, 2), False),
        (date(1925, 6, 1), True),
    ],
)
def test_a_nominal_year_suits_its_own_year_give_or_take_a_month(day: date, suits: bool) -> None:
    """Two digits come again after a century, for which the number is unique."""
    assert Din.of_number("A999925123456").suits(day) is suits
