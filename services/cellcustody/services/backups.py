"""Back a ledger's entries up while it runs, and put a backup in an empty place.

The rules:

* A backup is a folder with the database of one commit and `backup.json`, which is written last: a folder without it is
  none. It holds entries, tiles, sealed bodies and time evidence; never the head journal, the keys of the bodies, or a
  private key.
* SQLite is copied page by page; PostgreSQL is dumped by its own `pg_dump` under the very snapshot of which the head was
  read. Either goes on while statements are recorded.
* Restoring replaces nothing: the database file is absent, or the schema has no table. What was restored is read again
  from the first entry to the last: it has to make the head that `backup.json` tells, and every tile and chain.
* Whether the restored ledger may start is the journal's to say: an older backup is refused, with what to do about it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.recording.scrubbing import scrub
from cellcustody.ledger.store import Head, HeadJournal, back_up_sqlite
from cellcustody.ledger.store.recorder import head_of
from cellcustody.ledger.store.tables import HEAD
from cellcustody.ledger.store.time_evidence import copy_time_evidence
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.services.configuration import Configuration, PostgresSettings, StoreKind
from cellcustody.services.open_ledger import open_store, read_anchor

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

__all__ = ["BackupError", "BackupMade", "Restored", "back_up", "restore"]

FORMAT: Final = "cellcustody-backup-1"
MANIFEST: Final = "backup.json"
SQLITE_FILE: Final = "ledger.sqlite"
POSTGRES_FILE: Final = "ledger.pgdump"
MANIFEST_BYTES_MAX: Final = 16_384
PROGRAM_SECONDS_MAX: Final = 24 * 3_600.0


class BackupError(StoreError):
    """Raised when a backup cannot be made, is not whole, or is of another ledger; nothing was replaced."""

    reason = "BACKUP_UNUSABLE"


@dataclass(frozen=True, slots=True)
class BackupMade:
    """What `backup.json` tells. `founding_digest` and `root_hash` in hexadecimal; `made_at` in ISO 8601."""

    format: str
    store: str
    file: str
    file_sha256: str
    founding_digest: str
    size: int
    root_hash: str
    made_at: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what the journal says of it."""

    size: int
    root_hash: str
    signed_size: int | None
    """Size of the last signed head in the journal; None where there is no journal."""

    may_start: bool
    advice: str


def back_up(
    configuration: Configuration,
    folder: Path,
    environment: Mapping[str, str],
    *,
    now: datetime,
    programs: Path | None = None,
) -> BackupMade:
    """Makes a backup in a new folder; `programs` is where `pg_dump` lies, else it is looked for on the path.

    Raises:
        BackupError: the folder exists, or the copy could not be made whole.
        StoreError, ConfigurationError: the database or a password is not there.
    """
    anchor = read_anchor(configuration.ledger.anchor)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as defect:
        raise BackupError("a backup never replaces a folder", folder=folder) from defect
    if configuration.ledger.store is StoreKind.SQLITE or configuration.postgres is None:
        file = folder / SQLITE_FILE
        head = back_up_sqlite(configuration.ledger.database, file)
    else:
        file = folder / POSTGRES_FILE
        head = _dump(configuration.postgres, file, environment, programs)
    # After the entries: an item of a tree beyond them waits until the log has grown there again.
    copy_time_evidence(configuration.ledger.data_directory, folder)
    made = BackupMade(
        format=FORMAT,
        store=configuration.ledger.store.value,
        file=file.name,
        file_sha256=_sha256(file),
        founding_digest=anchor.founding_digest.hex(),
        size=head.size,
        root_hash=head.root_hash.hex(),
        made_at=now.isoformat(),
    )
    _write_durably(folder / MANIFEST, json.dumps(asdict(made), indent=1) + "\n")
    return made


def restore(
    configuration: Configuration, folder: Path, environment: Mapping[str, str], *, programs: Path | None = None
) -> Restored:
    """Puts a backup in the configuration's empty place, reads it all again, and tells what the journal says.

    Raises:
        BackupError: it is not whole, of another ledger or store, or something lies where it is to go.
        StoreDamagedError: what was put in place is damaged, and where.
    """
    made = _read_manifest(folder)
    anchor = read_anchor(configuration.ledger.anchor)
    if made.founding_digest != anchor.founding_digest.hex():
        raise BackupError("the backup is of another ledger than the anchor", founding=made.founding_digest)
    if made.store != configuration.ledger.store.value:
        raise BackupError("the backup is of another kind of store", backup=made.store)
    file = folder / made.file
    if _sha256(file) != made.file_sha256:
        raise BackupError("the backup is not what was made: its digest is another", file=file)
    if configuration.ledger.store is StoreKind.SQLITE or configuration.postgres is None:
        _copy_into_place(file, configuration.ledger.database)
    else:
        _load(configuration.postgres, file, environment, programs)
    copy_time_evidence(folder, configuration.ledger.data_directory)  # What is there already is no older, and stays.
    store = open_store(configuration, environment)
    try:
        head = scrub(store, None).head  # The keys of bodies may not be in their place yet.
    finally:
        store.close()
    if (head.size, head.root_hash.hex()) != (made.size, made.root_hash):
        raise BackupError("what was restored is not what was backed up", size=head.size, told=made.size)
    return _told(configuration, head)


