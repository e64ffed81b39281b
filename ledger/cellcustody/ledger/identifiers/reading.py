"""Read an identifier field by field, from the left, refusing at the first character that breaks a rule.

* Nothing is trimmed, upper-cased or normalised: a character is in the field's alphabet or the text is refused there.
* Only ASCII can match; digits of other scripts are not digits.
* Printed text (typed from a label) may hold single spaces between characters, since labels group differently from
  country to country. Spaces at the ends or in a row are refused. Offsets always count the text as it was passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from cellcustody.ledger.identifiers.check_characters import check_character
from cellcustody.ledger.identifiers.errors import (
    CheckCharacterError,
    CheckCharacterMissingError,
    IdentifierMalformedError,
)

WITHHELD: Final = "withheld"


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The characters that a field may hold, and how a person is told."""

    description: str
    characters: frozenset[str]


def _alphabet(description: str, characters: str) -> Alphabet:
    return Alphabet(description=description, characters=frozenset(characters))


_DIGITS: Final = "0123456789"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UPPER_WITHOUT_O: Final = _UPPER.replace("O", "")

DIGIT: Final = _alphabet("a digit", _DIGITS)
UPPER: Final = _alphabet("one of A-Z", _UPPER)
UPPER_ALPHANUMERIC: Final = _alphabet("one of 0-9, A-Z", _DIGITS + _UPPER)
ALPHANUMERIC: Final = _alphabet("one of 0-9, A-Z, a-z", _DIGITS + _UPPER + _UPPER.lower())
# The letter O is left out of facility numbers because a person cannot tell it from zero (ST-001).
FACILITY_FIRST: Final = _alphabet("one of A-N, P-Z, 1-9", _UPPER_WITHOUT_O + _DIGITS[1:])
FACILITY_NEXT: Final = _alphabet("one of A-N, P-Z, 0-9", _UPPER_WITHOUT_O + _DIGITS)
# GS1 General Specifications, figure 7.11-1: the characters of alphanumeric element strings.
GS1_TEXT: Final = _alphabet("one of GS1's 82 characters", _DIGITS + _UPPER + _UPPER.lower() + "!\"%&'()*+,-./:;<=>?_")


class Reader:
    """Reads one text from left to right; every refusal carries the offset in the text as passed in."""

    __slots__ = ("_offsets", "_private", "identifier", "position", "text")

    def __init__(
        self, text: str, *, identifier: str, private: bool = False, offsets: Sequence[int] | None = None
    ) -> None:
        self.text = text
        self.identifier = identifier
        self.position = 0
        self._private = private
        self._offsets = offsets

    @classmethod
    def of_printed(cls, text: str, *, identifier: str, private: bool = False) -> Reader:
        """Returns a reader over `text` without the single spaces between its characters."""
        kept: list[str] = []
        offsets: list[int] = []
        for offset, character in enumerate(text):
            if character != " ":
                kept.append(character)
                offsets.append(offset)
            elif offset == 0 or offset == len(text) - 1 or text[offset - 1] == " ":
                raise IdentifierMalformedError(
                    identifier=identifier, offset=offset, rule="only single spaces between characters", value=" "
                )
        return cls("".join(kept), identifier=identifier, private=private, offsets=(*offsets, len(text)))

    @property
    def remaining(self) -> int:
        """Returns how many characters are left to read."""
        return len(self.text) - self.position

    @property
    def is_private(self) -> bool:
        """Returns whether what was named last is about a person."""
        return self._private

    def about(self, identifier: str, *, private: bool) -> None:
        """Names what is read from here on."""
        self.identifier = identifier
        self._private = private

    def offset_of(self, position: int) -> int:
        """Returns the offset, in the text as passed in, of a position in the text being read."""
        return position if self._offsets is None else self._offsets[position]

    def refuse(
        self,
        rule: str,
        *,
        at: int,
        value: str,
        error: type[IdentifierMalformedError] = IdentifierMalformedError,
    ) -> NoReturn:
        """Raises `error` for the position `at`; the value is withheld where the identifier is about a person."""
        raise error(
            identifier=self.identifier,
            offset=self.offset_of(at),
            rule=rule,
            value=WITHHELD if self._private and value else value,
        )

    def take(self, count: int, alphabet: Alphabet, field: str) -> str:
        """Returns the next `count` characters, all of `alphabet`, or raises at the first that is not."""
        start = self.position
        for place in range(start, start + count):
            if place >= len(self.text):
                self.refuse(f"{field} is cut short: the text ends here", at=place, value="")
            if self.text[place] not in alphabet.characters:
                self.refuse(f"{field} must be {alphabet.description}", at=place, value=self.text[place])
        self.position = start + count
        return self.text[start : self.position]

    def take_facility(self, field: str = "facility") -> str:
        """Returns the next five characters as a facility identification number (ST-001, a pppp)."""
        return self.take(1, FACILITY_FIRST, field) + self.take(2, FACILITY_NEXT, field) + self.take(2, DIGIT, field)

    def expect(self, literal: str, field: str) -> None:
        """Reads exactly `literal`, or raises at the first character that differs."""
        for wanted in literal:
            self.take(1, Alphabet(repr(wanted), frozenset(wanted)), field)

    def take_check_character(self, content: str) -> None:
        """Reads the check character K of `content`.

        Raises:
            CheckCharacterMissingError: the text ends where K must stand.
            CheckCharacterError: what stands there is not K of `content`.
        """
        at = self.position
        if not self.remaining:
            self.refuse("the check character must follow", at=at, value="", error=CheckCharacterMissingError)
        if self.text[at] != check_character(content):
            self.refuse(
                "the check character does not belong to what stands before it (ISO/IEC 7064 Mod 37,2)",
                at=at,
                value=self.text[at],
                error=CheckCharacterError,
            )
        self.position = at + 1

    def finish(self) -> None:
        """Raises unless everything was read."""
        if self.remaining:
            self.refuse("nothing may follow here", at=self.position, value=self.text[self.position])


def read_whole(text: str, count: int, alphabet: Alphabet, identifier: str, *, private: bool = False) -> str:
    """Returns `text` if it is exactly `count` characters of `alphabet`, or raises at the first that is not."""
    reader = Reader(text, identifier=identifier, private=private)
    reader.take(count, alphabet, "it")
    reader.finish()
    return text
