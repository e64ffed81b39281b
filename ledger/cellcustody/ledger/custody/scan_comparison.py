"""Read raw scans and compare them with what the ledger expects: one engine for every handoff and every check.

The rules:

* A scan is read by its method. Scanned text must be a structure as scanners give it; typed text may also be what a
  person reads off the label, and then carries its check character. Text that begins like a structure and is none, text
  that is typed with a wrong check character, and nothing at all are UNREADABLE. A structure that this ledger does not
  read says nothing; a GS1 symbol that is no key read here is text, for things that are no cells bear such symbols.
* What was read is compared kind by kind (`ScanKind`) with an `Expectation`. A kind with nothing expected is
  NOT_COMPARED; any other is a MATCH or a MISMATCH. A scan of several structures is as bad as its worst.
* Other text (a label of the owner's own, such as a shipper's or a container's) is compared with the texts and assets
  expected, where any are.
* What could not be read is excused where two other kinds of identifier on the same label matched: two identify.
* Patients are never compared here: their identifiers go to the vault, and `names_person` tells of a scan that has one.

How to use it, in the rules of an act (pure; the same in every order of delivery; reading is cached):

    expected = Expectation.of(cois=[state.coi], dins=material_dins, product_codes=[label.product_code])
    for finding in scan_findings(act, expected): ...            # SCAN_MISMATCH, SCAN_UNREADABLE, SCAN_OF_ANOTHER_ITEM
    compared = compare_scans(body.scans, expected)              # for rules that demand a match:
    if not has_matched(compared, ScanKind.COI, ScanKind.DIN): ...

`expected` may be a function of `Scan.on` (hexadecimal material id, a container's label, or empty) where each label has
an expectation of its own. A handoff expects a consignment, its containers and chains of identity, and never a patient:

    Expectation.of(cois=cois, consignments=[number], texts=container_labels, assets=shippers_and_loggers)

Therapies need no call: `TherapyRules` compares the scans of every act of a therapy with `therapy_scans.expectation_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeAlias

from cellcustody.ledger.custody.act import Act, Finding, Outcome
from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    Din,
    DonorId,
    Giai,
    Grai,
    Grid,
    Gs1Element,
    IdentifierMalformedError,
    MphoUniqueIdentifier,
    PatientBirthDate,
    PatientId,
    ProductCode,
    ProductConsignment,
    ProductDivision,
    Sscc,
    Structure,
    UnknownDataIdentifierError,
    parse_scan,
)
from cellcustody.ledger.values import value
from cellcustody.v1 import common_pb2 as common

__all__ = [
    "FIELD_SCANS",
    "IDENTITY_KINDS",
    "ComparedScan",
    "Expectation",
    "Reading",
    "ScanKind",
    "compare_scans",
    "has_matched",
    "read_scan",
    "scan_findings",
    "scans_of",
]

FIELD_SCANS: Final = 50  # The same number in every body.
_READINGS_MAX: Final = 8192  # Labels of the therapies at work in a day; a reading takes some hundred bytes.
_KNOWN_MAX: Final = 64  # Of one expectation, which is of one bag or label.
_EXPECTATIONS_MAX: Final = 4_096  # A few for each therapy at work; the same bag is scanned again and again.
_COI_CHARACTERS: Final = 15  # ISBT 128 data structure 040 without its check character.
_DIN_CHARACTERS: Final = 13  # Data structure 001 without flags and check character.
_PRODUCT_CHARACTERS: Final = 6  # Description code and collection type; the division is compared by itself.
_PRODUCT_WITH_DIVISION: Final = 8
_DIVISION_ELSEWHERE: Final = "99"
_MATCHES_MIN: Final = 2  # Two identifiers identify, as for patients.
_MPHO_CHARACTERS: Final = 29
# Data identifiers of structures about a patient or donor: even one that is cut short may name somebody.
_OF_PERSONS: Final = tuple(one.DATA_IDENTIFIER for one in (DonorId, Grid, PatientBirthDate, PatientId))
_GS1_SYMBOLS: Final = ("]C1", "]d2", "]Q3", "]e0", "]J1")  # As scanners announce them; see `identifiers.scans`.
_TYPED_COI: Final = re.compile(r"CH[0-9A-Z]{13,14}")
_TYPED_DIN: Final = re.compile(r"[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{10}[0-9A-Z*]{0,3}")


class ScanKind(StrEnum):
    """What a scanned value names."""

    COI = "chain of identity identifier"
    DIN = "donation number"
    PRODUCT_CODE = "product code"
    DIVISION = "division"
    CONSIGNMENT = "consignment"
    ASSET = "asset"
    TEXT = "text"


IDENTITY_KINDS: Final = frozenset(
    {ScanKind.COI, ScanKind.DIN, ScanKind.PRODUCT_CODE, ScanKind.DIVISION, ScanKind.CONSIGNMENT}
)
"""Kinds that say whose cells these are; another's on a label breaks the chain of identity."""


