"""What goes wrong under the append core: commits that fail, rules that raise, stores that were changed or restored."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

import pytest
from courses import COLLECTION, Course, World
from ledger_harness import LedgerHarness

from cellcustody.ledger.errors import RefusedError, StoreError
from cellcustody.ledger.recording.cases import Cases
from cellcustody.ledger.recording.custody_judging import CoiTakenError
from cellcustody.ledger.recording.ledger import Recorded, Submission
from cellcustody.ledger.recording.publisher import Publisher
from cellcustody.ledger.recording.writer import JudgingFailedError, LedgerStoppedError
from cellcustody.ledger.store import Commit, CommitFailedError, CommitOutcomeUnknownError, StoreRolledBackError
from cellcustody.v1 import harvest_pb2 as harvest

_LAST_EVENT = "WHERE rowid = (SELECT MAX(rowid) FROM stored_events)"


def _consents(world: World, course: Course, count: int) -> list[Submission]:
    made = []
    for _ in range(count):
        world.harness.tick(1)
        made.append(world.harness.statement(world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION)))
    return made


def _fails() -> None:
    raise sqlite3.OperationalError("disk I/O error")


def _steps_before_commit(world: World, course: Course) -> list[str]:
    faults = world.harness.faults
    faults.steps.clear()
    world.harness.submit(_consents(world, course, 1)[0])
    steps = list(dict.fromkeys(faults.steps))
    return steps[: steps.index("before:commit") + 1]


def test_a_commit_that_fails_at_any_step_leaves_nothing_of_it(world: World) -> None:
    """A group of three is told again one by one after a fault, and each is recorded once, in order."""
    course = world.course()
    course.enrols()
    steps = _steps_before_commit(world, course)
    assert len(steps) > 8
    for step in steps:
        size = world.harness.store.head().size
        world.harness.faults.during, world.harness.faults.at = _fails, step
        told = world.harness.ledger.submit_many(_consents(world, course, 3), timeout_seconds=10)
        assert world.harness.faults.at == "", f"the step {step} was not reached"
        assert [one.position for one in told if isinstance(one, Recorded)] == [size + 1, size + 2, size + 3]
        world.harness.check()
    assert world.harness.ledger.stopped is None


def test_a_commit_that_fails_again_alone_is_told_and_may_be_sent_again(world: World) -> None:
    """The submitter of a single statement gets the store's error; the same statement is recorded later."""
    course = world.course()
    (one,) = _consents(world, course, 1)

    def fails_twice() -> None:
        world.harness.faults.at = "before:commit"
        world.harness.faults.during = _fails
        _fails()

    world.harness.faults.during, world.harness.faults.at = fails_twice, "before:commit"
    with pytest.raises(CommitFailedError):
        world.harness.submit(one)
    assert world.harness.submit(one).already_recorded is False
    world.harness.check()


def test_an_error_after_the_commit_is_resolved_by_the_head(world: World) -> None:
    """The group is there, so its submitter is told that it is."""
    course = world.course()
    (one,) = _consents(world, course, 1)
    world.harness.faults.during, world.harness.faults.at = _fails, "after:commit"
    assert not world.harness.submit(one).already_recorded
    world.harness.check()


