"""Read and print the Single European Code, and the donation sequence that an apheresis bag in the EU carries.

* Donation sequence, 21 characters: country (ISO 3166, 2), tissue establishment (6), donation number (13). Shorter
  establishments and donation numbers are filled up with zeros at the left.
* Single European Code (data structure 038), 40 characters: donation sequence, then coding system (`A` ISBT 128,
  `B` Eurocode, `E` EUTC), product code (7), split (3), expiry YYYYMMDD, `00000000` where there is none.
* Printed: `SEC: ` and the two halves with a space between. Letters and digits only; no check character exists.
* A cell therapy's split is `0` and the two characters of division. Data structure 032's six characters do not fit and
  no recommendation exists, so such a product gets no code from here.

Source: Directive 2006/86/EC as amended by (EU) 2015/565, annex VII; ICCBBA ST-012 for the ISBT 128 form. The code does
not apply to advanced therapy medicinal products; Regulation (EU) 2024/1938, art. 43(1), asks for the donation sequence
where material is released for their manufacture.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar, Final, Self

from cellcustody.ledger.identifiers.donations import Din, ProductCode
from cellcustody.ledger.identifiers.errors import DivisionRequiredError
from cellcustody.ledger.identifiers.reading import (
    ALPHANUMERIC,
    DIGIT,
    UPPER,
    UPPER_ALPHANUMERIC,
    Alphabet,
    Reader,
    read_whole,
)
from cellcustody.ledger.identifiers.structure import Structure

NO_EXPIRY: Final = "00000000"
_PRINT_PREFIX: Final = "SEC: "
_CODING_SYSTEM: Final = Alphabet("A (ISBT 128), B (Eurocode) or E (EUTC)", frozenset("ABE"))


def _read_donation(reader: Reader) -> None:
    reader.take(2, UPPER, "country")
    reader.take(6, UPPER_ALPHANUMERIC, "tissue establishment")
    reader.take(13, UPPER_ALPHANUMERIC, "donation number")


class CodingSystem(StrEnum):
    """Whose product codes a Single European Code uses."""

    ISBT_128 = "A"
    EUROCODE = "B"
    EUTC = "E"


@dataclass(frozen=True, slots=True)
class DonationSequence(Structure):
    """The donation-identifying half of a Single European Code; it has no data identifier of its own."""

    NAME: ClassVar[str] = "European donation sequence"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = ""

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _read_donation(reader)

    @classmethod
    def of(cls, country: str, establishment: str, donation: Din) -> Self:
        """Returns the sequence for an ISBT 128 donation of a tissue establishment (one to six characters).

        Raises:
            IdentifierMalformedError: country or establishment is none; offsets count each by itself.
        """
        # Each is read by itself: a country one letter short would let the establishment's first stand in its place.
        read_whole(country, 2, UPPER, f"{cls.NAME}, country")
        read_whole(establishment, min(max(len(establishment), 1), 6), UPPER_ALPHANUMERIC, f"{cls.NAME}, establishment")
        return cls(f"{country}{establishment:0>6}{donation.number}")

    @property
    def country(self) -> str:
        """Returns the two letters of the country."""
        return self.content[:2]

    @property
    def establishment(self) -> str:
        """Returns the tissue establishment's six characters, zeros included."""
        return self.content[2:8]

    @property
    def donation_number(self) -> str:
        """Returns the donation number's 13 characters, zeros included."""
        return self.content[8:]


@dataclass(frozen=True, slots=True)
class SingleEuropeanCode(Structure):
    """A Single European Code (data structure 038), 40 characters."""

    NAME: ClassVar[str] = "Single European Code"
    NUMBER: ClassVar[str] = "038"
    DATA_IDENTIFIER: ClassVar[str] = "&,4"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _read_donation(reader)
        reader.take(1, _CODING_SYSTEM, "coding system")
        reader.take(7, UPPER_ALPHANUMERIC, "product code")
        reader.take(3, ALPHANUMERIC, "split")
        at = reader.position
        expiry = reader.take(8, DIGIT, "expiry")
        if expiry != NO_EXPIRY:
            try:
                date(int(expiry[:4]), int(expiry[4:6]), int(expiry[6:]))
            except ValueError:
                reader.refuse("no such day in the calendar", at=at, value=expiry)

    @classmethod
    def of(cls, donation: DonationSequence, product: ProductCode, expiry: date | None) -> Self:
        """Returns the code of an ISBT 128 product.

        Raises:
            DivisionRequiredError: the product's division is in data structure 032, for which no split exists.
        """
        if product.division_is_elsewhere:
            raise DivisionRequiredError(
                identifier=cls.NAME, offset=29, rule="no split exists for data structure 032", value=product.division
            )
        day = NO_EXPIRY if expiry is None else f"{expiry:%Y%m%d}"
        return cls(
            f"{donation.content}{CodingSystem.ISBT_128}{product.description_code:0>7}{product.division:0>3}{day}"
        )

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """Returns the code typed from a label, with or without `SEC:` before it."""
        reader = Reader.of_printed(text, identifier=cls.NAME)
        if reader.text.startswith("SEC:"):
            reader.expect("SEC:", "prefix")
        found = cls.read_from(reader)
        reader.finish()
        return found

    @property
    def donation(self) -> DonationSequence:
        """Returns the donation-identifying half."""
        return DonationSequence(self.content[:21])

    @property
    def coding_system(self) -> CodingSystem:
        """Returns whose product codes are used."""
        return CodingSystem(self.content[21])

    @property
    def product_code(self) -> str:
        """Returns the product code's seven characters, zeros included."""
        return self.content[22:29]

    @property
    def split(self) -> str:
        """Returns the three characters of split."""
        return self.content[29:32]

    @property
    def expiry(self) -> date | None:
        """Returns the day of expiry, or None where the code states none."""
        digits = self.content[32:]
        return None if digits == NO_EXPIRY else date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))

    def format_print(self) -> str:
        """Returns `SEC: ` and the two halves with a space between."""
        return f"{_PRINT_PREFIX}{self.content[:21]} {self.content[21:]}"
