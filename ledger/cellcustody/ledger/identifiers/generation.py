"""Assign new donation numbers and Chain of Identity identifiers.

An identifier is made of the facility's number, the year, and a counter or random bytes. **No function here takes
anything about a person**, so that no identifier can be derived from one; a test pins the parameters. Uniqueness within
facility and year is the facility's: a counter must never go back, and a random sequence must be checked against those
already assigned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.identifiers.donations import Din
from cellcustody.ledger.identifiers.errors import SequenceOutOfRangeError

COUNTER_MAX: Final = 999_999  # Six digits of sequence.
_SEQUENCE_LENGTH: Final = 6
_SEQUENCE_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BYTE_LIMIT: Final = 256 - 256 % len(_SEQUENCE_ALPHABET)  # Bytes from here on would favour the first characters.


def next_din(facility: str, year: int, counter: int) -> Din:
    """Returns the donation number of `facility` (FIN) for the nominal `year` (four digits) and `counter`, flags 00.

    Raises:
        SequenceOutOfRangeError: the year is not 2000 to 2099, or the counter not 0 to 999,999.
        IdentifierMalformedError: the facility is no FIN.
    """
    return Din.of_number(f"{facility}{_year_digits(year)}{_counter_digits(counter)}")


def next_chain_of_identity(facility: str, year: int, counter: int) -> ChainOfIdentity:
    """Returns the Chain of Identity identifier of `facility` (FIN) for `year` (four digits) and `counter`.

    Raises:
        SequenceOutOfRangeError: the year is not 2000 to 2099, or the counter not 0 to 999,999.
        IdentifierMalformedError: the facility is no FIN.
    """
    return ChainOfIdentity(f"CH{facility}{_year_digits(year)}{_counter_digits(counter)}")


def random_chain_of_identity(facility: str, year: int, random_bytes: Callable[[int], bytes]) -> ChainOfIdentity:
    """Returns a Chain of Identity identifier whose six characters are drawn evenly from 0-9 and A-Z.

    `random_bytes(n)` returns n random bytes (`os.urandom` in service); about two thousand million sequences exist per
    facility and year.

    Raises:
        SequenceOutOfRangeError: the year is not 2000 to 2099.
        IdentifierMalformedError: the facility is no FIN.
    """
    drawn: list[str] = []
    while len(drawn) < _SEQUENCE_LENGTH:
        drawn.extend(
            _SEQUENCE_ALPHABET[byte % len(_SEQUENCE_ALPHABET)]
            for byte in random_bytes(_SEQUENCE_LENGTH)
            if byte < _BYTE_LIMIT
        )
    return ChainOfIdentity(f"CH{facility}{_year_digits(year)}{''.join(drawn[:_SEQUENCE_LENGTH])}")


def _year_digits(year: int) -> str:
    if not 2000 <= year <= 2099:
        raise SequenceOutOfRangeError("the year must be 2000 to 2099", year=year)
    return f"{year % 100:02d}"


def _counter_digits(counter: int) -> str:
    if not 0 <= counter <= COUNTER_MAX:
        raise SequenceOutOfRangeError(f"the counter must be 0 to {COUNTER_MAX}", counter=counter)
    return f"{counter:06d}"
