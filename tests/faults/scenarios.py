"""What can go wrong, one function each: it drives a world into the fault, and says what may become of it.

The rules:

* After the fault the ledger goes on, the log verifies, and nothing that was acknowledged is gone; or the ledger does
  not start, or has stopped, with an error of its own tree that says why. Anything else is a defect.
* Everything that is drawn is drawn from the seed.
* A scenario returns its outcome in a word or two, so that a campaign can be seen to have met both.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.faults.fault_world import DATABASE, JOURNAL, KEYS, Crash, Template, World, copy_files
from tests.integration.recording.ledger_harness import MICROS, ORIGIN

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import CellcustodyError, VerificationError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.scrubbing import StoreDamagedError
from cellcustody.ledger.recording.writer import LedgerStoppedError
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.ledger.store import StoreForkedError, StoreRolledBackError, WitnessedHead, open_sqlite
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    VerifiedCheckpoint,
    build_add_checkpoint,
    verify_checkpoint,
)
from cellcustody.services.witness.configuration import WitnessedLog
from cellcustody.services.witness.cosigning import Witness
from cellcustody.services.witness.store import WitnessRolledBackError, WitnessStore
from cellcustody.v1 import registry_pb2

__all__ = ["SCENARIOS", "run"]

Scenario = Callable[[World], str]
DAY: Final = 86_400 * MICROS


def run(seed: int, template: Template, folder: Path) -> tuple[str, str]:
    """Runs one seed in a folder of its own; returns the scenario's name and its outcome.

    Raises:
        AssertionError: something that was acknowledged is gone, or the log does not verify, and the ledger goes on.
    """
    random = Random(seed)
    name = list(SCENARIOS)[seed % len(SCENARIOS)]
    world = World.beginning(template, folder / "0", random)
    for _ in range(random.randrange(1, 4)):
        world.append(random.randrange(1, 5))
    try:
        return name, SCENARIOS[name](world)
    finally:
        world.let_go()


def _goes_on(world: World) -> str:
    """The ledger records again, everything verifies, and its own scrubbing finds nothing."""
    world.check()
    world.append()
    world.check()
    world.scrub()
    return "went on"


def _stopped(error: CellcustodyError) -> str:
    assert error.reason and error.message, "it stopped without a word"
    return f"said {error.reason}"


# Crashes. -----------------------------------------------------------------------------------------------------------


def crash_at_a_step(world: World) -> str:
    """The process dies at any step of the append path; what lies on the disk is taken as it is."""
    _crash_somewhere(world, lambda step: None)
    world.restart_after_crash()
    return _goes_on(world)


def power_cut_in_a_commit(world: World) -> str:
    """The power fails while a commit is being synced: any part of what it wrote is there, the rest old or noise."""
    wal = world.folder / (DATABASE + "-wal")
    before = wal.stat().st_size if wal.exists() else 0
    _crash_at(world, "after:commit")
    torn = world._next_folder / (DATABASE + "-wal")
    content = bytearray(torn.read_bytes())
    cut = world.random.randrange(before, len(content) + 1)
    noise = world.random.randbytes(len(content) - cut) if world.random.random() < 0.5 else b""
    torn.write_bytes(bytes(content[:cut]) + noise)
    world.restart_after_crash()
    return _goes_on(world)


def power_cut_in_the_journal(world: World) -> str:
    """The power fails while the journal is being written: a torn record is at its end."""
    before = (world.folder / JOURNAL).read_bytes()
    _crash_at(world, "after:journal")
    path = world._next_folder / JOURNAL
    after = path.read_bytes()
    changed = [at for at in range(len(after)) if at >= len(before) or after[at] != before[at]]
    cut = world.random.randrange(changed[0], changed[-1] + 1)
    path.write_bytes(after[:cut] + before[cut:].ljust(len(after) - cut, b"\0"))
    world.restart_after_crash()
    return _goes_on(world)


def crash_twice(world: World) -> str:
    """It dies again while it starts, or at the first commit after."""
    _crash_somewhere(world, lambda step: None)
    world.restart_after_crash()
    world.check()
    _crash_somewhere(world, lambda step: None)
    world.restart_after_crash()
    return _goes_on(world)


def _crash_at(world: World, wanted: str) -> None:
    target = world.folder.parent / f"{int(world.folder.name) + 1}"

    def at(step: str) -> None:
        if step == wanted:
            world.steps.at = lambda step: None
            world.crashed_into(target)
            raise Crash

    world.steps.at = at
    try:
        world.submit([world.fact() for _ in range(world.random.randrange(1, 5))])
    except Crash:
        world.let_go()
        return
    raise AssertionError(f"no commit took the step {wanted}")


def _crash_somewhere(world: World, seen: Callable[[str], None]) -> None:
    """Dies at a step drawn among those that one commit takes."""
    steps: list[str] = []
    world.steps.at = steps.append
    world.append(2)
    world.steps.at = lambda step: None
    _crash_at(world, world.random.choice(sorted(set(steps))))


# The disk. ----------------------------------------------------------------------------------------------------------


def disk_full_in_the_database(world: World) -> str:
    """SQLite finds no more room: what does not fit is refused or not acknowledged; with room again, all goes on."""
    pool = world.store.recorder.datastore.connections  # type: ignore[attr-defined]
    connection: sqlite3.Connection = pool.take_writer().raw
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + world.random.randrange(0, 6)}")
    pool.put_connection(pool._writing)
    outcome = "fitted"
    for _ in range(30):
        told = world.submit([world.fact() for _ in range(world.random.randrange(1, 5))])
        if any(isinstance(one, CellcustodyError) for one in told):
            outcome = _stopped(next(one for one in told if isinstance(one, CellcustodyError)))
            break
    world.let_go()
    world.open()
    _goes_on(world)
    return outcome


def disk_fails_under_the_journal(world: World) -> str:
    """The head cannot be made durable: nothing of the group is acknowledged, the ledger stops and says why."""
    code = world.random.choice([errno.ENOSPC, errno.EIO])
    real = world.journal.append

    def append(note: bytes) -> None:
        _ = note
        file = world.journal._file
        world.journal._file = os.open("/dev/full" if code == errno.ENOSPC else "/dev/null", os.O_RDONLY)
        try:
            real(note)
        finally:
            os.close(world.journal._file)
            world.journal._file = file

    world.journal.append = append  # type: ignore[method-assign]
    known = set(world.acknowledged)
    told = world.submit([world.fact() for _ in range(2)])
    assert set(world.acknowledged) == known, "acknowledged without a durable head"
    assert all(isinstance(one, CellcustodyError) for one in told)
    assert world.ledger.stopped
    refused = world.submit([world.fact()])
    assert isinstance(refused[0], LedgerStoppedError)
    world.let_go()
    world.open()
    _goes_on(world)
    return "stopped, then went on"


def disk_fails_in_a_commit(world: World) -> str:
    """SQLite reports a failed disk at some step of a commit: the outcome is unknown, so the ledger stops."""
    wanted = world.random.choice(["before:leaf", "after:vault", "before:commit", "after:commit"])

    def at(step: str) -> None:
        if step == wanted:
            world.steps.at = lambda step: None
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    world.steps.at = at
    told = world.submit([world.fact() for _ in range(3)])
    assert not any(isinstance(one, Recorded) for one in told), "acknowledged what may be lost"
    assert world.ledger.stopped
    world.let_go()
    world.open()
    _goes_on(world)
    return "stopped, then went on"


def bit_flipped(world: World) -> str:
    """One bit of one file turns while nobody writes: it is found at the start or by scrubbing, or meant nothing."""
    return _damaged(world, _flip)


def page_torn(world: World) -> str:
    """A sector of the database is noise, zeros, or what an earlier day had there."""
    return _damaged(world, _tear)


def _damaged(world: World, damage: Callable[[World], str]) -> str:
    world.close()
    where = damage(world)
    try:
        world.open()
    except CellcustodyError as refusal:
        return f"{where}: {_stopped(refusal)}"
    try:
        world.scrub()
    except CellcustodyError as damaged:
        assert isinstance(damaged, StoreDamagedError) or damaged.reason, damaged
        return f"{where}: {_stopped(damaged)}"
    world.check()
    return f"{where}: meant nothing"


def _flip(world: World) -> str:
    name = world.random.choice([DATABASE, DATABASE, DATABASE, JOURNAL, KEYS])
    path = world.folder / name
    content = bytearray(path.read_bytes())
    used = len(content.rstrip(b"\0")) or 1
    at = world.random.randrange(used)
    content[at] ^= 1 << world.random.randrange(8)
    path.write_bytes(content)
    return name


def _tear(world: World) -> str:
    path, older = world.folder / DATABASE, world.template.harness.folder / DATABASE
    content, before = bytearray(path.read_bytes()), older.read_bytes()
    start = world.random.randrange(0, len(content), 512)
    kind = world.random.choice(["noise", "zeros", "older"])
    sector = {"noise": world.random.randbytes(512), "zeros": bytes(512), "older": before[start : start + 512]}[kind]
    content[start : start + len(sector)] = sector
    path.write_bytes(content)
    return kind


# Somebody else, or an older self. -------------------------------------------------------------------------------------


def two_writers(world: World) -> str:
    """A second process takes over the store: the first notices at its next commit, and never signs a second history."""
    other = open_sqlite(world.folder / DATABASE)
    other.start_writer()
    other.close()
    told = world.submit([world.fact() for _ in range(world.random.randrange(1, 4))])
    assert not any(isinstance(one, Recorded) for one in told)
    assert world.ledger.stopped
    world.let_go()
    world.open()
    _goes_on(world)
    return "stopped, then went on"


def two_processes(world: World) -> str:
    """A second server is started beside the first: the journal's lock refuses it, and the first is none the worse."""
    try:
        twin = World(world.template, world.folder, world.random, world.clock)
        twin.open()
    except CellcustodyError as refusal:
        outcome = _stopped(refusal)
    else:
        twin.let_go()
        raise AssertionError("two servers run on one ledger")
    # The other one's start raised the writer's epoch before it was refused; the first must not go on signing blindly.
    told = world.submit([world.fact()])
    if not isinstance(told[0], Recorded):
        assert world.ledger.stopped
        world.let_go()
        world.open()
    _goes_on(world)
    return outcome


