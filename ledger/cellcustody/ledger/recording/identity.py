"""Compare patients' identifiers without keeping them: keyed MACs in, outcomes out (design, section 7).

The rules:

* Enrolment leaves one MAC for each identifier, keyed by the therapy's own IDENTITY key; shredding that key ends it.
* Values are normalised before they are compared: compatibility form, case folded, letters and digits alone.
* What could not be read is UNREADABLE; a kind that was not enrolled is NOT_COMPARED; otherwise MATCH or MISMATCH.
* Each kind confirms once: a wristband read twice is one identifier, and its second match is NOT_COMPARED.
* Outcomes name leaves; no value, kind or MAC leaves this module.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Comparison, Outcome
from cellcustody.ledger.store import IdentityMac, ShreddedError, Vault
from cellcustody.v1 import common_pb2, harvest_pb2, return_pb2

__all__ = ["FIELD_PATIENT_IDENTIFIERS", "compare", "enrolled_macs", "identifiers_of", "normalised"]

FIELD_PATIENT_IDENTIFIERS: Final = 2  # The same number in every body that carries identifiers of a patient.


def normalised(value: str) -> str:
    """Returns an identifier's letters and digits, case folded, in compatibility form."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(character for character in folded if character.isalnum())


def identifiers_of(body: Message) -> Sequence[common_pb2.PatientIdentifier]:
    """Returns the patient identifiers that a body carries, in the order of their leaves."""
    match body:
        case (
            harvest_pb2.TherapyEnrolled()
            | harvest_pb2.IdentityChecked()
            | harvest_pb2.ReidentificationPerformed()
            | return_pb2.BedsideChecked()
        ):
            return body.patient_identifiers
        case _:
            return ()


def enrolled_macs(
    vault: Vault, stream: bytes, identifiers: Sequence[common_pb2.PatientIdentifier]
) -> list[IdentityMac]:
    """Returns the MACs to keep for a therapy that is being enrolled; its subject's keys must exist."""
    macs = {
        (identifier.kind, vault.identity_mac(stream, identifier.kind, normalised(identifier.value)))
        for identifier in identifiers
        if normalised(identifier.value)
    }
    return [IdentityMac(stream, kind, mac) for kind, mac in sorted(macs)]


def compare(
    vault: Vault,
    stream: bytes,
    identifiers: Sequence[common_pb2.PatientIdentifier],
    leaves: Sequence[int],
    enrolled: Sequence[IdentityMac],
) -> tuple[Comparison, ...]:
    """Returns the outcome for each identifier; `leaves` are the numbers of their records, in the same order."""
    by_kind: dict[str, set[bytes]] = {}
    for one in enrolled:
        by_kind.setdefault(one.kind, set()).add(one.mac)
    outcomes: list[Comparison] = []
    matched: set[str] = set()
    for identifier, leaf in zip(identifiers, leaves, strict=True):
        value = normalised(identifier.value)
        if identifier.method == common_pb2.READ_METHOD_UNREADABLE or not value:
            outcome = Outcome.UNREADABLE
        elif identifier.kind not in by_kind:
            outcome = Outcome.NOT_COMPARED
        else:
            try:
                mac = vault.identity_mac(stream, identifier.kind, value)
            except ShreddedError:
                outcome = Outcome.NOT_COMPARED
            else:
                outcome = Outcome.MATCH if mac in by_kind[identifier.kind] else Outcome.MISMATCH
        if outcome is Outcome.MATCH:
            if identifier.kind in matched:
                outcome = Outcome.NOT_COMPARED
            matched.add(identifier.kind)
        outcomes.append(Comparison(leaf, outcome))
    return tuple(outcomes)
