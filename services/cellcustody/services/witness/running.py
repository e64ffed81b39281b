"""Make a witness in an empty folder, and run it until it is told to end.

The rules:

* The folder is empty or new. Both keys lie under a passphrase drawn at random, in a file beside them.
* The address that was bound is announced when it answers: as a log line, and in the ready file if one is named.
* On SIGTERM or SIGINT nothing new is accepted; what was answered is durable at any moment.
* Two notes of a log that contradict each other are kept as files beside the journal, for whoever wants to prove it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements.key_files import (
    COST_LIGHT,
    KeyKind,
    create_key_file,
    load_note_signer,
    new_secret,
    read_key_file,
)
from cellcustody.ledger.transparency import origin_hash
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.configuration import WitnessConfiguration, load_witness_configuration
from cellcustody.services.witness.cosigning import Witness
from cellcustody.services.witness.http import WitnessHttpServer
from cellcustody.services.witness.store import WitnessStore

__all__ = ["MadeWitness", "RunningWitness", "make_witness", "run_witness", "witnessing"]

CONFIGURATION_FILE: Final = "witness.toml"
_COSIGNATURE_KINDS: Final = frozenset({KeyKind.COSIGNATURE_ED25519, KeyKind.NOTE_ML_DSA_44})
PASSPHRASE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MadeWitness:
    """What was made; `vkeys` are for the policy of whoever believes this witness."""

    configuration: Path
    vkeys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunningWitness:
    """A witness that answers at a port."""

    witness: Witness
    port: int


def make_witness(
    directory: Path,
    name: str,
    *,
    listen: str,
    anchors: tuple[Path, ...] = (),
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> MadeWitness:
    """Makes keys and configuration of a witness of this name in an empty folder; `anchors` are of its first logs.

    Raises:
        ConfigurationError: the folder is not empty, or name or anchor is not what it should be.
    """
    directory = directory.resolve()
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError("a witness is made in an empty folder", directory=directory)
    for folder in ("data", "journal", "keys", "secrets"):
        (directory / folder).mkdir(mode=0o700, parents=True)
    passphrase = random_bytes(PASSPHRASE_BYTES).hex()
    file = os.open(directory / "secrets" / "passphrase", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(passphrase + "\n")
    kinds = {"ed25519.json": KeyKind.COSIGNATURE_ED25519, "ml-dsa-44.json": KeyKind.NOTE_ML_DSA_44}
    vkeys = [
        create_key_file(
            directory / "keys" / path,
            kind,
            new_secret(random_bytes),
            passphrase,
            name=name,
            cost=COST_LIGHT,  # The passphrase is 32 random bytes: nobody guesses it, however cheap a guess is.
            random_bytes=random_bytes,
        ).public_key
        for path, kind in kinds.items()
    ]
    logs = []
    for anchor in anchors:
        raw = anchor.read_bytes()
        path = directory / f"{origin_hash(parse_anchor(raw).log_origin)[:16]}.anchor.json"
        path.write_bytes(raw)
        logs.append(f"\n[[log]]\nanchor = {json.dumps(path.name)}\n")
    configuration = directory / CONFIGURATION_FILE
    configuration.write_text(
        f"""# A witness; every key is explained in docs/operations.md. Logs are added below, each by its anchor.
[witness]
name = {json.dumps(name, ensure_ascii=False)}
keys = ["keys/ed25519.json", "keys/ml-dsa-44.json"]
passphrase_file = "secrets/passphrase"
database = "data/witness.sqlite"
journal_directory = "journal"

[http]
listen = {json.dumps(listen)}
{"".join(logs)}""",
        encoding="utf-8",
    )
    load_witness_configuration(configuration)
    return MadeWitness(configuration, tuple(vkeys))


@contextmanager
def witnessing(
    configuration: WitnessConfiguration,
    *,
    environment: Mapping[str, str],
    log: StructuredLog,
    now: Callable[[], int] = lambda: int(time.time()),
) -> Iterator[RunningWitness]:
    """Yields a witness that answers, and ends it on leaving; `now` gives Unix seconds.

    Raises:
        ConfigurationError: a file, key or address is not what it should be.
        WitnessRolledBackError: its database is older than what it cosigned.
    """
    passphrase = configuration.passphrase.read(environment)
    for path in configuration.keys:
        found = read_key_file(path)
        if found.kind not in _COSIGNATURE_KINDS or found.name != configuration.name:
            raise ConfigurationError(
                "a witness's key cosigns, under its name", key="witness.keys", value=path, kind=found.kind
            )
    cosigners = [load_note_signer(path, passphrase) for path in configuration.keys]
    origins = [one.origin for one in configuration.logs]
    store = WitnessStore(configuration.database, configuration.journal_directory, origins)
    try:

        def contradicted(origin: str, kept: bytes, submitted: bytes) -> None:
            stem = f"{origin_hash(origin)}-{time.time_ns()}"
            (configuration.journal_directory / f"{stem}.kept").write_bytes(kept)
            (configuration.journal_directory / f"{stem}.contradicting").write_bytes(submitted)
            log.write("log_contradicts_itself", origin_hash=origin_hash(origin), evidence=stem)

        witness = Witness(store, configuration.logs, cosigners, now=now, contradicted=contradicted)
        try:
            server = WitnessHttpServer(witness, configuration, log)
        except OSError as defect:
            raise ConfigurationError(
                "the address cannot be bound or a TLS file not be read",
                key="http.listen",
                value=configuration.http.listen,
                cause=defect.strerror,
            ) from defect
        server.start()
        try:
            yield RunningWitness(witness, server.server_port)
        finally:
            server.stop()
    finally:
        store.close()


def run_witness(
    configuration: WitnessConfiguration,
    *,
    ready_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    log: StructuredLog | None = None,
) -> None:
    """Witnesses until SIGTERM or SIGINT. To be called from the main thread.

    Raises:
        ConfigurationError, StoreError: it could not start; nothing was answered.
    """
    used_log = log or StructuredLog()
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())
    with witnessing(configuration, environment=environment, log=used_log) as running:
        ready: dict[str, str | int] = {
            "http": f"{configuration.http.listen.host}:{running.port}",
            "pid": os.getpid(),
            "logs": len(configuration.logs),
        }
        used_log.write("ready", **ready)
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.part")
            part.write_text(json.dumps(ready) + "\n", encoding="utf-8")
            part.replace(ready_file)
        asked_to_end.wait()
    used_log.write("ended")
