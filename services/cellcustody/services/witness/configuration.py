"""Read a witness's configuration from one TOML file.

    [witness]   name, keys, passphrase_file | passphrase_environment, database, journal_directory
    [http]      listen, prefix, certificate, key, connections_max, idle_seconds, body_bytes_max
    [[log]]     anchor | origin and keys

The rules:

* Every key of the witness is named by `name`; there is at least one. A key of a log is never one of them.
* A log is known by its anchor, or by origin and keys (C2SP verifier keys, types 01 and 06). No origin stands twice.
* Database and journal lie in different folders, for their backups differ: the journal is never restored.

`docs/operations.md` says what each is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.transparency import NoteKeyType, parse_vkey
from cellcustody.services.bounded_http import HttpLimits
from cellcustody.services.configuration_table import Secret, Table, read_configuration_text

__all__ = ["WitnessConfiguration", "WitnessedLog", "load_witness_configuration", "parse_witness_configuration"]

BODY_BYTES_MAX: Final = 262_144  # A checkpoint with its 16 signatures, each of ML-DSA-44, has under 60 kB.


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """A log that is witnessed: its origin, and the verifier keys that it signs with."""

    origin: str
    vkeys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WitnessConfiguration:
    """All that a witness is told from outside."""

    name: str
    keys: tuple[Path, ...]
    passphrase: Secret
    database: Path
    journal_directory: Path
    http: HttpLimits
    prefix: str
    certificate: Path | None
    key: Path | None
    body_bytes_max: int
    logs: tuple[WitnessedLog, ...]


def load_witness_configuration(path: Path | str) -> WitnessConfiguration:
    """Returns the configuration in a file.

    Raises:
        ConfigurationError: the file cannot be read or is not one; names the key and the value.
    """
    return parse_witness_configuration(read_configuration_text(path), Path(path).resolve().parent)


def parse_witness_configuration(text: str, base: Path) -> WitnessConfiguration:
    """Returns the configuration in a TOML text; relative paths are relative to `base`.

    Raises:
        ConfigurationError: it is not one; names the key and the value.
    """
    root = Table.of_toml(text, base)
    witness, http = root.table("witness"), root.table("http")
    logs = tuple(_log(table) for table in root.tables("log"))
    root.end()
    configuration = WitnessConfiguration(
        name=witness.text("name"),
        keys=witness.paths("keys"),
        passphrase=witness.secret("passphrase"),
        database=witness.path("database"),
        journal_directory=witness.path("journal_directory"),
        http=HttpLimits(
            listen=http.listen("listen"),
            connections_max=http.count("connections_max", 64, 1, 4096),
            idle_seconds=http.seconds("idle_seconds", 30, 1, 600),
        ),
        prefix=_prefix(http),
        certificate=http.path("certificate") if http.has("certificate") else None,
        key=http.path("key") if http.has("key") else None,
        body_bytes_max=http.count("body_bytes_max", BODY_BYTES_MAX, 1024, 4 * 1024 * 1024),
        logs=logs,
    )
    witness.end()
    http.end()
    if not configuration.keys:
        raise ConfigurationError("a witness cosigns with at least one key", key="witness.keys")
    if (configuration.certificate is None) != (configuration.key is None):
        raise ConfigurationError("a certificate and its key stand together", key="http.certificate")
    if configuration.database.parent == configuration.journal_directory:
        raise ConfigurationError(
            "database and journal lie in different folders, for their backups differ", key="witness.journal_directory"
        )
    origins = [log.origin for log in logs]
    for origin in origins:
        if origins.count(origin) > 1:
            raise ConfigurationError("a log stands once", key="log.origin", value=origin)
    return configuration


def _prefix(table: Table) -> str:
    if not table.has("prefix"):
        return ""
    prefix = table.text("prefix").rstrip("/")
    if not prefix.startswith("/") or any(character in prefix for character in " ?#%"):
        raise ConfigurationError("a prefix is a plain path", key="http.prefix", value=prefix)
    return prefix


def _log(table: Table) -> WitnessedLog:
    if table.has("anchor"):
        path = table.path("anchor")
        table.end()
        try:
            anchor = parse_anchor(path.read_bytes())
        except OSError as defect:
            raise ConfigurationError("the anchor cannot be read", key="log.anchor", value=path) from defect
        return WitnessedLog(anchor.log_origin, anchor.log_keys)
    log = WitnessedLog(table.text("origin"), tuple(table.texts("keys")))
    table.end()
    if not log.vkeys:
        raise ConfigurationError("a log signs with at least one key", key="log.keys", value=log.origin)
    for vkey in log.vkeys:
        try:
            found = parse_vkey(vkey)
        except CellcustodyError as defect:
            raise ConfigurationError("a log's key is a C2SP verifier key", key="log.keys", cause=defect) from defect
        if found.type is NoteKeyType.ED25519_COSIGNATURE:
            raise ConfigurationError("a key of a witness's kind signs no log", key="log.keys", value=vkey)
    return log
