"""Keep readiness certificates for bedside checks without a network, and verify them there.

The rules:

* Nothing is kept that does not verify, and nothing is given out that does not verify again at the time of use: the
  service key, the ledger, the bag, the time, and a log no smaller than what this device has seen.
* Whose key the service key is comes from the anchor, got elsewhere: from the founding statement that it names, or from
  the registry made again from its entries. The server that gives a certificate is not asked.
* One file for each bag, readable by its owner alone, replaced whole. A newer certificate takes an older one's place.
* A certificate that verifies permits nothing. Two persons check at the bedside; their statement carries the
  certificate, and the ledger judges what came between.

Times are microseconds since 1970-01-01T00:00:00Z; the clock is passed in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cellcustody.ledger.readiness_certificates import (
    CertificateInvalidError,
    ReadinessCertificate,
    certificate_digest,
    read_certificate,
    verify_certificate,
)
from cellcustody.ledger.registry import Anchor, RegistryState, founding_keys, ledger_id_of
from cellcustody.ledger.statements import (
    KeyId,
    Opening,
    PublicKey,
    open_body,
    parse_public_key,
    partial_body,
    read_statement,
)
from cellcustody.v1 import custody_query_service_pb2, registry_pb2

__all__ = ["BedsideCertificates", "KeptCertificate", "ServiceKeys"]

_SUFFIX: Final = ".readiness"
_OWNER_ALONE: Final = 0o600


class _Certifier(Protocol):
    def readiness_certificate(self, material: bytes) -> custody_query_service_pb2.GetReadinessCertificateResponse: ...


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """The service keys of one ledger, as far as whoever made this has proof of them."""

    ledger_id: bytes
    keys: Mapping[KeyId, PublicKey]

    @classmethod
    def of_founding(cls, anchor: Anchor, envelope: bytes, openings: Sequence[Opening]) -> ServiceKeys:
        """Returns the service key of the founding statement that the anchor names, leaf 0.

        Raises:
            CertificateInvalidError: the statement is another than the anchor's, or none.
            RefusedError: its signatures or its body are not right.
        """
        body = partial_body(registry_pb2.LedgerFounded, openings)
        statement = read_statement(envelope, founding_keys(body).get)
        if statement.digest != anchor.founding_digest:
            raise CertificateInvalidError("ANCHOR", "the anchor names another founding", found=statement.digest)
        # Only now is the body what the anchor's statement commits to.
        body = open_body(statement, openings, registry_pb2.LedgerFounded)
        key = parse_public_key(body.service_key.spki)
        return cls(ledger_id_of(statement.envelope.payload), {key.key_id: key})

    @classmethod
    def of_registry(cls, registry: RegistryState) -> ServiceKeys:
        """Returns the service key in use, of a registry that was made again from its entries and verified."""
        view = registry.latest
        key_id = view.service_key_id
        key = None if key_id is None else registry.public_key(KeyId(key_id))
        return cls(view.ledger_id, {} if key is None else {key.key_id: key})

    def __call__(self, key_id: KeyId) -> PublicKey | None:
        """Returns a service key by its id."""
        return self.keys.get(key_id)


@dataclass(frozen=True, slots=True)
class KeptCertificate:
    """A certificate that verified: its envelope, for the bedside check to carry, and what it says."""

    envelope: bytes
    certificate: ReadinessCertificate

    @property
    def digest(self) -> bytes:
        """The certificate's name, 32 bytes."""
        return certificate_digest(self.envelope)


class BedsideCertificates:
    """The certificates that one device keeps in a folder."""

    def __init__(self, folder: Path, keys: ServiceKeys, clock_micros: Callable[[], int]) -> None:
        self._folder = folder
        self._keys = keys
        self._clock_micros = clock_micros
        folder.mkdir(parents=True, exist_ok=True)

    def preload(self, certifier: _Certifier, materials: Iterable[bytes]) -> tuple[KeptCertificate, ...]:
        """Fetches and keeps a certificate for each bag, such as those on tomorrow's list.

        Raises:
            RequestInvalid: a bag is not ready, and the codes say why; those fetched before it are kept.
            CertificateInvalidError: what the server gave does not verify; it is not kept.
        """
        kept = []
        for material in materials:
            answer = certifier.readiness_certificate(material)
            kept.append(self.keep(answer.certificate, material))
        return tuple(kept)

    def keep(self, envelope: bytes, material: bytes) -> KeptCertificate:
        """Verifies a certificate and keeps it in the place of an older one.

        Raises:
            CertificateInvalidError: it does not verify, or a certificate that rests on a larger log is kept already.
        """
        before = self._read(material)
        position_min = 0 if before is None else read_certificate(before).position
        kept = self._verified(envelope, material, position_min)
        path = self._path(material)
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ALONE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(envelope)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return kept

    def certificate_for(self, material: bytes, *, position_min: int = 0) -> KeptCertificate:
        """Returns the certificate kept for a bag, verified again now.

        `position_min` is the size of log that this device has seen of the bag's therapy: an older certificate is not
        given out, for what came since may stand against it.

        Raises:
            CertificateInvalidError: none is kept (rule ABSENT), or it does not hold any more; `rule` says why.
        """
        envelope = self._read(material)
        if envelope is None:
            raise CertificateInvalidError("ABSENT", "no certificate is kept for this bag", material=material)
        return self._verified(envelope, material, position_min)

    def forget(self, material: bytes) -> None:
        """Deletes the certificate of a bag, if one is kept."""
        self._path(material).unlink(missing_ok=True)

    def forget_expired(self) -> tuple[bytes, ...]:
        """Deletes what has run out or is broken; returns the bags concerned, ascending."""
        gone = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            material = bytes.fromhex(path.stem)
            try:
                self.certificate_for(material)
            except CertificateInvalidError:
                self.forget(material)
                gone.append(material)
        return tuple(gone)

    def _verified(self, envelope: bytes, material: bytes, position_min: int) -> KeptCertificate:
        certificate = verify_certificate(
            envelope,
            self._keys,
            ledger_id=self._keys.ledger_id,
            material=material,
            at=self._clock_micros(),
            position_min=position_min,
        )
        return KeptCertificate(envelope, certificate)

    def _path(self, material: bytes) -> Path:
        return self._folder / f"{material.hex()}{_SUFFIX}"

    def _read(self, material: bytes) -> bytes | None:
        try:
            return self._path(material).read_bytes()
        except FileNotFoundError:
            return None
