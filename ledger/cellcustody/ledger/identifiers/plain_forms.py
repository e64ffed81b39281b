"""Read and print identifiers with plain types alone, for programs that want text in and text out.

* A kind is named by its class in lower case with hyphens: `din`, `chain-of-identity`, `product-code`, `sscc`, ...
* What is read comes out as a mapping: `kind`, `name`, `structure` (three digits, where ST-001 counts one),
  `data_identifier`, `content`, `printed` (the eye-readable text, with its check character where it has one), and
  `fields`, the kind's own. Days are `YYYY-MM-DD`, times of day `HH:MM`, what is not stated is None.
* Scans add `offset`, where the data identifier stood in the raw string, from 0.
* Refusals are the same exceptions as everywhere here, with `.reason`, `.offset`, `.rule` and `.value`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from enum import Enum
from types import MappingProxyType
from typing import Final, NotRequired, TypedDict

from cellcustody.ledger.identifiers.donations import Din, MphoUniqueIdentifier
from cellcustody.ledger.identifiers.errors import IdentifierMalformedError
from cellcustody.ledger.identifiers.european_code import DonationSequence
from cellcustody.ledger.identifiers.gs1 import GS1_ELEMENTS
from cellcustody.ledger.identifiers.scans import ISBT_STRUCTURES, parse_scan
from cellcustody.ledger.identifiers.structure import Structure

PlainValue = str | int | bool | list[str] | None


class PlainIdentifier(TypedDict):
    """An identifier as plain values."""

    kind: str
    name: str
    structure: str
    data_identifier: str
    content: str
    printed: str
    fields: dict[str, PlainValue]
    offset: NotRequired[int]


_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _kind_name(structure: type[Structure]) -> str:
    return _CAPITAL.sub("-", structure.__name__).lower()


_ALL: Final[tuple[type[Structure], ...]] = (
    Din,
    MphoUniqueIdentifier,
    DonationSequence,
    *ISBT_STRUCTURES.values(),
    *GS1_ELEMENTS.values(),
)
KINDS: Final[Mapping[str, type[Structure]]] = MappingProxyType({_kind_name(each): each for each in _ALL})
"""Every kind that can be read and printed, by its name."""


def read_scan(raw: str) -> list[PlainIdentifier]:
    """Returns what a scanner's raw string holds, in the symbol's order, one mapping for each structure.

    >>> [found["kind"] for found in read_scan("=+02000=A99991712345600&/CHA999925000001")]
    ['din', 'chain-of-identity']

    Raises:
        IdentifierMalformedError: with the 0-based offset in `raw`, the rule and the value there.
    """
    found = []
    for scanned in parse_scan(raw):
        plain = _plain(scanned.value)
        plain["offset"] = scanned.offset
        found.append(plain)
    return found


def read_printed(kind: str, text: str) -> PlainIdentifier:
    """Returns what a person typed from a label.

    >>> read_printed("din", "A9999 21 123456 00 3")["content"]
    'A99992112345600'

    Raises:
        IdentifierMalformedError: with the 0-based offset in `text`; also for a kind that is not one.
    """
    return _plain(_structure(kind).parse_printed(text))


def read_content(kind: str, content: str) -> PlainIdentifier:
    """Returns what a stored content says; content has neither data identifier nor check character.

    Raises:
        IdentifierMalformedError: with the 0-based offset in `content`; also for a kind that is not one.
    """
    return _plain(_structure(kind).parse_content(content))


def print_identifier(kind: str, content: str) -> str:
    """Returns the eye-readable text of a content, in groups, with its check character where it has one.

    >>> print_identifier("chain-of-identity", "CHA999925000001")
    'CHA9999 25 000001 G'

    Raises:
        IdentifierMalformedError: the content is not of that kind.
    """
    return _structure(kind).parse_content(content).format_print()


def wire_of(kind: str, content: str) -> str:
    """Returns what a symbol carries for a content: data identifier and content.

    Raises:
        IdentifierMalformedError: the content is not of that kind.
    """
    return _structure(kind).parse_content(content).wire()


def _structure(kind: str) -> type[Structure]:
    found = KINDS.get(kind)
    if found is None:
        raise IdentifierMalformedError(identifier="kind of identifier", offset=0, rule="is not known", value=kind)
    return found


def _plain(structure: Structure) -> PlainIdentifier:
    kind = type(structure)
    fields: dict[str, PlainValue] = {}
    for ancestor in reversed(kind.__mro__):
        for name, member in vars(ancestor).items():
            if isinstance(member, property):
                fields[name] = _plain_value(getattr(structure, name))
    return {
        "kind": _kind_name(kind),
        "name": structure.NAME,
        "structure": structure.NUMBER,
        "data_identifier": structure.DATA_IDENTIFIER,
        "content": structure.content,
        "printed": structure.format_print(),
        "fields": fields,
    }


def _plain_value(value: object) -> PlainValue:
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return str(value.value)
        case str():
            return value
        case time():
            return f"{value:%H:%M}"
        case date():
            return value.isoformat()
        case Structure():
            return value.content
        case tuple():
            return [str(each) for each in value]
        case _:
            raise TypeError(f"no identifier has a field of type {type(value).__name__}")
