"""Read whom a server asks for time-stamps, and how often.

    [timestamps]               interval_seconds, timeout_seconds, at_export, renew_days, renewal_hash
    [[timestamps.authorities]] name, url, certificates, policies

`docs/operations.md` says what each is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.timestamps import RENEWAL_HASHES, TimeAuthority
from cellcustody.services.configuration_table import Table

__all__ = ["AuthoritySection", "TimestampSettings", "load_certificates", "read_timestamps"]

AUTHORITIES_MAX: Final = 16  # As many tokens as an item has.


@dataclass(frozen=True, slots=True)
class AuthoritySection:
    """An authority: its name, where it answers, and whose certificates its own must lead to."""

    name: str
    url: str
    certificates: tuple[Path, ...]
    policies: tuple[str, ...] = ()

    def load(self) -> TimeAuthority:
        """Returns the authority with its certificates.

        Raises:
            ConfigurationError: a file cannot be read, or holds none.
        """
        ders = tuple(der for path in self.certificates for der in load_certificates(path))
        return TimeAuthority(self.name, ders, self.policies)


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """Whom to ask for time-stamps, how often, and when to renew."""

    authorities: tuple[AuthoritySection, ...] = ()
    interval_seconds: float = 3600.0  # An hour bounds an entry well enough for a course of weeks.
    timeout_seconds: float = 10.0
    at_export: bool = True
    renew_days: int = 365  # Before the first certificate expires: a year to notice where it fails.
    renewal_hash: str = "sha512"


def load_certificates(path: Path) -> tuple[bytes, ...]:
    """Returns the certificates in a file, PEM or DER, as DER.

    Raises:
        ConfigurationError: it cannot be read, or holds none.
    """
    try:
        raw = path.read_bytes()
        found = x509.load_pem_x509_certificates(raw) if b"-----BEGIN" in raw else [x509.load_der_x509_certificate(raw)]
    except (OSError, ValueError) as defect:
        raise ConfigurationError("an authority's certificate cannot be read", value=path) from defect
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def read_timestamps(table: Table) -> TimestampSettings:
    """Returns what a table says.

    Raises:
        ConfigurationError: it does not say it in its form.
    """
    default = TimestampSettings()
    settings = TimestampSettings(
        interval_seconds=table.seconds("interval_seconds", default.interval_seconds, 1, 86_400),
        timeout_seconds=table.seconds("timeout_seconds", default.timeout_seconds, 0.1, 60),
        at_export=table.flag("at_export", default.at_export),
        renew_days=table.count("renew_days", default.renew_days, 1, 3_650),
        renewal_hash=table.text("renewal_hash", default.renewal_hash),
        authorities=tuple(_authority(one) for one in table.tables("authorities")),
    )
    table.end()
    if settings.renewal_hash not in RENEWAL_HASHES:
        raise ConfigurationError(
            "a renewal is with sha512 or sha3-512", key="timestamps.renewal_hash", value=settings.renewal_hash
        )
    names = [one.name for one in settings.authorities]
    if len(names) > AUTHORITIES_MAX or len(set(names)) != len(names):
        raise ConfigurationError("an authority is named once, and there are 16 at most", key="timestamps.authorities")
    return settings


def _authority(table: Table) -> AuthoritySection:
    section = AuthoritySection(
        name=table.text("name"),
        url=table.text("url"),
        certificates=table.paths("certificates"),
        policies=tuple(table.texts("policies", default=[])),
    )
    table.end()
    parts = urlsplit(section.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not section.certificates:
        raise ConfigurationError(
            "an authority has an http or https address, and certificates",
            key="timestamps.authorities",
            value=section.url,
        )
    return section
