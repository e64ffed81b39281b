"""Stories of registrars and administrators: who may do what, and who must join."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry import KeyState
from cellcustody.ledger.registry.errors import (
    AdministratorsTooFewError,
    CoSignatureRepeatedError,
    CoSignerNotPermittedError,
    DifferentPersonNeededError,
    IdTakenError,
    JoinedStatementUnknownError,
    KeyRevokedError,
    KeyStateError,
    KeyTakenError,
    NotAdministratorError,
    NotPendingError,
    NotRegisteredError,
    NotRegistrarError,
    PossessionNotProvenError,
    QuorumUnreachableError,
    RegistryFieldInvalidError,
    RegistryRoleError,
    ServiceKeyInUseError,
    TlsKeyTakenError,
)
from cellcustody.ledger.statements import PayloadType, sign_envelope
from cellcustody.v1 import envelope_pb2, options_pb2, registry_pb2, statement_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import RegistryWorld

OTHER_SITE = bytes(range(16))


def test_a_site_is_enrolled_by_a_quorum_of_registrars(world: RegistryWorld) -> None:
    """One registrar asks, nothing happens; the second joins, and the site is there from the entry after that."""
    world.founds()
    enrolled = world.does(world.site_enrolled(), world.registrars[0])
    assert enrolled.status is Status.PENDING
    assert world.state.latest.site(world.site) is None
    assert [joined.statement.digest for joined in world.state.pending()] == [enrolled.digest]

    joined = world.joins(enrolled, world.registrars[2])

    assert joined.judged.puts_in_effect == enrolled.digest
    assert world.state.as_of(joined.leaf_index).site(world.site) is None
    site = world.state.as_of(joined.leaf_index + 1).site(world.site)
    assert site is not None
    assert (site.facility, site.capabilities) == ("A9999", frozenset([int(options_pb2.CAPABILITY_COLLECT)]))
    assert world.state.latest.site_of_tls_key(site.tls_key_ids[0]) == world.site
    assert set(world.state.latest.administrators(world.site)) == {party.id for party in world.administrators}
    assert not world.state.pending()


def test_a_co_signer_is_another_registrar(hospital: RegistryWorld) -> None:
    """Not the signer again, not an administrator, not a registrar in another role, and nobody twice."""
    hospital.quorum_does(
        registry_pb2.RegistrarsChanged(
            registrars=[hospital.registrar(party) for party in hospital.registrars], threshold=3
        )
    )
    change = hospital.does(_site_changed(hospital), hospital.registrars[0])
    assert change.judged.co_signers_needed == 2

    with pytest.raises(DifferentPersonNeededError):
        hospital.joins(change, hospital.registrars[0])
    with pytest.raises(CoSignerNotPermittedError):
        hospital.joins(change, hospital.administrators[0])
    with pytest.raises(CoSignerNotPermittedError) as refusal:
        hospital.joins(change, hospital.administrators[0], role="registrar")
    assert refusal.value.values["because"] == "NOT_REGISTRAR"
    with pytest.raises(CoSignerNotPermittedError):
        hospital.joins(change, hospital.registrars[1], role="administrator")

    assert hospital.joins(change, hospital.registrars[1]).judged.co_signers_needed == 1
    with pytest.raises(CoSignatureRepeatedError):
        hospital.joins(change, hospital.registrars[1])
    assert hospital.joins(change, hospital.registrars[2]).judged.puts_in_effect == change.digest
    with pytest.raises(NotPendingError):
        hospital.joins(change, hospital.registrars[2])


def test_a_co_signature_may_come_before_what_it_joins_and_is_tried_again(hospital: RegistryWorld) -> None:
    """An outbox may deliver out of order; the refusal is retryable."""
    change = hospital.statement(_site_changed(hospital), hospital.registrars[0])
    joining = hospital.statement(None, hospital.registrars[1], joins=change.digest)

    with pytest.raises(JoinedStatementUnknownError):
        hospital.judged(joining)


def test_only_registrars_enrol_sites(hospital: RegistryWorld) -> None:
    """An administrator can neither do it in their own role nor in that of a registrar."""
    body = hospital.site_enrolled(
        OTHER_SITE, [hospital.party("a", "administrator"), hospital.party("b", "administrator")]
    )
    with pytest.raises(RegistryRoleError):
        hospital.does(body, hospital.administrators[0])
    with pytest.raises(NotRegistrarError):
        hospital.does(body, hospital.administrators[0], role="registrar")
    with pytest.raises(RegistryRoleError):
        hospital.does(body, hospital.registrars[0], role="ward_nurse")
    with pytest.raises(RegistryRoleError):
        hospital.does(body, hospital.registrars[0], meaning=statement_pb2.MEANING_LEDGER)


def test_what_is_judged_again_at_the_last_co_signature_may_fail_there(hospital: RegistryWorld) -> None:
    """Two enrolments of one site wait; the first to be joined wins, and the other's co-signature is refused."""
    a, b = hospital.party("a", "administrator"), hospital.party("b", "administrator")
    first = hospital.does(hospital.site_enrolled(OTHER_SITE, [a, b], tls=[bytes(32)]), hospital.registrars[0])
    second = hospital.does(hospital.site_enrolled(OTHER_SITE, [a, b], tls=[bytes(32)]), hospital.registrars[1])
    hospital.joins(second, hospital.registrars[2])

    with pytest.raises(IdTakenError):
        hospital.joins(first, hospital.registrars[2])

    assert [joined.statement.digest for joined in hospital.state.pending()] == [first.digest]


