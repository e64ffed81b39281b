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
    [keys]          log, service, passphrase_file | passphrase_environment, master_key_file | master_key_environment
    [tls]           certificate, key, client_ca, operator_key_ids
    [grpc]          listen, reflection, threads, rpcs_max, streams_max, streams_per_connection_max, message_bytes_max,
                    append_timeout_seconds, drain_seconds, keepalive_seconds
    [http]          listen, tls, entries_open, connections_max, idle_seconds
    [exports]       concurrent_max

`docs/operations.md` says what each is for.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.store import MasterKey, master_key_from_environment, read_master_key

__all__ = [
    "Configuration",
    "ExportSettings",
    "GrpcSettings",
    "HttpSettings",
    "KeySettings",
    "LedgerSection",
    "ListenAddress",
    "PostgresSettings",
    "Secret",
    "StoreKind",
    "TlsSettings",
    "load_configuration",
    "parse_configuration",
]

FILE_BYTES_MAX: Final = 65_536
SECRET_BYTES_MAX: Final = 1_024
KEY_ID_BYTES: Final = 32
_KEY_ID_TEXT: Final = re.compile(r"[0-9a-f]{64}")


class StoreKind(StrEnum):
    """Where entries are kept."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Host and port to listen on; port 0 takes a free one, which the ready line names."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret text is to be found: in a file, or in a variable of the environment."""

    key: str
    file: Path | None
    variable: str | None

    def read(self, environment: Mapping[str, str]) -> str:
        """Returns the secret, without the newline that ends its file.

        Raises:
            ConfigurationError: it is missing, empty, or its file is open to others.
        """
        if self.file is None:
            text = environment.get(self.variable or "", "")
            if not text:
                raise ConfigurationError("the environment lacks a secret", key=self.key, variable=self.variable)
            return text
        try:
            with open(self.file, "rb") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                raw = stream.read(SECRET_BYTES_MAX + 1)
        except OSError as defect:
            raise ConfigurationError(
                "a secret's file cannot be read", key=self.key, value=self.file, cause=defect.strerror
            ) from defect
        if mode & 0o077:
            raise ConfigurationError("a secret's file is open to others; set its mode to 0600", value=self.file)
        try:
            text = raw.decode().removesuffix("\n")
        except UnicodeDecodeError as defect:
            raise ConfigurationError("a secret is UTF-8 text", key=self.key, value=self.file) from defect
        if not text or len(raw) > SECRET_BYTES_MAX:
            raise ConfigurationError("a secret's file is empty or too long", key=self.key, value=self.file)
        return text


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

    log: tuple[Path, ...]
    service: Path
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
class Configuration:
    """All that a server is told from outside."""

    ledger: LedgerSection
    keys: KeySettings
    tls: TlsSettings
    grpc: GrpcSettings
    http: HttpSettings | None
    exports: ExportSettings = field(default_factory=ExportSettings)
    postgres: PostgresSettings | None = None


