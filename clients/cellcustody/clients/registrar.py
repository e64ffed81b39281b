"""Enrol sites, persons, devices and keys, and publish policies, under a quorum.

The rules:

* A registry act takes effect with the signature that completes its quorum; until then it is pending.
* The first member signs the act, each of the others co-signs it after having been shown what it is.
* Every key enrolled comes with the proof that its holder has it.

An administrator enrols their own people: one signature, by the methods of `SiteClient` itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from google.protobuf.message import Message

from cellcustody.clients.answers import Recorded
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import Signer, StreamKind, single_stream_id
from cellcustody.v1 import registry_pb2, statement_pb2

__all__ = ["Quorum", "new_device", "new_person", "policy_body"]

REGISTRY = single_stream_id(StreamKind.REGISTRY)
POLICY = single_stream_id(StreamKind.POLICY)
SCHEMA = single_stream_id(StreamKind.SCHEMA)


class Quorum:
    """Several persons who together put registry acts in effect: registrars, or a site's two administrators."""

    def __init__(self, members: Sequence[SiteClient]) -> None:
        if not members:
            raise ConfigurationError("a quorum has members")
        self.members = tuple(members)

    def enact(self, stream: bytes, body: Message) -> Recorded:
        """Has `body` signed by the first member and co-signed by the others until it is in effect.

        Returns the record of the signature with which it took effect.

        Raises:
            StatementRefused: the ledger did not take the act, or one of the signatures.
            ConfigurationError: it is still pending after every member has signed.
        """
        first, *others = self.members
        proposed = recorded = first.act(stream, body)
        for member in others:
            if proposed.status is Status.IN_EFFECT or recorded.puts_in_effect:
                break
            recorded = member.co_sign(
                proposed.statement_digest, stream, statement_pb2.MEANING_APPROVED, act=body.DESCRIPTOR.name
            )
        if proposed.status is not Status.IN_EFFECT and not recorded.puts_in_effect:
            raise ConfigurationError(
                "more persons must sign before this takes effect",
                act=body.DESCRIPTOR.name,
                statement_digest=proposed.statement_digest,
                signed=len(self.members),
            )
        return recorded

    def enrol_site(self, body: registry_pb2.SiteEnrolled) -> Recorded:
        """Enrols a site with its capabilities and administrators."""
        return self.enact(REGISTRY, body)

    def publish_policy(self, product: str, jurisdiction: str, version: int, pack: bytes) -> Recorded:
        """Publishes a policy pack: JSON, UTF-8, keys sorted, no spaces."""
        return self.enact(POLICY, policy_body(product, jurisdiction, version, pack))

    def publish_schema(self, descriptor_set: bytes) -> Recorded:
        """Publishes a schema: a FileDescriptorSet without source info."""
        return self.enact(SCHEMA, registry_pb2.SchemaPublished(descriptor_set=descriptor_set))


def new_person(
    person: bytes,
    signers: Iterable[Signer],
    *,
    ledger_id: bytes,
    signed_at: int,
    roles: Iterable[registry_pb2.RoleGrant | str],
    units: Iterable[str] = (),
) -> registry_pb2.NewPerson:
    """Returns a person with proven keys; for a role given by name alone no training is recorded.

    `person` is 16 bytes; `signed_at`, microseconds since 1970-01-01T00:00:00Z, is when the keys proved themselves.
    """
    return registry_pb2.NewPerson(
        person=person,
        keys=[enrolled_key(signer, ledger_id=ledger_id, holder=person, signed_at=signed_at) for signer in signers],
        roles=[registry_pb2.RoleGrant(role=role) if isinstance(role, str) else role for role in roles],
        units=units,
    )


def new_device(
    site: bytes,
    device: bytes,
    description: str,
    signers: Iterable[Signer] = (),
    *,
    ledger_id: bytes,
    signed_at: int,
) -> registry_pb2.DeviceEnrolled:
    """Returns a device of a site, with proven keys if it signs by itself. Ids are 16 bytes."""
    return registry_pb2.DeviceEnrolled(
        site=site,
        device=device,
        description=description,
        keys=[enrolled_key(signer, ledger_id=ledger_id, holder=device, signed_at=signed_at) for signer in signers],
    )


def policy_body(product: str, jurisdiction: str, version: int, pack: bytes) -> registry_pb2.PolicyPublished:
    """Returns the body that publishes a pack; statements then name `policy_digest(pack)`."""
    return registry_pb2.PolicyPublished(product=product, jurisdiction=jurisdiction, version=version, pack=pack)


def policy_digest(pack: bytes) -> bytes:
    """Returns the digest by which statements name a pack: 32 bytes."""
    return hashlib.sha256(pack).digest()
