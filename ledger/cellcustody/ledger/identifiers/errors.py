"""Why an identifier was not taken: every class names the place (0-based offset), the rule and the value.

* `offset` counts characters of the text that the caller passed in, from 0; it equals the length of the text where
  something is missing at its end.
* `value` is the offending part as read. For structures about a patient or donor it is `withheld`, so that a log of
  errors never becomes a list of people.
* The check character that would have fitted is never shown: it would invite changing it until the text passes.
"""

from __future__ import annotations

from cellcustody.ledger.errors import MalformedError


class IdentifierMalformedError(MalformedError):
    """Raised when a text is not the identifier it should be; says where, by which rule, and what stood there."""

    reason = "IDENTIFIER_MALFORMED"

    def __init__(self, *, identifier: str, offset: int, rule: str, value: str) -> None:
        super().__init__(
            f"not a well-formed {identifier}",
            identifier=identifier,
            offset=offset,
            rule=rule,
            value=value,
        )
        self.identifier = identifier
        self.offset = offset
        self.rule = rule
        self.value = value


class CheckCharacterError(IdentifierMalformedError):
    """Raised when a check character, check digit or checksum flag does not belong to what it stands beside."""

    reason = "CHECK_CHARACTER_WRONG"


class CheckCharacterMissingError(IdentifierMalformedError):
    """Raised when a printed or typed identifier comes without the check character it must have."""

    reason = "CHECK_CHARACTER_MISSING"


class UnknownDataIdentifierError(IdentifierMalformedError):
    """Raised when a scan begins with a data identifier or application identifier that this package does not read."""

    reason = "DATA_IDENTIFIER_UNKNOWN"


class CompoundCountError(IdentifierMalformedError):
    """Raised when a compound message does not hold the number of structures that it announces."""

    reason = "COMPOUND_COUNT_WRONG"


class CompoundRepeatedError(IdentifierMalformedError):
    """Raised when one scan holds two structures of one kind, so that nobody knows which of them counts."""

    reason = "COMPOUND_STRUCTURE_REPEATED"


class DivisionRequiredError(IdentifierMalformedError):
    """Raised when a product code sends the reader to data structure 032 and none was read, or one was unasked for."""

    reason = "PRODUCT_DIVISION_REQUIRED"


class SequenceOutOfRangeError(MalformedError):
    """Raised when a facility's counter or year does not fit the identifier to be generated."""

    reason = "SEQUENCE_OUT_OF_RANGE"