_Compared: TypeAlias = tuple[Outcome, frozenset[ScanKind], frozenset[ScanKind]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one scan says: its values by kind, in their order; whether it is unreadable; whether it names a person."""

    values: tuple[tuple[ScanKind, str], ...] = ()
    is_unreadable: bool = False
    names_person: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """What labels may say, by kind; make it with `of`, which brings values into the form they are compared in."""

    values: Mapping[ScanKind, frozenset[str]] = field(default_factory=dict)
    # What came of comparing with this before: the same labels are scanned again and again.
    _known: dict[tuple[str, int], _Compared] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        *,
        cois: Iterable[str] = (),
        dins: Iterable[str] = (),
        product_codes: Iterable[str] = (),
        divisions: Iterable[str] = (),
        consignments: Iterable[str] = (),
        assets: Iterable[str] = (),
        texts: Iterable[str] = (),
    ) -> Expectation:
        """Returns the expectation of any one of these values of each kind; empty values are none.

        Identifiers come as printed, scanned or stored; consignments as the content of data structure 021; assets as
        registered: a GS1 key with its application identifier in brackets or as scanned, or the owner's own text.
        """
        return _expectation(
            tuple(cois),
            tuple(dins),
            tuple(product_codes),
            tuple(divisions),
            tuple(consignments),
            tuple(assets),
            tuple(texts),
        )

    def compare(self, raw: str, method: int) -> _Compared:
        """Returns what comes of one scan: outcome, kinds matched and kinds mismatched."""
        found = self._known.get((raw, method))
        if found is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            found = self._known[raw, method] = self._compare(raw, method)
        return found

    def _compare(self, raw: str, method: int) -> _Compared:
        reading = (
            Reading(is_unreadable=True)
            if method == common.READ_METHOD_UNREADABLE
            else read_scan(raw, is_manual=method == common.READ_METHOD_MANUAL)
        )
        outcomes = [(kind, self.outcome(kind, value)) for kind, value in reading.values]
        matched = frozenset(kind for kind, outcome in outcomes if outcome is Outcome.MATCH)
        mismatched = frozenset(kind for kind, outcome in outcomes if outcome is Outcome.MISMATCH)
        if mismatched:
            result = Outcome.MISMATCH
        elif reading.is_unreadable:
            result = Outcome.UNREADABLE
        else:
            result = Outcome.MATCH if matched else Outcome.NOT_COMPARED
        return result, matched, mismatched

    def outcome(self, kind: ScanKind, value: str) -> Outcome:
        """Returns what comes of comparing one value."""
        wanted = self.values.get(kind, frozenset())
        if kind in (ScanKind.TEXT, ScanKind.ASSET):
            # An owner's own number may stand for an asset or for a label; both are looked through.
            wanted = self.values.get(ScanKind.TEXT, frozenset()) | self.values.get(ScanKind.ASSET, frozenset())
        if not wanted:
            return Outcome.NOT_COMPARED
        if kind is ScanKind.PRODUCT_CODE:
            return Outcome.MATCH if any(value.startswith(one) for one in wanted) else Outcome.MISMATCH
        return Outcome.MATCH if value in wanted else Outcome.MISMATCH


@lru_cache(maxsize=_EXPECTATIONS_MAX)
def _expectation(
    cois: tuple[str, ...],
    dins: tuple[str, ...],
    product_codes: tuple[str, ...],
    divisions: tuple[str, ...],
    consignments: tuple[str, ...],
    assets: tuple[str, ...],
    texts: tuple[str, ...],
) -> Expectation:
    products = [code for code in product_codes if code]
    # A product code states a division unless it sends to data structure 032 for it.
    told = [code[_PRODUCT_CHARACTERS:] for code in products if len(code) == _PRODUCT_WITH_DIVISION]
    by_kind = {
        ScanKind.COI: {_plain(coi, "&/")[:_COI_CHARACTERS] for coi in cois},
        ScanKind.DIN: {_plain(din, "=")[:_DIN_CHARACTERS] for din in dins},
        ScanKind.PRODUCT_CODE: {_plain(code, "=<")[:_PRODUCT_CHARACTERS] for code in products},
        ScanKind.DIVISION: {_plain(one, "=,") for one in (*divisions, *told) if one != _DIVISION_ELSEWHERE},
        ScanKind.CONSIGNMENT: {_plain(one, "=$") for one in consignments},
        ScanKind.ASSET: {_asset(asset) for asset in assets},
        ScanKind.TEXT: {text.strip() for text in texts},
    }
    kept = {kind: frozenset(value for value in values if value) for kind, values in by_kind.items()}
    return Expectation({kind: values for kind, values in kept.items() if values})


@value(frozen=True, slots=True)
class ComparedScan:
    """What came of one scan; `index` counts the body's scans from 0, `on` is the label it came from."""

    index: int
    on: str
    outcome: Outcome
    matched: frozenset[ScanKind]
    mismatched: frozenset[ScanKind]
    is_manual: bool


# Reading.


def _plain(text: str, data_identifier: str) -> str:
    return "".join(text.split()).removeprefix(data_identifier)


def _asset(text: str) -> str:
    """Returns the form in which assets are compared: application identifier and content, or the text itself."""
    reading = read_scan(text, is_manual=True)
    return next((value for kind, value in reading.values if kind is ScanKind.ASSET), text.strip())


def _values_of(structure: Structure) -> tuple[tuple[ScanKind, str], ...]:
    match structure:
        case ChainOfIdentity():
            return ((ScanKind.COI, structure.content),)
        case Din():
            return ((ScanKind.DIN, structure.number),)
        case MphoUniqueIdentifier():
            return ((ScanKind.DIN, structure.donation_number),)
        case ProductCode() if structure.collection_type is not None:
            code = (ScanKind.PRODUCT_CODE, structure.content[:_PRODUCT_CHARACTERS])
            if structure.division_is_elsewhere:
                return (code,)
            return (code, (ScanKind.DIVISION, structure.division))
        case ProductDivision():
            return ((ScanKind.DIVISION, structure.content),)
        case ProductConsignment():
            return ((ScanKind.CONSIGNMENT, structure.content),)
        case Grai() | Giai() | Sscc():
            return ((ScanKind.ASSET, f"({structure.DATA_IDENTIFIER}){structure.content}"),)
        case _:
            return ()


def _typed(text: str) -> Structure | None:
    """Returns the structure that a person typed from a label, or None if the text has not the form of one.

    Raises:
        IdentifierMalformedError: it has the form of one and is none, most often by its check character.
    """
    compact = "".join(text.split())
    if _TYPED_COI.fullmatch(compact):
        return ChainOfIdentity.parse_printed(text.strip())
    if _TYPED_DIN.fullmatch(compact):
        return Din.parse_printed(text.strip())
    if len(compact) == _MPHO_CHARACTERS:
        return MphoUniqueIdentifier.parse_content(compact)
    for element in (Grai, Giai, Sscc):
        if compact.startswith(f"({element.DATA_IDENTIFIER})"):
            return element.parse_printed(text.strip())
    return None


@lru_cache(maxsize=_READINGS_MAX)
def read_scan(raw: str, *, is_manual: bool = False) -> Reading:
    """Returns what a raw string says; an empty one says nothing and is unreadable."""
    text = raw.strip()
    if not text:
        return Reading(is_unreadable=True)
    try:
        if text[0] in "=&]":
            structures: list[Structure | Gs1Element] = [scanned.value for scanned in parse_scan(text)]
        else:
            typed = _typed(text) if is_manual else None
            if typed is None:
                return Reading(((ScanKind.TEXT, text),))
            structures = [typed]
    except UnknownDataIdentifierError:
        return Reading()
    except IdentifierMalformedError:
        if text.startswith(_GS1_SYMBOLS):
            return Reading(((ScanKind.TEXT, text),))
        return Reading(is_unreadable=True, names_person=text.startswith(_OF_PERSONS))
    return Reading(
        tuple(value for structure in structures for value in _values_of(structure)),
        names_person=any(structure.ABOUT_A_PERSON for structure in structures),
    )


# Comparing.


def compare_scans(
    scans: Sequence[common.Scan], expected: Expectation | Callable[[str], Expectation]
) -> tuple[ComparedScan, ...]:
    """Returns what comes of each scan, in the order of the body."""
    return tuple(
        _compared(index, scan, expected(scan.on) if callable(expected) else expected)
        for index, scan in enumerate(scans)
    )


def _compared(index: int, scan: common.Scan, expected: Expectation) -> ComparedScan:
    method, on = scan.method, scan.on
    outcome, matched, mismatched = expected.compare(scan.raw, method)
    return ComparedScan(index, on, outcome, matched, mismatched, method == common.READ_METHOD_MANUAL)


def has_matched(compared: Collection[ComparedScan], *kinds: ScanKind, on: str | None = None) -> bool:
    """Tells whether every one of these kinds matched, on the label `on` if one is named, and nothing mismatched."""
    looked_at = [one for one in compared if on is None or one.on == on]
    return not any(one.mismatched for one in looked_at) and set(kinds) <= {
        kind for one in looked_at for kind in one.matched
    }


def _is_excused(unreadable: ComparedScan, compared: Iterable[ComparedScan]) -> bool:
    matched = {kind for one in compared if one.on == unreadable.on for kind in one.matched}
    return len(matched & IDENTITY_KINDS) >= _MATCHES_MIN


def scans_of(act: Act) -> Sequence[common.Scan]:
    """Returns the scans that an act carries."""
    scans: object = getattr(act.body, "scans", ())
    # The contract gives every body the same field; a co-signature has no body.
    return scans if isinstance(scans, Sequence) else ()


def scan_findings(act: Act, expected: Expectation | Callable[[str], Expectation]) -> tuple[Finding, ...]:
    """Returns what comparing the act's scans finds, each finding with the leaves of the scans concerned."""
    scans = scans_of(act)
    if not scans:
        return ()
    compared = compare_scans(scans, expected)
    by_code: dict[str, list[int]] = {}
    for one in compared:
        if one.mismatched & IDENTITY_KINDS:
            by_code.setdefault("SCAN_MISMATCH", []).append(one.index)
        elif one.mismatched:
            by_code.setdefault("SCAN_OF_ANOTHER_ITEM", []).append(one.index)
        elif one.outcome is Outcome.UNREADABLE and not _is_excused(one, compared):
            by_code.setdefault("SCAN_UNREADABLE", []).append(one.index)
    leaves = act.leaves_of(FIELD_SCANS)
    return tuple(
        Finding(code, tuple(leaves[index] for index in indexes if index < len(leaves)))
        for code, indexes in sorted(by_code.items())
    )
