"""Say which site may call what: one table, read on every call.

The rules:

* A site is known by its TLS key: SHA-256 of the SubjectPublicKeyInfo in the certificate that it showed. The registry is
  asked on every call, as it stands now, so a key taken away from a site is refused from its next call on.
* A certificate that the CA signed and no site is enrolled with may ask for health, for the contract by reflection and
  for the checkpoint, and nothing else.
* The operator's own TLS keys stand in the configuration. They carry the registrars' acts and read the registry, since
  registrars belong to no site and the first site must come from somewhere (docs/adr/0012).
* What a call may do beyond that follows from the signatures in it; what a read may show, from the site's capabilities.
* An rpc without a row is refused: adding one means deciding who may call it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cellcustody.ledger.errors import AccessDeniedError
from cellcustody.ledger.registry import RegistryState, Site
from cellcustody.v1 import options_pb2

__all__ = [
    "ACCESS",
    "Caller",
    "Gate",
    "Right",
    "TlsKeyUnknownError",
    "WrongCapabilityError",
    "tls_key_id_of_der",
]

CERTIFICATES_CACHED_MAX: Final = 4096  # A certificate is parsed once; the registry is asked every time.
_PEER_CERTIFICATE: Final = "x509_pem_cert"


class TlsKeyUnknownError(AccessDeniedError):
    """Raised when the TLS key of a call speaks for no site; the value is its id, to be enrolled or compared."""

    reason = "TLS_KEY_UNKNOWN"


class WrongCapabilityError(AccessDeniedError):
    """Raised when a site may not call this rpc."""

    reason = "CALL_NOT_PERMITTED"


class Right(Enum):
    """Who may call an rpc."""

    ANYONE = "whoever has a certificate of the CA"
    MEMBER = "every enrolled site, and the operator"
    SITE = "every enrolled site"
    OPERATOR_TOO = "every enrolled site; the operator for the registry's streams"
    READER = "sites at work with materials, auditors, regulators"
    REGULATOR = "sites that treat, make or release, auditors and regulators"
    OVERSEER = "auditors and regulators"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the TLS key, and the site it speaks for at this moment, None for others."""

    tls_key_id: bytes
    site: Site | None
    is_operator: bool

    @property
    def site_id(self) -> bytes:
        """The site's 16 bytes, or empty."""
        return b"" if self.site is None else self.site.site


_WORKING: Final = frozenset(
    {
        options_pb2.CAPABILITY_COLLECT,
        options_pb2.CAPABILITY_TRANSPORT,
        options_pb2.CAPABILITY_STORE,
        options_pb2.CAPABILITY_PROCESS,
        options_pb2.CAPABILITY_TEST,
        options_pb2.CAPABILITY_RELEASE,
        options_pb2.CAPABILITY_INFUSE,
    }
)
_OVERSEEING: Final = frozenset({options_pb2.CAPABILITY_AUDIT, options_pb2.CAPABILITY_REGULATE})
_WHOLE_HISTORIES: Final = _OVERSEEING | {
    options_pb2.CAPABILITY_COLLECT,
    options_pb2.CAPABILITY_PROCESS,
    options_pb2.CAPABILITY_RELEASE,
    options_pb2.CAPABILITY_INFUSE,
}

CAPABILITIES: Final[Mapping[Right, frozenset[int] | None]] = {
    Right.ANYONE: None,
    Right.MEMBER: None,
    Right.SITE: None,
    Right.OPERATOR_TOO: None,
    Right.READER: _WORKING | _OVERSEEING,
    Right.REGULATOR: _WHOLE_HISTORIES,
    Right.OVERSEER: _OVERSEEING,
}
"""One of these capabilities is needed for a right; None: being enrolled is enough."""

_OPERATOR: Final = frozenset({Right.MEMBER, Right.OPERATOR_TOO})

