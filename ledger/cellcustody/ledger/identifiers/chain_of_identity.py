"""Read and print the ISBT 128 Chain of Identity identifier (data structure 040), the key of a therapy.

* Content, 15 characters: `CH`, the facility identification number (5), nominal year (2), sequence (6 of 0-9, A-Z).
* The check character K is ISO/IEC 7064 Mod 37,2 over all 15 characters, `CH` included, and is required with text.
* Accepted forms, and no others:
    `parse("&/CHA999925000001")`          scanned: data identifier and content, no K (the symbol checks itself)
    `parse_printed("CHA999925000001G")`   typed: content and K; single spaces between characters allowed
    `parse_content("CHA999925000001")`    stored: content alone, never for text that a person typed
* It is assigned by a facility from its own sequence and says nothing about the patient.

Source: ICCBBA ST-001 and ST-028. No published example of K exists for it; the rule is the general one for content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cellcustody.ledger.identifiers.check_characters import check_character
from cellcustody.ledger.identifiers.reading import DIGIT, UPPER_ALPHANUMERIC, Reader
from cellcustody.ledger.identifiers.structure import Structure


@dataclass(frozen=True, slots=True)
class ChainOfIdentity(Structure):
    """A Chain of Identity identifier; `content` is its 15 characters.

    >>> ChainOfIdentity.parse_printed("CHA999925000001G").format_print()
    'CHA9999 25 000001 G'
    """

    NAME: ClassVar[str] = "chain of identity identifier"
    NUMBER: ClassVar[str] = "040"
    DATA_IDENTIFIER: ClassVar[str] = "&/"
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = (7, 2, 6)
    CHECK_CHARACTER_PRINTED: ClassVar[bool] = True

    @classmethod
    def _read(cls, reader: Reader) -> None:
        reader.expect("CH", "prefix")
        reader.take_facility()
        reader.take(2, DIGIT, "year")
        reader.take(6, UPPER_ALPHANUMERIC, "sequence")

    @property
    def facility(self) -> str:
        """Returns the five-character facility identification number that assigned it."""
        return self.content[2:7]

    @property
    def year(self) -> str:
        """Returns the two digits of the nominal year."""
        return self.content[7:9]

    @property
    def sequence(self) -> str:
        """Returns the six-character sequence within facility and year."""
        return self.content[9:]

    @property
    def check_character(self) -> str:
        """Returns the check character K that is printed after the content."""
        return check_character(self.content)

    @property
    def printed_compact(self) -> str:
        """Returns content and K without spaces: 16 characters."""
        return self.content + check_character(self.content)
