"""Lead a time authority's certificate to one that is believed (RFC 5280, section 6, as far as time-stamping needs it).

The rules:

* A path is the signing certificate, then each certificate's issuer, up to the first that is believed; at most 8.
* Each is signed by the next with algorithms that are taken, under the issuer's name; the next is a CA that may sign
  certificates, and its path length allows those below it.
* Extended key usage, where an issuer limits it, allows time-stamping. No critical extension is unknown.
* Every certificate, the believed one too, is valid at the time of the token.

Whether certificates were revoked nobody asks: lists of decades ago are not to be had. Who stops believing a certificate
takes it out of the anchor or names it in the algorithm policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cellcustody.ledger.timestamps.errors import AuthorityUnknownError, TokenInvalidError, TokenMalformedError
from cellcustody.ledger.timestamps.hashes import HASHES_BY_PRIMITIVE, RSA_BITS_MIN

__all__ = ["Path", "TimeAuthority", "check_signing_certificate", "find_path", "load_certificate"]

PATH_LENGTH_MAX: Final = 8
PATHS_MAX: Final = 32  # Cross-signed authorities have two or three; an input with thousands is an attack.
CERTIFICATE_BYTES_MAX: Final = 16_384
_CERTIFICATES_CACHED_MAX: Final = 1_024
_PROCESSED: Final = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.CertificatePolicies)


@dataclass(frozen=True, slots=True)
class TimeAuthority:
    """An authority that an anchor believes: DER certificates that end paths, and policies (dotted; empty: any)."""

    name: str
    certificates: tuple[bytes, ...]
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A path that holds: its certificates in DER, until when all are valid, and the algorithms that it rests on."""

    authority: TimeAuthority
    certificates: tuple[bytes, ...]
    valid_until: datetime
    algorithms: frozenset[str]


@lru_cache(maxsize=_CERTIFICATES_CACHED_MAX)
def load_certificate(der: bytes) -> x509.Certificate:
    """Returns the certificate in these bytes, which hold nothing else.

    Raises:
        TokenMalformedError: they are no certificate.
    """
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise TokenMalformedError("a certificate is too long", length=len(der))
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # Parsed here, so that nothing of it is malformed later.
        certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as defect:
        raise TokenMalformedError("bytes are no certificate of a kind that is taken", length=len(der)) from defect
    if certificate.public_bytes(Encoding.DER) != der:
        raise TokenMalformedError("something follows a certificate")
    return certificate


def check_signing_certificate(certificate: x509.Certificate) -> None:
    """Returns if the certificate is for signing time-stamps and nothing else (RFC 3161, section 2.3).

    Raises:
        TokenInvalidError: it is not.
    """
    extensions = certificate.extensions
    try:
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound as missing:
        raise TokenInvalidError("the signer's certificate is not for time-stamps") from missing
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TokenInvalidError("the signer's certificate is not for time-stamps alone, critically")
    constraints = _extension(certificate, x509.BasicConstraints)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        raise TokenInvalidError("the signer's certificate is that of a CA")
    key_usage = _extension(certificate, x509.KeyUsage)
    if isinstance(key_usage, x509.KeyUsage):
        signs = key_usage.digital_signature or key_usage.content_commitment
        does_more = (
            key_usage.key_cert_sign
            or key_usage.crl_sign
            or key_usage.key_encipherment
            or key_usage.data_encipherment
            or key_usage.key_agreement
        )
        if not signs or does_more:
            raise TokenInvalidError("the signer's key is not for signing alone")


def find_path(signing: bytes, pool: Sequence[bytes], authorities: Sequence[TimeAuthority], at: datetime) -> Path:
    """Returns the path that holds longest from a signing certificate to one of an authority, as of `at` (aware, UTC).

    Raises:
        AuthorityUnknownError: no path leads to any authority.
        TokenInvalidError: one does, and none holds.
        TokenMalformedError: a certificate on the way is none.
    """
    believed = {der: authority for authority in authorities for der in authority.certificates}
    best: Path | None = None
    refusal: TokenInvalidError | None = None
    for tried, chain in enumerate(_chains((signing,), tuple(dict.fromkeys((*believed, *pool))), frozenset(believed))):
        if tried >= PATHS_MAX:
            break
        try:
            path = _checked(chain, believed[chain[-1]], at)
        except TokenInvalidError as invalid:
            refusal = refusal or invalid
            continue
        if best is None or path.valid_until > best.valid_until:
            best = path
    if best is not None:
        return best
    if refusal is not None:
        raise refusal
    raise AuthorityUnknownError(
        "no certificate that is believed stands behind this one", sha256=hashlib.sha256(signing).hexdigest()
    )