def test_an_act_signed_with_a_key_revoked_meanwhile_does_not_take_effect(hospital: RegistryWorld) -> None:
    """A stolen card cannot leave acts behind that others put in effect later."""
    first, second, third = hospital.registrars
    change = hospital.does(_site_changed(hospital), first)
    hospital.quorum_does(registry_pb2.KeyRevoked(key_id=first.key_id))

    with pytest.raises(KeyRevokedError):
        hospital.joins(change, second)

    assert hospital.state.acts[change.digest].in_effect_at is None
    assert third.id in hospital.state.latest.registrars.members  # type: ignore[union-attr]  # founded


def test_a_co_signer_who_lost_the_key_meanwhile_no_longer_counts(hospital: RegistryWorld) -> None:
    """With a threshold of three, one of two co-signers is revoked before the last one joins."""
    first, second, third = hospital.registrars
    fourth = hospital.party("registrar 4", "registrar")
    everyone = sorted([*hospital.registrars, fourth], key=lambda party: party.id)
    hospital.quorum_does(
        registry_pb2.RegistrarsChanged(registrars=[hospital.registrar(party) for party in everyone], threshold=3)
    )
    change = hospital.does(_site_changed(hospital), first)
    hospital.joins(change, second)
    revoked = hospital.does(registry_pb2.KeyRevoked(key_id=second.key_id), first)
    hospital.joins(revoked, third)
    hospital.joins(revoked, fourth)

    assert hospital.joins(change, third).judged.co_signers_needed == 1
    assert hospital.joins(change, fourth).judged.puts_in_effect == change.digest


def test_an_administrator_enrols_the_people_and_devices_of_their_own_site(hospital: RegistryWorld) -> None:
    """One administrator is enough, and those of another site are none."""
    nurse = hospital.party("nurse", "collection_nurse")
    tablet = hospital.party("tablet", "device")
    assert hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0]).status is Status.IN_EFFECT
    assert hospital.does(hospital.device_enrolled(tablet), hospital.administrators[1]).status is Status.IN_EFFECT

    a, b = hospital.party("a", "administrator"), hospital.party("b", "administrator")
    hospital.quorum_does(hospital.site_enrolled(OTHER_SITE, [a, b], tls=[bytes(32)]))
    with pytest.raises(NotAdministratorError):
        hospital.does(hospital.person_enrolled(hospital.party("nurse 2", "collection_nurse")), a)
    with pytest.raises(NotAdministratorError):
        hospital.does(
            hospital.person_enrolled(hospital.party("nurse 2", "collection_nurse")), nurse, role="administrator"
        )
    with pytest.raises(NotAdministratorError):
        hospital.does(registry_pb2.KeySuspended(key_id=nurse.key_id), a)


def test_an_administrator_whose_training_lapsed_enrols_nobody(hospital: RegistryWorld) -> None:
    """Training holds at the time of signing, or the act is refused."""
    until = hospital.now + hospital.DAY
    grants = [registry_pb2.RoleGrant(role="administrator", trained_until_unix_micros=until)]
    change = registry_pb2.PersonChanged(person=hospital.administrators[0].id, roles=grants)
    hospital.joins(hospital.does(change, hospital.administrators[0]), hospital.administrators[1])

    nurse = hospital.party("nurse", "collection_nurse")
    enrolled = hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    assert enrolled.status is Status.IN_EFFECT
    hospital.passes(2 * hospital.DAY)
    with pytest.raises(NotAdministratorError) as refusal:
        hospital.does(
            hospital.person_enrolled(hospital.party("nurse 2", "collection_nurse")), hospital.administrators[0]
        )
    assert refusal.value.values["trained_until"] == str(until)


