"""Make the ground on which therapies are simulated: find the ledger's folder, enrol the world, connect its sites.

The rules:

* The ledger is one that `cellcustody init` founded, with its registrars' key files, its operator's TLS key and its
  private authority still in its folder: a ledger to try out. A real one has none of these there.
* The world is enrolled once, and a ledger takes one: two would give out the same identifiers. What is needed to find
  it again stands in `simulation.json` in the simulation's folder, with the TLS keys of its sites; private signing keys
  follow from the seed and are nowhere on disk.
* Registrars enrol sites and publish the packs by their quorum; each site's administrator enrols its people; owners
  register equipment, and the plant qualifies courier and ways.
* All of it is signed as of the day before the first therapy, so that the same seed signs the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cellcustody.clients.connection import Connection, TlsFiles, connect
from cellcustody.clients.errors import StatementRefused
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.registrar import Quorum, new_person
from cellcustody.clients.session import Identity, Session, unix_micros
from cellcustody.clients.signers import holder_of_file, open_key_file
from cellcustody.clients.simulation.cast import PACKS, Asset, Cast, Person, Site, gather
from cellcustody.clients.simulation.quantities import document
from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry.founding import ledger_id_of
from cellcustody.ledger.statements import Signer, parse_statement
from cellcustody.v1 import facilities_pb2, ledger_service_pb2, modification_pb2, registry_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub

__all__ = ["Ground", "LedgerFolder", "open_ground"]

STATE_FILE: Final = "simulation.json"
ZONE: Final = "Europe/Berlin"
TIMEOUT_SECONDS: Final = 60.0  # A busy server on a small machine; nobody waits at a bedside.
QUALIFIED_DAYS: Final = 1500  # Longer than any simulation.
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class LedgerFolder:
    """A ledger's folder, as `cellcustody init` makes it, with where its server listens and the registrars' words."""

    folder: Path
    target: str
    passphrase: str
    server_name: str = "localhost"

    @classmethod
    def of(cls, folder: Path, *, passphrase: str, target: str = "") -> LedgerFolder:
        """Returns the folder with the server's address, from its configuration where none is given.

        Raises:
            ConfigurationError: there is no such folder, or its server takes any free port.
        """
        try:
            configuration = tomllib.loads((folder / "cellcustody.toml").read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as refusal:
            raise ConfigurationError("no ledger's folder", path=folder, because=refusal) from refusal
        listen = str(configuration.get("grpc", {}).get("listen", ""))
        if not target and (not listen or listen.endswith(":0")):
            raise ConfigurationError("the server takes any free port: say which it took, with --server", path=folder)
        return cls(folder, target or listen, passphrase)

    @property
    def authority(self) -> Path:
        """The certificate of the private authority."""
        return self.folder / "tls" / "ca.pem"

    def tls(self, stem: str, folder: Path | None = None) -> TlsFiles:
        """Returns the files with which the holder of a certificate connects."""
        tls = folder or self.folder / "tls"
        return TlsFiles(ca=self.authority, certificate=tls / f"{stem}.pem", key=tls / f"{stem}.key")

    def connect(self, tls: TlsFiles) -> Connection:
        """Returns a connection to the ledger's server."""
        return connect(
            target=self.target,
            tls=tls,
            timeout_seconds=TIMEOUT_SECONDS,
            wait_for_ready=True,
            server_name=self.server_name,
        )


