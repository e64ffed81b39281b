"""A private certificate authority for trying out: P-256, for a server and for sites.

The rules:

* Keys are P-256: grpcio's TLS takes no Ed25519 certificates. They are TLS keys alone and sign no statement.
* The authority's key lies beside its certificate, open to its owner alone. In production both come from the
  organisation's own authority, and this module is not used.
* A certificate says that its holder may connect. Which site it speaks for is in the registry, by its key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cellcustody.ledger.errors import ConfigurationError

__all__ = ["IssuedCertificate", "create_authority", "issue_client_certificate", "issue_server_certificate"]

AUTHORITY_DAYS: Final = 3650
LEAF_DAYS: Final = 825  # What browsers take at most; long enough for any trial.
CLOCK_SKEW: Final = timedelta(minutes=5)
AUTHORITY_NAME: Final = "cellcustody private CA"
AUTHORITY_FILE: Final = "ca.pem"
AUTHORITY_KEY_FILE: Final = "ca.key"


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with its key, as files, and the id by which the registry knows the key."""

    certificate: Path
    key: Path
    tls_key_id: bytes
    """SHA-256 of the SubjectPublicKeyInfo, 32 bytes."""


def create_authority(directory: Path, *, now: datetime) -> Path:
    """Makes a new authority in a folder and returns its certificate's file.

    Raises:
        ConfigurationError: there is one already, or the folder cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AUTHORITY_NAME)])
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(directory / AUTHORITY_KEY_FILE, _private_pem(key), secret=True)
    _write(directory / AUTHORITY_FILE, certificate.public_bytes(Encoding.PEM), secret=False)
    return directory / AUTHORITY_FILE


def issue_server_certificate(
    authority: Path, directory: Path, hosts: Sequence[str], *, now: datetime
) -> IssuedCertificate:
    """Issues a server certificate for host names and addresses, as `server.pem` and `server.key`.

    Raises:
        ConfigurationError: the authority cannot be read, or the files are there already.
    """
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    return _issue(authority, directory, "server", hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, now)


def issue_client_certificate(authority: Path, directory: Path, name: str, *, now: datetime) -> IssuedCertificate:
    """Issues a client certificate for a site, as `<name>.pem` and `<name>.key`.

    Raises:
        ConfigurationError: the name is no file name, the authority cannot be read, or the files are there already.
    """
    if not name or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise ConfigurationError("a site's name has letters, digits, - and _", key="site", value=name)
    names = x509.SubjectAlternativeName([x509.DNSName(f"{name}.sites.invalid")])
    return _issue(authority, directory, name, name, ExtendedKeyUsageOID.CLIENT_AUTH, names, now)


def _issue(
    authority: Path,
    directory: Path,
    stem: str,
    common_name: str,
    usage: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName,
    now: datetime,
) -> IssuedCertificate:
    issuer, issuer_key = _read_authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    key_path, certificate_path = directory / f"{stem}.key", directory / f"{stem}.pem"
    _write(key_path, _private_pem(key), secret=True)
    _write(certificate_path, certificate.public_bytes(Encoding.PEM), secret=False)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return IssuedCertificate(certificate_path, key_path, hashlib.sha256(spki).digest())


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - CLOCK_SKEW)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=days))
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_authority(path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
    except (OSError, ValueError) as defect:
        raise ConfigurationError("the private CA cannot be read", file=path) from defect
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError("the private CA's key is not P-256", file=path)
    return certificate, key


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if secret else 0o644)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
    except OSError as defect:
        raise ConfigurationError("a certificate cannot be written", file=path, cause=defect.strerror) from defect
