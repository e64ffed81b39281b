"""Verify RFC 3161 time-stamp tokens: CMS signed data around a TSTInfo, by an authority that is believed.

The rules, in the order in which they are checked (docs/formats/timestamps.md):

1. The token is DER to its last byte: signed data, version 3, around a TSTInfo, with one signer.
2. The signer's certificate is the one that the signed attributes name by its hash; a path leads to an authority.
3. The signed attributes hold the digest and type of the content; the signature covers them under that certificate.
4. The certificate is for time-stamps alone; the path holds at the time of the token.
5. The TSTInfo stamps these very bytes, with a hash that is taken; its accuracy and policy are acceptable.

No clock: a token is held to its own time. Whether it is still worth anything today is `validity`.
RFC 3161, sections 2.4.2 and 2.3; RFC 5652, sections 5.1 to 5.6; RFC 5816.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from cellcustody.ledger.timestamps.der import (
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Reader,
    context,
    explicit,
)
from cellcustody.ledger.timestamps.errors import (
    AuthorityUnknownError,
    DerMalformedError,
    TokenInvalidError,
    TokenMalformedError,
)
from cellcustody.ledger.timestamps.hashes import HashAlgorithm, hash_of, read_algorithm, verify_signature
from cellcustody.ledger.timestamps.paths import (
    TimeAuthority,
    check_signing_certificate,
    find_path,
    load_certificate,
)

__all__ = ["TOKEN_BYTES_MAX", "ParsedToken", "VerifiedToken", "certificates_for", "parse_token", "verify_token"]

TOKEN_BYTES_MAX: Final = 65_536  # With four certificates of 4,096 bits a token has some 8 kB.
ACCURACY_MAX: Final = timedelta(seconds=60)
ACCURACY_UNSTATED: Final = timedelta(seconds=1)  # RFC 3161 leaves it open; ETSI EN 319 421 asks for a second or better.
WHOLE_SECOND: Final = timedelta(seconds=1)  # A time in whole seconds was within that one, however exact the clock.
CERTIFICATES_MAX: Final = 32

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_TIME: Final = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{0,5}[1-9]))?Z")


@dataclass(frozen=True, slots=True)
class _CertificateName:
    """How signed attributes name the signer's certificate: hash, and issuer with serial where given."""

    hash_oid: str  # Empty: SHA-1, of the older attribute.
    digest: bytes
    issuer_serial: tuple[tuple[bytes, ...], int] | None


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """What a token says. Nothing of it is believed. `accuracy` is that stated, or the one taken where none is."""

    policy: str
    imprint_hash: HashAlgorithm
    imprint: bytes
    serial: int
    gen_time: datetime
    accuracy: timedelta
    nonce: int | None
    certificates: tuple[bytes, ...]
    digest_hash: HashAlgorithm
    signature_algorithm: tuple[str, bytes]
    signature: bytes
    signed_attributes: bytes
    content_digest: bytes
    issuer_serial: tuple[bytes, int] | None
    key_identifier: bytes | None
    names: tuple[_CertificateName, ...]
    tst_info: bytes


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token that holds as of its own time. Times are aware and UTC.

    `algorithms` are all that it rests on, by the names of an algorithm policy; `path` the DER certificates, the
    signer's first.
    """

    authority: str
    gen_time: datetime
    earliest: datetime
    latest: datetime
    valid_until: datetime
    algorithms: frozenset[str]
    path: tuple[bytes, ...]
    policy: str
    nonce: int | None


def parse_token(raw: bytes) -> ParsedToken:
    """Returns what a token says.

    Raises:
        TokenMalformedError: it is not in its exact form, or uses what is not taken.
    """
    if len(raw) > TOKEN_BYTES_MAX:
        raise TokenMalformedError("a token is too long", length=len(raw), limit=TOKEN_BYTES_MAX)
    try:
        return _parse(raw)
    except (DerMalformedError, TokenInvalidError) as defect:
        raise TokenMalformedError("a token is not in its exact form", defect=str(defect)) from defect


def verify_token(
    raw: bytes, stamped: bytes, authorities: Sequence[TimeAuthority], pool: Sequence[bytes] = ()
) -> VerifiedToken:
    """Returns a token over the bytes `stamped` after it was found to be an authority's; `pool` are DER certificates.

    Raises:
        TokenMalformedError: it is not in its exact form.
        AuthorityUnknownError: it is by nobody in `authorities`.
        TokenInvalidError: it is by one of them, and does not show what it claims.
    """
    # (1): The form.
    token = parse_token(raw)

    # (2): Whose it would be.
    signing = _signing_certificate(token, (*token.certificates, *pool, *_believed(authorities)))
    path = find_path(signing, (*token.certificates, *pool), authorities, token.gen_time)
    certificate = load_certificate(signing)
    _check_named(token, certificate, signing)

    # (3): The signature over the attributes, and the attributes over the content.
    if token.content_digest != token.digest_hash.digest(token.tst_info):
        raise TokenInvalidError("the signed digest is not that of what the token says")
    algorithms = verify_signature(
        certificate.public_key(),
        token.signature_algorithm,
        token.digest_hash,
        token.signature,
        token.signed_attributes,
    )

    # (4): What the certificate is for; that the path holds was seen when it was found.
    check_signing_certificate(certificate)

    # (5): What is stamped, how exactly, and by which policy.
    if token.imprint != token.imprint_hash.digest(stamped):
        raise TokenInvalidError("a token stamps something else", hash=token.imprint_hash.name)
    if path.authority.policies and token.policy not in path.authority.policies:
        raise TokenInvalidError("a token is of another policy", policy=token.policy, authority=path.authority.name)
    if token.accuracy > ACCURACY_MAX:
        raise TokenInvalidError("a token is too inexact", accuracy_seconds=token.accuracy.total_seconds())
    return VerifiedToken(
        authority=path.authority.name,
        gen_time=token.gen_time,
        earliest=token.gen_time - token.accuracy,
        latest=token.gen_time + token.accuracy,
        valid_until=path.valid_until,
        algorithms=algorithms | path.algorithms | {token.imprint_hash.policy_name, token.digest_hash.policy_name},
        path=path.certificates,
        policy=token.policy,
        nonce=token.nonce,
    )


def certificates_for(token: bytes, pool: Sequence[bytes]) -> frozenset[bytes]:
    """Returns those of `pool` (DER) that a path from this token's signer may go through, by their names alone."""
    parsed = parse_token(token)
    every = (*parsed.certificates, *pool)
    reached = {der for name in parsed.names for der in every if _digest_of(name, der) == name.digest}
    waiting = list(reached)
    while waiting:
        issuer = load_certificate(waiting.pop()).issuer
        for der in every:
            if der not in reached and load_certificate(der).subject == issuer:
                reached.add(der)
                waiting.append(der)
    return frozenset(reached & set(pool))


