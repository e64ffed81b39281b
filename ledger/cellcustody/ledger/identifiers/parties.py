"""Read and print what names people, facilities, lots and consignments on a label.

* Facility identification number (FIN): five characters, `a pppp`, as in a donation number.
* Staff (020), consignment (028), processing facility (033) and processor's product code (034) begin with a FIN.
* A donor identifier (019) is typed with its check character K. A GRID (039) ends in two digits, the Mod 37,2 check
  value of the 17 characters before them.
* Patient structures (024, 025), donor identifiers and GRID are about a person: errors and reprs withhold their value.
* Blood group (002) and special testing (010) are codes of licensed tables; they are read and kept, never interpreted.

Source: ICCBBA ST-001 6.2.2; ST-015 for the GRID.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from cellcustody.ledger.identifiers.check_characters import check_value
from cellcustody.ledger.identifiers.errors import CheckCharacterError
from cellcustody.ledger.identifiers.reading import ALPHANUMERIC, DIGIT, UPPER, UPPER_ALPHANUMERIC, Reader, read_whole
from cellcustody.ledger.identifiers.structure import Structure


@dataclass(frozen=True, slots=True, repr=False)
class DonorId(Structure):
    """A donor's identifier within a facility (data structure 019), 21 characters; typed with K."""

    NAME: ClassVar[str] = "donor identifier"
    NUMBER: ClassVar[str] = "019"
    DATA_IDENTIFIER: ClassVar[str] = "=;"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 4, 4, 4, 4)
    CHECK_CHARACTER_PRINTED: ClassVar[bool] = True
    ABOUT_A_PERSON: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take_facility()
        reader.take(16, DIGIT, "donor number")

    @property
    def facility(self) -> str:
        """Returns the FIN of the facility that assigned it."""
        return self.content[:5]


@dataclass(frozen=True, slots=True)
class StaffId(Structure):
    """A member of staff's badge (data structure 020): FIN and six characters."""

    NAME: ClassVar[str] = "staff identifier"
    NUMBER: ClassVar[str] = "020"
    DATA_IDENTIFIER: ClassVar[str] = "='"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 6)

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take_facility()
        reader.take(6, UPPER_ALPHANUMERIC, "staff number")

    @property
    def facility(self) -> str:
        """Returns the FIN of the facility that issued the badge."""
        return self.content[:5]

    @property
    def staff_number(self) -> str:
        """Returns the six characters within that facility."""
        return self.content[5:]


@dataclass(frozen=True, slots=True, repr=False)
class PatientBirthDate(Structure):
    """A patient's date of birth (data structure 024): two digits of where it was read, then YYYYMMDD."""

    NAME: ClassVar[str] = "patient date of birth"
    NUMBER: ClassVar[str] = "024"
    DATA_IDENTIFIER: ClassVar[str] = "=#"
    ABOUT_A_PERSON: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(2, DIGIT, "location")
        at = reader.position
        digits = reader.take(8, DIGIT, "date of birth")
        try:
            date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        except ValueError:
            reader.refuse("no such day in the calendar", at=at, value=digits)

    @property
    def location(self) -> str:
        """Returns the two digits that say where on patient or record it was read."""
        return self.content[:2]

    @property
    def day(self) -> date:
        """Returns the date of birth."""
        return date(int(self.content[2:6]), int(self.content[6:8]), int(self.content[8:10]))


@dataclass(frozen=True, slots=True, repr=False)
class PatientId(Structure):
    """A patient's number (data structure 025): two digits of location, two of length, then that many characters."""

    NAME: ClassVar[str] = "patient identifier"
    NUMBER: ClassVar[str] = "025"
    DATA_IDENTIFIER: ClassVar[str] = "&#"
    ABOUT_A_PERSON: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(2, DIGIT, "location")
        at = reader.position
        length = reader.take(2, DIGIT, "length")
        if length == "00":
            reader.refuse("length must be 01 to 99", at=at, value=length)
        reader.take(int(length), ALPHANUMERIC, "patient number")

    @property
    def location(self) -> str:
        """Returns the two digits that say where on patient or record it was read."""
        return self.content[:2]

    @property
    def patient_number(self) -> str:
        """Returns the patient's number."""
        return self.content[4:]


@dataclass(frozen=True, slots=True)
class ProductConsignment(Structure):
    """A consignment (data structure 028): FIN, year, number, and which container of how many."""

    NAME: ClassVar[str] = "product consignment"
    NUMBER: ClassVar[str] = "028"
    DATA_IDENTIFIER: ClassVar[str] = "=$"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 2, 5, 2, 2)

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take_facility()
        reader.take(2, DIGIT, "year")
        reader.take(5, DIGIT, "consignment number")
        at = reader.position
        container = reader.take(2, DIGIT, "container")
        total_at = reader.position
        total = reader.take(2, DIGIT, "containers in all")
        if total == "00":
            reader.refuse("a consignment has at least one container", at=total_at, value=total)
        if int(container) > int(total):
            reader.refuse(f"container must be 00 (papers) to {total}", at=at, value=container)

    @property
    def facility(self) -> str:
        """Returns the FIN of the facility that ships."""
        return self.content[:5]

    @property
    def consignment_number(self) -> str:
        """Returns FIN, year and number: what all containers of one consignment share."""
        return self.content[:12]

    @property
    def container(self) -> int | None:
        """Returns which container this is, from 1, or None for the papers."""
        return int(self.content[12:14]) or None

    @property
    def containers_total(self) -> int:
        """Returns how many containers the consignment has."""
        return int(self.content[14:])