def test_an_unknown_outcome_stops_the_ledger_and_the_next_start_resolves_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process goes on reading and says why; what was durable is published at the next start."""
    harness = world.harness
    course = world.course()
    (one, other) = _consents(world, course, 2)
    size = harness.ledger.checkpoint_size()
    commit = harness.store.commit

    def commits(group: Commit) -> None:
        commit(group)
        raise CommitOutcomeUnknownError("the connection was lost at COMMIT")

    monkeypatch.setattr(harness.store, "commit", commits)
    with pytest.raises(LedgerStoppedError):
        harness.submit(one)
    assert "lost at COMMIT" in (harness.ledger.stopped or "")
    with pytest.raises(LedgerStoppedError):
        harness.submit(other)
    assert harness.ledger.checkpoint_size() == size
    assert len(harness.ledger.entries(0, 1_000)) == size

    harness.reopen()
    assert harness.ledger.checkpoint_size() == size + 1
    assert harness.submit(one).already_recorded
    harness.submit(other)
    harness.check()


def test_rules_that_raise_record_nothing_and_stop_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours in one statement is told to its submitter; its neighbours are recorded."""
    course = world.course()
    course.enrols()
    made = _consents(world, course, 3)
    bad = world.harness.ledger.prepare(made[1]).statement.digest
    spread = Cases.spread

    def raises(self: Cases, act: object, links: frozenset[bytes], changed: dict[bytes, set[bytes]]) -> None:
        if getattr(act, "digest", b"") == bad:
            raise KeyError("a fault of ours")
        spread(self, act, links, changed)  # type: ignore[arg-type]  # It is the act that the core passes.

    results: list[object] = [None] * 3
    with monkeypatch.context() as patched:
        patched.setattr(Cases, "spread", raises)

        def submits(index: int) -> None:
            try:
                results[index] = world.harness.ledger.submit(made[index], timeout_seconds=10)
            except StoreError as failure:
                results[index] = failure

        threads = [threading.Thread(target=submits, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert isinstance(results[1], JudgingFailedError)
    assert isinstance(results[0], Recorded)
    assert isinstance(results[2], Recorded)
    world.harness.check()
    world.harness.submit(made[1])
    assert world.harness.ledger.stopped is None
    world.harness.check()


def _between_commit_and_checkpoint(
    harness: LedgerHarness, monkeypatch: pytest.MonkeyPatch, during: Callable[[], None]
) -> None:
    """Lets something happen once between the next commit and its checkpoint."""
    publish = Publisher.publish

    def published(self: Publisher, head: object) -> object:
        monkeypatch.setattr(Publisher, "publish", publish)
        during()
        return publish(self, head)  # type: ignore[arg-type]  # It is the head that the core passes.

    monkeypatch.setattr(Publisher, "publish", published)


def _tamper(harness: LedgerHarness, statement: str) -> None:
    connection = sqlite3.connect(harness.database)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE stored_events SET state = CAST(state || x'00' AS BLOB) {_LAST_EVENT}",
        f"DELETE FROM stored_events {_LAST_EVENT}",
        "UPDATE tile SET hashes = zeroblob(length(hashes))",
    ],
)
def test_a_store_that_was_changed_stops_the_signing(world: World, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """What is read back is not what was committed: no checkpoint leaves, reads go on, the reason is told."""
    harness = world.harness
    course = world.course()
    course.enrols()
    checkpoint = harness.ledger.checkpoint()
    (one,) = _consents(world, course, 1)
    _between_commit_and_checkpoint(harness, monkeypatch, lambda: _tamper(harness, change))
    with pytest.raises(LedgerStoppedError):
        harness.submit(one)
    assert harness.ledger.checkpoint() == checkpoint
    assert "MISMATCH" in (harness.ledger.stopped or "") or "NOT_FOUND" in (harness.ledger.stopped or "")
    assert harness.ledger.entries(0, 5)
    with pytest.raises(LedgerStoppedError):
        harness.submit(_consents(world, course, 1)[0])
    harness.close()
    with pytest.raises(StoreError):
        harness.open()


def test_a_database_restored_from_before_the_last_checkpoint_is_refused(world: World) -> None:
    """The journal is outside the backup and ahead of it: the ledger does not start."""
    harness = world.harness
    course = world.course()
    course.enrols()
    harness.close()
    before = _database_files(harness)
    harness.open()
    course.consents()
    harness.close()
    after = _database_files(harness)
    _restore(harness, before)
    with pytest.raises(StoreRolledBackError):
        harness.open()
    _restore(harness, after)
    harness.open()
    harness.check()


def _database_files(harness: LedgerHarness) -> dict[str, bytes]:
    """Returns the embedded store's files as they lie, its write-ahead log among them."""
    return {path.name: path.read_bytes() for path in harness.folder.glob(f"{harness.database.name}*")}


def _restore(harness: LedgerHarness, files: dict[str, bytes]) -> None:
    for path in harness.folder.glob(f"{harness.database.name}*"):
        path.unlink()
    for name, content in files.items():
        (harness.folder / name).write_bytes(content)


def test_what_was_committed_before_a_crash_is_published_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between commit and checkpoint: nobody was told, the entry is in the log, and sent again it is there."""
    harness = world.harness
    course = world.course()
    (one,) = _consents(world, course, 1)
    size = harness.ledger.checkpoint_size()

    def crashes() -> None:
        raise StoreError("the power fails")

    _between_commit_and_checkpoint(harness, monkeypatch, crashes)
    with pytest.raises(LedgerStoppedError):
        harness.submit(one)
    harness.reopen()
    assert harness.ledger.checkpoint_size() == size + 1
    assert harness.submit(one).already_recorded
    harness.check()


def test_two_enrolments_under_one_identifier_in_one_group(world: World) -> None:
    """The first in the group has it; the second is refused and told so once the first is durable."""
    first, second = world.course(), world.course()
    second.coi = first.coi
    told = world.harness.ledger.submit_many(
        [world.harness.statement(world.nurse, one.stream, one.enrolment()) for one in (first, second)],
        timeout_seconds=10,
    )
    assert isinstance(told[0], Recorded)
    assert isinstance(told[1], CoiTakenError)
    with pytest.raises(RefusedError):
        second.enrols()
    world.harness.check()