def _believed(authorities: Sequence[TimeAuthority]) -> tuple[bytes, ...]:
    return tuple(der for authority in authorities for der in authority.certificates)


def _parse(raw: bytes) -> ParsedToken:
    outer = Reader(raw)
    info = outer.inside(SEQUENCE)
    outer.end()
    _expect(info, _SIGNED_DATA, "the token is no signed data")
    wrapped = info.inside(explicit(0))
    info.end()
    data = wrapped.inside(SEQUENCE)
    wrapped.end()
    if data.integer() != 3:  # RFC 5652, section 5.1: the content is of another type than plain data.
        raise TokenMalformedError("signed data of another version")
    for _, _, algorithm in data.set_of():
        read_algorithm(Reader(algorithm))
    content = data.inside(SEQUENCE)
    _expect(content, _TST_INFO, "the content is no TSTInfo")
    octets = content.inside(explicit(0))
    content.end()
    tst_info = octets.take(OCTET_STRING)
    octets.end()
    certificates: tuple[bytes, ...] = ()
    if data.next_tag() == explicit(0):
        certificates = _certificates(data.inside(explicit(0)))
    if data.next_tag() == explicit(1):
        data.any()  # Revocation lists: nobody asks, see `paths`.
    signers = data.set_of()
    data.end()
    if len(signers) != 1:
        raise TokenMalformedError("a token has one signer", signers=len(signers))
    signer = Reader(signers[0][2])
    return _with_signer(signer.inside(SEQUENCE), tst_info, certificates)


def _certificates(inside: Reader) -> tuple[bytes, ...]:
    certificates: list[bytes] = []
    while not inside.is_at_end:
        tag, _, whole = inside.any()
        if tag != SEQUENCE or len(certificates) == CERTIFICATES_MAX:
            raise TokenMalformedError("certificates of another kind, or too many")
        certificates.append(whole)
    return tuple(certificates)


