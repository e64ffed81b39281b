"""Apply recorded statements to the registry; never judge.

The rules:

* Evolution reads the statement and its recorded judgement, and is total over every entry: what names something that
  is not registered changes nothing, and it raises for no recorded statement.
* An act takes effect at its own entry when that says IN_EFFECT, else at the entry of the co-signature that puts it in
  effect.
* The founding is the exception: its registrars, keys and devices stand from leaf 0, because its own co-signatures are
  verified with them. Until the first schema nothing else is accepted anyway.
* Keys enrolled once stay known for good, so that old signatures can always be verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry.history import History
from cellcustody.ledger.registry.keys import KeyChange, KeyHistory
from cellcustody.ledger.registry.records import (
    Affirmation,
    Device,
    EmergencyGrant,
    Founding,
    KeyRecord,
    KeyState,
    LogKeys,
    Person,
    Policy,
    Registrars,
    RegistryJudgement,
    RoleGrant,
    Schema,
    Site,
)
from cellcustody.ledger.registry.state import Joined, RegistryState
from cellcustody.ledger.registry.statement import RegistryEntry, RegistryStatement
from cellcustody.v1 import registry_pb2

__all__ = ["LEDGER_ID_BYTES", "MICROS_PER_SECOND", "apply", "replay"]

LEDGER_ID_BYTES: Final = 16
MICROS_PER_SECOND: Final = 1_000_000


def replay(entries: Iterable[RegistryEntry]) -> RegistryState:
    """Returns the registry that recorded entries, in the log's order, make by their own judgements."""
    state = RegistryState()
    for entry in entries:
        apply(state, entry.statement, entry.judged, entry.leaf_index)
    return state


def apply(state: RegistryState, statement: RegistryStatement, judged: RegistryJudgement, leaf_index: int) -> None:
    """Changes the registry by one recorded statement, an act or a co-signature of one."""
    if statement.joins is not None:
        joined = state.acts.get(statement.joins)
        if joined is None:
            return
        joined.co_signatures.append((leaf_index, statement))
        if judged.puts_in_effect == statement.joins and joined.in_effect_at is None:
            joined.in_effect_at = leaf_index
            if not isinstance(joined.statement.body, registry_pb2.LedgerFounded):
                _take_effect(state, joined.statement, leaf_index)
        return
    in_effect = judged.status is Status.IN_EFFECT
    if statement.digest in state.acts:
        return  # Recorded twice by a ledger that did not judge; the first stands.
    state.acts[statement.digest] = Joined(statement, leaf_index, leaf_index if in_effect else None)
    if in_effect or isinstance(statement.body, registry_pb2.LedgerFounded):
        _take_effect(state, statement, leaf_index)