def _chains(
    chain: tuple[bytes, ...], pool: tuple[bytes, ...], believed: frozenset[bytes]
) -> Iterator[tuple[bytes, ...]]:
    last = chain[-1]
    if last in believed:
        yield chain
        return
    if len(chain) == PATH_LENGTH_MAX:
        return
    issuer = load_certificate(last).issuer
    for der in pool:
        if der not in chain and load_certificate(der).subject == issuer and _is_signed_by(last, der):
            yield from _chains((*chain, der), pool, believed)


@lru_cache(maxsize=_CERTIFICATES_CACHED_MAX)
def _is_signed_by(der: bytes, issuer: bytes) -> bool:
    try:
        load_certificate(der).verify_directly_issued_by(load_certificate(issuer))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _checked(chain: tuple[bytes, ...], authority: TimeAuthority, at: datetime) -> Path:
    certificates = [load_certificate(der) for der in chain]
    algorithms: set[str] = {f"certificate:{hashlib.sha256(der).hexdigest()}" for der in chain}
    for depth, certificate in enumerate(certificates):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise TokenInvalidError(
                "a certificate was not valid at the time of the token",
                subject=certificate.subject.rfc4514_string(),
                at=at.isoformat(),
                not_before=certificate.not_valid_before_utc.isoformat(),
                not_after=certificate.not_valid_after_utc.isoformat(),
            )
        for extension in certificate.extensions:
            if extension.critical and not isinstance(extension.value, _PROCESSED):
                raise TokenInvalidError("a critical extension is unknown", extension=extension.oid.dotted_string)
        if depth:
            _check_issuer(certificate, below=depth - 1)
        if depth + 1 < len(certificates):
            algorithms |= _algorithms(certificate, certificates[depth + 1])
    return Path(authority, chain, min(one.not_valid_after_utc for one in certificates), frozenset(algorithms))


def _check_issuer(certificate: x509.Certificate, *, below: int) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        raise TokenInvalidError("an issuer is no CA", subject=certificate.subject.rfc4514_string())
    if constraints.path_length is not None and below > constraints.path_length:
        raise TokenInvalidError("a path is longer than an issuer allows", path_length=constraints.path_length)
    usage = _extension(certificate, x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        raise TokenInvalidError("an issuer may not sign certificates", subject=certificate.subject.rfc4514_string())
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if isinstance(purposes, x509.ExtendedKeyUsage) and not {
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    } & set(purposes):
        raise TokenInvalidError("an issuer is not for time-stamps", subject=certificate.subject.rfc4514_string())


def _algorithms(certificate: x509.Certificate, issuer: x509.Certificate) -> frozenset[str]:
    key = issuer.public_key()
    match key:
        case rsa.RSAPublicKey():
            if key.key_size < RSA_BITS_MIN:
                raise TokenInvalidError("an issuer's RSA key is too short", bits=key.key_size)
            name = "rsa"
        case ec.EllipticCurvePublicKey():
            name = "ecdsa"
        case ed25519.Ed25519PublicKey():
            return frozenset({"ed25519"})
        case _:
            raise TokenInvalidError("an issuer's key is of a kind that is not taken", kind=type(key).__name__)
    used = certificate.signature_hash_algorithm
    found = HASHES_BY_PRIMITIVE.get("" if used is None else used.name)
    if found is None:
        raise TokenInvalidError("a certificate is signed over a hash that is not taken")
    return frozenset({name, found.policy_name})


def _extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    for extension in certificate.extensions:
        if isinstance(extension.value, kind):
            return extension.value
    return None