def test_what_concerns_an_administrator_needs_the_other(hospital: RegistryWorld) -> None:
    """Neither can take the other out, nor bring in a third, alone; suspending is the exception."""
    one, other = hospital.administrators
    third = hospital.party("administrator 3", "administrator")

    enrolled = hospital.does(hospital.person_enrolled(third), one)
    assert enrolled.status is Status.PENDING
    hospital.joins(enrolled, other)
    revoked = hospital.does(registry_pb2.KeyRevoked(key_id=third.key_id), one)
    assert revoked.status is Status.PENDING
    hospital.joins(revoked, other)

    assert hospital.does(registry_pb2.KeySuspended(key_id=other.key_id), one).status is Status.IN_EFFECT
    assert hospital.does(registry_pb2.KeyReinstated(key_id=other.key_id), one).status is Status.PENDING


def test_a_person_who_becomes_an_administrator_needs_both(hospital: RegistryWorld) -> None:
    """Granting the role to somebody is a change of the administrators too."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    grants = [registry_pb2.RoleGrant(role="administrator"), registry_pb2.RoleGrant(role="collection_nurse")]

    change = hospital.does(registry_pb2.PersonChanged(person=nurse.id, roles=grants), hospital.administrators[0])

    assert change.judged.co_signers_needed == 1


def test_a_site_keeps_two_administrators(hospital: RegistryWorld) -> None:
    """Not even a quorum of registrars leaves a site with one."""
    with pytest.raises(AdministratorsTooFewError):
        hospital.does(registry_pb2.PersonChanged(person=hospital.administrators[0].id), hospital.registrars[0])
    body = hospital.site_enrolled(OTHER_SITE, [hospital.party("a", "administrator")], tls=[bytes(32)])
    with pytest.raises(AdministratorsTooFewError):
        hospital.does(body, hospital.registrars[0])
    body = hospital.site_enrolled(
        OTHER_SITE, [hospital.party("a", "administrator"), hospital.party("b", "ward_nurse")], tls=[bytes(32)]
    )
    with pytest.raises(AdministratorsTooFewError):
        hospital.does(body, hospital.registrars[0])


def test_registrars_by_quorum_mend_a_lost_site(hospital: RegistryWorld) -> None:
    """Both administrators' cards are lost: registrars give one of them a new key."""
    one, other = hospital.administrators
    hospital.quorum_does(registry_pb2.KeyRevoked(key_id=one.key_id))
    hospital.quorum_does(registry_pb2.KeyRevoked(key_id=other.key_id))
    card = hospital.card("administrator 0")

    hospital.quorum_does(registry_pb2.KeyAdded(holder=one.id, key=hospital.key(one, card)))

    one.signers = [card]
    assert hospital.does(hospital.device_enrolled(hospital.party("tablet", "device")), one).status is Status.IN_EFFECT


def test_a_key_is_proven_by_itself_for_this_ledger_and_this_holder(hospital: RegistryWorld) -> None:
    """Proofs that are forged, made for another holder, ledger or key, or of another kind prove nothing."""
    nurse, thief = hospital.party("nurse", "collection_nurse"), hospital.party("thief", "collection_nurse")
    proof = envelope_pb2.KeyPossession(
        ledger_id=hospital.ledger_id, holder_id=nurse.id, key_id=nurse.key_id, signed_at_unix_micros=hospital.now
    ).SerializeToString(deterministic=True)
    forged = sign_envelope(proof, PayloadType.KEY_POSSESSION, thief.signers)
    other_kind = sign_envelope(proof, PayloadType.READ_TOKEN, nurse.signers)
    two = sign_envelope(proof, PayloadType.KEY_POSSESSION, [*nurse.signers, *thief.signers])
    ledger = hospital.ledger_id
    hospital.ledger_id = OTHER_SITE
    elsewhere = hospital.key(nurse).possession
    hospital.ledger_id = ledger
    for possession in (forged, other_kind, two, elsewhere, hospital.key(thief, nurse.signers[0]).possession, b"", b"x"):
        body = hospital.person_enrolled(nurse)
        body.person.keys[0].possession = possession
        with pytest.raises(PossessionNotProvenError):
            hospital.does(body, hospital.administrators[0])

    assert hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0]).status is Status.IN_EFFECT


