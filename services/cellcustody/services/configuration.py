"""Read a server's configuration from one TOML file.

The rules:

* Every table and key has its place in the table below; an unknown one is refused, and so is a value of another type
  or out of bounds. The refusal names the key and, unless it is a secret, the value.
* Relative paths are relative to the folder of the configuration file.
* No secret stands in the file: passphrase, master key and database password are named by file or by environment
  variable, exactly one of the two.
* Files with secrets are open to their owner alone.

    [ledger]        data_directory, key_store_directory, journal_directory, store, anchor
    [postgres]      host, port, dbname, user, schema, password_file | password_environment
    [keys]          log, service, service_device, passphrase_file | passphrase_environment,
                    master_key_file | master_key_environment
    [tls]           certificate, key, client_ca, operator_key_ids
    [grpc]          listen, reflection, threads, rpcs_max, streams_max, streams_per_connection_max, message_bytes_max,
                    append_timeout_seconds, drain_seconds, keepalive_seconds
    [http]          listen, tls, entries_open, connections_max, idle_seconds
    [exports]       concurrent_max
    [head_map]      every_entries, every_seconds
    [witnesses]     policy, interval_seconds, timeout_seconds, patience_seconds, ca
    [timestamps]    see `timestamp_settings`

`docs/operations.md` says what each is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.store import MasterKey, master_key_from_environment, read_master_key
from cellcustody.services.configuration_table import ListenAddress, Secret, Table, read_configuration_text
from cellcustody.services.timestamp_settings import TimestampSettings, read_timestamps

__all__ = [
    "Configuration",
    "ExportSettings",
    "GrpcSettings",
    "HeadMapSettings",
    "HttpSettings",
    "KeySettings",
    "LedgerSection",
    "ListenAddress",
    "PostgresSettings",
    "Secret",
    "StoreKind",
    "TlsSettings",
    "WitnessSettings",
    "load_configuration",
    "parse_configuration",
]

KEY_ID_BYTES: Final = 32
_KEY_ID_TEXT: Final = re.compile(r"[0-9a-f]{64}")
_DEVICE_ID_TEXT: Final = re.compile(r"[0-9a-f]{32}")


class StoreKind(StrEnum):
    """Where entries are kept."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class LedgerSection:
    """Where the ledger lies. The three folders belong on different backups: see docs/operations.md."""

    data_directory: Path
    key_store_directory: Path
    journal_directory: Path
    store: StoreKind
    anchor: Path

    @property
    def database(self) -> Path:
        """The embedded store's file."""
        return self.data_directory / "ledger.sqlite"

    @property
    def views_database(self) -> Path:
        """The views' file; it can be deleted and is then made anew from the log."""
        return self.data_directory / "views.sqlite"

    @property
    def head_map_database(self) -> Path:
        """The file of the maps of heads and aliases; it can be deleted and is then made anew from the log."""
        return self.data_directory / "heads.sqlite"

    @property
    def key_store(self) -> Path:
        """The wrapped keys of the vault."""
        return self.key_store_directory / "vault-keys.sqlite"

    @property
    def journal(self) -> Path:
        """The head journal."""
        return self.journal_directory / "heads.journal"


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """A database on a server."""

    host: str
    port: int
    dbname: str
    user: str
    schema: str
    password: Secret


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The ledger's own keys."""

    log: tuple[Path | str, ...]
    """Key files, or PKCS #11 URIs of Ed25519 keys."""

    service: Path | str
    service_device: bytes
    """The device that the service key is of, where the key is on a token; a key file names it itself."""

    passphrase: Secret
    master_key_file: Path | None
    master_key_variable: str | None

    def master_key(self, environment: Mapping[str, str]) -> MasterKey:
        """Returns the key under which the vault's keys are wrapped.

        Raises:
            ConfigurationError: it is missing, open to others, or not such a key.
        """
        if self.master_key_file is not None:
            return read_master_key(self.master_key_file)
        return master_key_from_environment(environment, self.master_key_variable or "")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The server's certificate, whom it believes clients' certificates from, and the operator's own TLS keys."""

    certificate: Path
    key: Path
    client_ca: Path
    operator_key_ids: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """The gRPC face and its limits."""

    listen: ListenAddress
    reflection: bool = False
    threads: int = 48  # Each call holds one while it runs; 16 writers, their reads, and the streams below.
    rpcs_max: int = 512  # Running and waiting together; beyond it callers are told at once to come back.
    streams_max: int = 16  # Each stream holds a thread for as long as it lasts: a third of them at most.
    streams_per_connection_max: int = 128
    message_bytes_max: int = 4 * 1024 * 1024  # gRPC's own default; a body has at most 1 MiB of openings.
    append_timeout_seconds: float = 30.0  # For callers who give no deadline.
    drain_seconds: float = 20.0
    keepalive_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The HTTP face of the log and its limits."""

    listen: ListenAddress
    tls: bool = False
    entries_open: bool = False
    connections_max: int = 64  # Each holds a thread.
    idle_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Limits on giving out whole histories."""

    concurrent_max: int = 2  # An export reads much and holds a thread; two leave the rest to the bedside.


