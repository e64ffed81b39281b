"""Read a scanner's raw string: one ISBT 128 structure, one compound message, or a GS1 symbol.

The rules, in the order they are checked:

* A symbology identifier (`]C1`, `]d2`, ...) may lead; one that announces GS1 data sends the rest to the GS1 reader.
* The data identifier must be one of the table; national structures (`&a` to `&z`) are never read.
* Text holds exactly one structure, or (with `]C4`) two, or a compound message (data structure 023) and exactly the
  structures it counts, without separators, in any order. Nothing else may follow, so the reader's driver must cut its
  own suffix off.
* A compound message's count is verified before anything of it is given out: all of it, or none.
* A compound message holds no other compound message, and of each structure one: of two expiries nobody would know which
  counts. Flexible times (031) are told apart by what they are of.
* Symbology `]C4` announces two linear symbols that the scanner read as one: exactly two structures, then, of two kinds.

The order number of a compound message (`bbb`, 000 for none) is kept and not checked: its meanings are licensed.
Source: ICCBBA ST-001 6.2.2; ST-012 for the example; ISO/IEC 15424 for symbology identifiers (Code 128, modifier 4:
concatenated as ISBT has it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from cellcustody.ledger.identifiers.chain_of_identity import ChainOfIdentity
from cellcustody.ledger.identifiers.donations import Din, ProductCode, ProductDivision
from cellcustody.ledger.identifiers.errors import (
    CompoundCountError,
    CompoundRepeatedError,
    IdentifierMalformedError,
    UnknownDataIdentifierError,
)
from cellcustody.ledger.identifiers.european_code import SingleEuropeanCode
from cellcustody.ledger.identifiers.gs1 import Gs1Element, read_gs1
from cellcustody.ledger.identifiers.parties import (
    BloodGroup,
    DonorId,
    Grid,
    MphoLot,
    MphoSupplementalId,
    PatientBirthDate,
    PatientId,
    ProcessingFacility,
    ProcessorProductCode,
    ProductConsignment,
    SpecialTesting,
    StaffId,
)
from cellcustody.ledger.identifiers.reading import DIGIT, FACILITY_FIRST, Reader
from cellcustody.ledger.identifiers.structure import Structure
from cellcustody.ledger.identifiers.times import (
    CollectionDateTime,
    CollectionDay,
    ExpiryDateTime,
    ExpiryDay,
    FlexibleDateTime,
    ProductionDateTime,
    ProductionDay,
)

RAW_SCAN_LENGTH_MAX: Final = 3116  # The most characters that a Data Matrix symbol holds (ISO/IEC 16022).
COMPOUND_DATA_IDENTIFIER: Final = "=+"

_GS1_SYMBOLOGIES: Final = frozenset({"]C1", "]d2", "]Q3", "]e0", "]J1"})
_ISBT_SYMBOLOGIES: Final = frozenset({"]C0", "]C4", "]d1", "]Q1"})
_CONCATENATED_SYMBOLOGY: Final = "]C4"
_SYMBOLOGY_LENGTH: Final = 3

ISBT_STRUCTURES: Final[dict[str, type[Structure]]] = {
    structure.DATA_IDENTIFIER: structure
    for structure in (
        BloodGroup,
        ProductCode,
        ExpiryDay,
        ExpiryDateTime,
        CollectionDay,
        CollectionDateTime,
        ProductionDay,
        ProductionDateTime,
        SpecialTesting,
        DonorId,
        StaffId,
        PatientBirthDate,
        PatientId,
        ProductConsignment,
        FlexibleDateTime,
        ProductDivision,
        ProcessingFacility,
        ProcessorProductCode,
        MphoLot,
        MphoSupplementalId,
        SingleEuropeanCode,
        Grid,
        ChainOfIdentity,
    )
}


@dataclass(frozen=True, slots=True)
class ScannedStructure:
    """One value of a scan and where its data identifier stood in the raw string, from 0."""

    offset: int
    value: Structure | Gs1Element


@dataclass(frozen=True, slots=True)
class CompoundMessage:
    """A compound message (data structure 023): its order number (`000` for none) and the structures in it."""

    order: str
    structures: tuple[ScannedStructure, ...]

    @classmethod
    def parse(cls, wire: str) -> CompoundMessage:
        """Returns the compound message in a scanner's string.

        Raises:
            CompoundCountError: it holds fewer or more structures than it counts.
            IdentifierMalformedError: anything else that does not fit, at its offset.
        """
        reader = Reader(wire, identifier="compound message")
        found = _read_compound(reader)
        reader.finish()
        return found

    @classmethod
    def of(cls, *structures: Structure) -> CompoundMessage:
        """Returns the message of `structures` in the order given, with no order number; at most 99."""
        header = f"{COMPOUND_DATA_IDENTIFIER}{len(structures):02d}000"
        return cls.parse(header + "".join(structure.wire() for structure in structures))

    def wire(self) -> str:
        """Returns the string that a symbol carries."""
        carried = "".join(scanned.value.wire() for scanned in self.structures)
        return f"{COMPOUND_DATA_IDENTIFIER}{len(self.structures):02d}{self.order}{carried}"


def parse_scan(raw: str) -> tuple[ScannedStructure, ...]:
    """Returns what a scanner read, in the order of the symbol: the parts of a compound message stand by themselves.

    >>> [scanned.value.content for scanned in parse_scan("&/CHA999925000001")]
    ['CHA999925000001']

    Raises:
        IdentifierMalformedError: with the 0-based offset in `raw`, the rule and the value there; its subclasses say
            which condition (unknown data identifier, wrong count, wrong check character).
    """
    if len(raw) > RAW_SCAN_LENGTH_MAX:
        raise IdentifierMalformedError(
            identifier="scan",
            offset=RAW_SCAN_LENGTH_MAX,
            rule=f"at most {RAW_SCAN_LENGTH_MAX} characters",
            value=f"{len(raw)} characters",
        )
    reader = Reader(raw, identifier="scan")
    symbology = raw[:_SYMBOLOGY_LENGTH] if raw.startswith("]") else ""
    if symbology in _GS1_SYMBOLOGIES:
        reader.position = _SYMBOLOGY_LENGTH
        elements = tuple(ScannedStructure(offset=offset, value=element) for offset, element in read_gs1(reader))
        _refuse_repeated(reader, elements)
        return elements
    if symbology in _ISBT_SYMBOLOGIES:
        reader.position = _SYMBOLOGY_LENGTH
    elif symbology:
        reader.refuse("this symbology identifier is not read", at=0, value=symbology, error=UnknownDataIdentifierError)
    if raw.startswith(COMPOUND_DATA_IDENTIFIER, reader.position):
        found = _read_compound(reader).structures
    elif symbology == _CONCATENATED_SYMBOLOGY:
        found = (_read_structure(reader), _read_structure(reader))
        _refuse_repeated(reader, found)
    else:
        found = (_read_structure(reader),)
    reader.finish()
    return found


def _read_structure(reader: Reader) -> ScannedStructure:
    at = reader.position
    # Behind what is about a person may stand the rest of it, where its length was misread: that is withheld too.
    reader.about("scan", private=reader.is_private)
    for length in (3, 2):
        structure = ISBT_STRUCTURES.get(reader.text[at : at + length])
        if structure is not None:
            reader.position = at + len(structure.DATA_IDENTIFIER)
            return ScannedStructure(offset=at, value=structure.read_from(reader))
    found = reader.text[at : at + 2]
    # The donation number is the one structure whose second identifier character is data too.
    if found.startswith("=") and found[1:] in FACILITY_FIRST.characters:
        reader.position = at + 1
        return ScannedStructure(offset=at, value=Din.read_from(reader))
    if found == COMPOUND_DATA_IDENTIFIER:
        rule = "a compound message holds no other"
    elif len(found) == 2 and found[0] == "&" and "a" <= found[1] <= "z":
        rule = "national structures are not read"
    else:
        rule = "no structure that is read here begins so"
    reader.refuse(rule, at=at, value=found, error=UnknownDataIdentifierError)


def _read_compound(reader: Reader) -> CompoundMessage:
    reader.about("compound message", private=False)
    reader.expect(COMPOUND_DATA_IDENTIFIER, "data identifier")
    at = reader.position
    count = reader.take(2, DIGIT, "number of structures")
    order = reader.take(3, DIGIT, "order number")
    if count == "00":
        reader.refuse("a compound message holds at least one structure", at=at, value=count)
    structures: list[ScannedStructure] = []
    while reader.remaining:
        if len(structures) == int(count):
            _refuse_count(reader, count, "more")
        structures.append(_read_structure(reader))
    if len(structures) < int(count):
        _refuse_count(reader, count, str(len(structures)))
    _refuse_repeated(reader, structures)
    return CompoundMessage(order=order, structures=tuple(structures))


def _refuse_repeated(reader: Reader, structures: Sequence[ScannedStructure]) -> None:
    kinds: set[tuple[type, str]] = set()
    for scanned in structures:
        value = scanned.value
        kind = (type(value), value.kind if isinstance(value, FlexibleDateTime) else "")
        if kind in kinds:
            reader.about("scan", private=False)
            reader.refuse(
                f"one {value.NAME} and no second one",
                at=scanned.offset,
                value=value.DATA_IDENTIFIER,
                error=CompoundRepeatedError,
            )
        kinds.add(kind)


def _refuse_count(reader: Reader, count: str, found: str) -> NoReturn:
    reader.about("compound message", private=False)
    reader.refuse(
        f"{int(count)} structures are announced and {found} are there",
        at=reader.position,
        value=count,
        error=CompoundCountError,
    )
