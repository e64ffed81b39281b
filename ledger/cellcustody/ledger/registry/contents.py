"""Check what an act of the registry says against what is registered at its position.

The rules:

* Ids and keys are new and unique in the ledger for good; a TLS key speaks for one site and signs no statement.
* A site has a capability at least, all known, and two administrators at least, at every position.
* A person's units are units of the site; a person is enrolled with a key at least.
* An emergency credential is for a registered person of a site, in roles that are granted otherwise too, never that of
  an administrator; it begins no earlier than it was signed, within a day, and lasts a day at most.
* A key is retired or suspended from active, reinstated from suspended, revoked from any state. Revoking a revoked key
  is for naming an earlier leaf index of compromise, and nothing else.
* Statements are affirmed that were signed with a key which is revoked as compromised.
* Registrars with a usable key are never fewer than the threshold; the service key in use is rotated, never stopped.
* A key of the log's that is lost was in use or in its overlap, and is none of the new ones.
* A policy pack is canonical JSON and has the next version for its product and jurisdiction.

Who may do the act is judged elsewhere (`authority`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from typing import Final

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry.errors import (
    AdministratorsTooFewError,
    IdTakenError,
    KeyStateError,
    NotRegisteredError,
    QuorumUnreachableError,
    RegistryFieldInvalidError,
    ServiceKeyInUseError,
    TlsKeyTakenError,
)
from cellcustody.ledger.registry.fields import (
    DIGEST_BYTES,
    PARTY_ID_BYTES,
    check_each_once,
    check_facility,
    check_length,
    check_log_keys,
    check_name,
    check_names,
    check_new_keys,
    check_registrars,
)
from cellcustody.ledger.registry.records import (
    ROLE_ADMINISTRATOR,
    ROLE_DEVICE,
    ROLE_LEDGER,
    ROLE_REGISTRAR,
    KeyState,
    Person,
)
from cellcustody.ledger.registry.schemas import check_descriptor_set
from cellcustody.ledger.registry.state import RegistryView
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.v1 import options_pb2, registry_pb2

__all__ = ["check_contents"]

ADMINISTRATORS_COUNT_MIN: Final = 2  # What concerns one of them needs the other.
GRACE_SECONDS_MAX: Final = 366 * 86_400  # No outbox stays unread for longer than a year.
EMERGENCY_SECONDS_MAX: Final = 86_400  # A day: long enough to enrol somebody properly.
AFFIRMED_COUNT_MAX: Final = 4_096  # A key makes about that many statements in a year of days; more take more acts.
HYBRID_ROLES: Final = frozenset({ROLE_REGISTRAR, ROLE_ADMINISTRATOR})
RESERVED_ROLES: Final = frozenset({ROLE_REGISTRAR, ROLE_DEVICE, ROLE_LEDGER})
_CAPABILITIES: Final = frozenset(options_pb2.Capability.values()) - {options_pb2.CAPABILITY_UNSPECIFIED}


def check_contents(
    view: RegistryView, statement: RegistryStatement, check_pack: Callable[[bytes], object] | None = None
) -> None:
    """Returns if the act may say what it says at this position; `check_pack` runs the rules' own check of a pack.

    Raises:
        RefusedError: it may not; the leaf class says why.
    """
    match statement.body:
        case registry_pb2.SiteEnrolled() as body:
            _check_site_enrolled(view, body)
        case registry_pb2.SiteChanged() as body:
            if view.site(body.site) is None:
                raise NotRegisteredError("no such site is registered", site=body.site)
            _check_site_grants(view, body.site, body.capabilities, body.units, body.tls_key_ids)
        case registry_pb2.PersonEnrolled() as body:
            _check_person_enrolled(view, body)
        case registry_pb2.PersonChanged() as body:
            _check_person_changed(view, body)
        case registry_pb2.EmergencyCredentialGranted() as body:
            _check_emergency(view, statement, body)
        case registry_pb2.DeviceEnrolled() as body:
            _check_new_party(view, "device", body.device)
            check_name("description", body.description)
            check_new_keys(view, [(body.device, key) for key in body.keys], ledger_id=view.ledger_id)
        case registry_pb2.KeyAdded() as body:
            _check_key_added(view, body)
        case registry_pb2.KeyRetired() as body:
            if body.grace_seconds > GRACE_SECONDS_MAX:
                raise RegistryFieldInvalidError("a grace is shorter", field="grace_seconds", value=body.grace_seconds)
            _check_key_state(view, body.key_id, KeyState.ACTIVE)
            _check_key_can_stop(view, body.key_id)
        case registry_pb2.KeySuspended() as body:
            _check_key_state(view, body.key_id, KeyState.ACTIVE)
            _check_key_can_stop(view, body.key_id)
        case registry_pb2.KeyReinstated() as body:
            _check_key_state(view, body.key_id, KeyState.SUSPENDED)
        case registry_pb2.KeyRevoked() as body:
            _check_key_revoked(view, body)
        case registry_pb2.StatementsAffirmed() as body:
            _check_affirmed(view, body)
        case registry_pb2.LogKeysRotated() as body:
            _check_log_keys_rotated(view, body)
        case registry_pb2.ServiceKeyRotated() as body:
            founding = view.founding
            device = founding.service_device if founding else b""
            check_new_keys(view, [(device, body.service_key)], ledger_id=view.ledger_id)
        case registry_pb2.RegistrarsChanged() as body:
            _check_registrars_changed(view, body)
        case registry_pb2.PolicyPublished() as body:
            _check_policy(view, body, check_pack)
        case registry_pb2.SchemaPublished() as body:
            digest = check_descriptor_set(body.descriptor_set)
            if view.schema_of(digest) is not None:
                raise IdTakenError("the schema is published already", schema_digest=digest)
        case _:
            raise RegistryFieldInvalidError("not an act of the registry", field="body_type", value=statement.body_type)


def _check_site_enrolled(view: RegistryView, body: registry_pb2.SiteEnrolled) -> None:
    check_length("site", body.site, PARTY_ID_BYTES)
    if view.site(body.site) is not None:
        raise IdTakenError("the site is registered already", site=body.site)
    check_name("name", body.name)
    check_facility("facility", body.facility)
    _check_site_grants(view, body.site, body.capabilities, body.units, body.tls_key_ids)
    persons = [administrator.person for administrator in body.administrators]
    check_each_once("administrators", persons)
    if len(persons) < ADMINISTRATORS_COUNT_MIN:
        raise AdministratorsTooFewError("a site has two administrators", count=len(persons))
    if any(name.person not in persons for name in body.names):
        raise RegistryFieldInvalidError("a name belongs to one of the administrators", field="names.person")
    for administrator in body.administrators:
        _check_new_person(view, administrator, body.units)
        if all(grant.role != ROLE_ADMINISTRATOR for grant in administrator.roles):
            raise AdministratorsTooFewError("an administrator is enrolled as one", person=administrator.person)
    enrolled = [(administrator.person, key) for administrator in body.administrators for key in administrator.keys]
    new_keys = check_new_keys(view, enrolled, ledger_id=view.ledger_id)
    for tls_key_id in body.tls_key_ids:
        if tls_key_id in new_keys:
            raise TlsKeyTakenError("a key for TLS signs no statement", key_id=tls_key_id)


def _check_site_grants(
    view: RegistryView, site: bytes, capabilities: Sequence[int], units: Sequence[str], tls_key_ids: Sequence[bytes]
) -> None:
    check_each_once("capabilities", capabilities)
    if not capabilities or not _CAPABILITIES.issuperset(capabilities):
        raise RegistryFieldInvalidError("a site has known capabilities", field="capabilities", count=len(capabilities))
    check_names("units", units)
    check_each_once("tls_key_ids", tls_key_ids)
    for tls_key_id in tls_key_ids:
        check_length("tls_key_ids", tls_key_id, DIGEST_BYTES)
        if view.site_of_tls_key(tls_key_id) not in (None, site):
            raise TlsKeyTakenError("a TLS key speaks for one site", key_id=tls_key_id)
        if view.key_record(tls_key_id) is not None:
            raise TlsKeyTakenError("a key for TLS signs no statement", key_id=tls_key_id)


def _check_person_enrolled(view: RegistryView, body: registry_pb2.PersonEnrolled) -> None:
    site = view.site(body.site)
    if site is None:
        raise NotRegisteredError("no such site is registered", site=body.site)
    _check_new_person(view, body.person, site.units)
    if body.HasField("name") and body.name.person != body.person.person:
        raise RegistryFieldInvalidError("the name belongs to the person enrolled", field="name.person")
    check_new_keys(view, [(body.person.person, key) for key in body.person.keys], ledger_id=view.ledger_id)


def _check_new_person(view: RegistryView, person: registry_pb2.NewPerson, units: Sequence[str]) -> None:
    _check_new_party(view, "person", person.person)
    if not person.keys:
        raise RegistryFieldInvalidError("a person is enrolled with a key", field="keys", person=person.person)
    _check_roles_and_units(person.roles, person.units, units)


def _check_person_changed(view: RegistryView, body: registry_pb2.PersonChanged) -> None:
    person = _registered_person(view, body.person)
    site = view.site(person.site) if person.site is not None else None
    if site is None:
        raise RegistryFieldInvalidError("a person without a site has no roles", field="person", person=body.person)
    _check_roles_and_units(body.roles, body.units, site.units)
    stays = any(grant.role == ROLE_ADMINISTRATOR for grant in body.roles)
    others = [other for other in view.administrators(site.site) if other != body.person]
    if not stays and len(others) < ADMINISTRATORS_COUNT_MIN:
        raise AdministratorsTooFewError("a site has two administrators", site=site.site, count=len(others))


def _check_emergency(
    view: RegistryView, statement: RegistryStatement, body: registry_pb2.EmergencyCredentialGranted
) -> None:
    person = _registered_person(view, body.person)
    site = view.site(person.site) if person.site is not None else None
    if site is None:
        raise RegistryFieldInvalidError("a person without a site has no roles", field="person", person=body.person)
    if statement.signer == body.person:
        raise RegistryFieldInvalidError("nobody grants themselves a credential", field="person", person=body.person)
    grants = [registry_pb2.RoleGrant(role=role) for role in body.roles]
    _check_roles_and_units(grants, (), site.units)
    if not body.roles or ROLE_ADMINISTRATOR in body.roles:
        raise RegistryFieldInvalidError("an emergency needs roles, and no administrator", field="roles")
    if not 1 <= body.valid_seconds <= EMERGENCY_SECONDS_MAX:
        raise RegistryFieldInvalidError(
            "an emergency credential lasts a day at most", field="valid_seconds", value=body.valid_seconds
        )
    latest = statement.signed_at + EMERGENCY_SECONDS_MAX * 1_000_000
    if not statement.signed_at <= body.valid_from_unix_micros <= latest:
        raise RegistryFieldInvalidError(
            "an emergency begins after it was signed, within a day", field="valid_from_unix_micros"
        )


def _check_roles_and_units(
    roles: Sequence[registry_pb2.RoleGrant], units: Sequence[str], site_units: Sequence[str]
) -> None:
    names = [grant.role for grant in roles]
    check_names("roles", names)
    if RESERVED_ROLES.intersection(names):
        raise RegistryFieldInvalidError("a role is not granted like that", field="roles")
    if any(not name.isascii() for name in names):
        raise RegistryFieldInvalidError("a role stands in headers, in ASCII", field="roles")
    check_names("units", units)
    for unit in units:
        if unit not in site_units:
            raise RegistryFieldInvalidError("a person's unit is one of the site's", field="units", unit=unit)


def _check_new_party(view: RegistryView, field: str, party: bytes) -> None:
    check_length(field, party, PARTY_ID_BYTES)
    if view.person(party) is not None or view.device(party) is not None:
        raise IdTakenError("the person or device is registered already", party=party)


def _registered_person(view: RegistryView, person: bytes) -> Person:
    found = view.person(person)
    if found is None:
        raise NotRegisteredError("no such person is registered", person=person)
    return found


def _check_key_added(view: RegistryView, body: registry_pb2.KeyAdded) -> None:
    founding = view.founding
    if founding is not None and body.holder == founding.service_device:
        raise ServiceKeyInUseError("the service key is rotated, not joined by another", holder=body.holder)
    if view.person(body.holder) is None and view.device(body.holder) is None:
        raise NotRegisteredError("no such person or device is registered", holder=body.holder)
    check_new_keys(view, [(body.holder, body.key)], ledger_id=view.ledger_id)


def _check_key_state(view: RegistryView, key_id: bytes, expected: KeyState) -> None:
    check_length("key_id", key_id, DIGEST_BYTES)
    state = view.key(key_id).state
    if state is KeyState.UNKNOWN:
        raise NotRegisteredError("no such key is registered", key_id=key_id)
    if state is not expected:
        raise KeyStateError("the key is in another state", key_id=key_id, state=state.name, expected=expected.name)


def _check_key_revoked(view: RegistryView, body: registry_pb2.KeyRevoked) -> None:
    check_length("key_id", body.key_id, DIGEST_BYTES)
    since = body.compromised_since_leaf if body.HasField("compromised_since_leaf") else None
    if since is not None and since >= view.position:
        raise RegistryFieldInvalidError(
            "a key is compromised since an entry of the past", field="compromised_since_leaf", value=since
        )
    standing = view.key(body.key_id)
    if standing.state is KeyState.UNKNOWN:
        raise NotRegisteredError("no such key is registered", key_id=body.key_id)
    if standing.state is KeyState.REVOKED:
        known = standing.compromised_since_leaf
        if since is None or (known is not None and since >= known):
            raise KeyStateError("the key is revoked already", key_id=body.key_id, compromised_since_leaf=known)
        return
    _check_key_can_stop(view, body.key_id)


def _check_affirmed(view: RegistryView, body: registry_pb2.StatementsAffirmed) -> None:
    check_length("key_id", body.key_id, DIGEST_BYTES)
    standing = view.key(body.key_id)
    if standing.state is KeyState.UNKNOWN:
        raise NotRegisteredError("no such key is registered", key_id=body.key_id)
    if standing.compromised_since_leaf is None:
        raise KeyStateError("nobody said that the key was compromised", key_id=body.key_id, state=standing.state.name)
    digests = list(body.statement_digests)
    for digest in digests:
        check_length("statement_digests", digest, DIGEST_BYTES)
    if not 0 < len(digests) <= AFFIRMED_COUNT_MAX or sorted(set(digests)) != digests:
        raise RegistryFieldInvalidError(
            "statements to affirm ascend by digest", field="statement_digests", count=len(digests)
        )


def _check_key_can_stop(view: RegistryView, key_id: bytes) -> None:
    """Checks that neither the ledger nor the quorum of registrars is left without a voice."""
    if key_id == view.service_key_id:
        raise ServiceKeyInUseError("the service key in use is rotated instead", key_id=key_id)
    registrars = view.registrars
    if registrars is None:
        return
    able = [member for member in registrars.members if _is_able(view, member, registrars.hybrid_roles, without=key_id)]
    record = view.key_record(key_id)
    if record is not None and record.holder in registrars.members and len(able) < registrars.threshold:
        raise QuorumUnreachableError(
            "too few registrars would have a usable key", count=len(able), threshold=registrars.threshold
        )


def _is_able(view: RegistryView, member: bytes, hybrid_roles: Collection[str], *, without: bytes = b"") -> bool:
    """Tells whether a registrar could still sign with the keys they have, but for one."""
    active = [
        record.key_id
        for record in view.keys_of(member)
        if record.key_id != without and view.key(record.key_id).state is KeyState.ACTIVE
    ]
    return view.is_hybrid(active) if ROLE_REGISTRAR in hybrid_roles else bool(active)


def _check_log_keys_rotated(view: RegistryView, body: registry_pb2.LogKeysRotated) -> None:
    founding, keys = view.founding, view.log_keys
    check_log_keys("log_keys", body.log_keys, founding.log_origin if founding else "")
    if keys is not None and set(keys.keys) == set(body.log_keys):
        raise RegistryFieldInvalidError("the log's keys are these already", field="log_keys")
    # No overlap at all is for a log key that is lost; an overlap that is over before it begins is a mistake.
    if body.overlap_until_size and body.overlap_until_size <= view.position:
        raise RegistryFieldInvalidError(
            "an overlap ends after this entry", field="overlap_until_size", value=body.overlap_until_size
        )
    check_each_once("lost_keys", body.lost_keys)
    former = () if keys is None else (*keys.keys, *keys.overlapping)
    if any(key not in former or key in body.log_keys for key in body.lost_keys):
        raise RegistryFieldInvalidError("a lost key was the log's, and is no more", field="lost_keys")
    if body.HasField("compromised_since_size") and (not body.lost_keys or body.compromised_since_size > view.position):
        raise RegistryFieldInvalidError(
            "keys are lost since a size of the past", field="compromised_since_size", value=body.compromised_since_size
        )


def _check_registrars_changed(view: RegistryView, body: registry_pb2.RegistrarsChanged) -> None:
    check_registrars(body.registrars, body.threshold)
    for registrar in body.registrars:
        if view.device(registrar.person) is not None:
            raise IdTakenError("a device is no registrar", party=registrar.person)
    enrolled = [(registrar.person, registrar.key) for registrar in body.registrars]
    key_ids = check_new_keys(
        view, enrolled, ledger_id=view.ledger_id, may_keep=[registrar.person for registrar in body.registrars]
    )
    if not HYBRID_ROLES.issuperset(body.hybrid_roles) or sorted(set(body.hybrid_roles)) != list(body.hybrid_roles):
        raise RegistryFieldInvalidError("hybrid are roles of the registry, ascending", field="hybrid_roles")
    if ROLE_REGISTRAR in body.hybrid_roles:
        able = [one.person for one in body.registrars if _is_able(view, one.person, body.hybrid_roles)]
        if len(able) < body.threshold:
            raise QuorumUnreachableError(
                "too few registrars have two keys of which one is ML-DSA-65", count=len(able), threshold=body.threshold
            )
    usable = [key_id for key_id in key_ids if view.key(key_id).state in (KeyState.UNKNOWN, KeyState.ACTIVE)]
    if len(usable) < len(body.registrars):
        raise KeyStateError("a registrar is named with a key in use", usable=len(usable))


def _check_policy(
    view: RegistryView, body: registry_pb2.PolicyPublished, check_pack: Callable[[bytes], object] | None
) -> None:
    check_name("product", body.product)
    check_name("jurisdiction", body.jurisdiction)
    newest = view.newest_policy(body.product, body.jurisdiction)
    expected = newest.version + 1 if newest else 1
    if body.version < expected:
        raise IdTakenError("the version is published already", version=body.version, expected=expected)
    if body.version > expected:
        raise RegistryFieldInvalidError("versions follow each other", field="version", version=body.version)
    digest = hashlib.sha256(body.pack).digest()
    if view.policy(digest) is not None:
        raise IdTakenError("the pack is published already", policy_digest=digest)
    _check_canonical_json(body.pack)
    if check_pack is not None:
        try:
            check_pack(body.pack)
        except CellcustodyError as refusal:
            raise RegistryFieldInvalidError(
                refusal.message, field="pack", defect=refusal.reason, **refusal.values
            ) from refusal


def _check_canonical_json(pack: bytes) -> None:
    try:
        parsed = json.loads(pack.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as refusal:
        raise RegistryFieldInvalidError("a pack is JSON in UTF-8", field="pack", length=len(pack)) from refusal
    canonical = json.dumps(parsed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if not isinstance(parsed, dict) or canonical.encode("utf-8", "surrogatepass") != pack:
        raise RegistryFieldInvalidError("a pack has sorted keys and no spaces", field="pack", length=len(pack))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
