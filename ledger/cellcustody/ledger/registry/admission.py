"""Judge a signer at ingest: keys and device at this position, then competence for the act.

The rules, in the order they are checked:

1. Every key is enrolled, and the signer's own.
2. No key is revoked or suspended. A retired one signed before its retirement and arrives within the grace, which is
   the finding LATE_AFTER_RETIREMENT.
3. What only the ledger says is signed by its service device with the service key in use, and that device says nothing
   else.
4. Authorisations and co-signatures are signed by persons.
5. The device is the signer's own id (a signer without a registered device) or a device of the signer's site: else the
   finding DEVICE_UNKNOWN for a fact, a refusal for an authorisation. At a handoff whoever has no device at hand signs
   with the own key on the other's: a device registered to another site is then the finding DEVICE_OF_COUNTERPARTY.

Competence (site, role, training, unit) is a matter of findings alone: they are gates, so an authorisation is refused
for them, and a fact is recorded. Training holds until the time that the site names, and as long as the policy says
after it was passed. Under an emergency credential a person acts in its roles, in any unit of the site, and each such
act says so (EMERGENCY_CREDENTIAL). In roles that the policy names as hybrid, two keys sign, of which one is ML-DSA-65.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cellcustody.ledger.contract import required_capabilities
from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.registry import codes
from cellcustody.ledger.registry.errors import (
    DeviceUnknownError,
    KeyRetiredError,
    KeyRevokedError,
    KeySuspendedError,
    KeyUnknownError,
    LedgerOnlyError,
    PersonNeededError,
    ServiceKeyNotPermittedError,
    SignerMismatchError,
)
from cellcustody.ledger.registry.records import (
    ROLE_DEVICE,
    ROLE_LEDGER,
    ROLE_REGISTRAR,
    EmergencyGrant,
    KeyState,
    RoleGrant,
)
from cellcustody.ledger.registry.state import RegistryState, RegistryView
from cellcustody.ledger.statements import PayloadType
from cellcustody.ledger.values import value

__all__ = [
    "EMERGENCY_COVERS",
    "LEDGER_KINDS",
    "NOTHING_ASKED",
    "Admission",
    "Asked",
    "SignerFacts",
    "admit_signer",
    "asked_by",
    "competence",
    "emergency_grant",
    "hybrid_lacks",
    "training_ends",
    "training_lacks",
]

LEDGER_KINDS: Final = frozenset(
    {PayloadType.JUDGEMENT, PayloadType.HEAD_MAP, PayloadType.EXPORT, PayloadType.TIME_EVIDENCE}
)
"""What the ledger itself says in its log, under its service key."""


EMERGENCY_SECONDS_MAX: Final = 86_400  # What the registry grants at most; a policy may let it last less.
EMERGENCY_COVERS: Final = frozenset(
    {
        codes.ROLE_NOT_HELD.code,
        codes.TRAINING_LAPSED.code,
        codes.TRAINING_NOT_RECORDED.code,
        codes.UNIT_NOT_HELD.code,
    }
)
"""What an emergency credential makes up for."""


def _for_good(role: str, trained_at: int) -> int | None:
    """Lets training hold for good."""
    return None


HANDOFF_BODIES: Final = frozenset(
    {"cellcustody.v1.CustodyReleased", "cellcustody.v1.CustodyAccepted", "cellcustody.v1.CustodyRefused"}
)
"""Acts of two sites in one place, where the one may sign on the other's device (design, section 7)."""


@value(frozen=True, slots=True)
class SignerFacts:
    """What a header says of its signer; `signed_at` in microseconds since 1970-01-01T00:00:00Z."""

    signer: bytes
    key_ids: tuple[bytes, ...]
    device: bytes
    signed_at: int
    payload_kind: PayloadType
    is_authorisation: bool
    is_handoff: bool = False


@value(frozen=True, slots=True)
class Admission:
    """A signer who may speak here: their site (empty where they have none) and what was found."""

    site: bytes
    findings: tuple[Finding, ...] = ()