def _take_effect(state: RegistryState, statement: RegistryStatement, leaf: int) -> None:
    match statement.body:
        case registry_pb2.LedgerFounded() as body:
            _found(state, statement, body, leaf)
        case registry_pb2.SiteEnrolled() as body:
            _enrol_site(state, body, leaf)
        case registry_pb2.SiteChanged() as body:
            _change_site(state, body, leaf)
        case registry_pb2.PersonEnrolled() as body:
            _enrol_person(state, body.person, body.site, leaf)
        case registry_pb2.PersonChanged() as body:
            _change_person(state, body, leaf)
        case registry_pb2.EmergencyCredentialGranted() as body:
            _grant_emergency(state, statement, body, leaf)
        case registry_pb2.DeviceEnrolled() as body:
            device = Device(body.device, body.site, body.description)
            state.devices.setdefault(body.device, History()).add(leaf, device)
            _add_keys(state, body.device, body.keys, leaf)
        case registry_pb2.KeyAdded() as body:
            _add_keys(state, body.holder, [body.key], leaf)
        case registry_pb2.KeyRetired() as body:
            _change_key(state, body.key_id, _retirement(statement.signed_at, body.grace_seconds), leaf)
        case registry_pb2.KeySuspended() as body:
            _change_key(state, body.key_id, KeyChange(KeyState.SUSPENDED), leaf)
        case registry_pb2.KeyReinstated() as body:
            _change_key(state, body.key_id, KeyChange(KeyState.ACTIVE), leaf)
        case registry_pb2.KeyRevoked() as body:
            since = body.compromised_since_leaf if body.HasField("compromised_since_leaf") else None
            _change_key(state, body.key_id, KeyChange(KeyState.REVOKED, compromised_since_leaf=since), leaf)
        case registry_pb2.StatementsAffirmed() as body:
            affirmation = Affirmation(statement.digest, leaf, body.key_id, frozenset(body.statement_digests))
            for digest in affirmation.statements:
                affirmed = state.affirmations.setdefault(digest, History())
                affirmed.add(leaf, (*(affirmed.at(leaf + 1) or ()), affirmation))
        case registry_pb2.LogKeysRotated() as body:
            _rotate_log_keys(state, body, leaf)
        case registry_pb2.ServiceKeyRotated() as body:
            _rotate_service_key(state, statement, body, leaf)
        case registry_pb2.RegistrarsChanged() as body:
            _set_registrars(state, body.registrars, body.threshold, leaf, frozenset(body.hybrid_roles))
        case registry_pb2.PolicyPublished() as body:
            digest = hashlib.sha256(body.pack).digest()
            policy = Policy(digest, body.product, body.jurisdiction, body.version, body.pack)
            state.policies.setdefault(digest, History()).add(leaf, policy)
            state.policies_for.setdefault((body.product, body.jurisdiction), History()).add(leaf, policy)
        case registry_pb2.SchemaPublished() as body:
            schema = Schema(hashlib.sha256(body.descriptor_set).digest(), body.descriptor_set)
            state.schemas.setdefault(schema.digest, History()).add(leaf, schema)
            state.schema.add(leaf, schema)
        case _:
            pass  # Another body in these streams changes nothing of the registry.


def _found(state: RegistryState, statement: RegistryStatement, body: registry_pb2.LedgerFounded, leaf: int) -> None:
    if state.founding is not None:
        return
    state.founding = Founding(
        ledger_id=statement.payload_sha256[:LEDGER_ID_BYTES],
        statement_digest=statement.digest,
        log_origin=body.log_origin,
        service_device=body.service_device,
        schema_digest=body.schema_digest,
        first_registrar=body.registrars[0].person if body.registrars else b"",
    )
    _set_registrars(state, body.registrars, body.threshold, leaf)
    state.log_keys.add(leaf, LogKeys(tuple(body.log_keys)))
    state.devices.setdefault(body.service_device, History()).add(leaf, Device(body.service_device, None))
    _add_keys(state, body.service_device, [body.service_key], leaf)
    state.service_keys.add(leaf, _key_id(body.service_key))


def _set_registrars(
    state: RegistryState,
    registrars: Iterable[registry_pb2.Registrar],
    threshold: int,
    leaf: int,
    hybrid_roles: frozenset[str] = frozenset(),
) -> None:
    members = tuple(registrars)
    for registrar in members:
        if registrar.person not in state.persons:
            state.persons.setdefault(registrar.person, History()).add(leaf, Person(registrar.person, None))
        _add_keys(state, registrar.person, [registrar.key], leaf)
    record = Registrars(
        tuple(registrar.person for registrar in members),
        threshold,
        tuple(member.organisation for member in members),
        hybrid_roles,
    )
    state.registrars.add(leaf, record)


def _enrol_site(state: RegistryState, body: registry_pb2.SiteEnrolled, leaf: int) -> None:
    site = Site(
        body.site,
        body.name,
        frozenset(body.capabilities),
        tuple(body.units),
        tuple(body.tls_key_ids),
        body.facility,
    )
    state.sites.setdefault(body.site, History()).add(leaf, site)
    _set_tls_keys(state, site, (), leaf)
    for administrator in body.administrators:
        _enrol_person(state, administrator, body.site, leaf)


def _change_site(state: RegistryState, body: registry_pb2.SiteChanged, leaf: int) -> None:
    history = state.sites.get(body.site)
    site = history.at(leaf + 1) if history else None
    if history is None or site is None:
        return
    changed = replace(
        site,
        capabilities=frozenset(body.capabilities),
        units=tuple(body.units),
        tls_key_ids=tuple(body.tls_key_ids),
    )
    history.add(leaf, changed)
    _set_tls_keys(state, changed, site.tls_key_ids, leaf)


