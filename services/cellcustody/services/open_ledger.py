"""Open the ledger that a configuration describes, and close everything of it in order.

The rules:

* Key files open under the passphrase before any store is touched: a mistyped passphrase leaves no lock behind.
* The service device is the holder that the service key's file names; the origin is that of the anchor.
* On closing, writer and publisher end first, then store, journal and keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.recording.ledger import Ledger, LedgerParts
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.statements import Signer
from cellcustody.ledger.statements.key_files import load_note_signer, load_signer, read_key_file
from cellcustody.ledger.store import HeadJournal, KeyStore, LedgerStore, StoreUnavailableError, Vault, open_sqlite
from cellcustody.ledger.transparency import NoteSigner
from cellcustody.services.configuration import Configuration, KeySettings, PostgresSettings, StoreKind

__all__ = ["LedgerKeys", "load_ledger_keys", "now_micros", "open_ledger", "read_anchor"]

CONNECT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class LedgerKeys:
    """What the ledger signs with."""

    log_signers: tuple[NoteSigner, ...]
    service_signer: Signer
    service_device: bytes


def now_micros() -> int:
    """Returns the time in microseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1000


def read_anchor(path: Path) -> Anchor:
    """Returns the anchor in a file.

    Raises:
        ConfigurationError: it cannot be read or is none.
    """
    try:
        return parse_anchor(path.read_bytes())
    except OSError as defect:
        raise ConfigurationError("the anchor cannot be read", key="ledger.anchor", value=path) from defect
    except CellcustodyError as defect:
        raise ConfigurationError("the anchor is none", key="ledger.anchor", value=path, cause=defect) from defect


def load_ledger_keys(settings: KeySettings, environment: Mapping[str, str]) -> LedgerKeys:
    """Returns the ledger's own keys out of their files.

    Raises:
        ConfigurationError: a file or the passphrase is not what it should be.
    """
    passphrase = settings.passphrase.read(environment)
    device = read_key_file(settings.service).holder
    if not device:
        raise ConfigurationError("the service key's file names no device", key="keys.service", value=settings.service)
    return LedgerKeys(
        log_signers=tuple(load_note_signer(path, passphrase) for path in settings.log),
        service_signer=load_signer(settings.service, passphrase),
        service_device=device,
    )


@contextmanager
def open_ledger(
    configuration: Configuration,
    *,
    origin: str,
    keys: LedgerKeys,
    environment: Mapping[str, str],
    now: Callable[[], int] = now_micros,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Iterator[Ledger]:
    """Yields the ledger, open; `origin` is the log's origin line.

    Raises:
        ConfigurationError: a folder, key or password is missing or wrong.
        FatalStoreError: the store is not what the journal says.
        StoreError: another process has it open, or the database does not answer.
    """
    section = configuration.ledger
    for directory in (section.data_directory, section.key_store_directory, section.journal_directory):
        if not directory.is_dir():
            raise ConfigurationError("a folder is missing; found a ledger with `init`", value=directory)
    master_key = configuration.keys.master_key(environment)
    with ExitStack() as opened:
        key_store = KeyStore(section.key_store, master_key, random_bytes=random_bytes)
        opened.callback(key_store.close)
        journal = HeadJournal(section.journal)
        opened.callback(journal.close)
        store = _open_store(configuration, environment)
        opened.callback(store.close)
        yield opened.enter_context(
            Ledger(
                LedgerParts(
                    store=store,
                    vault=Vault(key_store, random_bytes=random_bytes),
                    journal=journal,
                    log_origin=origin,
                    log_signers=keys.log_signers,
                    service_signer=keys.service_signer,
                    service_device=keys.service_device,
                    now=now,
                    random_bytes=random_bytes,
                    preparing_processes=max(1, (os.cpu_count() or 1) - 1),  # One processor is left to record.
                )
            )
        )


def _open_store(configuration: Configuration, environment: Mapping[str, str]) -> LedgerStore:
    settings = configuration.postgres
    if configuration.ledger.store is StoreKind.SQLITE or settings is None:
        return open_sqlite(configuration.ledger.database)
    try:
        # Imported here alone: psycopg is an extra that a ledger on SQLite does without.
        from cellcustody.ledger.store.postgres import open_postgres
    except ImportError as defect:
        raise ConfigurationError(
            "PostgreSQL needs the extra `postgres`", key="ledger.store", value=configuration.ledger.store
        ) from defect
    password = settings.password.read(environment)
    _check_database(settings, password)
    return open_postgres(
        host=settings.host,
        port=settings.port,
        dbname=settings.dbname,
        user=settings.user,
        password=password,
        schema=settings.schema,
    )


def _check_database(settings: PostgresSettings, password: str) -> None:
    """Returns if the database answers and has the schema; the store's pool would ask for half a minute in vain."""
    import psycopg

    try:
        with psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.dbname,
            user=settings.user,
            password=password,
            connect_timeout=CONNECT_SECONDS,
        ) as connection:
            found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (settings.schema,)).fetchone()
    except psycopg.Error as defect:
        raise StoreUnavailableError(
            "the database does not answer", host=settings.host, dbname=settings.dbname, cause=type(defect).__name__
        ) from defect
    if found is None:
        raise ConfigurationError("the database has no such schema", key="postgres.schema", value=settings.schema)