def test_a_key_that_is_not_of_the_profile_is_not_enrolled(hospital: RegistryWorld) -> None:
    """A low-order Ed25519 key, under which one signature fits every message, is refused by name."""
    nurse = hospital.party("nurse", "collection_nurse")
    body = hospital.person_enrolled(nurse)
    body.person.keys[0].spki = nurse.signers[0].public_key_spki[:-32] + b"\x01" + bytes(31)

    with pytest.raises(RegistryFieldInvalidError) as refusal:
        hospital.does(body, hospital.administrators[0])

    assert refusal.value.field == "spki"


def test_a_key_has_one_holder_for_good(hospital: RegistryWorld) -> None:
    """Not a second person's, not one that was revoked, not twice in one act, not one that speaks TLS."""
    nurse, other = hospital.party("nurse", "collection_nurse"), hospital.party("other", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    hospital.does(registry_pb2.KeyRevoked(key_id=nurse.key_id), hospital.administrators[0])
    stolen = hospital.person_enrolled(other)
    stolen.person.keys[0].CopyFrom(hospital.key(other, nurse.signers[0]))
    with pytest.raises(KeyTakenError):
        hospital.does(stolen, hospital.administrators[0])
    with pytest.raises(KeyTakenError):
        hospital.does(registry_pb2.KeyAdded(holder=nurse.id, key=hospital.key(nurse)), hospital.administrators[0])

    twice = hospital.person_enrolled(other)
    twice.person.keys.append(twice.person.keys[0])
    with pytest.raises(KeyTakenError):
        hospital.does(twice, hospital.administrators[0])

    hospital.quorum_does(_site_changed(hospital, tls=[other.key_id]))
    with pytest.raises(KeyTakenError):
        hospital.does(hospital.person_enrolled(other), hospital.administrators[0])


def test_a_tls_key_speaks_for_one_site_and_signs_nothing(hospital: RegistryWorld) -> None:
    """It moves to another site only after the first has let go of it."""
    site = hospital.state.latest.site(hospital.site)
    assert site is not None
    tls = site.tls_key_ids[0]
    body = hospital.site_enrolled(
        OTHER_SITE, [hospital.party("a", "administrator"), hospital.party("b", "administrator")], tls=[tls]
    )
    with pytest.raises(TlsKeyTakenError):
        hospital.does(body, hospital.registrars[0])
    with pytest.raises(TlsKeyTakenError):
        hospital.does(_site_changed(hospital, tls=[hospital.registrars[0].key_id]), hospital.registrars[0])

    hospital.quorum_does(_site_changed(hospital, tls=[bytes(32)]))
    assert hospital.state.latest.site_of_tls_key(tls) is None
    hospital.quorum_does(body)
    assert hospital.state.latest.site_of_tls_key(tls) == OTHER_SITE


def test_ids_are_taken_for_good(hospital: RegistryWorld) -> None:
    """One id is one site, person or device."""
    tablet = hospital.party("tablet", "device")
    tablet.id = hospital.administrators[0].id
    with pytest.raises(IdTakenError):
        hospital.does(hospital.device_enrolled(tablet), hospital.administrators[1])
    again = hospital.party("nurse", "collection_nurse")
    again.id = hospital.service.id
    with pytest.raises(IdTakenError):
        hospital.does(hospital.person_enrolled(again), hospital.administrators[1])


def test_what_is_not_registered_may_be_yet_to_come(hospital: RegistryWorld) -> None:
    """Naming an unknown site, person or key is retryable: the statement may be underway."""
    nurse = hospital.party("nurse", "collection_nurse")
    elsewhere = hospital.person_enrolled(nurse)
    elsewhere.site = OTHER_SITE
    for body in (
        elsewhere,
        registry_pb2.PersonChanged(person=nurse.id),
        registry_pb2.KeyRevoked(key_id=nurse.key_id),
        registry_pb2.KeyAdded(holder=nurse.id, key=hospital.key(nurse)),
    ):
        with pytest.raises(NotRegisteredError):
            hospital.does(body, hospital.administrators[0])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("site", {"site": b"short"}),
        ("name", {"name": " padded"}),
        ("facility", {"facility": "O9999"}),
        ("capabilities", {"capabilities": []}),
        ("capabilities", {"capabilities": [1, 1]}),
        ("units", {"units": ["ward", "ward"]}),
        ("tls_key_ids", {"tls_key_ids": [b"short"]}),
    ],
)
def test_the_fields_of_a_site_are_checked_by_name(
    hospital: RegistryWorld, field: str, change: dict[str, object]
) -> None:
    """The refusal names the field."""
    body = hospital.site_enrolled(
        OTHER_SITE, [hospital.party("a", "administrator"), hospital.party("b", "administrator")], tls=[bytes(32)]
    )
    for name, value in change.items():
        body.ClearField(name)  # type: ignore[arg-type]  # names of fields, from the table above
        body.MergeFrom(registry_pb2.SiteEnrolled(**{name: value}))  # type: ignore[arg-type]  # as above

    with pytest.raises(RegistryFieldInvalidError) as refusal:
        hospital.does(body, hospital.registrars[0])

    assert refusal.value.field == field


