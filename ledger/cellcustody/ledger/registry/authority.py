"""Say whose word an act of the registry needs, and hold signers and co-signers to it.

The rules:

* In the role "registrar": a quorum of registrars, which is the threshold, the signer counted. It may do every act.
* In the role "administrator": one administrator of the site concerned, for its own persons, devices and keys. What
  concerns an administrator (enrolled as one, changed from or to one, a key added, retired, reinstated or revoked)
  needs another administrator of the site to join. Suspending needs one alone: it is reversible, and a lost card
  cannot wait; whoever misuses it gains nothing alone, and registrars undo it.
* An emergency credential takes two administrators of the person's site, neither of them that person.
* Sites, log keys, the service key, registrars, their keys, policies and schemas are the registrars' alone.
* Statements signed with a compromised key are affirmed by the person whose key it was, with another key and in a role
  they hold; by two administrators of their site; or, where it was a registrar's or the ledger's own, by registrars.
* In the roles that the registrars named as hybrid, an ML-DSA-65 key signs beside another.
* An administrator's training holds at the time of signing.
* The meaning is a person's, never that of a measurement or of the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    HybridSignatureMissingError,
    NotAdministratorError,
    NotRegisteredError,
    NotRegistrarError,
    RegistryRoleError,
)
from cellcustody.ledger.registry.records import ROLE_ADMINISTRATOR, ROLE_REGISTRAR
from cellcustody.ledger.registry.state import RegistryView
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.v1 import registry_pb2, statement_pb2

__all__ = ["Authority", "authority_of", "check_authority", "check_co_signer"]

_NO_PERSONS_MEANINGS: Final = frozenset({statement_pb2.MEANING_MEASURED, statement_pb2.MEANING_LEDGER})


@dataclass(frozen=True, slots=True)
class Authority:
    """The role an act is done in, the site it is done for (None for registrars), and how many others must join."""

    role: str
    site: bytes | None
    co_signers_needed: int
    holder: bytes | None = None
    """The person whose own key it is about, who alone may do the act in this role."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """The site whose administrators may do an act (None: registrars alone), and whether two of them must."""

    site: bytes | None
    is_about_administrator: bool = False
    holder: bytes | None = None
    """Who may do it alone, for it is about their own key."""


_REGISTRARS_ALONE: Final = _Scope(None)


def authority_of(view: RegistryView, statement: RegistryStatement) -> Authority:
    """Returns the authority that the act needs in the role in which it was signed.

    Raises:
        RegistryRoleError: no authority comes with that role for that act, or with that meaning.
        NotRegisteredError: the act names a site, person, device or key that is not registered.
    """
    if statement.meaning in _NO_PERSONS_MEANINGS:
        raise RegistryRoleError("the meaning is not a person's", meaning=statement.meaning)
    scope = _scope_of(view, statement)
    registrars = view.registrars
    if statement.role == ROLE_REGISTRAR and registrars is not None:
        return Authority(ROLE_REGISTRAR, None, registrars.threshold - 1)
    if scope.site is not None and scope.holder == statement.signer:
        return Authority(statement.role, scope.site, 0, scope.holder)
    if statement.role == ROLE_ADMINISTRATOR and scope.site is not None:
        return Authority(ROLE_ADMINISTRATOR, scope.site, 1 if scope.is_about_administrator else 0)
    raise RegistryRoleError("no such act is done in this role", role=statement.role, body_type=statement.body_type)


def check_authority(view: RegistryView, authority: Authority, statement: RegistryStatement) -> None:
    """Returns if the signer has the authority.

    Raises:
        NotRegistrarError: they are no registrar.
        NotAdministratorError: they are no administrator, in training, of the site.
        HybridSignatureMissingError: the role asks for an ML-DSA-65 signature beside another.
    """
    _check_hybrid(view, authority, statement)
    if authority.holder is not None:
        person = view.person(statement.signer)
        if person is None or person.grant_of(authority.role) is None:
            raise RegistryRoleError("the signer does not hold the role", role=authority.role, signer=statement.signer)
        return
    if authority.site is None:
        registrars = view.registrars
        if registrars is None or statement.signer not in registrars.members:
            raise NotRegistrarError("the signer is no registrar", signer=statement.signer)
        return
    person = view.person(statement.signer)
    grant = person.grant_of(ROLE_ADMINISTRATOR) if person is not None and person.site == authority.site else None
    if grant is None:
        raise NotAdministratorError(
            "the signer is no administrator of the site", signer=statement.signer, site=authority.site
        )
    if grant.trained_until is not None and statement.signed_at > grant.trained_until:
        raise NotAdministratorError(
            "the administrator's training has lapsed", signer=statement.signer, trained_until=grant.trained_until
        )


def check_co_signer(view: RegistryView, authority: Authority, co_signature: RegistryStatement) -> None:
    """Returns if the co-signer has the same authority, in the same role.

    Raises:
        CoSignerNotPermittedError: they have not; `because` says why.
    """
    if co_signature.role != authority.role or co_signature.meaning in _NO_PERSONS_MEANINGS:
        raise CoSignerNotPermittedError(
            "a co-signature is given in the role of the act", role=co_signature.role, needed=authority.role
        )
    try:
        check_authority(view, authority, co_signature)
    except (NotRegistrarError, NotAdministratorError, HybridSignatureMissingError) as refusal:
        raise CoSignerNotPermittedError(refusal.message, because=refusal.reason, **refusal.values) from refusal


def _check_hybrid(view: RegistryView, authority: Authority, statement: RegistryStatement) -> None:
    registrars = view.registrars
    asked = frozenset() if registrars is None else registrars.hybrid_roles
    if authority.role in asked and not view.is_hybrid(statement.key_ids):
        raise HybridSignatureMissingError(
            "the role asks for an ML-DSA-65 signature beside another", signer=statement.signer, role=authority.role
        )


def _scope_of(view: RegistryView, statement: RegistryStatement) -> _Scope:
    match statement.body:
        case registry_pb2.PersonEnrolled() as body:
            grants = (grant.role for grant in body.person.roles)
            return _Scope(_registered_site(view, body.site), ROLE_ADMINISTRATOR in grants)
        case registry_pb2.PersonChanged() as body:
            becomes = any(grant.role == ROLE_ADMINISTRATOR for grant in body.roles)
            scope = _scope_of_holder(view, body.person)
            return _Scope(scope.site, scope.is_about_administrator or becomes)
        case registry_pb2.EmergencyCredentialGranted() as body:
            return _Scope(_scope_of_holder(view, body.person).site, is_about_administrator=True)
        case registry_pb2.DeviceEnrolled() as body:
            return _Scope(_registered_site(view, body.site))
        case registry_pb2.KeyAdded() as body:
            return _scope_of_holder(view, body.holder)
        case registry_pb2.StatementsAffirmed() as body:
            record = view.key_record(body.key_id)
            if record is None:
                raise NotRegisteredError("no such key is registered", key_id=body.key_id)
            # Two administrators, for one alone could make good what was signed with a key that they had stolen.
            scope = _scope_of_holder(view, record.holder)
            return _Scope(scope.site, is_about_administrator=True, holder=record.holder)
        case registry_pb2.KeySuspended() as body:
            return _Scope(_scope_of_key(view, body.key_id).site)
        case registry_pb2.KeyRetired() | registry_pb2.KeyReinstated() | registry_pb2.KeyRevoked() as body:
            return _scope_of_key(view, body.key_id)
        case (
            registry_pb2.SiteEnrolled()
            | registry_pb2.SiteChanged()
            | registry_pb2.LogKeysRotated()
            | registry_pb2.ServiceKeyRotated()
            | registry_pb2.RegistrarsChanged()
            | registry_pb2.PolicyPublished()
            | registry_pb2.SchemaPublished()
        ):
            return _REGISTRARS_ALONE
        case _:
            raise RegistryRoleError("not an act of the registry", body_type=statement.body_type)


def _registered_site(view: RegistryView, site: bytes) -> bytes:
    if view.site(site) is None:
        raise NotRegisteredError("no such site is registered", site=site)
    return site


def _scope_of_key(view: RegistryView, key_id: bytes) -> _Scope:
    record = view.key_record(key_id)
    if record is None:
        raise NotRegisteredError("no such key is registered", key_id=key_id)
    return _scope_of_holder(view, record.holder)


def _scope_of_holder(view: RegistryView, holder: bytes) -> _Scope:
    registrars = view.registrars
    if registrars is not None and holder in registrars.members:
        return _REGISTRARS_ALONE
    person = view.person(holder)
    if person is not None:
        return _Scope(person.site, person.grant_of(ROLE_ADMINISTRATOR) is not None)
    device = view.device(holder)
    if device is not None:
        return _Scope(device.site)
    raise NotRegisteredError("no such person or device is registered", holder=holder)