def admit_signer(state: RegistryState, facts: SignerFacts, *, position: int, now: int) -> Admission:
    """Returns the signer's site and the findings of entry; `now` is microseconds since 1970-01-01T00:00:00Z.

    Raises:
        SignatureRefusedError: a key is unknown, revoked, suspended, retired, not the signer's, or not for this.
        AuthorisationRefusedError: an authorisation is signed by a device, or on an unknown device.
    """
    view = state.as_of(position)
    found: set[str] = set()

    # (1) and (2): the keys.
    for key_id in facts.key_ids:
        if _admit_key(view, facts, key_id, now):
            found.add(codes.LATE_AFTER_RETIREMENT.code)

    # (3): The ledger speaks for itself, and nobody else does.
    founding = view.founding
    is_service = founding is not None and facts.signer == founding.service_device
    if facts.payload_kind in LEDGER_KINDS:
        if not is_service or facts.key_ids != (view.service_key_id,):
            raise LedgerOnlyError("only the ledger's service key says this", signer=facts.signer)
        return Admission(b"")
    if is_service:
        raise ServiceKeyNotPermittedError("the service key has no capability for any act", signer=facts.signer)

    # (4): Persons permit and join things; devices do not.
    is_persons = facts.is_authorisation or facts.payload_kind is PayloadType.CO_SIGNATURE
    if is_persons and view.person(facts.signer) is None:
        raise PersonNeededError("an authorisation or a co-signature is a person's", signer=facts.signer)

    # (5): The device it was signed on.
    site = view.site_of_signer(facts.signer)
    if facts.device != facts.signer:
        device = view.device(facts.device)
        if device is None or device.site is None or device.site != site:
            if facts.is_authorisation:
                raise DeviceUnknownError("the device is none of the signer's site", device=facts.device)
            is_anothers = facts.is_handoff and device is not None and device.site is not None
            found.add((codes.DEVICE_OF_COUNTERPARTY if is_anothers else codes.DEVICE_UNKNOWN).code)
    return Admission(site or b"", _findings(found))


@value(frozen=True, slots=True)
class Asked:
    """What a policy asks of signers beyond the registry: training in `training_roles`, and for how long it holds.

    `training_valid_until` gives the end of training in a role, passed at a time (microseconds); None: it has no end.
    """

    training_roles: frozenset[str] = frozenset()
    training_valid_until: Callable[[str, int], int | None] = _for_good
    emergency_seconds: int = EMERGENCY_SECONDS_MAX
    hybrid_roles: frozenset[str] = frozenset()


NOTHING_ASKED: Final = Asked()


def asked_by(pack: PolicyPack) -> Asked:
    """Returns what a policy pack asks of signers."""
    return Asked(pack.training_roles, pack.training_valid_until, pack.emergency_seconds, pack.hybrid_roles)


def emergency_grant(
    state: RegistryState, *, signer: bytes, role: str, signed_at: int, position: int, seconds_max: int
) -> EmergencyGrant | None:
    """Returns the emergency credential under which a person may act in a role; None if there is none."""
    grants = state.as_of(position).emergency_grants(signer)
    return next((one for one in grants if one.covers(role, signed_at, seconds_max)), None)