@dataclass
class Ground:
    """An enrolled world with its connections; a context manager that closes them."""

    ledger: LedgerFolder
    ledger_id: bytes
    folder: Path
    seed: int
    cast: Cast
    connections: dict[bytes, Connection] = field(default_factory=dict)
    therapies: int = 0
    """How many therapies it has had."""

    enrolled: int = 0
    """How many statements enrolled it, in this run."""

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.connections.values():
            one.close()

    def keep(self, therapies: int) -> None:
        """Writes down what is needed to find the world again."""
        self.therapies = therapies
        state = {"format": 1, "ledger": self.ledger_id.hex(), "seed": self.seed, "therapies": therapies}
        (self.folder / STATE_FILE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")


def open_ground(
    ledger: LedgerFolder, folder: Path, *, seed: int, begin: datetime, tell: Callable[[str], None] = print
) -> Ground:
    """Returns the world of a simulation, enrolled if the folder is new.

    Raises:
        ConfigurationError: the folder is of another ledger or another seed, or a file is missing.
        StatementRefused: the ledger does not take the world.
    """
    with ledger.connect(ledger.tls("operator")) as operator:
        ledger_id = _ledger_id(operator)
        cast = gather(seed)
        known = _known(folder, ledger_id, seed)
        ground = Ground(ledger, ledger_id, folder, seed, cast, therapies=known or 0)
        if known is None:
            (folder / "tls").mkdir(parents=True, exist_ok=True)
            keys = _tls_keys(ledger, folder / "tls", cast.sites)
        for site in cast.sites:
            ground.connections[site.site] = ledger.connect(ledger.tls(site.stem, folder / "tls"))
        if known is None:
            tell(f"Enrolling {len(cast.sites)} sites and {len([*cast.people()])} people ...")
            _Enrolment(ground, operator, begin - timedelta(days=1)).run(keys)
            ground.keep(0)
    return ground


def _known(folder: Path, ledger_id: bytes, seed: int) -> int | None:
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if state.get("ledger") != ledger_id.hex():
        raise ConfigurationError("this folder holds the simulation of another ledger", path=folder)
    if state.get("seed") != seed:
        raise ConfigurationError("this folder's world was made with another seed", path=folder, seed=state.get("seed"))
    return int(state["therapies"])


def _ledger_id(operator: Connection) -> bytes:
    stub: LedgerServiceStub = LedgerServiceStub(operator.channel)
    answer = operator.ask(stub.GetEntry, ledger_service_pb2.GetEntryRequest(leaf_index=0))
    return ledger_id_of(parse_statement(read_entry(answer.entry).envelope).envelope.payload)


def _tls_keys(ledger: LedgerFolder, folder: Path, sites: Iterable[Site]) -> dict[bytes, bytes]:
    """Issues TLS keys of the private authority, by the server's own command; returns their ids by site."""
    command = [sys.executable, "-m", "cellcustody.services", "init", "tls", "--directory", str(ledger.folder)]
    command += ["--out", str(folder), "--site"]
    running = [
        (one, subprocess.Popen([*command, one.stem], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for one in sites
    ]
    keys = {}
    for site, process in running:
        made, error = process.communicate()
        if process.returncode:
            raise ConfigurationError("no TLS key can be issued", site=site.stem, because=error.strip())
        keys[site.site] = bytes.fromhex(json.loads(made)["tls_key_id"])
    return keys


class _Enrolment:
    """Tells the ledger of a new world."""

    def __init__(self, ground: Ground, operator: Connection, at: datetime) -> None:
        self._ground = ground
        self._cast = ground.cast
        self._operator = operator
        self._at = at
        self._dice = Seeded(ground.seed, "enrolment")
        self._micros = unix_micros(at)

    def run(self, keys: dict[bytes, bytes]) -> None:
        """Enrols everything, in order."""
        cast = self._cast
        with ExitStack() as stack:
            quorum = Quorum(self._registrars(stack))
            for jurisdiction, pack in cast.packs.items():
                raw = sample_pack_bytes(PACKS[jurisdiction])
                self._publish(quorum, pack.product, pack.jurisdiction, pack.version, raw)
            for site in cast.sites:
                self._enrol_site(quorum, site, keys[site.site])
            clients = {one.person: self._client(one, stack) for one in self._signers()}
            for person in cast.people():
                administrator = clients[cast.administrators[person.site.site][0].person]
                administrator.enrol_person(
                    registry_pb2.PersonEnrolled(
                        site=person.site.site,
                        person=self._newcomer(person),
                        name=registry_pb2.PersonName(person=person.person, printed_name=person.title),
                    )
                )
                self._count()
            self._facilities(clients)

    def _signers(self) -> list[Person]:
        cast = self._cast
        administrators = [pair[0] for pair in cast.administrators.values()]
        owners = [one.technicians[0] for one in cast.hospitals]
        return [*administrators, *owners, cast.drivers[0], cast.operators[0], cast.reviewers[0]]

    def _count(self, statements: int = 1) -> None:
        self._ground.enrolled += statements

    # The registry.

    def _registrars(self, stack: ExitStack) -> list[SiteClient]:
        ledger = self._ground.ledger
        files = sorted((ledger.folder / "registrars").glob("*.json"))
        members = []
        for number, path in enumerate(files, 1):
            holder = holder_of_file(path)
            identity = Identity(self._ground.ledger_id, holder, holder, "registrar", f"Registrar {number}")
            signer = open_key_file(path, ledger.passphrase)
            members.append(SiteClient(self._operator, self._session(identity, signer, stack)))
        if not members:
            raise ConfigurationError("the ledger's folder has no key files of registrars", path=ledger.folder)
        return members

    def _session(self, identity: Identity, signer: Signer, stack: ExitStack) -> Session:
        store = LocalStore(":memory:")
        stack.callback(store.close)
        return Session(
            identity,
            [signer],
            ZONE,
            store,
            clock=lambda: self._at,
            random_bytes=self._dice.take,
            names=self._cast.names,
        )

    def _client(self, person: Person, stack: ExitStack) -> SiteClient:
        identity = Identity(
            self._ground.ledger_id,
            person.person,
            person.person,
            person.role,
            person.title,
            site=person.site.site,
        )
        connection = self._ground.connections[person.site.site]
        return SiteClient(connection, self._session(identity, person.signer, stack))

    def _publish(self, quorum: Quorum, product: str, jurisdiction: str, version: int, pack: bytes) -> None:
        try:
            quorum.publish_policy(product, jurisdiction, version, pack)
        except StatementRefused as refusal:
            if refusal.refusal_reason != "ID_TAKEN":
                raise
            raise ConfigurationError(
                "the sample packs are published already: a ledger takes one simulated world, go on in its folder",
                jurisdiction=jurisdiction,
            ) from refusal
        self._count(2)

    def _enrol_site(self, quorum: Quorum, site: Site, tls_key_id: bytes) -> None:
        administrators = self._cast.administrators[site.site]
        quorum.enrol_site(
            registry_pb2.SiteEnrolled(
                site=site.site,
                name=site.name,
                capabilities=sorted(site.capabilities),
                units=site.units,
                tls_key_ids=[tls_key_id],
                administrators=[self._newcomer(one) for one in administrators],
                names=[registry_pb2.PersonName(person=one.person, printed_name=one.title) for one in administrators],
            )
        )
        self._count(2)

    def _newcomer(self, person: Person) -> registry_pb2.NewPerson:
        until = unix_micros(self._at + timedelta(days=QUALIFIED_DAYS))
        return new_person(
            person.person,
            [person.signer],
            ledger_id=self._ground.ledger_id,
            signed_at=self._micros,
            roles=[registry_pb2.RoleGrant(role=person.role, trained_until_unix_micros=until)],
        )

    # What therapies rest on.

    def _facilities(self, clients: dict[bytes, SiteClient]) -> None:
        cast = self._cast
        plant, quality = clients[cast.operators[0].person], clients[cast.reviewers[0].person]
        for lot in cast.lots.values():
            plant.act(
                lot.stream,
                modification_pb2.LotRegistered(
                    lot_number=lot.number,
                    kind=lot.kind,
                    expires_at_unix_micros=unix_micros(self._at + timedelta(days=QUALIFIED_DAYS)),
                ),
            )
            quality.act(lot.stream, modification_pb2.LotStatusChanged(status=modification_pb2.LOT_STATUS_RELEASED))
            self._count(2)
        owners = {cast.courier.site: cast.drivers[0], cast.plant.site: cast.operators[0]}
        owners |= {one.site.site: one.technicians[0] for one in cast.hospitals}
        for asset in cast.assets:
            self._register(clients[owners[asset.owner.site].person], asset)
        self._qualify(quality)

    def _register(self, owner: SiteClient, asset: Asset) -> None:
        owner.register_equipment(
            asset.stream,
            facilities_pb2.EquipmentRegistered(
                asset=asset.asset, kind=asset.kind, owner=asset.owner.unit(), description=f"{asset.kind} to try out"
            ),
        )
        kinds = facilities_pb2.QualificationKind
        kind = kinds.QUALIFICATION_KIND_CALIBRATION if asset.kind == "logger" else kinds.QUALIFICATION_KIND_EQUIPMENT
        owner.record_qualification(asset.stream, self._qualification(kind, asset.asset))
        self._count(2)

    def _qualify(self, quality: SiteClient) -> None:
        """The plant qualifies the courier, and every way that it drives."""
        cast, kinds = self._cast, facilities_pb2.QualificationKind
        courier = cast.courier.stream
        quality.record_qualification(courier, self._qualification(kinds.QUALIFICATION_KIND_COURIER, "courier"))
        ways = [(cast.plant, cast.laboratory)]
        for hospital in cast.hospitals:
            ways += [(hospital.site, cast.plant), (cast.plant, hospital.site)]
        for origin, destination in ways:
            body = self._qualification(kinds.QUALIFICATION_KIND_LANE, f"{origin.stem} to {destination.stem}")
            body.lane.origin, body.lane.destination = origin.site, destination.site
            quality.record_qualification(courier, body)
        self._count(1 + len(ways))

    def _qualification(
        self, kind: facilities_pb2.QualificationKind.ValueType, reference: str
    ) -> facilities_pb2.QualificationRecorded:
        return facilities_pb2.QualificationRecorded(
            kind=kind,
            valid_from_unix_micros=unix_micros(self._at - _YEAR),
            valid_until_unix_micros=unix_micros(self._at + timedelta(days=QUALIFIED_DAYS)),
            reference=hashlib.sha256(reference.encode()).hexdigest()[:8].upper(),
            evidence=document("qualification", reference),
        )