def _with_signer(signer: Reader, tst_info: bytes, certificates: tuple[bytes, ...]) -> ParsedToken:
    version = signer.integer()
    issuer_serial: tuple[bytes, int] | None = None
    key_identifier: bytes | None = None
    if signer.next_tag() == context(0):
        key_identifier = signer.take(context(0))
    else:
        inside = signer.inside(SEQUENCE)
        issuer_serial = (inside.any()[2], inside.integer())
        inside.end()
    if version != (1 if issuer_serial is not None else 3):
        raise TokenMalformedError("a signer of another version", version=version)
    digest_oid, digest_parameters = read_algorithm(signer)
    if signer.next_tag() != explicit(0):
        raise TokenMalformedError("a signer signs no attributes")
    whole = signer.any()[2]
    attributes = bytes((SET,)) + whole[1:]  # What is signed is the SET OF itself (RFC 5652, section 5.4).
    signature_algorithm = read_algorithm(signer)
    signature = signer.take(OCTET_STRING)
    if signer.next_tag() == explicit(1):
        signer.any()  # Unsigned attributes say nothing that is believed.
    signer.end()

    content_digest, names = _attributes(attributes)
    inside = Reader(tst_info)
    body = inside.inside(SEQUENCE)
    inside.end()
    if body.integer() != 1:
        raise TokenMalformedError("a TSTInfo of another version")
    policy = body.oid()
    imprint = body.inside(SEQUENCE)
    imprint_hash = hash_of(*read_algorithm(imprint))
    digest = imprint.take(OCTET_STRING)
    imprint.end()
    if len(digest) != imprint_hash.size_bytes:
        raise TokenMalformedError("an imprint is not as long as its hash", length=len(digest))
    serial = body.integer()
    written = body.take(GENERALIZED_TIME)
    gen_time = _time(written)
    accuracy = _accuracy(body.inside(SEQUENCE)) if body.next_tag() == SEQUENCE else ACCURACY_UNSTATED
    if b"." not in written:
        accuracy = max(accuracy, WHOLE_SECOND)
    if body.next_tag() == BOOLEAN and not body.boolean():
        raise TokenMalformedError("a default is never written")
    nonce = body.integer() if body.next_tag() == INTEGER else None
    if body.next_tag() == explicit(0):
        body.any()  # The authority's name for itself; the certificate says who it is.
    if body.next_tag() == explicit(1):
        _check_extensions(body.inside(explicit(1)))
    body.end()
    return ParsedToken(
        policy=policy,
        imprint_hash=imprint_hash,
        imprint=digest,
        serial=serial,
        gen_time=gen_time,
        accuracy=accuracy,
        nonce=nonce,
        certificates=certificates,
        digest_hash=hash_of(digest_oid, digest_parameters),
        signature_algorithm=signature_algorithm,
        signature=signature,
        signed_attributes=attributes,
        content_digest=content_digest,
        issuer_serial=issuer_serial,
        key_identifier=key_identifier,
        names=names,
        tst_info=tst_info,
    )


def _attributes(raw: bytes) -> tuple[bytes, tuple[_CertificateName, ...]]:
    content_digest: bytes | None = None
    content_type: str | None = None
    names: list[_CertificateName] = []
    seen: set[str] = set()
    for _, _, whole in Reader(raw).set_of():
        outer = Reader(whole)
        attribute = outer.inside(SEQUENCE)
        kind = attribute.oid()
        values = attribute.set_of()
        attribute.end()
        if kind in seen or len(values) != 1:
            raise TokenMalformedError("an attribute is there once, with one value", attribute=kind)
        seen.add(kind)
        value = Reader(values[0][2])
        match kind:
            case _ if kind == _MESSAGE_DIGEST:
                content_digest = value.take(OCTET_STRING)
            case _ if kind == _CONTENT_TYPE:
                content_type = value.oid()
            case _ if kind == _SIGNING_CERTIFICATE:
                names.append(_name(value, is_older=True))
            case _ if kind == _SIGNING_CERTIFICATE_V2:
                names.append(_name(value, is_older=False))
            case _:
                value.any()
        value.end()
    if content_digest is None or content_type != _TST_INFO:
        raise TokenMalformedError("the attributes lack the digest of the content, or its type")
    if not names:
        raise TokenMalformedError("the attributes do not name the signer's certificate")
    return content_digest, tuple(names)


