"""Authorities for tests, honest and not: made once, for their keys cost time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cellcustody.ledger.timestamps import HASHES_BY_NAME, TimeAuthority
from cellcustody.ledger.timestamps.issuing import (
    AuthorityKeys,
    AuthorityPrivateKey,
    TokenDraft,
    make_authority,
    sign_token,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2036, 1, 1, tzinfo=UTC)
AT = datetime(2027, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
STAMPED = b"what is stamped\n"
SHA512 = HASHES_BY_NAME["sha512"]


@cache
def key_of(kind: str) -> AuthorityPrivateKey:
    """Returns one key of a kind, always the same."""
    match kind:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "rsa-short":
            return rsa.generate_private_key(65537, 1024)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return ec.generate_private_key(ec.SECP256R1())


@cache
def authority(
    kind: str = "p256",
    *,
    usage: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,),
    is_usage_critical: bool = True,
    days: int = 3650,
) -> AuthorityKeys:
    """Returns an authority whose root and signing key are of a kind."""
    return make_authority(
        "tsa.example",
        key=key_of(kind),
        root_key=key_of(f"{kind}-root") if kind == "p256" else key_of(kind),
        not_before=BEGIN,
        not_after=BEGIN + timedelta(days=days),
        root_not_after=END,
        usage=usage,
        is_usage_critical=is_usage_critical,
    )


def believed(keys: AuthorityKeys, *policies: str, name: str = "tsa.example") -> TimeAuthority:
    """Returns an authority as an anchor names it."""
    return TimeAuthority(name, (keys.root_der,), policies)


class Changes(TypedDict, total=False):
    """What a token says otherwise than an honest one."""

    imprint_oid: str
    imprint: bytes
    gen_time: datetime
    nonce: int | None
    policy: str
    accuracy_seconds: int | None
    with_certificates: bool
    named_certificate: bytes
    signed_type: str
    content_digest: bytes


def draft(**changed: Unpack[Changes]) -> TokenDraft:
    """Returns what an honest token says, with changes."""
    return replace(TokenDraft(SHA512.oid, SHA512.digest(STAMPED), 7, AT, nonce=99), **changed)


def token(keys: AuthorityKeys | None = None, **changed: Unpack[Changes]) -> bytes:
    """Returns an authority's token, with changes to what it says."""
    return sign_token(draft(**changed), keys or authority())
