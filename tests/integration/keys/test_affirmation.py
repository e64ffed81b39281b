"""A stolen key: what it signed is suspect, until whoever may say so says that it was theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from key_world import REGISTRY, KeyWorld
from ledger_harness import MICROS, Signing

from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.registry import KeyVerdict
from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    KeyRetiredError,
    KeyRevokedError,
    KeyStateError,
    RegistryFieldInvalidError,
    RegistryRoleError,
)
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import Ed25519Signer, MlDsa65Signer
from cellcustody.ledger.verification import Outcome, verify_dossier
from cellcustody.v1 import registry_pb2


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeyWorld]:
    """A ledger of the test's own."""
    made = KeyWorld(tmp_path)
    yield made
    made.close()


def new_key(world: KeyWorld) -> Signing:
    """Gives the nurse a second key; returns them signing with it."""
    signer = Ed25519Signer(os.urandom(32))
    world.adds_key(world.nurse.person, signer)
    return Signing(world.nurse.person, signer, world.nurse.role, world.nurse.site)


def affirmation(world: KeyWorld, *stated: Recorded) -> registry_pb2.StatementsAffirmed:
    """Returns the act that affirms statements signed with the nurse's first key."""
    return registry_pb2.StatementsAffirmed(
        key_id=world.nurse.signer.key_id,
        statement_digests=sorted(one.statement_digest for one in stated),
        grounds="paper record of the ward",
    )


def verdicts(world: KeyWorld) -> dict[bytes, str]:
    """Returns what an offline verifier with the anchor says of the keys of every statement of the therapy."""
    report = verify_dossier(world.dossier(), world.anchor)
    assert report.outcome is Outcome.VERIFIED
    return {one.statement_digest: one.key.value for one in report.statements}


def test_a_stolen_key_makes_suspect_what_came_since(world: KeyWorld) -> None:
    """Before the leaf named VALID, from there on SUSPECT, and nothing more is taken under the key."""
    before = world.says(world.nurse)
    since = world.says(world.nurse)
    world.revokes(world.nurse.signer.key_id, since.position - 1)
    assert verdicts(world)[before.statement_digest] == "VALID"
    assert verdicts(world)[since.statement_digest] == "SUSPECT"
    with pytest.raises(KeyRevokedError):
        world.says(world.nurse)


def test_the_person_affirms_with_a_new_key(world: KeyWorld) -> None:
    """What they affirm is VALID, what they leave out stays SUSPECT, and the dossier carries both offline."""
    own, forged = world.says(world.nurse), world.says(world.nurse)
    renewed = new_key(world)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    world.harness.say(renewed, REGISTRY, affirmation(world, own), seen={})
    told = verdicts(world)
    assert (told[own.statement_digest], told[forged.statement_digest]) == ("VALID", "SUSPECT")
    registry = world.harness.ledger.registry
    for one, expected in ((own, KeyVerdict.VALID), (forged, KeyVerdict.SUSPECT)):
        found = registry.verdict_on(
            one.statement_digest,
            [world.nurse.signer.key_id],
            one.position - 1,
            signed_at=world.harness.clock,
            recorded_at=world.harness.clock,
        )
        assert found is expected


def test_an_affirmation_by_a_stolen_key_affirms_nothing(world: KeyWorld) -> None:
    """The second key turns out to have been stolen before the affirmation: it is suspect itself, until affirmed."""
    own = world.says(world.nurse)
    renewed = new_key(world)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    act = world.harness.say(renewed, REGISTRY, affirmation(world, own), seen={})
    world.revokes(renewed.signer.key_id, act.position - 1)
    assert verdicts(world)[own.statement_digest] == "SUSPECT"
    again = registry_pb2.StatementsAffirmed(key_id=renewed.signer.key_id, statement_digests=[act.statement_digest])
    world.two_administrators_enact(again)
    assert verdicts(world)[own.statement_digest] == "VALID"