def _set_tls_keys(state: RegistryState, site: Site, former: tuple[bytes, ...], leaf: int) -> None:
    for tls_key_id in former:
        if tls_key_id not in site.tls_key_ids:
            state.tls_keys.setdefault(tls_key_id, History()).add(leaf, None)
    for tls_key_id in site.tls_key_ids:
        if tls_key_id not in former:
            state.tls_keys.setdefault(tls_key_id, History()).add(leaf, site.site)


def _enrol_person(state: RegistryState, person: registry_pb2.NewPerson, site: bytes, leaf: int) -> None:
    record = Person(person.person, site, _grants(person.roles), tuple(person.units))
    state.persons.setdefault(person.person, History()).add(leaf, record)
    _add_keys(state, person.person, person.keys, leaf)


def _change_person(state: RegistryState, body: registry_pb2.PersonChanged, leaf: int) -> None:
    history = state.persons.get(body.person)
    person = history.at(leaf + 1) if history else None
    if history is None or person is None:
        return
    history.add(leaf, replace(person, roles=_grants(body.roles), units=tuple(body.units)))


def _grant_emergency(
    state: RegistryState, statement: RegistryStatement, body: registry_pb2.EmergencyCredentialGranted, leaf: int
) -> None:
    history = state.persons.get(body.person)
    person = history.at(leaf + 1) if history else None
    if person is None or person.site is None:
        return
    joined = state.acts.get(statement.digest)
    others = () if joined is None else tuple(one.signer for _, one in joined.co_signatures)
    grant = EmergencyGrant(
        statement.digest,
        body.person,
        person.site,
        frozenset(body.roles),
        body.valid_from_unix_micros,
        body.valid_from_unix_micros + body.valid_seconds * MICROS_PER_SECOND,
        (statement.signer, *others),
    )
    grants = state.emergencies.setdefault(body.person, History())
    grants.add(leaf, (*(grants.at(leaf + 1) or ()), grant))


def _grants(roles: Iterable[registry_pb2.RoleGrant]) -> tuple[RoleGrant, ...]:
    return tuple(
        RoleGrant(
            grant.role,
            grant.trained_until_unix_micros if grant.HasField("trained_until_unix_micros") else None,
            grant.trained_at_unix_micros if grant.HasField("trained_at_unix_micros") else None,
        )
        for grant in roles
    )


def _add_keys(state: RegistryState, holder: bytes, keys: Iterable[registry_pb2.EnrolledKey], leaf: int) -> None:
    for key in keys:
        key_id = _key_id(key)
        if key_id in state.keys:
            continue  # A registrar who stays, or a key that somebody holds: the first enrolment stands.
        state.keys[key_id] = KeyHistory(KeyRecord(key_id, key.spki, holder, leaf))
        state.keys_of.setdefault(holder, []).append(key_id)


def _change_key(state: RegistryState, key_id: bytes, change: KeyChange, leaf: int) -> None:
    history = state.keys.get(key_id)
    if history is not None:
        history.changes.add(leaf, change)


def _retirement(signed_at: int, grace_seconds: int) -> KeyChange:
    return KeyChange(KeyState.RETIRED, signed_at, signed_at + grace_seconds * MICROS_PER_SECOND)


def _rotate_log_keys(state: RegistryState, body: registry_pb2.LogKeysRotated, leaf: int) -> None:
    former = state.log_keys.at(leaf + 1)
    keys = tuple(body.log_keys)
    lost = tuple(body.lost_keys)
    overlapping = tuple(key for key in former.keys if key not in keys and key not in lost) if former else ()
    since = body.compromised_since_size if body.HasField("compromised_since_size") else None
    state.log_keys.add(leaf, LogKeys(keys, overlapping, body.overlap_until_size, lost, since))


def _rotate_service_key(
    state: RegistryState, statement: RegistryStatement, body: registry_pb2.ServiceKeyRotated, leaf: int
) -> None:
    former = state.service_keys.at(leaf + 1)
    if state.founding is None:
        return
    _add_keys(state, state.founding.service_device, [body.service_key], leaf)
    if former is not None:
        # Without grace: the ledger records what it says at once, and from here on with the new key.
        _change_key(state, former, _retirement(statement.signed_at, 0), leaf)
    state.service_keys.add(leaf, _key_id(body.service_key))


def _key_id(key: registry_pb2.EnrolledKey) -> bytes:
    return hashlib.sha256(key.spki).digest()