ACCESS: Final[Mapping[str, Right]] = {
    "/grpc.health.v1.Health/*": Right.ANYONE,
    "/grpc.reflection.v1alpha.ServerReflection/*": Right.ANYONE,
    "/cellcustody.v1.TransparencyService/GetCheckpoint": Right.ANYONE,
    "/cellcustody.v1.TransparencyService/GetAliasKey": Right.OVERSEER,
    "/cellcustody.v1.TransparencyService/*": Right.MEMBER,
    "/cellcustody.v1.RegistryService/*": Right.MEMBER,
    "/cellcustody.v1.LedgerService/Assess": Right.OPERATOR_TOO,
    "/cellcustody.v1.LedgerService/Append": Right.OPERATOR_TOO,
    "/cellcustody.v1.LedgerService/AppendBatch": Right.OPERATOR_TOO,
    "/cellcustody.v1.LedgerService/GetEntry": Right.MEMBER,
    "/cellcustody.v1.HarvestService/*": Right.SITE,
    "/cellcustody.v1.TransportService/*": Right.SITE,
    "/cellcustody.v1.ModificationService/*": Right.SITE,
    "/cellcustody.v1.ReturnService/*": Right.SITE,
    "/cellcustody.v1.FacilitiesService/*": Right.SITE,
    "/cellcustody.v1.CustodyQueryService/*": Right.READER,
    "/cellcustody.v1.InspectionService/*": Right.READER,
    "/cellcustody.v1.ExportService/*": Right.REGULATOR,
}
"""Right by full method name; a row of a whole service ends in an asterisk and gives way to one of its method."""


class Gate:
    """Tells who calls, and refuses who may not."""

    def __init__(self, registry: RegistryState, operator_key_ids: frozenset[bytes]) -> None:
        self._registry = registry
        self._operator_key_ids = operator_key_ids

    def caller_of(self, context: grpc.ServicerContext) -> Caller:
        """Returns who calls, by the certificate of the connection.

        Raises:
            TlsKeyUnknownError: the connection has no certificate.
        """
        certificates = context.auth_context().get(_PEER_CERTIFICATE)
        if not certificates:
            raise TlsKeyUnknownError("the connection has no client certificate")
        return self.caller_with_key(_tls_key_id_of_pem(certificates[0]))

    def caller_with_key(self, tls_key_id: bytes) -> Caller:
        """Returns who calls with this TLS key, by the registry as it stands now."""
        now = self._registry.latest
        site = now.site_of_tls_key(tls_key_id)
        return Caller(
            tls_key_id,
            None if site is None else now.site(site),
            is_operator=tls_key_id in self._operator_key_ids,
        )

    def admit(self, method: str, context: grpc.ServicerContext) -> Caller:
        """Returns who calls if they may call this rpc, such as /cellcustody.v1.LedgerService/Append.

        Raises:
            TlsKeyUnknownError: their TLS key speaks for no site.
            WrongCapabilityError: their site lacks the capability.
        """
        caller = self.caller_of(context)
        check_right(right_of(method), caller, method)
        return caller


def right_of(method: str) -> Right | None:
    """Returns who may call an rpc, or None where it has no row."""
    return ACCESS.get(method) or ACCESS.get(f"{method.rpartition('/')[0]}/*")


def check_right(right: Right | None, caller: Caller, method: str) -> None:
    """Returns if the caller has the right.

    Raises:
        TlsKeyUnknownError: their TLS key speaks for no site.
        WrongCapabilityError: their site lacks the capability, or nobody has the right.
    """
    if right is Right.ANYONE:
        return
    if right is None:
        raise WrongCapabilityError("nobody may call this", method=method)
    if caller.is_operator and right in _OPERATOR:
        return
    if caller.site is None:
        raise TlsKeyUnknownError("this TLS key speaks for no site", tls_key_id=caller.tls_key_id, method=method)
    needed = CAPABILITIES[right]
    if needed is not None and not needed & caller.site.capabilities:
        raise WrongCapabilityError("the site's capabilities do not permit this call", method=method)


@lru_cache(maxsize=CERTIFICATES_CACHED_MAX)
def _tls_key_id_of_pem(pem: bytes) -> bytes:
    return _tls_key_id(x509.load_pem_x509_certificate(pem))


@lru_cache(maxsize=CERTIFICATES_CACHED_MAX)
def tls_key_id_of_der(der: bytes) -> bytes:
    """Returns SHA-256 of the SubjectPublicKeyInfo in a certificate in DER."""
    return _tls_key_id(x509.load_der_x509_certificate(der))


def _tls_key_id(certificate: x509.Certificate) -> bytes:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()