def test_roles_that_nobody_grants_and_units_that_the_site_has_not(hospital: RegistryWorld) -> None:
    """A person is not made a registrar by an administrator, nor put into another site's unit."""
    for role in ("registrar", "device", "ledger"):
        body = hospital.person_enrolled(hospital.party("nurse", role))
        with pytest.raises(RegistryFieldInvalidError):
            hospital.does(body, hospital.administrators[0])
    body = hospital.person_enrolled(hospital.party("nurse", "collection_nurse"))
    body.person.units.append("another site's ward")
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(body, hospital.administrators[0])


def test_registrars_change_by_a_quorum_of_the_old_ones(hospital: RegistryWorld) -> None:
    """Who stays keeps the key without a second proof; who leaves is no registrar from the next entry on."""
    leaving, staying, also = hospital.registrars
    new = hospital.party("new registrar", "registrar")
    members = sorted([staying, also, new], key=lambda party: party.id)
    body = registry_pb2.RegistrarsChanged(registrars=[hospital.registrar(party) for party in members], threshold=2)
    for registrar in body.registrars:
        if registrar.person != new.id:
            registrar.key.ClearField("possession")
    change = hospital.does(body, leaving)
    with pytest.raises(CoSignerNotPermittedError):
        hospital.joins(change, hospital.administrators[0], role="registrar")

    hospital.joins(change, staying)

    with pytest.raises(NotRegistrarError):
        hospital.does(_site_changed(hospital), leaving)
    hospital.joins(hospital.does(_site_changed(hospital), new), also)


def test_a_registrar_is_not_named_with_a_key_that_is_out_of_use(hospital: RegistryWorld) -> None:
    """Nor with somebody else's."""
    first = hospital.registrars[0]
    hospital.quorum_does(registry_pb2.KeySuspended(key_id=first.key_id))
    body = registry_pb2.RegistrarsChanged(
        registrars=[hospital.registrar(party) for party in hospital.registrars], threshold=2
    )

    with pytest.raises(KeyStateError):
        hospital.does(body, hospital.registrars[1])


def test_the_quorum_of_registrars_stays_reachable(hospital: RegistryWorld) -> None:
    """Of three registrars of whom it takes two, one key can go; the second needs a new key first."""
    first, second, third = hospital.registrars
    hospital.quorum_does(registry_pb2.KeyRevoked(key_id=third.key_id))

    with pytest.raises(QuorumUnreachableError):
        hospital.does(registry_pb2.KeySuspended(key_id=second.key_id), first)

    card = hospital.card("second")
    hospital.quorum_does(registry_pb2.KeyAdded(holder=second.id, key=hospital.key(second, card)))
    hospital.quorum_does(registry_pb2.KeyRetired(key_id=second.key_id))
    second.signers = [card]
    hospital.joins(hospital.does(_site_changed(hospital), first), second)


def test_the_keys_of_registrars_are_not_an_administrators_business(hospital: RegistryWorld) -> None:
    """Even where a registrar works at the site."""
    with pytest.raises(RegistryRoleError):
        hospital.does(registry_pb2.KeySuspended(key_id=hospital.registrars[0].key_id), hospital.administrators[0])


