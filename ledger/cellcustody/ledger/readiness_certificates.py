"""Write, sign, read and verify readiness certificates: the ledger's word beforehand on one bag, for use offline.

The rules, in the order in which `verify_certificate` checks them:

1. The envelope is a DSSE envelope in its exact wire form, of the payload type of readiness certificates.
2. Exactly one signature, by a service key of the ledger, over the exact bytes.
3. The payload is a ReadinessCertificate in its exact wire form, of format version 1, with every id of its length.
4. It is of this ledger and of this bag, rests on a log at least as large as asked for, and holds at this time.

A certificate permits nothing: what permits is the check at the bedside by two persons, and what came between is judged
when that check is recorded. It is never logged by itself; the check carries it whole. See docs/formats.

Times are microseconds since 1970-01-01T00:00:00Z; the time at which one is verified is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cellcustody.ledger.errors import RefusedError, VerificationError
from cellcustody.ledger.statements import KeyLookup, PayloadType, Signer
from cellcustody.ledger.statements.envelope import parse_envelope, sign_envelope, verify_envelope
from cellcustody.ledger.statements.wireform import parse_wire_form
from cellcustody.v1 import readiness_pb2

__all__ = [
    "FORMAT_VERSION",
    "CertificateInvalidError",
    "ReadinessCertificate",
    "certificate_digest",
    "issue_certificate",
    "read_certificate",
    "verify_certificate",
]

FORMAT_VERSION: Final = 1
_LENGTHS: Final = {
    "ledger_id": 16,
    "therapy": 17,
    "material": 16,
    "last_statement_digest": 32,
    "released_by": 32,
}
_READ_MAX: Final = 1024  # A ward's bags of some months; each reading is a few hundred bytes.


class CertificateInvalidError(VerificationError):
    """Raised when a readiness certificate does not prove what it is shown for; `rule` says why."""

    reason = "READINESS_CERTIFICATE_INVALID"

    def __init__(self, rule: str, message: str, **values: object) -> None:
        super().__init__(message, rule=rule, **values)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ReadinessCertificate:
    """What the ledger says of one bag: nothing stood against infusing it but what the bedside is still to do."""

    ledger_id: bytes
    therapy: bytes
    material: bytes
    position: int
    last_statement_digest: bytes
    issued_at: int
    expires_at: int
    coi: str
    din: str
    bag_expires_at: int | None
    released_by: bytes

    def holds_at(self, at: int) -> bool:
        """Tells whether the certificate holds at a time, its ends included."""
        return self.issued_at <= at <= self.expires_at


def certificate_digest(envelope: bytes) -> bytes:
    """Returns the name of a certificate: SHA-256 of what its signature covers, 32 bytes, as for statements.

    Raises:
        CertificateInvalidError: the bytes are no envelope.
    """
    try:
        return parse_envelope(envelope).statement_digest
    except RefusedError as defect:
        raise CertificateInvalidError("FORM", defect.message) from defect


def issue_certificate(certificate: ReadinessCertificate, signer: Signer) -> bytes:
    """Returns the envelope of a certificate, signed by the ledger's service key."""
    message = readiness_pb2.ReadinessCertificate(
        format_version=FORMAT_VERSION,
        ledger_id=certificate.ledger_id,
        therapy=certificate.therapy,
        material=certificate.material,
        position=certificate.position,
        last_statement_digest=certificate.last_statement_digest,
        issued_at_unix_micros=certificate.issued_at,
        expires_at_unix_micros=certificate.expires_at,
        coi=certificate.coi,
        din=certificate.din,
        bag_expires_at_unix_micros=certificate.bag_expires_at,
        released_by=certificate.released_by,
    )
    payload = message.SerializeToString(deterministic=True)
    _checked(message)
    return sign_envelope(payload, PayloadType.READINESS_CERTIFICATE, [signer])


@lru_cache(maxsize=_READ_MAX)
def read_certificate(envelope: bytes) -> ReadinessCertificate:
    """Returns what a certificate says, its signature unverified.

    Raises:
        CertificateInvalidError: it is not in the exact form; `rule` is FORM, PAYLOAD_TYPE or SIGNATURES.
    """
    try:
        parsed = parse_envelope(envelope)
        if parsed.payload_type is not PayloadType.READINESS_CERTIFICATE:
            raise CertificateInvalidError(
                "PAYLOAD_TYPE", "an envelope of another kind", payload_type=parsed.payload_type.value
            )
        if len(parsed.signatures) != 1:
            raise CertificateInvalidError("SIGNATURES", "one key signs a certificate", found=len(parsed.signatures))
        message = parse_wire_form(readiness_pb2.ReadinessCertificate, parsed.payload)
    except RefusedError as defect:
        raise CertificateInvalidError("FORM", defect.message) from defect
    return _checked(message)


def verify_certificate(
    envelope: bytes,
    key_lookup: KeyLookup,
    *,
    ledger_id: bytes,
    material: bytes,
    at: int,
    position_min: int = 0,
) -> ReadinessCertificate:
    """Returns what a certificate says, after all that it is shown for has been verified.

    `key_lookup` knows the ledger's service keys and no others; `position_min` is the size of log that whoever uses the
    certificate has seen already.

    Raises:
        CertificateInvalidError: `rule` is FORM, PAYLOAD_TYPE, SIGNATURES, SIGNATURE, LEDGER, MATERIAL, POSITION,
            NOT_YET or EXPIRED.
    """
    certificate = read_certificate(envelope)
    try:
        verify_envelope(parse_envelope(envelope), key_lookup)
    except RefusedError as refusal:
        raise CertificateInvalidError("SIGNATURE", refusal.message, **refusal.values) from refusal
    if certificate.ledger_id != ledger_id:
        raise CertificateInvalidError("LEDGER", "the certificate is of another ledger", found=certificate.ledger_id)
    if certificate.material != material:
        raise CertificateInvalidError("MATERIAL", "the certificate is of another bag", found=certificate.material)
    if certificate.position < position_min:
        raise CertificateInvalidError(
            "POSITION", "newer statements are known here", found=certificate.position, known=position_min
        )
    if at < certificate.issued_at:
        raise CertificateInvalidError("NOT_YET", "the certificate was issued later", issued_at=certificate.issued_at)
    if at > certificate.expires_at:
        raise CertificateInvalidError("EXPIRED", "the certificate has run out", expires_at=certificate.expires_at)
    return certificate


def _checked(message: readiness_pb2.ReadinessCertificate) -> ReadinessCertificate:
    if message.format_version != FORMAT_VERSION:
        raise CertificateInvalidError("FORM", "another version of the format", format_version=message.format_version)
    for name, length in _LENGTHS.items():
        found: object = getattr(message, name)
        if not isinstance(found, bytes) or len(found) != length:
            raise CertificateInvalidError("FORM", "an id has its length", field=name, length=length)
    if not message.coi or not message.position or message.expires_at_unix_micros < message.issued_at_unix_micros:
        raise CertificateInvalidError("FORM", "a certificate names its bag, its log and its time")
    has_expiry = message.HasField("bag_expires_at_unix_micros")
    return ReadinessCertificate(
        ledger_id=message.ledger_id,
        therapy=message.therapy,
        material=message.material,
        position=message.position,
        last_statement_digest=message.last_statement_digest,
        issued_at=message.issued_at_unix_micros,
        expires_at=message.expires_at_unix_micros,
        coi=message.coi,
        din=message.din,
        bag_expires_at=message.bag_expires_at_unix_micros if has_expiry else None,
        released_by=message.released_by,
    )
