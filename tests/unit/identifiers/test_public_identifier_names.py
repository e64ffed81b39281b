"""What callers may import stays what it is, and no licensed table comes in with it."""

from __future__ import annotations

import cellcustody.ledger.identifiers as identifiers
from cellcustody.ledger.errors import MalformedError
from cellcustody.ledger.identifiers import IdentifierMalformedError, SequenceOutOfRangeError, Structure


def test_the_public_names_are_these() -> None:
    """A name leaves or joins only on purpose."""
    assert " ".join(sorted(identifiers.__all__)) == (
        "BloodGroup ChainOfIdentity CheckCharacterError CheckCharacterMissingError CodingSystem CollectionDateTime "
        "CollectionDay CollectionType CompoundCountError CompoundMessage CompoundRepeatedError Din "
        "DivisionRequiredError DonationSequence DonorId ExpiryDateTime ExpiryDay FlagKind FlexibleDateTime "
        "FlexibleTimeKind Giai Gln Grai Grid Gs1Element Gs1Expiry Gs1Lot Gs1Serial GsrnProvider GsrnRecipient Gtin "
        "IdentifierMalformedError KINDS MphoLot MphoSupplementalId MphoUniqueIdentifier NamingSystem "
        "PatientBirthDate PatientId PlainIdentifier ProcessingFacility ProcessorProductCode ProductCode "
        "ProductConsignment ProductDivision ProductionDateTime ProductionDay ScannedStructure "
        "SequenceOutOfRangeError SingleEuropeanCode SpecialTesting Sscc StaffId Structure "
        "UnknownDataIdentifierError check_character check_value division_of gs1_check_digit next_chain_of_identity "
        "next_din parse_scan print_day print_identifier random_chain_of_identity read_content read_printed "
        "read_scan type_3_flag wire_of"
    )


def test_every_refusal_is_a_malformed_input_with_a_reason_of_its_own() -> None:
    """Callers tell conditions apart by class or by reason."""
    errors = [
        value
        for name in identifiers.__all__
        if isinstance(value := getattr(identifiers, name), type) and issubclass(value, MalformedError)
    ]
    assert len({error.reason for error in errors}) == len(errors) == 8
    assert all(issubclass(error, IdentifierMalformedError | SequenceOutOfRangeError) for error in errors)


def test_two_structures_never_share_a_data_identifier() -> None:
    """Every class that a scan can give has an identifier of its own."""
    scanned = [
        data_identifier
        for name in identifiers.__all__
        if isinstance(value := getattr(identifiers, name), type)
        and issubclass(value, Structure)
        and (data_identifier := vars(value).get("DATA_IDENTIFIER"))
    ]
    assert len(scanned) == len(set(scanned)) == 34
