"""Hold a key that is to be enrolled to its proof of possession.

The rules, in the order they are checked:

1. The key is one of the signature profile, in its exact encoding.
2. The proof is an envelope of kind key-possession with exactly one signature, by that very key, over its exact bytes.
3. It names this ledger (none at the founding), this holder and this key.
"""

from __future__ import annotations

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry.errors import PossessionNotProvenError, RegistryFieldInvalidError
from cellcustody.ledger.statements import (
    PayloadType,
    PublicKey,
    Signer,
    parse_envelope,
    parse_public_key,
    parse_wire_form,
    sign_envelope,
    verify_envelope,
)
from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.v1 import envelope_pb2, registry_pb2

__all__ = ["enrolled_key", "verify_possession"]


def enrolled_key(signer: Signer, *, ledger_id: bytes, holder: bytes, signed_at: int) -> registry_pb2.EnrolledKey:
    """Returns the signer's key with the proof that its holder has it; `signed_at` in microseconds since 1970.

    `ledger_id` is empty at the founding alone.
    """
    payload = envelope_pb2.KeyPossession(
        ledger_id=ledger_id, holder_id=holder, key_id=signer.key_id, signed_at_unix_micros=signed_at
    ).SerializeToString(deterministic=True)
    proof = sign_envelope(payload, PayloadType.KEY_POSSESSION, [signer])
    return registry_pb2.EnrolledKey(spki=signer.public_key_spki, possession=proof)


def verify_possession(enrolled: registry_pb2.EnrolledKey, *, ledger_id: bytes, holder: bytes) -> PublicKey:
    """Returns the key after its proof has verified for this ledger and this holder.

    Raises:
        RegistryFieldInvalidError: the key is not one of the signature profile.
        PossessionNotProvenError: the proof is not by this key, or names another ledger, holder or key.
    """
    # (1): A safe key in its one encoding.
    try:
        key = parse_public_key(enrolled.spki)
    except PublicKeyMalformedError as refusal:
        raise RegistryFieldInvalidError(refusal.message, field="spki", **refusal.values) from refusal

    # (2): The key itself signed these very bytes. Nothing in them is believed before this step.
    try:
        envelope = parse_envelope(enrolled.possession)
        if envelope.payload_type is not PayloadType.KEY_POSSESSION:
            raise PossessionNotProvenError("the proof is of another kind", payload_type=envelope.payload_type.value)
        verify_envelope(envelope, {key.key_id: key}.get)  # It finds no other key, and refuses one that signs twice.
        proof = parse_wire_form(envelope_pb2.KeyPossession, envelope.payload)
    except PossessionNotProvenError:
        raise
    except CellcustodyError as refusal:
        raise PossessionNotProvenError(
            "the key does not prove its possession", key_id=key.key_id, defect=refusal.reason
        ) from refusal
    # (3): It was made for here.
    for name, said, expected in (
        ("ledger_id", proof.ledger_id, ledger_id),
        ("holder_id", proof.holder_id, holder),
        ("key_id", proof.key_id, key.key_id),
    ):
        if said != expected:
            raise PossessionNotProvenError(
                "the proof was made for another", field=name, said=said, expected=expected, key=key.key_id
            )
    return key
