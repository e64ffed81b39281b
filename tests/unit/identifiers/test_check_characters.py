"""Check characters agree with the published examples and an independent implementation, and catch typing errors."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_37_2

from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    CheckCharacterError,
    Din,
    IdentifierMalformedError,
    check_character,
    check_value,
    gs1_check_digit,
    type_3_flag,
)

CONTENT: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TYPED: Final = CONTENT + "*"

PUBLISHED_DONATION_NUMBERS: Final = [
    ("G123417654321", 10, "A", "70"),
    ("G123498654321", 17, "H", "77"),
    ("A999921123456", 3, "3", "63"),
    ("A999818123456", 23, "N", "83"),
    ("A999820123456", 14, "E", "74"),
    ("A999917123456", 9, "9", "69"),
    ("A999917123654", 34, "Y", "94"),
    ("A999917345628", 36, "*", "96"),
    ("A999917345658", 24, "O", "84"),
    ("A999915000001", 22, "M", "82"),
    ("A999918000001", 8, "8", "68"),
    ("W000009123456", 16, "G", "76"),
]

facilities = st.from_regex(r"[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{2}", fullmatch=True)
numbers = st.builds(lambda facility, rest: facility + rest, facilities, st.from_regex(r"[0-9]{8}", fullmatch=True))
chains = st.builds(
    lambda facility, rest: "CH" + facility + rest, facilities, st.from_regex(r"[0-9]{2}[A-Z0-9]{6}", fullmatch=True)
)


@pytest.mark.parametrize(("number", "value", "character", "flag"), PUBLISHED_DONATION_NUMBERS)
def test_the_published_donation_numbers_have_their_published_check(
    number: str, value: int, character: str, flag: str
) -> None:
    """Value, keyboard check character and type 3 flag are those the standard prints."""
    assert (check_value(number), check_character(number), type_3_flag(number)) == (value, character, flag)
    assert Din.parse_printed(number + character).number == number
    assert Din.parse("=" + number + flag).with_type_3_flag().flags == flag


def test_the_published_device_identifier_has_its_published_check() -> None:
    """ST-017's Basic UDI-DI ends in checksum 08."""
    assert check_value("A9990ABC123T0480") == 8


@pytest.mark.parametrize(("content", "character"), [("CHA999925000001", "G"), ("CHA9999250000A1", "D")])
def test_a_chain_of_identity_is_checked_over_all_its_content(content: str, character: str) -> None:
    """The check covers the prefix CH too; the values were derived by the general rule."""
    assert check_character(content) == character
    assert ChainOfIdentity.parse_printed(content + character).content == content


@given(st.text(alphabet=CONTENT, min_size=1, max_size=40))
def test_an_independent_implementation_agrees(content: str) -> None:
    """python-stdnum computes the same Mod 37,2 character."""
    assert check_character(content) == mod_37_2.calc_check_digit(content)


@pytest.mark.parametrize("content", ["a999921123456", "A9999*", "A9999 21", "\u0661", ""])
def test_only_upper_case_and_digits_have_a_check_character(content: str) -> None:
    """Lower case, the check character itself, spaces and foreign digits are refused."""
    with pytest.raises(IdentifierMalformedError):
        check_character(content)


def _every_single_typing_error(typed: str) -> list[str]:
    substituted = [
        typed[:place] + other + typed[place + 1 :]
        for place, right in enumerate(typed)
        for other in TYPED
        if other != right
    ]
    transposed = [
        typed[:place] + typed[place + 1] + typed[place] + typed[place + 2 :]
        for place in range(len(typed) - 1)
        if typed[place] != typed[place + 1]
    ]
    return substituted + transposed


@settings(max_examples=40, deadline=None)
@given(numbers)
def test_every_single_typing_error_in_a_donation_number_is_caught(number: str) -> None:
    """No substitution and no adjacent transposition of number and K is read."""
    for mistyped in _every_single_typing_error(number + check_character(number)):
        with pytest.raises(IdentifierMalformedError):
            Din.parse_printed(mistyped)


@settings(max_examples=40, deadline=None)
@given(chains)
def test_every_single_typing_error_in_a_chain_of_identity_is_caught(content: str) -> None:
    """No substitution and no adjacent transposition of content and K is read."""
    for mistyped in _every_single_typing_error(content + check_character(content)):
        with pytest.raises(IdentifierMalformedError):
            ChainOfIdentity.parse_printed(mistyped)


@given(st.text(alphabet=CONTENT, min_size=2, max_size=30), st.data())
def test_the_check_itself_catches_every_substitution_and_transposition(content: str, data: st.DataObject) -> None:
    """The check alone, without any rule on alphabets, tells the content from its single typing errors."""
    place = data.draw(st.integers(0, len(content) - 2))
    other = data.draw(st.sampled_from([c for c in CONTENT if c != content[place]]))
    assert check_value(content[:place] + other + content[place + 1 :]) != check_value(content)
    if content[place] != content[place + 1]:
        swapped = content[:place] + content[place + 1] + content[place] + content[place + 2 :]
        assert check_value(swapped) != check_value(content)


def test_a_wrong_check_character_does_not_betray_the_right_one() -> None:
    """The refusal names place and value, and leaves no answer to copy."""
    with pytest.raises(CheckCharacterError) as refusal:
        ChainOfIdentity.parse_printed("CHA999925000001H")

    assert (refusal.value.offset, refusal.value.value) == (15, "H")
    assert "G" not in refusal.value.rule
    assert set(refusal.value.values) == {"identifier", "offset", "rule", "value"}


@pytest.mark.parametrize(
    ("digits", "check"), [("10614141234567890", "8"), ("629104150021", "3"), ("950600013435", "2")]
)
def test_gs1_check_digits_are_those_of_the_general_specifications(digits: str, check: str) -> None:
    """Published examples of an SSCC, a GTIN-13 and a GLN."""
    assert gs1_check_digit(digits) == check
