"""Open the ledger that a configuration describes, and close everything of it in order.

The rules:

* Key files open under the passphrase before any store is touched: a mistyped passphrase leaves no lock behind.
* A server records in a process of its own, which alone holds the log's keys; what founds a ledger, or fills one for a
  measurement, records in its own.
* A recording process of a server that was killed ends within moments; the next one waits that long for the journal.
* The service device is the holder that the service key's file names; the origin is that of the anchor.
* On closing, writer and publisher end first, then store, journal and keys.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.recording.ledger import Ledger, LedgerParts
from cellcustody.ledger.recording.ledger_statements import LedgerVoice
from cellcustody.ledger.recording.pipe import MessagePipe
from cellcustody.ledger.recording.preparers import end_with_parent
from cellcustody.ledger.recording.recorder import Recorder
from cellcustody.ledger.recording.remote import RemoteLedger
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.statements import KeyAlgorithm, Signer
from cellcustody.ledger.statements.key_files import load_note_signer, load_signer, read_key_file
from cellcustody.ledger.statements.pkcs11_signers import Pkcs11Signer, open_pkcs11_signer
from cellcustody.ledger.statements.pkcs11_uris import parse_pkcs11_uri
from cellcustody.ledger.store import (
    HeadJournal,
    KeyStore,
    LedgerStore,
    StoreUnavailableError,
    Vault,
    WitnessedHead,
    open_sqlite,
)
from cellcustody.ledger.store.errors import JournalInUseError
from cellcustody.ledger.transparency import NoteSigner
from cellcustody.ledger.transparency.notes import Ed25519NoteSignerElsewhere
from cellcustody.services.configuration import Configuration, KeySettings, PostgresSettings, StoreKind
from cellcustody.services.witness.asking import ask_witnesses, policy_of

__all__ = [
    "SWITCH_INTERVAL_SECONDS",
    "LedgerKeys",
    "load_ledger_keys",
    "load_log_signer",
    "load_service_key",
    "now_micros",
    "open_ledger",
    "open_served_ledger",
    "open_store",
    "read_anchor",
    "tune_interpreter",
]

PIN_VARIABLE: Final = "CELLCUSTODY_PIN"  # The same as clients read: one token, one PIN.
CONNECT_SECONDS: Final = 10
END_SECONDS: Final = 60.0  # What was taken is recorded by then, or something is wrong.
JOURNAL_SECONDS: Final = 3.0  # A recording process whose server was killed has ended long before.
JOURNAL_POLL_SECONDS: Final = 0.02

SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter while others wait. An append passes from thread to thread, and at the
default of 5 ms each of these handoffs may wait for whoever is verifying signatures."""

COLLECTION_THRESHOLDS: Final = (100_000, 50, 50)
"""When the cyclic collector runs. Statements make many objects and few cycles: at the defaults a tenth of an append's
time went into looking for cycles among cases and contract that are there to stay."""


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


def load_service_key(settings: KeySettings, environment: Mapping[str, str]) -> tuple[Signer, bytes]:
    """Returns the ledger's service key and the device that it is the key of.

    Raises:
        ConfigurationError: the file or the passphrase is not what it should be.
    """
    if isinstance(settings.service, str):
        if not settings.service_device:
            raise ConfigurationError("a service key on a token needs its device named", key="keys.service_device")
        return _token_signer(settings.service, environment), settings.service_device
    device = read_key_file(settings.service).holder
    if not device:
        raise ConfigurationError("the service key's file names no device", key="keys.service", value=settings.service)
    return load_signer(settings.service, settings.passphrase.read(environment)), device


def load_log_signer(place: Path | str, origin: str, passphrase: str, environment: Mapping[str, str]) -> NoteSigner:
    """Returns the signer of checkpoints whose key is in a file, or on a token under this origin.

    Raises:
        ConfigurationError: the file or token is not what it should be, or the token's key is not Ed25519.
    """
    if isinstance(place, Path):
        return load_note_signer(place, passphrase)
    signer = _token_signer(place, environment)
    if signer.public_key.algorithm is not KeyAlgorithm.ED25519:
        raise ConfigurationError("a log's key on a token is Ed25519", key="keys.log", value=place)
    raw = signer.public_key.spki[len(KeyAlgorithm.ED25519.value) :]
    return Ed25519NoteSignerElsewhere(origin, raw, signer.sign)


def _token_signer(place: str, environment: Mapping[str, str]) -> Pkcs11Signer:
    uri = parse_pkcs11_uri(place)
    pin = uri.read_pin() or environment.get(PIN_VARIABLE, "")
    if not pin:
        raise ConfigurationError("no PIN: name a pin-source in the URI, or set the variable", variable=PIN_VARIABLE)
    return open_pkcs11_signer(uri, pin)