@dataclass(frozen=True, slots=True)
class ProcessingFacility(Structure):
    """The facility that processed the product (data structure 033): FIN and six characters of its own."""

    NAME: ClassVar[str] = "processing facility"
    NUMBER: ClassVar[str] = "033"
    DATA_IDENTIFIER: ClassVar[str] = "&+"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 6)

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take_facility()
        reader.take(6, UPPER_ALPHANUMERIC, "facility's own code")

    @property
    def facility(self) -> str:
        """Returns the FIN of the processing facility."""
        return self.content[:5]

    @property
    def own_code(self) -> str:
        """Returns the six characters whose meaning that facility defines."""
        return self.content[5:]


@dataclass(frozen=True, slots=True)
class ProcessorProductCode(Structure):
    """A processor's product (data structure 034): FIN, the processor's code and the product description code."""

    NAME: ClassVar[str] = "processor product code"
    NUMBER: ClassVar[str] = "034"
    DATA_IDENTIFIER: ClassVar[str] = "=/"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 6, 5)

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take_facility()
        reader.take(6, UPPER_ALPHANUMERIC, "processor's code")
        reader.take(1, UPPER, "product category")
        reader.take(4, UPPER_ALPHANUMERIC, "product description")

    @property
    def facility(self) -> str:
        """Returns the FIN of the processor."""
        return self.content[:5]

    @property
    def processor_code(self) -> str:
        """Returns the six characters whose meaning the processor defines."""
        return self.content[5:11]

    @property
    def description_code(self) -> str:
        """Returns the five-character product description code."""
        return self.content[11:]


@dataclass(frozen=True, slots=True)
class MphoLot(Structure):
    """A lot number of a medical product of human origin (data structure 035), 18 characters."""

    NAME: ClassVar[str] = "MPHO lot"
    NUMBER: ClassVar[str] = "035"
    DATA_IDENTIFIER: ClassVar[str] = "&,1"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(18, UPPER_ALPHANUMERIC, "lot")

    @property
    def lot(self) -> str:
        """Returns the lot number without the zeros that fill it up."""
        return self.content.lstrip("0")


@dataclass(frozen=True, slots=True)
class MphoSupplementalId(Structure):
    """A supplemental serial of a medical product of human origin (data structure 036), 18 characters."""

    NAME: ClassVar[str] = "MPHO supplemental identifier"
    NUMBER: ClassVar[str] = "036"
    DATA_IDENTIFIER: ClassVar[str] = "&,2"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(18, UPPER_ALPHANUMERIC, "supplemental identifier")


@dataclass(frozen=True, slots=True, repr=False)
class Grid(Structure):
    """A registry donor's global identifier (data structure 039): issuer, donor, and two check digits."""

    NAME: ClassVar[str] = "GRID"
    NUMBER: ClassVar[str] = "039"
    DATA_IDENTIFIER: ClassVar[str] = "&:"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (4, 4, 4, 4, 3)
    ABOUT_A_PERSON: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        start = reader.position
        reader.take(4, DIGIT, "issuing organisation")
        reader.take(13, UPPER_ALPHANUMERIC, "donor")
        at = reader.position
        found = reader.take(2, DIGIT, "checksum")
        if found != f"{check_value(reader.text[start:at]):02d}":
            reader.refuse(
                "the checksum does not belong to the 17 characters before it (ISO/IEC 7064 Mod 37,2)",
                at=at,
                value=found,
                error=CheckCharacterError,
            )

    @classmethod
    def of(cls, issuer: str, donor: str) -> Grid:
        """Returns the GRID of a donor (13 characters) of an issuing organisation (4 digits), checksum computed."""
        # Each is read by itself, so that no character of one can stand in the other's place.
        read_whole(issuer, 4, DIGIT, f"{cls.NAME}, issuing organisation", private=True)
        read_whole(donor, 13, UPPER_ALPHANUMERIC, f"{cls.NAME}, donor", private=True)
        return cls(f"{issuer}{donor}{check_value(issuer + donor):02d}")

    @property
    def issuer(self) -> str:
        """Returns the issuing organisation's four digits."""
        return self.content[:4]


@dataclass(frozen=True, slots=True)
class BloodGroup(Structure):
    """A blood group code (data structure 002), four characters of a licensed table, kept as read."""

    NAME: ClassVar[str] = "blood group"
    NUMBER: ClassVar[str] = "002"
    DATA_IDENTIFIER: ClassVar[str] = "=%"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(4, ALPHANUMERIC, "blood group code")


@dataclass(frozen=True, slots=True)
class SpecialTesting(Structure):
    """A special testing code (data structure 010), five characters of a licensed table, kept as read."""

    NAME: ClassVar[str] = "special testing"
    NUMBER: ClassVar[str] = "010"
    DATA_IDENTIFIER: ClassVar[str] = "&("

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.take(5, ALPHANUMERIC, "special testing code")