def _name(value: Reader, *, is_older: bool) -> _CertificateName:
    attribute = value.inside(SEQUENCE)
    certificates = attribute.inside(SEQUENCE)
    first = certificates.inside(SEQUENCE)
    hash_oid = "" if is_older else _SHA256
    if not is_older and first.next_tag() == SEQUENCE:
        hash_oid, parameters = read_algorithm(first)
        hash_of(hash_oid, parameters)
    digest = first.take(OCTET_STRING)
    issuer_serial: tuple[tuple[bytes, ...], int] | None = None
    if first.next_tag() == SEQUENCE:
        inside = first.inside(SEQUENCE)
        general = inside.inside(SEQUENCE)
        directory_names: list[bytes] = []
        while not general.is_at_end:
            tag, content, _ = general.any()
            if tag == explicit(4):
                directory_names.append(content)
        issuer_serial = (tuple(directory_names), inside.integer())
        inside.end()
    first.end()
    return _CertificateName(hash_oid, digest, issuer_serial)


def _signing_certificate(token: ParsedToken, pool: Sequence[bytes]) -> bytes:
    name = token.names[0]
    for der in pool:
        if _digest_of(name, der) == name.digest:
            return der
    raise AuthorityUnknownError("the signer's certificate is not at hand", digest=name.digest)


def _digest_of(name: _CertificateName, der: bytes) -> bytes:
    if not name.hash_oid:
        return hashlib.sha1(
            der, usedforsecurity=False
        ).digest()  # RFC 2634: it finds a certificate, and proves nothing.
    return hash_of(name.hash_oid, b"").digest(der)


def _check_named(token: ParsedToken, certificate: x509.Certificate, der: bytes) -> None:
    """Returns if every way in which the token names its signer's certificate names this one."""
    issuer = certificate.issuer.public_bytes()
    for name in token.names:
        if _digest_of(name, der) != name.digest:
            raise TokenInvalidError("the attributes name two certificates")
        if name.issuer_serial is not None and (
            name.issuer_serial[1] != certificate.serial_number or issuer not in name.issuer_serial[0]
        ):
            raise TokenInvalidError("the attributes name the certificate of another issuer or number")
    if token.issuer_serial is not None and token.issuer_serial != (issuer, certificate.serial_number):
        raise TokenInvalidError("the signer is another than the certificate's")
    if token.key_identifier is not None:
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound as missing:
            raise TokenInvalidError("the certificate has no key identifier") from missing
        if extension.value.digest != token.key_identifier:
            raise TokenInvalidError("the signer is another than the certificate's")


def _time(content: bytes) -> datetime:
    found = _TIME.fullmatch(content)
    if found is None:
        raise TokenMalformedError("a time is in UTC, to microseconds at most", time=content)
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    try:
        return datetime(year, month, day, hour, minute, second, int((found[7] or b"").ljust(6, b"0")), UTC)
    except ValueError as defect:
        raise TokenMalformedError("there is no such time", time=content) from defect


def _accuracy(inside: Reader) -> timedelta:
    seconds = inside.integer() if inside.next_tag() == INTEGER else 0
    thousandths = inside.integer(context(0)) if inside.next_tag() == context(0) else 0
    millionths = inside.integer(context(1)) if inside.next_tag() == context(1) else 0
    inside.end()
    if not 0 <= seconds <= 1_000_000 or not 0 <= thousandths <= 999 or not 0 <= millionths <= 999:
        raise TokenMalformedError("an accuracy is no such span", seconds=seconds)
    return timedelta(seconds=seconds, milliseconds=thousandths, microseconds=millionths)


def _check_extensions(inside: Reader) -> None:
    while not inside.is_at_end:
        extension = inside.inside(SEQUENCE)
        kind = extension.oid()
        if extension.next_tag() == BOOLEAN and extension.boolean():
            raise TokenMalformedError("a critical extension is unknown", extension=kind)
        extension.take(OCTET_STRING)
        extension.end()


def _expect(inside: Reader, oid: str, message: str) -> None:
    found = inside.oid()
    if found != oid:
        raise TokenMalformedError(message, found=found)