def competence(
    state: RegistryState,
    *,
    signer: bytes,
    body_type: str,
    role: str,
    signed_at: int,
    position: int,
    key_ids: tuple[bytes, ...] = (),
    unit: str = "",
    asked: Asked = NOTHING_ASKED,
) -> tuple[Finding, ...]:
    """Returns what stands against this signer doing this act in this role.

    `unit` is the unit of the signer's site that the act is done for, empty where it is done for the site as a whole or
    the body names none. `signed_at` is microseconds since 1970-01-01T00:00:00Z. A co-signature has the body type of
    the statement it joins.
    """
    view = state.as_of(position)
    found = set(hybrid_lacks(view, role, key_ids, asked))
    site_id = view.site_of_signer(signer)
    site = view.site(site_id) if site_id else None
    required = required_capabilities(body_type)
    if required and (site is None or not required & site.capabilities):
        found.add(codes.CAPABILITY_MISSING.code)
    person = view.person(signer)
    if person is None:
        founding = view.founding
        own = ROLE_LEDGER if founding is not None and signer == founding.service_device else ROLE_DEVICE
        if role != own:
            found.add(codes.ROLE_NOT_HELD.code)
        return _findings(found)
    grant = person.grant_of(role)
    registrars = view.registrars
    if role == ROLE_REGISTRAR and registrars is not None and signer in registrars.members:
        pass  # Registrars are named as such; nobody grants them a role.
    elif grant is None:
        found.add(codes.ROLE_NOT_HELD.code)
    else:
        found.update(training_lacks(grant, signed_at, asked))
    if unit and person.units and unit not in person.units:
        found.add(codes.UNIT_NOT_HELD.code)
    if not found.isdisjoint(EMERGENCY_COVERS):
        emergency = emergency_grant(
            state,
            signer=signer,
            role=role,
            signed_at=signed_at,
            position=position,
            seconds_max=asked.emergency_seconds,
        )
        if emergency is not None:
            found -= EMERGENCY_COVERS
            found.add("EMERGENCY_CREDENTIAL")
    return _findings(found)


def hybrid_lacks(view: RegistryView, role: str, key_ids: tuple[bytes, ...], asked: Asked) -> frozenset[str]:
    """Returns the code of a second signature that a role asks for and that is not there."""
    if role not in asked.hybrid_roles or view.is_hybrid(key_ids):
        return frozenset()
    return frozenset((codes.HYBRID_KEY_MISSING.code,))


def training_ends(grant: RoleGrant, asked: Asked) -> int | None:
    """Returns the last moment at which training holds, as the site and the policy say, in microseconds; None: none."""
    until = None if grant.trained_at is None else asked.training_valid_until(grant.role, grant.trained_at)
    return min((end for end in (grant.trained_until, until) if end is not None), default=None)


def training_lacks(grant: RoleGrant, signed_at: int, asked: Asked) -> frozenset[str]:
    """Returns the codes of what the training recorded with a role lacks at a time of signing, under a policy."""
    until = training_ends(grant, asked)
    if until is not None and signed_at > until:
        return frozenset((codes.TRAINING_LAPSED.code,))
    if grant.role not in asked.training_roles:
        return frozenset()
    is_recorded = grant.trained_at is not None or grant.trained_until is not None
    if not is_recorded or (grant.trained_at is not None and signed_at < grant.trained_at):
        return frozenset((codes.TRAINING_NOT_RECORDED.code,))
    return frozenset()


def _admit_key(view: RegistryView, facts: SignerFacts, key_id: bytes, now: int) -> bool:
    """Returns whether the key is retired and the statement late, or raises saying why the key cannot sign this."""
    record = view.key_record(key_id)
    if record is None:
        raise KeyUnknownError("a key is not enrolled", key_id=key_id)
    if record.holder != facts.signer:
        raise SignerMismatchError("a key is not the signer's", key_id=key_id, signer=facts.signer)
    standing = view.key(key_id)
    if standing.state is KeyState.REVOKED:
        raise KeyRevokedError("a key is revoked", key_id=key_id, since_leaf=standing.since_leaf)
    if standing.state is KeyState.SUSPENDED:
        raise KeySuspendedError("a key is suspended", key_id=key_id, since_leaf=standing.since_leaf)
    if standing.state is not KeyState.RETIRED:
        return False
    if not standing.admits_late(facts.signed_at, now):
        raise KeyRetiredError(
            "a retired key signed too late, or what it signed came too late",
            key_id=key_id,
            retired_signed_at=standing.retired_signed_at,
            grace_until=standing.grace_until,
        )
    return True


def _findings(found: set[str]) -> tuple[Finding, ...]:
    return tuple(Finding(code) for code in sorted(found))
