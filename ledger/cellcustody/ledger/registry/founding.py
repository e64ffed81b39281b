"""The founding of a ledger: leaf 0, the registrars who join it, and the first schema.

The rules:

* The ledger id is the first 16 bytes of SHA-256 of the founding payload, whose own ledger id is absent.
* Leaf 0 is signed by the first registrar, with the key that it names for them. The keys of registrars and of the
  service device are proven with proofs that name no ledger.
* Every other registrar joins it, each once, in any order: leaves 1 to n - 1. With the last it is in effect.
* Leaf n is the first schema, published by the first registrar; its digest is the one that leaf 0 names.
* Registrars sign on no registered device: the device that they name is their own id.
"""

from __future__ import annotations

import hashlib

from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    DeviceUnknownError,
    FoundingIncompleteError,
    LedgerMismatchError,
    NotRegistrarError,
    RegistryFieldInvalidError,
    RegistryRoleError,
    SignerMismatchError,
)
from cellcustody.ledger.registry.evolution import LEDGER_ID_BYTES
from cellcustody.ledger.registry.fields import (
    DIGEST_BYTES,
    PARTY_ID_BYTES,
    check_length,
    check_log_keys,
    check_new_keys,
    check_origin,
    check_registrars,
)
from cellcustody.ledger.registry.records import ROLE_REGISTRAR
from cellcustody.ledger.registry.schemas import check_descriptor_set
from cellcustody.ledger.registry.state import RegistryState, RegistryView
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.ledger.statements import KeyId, LedgerId, PublicKey, parse_public_key
from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.v1 import registry_pb2

__all__ = [
    "check_founding",
    "check_founding_co_signer",
    "check_founding_schema",
    "founding_keys",
    "ledger_id_of",
]


def ledger_id_of(founding_payload: bytes) -> LedgerId:
    """Returns the id of the ledger that this payload founds, 16 bytes."""
    return LedgerId(hashlib.sha256(founding_payload).digest()[:LEDGER_ID_BYTES])


def founding_keys(body: registry_pb2.LedgerFounded) -> dict[KeyId, PublicKey]:
    """Returns the registrars' keys that a founding body names, to verify the founding statement itself with.

    Raises:
        RegistryFieldInvalidError: one is not a key of the signature profile.
    """
    try:
        keys = [parse_public_key(registrar.key.spki) for registrar in body.registrars]
    except PublicKeyMalformedError as refusal:
        raise RegistryFieldInvalidError(refusal.message, field="registrars.key.spki", **refusal.values) from refusal
    return {key.key_id: key for key in keys}


def check_founding(statement: RegistryStatement, body: registry_pb2.LedgerFounded) -> int:
    """Returns how many registrars must join before this founding is in effect.

    Raises:
        RefusedError: it is not a founding; the leaf class says why.
    """
    # (1): It names no ledger, for none is there yet.
    if statement.ledger_id:
        raise LedgerMismatchError("a founding statement names no ledger", ledger_id=statement.ledger_id)

    # (2): Registrars, keys and log are what they may be.
    check_registrars(body.registrars, body.threshold)
    check_length("service_device", body.service_device, PARTY_ID_BYTES)
    if any(registrar.person == body.service_device for registrar in body.registrars):
        raise RegistryFieldInvalidError("the service device is no registrar", field="service_device")
    nothing = RegistryState().latest
    keys = [(registrar.person, registrar.key) for registrar in body.registrars]
    check_new_keys(nothing, [*keys, (body.service_device, body.service_key)], ledger_id=b"")
    check_origin("log_origin", body.log_origin)
    check_log_keys("log_keys", body.log_keys, body.log_origin)
    check_length("schema_digest", body.schema_digest, DIGEST_BYTES)

    # (3): The first registrar signs it, as such, with the key it names for them.
    first = body.registrars[0]
    if statement.signer != first.person:
        raise NotRegistrarError("the first registrar signs the founding", signer=statement.signer)
    _check_registrar_role(statement)
    if statement.key_ids != (hashlib.sha256(first.key.spki).digest(),):
        raise SignerMismatchError("the founding is signed with the key it names", signer=statement.signer)
    return len(body.registrars) - 1


def check_founding_co_signer(body: registry_pb2.LedgerFounded, co_signature: RegistryStatement) -> None:
    """Returns if this is another registrar, joining as one."""
    if co_signature.role != ROLE_REGISTRAR or all(
        registrar.person != co_signature.signer for registrar in body.registrars
    ):
        raise CoSignerNotPermittedError("the other registrars join the founding", signer=co_signature.signer)


def check_founding_schema(view: RegistryView, statement: RegistryStatement) -> None:
    """Returns if this is the first schema, published by the first registrar."""
    founding = view.founding
    if founding is None or not isinstance(statement.body, registry_pb2.SchemaPublished):
        raise FoundingIncompleteError("the first schema completes the founding", body_type=statement.body_type)
    if statement.signer != founding.first_registrar:
        raise NotRegistrarError("the first registrar publishes the first schema", signer=statement.signer)
    _check_registrar_role(statement)
    digest = check_descriptor_set(statement.body.descriptor_set)
    if digest != founding.schema_digest:
        raise RegistryFieldInvalidError(
            "the founding names another schema", field="descriptor_set", digest=digest, named=founding.schema_digest
        )


def _check_registrar_role(statement: RegistryStatement) -> None:
    if statement.role != ROLE_REGISTRAR:
        raise RegistryRoleError("a founding is signed as a registrar", role=statement.role)
    if statement.device != statement.signer:
        raise DeviceUnknownError("a registrar's device is their own id", device=statement.device)
