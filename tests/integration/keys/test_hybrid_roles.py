"""Roles in which an ML-DSA-65 key signs beside another: a finding for facts, a refusal for what permits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from key_world import REGISTRY, KeyWorld
from ledger_harness import Signing

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.errors import SignatureRefusedError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError
from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    HybridSignatureMissingError,
    QuorumUnreachableError,
    RegistryFieldInvalidError,
)
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import Ed25519Signer, MlDsa65Signer, Signer
from cellcustody.ledger.verification import Outcome, SignerInvalidError, verify_dossier
from cellcustody.v1 import quality_pb2, registry_pb2

HYBRID = "HYBRID_KEY_MISSING"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeyWorld]:
    """A ledger whose pack asks two keys of nurses."""
    made = KeyWorld(tmp_path, hybrid_roles=("collection_nurse",), second_key=True)
    yield made
    made.close()


def codes(recorded: Recorded) -> set[str]:
    """Returns the codes found."""
    assert recorded.judgement is not None
    return {one.code for one in recorded.judgement.judged.findings}


def test_a_fact_under_one_key_is_recorded_with_the_finding(world: KeyWorld) -> None:
    """It is nonconforming, and the verifier finds the same from the registry and the pack."""
    alone = world.says(world.nurse)
    assert codes(alone) == {HYBRID}
    assert alone.judgement is not None and alone.judgement.judged.status is Status.NONCONFORMING
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED


def test_a_fact_under_both_keys_conforms(world: KeyWorld) -> None:
    """One signature each, over the same bytes."""
    both = world.says_with_both(world.nurse, world.deviation())
    assert codes(both) == set()
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED


def test_the_second_key_alone_is_not_two(world: KeyWorld) -> None:
    """Should ML-DSA-65 fall one day, the other signature stands."""
    submission = world.signed_with(
        [world.second_keys[world.nurse.person]], world.nurse, world.therapy, world.deviation()
    )
    assert codes(world.harness.submit(submission)) == {HYBRID}


def test_an_authorisation_under_one_key_is_refused(world: KeyWorld) -> None:
    """What permits something is not recorded without the second signature."""
    stated = world.says_with_both(world.nurse, world.deviation())
    retraction = quality_pb2.StatementRetracted(retracted=stated.statement_digest)
    with pytest.raises(RuleRefusedError) as refused:
        world.harness.say(world.nurse, world.therapy, retraction)
    assert HYBRID in {one.code for one in refused.value.findings}
    assert HYBRID not in codes(
        world.says_with_both(world.nurse, retraction, seen=world.harness.all_seen(world.therapy))
    )


def test_a_co_signature_under_one_key_is_refused(world: KeyWorld) -> None:
    """The second person signs with two keys as well."""
    stated = world.says_with_both(world.nurse, world.deviation())
    with pytest.raises(RuleRefusedError) as refused:
        world.harness.co_sign(world.second, world.therapy, stated.statement_digest)
    assert HYBRID in {one.code for one in refused.value.findings}
    joined = world.harness.submit(
        world.signed_with(
            world.both_keys(world.second), world.second, world.therapy, None, joins=stated.statement_digest
        )
    )
    assert codes(joined) == set()
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED


def test_a_signature_left_out_of_an_envelope_is_no_statement(world: KeyWorld) -> None:
    """Every key that the header declares has signed, or it is refused at ingest, and the other way round."""
    first, second = world.both_keys(world.nurse)
    declared = world.signed_with([first, second], world.nurse, world.therapy, world.deviation())
    with pytest.raises(SignatureRefusedError):
        world.harness.submit(world.without_a_signature(declared))


def test_what_the_ledger_hides_of_a_missing_key_is_found(world: KeyWorld) -> None:
    """A ledger that judged under one key what asks for two is told by any verifier."""
    world.forget_hybrid_findings()
    assert codes(world.says(world.nurse)) == set()
    with pytest.raises(SignerInvalidError):
        verify_dossier(world.dossier(), world.anchor)


def hybrid_registrars(world: KeyWorld, *roles: str) -> registry_pb2.RegistrarsChanged:
    """Returns the act with which the registrars ask two keys of those who act in these roles."""
    harness = world.harness
    return registry_pb2.RegistrarsChanged(
        registrars=[
            registry_pb2.Registrar(
                person=one.person,
                key=enrolled_key(one.signer, ledger_id=harness.ledger_id, holder=one.person, signed_at=harness.clock),
                organisation="organisation",
            )
            for one in harness.registrars
        ],
        threshold=2,
        hybrid_roles=roles,
    )


def second_keys_of_registrars(world: KeyWorld) -> dict[bytes, Signer]:
    """Gives every registrar an ML-DSA-65 key."""
    given: dict[bytes, Signer] = {}
    for one in world.harness.registrars:
        signer = given[one.person] = MlDsa65Signer(os.urandom(32))
        key = enrolled_key(signer, ledger_id=world.harness.ledger_id, holder=one.person, signed_at=world.harness.clock)
        world.enacts(registry_pb2.KeyAdded(holder=one.person, key=key))
    return given


def enact_with(world: KeyWorld, keys: Sequence[Sequence[Signer]], body: registry_pb2.KeySuspended) -> Recorded:
    """Lets the registrars enact something, each under these keys."""
    harness = world.harness
    first, second = harness.registrars
    proposed = harness.submit(world.signed_with(keys[0], first, REGISTRY, body))
    return harness.submit(world.signed_with(keys[1], second, REGISTRY, None, joins=proposed.statement_digest))


def test_registrars_ask_two_keys_of_themselves(world: KeyWorld) -> None:
    """Not before as many as the threshold have them; from then on one key is refused, of whom signs and who joins."""
    with pytest.raises(QuorumUnreachableError):
        world.enacts(hybrid_registrars(world, "registrar"))
    with pytest.raises(RegistryFieldInvalidError):
        world.enacts(hybrid_registrars(world, "nurse"))
    second = second_keys_of_registrars(world)
    world.enacts(hybrid_registrars(world, "registrar"))
    body = registry_pb2.KeySuspended(key_id=world.nurse.signer.key_id)
    with pytest.raises(HybridSignatureMissingError):
        world.enacts(body)
    one, other = ([each.signer, second[each.person]] for each in world.harness.registrars)
    with pytest.raises(CoSignerNotPermittedError):
        enact_with(world, [one, other[:1]], body)
    assert enact_with(world, [one, other], body).judgement is not None
    assert verify_dossier(world.dossier(), world.anchor).outcome is Outcome.VERIFIED
    # Nor may one of them lose the second key, while there are but as many as it takes.
    retire = registry_pb2.KeyRetired(key_id=second[world.harness.registrars[0].person].key_id)
    with pytest.raises(QuorumUnreachableError):
        world.harness.submit(world.signed_with(one, world.harness.registrars[0], REGISTRY, retire))


def test_administrators_may_be_asked_too(world: KeyWorld) -> None:
    """An administrator under one key enrols nobody any more."""
    world.enacts(hybrid_registrars(world, "administrator"))
    with pytest.raises(HybridSignatureMissingError):
        world.harness.enrol("nurse", world.hospital, world.administrators[0])


def test_a_stranger_to_both_algorithms_is_told(world: KeyWorld) -> None:
    """Two keys of one algorithm are not two algorithms."""
    other = Ed25519Signer(os.urandom(32))
    world.adds_key(world.nurse.person, other)
    by = Signing(world.nurse.person, world.nurse.signer, world.nurse.role, world.nurse.site)
    submission = world.signed_with([world.nurse.signer, other], by, world.therapy, world.deviation())
    assert codes(world.harness.submit(submission)) == {HYBRID}