def test_the_service_key_is_rotated_never_stopped(hospital: RegistryWorld) -> None:
    """The old one is retired at the entry that puts the new one in effect."""
    old = hospital.service.key_id
    for body in (
        registry_pb2.KeyRevoked(key_id=old),
        registry_pb2.KeyAdded(holder=hospital.service.id, key=hospital.key(hospital.service, hospital.card("s"))),
    ):
        with pytest.raises(ServiceKeyInUseError):
            hospital.does(body, hospital.registrars[0])

    new = hospital.file_key("service, next")
    rotated = hospital.quorum_does(registry_pb2.ServiceKeyRotated(service_key=hospital.key(hospital.service, new)))

    assert hospital.state.as_of(rotated.leaf_index).service_key_id == old
    assert hospital.state.as_of(rotated.leaf_index + 1).service_key_id == new.key_id
    assert hospital.state.key_at(old, rotated.leaf_index + 1).state is KeyState.RETIRED
    hospital.quorum_does(registry_pb2.KeyRevoked(key_id=old, compromised_since_leaf=3))


def test_log_keys_rotate_with_an_overlap(hospital: RegistryWorld) -> None:
    """Checkpoints up to the stated size carry the old key too; a lost key is replaced without."""
    old, new, newer = hospital.log_key(), hospital.log_key("next"), hospital.log_key("after")
    until = hospital.position + 10
    hospital.quorum_does(registry_pb2.LogKeysRotated(log_keys=[new], overlap_until_size=until))

    keys = hospital.state.latest.log_keys
    assert keys is not None
    assert keys.signing(until) == (new, old)
    assert keys.signing(until + 1) == (new,)
    assert hospital.state.as_of(4).log_keys.signing(4) == (old,)  # type: ignore[union-attr]  # founded

    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(registry_pb2.LogKeysRotated(log_keys=[new]), hospital.registrars[0])
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(registry_pb2.LogKeysRotated(log_keys=[newer], overlap_until_size=1), hospital.registrars[0])
    hospital.quorum_does(registry_pb2.LogKeysRotated(log_keys=[newer]))
    assert hospital.state.latest.log_keys.signing(hospital.position) == (newer,)  # type: ignore[union-attr]  # founded


def test_policies_are_published_version_by_version_in_canonical_form(hospital: RegistryWorld) -> None:
    """The pack's digest is its name; what is not canonical, or out of turn, is refused."""
    pack = b'{"steps":["collect"],"zone":"\xc3\xa9"}'
    body = registry_pb2.PolicyPublished(product="demo", jurisdiction="EU", version=1, pack=pack)
    hospital.quorum_does(body)
    policy = hospital.state.latest.newest_policy("demo", "EU")
    assert policy is not None
    assert policy.digest == hashlib.sha256(pack).digest()
    assert hospital.state.latest.policy(policy.digest) == policy

    with pytest.raises(IdTakenError):
        hospital.does(body, hospital.registrars[0])
    for version, text in (
        (3, b'{"a":1}'),
        (2, b'{"a": 1}'),
        (2, b'{"b":1,"a":1}'),
        (2, b"[]"),
        (2, b'{"a":NaN}'),
        (2, b"{"),
    ):
        body = registry_pb2.PolicyPublished(product="demo", jurisdiction="EU", version=version, pack=text)
        with pytest.raises(RegistryFieldInvalidError):
            hospital.does(body, hospital.registrars[0])
    with pytest.raises(IdTakenError):
        hospital.does(
            registry_pb2.PolicyPublished(product="demo", jurisdiction="US", version=1, pack=pack),
            hospital.registrars[0],
        )


def test_a_later_schema_takes_a_quorum_and_is_new(hospital: RegistryWorld) -> None:
    """The first registrar's word alone is for the founding."""
    with pytest.raises(IdTakenError):
        hospital.does(hospital.schema(), hospital.registrars[0])
    body = hospital.schema()
    body.descriptor_set = body.descriptor_set + b"\x0a\x0b\x0a\x09new.proto"

    published = hospital.does(body, hospital.registrars[1])

    assert published.status is Status.PENDING
    hospital.joins(published, hospital.registrars[0])
    digest = hashlib.sha256(body.descriptor_set).digest()
    assert hospital.state.latest.schema == hospital.state.latest.schema_of(digest)
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(registry_pb2.SchemaPublished(descriptor_set=b"\x0a"), hospital.registrars[0])
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(registry_pb2.SchemaPublished(descriptor_set=b"\x0a\x00"), hospital.registrars[0])


def _site_changed(world: RegistryWorld, *, tls: list[bytes] | None = None) -> registry_pb2.SiteChanged:
    site = world.state.latest.site(world.site)
    assert site is not None
    return registry_pb2.SiteChanged(
        site=world.site,
        capabilities=[options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_INFUSE],
        units=site.units,
        tls_key_ids=tls if tls is not None else site.tls_key_ids,
    )