def backup_restored(world: World) -> str:
    """The database of an earlier hour is put back: the journal, or a witness, knows better."""
    older = world.folder.parent / "backup"
    world.close()
    copy_files(world.folder, older)
    world.open()
    for _ in range(world.random.randrange(1, 3)):
        world.append(2)
    size, root = world.signed() or (0, b"")
    has_old_journal = world.random.random() < 0.5
    world.close()
    for name in (DATABASE, *((JOURNAL,) if has_old_journal else ())):
        shutil.copyfile(older / name, world.folder / name)
    if has_old_journal:
        world.witnessed = (WitnessedHead("witness.example", size, root if world.random.random() < 0.5 else None),)
    try:
        world.open()
    except (StoreRolledBackError, StoreForkedError) as refusal:
        return _stopped(refusal)
    raise AssertionError("a ledger began to sign over a past that others have seen")


def witness_rolled_back(world: World) -> str:
    """A witness loses its last days: it never cosigns what contradicts what it cosigned."""
    key = Ed25519PrivateKey.from_private_bytes(world.random.randbytes(32))
    log = WitnessedLog(ORIGIN, tuple(one.vkey for one in world.template.harness.log_signers))
    home, backup = world.folder.parent / "witness", world.folder.parent / "witness-backup"

    def opened() -> tuple[WitnessStore, Witness]:
        store = WitnessStore(home / "heads.sqlite3", home / "journal", [ORIGIN])
        return store, Witness(
            store, [log], [Ed25519Cosigner("witness.example", key)], now=lambda: world.clock // MICROS
        )

    def submit(witness: Witness) -> VerifiedCheckpoint:
        kept = witness.latest(ORIGIN)
        raw, size = world.ledger.checkpoint(), world.ledger.checkpoint_size()
        old = 0 if kept is None else kept.head.size
        proof = world.ledger.consistency_proof(old, size)[0] if 0 < old < size else []
        witness.add_checkpoint(build_add_checkpoint(old, proof, raw))
        return verify_checkpoint(raw, ORIGIN, log.vkeys)

    store, witness = opened()
    submit(witness)
    store.close()
    shutil.copytree(home, backup)
    store, witness = opened()
    world.append(2)
    submit(witness)
    store.close()
    keeps_journal = world.random.random() < 0.5
    for path in home.glob("heads.sqlite3*"):
        path.unlink()
    shutil.copyfile(backup / "heads.sqlite3", home / "heads.sqlite3")
    if not keeps_journal:
        shutil.rmtree(home / "journal")
        shutil.copytree(backup / "journal", home / "journal")
    world.append()
    try:
        store, witness = opened()
    except WitnessRolledBackError as refusal:
        assert keeps_journal
        _goes_on(world)
        return _stopped(refusal)
    try:
        # It has forgotten, and the log has not: what it cosigns now still continues what it cosigned then.
        submit(witness)
        outcome = "cosigned what continues"
        # The same log under its own keys with another past, from what the witness remembers: refused.
        fork = World.beginning(world.template, world.folder.parent / "fork", world.random)
        try:
            for _ in range(12):
                fork.append(3)
            kept = witness.latest(ORIGIN)
            assert kept is not None
            proof = fork.ledger.consistency_proof(kept.head.size, fork.ledger.checkpoint_size())[0]
            witness.add_checkpoint(build_add_checkpoint(kept.head.size, proof, fork.ledger.checkpoint()))
        except VerificationError:
            outcome += ", refused a fork"
        else:
            raise AssertionError("a witness cosigned two histories")
        finally:
            fork.let_go()
    finally:
        store.close()
    _goes_on(world)
    return outcome


