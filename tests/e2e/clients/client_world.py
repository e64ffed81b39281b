"""Found a ledger, start its server, and enrol a hospital and a courier through the clients."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cellcustody.clients import (
    AuditorClient,
    Connection,
    Identity,
    LocalStore,
    Outbox,
    Quorum,
    Session,
    SiteClient,
    TlsFiles,
    connect,
    draw_signer,
    new_person,
    open_key_file,
)
from cellcustody.clients.registrar import new_device
from cellcustody.clients.session import unix_micros
from cellcustody.clients.signers import COST_LIGHT, holder_of_file
from cellcustody.ledger.registry import ROLE_ADMINISTRATOR, ROLE_REGISTRAR
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import Signer, StreamKind, new_stream_id
from cellcustody.services.certificates import IssuedCertificate, issue_client_certificate
from cellcustody.services.founding import Founded, FoundingWishes, found_ledger
from cellcustody.v1 import options_pb2, registry_pb2

PASSPHRASE = "four registrars and a passphrase"
START_SECONDS_MAX = 60


@dataclass(frozen=True)
class Desk:
    """A person of a site with a key, a device, and the site's certificate."""

    site: bytes
    person: bytes
    device: bytes
    role: str
    signer: Signer
    tls: TlsFiles


@dataclass
class World:
    """A running ledger and whoever is enrolled in it."""

    founded: Founded
    target: str
    folder: Path
    exits: ExitStack
    desks: dict[str, Desk] = field(default_factory=dict)

    def connect(self, tls: TlsFiles) -> Connection:
        """Returns a connection under these certificates."""
        return self.exits.enter_context(connect(target=self.target, tls=tls, wait_for_ready=True))

    def tls(self, issued: IssuedCertificate) -> TlsFiles:
        """Returns the files of a certificate that the ledger's private authority issued."""
        return TlsFiles(self.founded.authority, issued.certificate, issued.key)

    def site(self, name: str, *, outbox: bool = False) -> SiteClient:
        """Returns a connected client of the desk of this name."""
        desk = self.desks[name]
        store = LocalStore(":memory:")
        session = Session(
            Identity(self.founded.ledger_id, desk.person, desk.device, desk.role, name, desk.site),
            [desk.signer],
            "Europe/Berlin",
            store,
        )
        box = Outbox(store, "correct horse", cost_log2=10) if outbox else None
        return SiteClient(self.connect(desk.tls), session, outbox=box)

    def auditor(self, name: str, memory: Path) -> AuditorClient:
        """Returns an auditor who holds the anchor, under the certificate of a desk."""
        anchor = parse_anchor(self.founded.anchor.read_bytes())
        return AuditorClient(
            self.connect(self.desks[name].tls),
            origin=anchor.log_origin,
            log_keys=anchor.log_keys,
            founding_digest=anchor.founding_digest,
            memory=memory,
        )

    def registrars(self) -> Quorum:
        """Returns the registrars, each with their own key, on the operator's connection."""
        members = []
        for path in self.founded.registrars:
            person = holder_of_file(path)
            identity = Identity(self.founded.ledger_id, person, person, ROLE_REGISTRAR, path.stem)
            session = Session(identity, [open_key_file(path, PASSPHRASE)], "UTC", LocalStore(":memory:"))
            members.append(SiteClient(self.connect(self.tls(self.founded.operator)), session))
        return Quorum(members)

    def new_consignment(self) -> bytes:
        """Returns the id of a stream that nobody has opened yet."""
        return new_stream_id(StreamKind.CONSIGNMENT, os.urandom)

    def enrol(self, name: str, capabilities: list[options_pb2.Capability.ValueType], roles: tuple[str, ...]) -> None:
        """Enrols a site by the quorum; its administrator enrols one person for each role, all at one device."""
        issued = issue_client_certificate(self.founded.authority, self.folder, name, now=datetime.now(UTC))
        tls, site = self.tls(issued), os.urandom(16)
        ledger_id, now = self.founded.ledger_id, unix_micros(datetime.now(UTC))
        administrators = [(os.urandom(16), draw_signer()) for _ in range(2)]
        self.registrars().enrol_site(
            registry_pb2.SiteEnrolled(
                site=site,
                name=name,
                capabilities=capabilities,
                units=["main"],
                tls_key_ids=[issued.tls_key_id],
                administrators=[
                    new_person(person, [key], ledger_id=ledger_id, signed_at=now, roles=[ROLE_ADMINISTRATOR])
                    for person, key in administrators
                ],
                names=[
                    registry_pb2.PersonName(person=person, printed_name=f"Administrator of {name}")
                    for person, _ in administrators
                ],
            )
        )
        person, key = administrators[0]
        device = os.urandom(16)
        # A person's own id stands for the device where none is enrolled yet.
        self.desks[f"{name}/{ROLE_ADMINISTRATOR}"] = Desk(site, person, person, ROLE_ADMINISTRATOR, key, tls)
        administrator = self.site(f"{name}/{ROLE_ADMINISTRATOR}")
        administrator.enrol_device(new_device(site, device, "tablet", ledger_id=ledger_id, signed_at=now))
        for role in roles:
            member, signer = os.urandom(16), draw_signer()
            administrator.enrol_person(
                registry_pb2.PersonEnrolled(
                    site=site,
                    person=new_person(member, [signer], ledger_id=ledger_id, signed_at=now, roles=[role]),
                    name=registry_pb2.PersonName(person=member, printed_name=f"{role} of {name}"),
                )
            )
            self.desks[f"{name}/{role}"] = Desk(site, member, device, role, signer, tls)


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Yields a running ledger with a hospital and a courier; its server ends with it."""
    founded = found_ledger(
        FoundingWishes(
            folder / "ledger", "localhost/log", grpc_listen="127.0.0.1:0", http_listen=None, registrar_cost=COST_LIGHT
        ),
        registrar_passphrase=PASSPHRASE,
        now=lambda: datetime.now(UTC),
    )
    ready = folder / "ready.json"
    with (folder / "server.log").open("wb") as log, ExitStack() as exits:
        command = [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(founded.configuration)]
        server = subprocess.Popen([*command, "--ready-file", str(ready)], stdout=log, stderr=log)
        try:
            target = _target_of(server, ready)
            world = World(founded, target, folder, exits)
            world.enrol(
                "hospital",
                [options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_STORE, options_pb2.CAPABILITY_AUDIT],
                ("collection_nurse", "cell_lab_technician"),
            )
            world.enrol("courier", [options_pb2.CAPABILITY_TRANSPORT], ("driver",))
            yield world
        finally:
            exits.close()
            server.terminate()
            server.wait(timeout=START_SECONDS_MAX)


def _target_of(server: "subprocess.Popen[bytes]", ready: Path) -> str:
    for _ in range(START_SECONDS_MAX * 20):
        if ready.exists():
            announced: dict[str, object] = json.loads(ready.read_text())
            return str(announced["grpc"])
        assert server.poll() is None, "the server ended before it was ready"
        time.sleep(0.05)
    raise AssertionError("the server was not ready in time")
