"""Read and print the GS1 keys that shippers, loggers and places carry, from element strings and GS1 symbols.

* Read here: SSCC (00), GTIN (01), batch or lot (10), expiry (17), serial (21), GLN of a place (414), GRAI (8003),
  GIAI (8004), GSRN of a provider (8017) and of a recipient (8018). Any other application identifier is refused.
* SSCC, GTIN, GLN, GSRN and the numeric part of GRAI end in a mod 10 check digit, verified. The others have none.
* `parse(wire)` takes application identifier and content; `parse_printed` the same with the identifier in brackets:
  `(00)106141412345678908`. `parse_content` takes the content alone.
* In a symbol, FNC1 (transmitted as GS, 0x1D) ends every element but the last, save those of predefined length.

Source: GS1 General Specifications, sections 3, 7.8 and 7.9.
"""

from __future__ import annotations

from abc import ABC
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from cellcustody.ledger.identifiers.check_characters import gs1_check_digit
from cellcustody.ledger.identifiers.errors import CheckCharacterError, UnknownDataIdentifierError
from cellcustody.ledger.identifiers.reading import DIGIT, GS1_TEXT, Reader, read_whole
from cellcustody.ledger.identifiers.structure import Structure

GROUP_SEPARATOR: Final = "\x1d"


def _take_checked_digits(reader: Reader, count: int, field: str) -> str:
    digits = reader.take(count, DIGIT, field)
    if digits[-1] != gs1_check_digit(digits[:-1]):
        reader.refuse(
            "the check digit does not belong to the digits before it (GS1 mod 10)",
            at=reader.position - 1,
            value=digits[-1],
            error=CheckCharacterError,
        )
    return digits


def _take_text(reader: Reader, length_max: int, field: str) -> str:
    """Returns the text up to the next FNC1 or the end, of which there may be `length_max` characters and no more."""
    end = reader.text.find(GROUP_SEPARATOR, reader.position)
    length = (len(reader.text) if end < 0 else end) - reader.position
    if length > length_max:
        at = reader.position + length_max
        reader.refuse(f"{field} takes at most {length_max} characters", at=at, value=reader.text[at])
    return reader.take(length, GS1_TEXT, field)


@dataclass(frozen=True, slots=True)
class Gs1Element(Structure, ABC):
    """One GS1 element: application identifier (as the data identifier) and content."""

    LENGTH_PREDEFINED: ClassVar[bool] = False

    @classmethod
    def parse_printed(cls, text: str) -> Gs1Element:
        """Returns the element typed from a label: application identifier in brackets, then the content."""
        reader = Reader.of_printed(text, identifier=cls.NAME)
        reader.expect(f"({cls.DATA_IDENTIFIER})", "application identifier")
        found = cls.read_from(reader)
        reader.finish()
        return found

    def format_print(self) -> str:
        """Returns the application identifier in brackets and the content."""
        return f"({self.DATA_IDENTIFIER}){self.content}"


@dataclass(frozen=True, slots=True)
class Sscc(Gs1Element):
    """A serial shipping container code: one logistic unit, 18 digits.

    >>> Sscc.parse("00106141412345678908").format_print()
    '(00)106141412345678908'
    """

    NAME: ClassVar[str] = "SSCC"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "00"
    LENGTH_PREDEFINED: ClassVar[bool] = True

    @classmethod
    def of(cls, digits: str) -> Sscc:
        """Returns the code of 17 digits (extension digit, company prefix, serial reference), check digit computed."""
        read_whole(digits, 17, DIGIT, f"{cls.NAME} without check digit")
        return cls(digits + gs1_check_digit(digits))

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _take_checked_digits(reader, 18, "SSCC")


@dataclass(frozen=True, slots=True)
class Gtin(Gs1Element):
    """A trade item number, 14 digits; shorter ones stand filled up with zeros at the left."""

    NAME: ClassVar[str] = "GTIN"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "01"
    LENGTH_PREDEFINED: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _take_checked_digits(reader, 14, "GTIN")


@dataclass(frozen=True, slots=True)
class Gs1Lot(Gs1Element):
    """A batch or lot number, up to 20 characters."""

    NAME: ClassVar[str] = "GS1 batch or lot"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "10"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(1, GS1_TEXT, "lot")
        _take_text(reader, 19, "lot")


