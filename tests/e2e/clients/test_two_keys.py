"""Roles that ask for an ML-DSA-65 signature beside another: through the wire, from key files that a profile names."""

import json
from pathlib import Path

import pytest
from tests.e2e.clients.client_world import PASSPHRASE, World, running_world

from cellcustody.clients import Identity, LocalStore, Session, SiteClient, StatementRefused, enrolled_key
from cellcustody.clients.cli.profile import read_profile
from cellcustody.clients.registrar import REGISTRY, new_device
from cellcustody.clients.session import system_clock, unix_micros
from cellcustody.clients.signers import COST_LIGHT, KeyKind, create_key_file, holder_of_file, open_key_file
from cellcustody.ledger.registry import ROLE_ADMINISTRATOR
from cellcustody.ledger.statements import Signer
from cellcustody.v1 import registry_pb2


def proof(world: World, holder: bytes, signer: Signer) -> registry_pb2.EnrolledKey:
    """Returns a key with the proof that its holder has it."""
    now = unix_micros(system_clock())
    return enrolled_key(signer, ledger_id=world.founded.ledger_id, holder=holder, signed_at=now)


def asked_of_administrators(world: World) -> registry_pb2.RegistrarsChanged:
    """Returns the act by which the registrars, who stay, ask two keys of administrators."""
    registrars = []
    for path in world.founded.registrars:
        person = holder_of_file(path)
        registrars.append(
            registry_pb2.Registrar(
                person=person, key=proof(world, person, open_key_file(path, PASSPHRASE)), organisation="organisation"
            )
        )
    registrars.sort(key=lambda one: one.person)
    return registry_pb2.RegistrarsChanged(registrars=registrars, threshold=2, hybrid_roles=[ROLE_ADMINISTRATOR])


def test_an_administrator_signs_with_two_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key is refused by name; both together, opened as a profile says, are taken."""
    monkeypatch.setenv("CELLCUSTODY_PASSPHRASE", PASSPHRASE)
    with running_world(tmp_path) as world:
        desk = world.desks["hospital/administrator"]
        second = create_key_file(
            tmp_path / "second.json", PASSPHRASE, kind=KeyKind.ML_DSA_65, holder=desk.person, cost=COST_LIGHT
        )
        third = create_key_file(tmp_path / "third.json", PASSPHRASE, holder=desk.person, cost=COST_LIGHT)
        registrars = world.registrars()  # For a key of an administrator's, one of them is not enough.
        for key in (second, third):
            registrars.enact(REGISTRY, registry_pb2.KeyAdded(holder=desk.person, key=proof(world, desk.person, key)))
        registrars.enact(REGISTRY, asked_of_administrators(world))
        with world.site("hospital/administrator") as administrator:
            device = new_device(
                desk.site, bytes(15) + b"\x01", "tablet", ledger_id=world.founded.ledger_id, signed_at=0
            )
            with pytest.raises(StatementRefused) as refused:
                administrator.enrol_device(device)
        assert refused.value.refusal_reason == "HYBRID_SIGNATURE_MISSING"

        identity = Identity(world.founded.ledger_id, desk.person, desk.person, ROLE_ADMINISTRATOR, "a", desk.site)
        session = Session(identity, [desk.signer, second], "UTC", LocalStore(":memory:"))
        with SiteClient(world.connect(desk.tls), session) as both:
            both.suspend_key(registry_pb2.KeySuspended(key_id=world.desks["hospital/collection_nurse"].signer.key_id))

        members = {
            "target": world.target,
            "ledger": world.founded.ledger_id.hex(),
            "person": desk.person.hex(),
            "device": desk.person.hex(),
            "site": desk.site.hex(),
            "role": ROLE_ADMINISTRATOR,
            "name": "administrator",
            "key_file": "third.json",
            "second_key_file": "second.json",
        }
        profile = tmp_path / "profile.toml"
        profile.write_text(
            "\n".join(f"{name} = {json.dumps(value)}" for name, value in members.items())
            + f'\n[tls]\nca = "{desk.tls.ca}"\ncertificate = "{desk.tls.certificate}"\nkey = "{desk.tls.key}"\n'
        )
        with read_profile(profile).open_site(confirm=None) as by_profile:
            assert by_profile.enrol_device(device).position
