"""The product and the single-file verifier say the same of histories in which keys were rotated, lost and stolen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from key_world import REGISTRY, KeyWorld, new_log_signers
from ledger_harness import Signing

from cellcustody.ledger.registry import encode_anchor
from cellcustody.ledger.registry.possession import enrolled_key
from cellcustody.ledger.statements import Ed25519Signer, MlDsa65Signer
from cellcustody.ledger.verification import DossierError, Outcome, verify_dossier
from cellcustody.v1 import registry_pb2

RUN_SECONDS_MAX = 120
VERIFIER = files("cellcustody.ledger.dossier") / "verifiers" / "verify.py"


def by_product(dossier: bytes, world: KeyWorld) -> tuple[bool, dict[str, str]]:
    """Returns whether the product verifies the dossier, and its verdict on the keys of each statement."""
    try:
        report = verify_dossier(dossier, world.anchor)
    except DossierError:
        return False, {}
    assert report.outcome is Outcome.VERIFIED
    return True, {one.statement_digest.hex(): one.key.value for one in report.statements}


def by_single_file(dossier: bytes, world: KeyWorld, folder: Path) -> tuple[bool, dict[str, str]]:
    """Returns the same of the verifier that dossiers carry, run as anybody would."""
    (folder / "dossier").write_bytes(dossier)
    (folder / "anchor").write_bytes(encode_anchor(world.anchor))
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(folder / "dossier"), str(folder / "anchor"), "--json"],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    assert "Traceback" not in done.stderr, done.stderr
    told = json.loads(done.stdout)
    return done.returncode == 0, {one["statement_digest"]: one["key"] for one in told.get("statements", ())}


def rotated(world: KeyWorld) -> None:
    """In the overlap of two generations of log keys."""
    old = world.harness.log_signers
    world.harness.log_signers = (*old, *new_log_signers())
    world.harness.reopen()
    size = world.harness.store.head().size
    vkeys = [one.vkey for one in world.harness.log_signers[2:]]
    world.enacts(registry_pb2.LogKeysRotated(log_keys=vkeys, overlap_until_size=size + 4))


def lost(world: KeyWorld) -> None:
    """Behind the loss of a log key."""
    harness = world.harness
    gone, kept = harness.log_signers
    new = new_log_signers()[0]
    body = registry_pb2.LogKeysRotated(log_keys=[new.vkey, kept.vkey], lost_keys=[gone.vkey])
    proposed = harness.statement(harness.registrars[0], REGISTRY, body)
    joined = harness.statement(harness.registrars[1], REGISTRY, None, joins=world.digest_of(proposed))
    harness.log_signers, harness.replaces_log_keys = (new, kept), True
    harness.reopen()
    harness.ledger.submit_many([proposed, joined], timeout_seconds=30)


def lost_within_an_overlap(world: KeyWorld) -> None:
    """One of the former keys is lost, the other signs on for a while beside the new ones."""
    gone, kept = world.harness.log_signers
    new = new_log_signers()
    world.harness.log_signers = (*new, kept, gone)
    world.harness.reopen()
    size = world.harness.store.head().size
    body = registry_pb2.LogKeysRotated(
        log_keys=[one.vkey for one in new], overlap_until_size=size + 9, lost_keys=[gone.vkey]
    )
    world.enacts(body)
    keys = world.harness.ledger.registry.latest.log_keys
    assert keys is not None and keys.signing(size + 9) == (new[0].vkey, new[1].vkey, kept.vkey)
    world.harness.log_signers = (*new, kept)
    world.harness.reopen()  # Nobody misses the lost one.
    world.says(world.second)


def service_key_stolen(world: KeyWorld) -> None:
    """The ledger's own key is rotated, and the former one said to have been stolen from the beginning."""
    harness = world.harness
    harness.tick()
    late = harness.statement(world.second, world.therapy, world.deviation())
    harness.tick()
    seen = {world.therapy: world.digest_of(late)}
    harness.submit(harness.statement(world.second, world.therapy, world.deviation(), seen=seen))
    harness.submit(late)  # What waited for it is judged again, in the ledger's own words.
    former, harness.service = harness.service, Ed25519Signer(os.urandom(32))
    key = enrolled_key(
        harness.service, ledger_id=harness.ledger_id, holder=harness.service_device, signed_at=harness.clock
    )
    world.enacts(registry_pb2.ServiceKeyRotated(service_key=key))
    harness.reopen()
    world.enacts(registry_pb2.KeyRevoked(key_id=former.key_id, compromised_since_leaf=0))


def stolen_and_half_affirmed(world: KeyWorld) -> None:
    """Two statements under a stolen key, of which one is affirmed, and one under two keys of which one was stolen."""
    own, _ = world.says(world.nurse), world.says(world.nurse)
    second = MlDsa65Signer(os.urandom(32))
    world.adds_key(world.nurse.person, second)
    world.harness.submit(world.signed_with([world.nurse.signer, second], world.nurse, world.therapy, world.deviation()))
    renewed = Signing(world.nurse.person, Ed25519Signer(os.urandom(32)), world.nurse.role, world.nurse.site)
    world.adds_key(world.nurse.person, renewed.signer)
    world.revokes(world.nurse.signer.key_id, own.position - 1)
    body = registry_pb2.StatementsAffirmed(
        key_id=world.nurse.signer.key_id, statement_digests=[own.statement_digest], grounds="record"
    )
    world.harness.say(renewed, REGISTRY, body, seen={})


def affirmed_by_a_stolen_key(world: KeyWorld) -> None:
    """The affirmation is suspect itself."""
    stolen_and_half_affirmed(world)
    for record in world.harness.ledger.registry.latest.keys_of(world.nurse.person)[1:]:
        world.revokes(record.key_id, 0)


def hybrid_missing(world: KeyWorld) -> None:
    """A fact and its finding, and one as it should be."""
    world.says(world.nurse)
    world.says_with_both(world.nurse, world.deviation())


def hybrid_hidden(world: KeyWorld) -> None:
    """A ledger that keeps silent about the second key that its pack asks for."""
    world.forget_hybrid_findings()
    world.says(world.nurse)


@pytest.mark.parametrize(
    ("history", "is_sound"),
    [
        (rotated, True),
        (lost, True),
        (lost_within_an_overlap, True),
        (service_key_stolen, True),
        (stolen_and_half_affirmed, True),
        (affirmed_by_a_stolen_key, True),
        (hybrid_missing, True),
        (hybrid_hidden, False),
    ],
)
def test_both_say_the_same(history: Callable[[KeyWorld], None], is_sound: bool, tmp_path: Path) -> None:
    """Whether it verifies, and what each statement's keys are worth."""
    is_hybrid = history in (hybrid_missing, hybrid_hidden)
    world = KeyWorld(tmp_path, hybrid_roles=("collection_nurse",) if is_hybrid else (), second_key=is_hybrid)
    try:
        history(world)
        dossier = world.dossier()
        product = by_product(dossier, world)
        assert product == by_single_file(dossier, world, tmp_path)
        assert product[0] is is_sound
        if history in (stolen_and_half_affirmed, service_key_stolen):
            assert list(product[1].values()).count("SUSPECT") == 1
    finally:
        world.close()
