"""Make time-stamp tokens: an authority of one's own, for trying out and for tests (RFC 3161, RFC 5652).

The rules:

* A token stamps the imprint that was asked for, repeats the nonce, and names its certificate by SHA-256.
* Serial numbers are the caller's, each once; the clock is the caller's too.
* This is no authority to be believed by anybody else: it has no audited clock, and its key lies in a file or in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cellcustody.ledger.timestamps.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTF8_STRING,
    Reader,
    encode,
    encode_integer,
    encode_oid,
    explicit,
)
from cellcustody.ledger.timestamps.errors import DerMalformedError, TokenInvalidError
from cellcustody.ledger.timestamps.hashes import HASHES_BY_NAME, HashAlgorithm, hash_of, read_algorithm

__all__ = ["AuthorityKeys", "AuthorityPrivateKey", "TokenDraft", "answer_request", "make_authority", "sign_token"]

TRIAL_POLICY: Final = "1.3.6.1.4.1.99999.1"  # Of nobody; whoever runs an authority has an arc of their own.
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_SIGNATURE_OIDS: Final = {
    ("rsa", "sha256"): "1.2.840.113549.1.1.11",
    ("rsa", "sha512"): "1.2.840.113549.1.1.13",
    ("ecdsa", "sha256"): "1.2.840.10045.4.3.2",
    ("ecdsa", "sha512"): "1.2.840.10045.4.3.4",
    ("ecdsa", "sha3-512"): "2.16.840.1.101.3.4.3.12",
}
_ED25519: Final = "1.3.101.112"

AuthorityPrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class AuthorityKeys:
    """An authority of one's own: its root, its signing certificate, and the key of the latter."""

    root: x509.Certificate
    certificate: x509.Certificate
    key: AuthorityPrivateKey
    digest: HashAlgorithm = HASHES_BY_NAME["sha512"]

    @property
    def root_der(self) -> bytes:
        """The root in DER, for an anchor."""
        return self.root.public_bytes(Encoding.DER)

    @property
    def certificate_der(self) -> bytes:
        """The signing certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class TokenDraft:
    """What a token is to say; `imprint` is a digest by `imprint_oid`, `gen_time` is aware and UTC."""

    imprint_oid: str
    imprint: bytes
    serial: int
    gen_time: datetime
    nonce: int | None = None
    policy: str = TRIAL_POLICY
    accuracy_seconds: int | None = 1
    with_certificates: bool = True
    digest: HashAlgorithm = HASHES_BY_NAME["sha512"]
    named_certificate: bytes | None = None
    signed_type: str = _TST_INFO
    content_digest: bytes | None = None


def make_authority(
    name: str,
    *,
    key: AuthorityPrivateKey,
    root_key: AuthorityPrivateKey,
    not_before: datetime,
    not_after: datetime,
    root_not_after: datetime | None = None,
    usage: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,),
    is_usage_critical: bool = True,
    certificate_hash: HashAlgorithm = HASHES_BY_NAME["sha256"],
    digest: HashAlgorithm = HASHES_BY_NAME["sha512"],
) -> AuthorityKeys:
    """Returns an authority with a root and a signing certificate under it, valid for these times (aware, UTC)."""
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} root")])
    root = (
        x509.CertificateBuilder()
        .subject_name(root_name)
        .issuer_name(root_name)
        .public_key(root_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(root_not_after or not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, _certificate_hash(root_key, certificate_hash))
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(root_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=is_usage_critical)
    certificate = builder.sign(root_key, _certificate_hash(root_key, certificate_hash))
    return AuthorityKeys(root, certificate, key, digest)


def sign_token(draft: TokenDraft, keys: AuthorityKeys) -> bytes:
    """Returns the token of a draft, in DER."""
    accuracy = () if draft.accuracy_seconds is None else (encode(SEQUENCE, encode_integer(draft.accuracy_seconds)),)
    nonce = () if draft.nonce is None else (encode_integer(draft.nonce),)
    info = encode(
        SEQUENCE,
        encode_integer(1),
        encode_oid(draft.policy),
        encode(SEQUENCE, _hash_identifier(draft.imprint_oid), encode(OCTET_STRING, draft.imprint)),
        encode_integer(draft.serial),
        encode(GENERALIZED_TIME, _time(draft.gen_time)),
        *accuracy,
        *nonce,
    )
    named = keys.certificate_der if draft.named_certificate is None else draft.named_certificate
    attributes = encode(
        SET,
        *sorted(
            (
                _attribute(_CONTENT_TYPE, encode_oid(draft.signed_type)),
                _attribute(_MESSAGE_DIGEST, encode(OCTET_STRING, draft.content_digest or draft.digest.digest(info))),
                _attribute(
                    _SIGNING_CERTIFICATE_V2,
                    # SHA-256 is the default here, and a default is never written.
                    encode(
                        SEQUENCE,
                        encode(SEQUENCE, encode(SEQUENCE, encode(OCTET_STRING, hashlib.sha256(named).digest()))),
                    ),
                ),
            )
        ),
    )
    signature_oid, signature = _sign(keys.key, draft.digest, attributes)
    signer = encode(
        SEQUENCE,
        encode_integer(1),
        encode(SEQUENCE, keys.certificate.issuer.public_bytes(), encode_integer(keys.certificate.serial_number)),
        _hash_identifier(draft.digest.oid),
        bytes((explicit(0),)) + attributes[1:],
        signature_oid,
        encode(OCTET_STRING, signature),
    )
    certificates = (encode(explicit(0), keys.certificate_der),) if draft.with_certificates else ()
    data = encode(
        SEQUENCE,
        encode_integer(3),
        encode(SET, _hash_identifier(draft.digest.oid)),
        encode(SEQUENCE, encode_oid(_TST_INFO), encode(explicit(0), encode(OCTET_STRING, info))),
        *certificates,
        encode(SET, signer),
    )
    return encode(SEQUENCE, encode_oid(_SIGNED_DATA), encode(explicit(0), data))


def answer_request(raw: bytes, keys: AuthorityKeys, *, serial: int, now: datetime) -> bytes:
    """Returns the answer to a request, granting a token of this time (aware, UTC), or refusing in words."""
    try:
        draft = _draft_for(raw, keys, serial, now)
    except (DerMalformedError, TokenInvalidError) as defect:
        words = encode(SEQUENCE, encode(UTF8_STRING, str(defect).encode()))
        return encode(SEQUENCE, encode(SEQUENCE, encode_integer(2), words))
    return encode(SEQUENCE, encode(SEQUENCE, encode_integer(0)), sign_token(draft, keys))


def _draft_for(raw: bytes, keys: AuthorityKeys, serial: int, now: datetime) -> TokenDraft:
    outer = Reader(raw)
    request = outer.inside(SEQUENCE)
    outer.end()
    if request.integer() != 1:
        raise TokenInvalidError("a request of another version")
    imprint = request.inside(SEQUENCE)
    algorithm = hash_of(*read_algorithm(imprint))
    digest = imprint.take(OCTET_STRING)
    imprint.end()
    if len(digest) != algorithm.size_bytes:
        raise TokenInvalidError("an imprint is as long as its hash", length=len(digest))
    policy = request.oid() if request.next_tag() == OBJECT_IDENTIFIER else TRIAL_POLICY
    nonce = request.integer() if request.next_tag() == INTEGER else None
    with_certificates = request.boolean() if request.next_tag() == BOOLEAN else False
    request.end()
    return TokenDraft(
        algorithm.oid,
        digest,
        serial,
        now,
        nonce=nonce,
        policy=policy,
        with_certificates=with_certificates,
        digest=keys.digest,
    )


def _attribute(oid: str, value: bytes) -> bytes:
    return encode(SEQUENCE, encode_oid(oid), encode(SET, value))


def _hash_identifier(oid: str) -> bytes:
    return encode(SEQUENCE, encode_oid(oid), encode(NULL))


def _time(at: datetime) -> bytes:
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return (at.strftime("%Y%m%d%H%M%S") + fraction + "Z").encode()


def _sign(key: AuthorityPrivateKey, digest: HashAlgorithm, signed: bytes) -> tuple[bytes, bytes]:
    match key:
        case ed25519.Ed25519PrivateKey():
            return encode(SEQUENCE, encode_oid(_ED25519)), key.sign(signed)
        case rsa.RSAPrivateKey():
            oid = encode_oid(_SIGNATURE_OIDS["rsa", digest.name])
            return encode(SEQUENCE, oid, encode(NULL)), key.sign(signed, padding.PKCS1v15(), digest.primitive)
        case ec.EllipticCurvePrivateKey():
            oid = encode_oid(_SIGNATURE_OIDS["ecdsa", digest.name])
            return encode(SEQUENCE, oid), key.sign(signed, ec.ECDSA(digest.primitive))


def _certificate_hash(
    key: AuthorityPrivateKey, algorithm: HashAlgorithm
) -> hashes.SHA256 | hashes.SHA512 | hashes.SHA3_512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    match algorithm.name:
        case "sha512":
            return hashes.SHA512()
        case "sha3-512":
            return hashes.SHA3_512()
        case _:
            return hashes.SHA256()


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
