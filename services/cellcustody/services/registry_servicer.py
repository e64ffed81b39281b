"""RegistryService: the registry's acts from the table, and the registry and its policies as of any position.

The rules:

* What the registry says of sites, keys, roles and units is PUBLIC; it is answered as of the position asked for.
* Printed names of staff are OPERATIONAL and belong to the person: they are read from the vault, for sites that may read
  that class and for the person's own site, and are absent once they were shredded.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.errors import NotFoundError
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry import KeyState, RegistryView
from cellcustody.ledger.statements import StreamKind, partial_body, single_stream_id
from cellcustody.services.access import Caller
from cellcustody.services.disclosure import classes_open_to
from cellcustody.services.error_status import RequestInvalidError
from cellcustody.services.interceptors import caller_of_this_call
from cellcustody.v1 import options_pb2, registry_pb2, registry_service_pb2

__all__ = ["PolicyNotFoundError", "PrintedNames", "RegistryQueries"]

_NAMES_ONLY = frozenset({int(DisclosureClass.OPERATIONAL)})


class PolicyNotFoundError(NotFoundError):
    """Raised when no policy pack of that digest, or for that product and jurisdiction, is published."""

    reason = "POLICY_NOT_FOUND"


class RegistryQueries:
    """The two questions of RegistryService."""

    def __init__(self, ledger: LedgerFace) -> None:
        self._ledger = ledger
        self._names = PrintedNames(ledger)

    def get_registry(
        self, request: registry_service_pb2.GetRegistryRequest, context: grpc.ServicerContext
    ) -> registry_service_pb2.GetRegistryResponse:
        """Returns the registry as of a position."""
        size = self._ledger.checkpoint_size()
        position = request.position if request.HasField("position") else size
        if position > size:
            raise RequestInvalidError("no checkpoint covers that position", field="position", size=size)
        view = self._ledger.registry.as_of(position)
        names = self._names.open_to(caller_of_this_call())
        log_keys = view.log_keys
        return registry_service_pb2.GetRegistryResponse(
            position=position,
            ledger_id=view.ledger_id,
            schema_digest=view.schema.digest if view.schema else b"",
            sites=[
                registry_service_pb2.SiteRecord(
                    site=site.site,
                    name=site.name,
                    capabilities=[options_pb2.Capability.ValueType(number) for number in sorted(site.capabilities)],
                    units=site.units,
                    tls_key_ids=site.tls_key_ids,
                )
                for site in view.sites()
                if request.site in (b"", site.site)
            ],
            signers=list(_signers(view, request.site, names)),
            log_origin=view.founding.log_origin if view.founding else "",
            log_keys=() if log_keys is None else log_keys.signing(position),
        )

    def get_policy(
        self, request: registry_service_pb2.GetPolicyRequest, context: grpc.ServicerContext
    ) -> registry_service_pb2.GetPolicyResponse:
        """Returns a policy pack."""
        view = self._ledger.registry.as_of(self._ledger.checkpoint_size())
        if request.policy_digest:
            found = view.policy(request.policy_digest)
        else:
            found = view.newest_policy(request.product, request.jurisdiction)
        if found is None:
            raise PolicyNotFoundError(
                "no such policy pack is published",
                policy_digest=request.policy_digest,
                product=request.product,
                jurisdiction=request.jurisdiction,
            )
        return registry_service_pb2.GetPolicyResponse(
            policy_digest=found.digest, pack=found.pack, version=found.version
        )


class PrintedNames:
    """Names of staff, out of the vault."""

    def __init__(self, ledger: LedgerFace) -> None:
        self._ledger = ledger

    def open_to(self, caller: Caller) -> dict[bytes, str]:
        """Returns the names that a caller may read, by person."""
        if caller.site is None:
            return {}
        reads_all = DisclosureClass.OPERATIONAL in classes_open_to(caller.site, single_stream_id(StreamKind.REGISTRY))
        view = self._ledger.registry.latest
        named: dict[bytes, str] = {}
        for digest, act in tuple(self._ledger.registry.acts.items()):
            body = act.statement.body
            if isinstance(body, registry_pb2.SiteEnrolled | registry_pb2.PersonEnrolled) and (
                reads_all or body.site == caller.site.site
            ):
                named.update(self._names_in(digest, body))
        return {person: name for person, name in named.items() if view.person(person) is not None}

    def _names_in(
        self, digest: bytes, body: registry_pb2.SiteEnrolled | registry_pb2.PersonEnrolled
    ) -> Iterator[tuple[bytes, str]]:
        openings = openings_of(self._ledger.store, self._ledger.vault, digest, _NAMES_ONLY)
        if isinstance(body, registry_pb2.SiteEnrolled):
            for name in partial_body(registry_pb2.SiteEnrolled, openings).names:
                yield name.person, name.printed_name
        else:
            name = partial_body(registry_pb2.PersonEnrolled, openings).name
            yield name.person, name.printed_name


def _signers(view: RegistryView, site: bytes, names: dict[bytes, str]) -> Iterator[registry_service_pb2.SignerRecord]:
    for person in view.persons():
        if site in (b"", person.site):
            yield registry_service_pb2.SignerRecord(
                signer=person.person,
                site=person.site or b"",
                roles=[grant.role for grant in person.roles],
                units=person.units,
                keys=_keys(view, person.person),
                printed_name=names.get(person.person, ""),
            )
    for device in view.devices():
        if site in (b"", device.site):
            yield registry_service_pb2.SignerRecord(
                signer=device.device, device=True, site=device.site or b"", keys=_keys(view, device.device)
            )


def _keys(view: RegistryView, holder: bytes) -> list[registry_service_pb2.KeyRecord]:
    records = []
    for key in view.keys_of(holder):
        standing = view.key(key.key_id)
        if standing.state is KeyState.UNKNOWN:
            continue
        records.append(
            registry_service_pb2.KeyRecord(
                key_id=key.key_id,
                state=registry_service_pb2.KeyState.ValueType(standing.state),
                since_leaf=standing.since_leaf or 0,
                spki=key.spki,
            )
        )
    return records
