"""What the registry knows of each thing, as frozen values.

Times are microseconds since 1970-01-01T00:00:00Z. Ids are raw bytes: sites, persons and devices 16, keys 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from cellcustody.ledger.custody.act import Finding, Status
from cellcustody.ledger.values import value

__all__ = [
    "ROLE_ADMINISTRATOR",
    "ROLE_DEVICE",
    "ROLE_LEDGER",
    "ROLE_REGISTRAR",
    "Affirmation",
    "Device",
    "EmergencyGrant",
    "Founding",
    "KeyRecord",
    "KeyStanding",
    "KeyState",
    "KeyVerdict",
    "LogKeys",
    "Person",
    "Policy",
    "Registrars",
    "RegistryJudgement",
    "RoleGrant",
    "Schema",
    "Site",
]

ROLE_REGISTRAR: Final = "registrar"
ROLE_ADMINISTRATOR: Final = "administrator"
ROLE_DEVICE: Final = "device"  # The one role of every device; devices are granted none.
ROLE_LEDGER: Final = "ledger"  # The one role of the ledger's service device.


@dataclass(frozen=True, slots=True)
class RegistryJudgement:
    """What becomes of a statement in the registry's streams.

    `status` is PENDING or IN_EFFECT for an act, RECORDED for a co-signature. `co_signers_needed` counts those still
    lacking after this statement. `puts_in_effect` is set on the co-signature with which an act takes effect.
    """

    status: Status
    co_signers_needed: int = 0
    findings: tuple[Finding, ...] = ()
    puts_in_effect: bytes | None = None


class KeyState(IntEnum):
    """State of a key at a position; the numbers are those of KeyState in the contract, 0 meaning unknown."""

    UNKNOWN = 0
    ACTIVE = 1
    RETIRED = 2
    SUSPENDED = 3
    REVOKED = 4


class KeyVerdict(Enum):
    """What a signature by a key at a leaf index is worth, by all that is known since."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


@value(frozen=True, slots=True)
class KeyStanding:
    """A key's state as of a position; fields beyond `state` are None where the state gives them no meaning.

    `retired_signed_at` is the signed_at of the retirement: what was signed before it may arrive until `grace_until`.
    `compromised_since_leaf` is the lowest leaf index that any revocation names.
    """

    state: KeyState
    since_leaf: int | None = None
    retired_signed_at: int | None = None
    grace_until: int | None = None
    compromised_since_leaf: int | None = None

    def admits_late(self, signed_at: int, recorded_at: int) -> bool:
        """Tells whether a statement signed then may still be recorded then, under this retired key."""
        if self.retired_signed_at is None or self.grace_until is None:
            return False
        return signed_at < self.retired_signed_at and recorded_at <= self.grace_until


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, whose it is, and since when."""

    key_id: bytes
    spki: bytes
    holder: bytes
    enrolled_leaf: int


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role with the training for it: until when it holds as the site says, and when it was passed.

    Policies say how long a training passed then holds. Neither given: no training is recorded.
    """

    role: str
    trained_until: int | None = None
    trained_at: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A site; `capabilities` are numbers of the contract's Capability."""

    site: bytes
    name: str
    capabilities: frozenset[int]
    units: tuple[str, ...]
    tls_key_ids: tuple[bytes, ...]
    facility: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person; `site` is None for a registrar who belongs to no site. No `units`: all of the site."""

    person: bytes
    site: bytes | None
    roles: tuple[RoleGrant, ...] = ()
    units: tuple[str, ...] = ()

    def grant_of(self, role: str) -> RoleGrant | None:
        """Returns the grant of a role, or None."""
        return next((grant for grant in self.roles if grant.role == role), None)


@dataclass(frozen=True, slots=True)
class EmergencyGrant:
    """Roles that a person may act in for a day at most; `granted_by` are the administrators who said so."""

    digest: bytes
    person: bytes
    site: bytes
    roles: frozenset[str]
    valid_from: int
    valid_until: int
    granted_by: tuple[bytes, ...]

    def covers(self, role: str, signed_at: int, seconds_max: int) -> bool:
        """Tells whether the role may be acted in at a time, if a policy lets no grant last beyond `seconds_max`."""
        until = min(self.valid_until, self.valid_from + seconds_max * 1_000_000)
        return role in self.roles and self.valid_from <= signed_at <= until


@dataclass(frozen=True, slots=True)
class Device:
    """A device; `site` is None for the ledger's service device."""

    device: bytes
    site: bytes | None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Registrars:
    """The registrars, ascending by person id, and how many of them it takes."""

    members: tuple[bytes, ...]
    threshold: int
    organisations: tuple[str, ...]
    hybrid_roles: frozenset[str] = frozenset()
    """Roles of the registry's acts in which an ML-DSA-65 key signs too."""


@dataclass(frozen=True, slots=True)
class Affirmation:
    """Statements that somebody affirmed, by an act with this digest in effect at this leaf index."""

    digest: bytes
    leaf_index: int
    key_id: bytes
    statements: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The log's verifier keys in C2SP text form; up to `overlap_until_size` those in `overlapping` sign too.

    `lost` are former keys that sign nothing any more. Beyond the tree size `compromised_since_size` others may have
    signed with them; None: nobody else has them.
    """

    keys: tuple[str, ...]
    overlapping: tuple[str, ...] = ()
    overlap_until_size: int = 0
    lost: tuple[str, ...] = ()
    compromised_since_size: int | None = None

    def signing(self, tree_size: int) -> tuple[str, ...]:
        """Returns every key that signs a checkpoint of this size."""
        return self.keys if tree_size > self.overlap_until_size else (*self.keys, *self.overlapping)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy pack; its digest is SHA-256 of `pack`."""

    digest: bytes
    product: str
    jurisdiction: str
    version: int
    pack: bytes


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema; its digest is SHA-256 of `descriptor_set`."""

    digest: bytes
    descriptor_set: bytes


@dataclass(frozen=True, slots=True)
class Founding:
    """What leaf 0 fixed for good."""

    ledger_id: bytes
    statement_digest: bytes
    log_origin: str
    service_device: bytes
    schema_digest: bytes
    first_registrar: bytes
