"""Read and print what names a product on a label: donation number, product code, division, and all three together.

* Donation identification number (DIN, data structure 001): 13 characters name the donation for 100 years; two flag
  digits beside them say which label was scanned and are **not** part of the number. Compare `.number`, never content.
* Flags 60-96 are type 3: 60 plus the check value of the number, verified, never printed. 14, 97-99 and letters are
  reserved and refused.
* `Din.parse_printed` takes number and K (14 characters), or number, two flag digits and K (16). K is demanded; it
  covers the number, not the flags. Without flags in the text the flags are 00.
* Product code (003): five characters of description, then collection type (0-9, A-Z, and the lower-case r, s, d of paid
  and research donors) and two levels of division; for tissue (`T`) three digits of pack number instead. Division
  `99` sends the reader to data structure 032, which is then required.
* Product divisions (032): six digits for one level, or up to three pairs AA-ZZ, the unused ones `00` at the end.

Source: ICCBBA ST-001 6.2.2; ST-026 for the MPHO unique identifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum, StrEnum
from typing import ClassVar, Final, Self

from cellcustody.ledger.identifiers.check_characters import TYPE_3_FLAG_BASE, check_character, check_value, type_3_flag
from cellcustody.ledger.identifiers.errors import CheckCharacterError, DivisionRequiredError
from cellcustody.ledger.identifiers.reading import (
    ALPHANUMERIC,
    DIGIT,
    UPPER,
    UPPER_ALPHANUMERIC,
    Alphabet,
    Reader,
)
from cellcustody.ledger.identifiers.structure import Structure

NUMBER_LENGTH: Final = 13
_NOMINAL_YEAR_SLACK: Final = timedelta(
    days=31
)  # ST-001 lets labels of one year be used up for a month, or begun early.
_TYPE_3_FLAGS: Final = range(TYPE_3_FLAG_BASE, TYPE_3_FLAG_BASE + 37)


class FlagKind(Enum):
    """What the two flag digits beside a donation number say about the label that was scanned."""

    NONE = "none"
    CONTAINER = "container of a set"
    SECOND_LABEL = "second label"
    PILOT_TUBE = "pilot tube"
    TEST_TUBE = "test tube"
    DONOR_RECORD = "donor record"
    NAT_SAMPLE = "sample for nucleic acid testing"
    BACTERIAL_SAMPLE = "sample for bacterial testing"
    MATCH_WITH_UNIT = "match with unit"
    PARTIAL_OR_ATTACHED = "partial or attached label"
    LOCAL = "meaning known only inside the facility"
    CHECK = "type 3: carries the check value"


_FLAG_KINDS: Final[dict[int, FlagKind]] = {
    0: FlagKind.NONE,
    **dict.fromkeys((*range(1, 5), *range(15, 20)), FlagKind.CONTAINER),
    5: FlagKind.SECOND_LABEL,
    6: FlagKind.PILOT_TUBE,
    7: FlagKind.TEST_TUBE,
    8: FlagKind.DONOR_RECORD,
    9: FlagKind.NAT_SAMPLE,
    10: FlagKind.BACTERIAL_SAMPLE,
    11: FlagKind.MATCH_WITH_UNIT,
    12: FlagKind.PARTIAL_OR_ATTACHED,
    13: FlagKind.PARTIAL_OR_ATTACHED,
    **dict.fromkeys(range(20, 60), FlagKind.LOCAL),
    **dict.fromkeys(_TYPE_3_FLAGS, FlagKind.CHECK),
}


def _read_number(reader: Reader) -> str:
    return reader.take_facility() + reader.take(2, DIGIT, "year") + reader.take(6, DIGIT, "sequence")


def _read_flags(reader: Reader, number: str) -> None:
    at = reader.position
    flags = reader.take(2, DIGIT, "flags")
    kind = _FLAG_KINDS.get(int(flags))
    if kind is None:
        reader.refuse("flags 14 and 97-99 are reserved", at=at, value=flags)
    if kind is FlagKind.CHECK and flags != type_3_flag(number):
        reader.refuse(
            "the type 3 flag does not belong to the number before it (60 + ISO/IEC 7064 Mod 37,2)",
            at=at,
            value=flags,
            error=CheckCharacterError,
        )


@dataclass(frozen=True, slots=True)
class Din(Structure):
    """A donation identification number as scanned: number and flags; `content` is 15 characters.

    >>> Din.parse_printed("A999921123456003").format_print()
    'A9999 21 123456 00 3'
    """

    NAME: ClassVar[str] = "donation identification number"
    NUMBER: ClassVar[str] = "001"
    DATA_IDENTIFIER: ClassVar[str] = "="

    @classmethod
    def _read(cls, reader: Reader) -> None:
        _read_flags(reader, _read_number(reader))

    @classmethod
    def of_number(cls, number: str) -> Self:
        """Returns the donation number `number` (13 characters) with flags 00."""
        reader = Reader(number, identifier=cls.NAME)
        _read_number(reader)
        reader.finish()
        return cls(number + "00")

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """Returns the number typed from a label: number and K, or number, flags and K.

        Raises:
            CheckCharacterMissingError: the text ends before K.
            CheckCharacterError: K does not belong to the number.
            IdentifierMalformedError: anything else that does not fit, at its offset in `text`.
        """
        reader = Reader.of_printed(text, identifier=cls.NAME)
        number = _read_number(reader)
        flags = "00"
        if reader.remaining > 1:
            at = reader.position
            _read_flags(reader, number)
            flags = reader.text[at : reader.position]
            if int(flags) in _TYPE_3_FLAGS:
                reader.refuse("a type 3 flag is never printed", at=at, value=flags)
        reader.take_check_character(number)
        reader.finish()
        return cls(number + flags)

    @property
    def number(self) -> str:
        """Returns the 13 characters that name the donation: what two scans are compared by."""
        return self.content[:NUMBER_LENGTH]

    @property
    def facility(self) -> str:
        """Returns the five-character facility identification number."""
        return self.content[:5]

    @property
    def year(self) -> str:
        """Returns the two digits of the nominal year (within a month of the collection's)."""
        return self.content[5:7]

    def suits(self, collected: date) -> bool:
        """Returns whether the nominal year may stand on a donation of a local day: its year, give or take a month."""
        around = (collected - _NOMINAL_YEAR_SLACK, collected, collected + _NOMINAL_YEAR_SLACK)
        return any(f"{day.year % 100:02d}" == self.year for day in around)

    @property
    def sequence(self) -> str:
        """Returns the six digits within facility and year."""
        return self.content[7:NUMBER_LENGTH]

    @property
    def flags(self) -> str:
        """Returns the two flag digits."""
        return self.content[NUMBER_LENGTH:]

    @property
    def flag_kind(self) -> FlagKind:
        """Returns what the flags say about the label."""
        return _FLAG_KINDS[int(self.flags)]

    @property
    def container_number(self) -> int | None:
        """Returns which container of a set carries this label, 1 to 9, or None where the flags do not say."""
        if self.flag_kind is not FlagKind.CONTAINER:
            return None
        flag = int(self.flags)
        return flag if flag < 5 else flag - 10

    @property
    def check_character(self) -> str:
        """Returns the keyboard check character K of the number."""
        return check_character(self.number)

    def format_print(self) -> str:
        """Returns number, flags and K in groups; a type 3 flag is left out, as ST-001 demands."""
        groups = [self.facility, self.year, self.sequence]
        if self.flag_kind is not FlagKind.CHECK:
            groups.append(self.flags)
        return " ".join([*groups, self.check_character])

    def with_type_3_flag(self) -> Din:
        """Returns the same number with the type 3 flag, for a symbol that carries its check value."""
        return Din(self.number + str(TYPE_3_FLAG_BASE + check_value(self.number)))


class CollectionType(StrEnum):
    """The collection types that matter to autologous cell therapy; others are read and kept as they stand."""

    AUTOLOGOUS_ONLY = "1"
    AUTOLOGOUS_ONLY_BIOHAZARD = "X"
    AUTOLOGOUS_CROSSOVER_ELIGIBLE = "A"  # May be given to another patient, so never for an autologous therapy.
    AUTOLOGOUS_WITH_ALLOGENEIC_MATERIAL = "8"


TISSUE_CATEGORY: Final = "T"
DIVISION_IN_STRUCTURE_032: Final = "99"
_COLLECTION_TYPE: Final = Alphabet("one of 0-9, A-Z, d, r, s", UPPER_ALPHANUMERIC.characters | frozenset("drs"))
_FIRST_DIVISION: Final = Alphabet("one of 0, A-Z, or 99", UPPER.characters | {"0", "9"})
_SECOND_DIVISION: Final = Alphabet("one of 0, a-z, or 99", frozenset(c.lower() for c in UPPER.characters) | {"0", "9"})


def _read_description(reader: Reader) -> str:
    return reader.take(1, UPPER, "product category") + reader.take(4, UPPER_ALPHANUMERIC, "product description")


def _read_two_level_division(reader: Reader) -> None:
    at = reader.position
    division = reader.take(1, _FIRST_DIVISION, "division") + reader.take(1, _SECOND_DIVISION, "division")
    if "9" in division and division != DIVISION_IN_STRUCTURE_032:
        reader.refuse("9 stands in a division only as 99", at=at, value=division)
    if division[0] == "0" and division[1] != "0":
        reader.refuse("a second level of division needs a first", at=at, value=division)


@dataclass(frozen=True, slots=True)
class ProductCode(Structure):
    """A product code: description code, collection type and division; `content` is 8 characters."""

    NAME: ClassVar[str] = "product code"
    NUMBER: ClassVar[str] = "003"
    DATA_IDENTIFIER: ClassVar[str] = "=<"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        if _read_description(reader).startswith(TISSUE_CATEGORY):
            reader.take(3, DIGIT, "pack number")
            return
        reader.take(1, _COLLECTION_TYPE, "collection type")
        _read_two_level_division(reader)

    @property
    def description_code(self) -> str:
        """Returns the five-character product description code; its meaning is in a licensed table."""
        return self.content[:5]

    @property
    def collection_type(self) -> str | None:
        """Returns the collection type, or None for tissue, which has a pack number in its place."""
        return None if self.content.startswith(TISSUE_CATEGORY) else self.content[5]

    @property
    def division(self) -> str:
        """Returns the two characters of division (`00` undivided), or the three digits of a tissue's pack number."""
        return self.content[5:] if self.content.startswith(TISSUE_CATEGORY) else self.content[6:]

    @property
    def division_is_elsewhere(self) -> bool:
        """Returns whether data structure 032 must be read to know the division."""
        return self.division == DIVISION_IN_STRUCTURE_032


_PAIR: Final = Alphabet("one of A-Z, or 00 for an unused level", UPPER.characters | {"0"})


def _read_pairs(reader: Reader) -> None:
    ended = False
    for _ in range(3):
        at = reader.position
        pair = reader.take(2, _PAIR, "division")
        if pair != "00" and "0" in pair:
            reader.refuse("a level of division is a pair AA-ZZ, or 00", at=at, value=pair)
        if pair != "00" and ended:
            reader.refuse("a level of division needs the one before it", at=at, value=pair)
        ended = ended or pair == "00"


@dataclass(frozen=True, slots=True)
class ProductDivision(Structure):
    """A division of a product (data structure 032), unique per donation number and product description code."""

    NAME: ClassVar[str] = "product division"
    NUMBER: ClassVar[str] = "032"
    DATA_IDENTIFIER: ClassVar[str] = "=,"

    @classmethod
    def _read(cls, reader: Reader) -> None:
        if reader.remaining and reader.text[reader.position] in DIGIT.characters:
            reader.take(6, DIGIT, "division")
            return
        _read_pairs(reader)

    @property
    def levels(self) -> tuple[str, ...]:
        """Returns the division's levels, outermost first; none for `000000`, the undivided product."""
        if self.content == "000000":
            return ()
        if self.content.isdigit():
            return (self.content,)
        return tuple(pair for pair in (self.content[0:2], self.content[2:4], self.content[4:6]) if pair != "00")


def division_of(product: ProductCode, division: ProductDivision | None) -> str:
    """Returns the division that a label states: the product code's own, or data structure 032's where it says 99.

    Raises:
        DivisionRequiredError: the product code says 99 and no division was read, or one was read that it does not
            send to, so that the label contradicts itself.
    """
    if product.division_is_elsewhere and division is None:
        rule, value = "division 99 demands data structure 032", product.division
    elif not product.division_is_elsewhere and division is not None:
        rule, value = "data structure 032 was read, and the product code does not send to it", division.content
    else:
        return product.division if division is None else division.content
    raise DivisionRequiredError(identifier=ProductCode.NAME, offset=6, rule=rule, value=value)


NO_PROCESSING_FACILITY: Final = "00000"


@dataclass(frozen=True, slots=True)
class MphoUniqueIdentifier(Structure):
    """An MPHO unique identifier (ST-026): facility, description code, donation number and division, 29 characters.

    It is a label on a material, never its key: product code and division change on processing and relabelling.
    It is no data structure of its own, so that its wire form is its content.
    """

    NAME: ClassVar[str] = "MPHO unique identifier"
    NUMBER: ClassVar[str] = ""
    DATA_IDENTIFIER: ClassVar[str] = ""
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (5, 5, 13, 6)

    @classmethod
    def _read(cls, reader: Reader) -> None:
        if reader.text.startswith(NO_PROCESSING_FACILITY, reader.position):
            reader.expect(NO_PROCESSING_FACILITY, "processing facility")
        else:
            reader.take_facility("processing facility")
        _read_description(reader)
        _read_number(reader)
        reader.take(6, ALPHANUMERIC, "division")

    @property
    def processing_facility(self) -> str | None:
        """Returns the processing facility's number, or None where it states none (`00000`)."""
        return None if self.content.startswith(NO_PROCESSING_FACILITY) else self.content[:5]

    @property
    def description_code(self) -> str:
        """Returns the five-character product description code."""
        return self.content[5:10]

    @property
    def donation_number(self) -> str:
        """Returns the 13-character donation number."""
        return self.content[10:23]

    @property
    def division(self) -> str:
        """Returns the six characters of division; two-level divisions are filled up with zeros."""
        return self.content[23:]


class NamingSystem(Enum):
    """The systems under which records elsewhere name ISBT 128 identifiers: object identifier, and URI where known."""

    DONATION_NUMBER = ("2.16.840.1.113883.6.18.2.1", None)
    PRODUCT_DESCRIPTION_CODE = ("2.16.840.1.113883.6.18.2.6", None)
    MPHO_UNIQUE_IDENTIFIER = ("2.16.840.1.113883.6.18.3.1", "https://www.isbt128.org/uri/MPHOUniqueIdentifier")

    def __init__(self, oid: str, uri: str | None) -> None:
        self.oid = oid
        self.uri = uri

    @classmethod
    def of(cls, system: str) -> NamingSystem | None:
        """Returns the system named by an object identifier or by a URI in whatever case; None if it is another."""
        for member in cls:
            if system.removeprefix("urn:oid:") == member.oid:
                return member
            if member.uri is not None and system.lower() == member.uri.lower():
                return member
        return None
