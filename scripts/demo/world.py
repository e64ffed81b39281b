"""A small world to try the ledger in: a server of its own, four sites, their people, all over real gRPC with mTLS.

The rules:

* Everything lies in one folder: the ledger, its keys, the sites' TLS keys, the people's devices.
* The server is a process of its own, started as an operator starts it, and ended with SIGTERM. Where a story moves the
  clock, it goes by that one too.
* People sign with keys of their own; nobody signs for another. Roles stand for people: nobody here has a name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cellcustody.clients.connection import Connection, TlsFiles, connect
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.outbox import Outbox
from cellcustody.clients.registrar import Quorum, new_person
from cellcustody.clients.session import Identity, Session, unix_micros
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.statements import Ed25519Signer, Signer
from cellcustody.ledger.statements.key_files import COST_LIGHT, load_signer, read_key_file
from cellcustody.services.certificates import IssuedCertificate, issue_client_certificate
from cellcustody.services.founding import Founded, FoundingWishes, found_ledger
from cellcustody.v1 import options_pb2, registry_pb2
from demo.authorities import stamping
from demo.clock import StoryClock
from demo.witnesses import DemoWitnesses

__all__ = ["Person", "Site", "World"]

PASSPHRASE: Final = "for trying out only"  # It guards nothing but this folder.
ORIGIN: Final = "demo.cellcustody.example/log"
ZONE: Final = "Europe/Berlin"
SMALL_PACK: Final = "cellcustody-demo-product-eu-1"
READY_SECONDS_MAX: Final = 30
TRAINED_SINCE: Final = timedelta(days=60)
TRAINED_UNTIL: Final = timedelta(days=365)

COLLECT, TRANSPORT, STORE, PROCESS, TEST, RELEASE, INFUSE, AUDIT, REGULATE = (
    options_pb2.CAPABILITY_COLLECT,
    options_pb2.CAPABILITY_TRANSPORT,
    options_pb2.CAPABILITY_STORE,
    options_pb2.CAPABILITY_PROCESS,
    options_pb2.CAPABILITY_TEST,
    options_pb2.CAPABILITY_RELEASE,
    options_pb2.CAPABILITY_INFUSE,
    options_pb2.CAPABILITY_AUDIT,
    options_pb2.CAPABILITY_REGULATE,
)


@dataclass(slots=True)
class Site:
    """An enrolled site with its TLS key and its first administrator."""

    name: str
    site: bytes
    certificate: IssuedCertificate
    administrators: list[Person] = field(default_factory=list)


@dataclass(slots=True)
class Person:
    """Somebody in a role, with a key, a device store and a connection that speaks for their site."""

    title: str
    client: SiteClient
    person: bytes
    site: bytes
    unit: str
    signer: Signer


class World:
    """A founded ledger with a running server. A context manager that ends what it started."""

    def __init__(
        self,
        folder: Path,
        *,
        tell: Callable[[str], None] = print,
        http_listen: str = "127.0.0.1:0",
        begin: datetime | None = None,
        witnesses: DemoWitnesses | None = None,
        is_stamped: bool = False,
    ) -> None:
        self.folder = folder
        self.tell = tell
        self.clock = StoryClock(folder / "clock")
        if begin is not None:
            self.clock.begin(begin)
        self._stack = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None
        self.names: dict[bytes, str] = {}
        self.secrets: dict[bytes, bytes] = {}
        self.founded: Founded = found_ledger(
            FoundingWishes(
                directory=folder / "ledger",
                origin=ORIGIN,
                registrars=3,
                threshold=2,
                grpc_listen="127.0.0.1:0",
                http_listen=http_listen,
                entries_open=True,
                registrar_cost=COST_LIGHT,
                witness_policy="" if witnesses is None else witnesses.policy,
            ),
            registrar_passphrase=PASSPHRASE,
            now=self.clock.now,
        )
        if is_stamped:
            stamped = stamping(self.founded, folder / "tsa", folder / "time-authority.log", self.clock.now)
            self._stack.enter_context(stamped)
        if witnesses is not None:
            log, clock = folder / "witnesses.log", self.clock
            running = witnesses.running(self.founded.anchor, log, lambda: int(clock.now().timestamp()))
            self._stack.enter_context(running)
        (folder / "devices").mkdir()
        (folder / "tls").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        self.stop_server()

    # The server. ---------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Starts the server and waits until it says that it is ready."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        log = (self.folder / "server.log").open("ab")
        configuration, ready_file = str(self.founded.configuration), str(ready)
        command = ["cellcustody.services", "serve", "--config", configuration, "--ready-file", ready_file]
        if self.clock.file.exists():
            command = ["demo.server", configuration, ready_file, str(self.clock.file)]
        self._server = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ready.exists():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start; see {self.folder / 'server.log'}")
            time.sleep(0.05)
        said = json.loads(ready.read_text())
        self.grpc_target: str = said["grpc"]
        self.http_address: str = said.get("http", "")

    def stop_server(self) -> None:
        """Asks the server to end, and waits until it has recorded what was under way."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(timeout=60)
            self._server = None

    def wait_for_server(self) -> None:
        """Returns when the server ends by itself."""
        if self._server is not None:
            self._server.wait()

    # Sites and people. ---------------------------------------------------------------------------------------------

    def connect(self, certificate: IssuedCertificate) -> Connection:
        """Returns a connection under a TLS key."""
        tls = TlsFiles(ca=self.founded.authority, certificate=certificate.certificate, key=certificate.key)
        return connect(
            target=self.grpc_target, tls=tls, timeout_seconds=20, wait_for_ready=True, server_name="localhost"
        )

    def registrars(self) -> Quorum:
        """Returns the registrars who together enrol sites and publish policies, over the operator's TLS key."""
        members: list[SiteClient] = []
        for index, path in enumerate(self.founded.registrars[:2]):
            holder = read_key_file(path).holder
            identity = Identity(self.founded.ledger_id, holder, holder, "registrar", f"Registrar {index + 1}")
            members.append(self._client(identity, load_signer(path, PASSPHRASE), self.founded.operator))
        return Quorum(members)

    def publish_pack(self, quorum: Quorum, name: str = SMALL_PACK) -> PolicyPack:
        """Publishes one of the packs that are shipped."""
        content = sample_pack_bytes(name)
        pack = PolicyPack.parse(content)
        quorum.publish_policy(pack.product, pack.jurisdiction, pack.version, content)
        return pack

    def enrol_site(self, quorum: Quorum, name: str, capabilities: list[int], units: list[str]) -> Site:
        """Enrols a site with two administrators."""
        stem = name.lower().replace(" ", "-")
        certificate = issue_client_certificate(self.founded.authority, self.folder / "tls", stem, now=datetime.now(UTC))
        site = Site(name, os.urandom(16), certificate)
        self.names[site.site] = name
        newcomers = [self._newcomer(["administrator"], ()) for _ in range(2)]
        quorum.enrol_site(
            registry_pb2.SiteEnrolled(
                site=site.site,
                name=name,
                capabilities=[options_pb2.Capability.ValueType(one) for one in sorted(capabilities)],
                units=units,
                tls_key_ids=[certificate.tls_key_id],
                administrators=[new for _, new in newcomers],
                names=[
                    registry_pb2.PersonName(person=new.person, printed_name=f"Administrator {index} of {name}")
                    for index, (_, new) in enumerate(newcomers, 1)
                ],
                facility="A9999" if COLLECT in capabilities else "",
            )
        )
        for index, (signer, new) in enumerate(newcomers, 1):
            title = f"Administrator {index} of {name}"
            site.administrators.append(self._person(title, "administrator", site, "", signer, new.person))
        return site

    def enrol(self, site: Site, role: str, unit: str = "", title: str = "") -> Person:
        """Has a site's administrator enrol a person in a role and a unit."""
        title = title or f"{role.replace('_', ' ')} of {site.name}"
        signer, new = self._newcomer([role], (unit,) if unit else ())
        site.administrators[0].client.enrol_person(
            registry_pb2.PersonEnrolled(
                site=site.site,
                person=new,
                name=registry_pb2.PersonName(person=new.person, printed_name=title),
            )
        )
        return self._person(title, role, site, unit, signer, new.person)

    def _newcomer(self, roles: list[str], units: tuple[str, ...]) -> tuple[Signer, registry_pb2.NewPerson]:
        secret = os.urandom(32)
        signer = Ed25519Signer(secret)
        now = self.clock.now()
        grants = [
            registry_pb2.RoleGrant(
                role=role,
                trained_at_unix_micros=unix_micros(now - TRAINED_SINCE),
                trained_until_unix_micros=unix_micros(now + TRAINED_UNTIL),
            )
            for role in roles
        ]
        new = new_person(
            os.urandom(16),
            [signer],
            ledger_id=self.founded.ledger_id,
            signed_at=unix_micros(now),
            roles=grants,
            units=units,
        )
        self.secrets[new.person] = secret
        return signer, new

    def _person(self, title: str, role: str, site: Site, unit: str, signer: Signer, person: bytes) -> Person:
        self.names[person] = title
        identity = Identity(self.founded.ledger_id, person, person, role, title, site=site.site, unit=unit)
        return Person(title, self._client(identity, signer, site.certificate), person, site.site, unit, signer)

    def _client(self, identity: Identity, signer: Signer, certificate: IssuedCertificate) -> SiteClient:
        store = LocalStore(self.folder / "devices" / f"{identity.signer.hex()}.sqlite3")
        self._stack.callback(store.close)
        session = Session(identity, [signer], ZONE, store, clock=self.clock.now, names=self.names)
        outbox = Outbox(store, PASSPHRASE, cost_log2=12)
        return self._stack.enter_context(SiteClient(self.connect(certificate), session, outbox=outbox))
