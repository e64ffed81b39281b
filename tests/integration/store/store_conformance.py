"""The suite that every back end of the store inherits and passes.

After each step the store is read back whole: nothing of a refused group is there, and nothing of a committed one is
missing.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from store_groups import (
    CLINICAL,
    CONSIGNMENT,
    IDENTITY,
    OTHER_THERAPY,
    THERAPY,
    GroupMaker,
    digest_of,
    entry_of,
    id_of,
    leaf_hash_of,
)

from cellcustody.ledger.errors import ConflictError, FatalStoreError, StoreError
from cellcustody.ledger.store import (
    EMPTY_ROOT,
    Claim,
    ClaimTakenError,
    Commit,
    CommitFailedError,
    EntryNotFoundError,
    Head,
    HeadMovedError,
    IdentityMac,
    LedgerApplication,
    OperationalFinding,
    StatementPosition,
    StoreUnavailableError,
    StreamEntry,
    StreamHead,
    TileRewrittenError,
    TileWrite,
    UnknownTopicError,
    VaultRow,
    WriterBusyError,
    WriterNotStartedError,
)

TABLES = ("head", "events", "leaf", "claim", "vault", "identity_mac", "tile", "stream_link")
STEPS_BEFORE_COMMIT = (*(f"{when}:{table}" for table in TABLES for when in ("before", "after")), "before:commit")


class PowerCutError(RuntimeError):
    """What the fault injection raises; no store knows it."""


class Faults:
    """A step hook that raises at one step, once."""

    def __init__(self) -> None:
        self.at: str | None = None
        self.seen: list[str] = []
        self.during: Callable[[], None] | None = None

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if step == self.at:
            self.at = None
            if self.during is not None:
                self.during()
            else:
                raise PowerCutError(step)


class StoreConformance(ABC):
    """One story for each promise of `LedgerStore`."""

    @abstractmethod
    def opened(self, faults: Faults) -> LedgerApplication:
        """Returns the store under test, opened once more."""

    @abstractmethod
    def usurped(self, store: LedgerApplication) -> LedgerApplication:
        """Returns a second store that has taken over from `store`, as after a network partition."""

    @abstractmethod
    def count_rows(self, table: str) -> int:
        """Returns the number of rows in a table, read without the store."""

    @abstractmethod
    def plant_event(self, topic: str) -> None:
        """Writes an event with that topic into the library's table behind the store's back."""

    @abstractmethod
    def loses_tables(self) -> None:
        """Takes the head and the findings away behind the store's back."""

    @pytest.fixture
    def faults(self) -> Faults:
        return Faults()

    @pytest.fixture
    def store(self, faults: Faults) -> Iterator[LedgerApplication]:
        store = self.opened(faults)
        yield store
        store.close()

    @pytest.fixture
    def maker(self, store: LedgerApplication) -> GroupMaker:
        return GroupMaker(store.start_writer())

    def commits(self, store: LedgerApplication, maker: GroupMaker, *names: str, stream: bytes = THERAPY) -> Commit:
        group = maker.makes(*names, stream=stream)
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)
        return group

    def check_whole(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """Reads everything back: every table holds exactly what the committed groups brought."""
        size = maker.head.size
        assert store.head() == maker.head
        assert store.leaf_hashes(0, size + 10) == maker.hashes
        assert len(store.entries(0, size + 10)) == size
        assert store.tile(0, 0) == (b"".join(maker.hashes) or None)
        assert self.count_rows("stored_events") == self.count_rows("leaf") == size
        assert self.count_rows("claim") == self.count_rows("identity_mac") == size
        assert self.count_rows("vault") == 2 * size
        assert self.count_rows("head") == 1

    # Reading back what was written.

    def test_a_new_store_is_empty(self, store: LedgerApplication) -> None:
        """The head of a new store is the empty tree's, and nothing is found."""
        assert store.head() == Head(0, EMPTY_ROOT, 0)
        assert store.entries(0, 10) == []
        assert store.stream_head(THERAPY) is None
        assert store.find_statement(digest_of("a")) is None
        assert store.tile(0, 0) is None
        with pytest.raises(EntryNotFoundError):
            store.entry(0)

    def test_a_group_is_read_back_byte_for_byte(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """Entries, leaves, claims, vault rows, MACs, tiles and links are what was committed."""
        self.commits(store, maker, "a", "b")
        self.commits(store, maker, "c", stream=OTHER_THERAPY)
        self.commits(store, maker, "d")

        assert store.entry(2) == entry_of("c")
        assert store.entries(1, 2) == [entry_of("b"), entry_of("c")]
        assert store.stream_entries(THERAPY, 1, 10) == [
            StreamEntry(1, 2, entry_of("b")),
            StreamEntry(3, 3, entry_of("d")),
        ]
        assert store.stream_entries(THERAPY, 0, 1) == [StreamEntry(0, 1, entry_of("a"))]
        assert store.stream_head(THERAPY) == StreamHead(3, leaf_hash_of("d"), 3)
        position = StatementPosition(2, OTHER_THERAPY, 1, digest_of("c"))
        assert store.find_statement(digest_of("c")) == store.find_statement_by_id(id_of("c")) == position
        assert store.recorded_ids([id_of("c"), id_of("never")]) == {id_of("c")}
        assert store.claim("co_signature", id_of("c")) == digest_of("c")
        assert store.claim("coi", id_of("c")) is None
        assert store.vault_rows(digest_of("c")) == [
            VaultRow(digest_of("c"), OTHER_THERAPY, CLINICAL, b"sealed c"),
            VaultRow(digest_of("c"), OTHER_THERAPY, IDENTITY, b"sealed c"),
        ]
        assert store.identity_macs(OTHER_THERAPY) == [IdentityMac(OTHER_THERAPY, "mrn", digest_of("mac c"))]
        assert store.linked(CONSIGNMENT) == [THERAPY, OTHER_THERAPY]
        assert store.linked(THERAPY) == []

    def test_everything_is_there_after_reopening(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """A store closed and opened again has the same head and entries."""
        self.commits(store, maker, "a", "b")
        store.close()
        again = self.opened(Faults())
        try:
            self.check_whole(again, maker)
        finally:
            again.close()

    def test_the_stored_state_is_the_entry(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """What the library's recorder and event store hold is the entry and nothing else."""
        self.commits(store, maker, "a")
        (stored,) = store.recorder.select_events(THERAPY.hex())
        assert stored.state == entry_of("a")
        assert (stored.originator_id, stored.originator_version, stored.topic) == (THERAPY.hex(), 1, "entry.v1")
        (event,) = store.events.get(THERAPY.hex())
        assert (event.originator_id, event.originator_version) == (THERAPY.hex(), 1)
        (notification,) = store.recorder.select_notifications(None, 10)
        assert notification.state == entry_of("a")

    def test_a_topic_is_never_imported(self, store: LedgerApplication) -> None:
        """An event whose topic is a path of a class is refused, not resolved."""
        self.plant_event("os:system")
        with pytest.raises(UnknownTopicError) as refusal:
            list(store.events.get(THERAPY.hex()))
        assert refusal.value.values["topic"] == "os:system"

    # Nothing half written.

    @pytest.mark.parametrize("step", STEPS_BEFORE_COMMIT)
    def test_a_failure_before_commit_leaves_nothing(
        self, store: LedgerApplication, maker: GroupMaker, faults: Faults, step: str
    ) -> None:
        """Whatever step fails, the group is rolled back whole and can be committed again unchanged."""
        self.commits(store, maker, "a")
        group = maker.makes("b", "c")
        faults.at = step

        with pytest.raises(CommitFailedError) as failure:
            store.commit(group)

        assert isinstance(failure.value.__cause__, PowerCutError)
        self.check_whole(store, maker)
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)

    def test_the_steps_are_those_tested(self, store: LedgerApplication, maker: GroupMaker, faults: Faults) -> None:
        """No step of a commit escapes the fault injection above."""
        self.commits(store, maker, "a")
        assert tuple(faults.seen) == (*STEPS_BEFORE_COMMIT, "after:commit")

    def test_a_failure_after_commit_is_a_commit(
        self, store: LedgerApplication, maker: GroupMaker, faults: Faults
    ) -> None:
        """An error that comes after the transaction committed is settled by the head row."""
        group = maker.makes("a", "b")
        faults.at = "after:commit"
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)

    # Claims.

    def test_a_claim_is_held_once(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """A second statement with the same chain-of-identity identifier is refused by name."""
        coi = b"A9999 26 000001"
        first = maker.makes("a", claims=[Claim("coi", coi, digest_of("a"))])
        store.commit(first)
        maker.moved(first)
        second = maker.makes("b", "c", claims=[Claim("coi", coi, digest_of("c"))])

        with pytest.raises(ClaimTakenError) as refusal:
            store.commit(second)

        assert isinstance(refusal.value, ConflictError)
        assert (refusal.value.kind, refusal.value.key) == ("coi", coi)
        self.check_whole(store, maker)

    def test_a_statement_id_is_taken_once(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """A statement recorded already is refused by its id, and nothing of its group stays."""
        self.commits(store, maker, "a")
        group = maker.makes("b", "a", claims=[Claim("coi", b"other", digest_of("a"))])
        with pytest.raises(ClaimTakenError) as refusal:
            store.commit(group)
        assert (refusal.value.kind, refusal.value.key) == ("statement_id", id_of("a"))
        self.check_whole(store, maker)

    def test_a_sequence_is_taken_once(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """An entry at a place of its stream that is taken fails, and is not mistaken for a claim."""
        self.commits(store, maker, "a")
        maker.sequences[THERAPY] = 0
        with pytest.raises(CommitFailedError):
            store.commit(maker.makes("b"))
        self.check_whole(store, maker)

    # The head and its writers.

    def test_a_writer_must_be_started(self, store: LedgerApplication) -> None:
        """A store that is only read from cannot commit."""
        with pytest.raises(WriterNotStartedError):
            store.commit(GroupMaker(store.head()).makes("a"))
        assert store.head() == Head(0, EMPTY_ROOT, 0)

    def test_starting_a_writer_raises_the_epoch(self, store: LedgerApplication) -> None:
        """Each start has an epoch of its own."""
        assert store.start_writer() == Head(0, EMPTY_ROOT, 1) == store.head()
        assert store.start_writer().epoch == 2

    def test_a_stale_writer_is_stopped(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """Once another writer has taken over, the former one's commit is fatal and writes nothing."""
        self.commits(store, maker, "a")
        successor = self.usurped(store)
        try:
            with pytest.raises(HeadMovedError) as stop:
                store.commit(maker.makes("b"))
            assert isinstance(stop.value, FatalStoreError)
            maker.head = successor.head()
            maker.sequences[THERAPY] -= 1
            self.check_whole(successor, maker)
            self.commits(successor, maker, "c")
        finally:
            successor.close()

    @pytest.mark.parametrize("wrong", ["size", "root", "epoch"])
    def test_the_head_moves_from_where_it_is(self, store: LedgerApplication, maker: GroupMaker, wrong: str) -> None:
        """A commit from another size, root or epoch than the head row's is fatal."""
        self.commits(store, maker, "a")
        here = maker.head
        elsewhere = {
            "size": Head(here.size + 1, here.root_hash, here.epoch),
            "root": Head(here.size, digest_of("fork"), here.epoch),
            "epoch": Head(here.size, here.root_hash, here.epoch + 1),
        }[wrong]
        group = GroupMaker(elsewhere).makes("b", stream=OTHER_THERAPY)
        with pytest.raises(HeadMovedError):
            store.commit(group)
        self.check_whole(store, maker)

    def test_there_is_one_writing_thread(self, store: LedgerApplication, maker: GroupMaker, faults: Faults) -> None:
        """A second thread that commits during a commit is turned away at once."""
        group = maker.makes("a")
        refused: list[StoreError] = []

        def commit_too() -> None:
            try:
                store.commit(group)
            except StoreError as error:
                refused.append(error)

        def meanwhile() -> None:
            thread = threading.Thread(target=commit_too)
            thread.start()
            thread.join()

        faults.at, faults.during = "after:leaf", meanwhile
        store.commit(group)
        maker.moved(group)
        assert [type(error) for error in refused] == [WriterBusyError]
        self.check_whole(store, maker)

    def test_readers_do_not_wait_for_the_writer(
        self, store: LedgerApplication, maker: GroupMaker, faults: Faults
    ) -> None:
        """Threads that read in the middle of a commit get the state before it, whole."""
        self.commits(store, maker, "a")
        group = maker.makes("b")
        seen: list[tuple[Head, int]] = []

        def meanwhile() -> None:
            with ThreadPoolExecutor(4) as threads:
                seen.extend(threads.map(lambda _: (store.head(), len(store.entries(0, 10))), range(8)))

        faults.at, faults.during = "before:commit", meanwhile
        store.commit(group)
        assert seen == [(maker.head, 1)] * 8
        maker.moved(group)
        self.check_whole(store, maker)

    # Tiles.

    def test_a_tile_only_grows(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """A write that would shorten a tile or change a hash in it is fatal and writes nothing."""
        self.commits(store, maker, "a", "b")
        for hashes in (maker.hashes[0], maker.hashes[1] + maker.hashes[0] + leaf_hash_of("c")):
            group = replace(maker.makes("c"), tiles=(TileWrite(0, 0, hashes),))
            with pytest.raises(TileRewrittenError):
                store.commit(group)
            maker.dropped(group)
            self.check_whole(store, maker)
        self.commits(store, maker, "c")

    # Beside the log.

    def test_a_database_that_is_gone_is_said_to_be(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """Reads, findings and the start of a writer fail within the project's own error tree."""
        self.commits(store, maker, "a")
        self.loses_tables()
        finding = OperationalFinding("SAME_ID_OTHER_DIGEST", id_of("a"), digest_of("forged"), 0)
        for asks in (store.head, store.start_writer, lambda: store.operational_finding(finding)):
            with pytest.raises(StoreUnavailableError):
                asks()

    def test_an_operational_finding_is_kept_once_and_beside_the_log(
        self, store: LedgerApplication, maker: GroupMaker
    ) -> None:
        """The same refusal repeated fills no table, and moves no head."""
        finding = OperationalFinding("SAME_ID_OTHER_DIGEST", id_of("a"), digest_of("forged"), 1_700_000_000_000_000)
        for _ in range(3):
            store.operational_finding(finding)
        later = OperationalFinding("SAME_ID_OTHER_DIGEST", id_of("a"), digest_of("x"), 1_700_000_000_000_001, b"why")
        store.operational_finding(later)
        assert store.operational_findings(10) == [later, finding]
        assert store.operational_findings(1) == [later]
        self.check_whole(store, maker)

    def test_truncating_the_log_loses_nothing(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """After an erasure the write-ahead log is emptied; every entry is still there."""
        self.commits(store, maker, "a", "b")
        store.truncate_log()
        self.check_whole(store, maker)