@dataclass(frozen=True, slots=True)
class HeadMapSettings:
    """When a map of stream heads is logged, exports apart: each logs one."""

    every_entries: int = 1_000
    every_seconds: float = 300.0  # If anything was recorded since the last map.


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """How cosignatures are gathered. Which witnesses are asked is said by the policy, and by the anchor without one."""

    policy: Path | None = None
    interval_seconds: float = 2.0  # Between checkpoints sent to witnesses, unless somebody waits.
    timeout_seconds: float = 5.0  # For one request to one witness; a checkpoint that has no quorum by then gives way.
    patience_seconds: float = 60.0  # How long the last witnessed checkpoint is shown while newer ones lack a quorum.
    ca: Path | None = None
    """Authorities that witnesses' certificates are believed from; None: those of the machine."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that a server is told from outside."""

    ledger: LedgerSection
    keys: KeySettings
    tls: TlsSettings
    grpc: GrpcSettings
    http: HttpSettings | None
    exports: ExportSettings = field(default_factory=ExportSettings)
    head_map: HeadMapSettings = field(default_factory=HeadMapSettings)
    postgres: PostgresSettings | None = None
    witnesses: WitnessSettings = field(default_factory=WitnessSettings)
    timestamps: TimestampSettings = field(default_factory=TimestampSettings)


def load_configuration(path: Path | str) -> Configuration:
    """Returns the configuration in a file.

    Raises:
        ConfigurationError: the file cannot be read or is not a configuration; names the key and the value.
    """
    text = read_configuration_text(path)
    return parse_configuration(text, Path(path).resolve().parent)


def parse_configuration(text: str, base: Path) -> Configuration:
    """Returns the configuration in a TOML text; relative paths are relative to `base`.

    Raises:
        ConfigurationError: it is not one; names the key and the value.
    """
    root = Table.of_toml(text, base)
    ledger = _ledger(root.table("ledger"))
    configuration = Configuration(
        ledger=ledger,
        keys=_keys(root.table("keys")),
        tls=_tls(root.table("tls")),
        grpc=_grpc(root.table("grpc")),
        http=_http(root.table("http")) if root.has("http") else None,
        exports=_exports(root.table("exports")) if root.has("exports") else ExportSettings(),
        head_map=_head_map(root.table("head_map")) if root.has("head_map") else HeadMapSettings(),
        postgres=_postgres(root.table("postgres")) if root.has("postgres") else None,
        witnesses=_witnesses(root.table("witnesses")) if root.has("witnesses") else WitnessSettings(),
        timestamps=read_timestamps(root.table("timestamps")) if root.has("timestamps") else TimestampSettings(),
    )
    root.end()
    if (ledger.store is StoreKind.POSTGRES) != (configuration.postgres is not None):
        raise ConfigurationError("[postgres] stands exactly where the store is postgres", key="ledger.store")
    if configuration.grpc.streams_max >= configuration.grpc.threads:
        raise ConfigurationError(
            "streams would take every thread", key="grpc.streams_max", value=configuration.grpc.streams_max
        )
    return configuration


def _ledger(table: Table) -> LedgerSection:
    store = table.text("store", StoreKind.SQLITE.value)
    if store not in list(StoreKind):
        raise ConfigurationError("a store is sqlite or postgres", key="ledger.store", value=store)
    section = LedgerSection(
        data_directory=table.path("data_directory"),
        key_store_directory=table.path("key_store_directory"),
        journal_directory=table.path("journal_directory"),
        store=StoreKind(store),
        anchor=table.path("anchor"),
    )
    table.end()
    if len({section.data_directory, section.key_store_directory, section.journal_directory}) != 3:
        raise ConfigurationError(
            "data, key store and journal lie in different folders, for their backups differ",
            key="ledger.data_directory",
            value=section.data_directory,
        )
    return section


