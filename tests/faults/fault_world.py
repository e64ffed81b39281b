"""A small ledger in a folder that can be copied as a crash would leave it, driven by one thread: repeatable.

Nothing is replaced: store, journal, vault, rules and log keys are those of a server. The writing thread alone is left
out: the simulation lends its own, so that the same seed takes the same steps. What was acknowledged is kept here, apart
from the ledger, with the receipts that its submitters hold.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.integration.recording.ledger_harness import MICROS, ORIGIN, LedgerHarness, Signing

from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.ledger import Ledger, LedgerParts, Recorded, Submission
from cellcustody.ledger.recording.prepared import prepare
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.scrubbing import scrub
from cellcustody.ledger.recording.writer import Member
from cellcustody.ledger.statements import StreamKind, new_stream_id, parse_statement
from cellcustody.ledger.store import HeadJournal, KeyStore, LedgerApplication, Vault, WitnessedHead, open_sqlite
from cellcustody.ledger.transparency import root_of, verify_checkpoint, verify_log_proof
from cellcustody.v1 import options_pb2, quality_pb2

DATABASE: Final = "ledger.sqlite3"
JOURNAL: Final = "heads.journal"
KEYS: Final = "keys.sqlite3"
JOURNAL_BYTES: Final = 131_072  # As any journal, but small: thousands of folders are copied.


class Crash(BaseException):
    """The process is gone: nobody catches it, and what was in memory is lost."""


@dataclass(frozen=True)
class Template:
    """A founded ledger, closed, with a plant that has an administrator and another person."""

    harness: LedgerHarness
    administrator: Signing
    operator: Signing
    site: bytes

    @classmethod
    def made(cls, folder: Path) -> Template:
        """Founds it in an empty folder."""
        folder.mkdir(parents=True)
        harness = LedgerHarness(folder)
        harness.found()
        site, (administrator, _) = harness.site("plant", options_pb2.CAPABILITY_PROCESS)
        operator = harness.enrol("operator", site, administrator)
        harness.close()
        with (folder / JOURNAL).open("r+b") as file:
            file.truncate(JOURNAL_BYTES)
        return cls(harness, administrator, operator, site)


class Steps:
    """Calls `at` at every step of a commit or of the journal, by the step's name."""

    def __init__(self) -> None:
        self.at: Callable[[str], None] = lambda step: None

    def __call__(self, step: str) -> None:
        self.at(step)


class SteppedJournal(HeadJournal):
    """The journal with a step before and after each append."""

    steps: Callable[[str], None]

    def append(self, note: bytes) -> None:
        self.steps("before:journal")
        super().append(note)
        self.steps("after:journal")


