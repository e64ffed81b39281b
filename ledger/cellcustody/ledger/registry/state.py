"""The registry: who may sign what, as of every position, answered from the history of each thing.

The rules:

* One live state is changed by `evolution.apply` alone, in the order of the log, by one writer; anybody may read.
* As of position p, that holds which took effect at a leaf index below p. The entry at leaf index i is judged as of i.
* A question about the past costs a search in the history of the one thing asked about, never a replay.
* What was applied for entries that were never committed is taken back by `rewind`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from cellcustody.ledger.registry.history import History
from cellcustody.ledger.registry.keys import POSITION_MAX, KeyHistory
from cellcustody.ledger.registry.records import (
    ROLE_ADMINISTRATOR,
    Affirmation,
    Device,
    EmergencyGrant,
    Founding,
    KeyRecord,
    KeyStanding,
    KeyState,
    KeyVerdict,
    LogKeys,
    Person,
    Policy,
    Registrars,
    Schema,
    Site,
)
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.ledger.statements import KeyAlgorithm, PublicKey, parse_public_key
from cellcustody.ledger.statements.errors import PublicKeyMalformedError
from cellcustody.ledger.values import value
from cellcustody.v1 import registry_pb2

__all__ = ["Joined", "RegistryState", "RegistryView"]

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(slots=True)
class Joined:
    """An act of the registry with the co-signatures that joined it, each with its leaf index.

    `in_effect_at` is the leaf index at which it took effect, None while it is pending.
    """

    statement: RegistryStatement
    leaf_index: int
    in_effect_at: int | None
    co_signatures: list[tuple[int, RegistryStatement]] = field(default_factory=list)


class RegistryState:
    """Everything registered, by position."""

    def __init__(self) -> None:
        self.founding: Founding | None = None
        self.registrars: History[Registrars] = History()
        self.log_keys: History[LogKeys] = History()
        self.service_keys: History[bytes] = History()
        self.sites: dict[bytes, History[Site]] = {}
        self.persons: dict[bytes, History[Person]] = {}
        self.devices: dict[bytes, History[Device]] = {}
        self.keys: dict[bytes, KeyHistory] = {}
        self.keys_of: dict[bytes, list[bytes]] = {}
        self.emergencies: dict[bytes, History[tuple[EmergencyGrant, ...]]] = {}
        self.affirmations: dict[bytes, History[tuple[Affirmation, ...]]] = {}
        self._standing: tuple[tuple[int, int], frozenset[bytes]] | None = None
        self.tls_keys: dict[bytes, History[bytes | None]] = {}
        self.policies: dict[bytes, History[Policy]] = {}
        self.policies_for: dict[tuple[str, str], History[Policy]] = {}
        self.schemas: dict[bytes, History[Schema]] = {}
        self.schema: History[Schema] = History()
        self.acts: dict[bytes, Joined] = {}

    def as_of(self, position: int) -> RegistryView:
        """Returns the registry as of a position (a tree size)."""
        return RegistryView(self, position)

    @property
    def latest(self) -> RegistryView:
        """The registry with everything applied so far."""
        return RegistryView(self, POSITION_MAX)

    def key_at(self, key_id: bytes, position: int) -> KeyStanding:
        """Returns a key's state as of a position; UNKNOWN where it was not enrolled yet."""
        return self.as_of(position).key(key_id)

    def public_key(self, key_id: bytes) -> PublicKey | None:
        """Returns a key enrolled at any time, in whatever state; it is the `KeyLookup` of envelopes."""
        history = self.keys.get(key_id)
        if history is None:
            return None
        try:
            return parse_public_key(history.record.spki)
        except PublicKeyMalformedError:  # Recorded by a ledger that did not judge; nothing can be verified with it.
            return None

    def verdict(self, key_id: bytes, leaf_index: int, *, signed_at: int, recorded_at: int) -> KeyVerdict:
        """Returns what a signature by this key in the entry at `leaf_index` is worth by all that is known now.

        `signed_at` and `recorded_at` are the entry's, in microseconds since 1970-01-01T00:00:00Z.
        """
        history = self.keys.get(key_id)
        if history is None:
            return KeyVerdict.INVALID
        return history.verdict(leaf_index, signed_at=signed_at, recorded_at=recorded_at)

    def verdict_on(
        self, digest: bytes, key_ids: Iterable[bytes], leaf_index: int, *, signed_at: int, recorded_at: int
    ) -> KeyVerdict:
        """Returns what the signatures of a statement are worth by all that is known now, affirmations included.

        INVALID if one of its keys could not sign there. VALID if one of them was sound there: whoever had stolen the
        other could not have made this one. Else SUSPECT, until it is affirmed. Times are microseconds since 1970.
        """
        keys = tuple(key_ids)
        if leaf_index > 0:  # The founding's keys stand from its own entry on, so that they are not known as of it.
            verdicts = [self.verdict(key, leaf_index, signed_at=signed_at, recorded_at=recorded_at) for key in keys]
            if KeyVerdict.INVALID in verdicts or not verdicts:
                return KeyVerdict.INVALID
        return KeyVerdict.SUSPECT if self.is_suspect(digest, keys, leaf_index) else KeyVerdict.VALID

    def is_suspect(self, digest: bytes, key_ids: Iterable[bytes], leaf_index: int) -> bool:
        """Tells whether every key of a statement is said to have been compromised by then, and nobody affirmed it."""
        keys = tuple(key_ids)
        return self._is_compromised(keys, leaf_index) and not self._is_affirmed(
            digest, keys, self._standing_affirmations()
        )

    def _is_compromised(self, keys: tuple[bytes, ...], leaf_index: int) -> bool:
        histories = [self.keys.get(key_id) for key_id in keys]
        return all(history is not None and history.is_compromised_at(leaf_index) for history in histories)

    def _is_affirmed(self, digest: bytes, keys: tuple[bytes, ...], standing: Collection[bytes]) -> bool:
        return any(one.key_id in keys and one.digest in standing for one in self._affirmations_of(digest))

    def _affirmations_of(self, digest: bytes) -> tuple[Affirmation, ...]:
        history = self.affirmations.get(digest)
        return () if history is None else history.at(POSITION_MAX) or ()

    def _standing_affirmations(self) -> frozenset[bytes]:
        """Returns the affirmations that count: none of those who signed did so with a key compromised by then itself.

        One whose signers are suspect counts once another one affirms what they signed. An affirmation names digests of
        what was signed before it, so that these chains end. They are followed from the latest on, in rounds until
        nothing is added: they may be long, and one may be recorded before what it rests on.
        """
        acts = {one.digest for digest in self.affirmations for one in self._affirmations_of(digest)}
        signed = {digest: self._signed_in(digest) for digest in acts if digest in self.acts}
        state = (len(self.acts), sum(map(len, signed.values())))
        if self._standing is not None and self._standing[0] == state:
            return self._standing[1]
        waiting = sorted(signed, key=lambda digest: self.acts[digest].leaf_index, reverse=True)
        standing: set[bytes] = set()
        while waiting:
            left = []
            for digest in waiting:
                if any(
                    self._is_compromised(one.key_ids, leaf) and not self._is_affirmed(one.digest, one.key_ids, standing)
                    for leaf, one in signed[digest]
                ):
                    left.append(digest)
                else:
                    standing.add(digest)
            if len(left) == len(waiting):
                break
            waiting = left
        self._standing = (state, frozenset(standing))
        return self._standing[1]

    def _signed_in(self, digest: bytes) -> tuple[tuple[int, RegistryStatement], ...]:
        joined = self.acts[digest]
        return ((joined.leaf_index, joined.statement), *joined.co_signatures)

    def pending(self) -> tuple[Joined, ...]:
        """Returns the acts that wait for co-signatures, in the order of the log."""
        return tuple(joined for joined in tuple(self.acts.values()) if joined.in_effect_at is None)

    def rewind(self, position: int) -> None:
        """Takes back everything applied for entries at leaf index `position` and after, which were not committed."""
        self._standing = None
        if position <= 0:
            self.founding = None
        self.registrars.rewind(position)
        self.log_keys.rewind(position)
        self.service_keys.rewind(position)
        self.schema.rewind(position)
        _rewind_all(self.sites, position)
        _rewind_all(self.persons, position)
        _rewind_all(self.devices, position)
        _rewind_all(self.tls_keys, position)
        _rewind_all(self.emergencies, position)
        _rewind_all(self.affirmations, position)
        _rewind_all(self.policies, position)
        _rewind_all(self.policies_for, position)
        _rewind_all(self.schemas, position)
        for key_id, history in tuple(self.keys.items()):
            if not history.changes.rewind(position):
                del self.keys[key_id]
                self.keys_of[history.record.holder].remove(key_id)
        for digest, joined in tuple(self.acts.items()):
            if joined.leaf_index >= position:
                del self.acts[digest]
                continue
            joined.co_signatures = [joining for joining in joined.co_signatures if joining[0] < position]
            if joined.in_effect_at is not None and joined.in_effect_at >= position:
                joined.in_effect_at = None