def load_configuration(path: Path | str) -> Configuration:
    """Returns the configuration in a file.

    Raises:
        ConfigurationError: the file cannot be read or is not a configuration; names the key and the value.
    """
    try:
        with open(path, "rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as defect:
        raise ConfigurationError("the configuration cannot be read", file=path, cause=defect.strerror) from defect
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigurationError("the configuration is too large", file=path, limit=FILE_BYTES_MAX)
    try:
        text = raw.decode()
    except UnicodeDecodeError as defect:
        raise ConfigurationError("the configuration is UTF-8 text", file=path) from defect
    return parse_configuration(text, Path(path).resolve().parent)


def parse_configuration(text: str, base: Path) -> Configuration:
    """Returns the configuration in a TOML text; relative paths are relative to `base`.

    Raises:
        ConfigurationError: it is not one; names the key and the value.
    """
    try:
        content: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as defect:
        raise ConfigurationError("the configuration is not TOML", cause=defect) from defect
    root = _Table("", content, base)
    ledger = _ledger(root.table("ledger"))
    configuration = Configuration(
        ledger=ledger,
        keys=_keys(root.table("keys")),
        tls=_tls(root.table("tls")),
        grpc=_grpc(root.table("grpc")),
        http=_http(root.table("http")) if root.has("http") else None,
        exports=_exports(root.table("exports")) if root.has("exports") else ExportSettings(),
        postgres=_postgres(root.table("postgres")) if root.has("postgres") else None,
    )
    root.end()
    if (ledger.store is StoreKind.POSTGRES) != (configuration.postgres is not None):
        raise ConfigurationError("[postgres] stands exactly where the store is postgres", key="ledger.store")
    if configuration.grpc.streams_max >= configuration.grpc.threads:
        raise ConfigurationError(
            "streams would take every thread", key="grpc.streams_max", value=configuration.grpc.streams_max
        )
    return configuration


class _Table:
    """One table while it is read: every key is taken once, and what is left over is refused."""

    def __init__(self, name: str, content: Mapping[str, object], base: Path) -> None:
        self._name = name
        self._left = dict(content)
        self._base = base

    def has(self, key: str) -> bool:
        return key in self._left

    def table(self, key: str) -> _Table:
        value = self._take(key)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "a table")
        return _Table(key, value, self._base)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, value, "text that is not empty")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def count(self, key: str, default: int, low: int, high: int) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"a whole number from {low} to {high}")
        return value

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        value = self._take(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"seconds from {low:g} to {high:g}")
        return float(value)

    def texts(self, key: str, *, default: list[str] | None = None) -> list[str]:
        value = self._take(key, default)
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list of texts")
        found = [item for item in value if isinstance(item, str) and item]
        if len(found) != len(value):
            raise self._wrong(key, value, "a list of texts")
        return found

    def path(self, key: str, default: str | None = None) -> Path:
        return self._base / self.text(key, default)

    def paths(self, key: str) -> tuple[Path, ...]:
        return tuple(self._base / text for text in self.texts(key))

    def one_of(self, stem: str) -> tuple[Path | None, str | None]:
        """Returns `<stem>_file` or `<stem>_environment`, of which exactly one is given."""
        in_file, in_environment = f"{stem}_file", f"{stem}_environment"
        if self.has(in_file) == self.has(in_environment):
            raise ConfigurationError(
                "exactly one of two is given", key=f"{self._key(in_file)} or {self._key(in_environment)}"
            )
        if self.has(in_file):
            return self.path(in_file), None
        return None, self.text(in_environment)

    def secret(self, stem: str) -> Secret:
        file, variable = self.one_of(stem)
        return Secret(self._key(stem), file, variable)

    def listen(self, key: str) -> ListenAddress:
        value = self.text(key)
        host, _, port = value.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
            raise self._wrong(key, value, "host:port")
        return ListenAddress(host, int(port))

    def end(self) -> None:
        for key, value in self._left.items():
            raise ConfigurationError("there is no such key", key=self._key(key), value=value)

    def _take(self, key: str, default: object = None) -> object:
        value = self._left.pop(key, default)
        if value is None:
            raise ConfigurationError("a key is missing", key=self._key(key))
        return value

    def _key(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def _wrong(self, key: str, value: object, expected: str) -> ConfigurationError:
        return ConfigurationError(f"a value is {expected}", key=self._key(key), value=value)


def _ledger(table: _Table) -> LedgerSection:
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


def _postgres(table: _Table) -> PostgresSettings:
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


def _keys(table: _Table) -> KeySettings:
    master_key_file, master_key_variable = table.one_of("master_key")
    settings = KeySettings(
        log=table.paths("log"),
        service=table.path("service"),
        passphrase=table.secret("passphrase"),
        master_key_file=master_key_file,
        master_key_variable=master_key_variable,
    )
    table.end()
    if not settings.log:
        raise ConfigurationError("a log signs with at least one key", key="keys.log")
    return settings


def _tls(table: _Table) -> TlsSettings:
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


def _grpc(table: _Table) -> GrpcSettings:
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


def _http(table: _Table) -> HttpSettings:
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


def _exports(table: _Table) -> ExportSettings:
    settings = ExportSettings(concurrent_max=table.count("concurrent_max", ExportSettings().concurrent_max, 1, 64))
    table.end()
    return settings