def _postgres(table: Table) -> PostgresSettings:
    settings = PostgresSettings(
        host=table.text("host"),
        port=table.count("port", 5432, 1, 65_535),
        dbname=table.text("dbname"),
        user=table.text("user"),
        schema=table.text("schema", "public"),
        password=table.secret("password"),
    )
    table.end()
    return settings


def _keys(table: Table) -> KeySettings:
    master_key_file, master_key_variable = table.one_of("master_key")
    settings = KeySettings(
        log=table.key_places("log"),
        service=table.key_place("service"),
        service_device=_device_id(table),
        passphrase=table.secret("passphrase"),
        master_key_file=master_key_file,
        master_key_variable=master_key_variable,
    )
    table.end()
    if not settings.log:
        raise ConfigurationError("a log signs with at least one key", key="keys.log")
    return settings


def _device_id(table: Table) -> bytes:
    if not table.has("service_device"):
        return b""
    text = table.text("service_device")
    if not _DEVICE_ID_TEXT.fullmatch(text):
        raise ConfigurationError("a device id is 32 hex digits", key="keys.service_device", value=text)
    return bytes.fromhex(text)


def _tls(table: Table) -> TlsSettings:
    operators = table.texts("operator_key_ids", default=[])
    for text in operators:
        if _KEY_ID_TEXT.fullmatch(text) is None:
            raise ConfigurationError(
                "a TLS key id is SHA-256 of its SPKI in lower-case hex", key="tls.operator_key_ids", value=text
            )
    settings = TlsSettings(
        certificate=table.path("certificate"),
        key=table.path("key"),
        client_ca=table.path("client_ca"),
        operator_key_ids=frozenset(bytes.fromhex(text) for text in operators),
    )
    table.end()
    return settings


def _grpc(table: Table) -> GrpcSettings:
    default = GrpcSettings(ListenAddress("", 0))
    settings = GrpcSettings(
        listen=table.listen("listen"),
        reflection=table.flag("reflection", default.reflection),
        threads=table.count("threads", default.threads, 4, 1024),
        rpcs_max=table.count("rpcs_max", default.rpcs_max, 4, 65_536),
        streams_max=table.count("streams_max", default.streams_max, 1, 1023),
        streams_per_connection_max=table.count(
            "streams_per_connection_max", default.streams_per_connection_max, 1, 65_536
        ),
        message_bytes_max=table.count("message_bytes_max", default.message_bytes_max, 65_536, 64 * 1024 * 1024),
        append_timeout_seconds=table.seconds("append_timeout_seconds", default.append_timeout_seconds, 1, 600),
        drain_seconds=table.seconds("drain_seconds", default.drain_seconds, 0, 600),
        keepalive_seconds=table.seconds("keepalive_seconds", default.keepalive_seconds, 10, 7200),
    )
    table.end()
    return settings


def _http(table: Table) -> HttpSettings:
    default = HttpSettings(ListenAddress("", 0))
    settings = HttpSettings(
        listen=table.listen("listen"),
        tls=table.flag("tls", default.tls),
        entries_open=table.flag("entries_open", default.entries_open),
        connections_max=table.count("connections_max", default.connections_max, 1, 4096),
        idle_seconds=table.seconds("idle_seconds", default.idle_seconds, 1, 600),
    )
    table.end()
    return settings


def _exports(table: Table) -> ExportSettings:
    settings = ExportSettings(concurrent_max=table.count("concurrent_max", ExportSettings().concurrent_max, 1, 64))
    table.end()
    return settings


def _head_map(table: Table) -> HeadMapSettings:
    default = HeadMapSettings()
    settings = HeadMapSettings(
        every_entries=table.count("every_entries", default.every_entries, 1, 1_000_000),
        every_seconds=table.seconds("every_seconds", default.every_seconds, 1, 86_400),
    )
    table.end()
    return settings


def _witnesses(table: Table) -> WitnessSettings:
    default = WitnessSettings()
    settings = WitnessSettings(
        policy=table.path("policy") if table.has("policy") else None,
        interval_seconds=table.seconds("interval_seconds", default.interval_seconds, 0, 3600),
        timeout_seconds=table.seconds("timeout_seconds", default.timeout_seconds, 0.1, 60),
        patience_seconds=table.seconds("patience_seconds", default.patience_seconds, 0, 86_400),
        ca=table.path("ca") if table.has("ca") else None,
    )
    table.end()
    return settings
