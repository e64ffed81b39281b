"""Write what the command line needs to act for one of the demonstration's people: a profile and a key file."""

from __future__ import annotations

import json
from pathlib import Path

from cellcustody.ledger.statements.key_files import COST_LIGHT, KeyKind, create_key_file
from demo.world import PASSPHRASE, ZONE, Person, Site, World

__all__ = ["write_profile"]


def write_profile(world: World, person: Person, path: Path, *, site: Site) -> Path:
    """Writes a profile at `path` and the person's key beside it, sealed; returns `path`."""
    key_file = path.with_suffix(".key.json")
    create_key_file(
        key_file,
        KeyKind.ED25519,
        world.secrets[person.person],
        PASSPHRASE,
        name=person.title,
        holder=person.person,
        cost=COST_LIGHT,
    )
    members = {
        "target": world.grpc_target,
        "server_name": "localhost",
        "ledger": world.founded.ledger_id.hex(),
        "site": site.site.hex(),
        "person": person.person.hex(),
        "device": person.person.hex(),
        "role": person.client.session.identity.role,
        "name": person.title,
        "unit": person.unit,
        "zone": ZONE,
        "key_file": key_file.name,
        "store": path.with_suffix(".device.sqlite").name,
        "anchor": str(world.founded.anchor),
    }
    tls = {
        "ca": str(world.founded.authority),
        "certificate": str(site.certificate.certificate),
        "key": str(site.certificate.key),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in members.items() if value]
    lines += ["", "[tls]", *(f"{name} = {json.dumps(value)}" for name, value in tls.items()), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