def _told(configuration: Configuration, head: Head) -> Restored:
    path = configuration.ledger.journal
    if not path.exists():
        advice = (
            "the head journal is not here, so that start is refused (JOURNAL_MISSING): put the journal of this ledger "
            "in its place; without it nobody can tell what was signed already"
        )
        return Restored(head.size, head.root_hash.hex(), None, False, advice)
    with HeadJournal(path) as journal:
        note = journal.last()
    signed = None if note is None else parse_checkpoint(note)
    if signed is None:
        return Restored(head.size, head.root_hash.hex(), 0, head.size == 0, "the journal is empty")
    if signed.size > head.size:
        advice = (
            f"start is refused (STORE_ROLLED_BACK): entries {head.size} to {signed.size - 1} were signed and are not "
            "in this backup. Restore a newer one, or bring them back with `cellcustody recover` from copies that others"
            " hold: dossiers, mirrors of the log, another copy of the database. Do not delete the journal: a log that "
            "signs these places again is a fork, and every witness and receipt would prove it"
        )
        return Restored(head.size, head.root_hash.hex(), signed.size, False, advice)
    advice = "nothing that was signed is missing; start compares the roots again"
    return Restored(head.size, head.root_hash.hex(), signed.size, True, advice)


def _copy_into_place(file: Path, database: Path) -> None:
    for path in (database, database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")):
        if path.exists():
            raise BackupError("a database is there already; a restore replaces nothing", file=path)
    partial = database.with_name(database.name + ".restoring")
    try:
        shutil.copyfile(file, partial)
        partial.chmod(0o600)
        _sync(partial)
        os.link(partial, database)  # Unlike a rename it fails where the name was taken meanwhile.
        _sync(database.parent)
    except OSError as defect:
        raise BackupError("the backup could not be put in place", file=database, cause=defect.strerror) from defect
    finally:
        partial.unlink(missing_ok=True)


# PostgreSQL. -------------------------------------------------------------------------------------------------------


@contextmanager
def _connected(settings: PostgresSettings, environment: Mapping[str, str]) -> Iterator[psycopg.Connection[TupleRow]]:
    import psycopg

    try:
        with psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.dbname,
            user=settings.user,
            password=settings.password.read(environment),
        ) as connection:
            yield connection
    except psycopg.Error as defect:
        raise BackupError("the database does not answer", cause=type(defect).__name__) from defect


def _dump(settings: PostgresSettings, file: Path, environment: Mapping[str, str], programs: Path | None) -> Head:
    from psycopg import IsolationLevel, sql

    with _connected(settings, environment) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        table = sql.Identifier(settings.schema, HEAD.name)
        row = connection.execute(sql.SQL("SELECT size, root_hash, epoch FROM {0}").format(table)).fetchone()
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
        if row is None or snapshot is None:
            raise BackupError("the schema holds no ledger", schema=settings.schema)
        _run(
            "pg_dump",
            programs,
            settings,
            environment,
            "--format=custom",
            f"--snapshot={snapshot[0]}",
            f"--schema={settings.schema}",
            "--no-owner",
            "--no-privileges",
            f"--file={file}",
        )
        _sync(file)
        return head_of([row])


def _load(settings: PostgresSettings, file: Path, environment: Mapping[str, str], programs: Path | None) -> None:
    with _connected(settings, environment) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = %s", (settings.schema,)
        ).fetchone()
        if found is None or found[0]:
            raise BackupError("the schema has tables already; a restore replaces nothing", schema=settings.schema)
    listed = _run("pg_restore", programs, settings, environment, "--list", str(file), connects=False)
    # The schema is there, and empty; what is made is what lies in it.
    kept = [line for line in listed.splitlines() if " SCHEMA - " not in line]
    contents = file.with_name(file.name + ".contents")
    contents.write_text("\n".join(kept) + "\n", encoding="utf-8")
    try:
        _run(
            "pg_restore",
            programs,
            settings,
            environment,
            "--single-transaction",
            "--exit-on-error",
            "--no-owner",
            "--no-privileges",
            f"--use-list={contents}",
            f"--dbname={settings.dbname}",
            str(file),
        )
    finally:
        contents.unlink(missing_ok=True)


def _run(
    program: str,
    programs: Path | None,
    settings: PostgresSettings,
    environment: Mapping[str, str],
    *arguments: str,
    connects: bool = True,
) -> str:
    found = shutil.which(program) if programs is None else str(programs / program)
    if found is None or not Path(found).is_file():
        raise BackupError("PostgreSQL's own program is not here; name its folder with --programs", program=program)
    where = [f"--host={settings.host}", f"--port={settings.port}", f"--username={settings.user}", "--no-password"]
    if connects and program == "pg_dump":
        where.append(f"--dbname={settings.dbname}")
    try:
        done = subprocess.run(
            [found, *(where if connects else ()), *arguments],
            env={**environment, "PGPASSWORD": settings.password.read(environment)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired) as defect:
        raise BackupError("a program of PostgreSQL's did not run", program=program, cause=str(defect)) from defect
    if done.returncode:
        raise BackupError("a program of PostgreSQL's failed", program=program, said=done.stderr.strip()[:1_000])
    return done.stdout


# Files. ------------------------------------------------------------------------------------------------------------


def _read_manifest(folder: Path) -> BackupMade:
    try:
        with (folder / MANIFEST).open("rb") as stream:
            content = json.loads(stream.read(MANIFEST_BYTES_MAX))
        made = BackupMade(**content)
    except OSError as defect:
        raise BackupError("the folder is no whole backup", folder=folder, cause=defect.strerror) from defect
    except (ValueError, TypeError) as defect:
        raise BackupError("the backup's description is not in its form", folder=folder) from defect
    if made.format != FORMAT or made.file not in (SQLITE_FILE, POSTGRES_FILE):
        raise BackupError("the backup is of another format", format=made.format)
    return made


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as defect:
        raise BackupError("the backup's file cannot be read", file=file, cause=defect.strerror) from defect


def _write_durably(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    _sync(partial)
    os.replace(partial, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