def _rewind_all(histories: dict[_K, History[_V]], position: int) -> None:
    for key, history in tuple(histories.items()):
        if not history.rewind(position):
            del histories[key]


def _at(history: History[_V] | None, position: int) -> _V | None:
    return history.at(position) if history is not None else None


def _all_at(histories: dict[_K, History[_V]], position: int) -> tuple[_V, ...]:
    found = (history.at(position) for history in tuple(histories.values()))
    return tuple(value for value in found if value is not None)


@value(frozen=True, slots=True)
class RegistryView:
    """The registry as of one position. Cheap to make; it reads the live state and never changes."""

    state: RegistryState
    position: int

    @property
    def founding(self) -> Founding | None:
        """What leaf 0 fixed, or None before it."""
        return self.state.founding if self.position > 0 else None

    @property
    def ledger_id(self) -> bytes:
        """The ledger's id, 16 bytes; empty before the founding."""
        return self.founding.ledger_id if self.founding else b""

    @property
    def is_founded(self) -> bool:
        """Tells whether the founding is complete: its first schema is published."""
        return self.schema is not None

    @property
    def registrars(self) -> Registrars | None:
        """The registrars and their threshold."""
        return self.state.registrars.at(self.position)

    @property
    def log_keys(self) -> LogKeys | None:
        """The log's keys, with those that sign too during an overlap."""
        return self.state.log_keys.at(self.position)

    @property
    def service_key_id(self) -> bytes | None:
        """The key that signs for the ledger itself."""
        return self.state.service_keys.at(self.position)

    @property
    def schema(self) -> Schema | None:
        """The newest schema, which new statements should name."""
        return self.state.schema.at(self.position)

    def schema_of(self, digest: bytes) -> Schema | None:
        """Returns a published schema by its digest."""
        return _at(self.state.schemas.get(digest), self.position)

    def policy(self, digest: bytes) -> Policy | None:
        """Returns a published policy pack by its digest."""
        return _at(self.state.policies.get(digest), self.position)

    def newest_policy(self, product: str, jurisdiction: str) -> Policy | None:
        """Returns the newest policy pack for a product in a jurisdiction."""
        return _at(self.state.policies_for.get((product, jurisdiction)), self.position)

    def policies(self) -> tuple[Policy, ...]:
        """Returns every published policy pack, oldest first."""
        return _all_at(self.state.policies, self.position)

    def site(self, site: bytes) -> Site | None:
        """Returns a site."""
        return _at(self.state.sites.get(site), self.position)

    def sites(self) -> tuple[Site, ...]:
        """Returns every site, in the order of enrolment."""
        return _all_at(self.state.sites, self.position)

    def person(self, person: bytes) -> Person | None:
        """Returns a person, registrars included."""
        return _at(self.state.persons.get(person), self.position)

    def persons(self) -> tuple[Person, ...]:
        """Returns every person, in the order of enrolment."""
        return _all_at(self.state.persons, self.position)

    def device(self, device: bytes) -> Device | None:
        """Returns a device, the ledger's own included."""
        return _at(self.state.devices.get(device), self.position)

    def devices(self) -> tuple[Device, ...]:
        """Returns every device, in the order of enrolment."""
        return _all_at(self.state.devices, self.position)

    def emergency_grants(self, person: bytes) -> tuple[EmergencyGrant, ...]:
        """Returns the emergency credentials that a person ever had, oldest first."""
        return _at(self.state.emergencies.get(person), self.position) or ()

    def emergency_grants_of_site(self, site: bytes) -> tuple[EmergencyGrant, ...]:
        """Returns the emergency credentials that a site ever granted, by person and in order of the log."""
        granted = (one for grants in _all_at(self.state.emergencies, self.position) for one in grants)
        return tuple(one for one in granted if one.site == site)

    def emergency_grant(self, digest: bytes) -> EmergencyGrant | None:
        """Returns the emergency credential that a statement granted, if it is in effect."""
        joined = self.state.acts.get(digest)
        body = None if joined is None else joined.statement.body
        if not isinstance(body, registry_pb2.EmergencyCredentialGranted):
            return None
        return next((one for one in self.emergency_grants(body.person) if one.digest == digest), None)

    def site_of_signer(self, signer: bytes) -> bytes | None:
        """Returns the site of a person or device; None where they have none or are not registered."""
        found = self.person(signer) or self.device(signer)
        return found.site if found else None

    def site_of_tls_key(self, tls_key_id: bytes) -> bytes | None:
        """Returns the site for which the TLS key with this SHA-256 of its SPKI speaks."""
        return _at(self.state.tls_keys.get(tls_key_id), self.position)

    def key(self, key_id: bytes) -> KeyStanding:
        """Returns a key's state; UNKNOWN where it is not enrolled."""
        history = self.state.keys.get(key_id)
        return history.standing_at(self.position) if history else KeyStanding(KeyState.UNKNOWN)

    def is_hybrid(self, key_ids: Iterable[bytes]) -> bool:
        """Tells whether these keys are an ML-DSA-65 key and one of another algorithm at least."""
        found = (self.state.public_key(key_id) for key_id in key_ids)
        algorithms = {key.algorithm for key in found if key is not None}
        return KeyAlgorithm.ML_DSA_65 in algorithms and len(algorithms) > 1

    def key_record(self, key_id: bytes) -> KeyRecord | None:
        """Returns a key with its holder, in whatever state."""
        history = self.state.keys.get(key_id)
        return history.record if history and history.record.enrolled_leaf < self.position else None

    def keys_of(self, holder: bytes) -> tuple[KeyRecord, ...]:
        """Returns the keys of a person or device, in the order of enrolment, in whatever state."""
        records = (self.key_record(key_id) for key_id in tuple(self.state.keys_of.get(holder, ())))
        return tuple(record for record in records if record is not None)

    def has_usable_key(self, holder: bytes) -> bool:
        """Tells whether a person or device has an active key."""
        return any(self.key(record.key_id).state is KeyState.ACTIVE for record in self.keys_of(holder))

    def administrators(self, site: bytes) -> tuple[bytes, ...]:
        """Returns the persons of a site who are its administrators, whatever the state of their training."""
        return tuple(
            person.person
            for person in self.persons()
            if person.site == site and person.grant_of(ROLE_ADMINISTRATOR) is not None
        )