def test_two_administrators_affirm_for_who_left(world: KeyWorld) -> None:
    """One of them is not enough: the word is pending until the other joins."""
    own = world.says(world.nurse)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    body = affirmation(world, own)
    proposed = world.harness.say(world.administrators[0], REGISTRY, body, seen={})
    assert verdicts(world)[own.statement_digest] == "SUSPECT"
    with pytest.raises(CoSignerNotPermittedError):
        world.harness.co_sign(world.second, REGISTRY, proposed.statement_digest)
    world.harness.co_sign(world.administrators[1], REGISTRY, proposed.statement_digest)
    assert verdicts(world)[own.statement_digest] == "VALID"


def test_the_quorum_affirms(world: KeyWorld) -> None:
    """Registrars may do for a site what its administrators may."""
    own = world.says(world.nurse)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    world.enacts(affirmation(world, own))
    assert verdicts(world)[own.statement_digest] == "VALID"


def test_nobody_else_affirms(world: KeyWorld) -> None:
    """Another nurse of the same site has no say."""
    own = world.says(world.nurse)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    with pytest.raises(RegistryRoleError):
        world.harness.say(world.second, REGISTRY, affirmation(world, own), seen={})
    with pytest.raises(RegistryRoleError):  # A role that they do not hold.
        world.harness.say(new_key(world), REGISTRY, affirmation(world, own), seen={}, role="physician")


def test_only_what_is_suspect_is_affirmed(world: KeyWorld) -> None:
    """A key that nobody called compromised needs no affirmation; digests ascend, each once."""
    own, other = world.says(world.nurse), world.says(world.nurse)
    renewed = new_key(world)
    with pytest.raises(KeyStateError):
        world.harness.say(renewed, REGISTRY, affirmation(world, own), seen={})
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    body = affirmation(world, own, other)
    for wrong in (list(reversed(body.statement_digests)), [own.statement_digest] * 2, [], [b"short"]):
        body.statement_digests[:] = wrong
        with pytest.raises(RegistryFieldInvalidError):
            world.harness.say(renewed, REGISTRY, body, seen={})


def test_a_second_key_that_nobody_stole_keeps_a_statement_valid(world: KeyWorld) -> None:
    """Under two keys of which one was stolen: the thief could not have made the other signature."""
    second = MlDsa65Signer(os.urandom(32))
    world.adds_key(world.nurse.person, second)
    both = world.harness.submit(
        world.signed_with([world.nurse.signer, second], world.nurse, world.therapy, world.deviation())
    )
    alone = world.says(world.nurse)
    world.revokes(world.nurse.signer.key_id, both.position - 1)
    told = verdicts(world)
    assert (told[both.statement_digest], told[alone.statement_digest]) == ("VALID", "SUSPECT")


def test_honest_statements_arrive_after_a_retirement(world: KeyWorld) -> None:
    """Signed before it and within the grace: taken, and said to be late; after the grace, or signed later: refused."""
    harness = world.harness
    early = harness.statement(world.nurse, world.therapy, world.deviation())
    too_late = harness.statement(world.nurse, world.therapy, world.deviation())
    harness.tick()
    retired = registry_pb2.KeyRetired(key_id=world.nurse.signer.key_id, grace_seconds=3600)
    harness.say(world.administrators[0], REGISTRY, retired, seen={})
    recorded = harness.submit(early)
    assert recorded.judgement is not None
    assert "LATE_AFTER_RETIREMENT" in {one.code for one in recorded.judgement.judged.findings}
    with pytest.raises(KeyRetiredError):
        world.says(world.nurse)
    harness.clock += 7200 * MICROS
    with pytest.raises(KeyRetiredError):
        harness.submit(too_late)
    assert verdicts(world)[recorded.statement_digest] == "VALID"