def load_ledger_keys(settings: KeySettings, environment: Mapping[str, str], *, origin: str) -> LedgerKeys:
    """Returns the ledger's own keys out of their files, or on their tokens; `origin` names those of the log.

    Raises:
        ConfigurationError: a file or the passphrase is not what it should be.
    """
    passphrase = settings.passphrase.read(environment)
    signer, device = load_service_key(settings, environment)
    return LedgerKeys(
        log_signers=tuple(load_log_signer(place, origin, passphrase, environment) for place in settings.log),
        service_signer=signer,
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
    answered: Callable[[], None] = lambda: None,
    replaces_log_keys: bool = False,
    has_writing_thread: bool = True,
) -> Iterator[Ledger]:
    """Yields the ledger, open and recording in this process; `origin` is the log's origin line.

    With `replaces_log_keys` nothing is published before the first group is recorded: a log key is lost. Without a
    writing thread of its own the ledger records when `record_waiting` is called.

    Raises:
        ConfigurationError: a folder, key or password is missing or wrong.
        FatalStoreError: the store is not what the journal says.
        StoreError: another process has it open, or the database does not answer.
    """
    section = configuration.ledger
    _check_folders(configuration)
    master_key = configuration.keys.master_key(environment)
    with ExitStack() as opened:
        key_store = KeyStore(section.key_store, master_key, random_bytes=random_bytes)
        opened.callback(key_store.close)
        journal = _open_journal(section.journal)
        opened.callback(journal.close)
        store = open_store(configuration, environment)
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
                    answered=answered,
                    replaces_log_keys=replaces_log_keys,
                    witnessed=lambda: _seen_by_witnesses(configuration, origin, keys),
                    has_writing_thread=has_writing_thread,
                )
            )
        )


def _seen_by_witnesses(configuration: Configuration, origin: str, keys: LedgerKeys) -> tuple[WitnessedHead, ...]:
    """Returns what witnesses have seen of this log; nothing while the ledger is being founded and has no anchor."""
    if not configuration.ledger.anchor.exists():
        return ()
    anchor = read_anchor(configuration.ledger.anchor)
    policy = policy_of(configuration, anchor.witness_policy)
    if policy is None:
        return ()
    # Those of the anchor may have been rotated away since, and signed what a witness remembers.
    vkeys = tuple(dict.fromkeys((*(signer.vkey for signer in keys.log_signers), *anchor.log_keys)))
    return ask_witnesses(policy, origin, vkeys, configuration.witnesses)


@contextmanager
def open_served_ledger(
    configuration: Configuration,
    *,
    origin: str,
    service_signer: Signer,
    service_device: bytes,
    environment: Mapping[str, str],
    now: Callable[[], int] = now_micros,
    recording_now: Callable[[], int] = now_micros,
) -> Iterator[RemoteLedger]:
    """Yields the ledger, open for reading here and recording in a process of its own.

    `recording_now` is that process's clock; it is sent there, so it can be pickled.

    Raises:
        ConfigurationError: a folder, key or password is missing or wrong.
        FatalStoreError: the store is not what the journal says.
        StoreError: another process has it open, or the database does not answer.
    """
    _check_folders(configuration)
    with ExitStack() as opened:
        connection = opened.enter_context(recording_process(configuration, origin, environment, recording_now))
        pipe = MessagePipe(connection)
        opened.callback(pipe.close)
        key_store = KeyStore(configuration.ledger.key_store, configuration.keys.master_key(environment))
        opened.callback(key_store.close)
        store = open_store(configuration, environment)
        opened.callback(store.close)
        yield opened.enter_context(
            RemoteLedger(
                store,
                Vault(key_store),
                LedgerVoice(service_signer, service_device, os.urandom),
                pipe,
                now=now,
                preparing_processes=max(1, (os.cpu_count() or 1) - 1),  # One processor is left to record.
            )
        )


@contextmanager
def recording_process(
    configuration: Configuration,
    origin: str,
    environment: Mapping[str, str],
    now: Callable[[], int] = now_micros,
) -> Iterator[Connection]:
    """Yields this end of the way to a new process that records, and waits for it to end."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(
        target=_record,
        args=(there, configuration, origin, dict(environment), now),
        name="cellcustody-recorder",
        daemon=True,
    )
    process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.join(END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _record(
    connection: Connection,
    configuration: Configuration,
    origin: str,
    environment: Mapping[str, str],
    now: Callable[[], int],
) -> None:
    """Records until the server closes its end; the server decides when, so that signals to both do not count here."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()

    @contextmanager
    def opened(answered: Callable[[], None]) -> Iterator[Ledger]:
        keys = load_ledger_keys(configuration.keys, environment, origin=origin)
        opening = open_ledger(
            configuration,
            origin=origin,
            keys=keys,
            environment=environment,
            now=now,
            answered=answered,
            has_writing_thread=False,
        )
        with opening as ledger:
            tune_interpreter()
            yield ledger

    Recorder(MessagePipe(connection)).run(opened)


def tune_interpreter() -> None:
    """Sets how threads take turns and when cycles are looked for, in a process that records or serves."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)


def _check_folders(configuration: Configuration) -> None:
    section = configuration.ledger
    for directory in (section.data_directory, section.key_store_directory, section.journal_directory):
        if not directory.is_dir():
            raise ConfigurationError("a folder is missing; found a ledger with `init`", value=directory)


def _open_journal(path: Path) -> HeadJournal:
    waited = time.monotonic() + JOURNAL_SECONDS
    while True:
        try:
            return HeadJournal(path)
        except JournalInUseError:
            if time.monotonic() > waited:
                raise
            time.sleep(JOURNAL_POLL_SECONDS)


def open_store(configuration: Configuration, environment: Mapping[str, str]) -> LedgerStore:
    """Returns the store that the configuration describes, open; whoever opens it closes it.

    Raises:
        ConfigurationError, StoreError: it is not there, or does not answer.
    """
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