# Clocks and keys. -----------------------------------------------------------------------------------------------------


def clock_steps(world: World) -> str:
    """The server's clock jumps, back or ahead, by minutes or years: the log goes on and stays in its order."""
    for _ in range(world.random.randrange(1, 5)):
        span = world.random.choice([60 * MICROS, 3600 * MICROS, DAY, 400 * DAY])
        world.clock = max(world.template.harness.clock, world.clock + world.random.choice([-1, 1]) * span)
        told = world.submit([world.fact(signed_at=world.clock + world.random.choice([-2, 0, 2]) * 600 * MICROS)])
        assert isinstance(told[0], Recorded), "a fact was lost to a clock"
    world.check()
    world.close()
    world.open()
    return _goes_on(world)


def key_revoked(world: World) -> str:
    """A key is revoked between two statements of its holder: the earlier stays, the later is refused and says why."""
    operator, administrator = world.template.operator, world.template.administrator
    first = world.submit([world.fact(operator)])[0]
    assert isinstance(first, Recorded)
    late = world.fact(operator)
    harness = world.template.harness
    harness.clock = world.clock
    revocation = harness.statement(
        administrator,
        single_stream_id(StreamKind.REGISTRY),
        registry_pb2.KeyRevoked(
            key_id=operator.signer.key_id,
            compromised_since_leaf=world.random.randrange(1, first.position),
        ),
        at=world.clock,
        seen=_seen(world),
    )
    # In one group or in two: what the key signed is judged after the word against it.
    together = world.random.random() < 0.5
    told = world.submit([revocation, late]) if together else [*world.submit([revocation]), *world.submit([late])]
    assert isinstance(told[0], Recorded), told[0]
    assert isinstance(told[1], CellcustodyError), "a revoked key signed"
    world.close()
    world.open()
    _goes_on(world)
    return _stopped(told[1])


def _seen(world: World) -> dict[bytes, bytes]:
    stream = single_stream_id(StreamKind.REGISTRY)
    head = world.store.stream_head(stream)
    assert head is not None
    entries = world.store.stream_entries(stream, head.sequence - 1, 1)
    return {stream: parse_statement(read_entry(entries[0].entry).envelope).digest}


SCENARIOS: Final[dict[str, Scenario]] = {
    one.__name__: one
    for one in (
        crash_at_a_step,
        power_cut_in_a_commit,
        power_cut_in_the_journal,
        crash_twice,
        disk_full_in_the_database,
        disk_fails_under_the_journal,
        disk_fails_in_a_commit,
        bit_flipped,
        page_torn,
        two_writers,
        two_processes,
        backup_restored,
        witness_rolled_back,
        clock_steps,
        key_revoked,
    )
}
