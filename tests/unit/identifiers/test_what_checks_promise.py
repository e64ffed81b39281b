"""What each check promises to catch is caught, exhaustively where that is short; what it cannot catch is stated."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_2

from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    Din,
    DonorId,
    Giai,
    Gln,
    Grai,
    Grid,
    GsrnProvider,
    Gtin,
    IdentifierMalformedError,
    Sscc,
    Structure,
    check_character,
    check_value,
    gs1_check_digit,
    type_3_flag,
)

CONTENT: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"
KEYS: Final[list[tuple[type[Structure], int]]] = [(Sscc, 18), (Gtin, 14), (Gln, 13), (GsrnProvider, 18)]

facilities = st.from_regex(r"[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{2}", fullmatch=True)
numbers = st.tuples(facilities, st.from_regex(r"[0-9]{8}", fullmatch=True)).map("".join)


def _substituted(text: str, alphabet: str) -> list[str]:
    return [
        text[:place] + other + text[place + 1 :]
        for place, right in enumerate(text)
        for other in alphabet
        if other != right
    ]


def _transposed(text: str) -> list[str]:
    return [
        text[:place] + second + first + text[place + 2 :]
        for place, (first, second) in enumerate(pairwise(text))
        if first != second
    ]


def test_mod_37_2_tells_every_pair_of_characters_at_every_place() -> None:
    """Every substitution and adjacent transposition, at each of 40 places, changes the check value."""
    for after in range(40):
        tail = "0" * after
        alone = {check_value("A" + character + tail) for character in CONTENT}
        assert len(alone) == len(CONTENT)
        for first in CONTENT:
            for second in CONTENT:
                if first != second:
                    assert check_value(first + second + tail) != check_value(second + first + tail)


@given(st.text(alphabet=CONTENT, min_size=1, max_size=60))
def test_mod_37_2_catches_every_mistake_in_the_check_character_too(content: str) -> None:
    """An independent implementation accepts content and character, and no single mistake in either."""
    typed = content + check_character(content)
    assert mod_37_2.is_valid(typed)
    last = _transposed(typed[-2:])
    for mistyped in [*_substituted(typed[-1], CONTENT + "*"), *last]:
        assert not mod_37_2.is_valid(typed[: -len(mistyped)] + mistyped)


@settings(max_examples=25, deadline=None)
@given(facilities, st.from_regex(r"[0-9]{16}", fullmatch=True))
def test_no_single_mistake_in_a_typed_donor_identifier_is_read(facility: str, number: str) -> None:
    """Content and K."""
    typed = facility + number + check_character(facility + number)
    assert DonorId.parse_printed(typed).content == facility + number
    for mistyped in _substituted(typed, CONTENT + "*") + _transposed(typed):
        with pytest.raises(IdentifierMalformedError):
            DonorId.parse_printed(mistyped)


@settings(max_examples=25, deadline=None)
@given(numbers)
def test_no_single_mistake_in_a_scanned_number_with_type_3_flag_is_read(number: str) -> None:
    """Number and flag; flags that are not type 3 carry no check, and no mistake here leads to one."""
    wire = number + type_3_flag(number)
    for mistyped in _substituted(wire[:13], CONTENT) + _transposed(wire[:13]):
        with pytest.raises(IdentifierMalformedError):
            Din.parse("=" + mistyped + wire[13:])


@settings(max_examples=25, deadline=None)
@given(st.from_regex(r"[0-9]{4}", fullmatch=True), st.from_regex(r"[0-9A-Z]{13}", fullmatch=True))
def test_no_single_mistake_in_a_grid_is_read(issuer: str, donor: str) -> None:
    """Content and its two check digits, in scanned and in typed form alike."""
    grid = Grid.of(issuer, donor).content
    for mistyped in _substituted(grid, CONTENT) + _transposed(grid):
        with pytest.raises(IdentifierMalformedError):
            Grid.parse_printed(mistyped)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KEYS), st.data())
def test_a_gs1_check_digit_catches_substitutions_and_all_transpositions_but_of_digits_apart_by_five(
    key: tuple[type[Structure], int], data: st.DataObject
) -> None:
    """Mod 10 with weights 3 and 1 cannot tell 0 from 5, 1 from 6, ... when they change places; nothing else escapes."""
    kind, length = key
    digits = data.draw(st.text(alphabet=DIGITS, min_size=length - 1, max_size=length - 1))
    typed = digits + gs1_check_digit(digits)
    for mistyped in _substituted(typed, DIGITS):
        with pytest.raises(IdentifierMalformedError):
            kind.parse_content(mistyped)
    for place, (first, second) in enumerate(pairwise(typed)):
        swapped = typed[:place] + second + first + typed[place + 2 :]
        if first == second or abs(int(first) - int(second)) == 5:
            assert kind.parse_content(swapped).content == swapped
        else:
            with pytest.raises(IdentifierMalformedError):
                kind.parse_content(swapped)


def test_a_flag_digit_is_not_covered_by_the_check_character() -> None:
    """K belongs to the number: another flag reads as another label of the same donation, as the standard has it."""
    assert Din.parse_printed("A999921123456003").number == Din.parse_printed("A999921123456013").number


def test_keys_are_made_with_their_check_digit() -> None:
    """Shippers and logistic units; a logger's number has no check digit and needs none."""
    assert Sscc.of("10614141234567890") == Sscc("106141412345678908")
    assert Grai.of("061414100734", "SHIPPER-1") == Grai("00614141007349SHIPPER-1")
    assert Giai("0614141LOG-7").format_print() == "(8004)0614141LOG-7"
    for wrong in ("1061414123456789", "106141412345678901", "1061414123456789A"):
        with pytest.raises(IdentifierMalformedError):
            Sscc.of(wrong)


@given(st.text(alphabet=CONTENT + "abcxyz*-. \u0661\uff21", max_size=20))
def test_whatever_is_typed_for_a_therapy_is_read_only_with_its_own_check_character(typed: str) -> None:
    """No text is read that an independent implementation would not accept."""
    try:
        read = ChainOfIdentity.parse_printed(typed)
    except IdentifierMalformedError as refusal:
        assert 0 <= refusal.offset <= len(typed)
    else:
        assert mod_37_2.is_valid(typed.replace(" ", "")) and read.printed_compact == typed.replace(" ", "")
