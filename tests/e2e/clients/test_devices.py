"""A device with a key of its own states facts through the wire, and permits nothing."""

import os

import pytest
from tests.e2e.clients.client_world import World
from tests.e2e.clients.test_two_sites import opened

from cellcustody.clients import Identity, LocalStore, Session, SiteClient, StatementRefused, draw_signer
from cellcustody.clients.registrar import new_device
from cellcustody.clients.session import unix_micros
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry import ROLE_DEVICE
from cellcustody.v1 import registry_pb2, statement_pb2


def test_a_station_states_facts_and_permits_nothing(world: World) -> None:
    """Enrolled with the proof of its key by an administrator, it signs in the role of a device."""
    own, device = draw_signer(), os.urandom(16)
    desk = world.desks["hospital/administrator"]
    with world.site("hospital/administrator") as administrator:
        now = unix_micros(administrator.session.clock())
        administrator.enrol_device(
            new_device(desk.site, device, "station", [own], ledger_id=world.founded.ledger_id, signed_at=now)
        )
    machine = statement_pb2.AUTHENTICATION_METHOD_MACHINE
    identity = Identity(
        world.founded.ledger_id, device, device, ROLE_DEVICE, "station", desk.site, authentication=machine
    )
    session = Session(identity, [own], "Europe/Berlin", LocalStore(":memory:"))
    with SiteClient(world.connect(desk.tls), session) as station:
        recorded = station.open_consignment(world.new_consignment(), opened(world))
        with pytest.raises(StatementRefused) as refused:
            station.suspend_key(registry_pb2.KeySuspended(key_id=own.key_id))

    assert recorded.status is Status.CONFORMING, recorded.findings
    assert refused.value.refusal_reason == "PERSON_NEEDED"
