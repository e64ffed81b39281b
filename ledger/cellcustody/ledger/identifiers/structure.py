"""What all ISBT 128 data structures share: content that is well formed by construction, and three ways to read it.

* `parse(wire)` reads the scanner's form, data identifier included; `wire()` gives it back, character for character.
* `parse_content(content)` reads the content alone, as statements and databases keep it.
* `parse_printed(text)` reads what a person typed from a label. Structures printed with a check character demand it.
* `format_print()` gives the label's text; `parse_printed` reads it back to an equal value, unless a class says why not.
* An instance cannot exist with content that breaks a rule: the constructor reads it too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from cellcustody.ledger.identifiers.check_characters import check_character
from cellcustody.ledger.identifiers.reading import WITHHELD, Reader


@dataclass(frozen=True, slots=True)
class Structure(ABC):
    """One ISBT 128 data structure: its content, without the data identifier."""

    content: str

    NAME: ClassVar[str]
    NUMBER: ClassVar[str]  # Three digits, as ST-001 counts data structures; empty for composed identifiers.
    DATA_IDENTIFIER: ClassVar[str]
    PRINT_GROUPS: ClassVar[tuple[int, ...]] = ()
    CHECK_CHARACTER_PRINTED: ClassVar[bool] = False
    ABOUT_A_PERSON: ClassVar[bool] = False

    def __post_init__(self) -> None:
        reader = type(self)._reader(self.content)
        self._read(reader)
        reader.finish()

    @classmethod
    @abstractmethod
    def _read(cls, reader: Reader) -> None:
        """Reads the content's fields in order, raising at the first that breaks a rule."""

    @classmethod
    def _reader(cls, text: str) -> Reader:
        return Reader(text, identifier=cls.NAME, private=cls.ABOUT_A_PERSON)

    @classmethod
    def read_from(cls, reader: Reader) -> Self:
        """Returns the structure whose content stands next in `reader`, after its data identifier."""
        reader.about(cls.NAME, private=cls.ABOUT_A_PERSON)
        start = reader.position
        cls._read(reader)
        return cls(reader.text[start : reader.position])

    @classmethod
    def parse(cls, wire: str) -> Self:
        """Returns the structure in a scanner's string, data identifier included.

        Raises:
            IdentifierMalformedError: with offset, rule and value of the first character that does not fit.
        """
        reader = cls._reader(wire)
        reader.expect(cls.DATA_IDENTIFIER, "data identifier")
        found = cls.read_from(reader)
        reader.finish()
        return found

    @classmethod
    def parse_content(cls, content: str) -> Self:
        """Returns the structure whose content, without data identifier and check character, is `content`."""
        return cls(content)

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """Returns the structure typed from a label; single spaces between characters are ignored.

        Raises:
            CheckCharacterMissingError: the structure is printed with a check character and the text has none.
            CheckCharacterError: the check character does not belong to the content.
            IdentifierMalformedError: anything else that does not fit, at its offset in `text`.
        """
        reader = Reader.of_printed(text, identifier=cls.NAME, private=cls.ABOUT_A_PERSON)
        found = cls.read_from(reader)
        if cls.CHECK_CHARACTER_PRINTED:
            reader.take_check_character(found.content)
        reader.finish()
        return found

    def wire(self) -> str:
        """Returns the string that a symbol carries: data identifier and content."""
        return self.DATA_IDENTIFIER + self.content

    def format_print(self) -> str:
        """Returns the text for a label, in groups, with the check character where the structure has one."""
        groups: list[str] = []
        start = 0
        for length in self.PRINT_GROUPS:
            groups.append(self.content[start : start + length])
            start += length
        if start < len(self.content):
            groups.append(self.content[start:])
        if self.CHECK_CHARACTER_PRINTED:
            groups.append(check_character(self.content))
        return " ".join(groups)

    def __repr__(self) -> str:
        # Reprs reach logs; what names a patient or donor is read from `.content` on purpose.
        return f"{type(self).__name__}(content={WITHHELD if self.ABOUT_A_PERSON else self.content!r})"