def test_a_site_that_lost_both_administrators_is_given_new_ones(world: KeyWorld) -> None:
    """The registrars add keys for them; the old keys are revoked, and the new ones enrol again."""
    harness = world.harness
    for one in world.administrators:
        renewed = Ed25519Signer(os.urandom(32))
        key = enrolled_key(renewed, ledger_id=harness.ledger_id, holder=one.person, signed_at=harness.clock)
        world.enacts(registry_pb2.KeyAdded(holder=one.person, key=key))
        world.enacts(registry_pb2.KeyRevoked(key_id=one.signer.key_id))
        with pytest.raises(KeyRevokedError):
            harness.enrol("collection_nurse", world.hospital, one)
        one.signer = renewed
    again = harness.enrol("collection_nurse", world.hospital, world.administrators[0])
    stated = world.says(again)
    assert verdicts(world)[stated.statement_digest] == "VALID"


def test_a_person_who_lost_the_key_is_given_another(world: KeyWorld) -> None:
    """An administrator adds one and retires the lost one; it is the same person."""
    renewed = new_key(world)
    retired = registry_pb2.KeyRetired(key_id=world.nurse.signer.key_id)
    world.harness.say(world.administrators[0], REGISTRY, retired, seen={})
    stated = world.says(renewed)
    assert verdicts(world)[stated.statement_digest] == "VALID"
    with pytest.raises(KeyRetiredError):
        world.says(world.nurse)


def test_a_registrar_is_replaced_by_the_quorum(world: KeyWorld) -> None:
    """The new one counts from there on, and the former one's word for nothing."""
    harness = world.harness
    former, stays = harness.registrars
    joins = Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), "registrar")
    members = sorted((stays, joins), key=lambda one: one.person)
    body = registry_pb2.RegistrarsChanged(
        registrars=[
            registry_pb2.Registrar(
                person=one.person,
                key=enrolled_key(one.signer, ledger_id=harness.ledger_id, holder=one.person, signed_at=harness.clock),
                organisation="organisation",
            )
            for one in members
        ],
        threshold=2,
    )
    world.enacts(body)
    harness.registrars = [stays, joins]
    harness.site("laboratory", 5)
    proposed = harness.say(stays, REGISTRY, registry_pb2.KeySuspended(key_id=world.nurse.signer.key_id), seen={})
    with pytest.raises(CoSignerNotPermittedError):
        harness.co_sign(former, REGISTRY, proposed.statement_digest)


def test_for_a_registrars_key_only_the_quorum_speaks(world: KeyWorld) -> None:
    """What a stolen registrar's key enacted is suspect; its holder alone cannot affirm it, nor administrators."""
    harness = world.harness
    first, second = harness.registrars
    harness.site("laboratory", 5)
    leaf = harness.store.head().size - 2  # The proposal, which the first registrar signed.
    renewed = Ed25519Signer(os.urandom(32))
    key = enrolled_key(renewed, ledger_id=harness.ledger_id, holder=first.person, signed_at=harness.clock)
    world.enacts(registry_pb2.KeyAdded(holder=first.person, key=key))
    stolen = first.signer
    world.enacts(registry_pb2.KeyRevoked(key_id=stolen.key_id, compromised_since_leaf=leaf))
    digest = world.digest_at(leaf)
    registry = harness.ledger.registry
    assert registry.is_suspect(digest, [stolen.key_id], leaf)

    harness.registrars = [Signing(first.person, renewed, "registrar"), second]
    body = registry_pb2.StatementsAffirmed(key_id=stolen.key_id, statement_digests=[digest])
    with pytest.raises(RegistryRoleError):
        harness.say(world.administrators[0], REGISTRY, body, seen={})
    harness.say(harness.registrars[0], REGISTRY, body, seen={})
    assert registry.is_suspect(digest, [stolen.key_id], leaf)  # Pending: one registrar is no quorum.
    world.enacts(body)
    assert not registry.is_suspect(digest, [stolen.key_id], leaf)
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED
