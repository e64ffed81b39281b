"""Found a ledger in an empty folder: keys, certificates, configuration, first entries, anchor.

The rules:

* The folder is empty or new; nothing is ever written over.
* Each registrar has a key of their own, in a file under the passphrase given. The ledger's own keys (log, service) lie
  under a passphrase drawn at random, in a file beside them that belongs on another backup than they.
* The first entries go through the same ledger that will run: leaf 0 founds it, signed by the first registrar; the
  others join it, one leaf each; then the first registrar publishes the schema that this program was built with.
* The anchor is written last, when all of that is under a signed checkpoint: without an anchor nothing was founded.
* Registrars of a real ledger sign at their own desks, and bring signed bytes; here all sign at once, for trying out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.recording.ledger import Ledger, Submission
from cellcustody.ledger.registry import ROLE_REGISTRAR, Anchor, encode_anchor, enrolled_key, ledger_id_of
from cellcustody.ledger.statements import (
    PayloadType,
    Signer,
    StreamKind,
    draft_statement,
    new_statement_id,
    sign_statement,
    single_stream_id,
)
from cellcustody.ledger.statements.key_files import (
    COST_DEFAULT,
    COST_LIGHT,
    Cost,
    KeyKind,
    create_key_file,
    new_secret,
    signer_of,
)
from cellcustody.ledger.store import write_new_master_key
from cellcustody.ledger.transparency import parse_policy
from cellcustody.services.certificates import (
    IssuedCertificate,
    create_authority,
    issue_client_certificate,
    issue_server_certificate,
)
from cellcustody.services.configuration import load_configuration
from cellcustody.services.open_ledger import load_ledger_keys, open_ledger
from cellcustody.services.witness.client import addresses_in
from cellcustody.v1 import registry_pb2, statement_pb2

__all__ = ["CONFIGURATION_FILE", "Founded", "FoundingWishes", "found_ledger", "schema_bytes"]

CONFIGURATION_FILE: Final = "cellcustody.toml"
FOLDERS: Final = ("data", "vault-keys", "journal", "keys", "secrets", "registrars", "tls")
PASSPHRASE_BYTES: Final = 32
PARTY_ID_BYTES: Final = 16
SUBMIT_TIMEOUT_SECONDS: Final = 60.0
REGISTRARS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class FoundingWishes:
    """What a new ledger is to be like. Listening on port 0 takes free ports at every start."""

    directory: Path
    origin: str
    registrars: int = 3
    threshold: int = 2
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    grpc_listen: str = "127.0.0.1:8443"
    http_listen: str | None = "127.0.0.1:8480"
    entries_open: bool = False
    reflection: bool = True
    registrar_cost: Cost = COST_DEFAULT
    witness_policy: str = ""
    """Text of a C2SP tlog-policy for the anchor; empty: no witness is asked for."""

    postgres: str = ""
    """The lines of a [postgres] table; empty for SQLite."""


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made."""

    configuration: Path
    anchor: Path
    ledger_id: bytes
    founding_digest: bytes
    registrars: tuple[Path, ...]
    """Key files of the registrars; each names its person as holder."""

    authority: Path
    operator: IssuedCertificate


@dataclass(frozen=True, slots=True)
class _Party:
    """Somebody who signs at the founding."""

    party: bytes
    signer: Signer


def schema_bytes() -> bytes:
    """Returns the FileDescriptorSet that this program was built with; its SHA-256 is the schema digest."""
    return (resources.files("cellcustody.v1") / "schema.binpb").read_bytes()