@dataclass
class World:
    """One ledger under simulation; `acknowledged` maps a statement's digest to the answer that was given."""

    template: Template
    folder: Path
    random: Random
    clock: int
    acknowledged: dict[bytes, Recorded] = field(default_factory=dict)
    witnessed: tuple[WitnessedHead, ...] = ()
    store: LedgerApplication = field(init=False)
    ledger: Ledger = field(init=False)

    @classmethod
    def beginning(cls, template: Template, folder: Path, random: Random) -> World:
        """Returns a copy of the template, open."""
        copy_files(template.harness.folder, folder)
        world = cls(template, folder, random, template.harness.clock + 3600 * MICROS)
        world.open()
        return world

    def open(self) -> None:
        """Opens the ledger.

        Raises:
            CellcustodyError: it does not start; what it stands on is closed again.
        """
        harness = self.template.harness
        self.steps = Steps()
        closing: list[Callable[[], None]] = []
        try:
            self.store = open_sqlite(self.folder / DATABASE, on_step=self.steps)
            closing.append(self.store.close)
            self.keys = KeyStore(self.folder / KEYS, harness.master)
            closing.append(self.keys.close)
            self.journal = SteppedJournal(self.folder / JOURNAL, bytes_max=JOURNAL_BYTES)
            self.journal.steps = self.steps
            closing.append(self.journal.close)
            self.vault = Vault(self.keys)
            self.ledger = Ledger(
                LedgerParts(
                    self.store,
                    self.vault,
                    self.journal,
                    ORIGIN,
                    harness.log_signers,
                    harness.service,
                    harness.service_device,
                    now=lambda: self.clock,
                    witnessed=lambda: self.witnessed,
                    has_writing_thread=False,
                )
            )
        except BaseException:
            for close in reversed(closing):
                close()
            raise
        self._closing = closing

    def close(self) -> None:
        """Ends the ledger."""
        self.ledger.close()
        self.let_go()

    def let_go(self) -> None:
        """Closes the files, as the end of a process does, without a word to the ledger."""
        for close in reversed(self._closing):
            close()
        self._closing = []

    def crashed_into(self, folder: Path) -> None:
        """Copies the files as they lie there now; the simulation goes on in the copy."""
        copy_files(self.folder, folder)
        self._next_folder = folder

    def restart_after_crash(self) -> None:
        """Opens what the crash left."""
        self.folder = self._next_folder
        self.open()

    # Statements.

    def fact(self, by: Signing | None = None, stream: bytes | None = None, signed_at: int | None = None) -> Submission:
        """Returns a signed fact of a therapy."""
        self.clock += self.random.randrange(1, 120) * MICROS
        harness = self.template.harness
        harness.clock = self.clock
        return harness.statement(
            by or self.template.administrator,
            stream or new_stream_id(StreamKind.THERAPY, os.urandom),
            quality_pb2.DeviationRaised(description=f"seen late {self.random.random()}"),
            at=self.clock if signed_at is None else signed_at,
        )

    def submit(self, submissions: Sequence[Submission]) -> list[object]:
        """Records statements as one group, in this thread; returns what each submitter is told. Crashes go through."""
        answers: dict[int, object] = {}
        members: list[Member] = []
        for index, submission in enumerate(submissions):
            try:
                prepared = prepare(submission.envelope, submission.openings, self.ledger.key_lookup)
            except CellcustodyError as refusal:
                answers[index] = refusal
                continue
            members.append(
                Member(prepared, submission.submitting_site, lambda told, index=index: self._told(answers, index, told))  # type: ignore[misc]
            )
        try:
            if members:
                self.ledger.put(members)
                while self.ledger.record_waiting():
                    pass
        except CellcustodyError as failure:
            for index in range(len(submissions)):
                answers.setdefault(index, failure)
        return [answers.get(index) for index in range(len(submissions))]

    def _told(self, answers: dict[int, object], index: int, told: object) -> None:
        self.steps("before:answer")
        answers[index] = told
        if isinstance(told, Recorded):
            self.acknowledged[told.statement_digest] = told

    def append(self, count: int = 1) -> list[Recorded]:
        """Records so many facts in one group and returns their answers.

        Raises:
            CellcustodyError: one was not taken.
        """
        found: list[Recorded] = []
        for told in self.submit([self.fact() for _ in range(count)]):
            if isinstance(told, CellcustodyError):
                raise told
            assert isinstance(told, Recorded), told
            found.append(told)
        return found

    # What must hold.

    def signed(self) -> tuple[int, bytes] | None:
        """Size and root of the last head that left."""
        published: Published | None = self.ledger.published
        return None if published is None else (published.head.size, published.head.root_hash)

    def check(self) -> None:
        """Holds the log, and all that was ever acknowledged, to the letter; by none of the ledger's own checks."""
        vkeys = [one.vkey for one in self.template.harness.log_signers]
        checkpoint = verify_checkpoint(self.ledger.checkpoint(), ORIGIN, vkeys, required_vkeys=vkeys)
        entries = self.store.entries(0, 100_000)
        assert len(entries) == checkpoint.size, "the head counts other entries than are there"
        hashes = [leaf_hash_of(raw) for raw in entries]
        assert root_of(hashes) == checkpoint.root, "the entries do not make the signed root"
        for digest, told in self.acknowledged.items():
            raw = entries[told.position - 1]
            assert parse_statement(read_entry(raw).envelope).digest == digest, "an acknowledged statement is gone"
            assert told.receipt is not None
            proof = verify_log_proof(told.receipt, leaf_hash_of(raw), ORIGIN, vkeys)
            assert root_of(hashes[: proof.checkpoint.size]) == proof.checkpoint.root, "two histories were signed"

    def scrub(self) -> None:
        """Has the ledger look for damage itself.

        Raises:
            StoreDamagedError: it found some.
        """
        scrub(self.store, self.vault, signed=self.signed())


def copy_files(source: Path, target: Path) -> None:
    """Copies a ledger's files; what SQLite makes anew from them is left out."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and not path.name.endswith("-shm"):
            shutil.copyfile(path, target / path.name)
            os.chmod(target / path.name, 0o600)
