"""Parse, check and print the identifiers of labels: ISBT 128, the Single European Code, and GS1 keys.

This package reads no clock, no file and no network; it embeds no licensed table (product or facility codes).
Every refusal is an `IdentifierMalformedError` with the 0-based offset, the rule and the value.
"""

from cellcustody.ledger.identifiers.chain_of_identity import (
    ChainOfIdentity,
)
from cellcustody.ledger.identifiers.check_characters import (
    check_character,
    check_value,
    gs1_check_digit,
    type_3_flag,
)
from cellcustody.ledger.identifiers.donations import (
    CollectionType,
    Din,
    FlagKind,
    MphoUniqueIdentifier,
    NamingSystem,
    ProductCode,
    ProductDivision,
    division_of,
)
from cellcustody.ledger.identifiers.errors import (
    CheckCharacterError,
    CheckCharacterMissingError,
    CompoundCountError,
    DivisionRequiredError,
    IdentifierMalformedError,
    SequenceOutOfRangeError,
    UnknownDataIdentifierError,
)
from cellcustody.ledger.identifiers.european_code import (
    CodingSystem,
    DonationSequence,
    SingleEuropeanCode,
)
from cellcustody.ledger.identifiers.generation import (
    next_chain_of_identity,
    next_din,
    random_chain_of_identity,
)
from cellcustody.ledger.identifiers.gs1 import (
    Giai,
    Gln,
    Grai,
    Gs1Element,
    Gs1Expiry,
    Gs1Lot,
    Gs1Serial,
    GsrnProvider,
    GsrnRecipient,
    Gtin,
    Sscc,
)
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
from cellcustody.ledger.identifiers.scans import (
    CompoundMessage,
    ScannedStructure,
    parse_scan,
)
from cellcustody.ledger.identifiers.structure import (
    Structure,
)
from cellcustody.ledger.identifiers.times import (
    CollectionDateTime,
    CollectionDay,
    ExpiryDateTime,
    ExpiryDay,
    FlexibleDateTime,
    FlexibleTimeKind,
    ProductionDateTime,
    ProductionDay,
)

__all__ = [
    "BloodGroup",
    "ChainOfIdentity",
    "CheckCharacterError",
    "CheckCharacterMissingError",
    "CodingSystem",
    "CollectionDateTime",
    "CollectionDay",
    "CollectionType",
    "CompoundCountError",
    "CompoundMessage",
    "Din",
    "DivisionRequiredError",
    "DonationSequence",
    "DonorId",
    "ExpiryDateTime",
    "ExpiryDay",
    "FlagKind",
    "FlexibleDateTime",
    "FlexibleTimeKind",
    "Giai",
    "Gln",
    "Grai",
    "Grid",
    "Gs1Element",
    "Gs1Expiry",
    "Gs1Lot",
    "Gs1Serial",
    "GsrnProvider",
    "GsrnRecipient",
    "Gtin",
    "IdentifierMalformedError",
    "MphoLot",
    "MphoSupplementalId",
    "MphoUniqueIdentifier",
    "NamingSystem",
    "PatientBirthDate",
    "PatientId",
    "ProcessingFacility",
    "ProcessorProductCode",
    "ProductCode",
    "ProductConsignment",
    "ProductDivision",
    "ProductionDateTime",
    "ProductionDay",
    "ScannedStructure",
    "SequenceOutOfRangeError",
    "SingleEuropeanCode",
    "SpecialTesting",
    "Sscc",
    "StaffId",
    "Structure",
    "UnknownDataIdentifierError",
    "check_character",
    "check_value",
    "division_of",
    "gs1_check_digit",
    "next_chain_of_identity",
    "next_din",
    "parse_scan",
    "random_chain_of_identity",
    "type_3_flag",
]
