"""A site's client waits for witnesses, an auditor's believes nothing without them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from served_ledger import EnrolledSite, ServedLedger, founded_in, served

from cellcustody.clients import (
    AuditorClient,
    Connection,
    Identity,
    LocalStore,
    Session,
    SiteClient,
    StatementRefused,
    TlsFiles,
    connect,
)
from cellcustody.ledger.statements import Signer
from cellcustody.ledger.transparency import Ed25519Cosigner
from cellcustody.ledger.verification import WitnessQuorumError, verify_receipt
from cellcustody.v1 import options_pb2, quality_pb2

from .witnessed_ledger import NAMES, Witnesses, anchor_of, witnessed_ledger

World = tuple[ServedLedger, Witnesses, EnrolledSite]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with witnessed_ledger(tmp_path_factory.mktemp("clients")) as (ledger, witnesses):
        yield ledger, witnesses, ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)


def connection(ledger: ServedLedger) -> Connection:
    """A connection of the plant."""
    tls = TlsFiles(ledger.founded.authority, ledger.tls / "plant.pem", ledger.tls / "plant.key")
    return connect(target=f"localhost:{ledger.server.grpc_port}", tls=tls, wait_for_ready=True, timeout_seconds=30)


def desk(ledger: ServedLedger, plant: EnrolledSite) -> SiteClient:
    """The administrator of the plant, at a desk."""
    who = plant.administrator
    signer: Signer = who.signer
    identity = Identity(ledger.founded.ledger_id, who.person, who.device, who.role, "plant", plant.site)
    return SiteClient(connection(ledger), Session(identity, [signer], "UTC", LocalStore(":memory:")))


def test_an_act_waits_for_witnesses_and_is_asked_for_again(world: World) -> None:
    """Without a quorum it is recorded and says so; sent again, the same bytes get the witnessed receipt."""
    ledger, witnesses, plant = world
    body = quality_pb2.DeviationRaised(description="seen late")
    with desk(ledger, plant) as site:
        at_once = site.act(ledger.therapy(), body, witnessed=True)
        assert at_once.witnessed
        entry = site.entry(leaf_index=at_once.leaf_index).entry
        assert len(verify_receipt(at_once.receipt, entry, anchor_of(ledger)).witnesses or ()) >= 2

        for number in range(len(NAMES)):
            witnesses.stop(number)
        draft = site.session.draft(ledger.therapy(), body, {})
        signed = site.session.sign(draft, {})
        later = site.resubmit(signed, witnessed=True, timeout_seconds=6)
        assert (later.witnessed, later.position > at_once.position) == (False, True)
        assert not site.act(ledger.therapy(), body).witnessed
        for number in range(len(NAMES)):
            witnesses.start(number)
        again = site.resubmit(signed, witnessed=True, timeout_seconds=60)
        assert (again.witnessed, again.already_recorded, again.position) == (True, True, later.position)


def test_an_auditor_with_a_policy_believes_the_quorum_alone(world: World, tmp_path: Path) -> None:
    ledger, _, plant = world
    anchor = anchor_of(ledger)
    with desk(ledger, plant) as site:
        recorded = site.act(ledger.therapy(), quality_pb2.DeviationRaised(description="late"), witnessed=True)

    def auditor(policy: str) -> AuditorClient:
        return AuditorClient(
            connection(ledger),
            origin=anchor.log_origin,
            log_keys=anchor.log_keys,
            founding_digest=anchor.founding_digest,
            witness_policy=policy,
        )

    with auditor(anchor.witness_policy) as asks:
        found = asks.receipt(leaf_index=recorded.leaf_index)
        assert len(found.witnesses or ()) >= 2
        asks.checkpoint()
    stranger = Ed25519Cosigner("stranger.example/w", Ed25519PrivateKey.generate())
    with auditor(f"witness s {stranger.vkey}\nquorum s\n") as asks:
        with pytest.raises(WitnessQuorumError) as unmet:
            asks.receipt(leaf_index=recorded.leaf_index)
        assert (unmet.value.values["signed"], unmet.value.values["lacking"]) == ("", "s")
        with pytest.raises(WitnessQuorumError):
            asks.checkpoint()
        assert asks.believed is None
    with auditor("") as asks:
        assert asks.receipt(leaf_index=recorded.leaf_index).witnesses is None


def test_a_ledger_without_witnesses_takes_no_act_that_is_to_wait(tmp_path: Path) -> None:
    with served(founded_in(tmp_path / "alone")) as ledger:
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        with desk(ledger, plant) as site, pytest.raises(StatementRefused) as refused:
            site.act(ledger.therapy(), quality_pb2.DeviationRaised(description="late"), witnessed=True)
    assert refused.value.refusal_reason == "NO_WITNESSES"
