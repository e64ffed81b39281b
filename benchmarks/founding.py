"""Found a real ledger in a folder of its own, as `cellcustody init` does, and give it a site that signs.

The ledger is opened in this process only to prepare it; whatever is measured runs against the server's own process.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.workload import Party, Scene
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.registry import ROLE_REGISTRAR
from cellcustody.ledger.statements import parse_statement
from cellcustody.ledger.statements.key_files import COST_LIGHT, load_signer, read_key_file
from cellcustody.services.certificates import IssuedCertificate, issue_client_certificate
from cellcustody.services.configuration import load_configuration
from cellcustody.services.founding import Founded, FoundingWishes, found_ledger, schema_bytes
from cellcustody.services.open_ledger import load_ledger_keys, open_ledger

__all__ = ["Ground", "found", "opened"]

ORIGIN: Final = "ledger.example/benchmark"
PASSPHRASE: Final = "only for a ledger that is thrown away"
SITE: Final = "site"


@dataclass(frozen=True, slots=True)
class Ground:
    """A founded ledger's files, and the certificate of the one site that loads it."""

    directory: Path
    founded: Founded
    site: IssuedCertificate
    scene: Scene


def found(directory: Path) -> Ground:
    """Founds a ledger in `directory`, which must not exist yet, and enrols one site with its nurses."""
    founded = found_ledger(
        FoundingWishes(
            directory,
            ORIGIN,
            grpc_listen="127.0.0.1:0",
            http_listen="127.0.0.1:0",
            registrars=2,
            registrar_cost=COST_LIGHT,
        ),
        registrar_passphrase=PASSPHRASE,
        now=lambda: datetime.now(UTC),
    )
    site = issue_client_certificate(founded.authority, directory / "tls", SITE, now=datetime.now(UTC))
    registrars = [
        Party(read_key_file(path).holder, load_signer(path, PASSPHRASE), ROLE_REGISTRAR) for path in founded.registrars
    ]
    schema_digest = hashlib.sha256(schema_bytes()).digest()
    scene = Scene(founded.ledger_id, registrars, schema_digest, schema_statement=bytes(32))
    ground = Ground(directory, founded, site, scene)
    with opened(ground) as ledger:
        published = ledger.read_entry(leaf_index=len(registrars))  # After the founding and its co-signatures.
        scene.schema_statement = parse_statement(read_entry(published.entry).envelope).digest
        scene.enrol_site(ledger, site.tls_key_id)
    return ground


@contextmanager
def opened(ground: Ground) -> Iterator[Ledger]:
    """Yields the ledger, open in this process."""
    configuration = load_configuration(ground.founded.configuration)
    environment = dict(os.environ)
    keys = load_ledger_keys(configuration.keys, environment, origin=ORIGIN)
    with open_ledger(configuration, origin=ORIGIN, keys=keys, environment=environment) as ledger:
        yield ledger