@dataclass(frozen=True, slots=True)
class Gs1Expiry(Gs1Element):
    """An expiry date, YYMMDD; day 00 is the last day of the month. The century is the reader's to decide."""

    NAME: ClassVar[str] = "GS1 expiry"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "17"
    LENGTH_PREDEFINED: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        at = reader.position
        digits = reader.take(6, DIGIT, "date")
        year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:])
        # 1900 and 2000 differ in their February only; GS1's window of 50 years around today takes 00 for 2000.
        if not 1 <= month <= 12 or day > monthrange(2000 + year, month)[1]:
            reader.refuse("no such day in the calendar", at=at, value=digits)


@dataclass(frozen=True, slots=True)
class Gs1Serial(Gs1Element):
    """A serial number, up to 20 characters."""

    NAME: ClassVar[str] = "GS1 serial"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "21"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(1, GS1_TEXT, "serial")
        _take_text(reader, 19, "serial")


@dataclass(frozen=True, slots=True)
class Gln(Gs1Element):
    """A global location number of a physical place, 13 digits."""

    NAME: ClassVar[str] = "GLN"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "414"
    LENGTH_PREDEFINED: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _take_checked_digits(reader, 13, "GLN")


@dataclass(frozen=True, slots=True)
class Grai(Gs1Element):
    """A returnable asset, such as a shipper: a zero, 13 digits with a check digit, and up to 16 of serial."""

    NAME: ClassVar[str] = "GRAI"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "8003"

    @classmethod
    def of(cls, asset_type: str, serial: str) -> Grai:
        """Returns the number of 12 digits (company prefix, asset type) and up to 16 of serial, check digit computed."""
        read_whole(asset_type, 12, DIGIT, f"{cls.NAME}, asset type without check digit")
        return cls(f"0{asset_type}{gs1_check_digit(asset_type)}{serial}")

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.expect("0", "leading zero")
        _take_checked_digits(reader, 13, "asset type")
        _take_text(reader, 16, "serial")

    @property
    def serial(self) -> str:
        """Returns the serial, empty where the number names the asset type alone."""
        return self.content[14:]


@dataclass(frozen=True, slots=True)
class Giai(Gs1Element):
    """An individual asset, such as a logger: company prefix and reference, up to 30 characters, no check digit."""

    NAME: ClassVar[str] = "GIAI"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "8004"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        # A GS1 company prefix has at least four digits.
        reader.take(4, DIGIT, "company prefix")
        reader.take(1, GS1_TEXT, "asset reference")
        _take_text(reader, 25, "asset reference")


@dataclass(frozen=True, slots=True)
class GsrnProvider(Gs1Element):
    """A service relation number of a provider, such as a member of staff, 18 digits."""

    NAME: ClassVar[str] = "GSRN of a provider"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "8017"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _take_checked_digits(reader, 18, "GSRN")


@dataclass(frozen=True, slots=True, repr=False)
class GsrnRecipient(Gs1Element):
    """A service relation number of a recipient, such as a patient, 18 digits; errors withhold it."""

    NAME: ClassVar[str] = "GSRN of a recipient"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = "8018"
    ABOUT_A_PERSON: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _take_checked_digits(reader, 18, "GSRN")


GS1_ELEMENTS: Final[dict[str, type[Gs1Element]]] = {
    element.DATA_IDENTIFIER: element
    for element in (Sscc, Gtin, Gs1Lot, Gs1Expiry, Gs1Serial, Gln, Grai, Giai, GsrnProvider, GsrnRecipient)
}


def read_gs1(reader: Reader) -> tuple[tuple[int, Gs1Element], ...]:
    """Returns every element from the reader's place to the end, each with the offset of its application identifier.

    Raises:
        UnknownDataIdentifierError: an application identifier that is not read here.
        IdentifierMalformedError: anything else that does not fit, at its offset.
    """
    return tuple(_elements(reader))


def _elements(reader: Reader) -> Iterator[tuple[int, Gs1Element]]:
    while True:
        at = reader.position
        element = next((GS1_ELEMENTS[p] for n in (2, 3, 4) if (p := reader.text[at : at + n]) in GS1_ELEMENTS), None)
        reader.about("GS1 symbol", private=False)
        if element is None:
            reader.refuse(
                "no element that is read here begins so",
                at=at,
                value=reader.text[at : at + 4],
                error=UnknownDataIdentifierError,
            )
        reader.position = at + len(element.DATA_IDENTIFIER)
        yield at, element.read_from(reader)
        if not reader.remaining:
            return
        reader.about("GS1 symbol", private=False)
        if reader.text[reader.position] == GROUP_SEPARATOR:
            reader.position += 1
        elif not element.LENGTH_PREDEFINED:
            reader.refuse(f"FNC1 must end {element.NAME}", at=reader.position, value=reader.text[reader.position])