def found_ledger(
    wishes: FoundingWishes,
    *,
    registrar_passphrase: str,
    now: Callable[[], datetime],
    random_bytes: Callable[[int], bytes] = os.urandom,
    environment: dict[str, str] | None = None,
) -> Founded:
    """Founds a ledger and returns where its files lie; `now` is aware.

    Raises:
        ConfigurationError: the folder is not empty, or a wish cannot be met.
        RefusedError: the ledger did not take its own founding, such as for an origin that no key may be named by.
    """
    directory = wishes.directory.resolve()
    _check(wishes, directory, registrar_passphrase)
    for folder in FOLDERS:
        (directory / folder).mkdir(mode=0o700, parents=True)

    # (1): Keys and certificates.
    passphrase = random_bytes(PASSPHRASE_BYTES).hex()
    _write_secret(directory / "secrets" / "passphrase", passphrase + "\n")
    write_new_master_key(directory / "secrets" / "master.key", random_bytes=random_bytes)
    registrars = _make_registrars(wishes, directory, registrar_passphrase, random_bytes)
    service = _make_ledger_keys(wishes.origin, directory, passphrase, random_bytes)
    authority = create_authority(directory / "tls", now=now())
    issue_server_certificate(authority, directory / "tls", wishes.hosts, now=now())
    operator = issue_client_certificate(authority, directory / "tls", "operator", now=now())

    # (2): The configuration, read back as the server will read it.
    path = directory / CONFIGURATION_FILE
    path.write_text(_configuration_text(wishes, operator), encoding="utf-8")
    configuration = load_configuration(path)

    # (3): The first entries.
    keys = load_ledger_keys(configuration.keys, environment or {}, origin=wishes.origin)
    vkeys = tuple(signer.vkey for signer in keys.log_signers)
    with open_ledger(
        configuration,
        origin=wishes.origin,
        keys=keys,
        environment=environment or {},
        now=lambda: int(now().timestamp() * 1_000_000),  # Founders and ledger go by one clock.
        random_bytes=random_bytes,
    ) as ledger:
        first = _Founder(ledger, registrars, now, random_bytes)
        ledger_id, founding_digest = first.found(service, wishes.threshold, wishes.origin, vkeys)

    # (4): The anchor.
    anchor = Anchor(founding_digest, wishes.origin, vkeys, wishes.witness_policy)
    configuration.ledger.anchor.write_bytes(encode_anchor(anchor))
    return Founded(
        configuration=path,
        anchor=configuration.ledger.anchor,
        ledger_id=ledger_id,
        founding_digest=founding_digest,
        registrars=tuple(_registrar_file(directory, number) for number in range(1, wishes.registrars + 1)),
        authority=authority,
        operator=operator,
    )


