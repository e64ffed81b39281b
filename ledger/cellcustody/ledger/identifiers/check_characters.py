"""Compute check characters: ISO/IEC 7064 Mod 37,2 for ISBT 128 and mod 10 for GS1, each in one function.

The rules:

* ISBT 128's keyboard check character K is ISO/IEC 7064 Mod 37,2 over the data content: for a donation identification
  number its first 13 characters (flags excluded), for every other structure the whole content string.
* The content holds only 0-9 and A-Z. `*` is a check character and never content; lower case has no check character.
* The type 3 flag of a donation identification number is 60 plus the same check value.
* GS1 keys end in a mod 10 digit with weights 3 and 1 from the right (GS1 General Specifications, 7.9).
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.identifiers.errors import IdentifierMalformedError

CHECK_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
_CONTENT_VALUES: Final = {character: value for value, character in enumerate(CHECK_ALPHABET[:-1])}
_DIGITS: Final = frozenset("0123456789")

TYPE_3_FLAG_BASE: Final = 60  # ST-001 keeps flags 60-96 for the 37 check values, so that a scan carries them too.


def check_value(content: str) -> int:
    """Returns the ISO/IEC 7064 Mod 37,2 check value of `content`, from 0 to 36.

    Raises:
        IdentifierMalformedError: `content` is empty or holds a character other than 0-9 and A-Z.
    """
    if not content:
        raise IdentifierMalformedError(identifier="checked content", offset=0, rule="must not be empty", value="")
    total = 0
    for offset, character in enumerate(content):
        value = _CONTENT_VALUES.get(character)
        if value is None:
            raise IdentifierMalformedError(
                identifier="checked content", offset=offset, rule="must be one of 0-9, A-Z", value=character
            )
        total = (total + value) * 2 % 37
    return (38 - total) % 37


def check_character(content: str) -> str:
    """Returns the keyboard check character K of `content`: one of 0-9, A-Z and `*`.

    >>> check_character("A999921123456"), check_character("CHA999925000001")
    ('3', 'G')

    Raises:
        IdentifierMalformedError: `content` is empty or holds a character other than 0-9 and A-Z.
    """
    return CHECK_ALPHABET[check_value(content)]


def type_3_flag(number: str) -> str:
    """Returns the type 3 flag, `60` to `96`, of a 13-character donation identification number."""
    return str(TYPE_3_FLAG_BASE + check_value(number))


def gs1_check_digit(digits: str) -> str:
    """Returns the GS1 mod 10 check digit that follows `digits`.

    >>> gs1_check_digit("629104150021")
    '3'

    Raises:
        IdentifierMalformedError: `digits` is empty or holds something other than 0-9.
    """
    if not digits:
        raise IdentifierMalformedError(identifier="GS1 key", offset=0, rule="must not be empty", value="")
    total = 0
    for place, character in enumerate(reversed(digits)):
        if character not in _DIGITS:
            offset = len(digits) - 1 - place
            raise IdentifierMalformedError(identifier="GS1 key", offset=offset, rule="must be a digit", value=character)
        total += int(character) * (1 if place % 2 else 3)
    return str(-total % 10)
