"""Gather cosignatures: send checkpoints to the witnesses of the policy, and keep the newest that has a quorum.

The rules:

* All witnesses are asked for the same checkpoint, so that a quorum comes together on one. It gives way to the newest
  when it has its quorum, or when a request's time is up without one.
* A checkpoint is sent at an interval, and at once when somebody waits for a witnessed one. Appends never wait here.
* Each witness has a thread. One that fails is left alone for a while, longer each time; the others go on.
* A witness that was elsewhere is sent the proof from where it says it is. One that says less than it has cosigned was
  rolled back: it is shown its own cosignature, and the log says so.
* Every cosignature is verified before it counts. The newest cosigned checkpoint is durable before anybody gets it.
* A witness that shows a larger tree, or another, under the log's own signature, proves that this store was restored
  from an older copy or forked: nothing more is recorded.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.cosigned import Cosigned, write_durably
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.store import Head, WitnessedHead, check_head_against_witnesses
from cellcustody.ledger.transparency import (
    NoteSignature,
    Policy,
    add_cosignatures,
    build_add_checkpoint,
    origin_hash,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    read_cosignatures,
    verify_checkpoint,
    verify_witnesses,
)
from cellcustody.services.configuration import WitnessSettings
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.client import WitnessAddress, WitnessClient, WitnessElsewhereError, addresses_in

__all__ = ["CosignatureCollector", "WitnessStanding"]

ROUNDS_KEPT_MAX: Final = 4  # A slow witness may still complete what the others have left behind.
BACKOFF_SECONDS_MIN: Final = 0.5
BACKOFF_SECONDS_MAX: Final = 30.0  # A witness that comes back is asked again within half a minute.
POLL_SECONDS: Final = 0.25  # How late an overdue quorum is noticed, and the end.
ELSEWHERE_MAX: Final = 3  # A witness that is elsewhere each time is asked again later.


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """How far one witness is: the largest size it cosigned, when (Unix microseconds), and why it failed last."""

    names: tuple[str, ...]
    url: str
    size: int
    cosigned_at: int
    failure: str


@dataclass(slots=True)
class _Round:
    """One checkpoint that witnesses are asked for, and what came of it; `started` is monotonic."""

    published: Published
    started: float
    lines: dict[tuple[str, int], NoteSignature] = field(default_factory=dict)
    has_quorum: bool = False


@dataclass(slots=True)
class _Asked:
    """A witness as it is known here; `done` is the round it answered last, `note` what it cosigned last."""

    address: WitnessAddress
    size: int = 0
    cosigned_at: int = 0
    failure: str = ""
    failures: int = 0
    note: bytes = b""
    done: _Round | None = None


class CosignatureCollector:
    """Gathers for one ledger; `start` it, `close` it."""

    def __init__(
        self,
        ledger: LedgerFace,
        policy: Policy,
        origin: str,
        settings: WitnessSettings,
        directory: Path,
        log: StructuredLog,
        *,
        now: Callable[[], int],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`directory` keeps what was cosigned last; `now` is in microseconds since 1970-01-01T00:00:00Z."""
        self._ledger = ledger
        self._policy = policy
        self._origin = origin
        self._settings = settings
        self._directory = directory
        self._log = log
        self._now = now
        self._context = context
        self._lock = threading.Condition()
        self._rounds: list[_Round] = []
        self._closing = threading.Event()
        self._witnesses = [_Asked(address) for address in addresses_in(policy)]
        directory.mkdir(mode=0o700, exist_ok=True)
        self._path = directory / "cosigned.checkpoint"
        self.cosigned = Cosigned(self._path, self._kept(self._path, self._check_quorum))
        self.cosigned.wake = self._wake
        for witness in self._witnesses:
            self._remember(witness)
        self._threads = [threading.Thread(target=self._lead, name="cellcustody-cosigning", daemon=True)]
        self._threads += [
            threading.Thread(target=self._serve, args=(one,), name="cellcustody-witness", daemon=True)
            for one in self._witnesses
        ]

    def start(self) -> None:
        """Asks from now on; the ledger shows what comes of it."""
        self._ledger.cosigned = self.cosigned
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Asks nothing more, and lets go whoever waits."""
        self._closing.set()
        self.cosigned.close()
        self._wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(self._settings.timeout_seconds + POLL_SECONDS)

    def standing(self) -> tuple[WitnessStanding, ...]:
        """Returns how far each witness is."""
        return tuple(
            WitnessStanding(one.address.names, one.address.url, one.size, one.cosigned_at, one.failure)
            for one in self._witnesses
        )

    # What was kept before. -----------------------------------------------------------------------------------------

    def _kept(self, path: Path, check: Callable[[bytes, Sequence[str]], object]) -> Published | None:
        """Returns a checkpoint kept in a file, if it is still one of this log and this policy."""
        try:
            note = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            size = parse_checkpoint(note).size
            keys = self._ledger.registry.as_of(size).log_keys
            vkeys = () if keys is None else keys.signing(size)
            checkpoint = verify_checkpoint(note, self._origin, vkeys)
            check(note, vkeys)
            if self._ledger.root(size) != checkpoint.root:
                raise CellcustodyError("the kept checkpoint is of another tree", size=size)
        except CellcustodyError as defect:
            self._log.write("cosigned_checkpoint_dropped", reason=defect.reason)
            return None
        return Published(Head(checkpoint.size, checkpoint.root, 0), note)

    def _check_quorum(self, note: bytes, log_vkeys: Sequence[str]) -> None:
        verify_witnesses(note, self._policy, self._origin, log_vkeys)

    def _file_of(self, witness: _Asked) -> Path:
        return self._directory / f"{origin_hash(witness.address.url)[:32]}.checkpoint"

    def _remember(self, witness: _Asked) -> None:
        def check(note: bytes, log_vkeys: Sequence[str]) -> None:
            read = parse_note(note)
            own = "".join(line.line() for line in read.signatures).encode()
            read_cosignatures(own, read.text, tuple(witness.address.vkeys.values()))

        kept = self._kept(self._file_of(witness), check)
        if kept is not None:
            witness.size, witness.note = kept.head.size, kept.checkpoint

    # Which checkpoint is asked for. --------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._lock:
            self._lock.notify_all()

    def _lead(self) -> None:
        behind_since: float | None = None
        while not self._closing.is_set():
            last = self._ledger.published
            now = time.monotonic()
            is_behind = last is not None and last.head.size > self.cosigned.size
            behind_since = (behind_since or now) if is_behind else None
            self._tell_overdue(behind_since is not None and now - behind_since > self._settings.patience_seconds)
            with self._lock:
                if last is not None and self._is_due(last, now):
                    self._rounds = [*self._rounds, _Round(last, now)][-ROUNDS_KEPT_MAX:]
                    self._lock.notify_all()
            if last is not None and not is_behind and self._ledger.stopped is None:
                self._ledger.wait_for_checkpoint_beyond(last.head.size, POLL_SECONDS)
            else:
                with self._lock:
                    if not self._closing.is_set():
                        self._lock.wait(POLL_SECONDS)

    def _is_due(self, last: Published, now: float) -> bool:
        if last.head.size <= self.cosigned.size:
            return False
        if not self._rounds:
            return True
        current = self._rounds[-1]
        if last.head.size == current.published.head.size:
            return False  # Whoever has not answered yet is asked again by its own thread.
        passed = now - current.started
        if not current.has_quorum:
            return passed >= self._settings.timeout_seconds
        return passed >= self._settings.interval_seconds or self.cosigned.awaited_size > self.cosigned.size

    def _tell_overdue(self, is_overdue: bool) -> None:
        if is_overdue != self.cosigned.is_overdue:
            self.cosigned.is_overdue = is_overdue
            self._log.write("witnesses_overdue" if is_overdue else "witnesses_back", witnessed_size=self.cosigned.size)

    # Asking one witness. -------------------------------------------------------------------------------------------

    def _serve(self, witness: _Asked) -> None:
        client = WitnessClient(witness.address, timeout_seconds=self._settings.timeout_seconds, context=self._context)
        try:
            while not self._closing.is_set():
                with self._lock:
                    current = self._rounds[-1] if self._rounds else None
                    if current is None or current is witness.done:
                        self._lock.wait(POLL_SECONDS)
                        continue
                try:
                    lines = self._ask(client, witness, current.published)
                    self._take(witness, current, lines)
                except CellcustodyError as failure:
                    self._fail(witness, failure)
                except Exception as error:
                    self._log.unexpected("cosigning_unexpected", error)
                    self._fail(witness, CellcustodyError("an unexpected failure"))
        finally:
            client.close()

    def _ask(self, client: WitnessClient, witness: _Asked, published: Published) -> tuple[NoteSignature, ...]:
        target = published.head.size
        for _ in range(ELSEWHERE_MAX):
            old = min(witness.size, target)
            proof = self._ledger.consistency_proof(old, target)[0] if 0 < old < target else []
            try:
                answer = client.add_checkpoint(build_add_checkpoint(old, proof, published.checkpoint))
            except WitnessElsewhereError as elsewhere:
                self._check_elsewhere(client, witness, elsewhere.size, target)
                witness.size = elsewhere.size
                continue
            return read_cosignatures(
                answer, parse_note(published.checkpoint).text, tuple(witness.address.vkeys.values())
            )
        raise WitnessElsewhereError(witness.size)

    def _check_elsewhere(self, client: WitnessClient, witness: _Asked, told: int, target: int) -> None:
        """Looks into what a witness says of its state where that is not as it was left."""
        if told < witness.size and witness.note:
            size = parse_checkpoint(witness.note).size
            if told < size:
                self._log.write("witness_rolled_back", witness=witness.address.names[0], size=told, cosigned_size=size)
                proof = self._ledger.consistency_proof(told, size)[0] if told else []
                # It may not know what it cosigned; its own signature tells it.
                client.add_checkpoint(build_add_checkpoint(told, proof, witness.note))
        if told <= target:
            return
        last = self._ledger.published
        if last is not None and told > last.head.size:
            self._check_against(client, witness, last)
        raise WitnessElsewhereError(told)  # It is ahead of this round; the next one may reach it.

    def _check_against(self, client: WitnessClient, witness: _Asked, last: Published) -> None:
        note = client.latest(self._origin)
        if note is None:
            return
        keys = self._ledger.registry.as_of(last.head.size).log_keys
        checkpoint = verify_checkpoint(note, self._origin, () if keys is None else keys.signing(last.head.size))
        seen = WitnessedHead(witness.address.names[0], checkpoint.size, checkpoint.root)
        try:
            check_head_against_witnesses(last.head, [seen], root_at=self._ledger.root)
        except CellcustodyError as proven:
            self._log.write("store_contradicts_witness", reason=proven.reason, witness=seen.name, size=seen.size)
            self._ledger.halt(proven)
            raise

    def _take(self, witness: _Asked, asked: _Round, lines: Sequence[NoteSignature]) -> None:
        published = asked.published
        note = add_cosignatures(published.checkpoint, lines)
        write_durably(self._file_of(witness), note)
        with self._lock:
            if witness.failures:
                self._log.write("witness_back", witness=witness.address.names[0], size=published.head.size)
            witness.size, witness.note, witness.done = published.head.size, note, asked
            witness.cosigned_at, witness.failure, witness.failures = self._now(), "", 0
            asked.lines.update(((line.name, line.key_id), line) for line in lines)
            names = frozenset(
                name
                for name, vkey in self._policy.witnesses.items()
                if ((key := parse_vkey(vkey)).name, key.id) in asked.lines
            )
            if self._policy.is_met_by(names):
                if not asked.has_quorum:
                    seconds = round(time.monotonic() - asked.started, 3)
                    self._log.write("witnessed", size=published.head.size, witnesses=len(names), seconds=seconds)
                asked.has_quorum = True
                together = add_cosignatures(published.checkpoint, list(asked.lines.values()))
                self.cosigned.offer(Published(published.head, together))
            self._lock.notify_all()

    def _fail(self, witness: _Asked, failure: CellcustodyError) -> None:
        witness.failures += 1
        witness.failure = failure.reason
        last = self._ledger.published
        behind = 0 if last is None else last.head.size - witness.size
        if (
            witness.failures.bit_count() == 1
        ):  # The first, second, fourth, eighth time: a day's outage is a dozen lines.
            self._log.write(
                "witness_failed",
                witness=witness.address.names[0],
                reason=failure.reason,
                failures=witness.failures,
                behind=behind,
            )
        pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** min(witness.failures - 1, 10))
        self._closing.wait(pause * random.uniform(0.5, 1.0))