class _Founder:
    """Signs for the registrars and records, one statement after the other."""

    def __init__(
        self,
        ledger: Ledger,
        registrars: Sequence[_Party],
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._ledger = ledger
        self._registrars = registrars
        self._now = now
        self._random_bytes = random_bytes
        self._schema = schema_bytes()
        self._ledger_id = b""
        self._counters: dict[bytes, int] = {}

    def found(self, service: _Party, threshold: int, origin: str, vkeys: Sequence[str]) -> tuple[bytes, bytes]:
        """Records the founding and returns the ledger's id and the digest of leaf 0."""
        signed_at = self._micros()
        body = registry_pb2.LedgerFounded(
            registrars=[
                registry_pb2.Registrar(
                    person=one.party,
                    key=enrolled_key(one.signer, ledger_id=b"", holder=one.party, signed_at=signed_at),
                    organisation=f"Registrar {number}",
                )
                for number, one in enumerate(self._registrars, 1)
            ],
            threshold=threshold,
            log_origin=origin,
            log_keys=vkeys,
            service_device=service.party,
            service_key=enrolled_key(service.signer, ledger_id=b"", holder=service.party, signed_at=signed_at),
            schema_digest=hashlib.sha256(self._schema).digest(),
        )
        first, *others = self._registrars
        payload, digest = self._record(first, body, single_stream_id(StreamKind.REGISTRY))
        self._ledger_id = ledger_id_of(payload)
        for other in others:
            self._record(other, None, single_stream_id(StreamKind.REGISTRY), joins=digest)
        published = registry_pb2.SchemaPublished(descriptor_set=self._schema)
        self._record(first, published, single_stream_id(StreamKind.SCHEMA))
        return self._ledger_id, digest

    def _record(self, by: _Party, body: Message | None, stream: bytes, *, joins: bytes = b"") -> tuple[bytes, bytes]:
        micros = self._micros()
        counter = self._counters[by.party] = self._counters.get(by.party, 0) + 1
        header = statement_pb2.Header(
            ledger_id=self._ledger_id,
            statement_id=new_statement_id(micros // 1000, self._random_bytes),
            stream=stream,
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            occurred_at=statement_pb2.Occurrence(
                start_unix_micros=micros, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            signed_at=statement_pb2.ClockReading(
                unix_micros=micros, zone="Etc/UTC", clock_source=statement_pb2.CLOCK_SOURCE_NETWORK
            ),
            device=by.party,
            device_counter=counter,
            signer=statement_pb2.Signer(
                signer_id=by.party,
                key_ids=[by.signer.key_id],
                role=ROLE_REGISTRAR,
                meaning=statement_pb2.MEANING_APPROVED,
                authentication=statement_pb2.AUTHENTICATION_METHOD_PASSPHRASE,
            ),
            schema_digest=hashlib.sha256(self._schema).digest(),
            co_signature=statement_pb2.CoSignature(statement_digest=joins) if joins else None,
        )
        kind = PayloadType.CO_SIGNATURE if body is None else BODIES[body.DESCRIPTOR.full_name].payload_type
        draft = draft_statement(header, body, self._random_bytes(32))
        envelope = sign_statement(draft.payload, kind, [by.signer])
        recorded = self._ledger.submit(
            Submission(envelope, draft.openings, b""), timeout_seconds=SUBMIT_TIMEOUT_SECONDS
        )
        return draft.payload, recorded.statement_digest

    def _micros(self) -> int:
        return int(self._now().timestamp() * 1_000_000)


def _check(wishes: FoundingWishes, directory: Path, passphrase: str) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError("a ledger is founded in an empty folder", directory=directory)
    if not 1 <= wishes.registrars <= REGISTRARS_MAX:
        raise ConfigurationError("a ledger has 1 to 16 registrars", key="registrars", value=wishes.registrars)
    if not 1 <= wishes.threshold <= wishes.registrars:
        raise ConfigurationError(
            "the threshold lies between 1 and the registrars", key="threshold", value=wishes.threshold
        )
    if not wishes.hosts:
        raise ConfigurationError("a server's certificate names a host", key="hosts")
    if not passphrase:
        raise ConfigurationError("the registrars' keys need a passphrase", key="passphrase")
    _check_policy(wishes.witness_policy)


def _check_policy(text: str) -> None:
    if not text:
        return
    try:
        policy = parse_policy(text.encode())
        addresses_in(policy)
    except CellcustodyError as defect:
        raise ConfigurationError("the witness policy is none", key="witness_policy", cause=defect) from defect
    if policy.logs:
        # The log's keys are drawn here, so that no line can name them; a verifier takes them from the anchor.
        raise ConfigurationError("the policy of a new ledger lists no log", key="witness_policy")


def _make_registrars(
    wishes: FoundingWishes, directory: Path, passphrase: str, random_bytes: Callable[[int], bytes]
) -> list[_Party]:
    persons = sorted(random_bytes(PARTY_ID_BYTES) for _ in range(wishes.registrars))
    made: list[_Party] = []
    for number, person in enumerate(persons, 1):
        secret = new_secret(random_bytes)
        create_key_file(
            _registrar_file(directory, number),
            KeyKind.ED25519,
            secret,
            passphrase,
            name=f"Registrar {number}",
            holder=person,
            cost=wishes.registrar_cost,
            random_bytes=random_bytes,
        )
        made.append(_Party(person, signer_of(KeyKind.ED25519, secret)))
    return made


def _make_ledger_keys(origin: str, directory: Path, passphrase: str, random_bytes: Callable[[int], bytes]) -> _Party:
    device, secret = random_bytes(PARTY_ID_BYTES), new_secret(random_bytes)
    for path, kind, name, holder, key in (
        ("log-ed25519.json", KeyKind.NOTE_ED25519, origin, b"", new_secret(random_bytes)),
        ("log-ml-dsa-44.json", KeyKind.NOTE_ML_DSA_44, origin, b"", new_secret(random_bytes)),
        ("service.json", KeyKind.ED25519, "ledger service key", device, secret),
    ):
        create_key_file(
            directory / "keys" / path,
            kind,
            key,
            passphrase,
            name=name,
            holder=holder,
            cost=COST_LIGHT,  # The passphrase is 32 random bytes: nobody guesses it, however cheap a guess is.
            random_bytes=random_bytes,
        )
    return _Party(device, signer_of(KeyKind.ED25519, secret))


def _registrar_file(directory: Path, number: int) -> Path:
    return directory / "registrars" / f"registrar-{number}.json"


def _write_secret(path: Path, text: str) -> None:
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)


def _configuration_text(wishes: FoundingWishes, operator: IssuedCertificate) -> str:
    http = ""
    if wishes.http_listen is not None:
        http = f"""
[http]
listen = {json.dumps(wishes.http_listen)}
entries_open = {json.dumps(wishes.entries_open)}
"""
    postgres = f"\n[postgres]\n{wishes.postgres.strip()}\n" if wishes.postgres else ""
    return f"""# A ledger founded for trying out; every key is explained in docs/operations.md.
[ledger]
data_directory = "data"
key_store_directory = "vault-keys"
journal_directory = "journal"
store = "{"postgres" if wishes.postgres else "sqlite"}"
anchor = "anchor.json"
{postgres}
[keys]
log = ["keys/log-ed25519.json", "keys/log-ml-dsa-44.json"]
service = "keys/service.json"
passphrase_file = "secrets/passphrase"
master_key_file = "secrets/master.key"

[tls]
certificate = "tls/server.pem"
key = "tls/server.key"
client_ca = "tls/ca.pem"
operator_key_ids = ["{operator.tls_key_id.hex()}"]

[grpc]
listen = {json.dumps(wishes.grpc_listen)}
reflection = {json.dumps(wishes.reflection)}
{http}"""
