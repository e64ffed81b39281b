"""An auditor's client: take the log's word for nothing.

The rules:

* Origin and keys come from the auditor, from an anchor got elsewhere; never from the server that is audited.
* The log's keys may have been rotated since the anchor was written. What they do not verify sends the auditor through
  the log: the registry is read, judged again from the founding that the anchor names, and tells which keys must sign at
  which size; what was read must make the very root that is signed. The anchor may then be renewed.
* Every checkpoint is verified before it is believed, and must be consistent with the last one that was. What was
  believed is kept in a file, so that a log cannot start over between two visits.
* Where the anchor has a witness policy, a checkpoint that its quorum did not cosign is not believed.
* A receipt is verified against the very bytes of the entry; entries read as a whole are hashed up to the root.

A log that shows a smaller tree than before, or one that does not contain it, is `LogInconsistent`; the file keeps what
was believed before, as evidence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cellcustody.clients.connection import Connection
from cellcustody.clients.errors import LogInconsistent
from cellcustody.ledger.errors import ConfigurationError, VerificationError
from cellcustody.ledger.registry import Anchor, RegistryState
from cellcustody.ledger.statements import ClosedRecord, Opening
from cellcustody.ledger.transparency import (
    VerifiedCheckpoint,
    VerifiedLogProof,
    leaf_hash,
    parse_checkpoint,
    parse_log_proof,
    root_of,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
)
from cellcustody.ledger.transparency.errors import CheckpointUnsignedError, NoteUnsignedError
from cellcustody.ledger.verification import (
    EntryToVerify,
    KeyFinding,
    checkpoint_standing,
    replay_registry,
    verify_log_checkpoint,
)
from cellcustody.ledger.verification.registry_replay import is_registry_entry
from cellcustody.ledger.verification.witnesses import signing_vkeys, verify_anchored_witnesses
from cellcustody.v1 import ledger_service_pb2, transparency_service_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceStub

__all__ = ["AuditedEntry", "AuditorClient"]


@dataclass(frozen=True, slots=True)
class AuditedEntry:
    """An entry that is in the log, and the proof of it."""

    leaf_index: int
    entry: bytes
    receipt: bytes
    proof: VerifiedLogProof
    witnesses: tuple[str, ...] | None = None
    """Names of the witnesses that cosigned; None where the anchor asks for none."""


class AuditorClient:
    """One auditor of one log; a context manager that closes the connection."""

    def __init__(
        self,
        connection: Connection,
        *,
        origin: str,
        log_keys: Sequence[str],
        founding_digest: bytes = b"",
        witness_policy: str = "",
        memory: Path | None = None,
    ) -> None:
        """Takes the log's origin line, verifier keys (C2SP text) and founding as the anchor gives them.

        `witness_policy` is the anchor's too. Without `founding_digest`, 32 bytes, rotations of the keys are not
        followed. `memory` is the file of the last checkpoint believed; without it, consistency is demanded within one
        visit.
        """
        self.connection = connection
        self._origin = origin
        self._log_keys = tuple(log_keys)
        self._founding_digest = founding_digest
        self._witness_policy = witness_policy
        self._memory = memory
        self._registry: RegistryState | None = None
        self._followed = 0
        self._believed: VerifiedCheckpoint | None = None
        if memory is not None and memory.exists():
            self._believed = self._verified(memory.read_bytes())

    def __enter__(self) -> AuditorClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @cached_property
    def _log(self) -> TransparencyServiceStub:
        return TransparencyServiceStub(self.connection.channel)

    @cached_property
    def _ledger(self) -> LedgerServiceStub:
        return LedgerServiceStub(self.connection.channel)

    @property
    def believed(self) -> VerifiedCheckpoint | None:
        """The last checkpoint believed."""
        return self._believed

    def checkpoint(self) -> tuple[VerifiedCheckpoint, bytes]:
        """Returns the log's last checkpoint with its bytes, after it was verified and found consistent.

        Raises:
            VerificationError: the log's keys did not sign it, or too few witnesses cosigned.
            LogInconsistent: it does not continue what was believed before.
        """
        answer = self.connection.ask(self._log.GetCheckpoint, transparency_service_pb2.GetCheckpointRequest())
        shown = self._verified(answer.checkpoint)
        self._witnesses_of(answer.checkpoint, shown)
        self._believe(shown, answer.checkpoint)
        return shown, answer.checkpoint

    def receipt(self, *, leaf_index: int | None = None, statement_digest: bytes = b"") -> AuditedEntry:
        """Returns one entry with its receipt, verified against each other and the log's keys.

        Raises:
            NotFound: there is no such entry.
            VerificationError: the receipt does not prove the entry, or too few witnesses cosigned its checkpoint.
            LogInconsistent: its checkpoint does not continue what was believed before.
        """
        entry = self.connection.ask(
            self._ledger.GetEntry,
            ledger_service_pb2.GetEntryRequest(leaf_index=leaf_index)
            if leaf_index is not None
            else ledger_service_pb2.GetEntryRequest(statement_digest=statement_digest),
        )
        answer = self.connection.ask(
            self._log.GetReceipt,
            transparency_service_pb2.GetReceiptRequest(leaf_index=entry.leaf_index),
        )
        parsed = parse_log_proof(answer.receipt)
        shown = self._verified(parsed.checkpoint)
        verify_inclusion(parsed.index, shown.size, leaf_hash(entry.entry), parsed.hashes, shown.root)
        proof = VerifiedLogProof(parsed.index, shown, parsed.extra)
        if proof.index != entry.leaf_index or (leaf_index is not None and proof.index != leaf_index):
            raise LogInconsistent("a receipt is of another entry", asked=entry.leaf_index, proved=proof.index)
        witnesses = self._witnesses_of(parsed.checkpoint, shown)
        self._believe(proof.checkpoint, parsed.checkpoint)
        return AuditedEntry(proof.index, entry.entry, answer.receipt, proof, witnesses)

    def entries(self, start: int = 0, end: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yields leaf index and bytes of entries, without gaps; `end` 0 means up to the last checkpoint.

        Raises:
            LogInconsistent: the server left one out.
        """
        request = transparency_service_pb2.StreamEntriesRequest(start=start, end=end)
        expected = start
        for answer in self.connection.ask_stream(self._log.StreamEntries, request):
            if answer.leaf_index != expected:
                raise LogInconsistent("an entry was left out", expected=expected, shown=answer.leaf_index)
            expected += 1
            yield answer.leaf_index, answer.entry

    def verify_all(self) -> VerifiedCheckpoint:
        """Reads every entry, hashes them up to the root, and returns the checkpoint that signs that root.

        Raises:
            LogInconsistent: the entries are not those that the checkpoint signs.
        """
        checkpoint, _ = self.checkpoint()
        hashes = [leaf_hash(entry) for _, entry in self.entries(0, checkpoint.size)]
        if len(hashes) != checkpoint.size or root_of(hashes) != checkpoint.root:
            raise LogInconsistent("the entries do not make the signed root", size=checkpoint.size, read=len(hashes))
        return checkpoint

    def renewed_anchor(self) -> Anchor:
        """Returns an anchor that names the log's present keys, after following them from the ones known.

        Its witness policy is the former one, which no log can change.

        Raises:
            ConfigurationError: the auditor does not know the founding.
            VerificationError: the log's registry or checkpoint is not what it should be.
        """
        shown, _ = self.checkpoint()
        registry = self._registry or self._follow(shown.size, shown.root)
        keys = registry.as_of(shown.size).log_keys
        if keys is None:
            raise LogInconsistent("the log's registry names no keys", size=shown.size)
        return Anchor(self._founding_digest, self._origin, keys.keys, self._witness_policy)

    def _witnesses_of(self, raw: bytes, shown: VerifiedCheckpoint) -> tuple[str, ...] | None:
        if not self._witness_policy:
            return None
        anchor = Anchor(self._founding_digest or bytes(32), self._origin, self._log_keys, self._witness_policy)
        return verify_anchored_witnesses(raw, anchor, signing_vkeys(shown))

    def _verified(self, raw: bytes) -> VerifiedCheckpoint:
        if self._registry is not None and parse_checkpoint(raw).size <= self._followed:
            return self._verified_by_registry(raw, self._registry)
        try:
            return verify_checkpoint(raw, self._origin, self._log_keys, required_vkeys=self._log_keys)
        except (NoteUnsignedError, CheckpointUnsignedError):
            if not self._founding_digest:
                raise
        # Nothing of this checkpoint is believed yet but what it claims to be of; following it finds out.
        claimed = parse_checkpoint(raw)
        self._registry = self._follow(claimed.size, claimed.root)
        return self._verified_by_registry(raw, self._registry)

    def _verified_by_registry(self, raw: bytes, registry: RegistryState) -> VerifiedCheckpoint:
        anchor = Anchor(self._founding_digest, self._origin, self._log_keys)
        checkpoint = verify_log_checkpoint(raw, registry, anchor)
        if checkpoint_standing(registry, checkpoint.size) is KeyFinding.SUSPECT:
            raise LogInconsistent("a checkpoint is signed by a key that others had", size=checkpoint.size)
        return checkpoint

    def _follow(self, size: int, root: bytes) -> RegistryState:
        """Returns the registry as the log shows it up to a size, whose root what was read makes."""
        if not self._founding_digest:
            raise ConfigurationError("the anchor's founding is not known, so that keys cannot be followed")
        hashes: list[bytes] = []
        given: list[EntryToVerify] = []
        for leaf_index, entry in self.entries(0, size):
            hashes.append(leaf_hash(entry))
            one = EntryToVerify(leaf_index, entry)
            if is_registry_entry(one):
                given.append(EntryToVerify(leaf_index, entry, self._records(leaf_index)))
        if len(hashes) != size or root_of(hashes) != root:
            raise LogInconsistent("the entries do not make the root", size=size, read=len(hashes))
        self._followed = size
        return replay_registry(given, self._founding_digest).state

    def _records(self, leaf_index: int) -> tuple[Opening | ClosedRecord, ...]:
        answer = self.connection.ask(self._ledger.GetEntry, ledger_service_pb2.GetEntryRequest(leaf_index=leaf_index))
        opened = [Opening(one.index, one.salt, one.record) for one in answer.openings]
        closed = [ClosedRecord(one.index, one.leaf_hash) for one in answer.closed]
        return tuple(sorted([*opened, *closed], key=lambda record: record.index))

    def _believe(self, shown: VerifiedCheckpoint, raw: bytes) -> None:
        """Keeps a checkpoint that continues the last one; an older one that it continues is right and kept not."""
        believed = self._believed
        if believed is not None:
            older, newer = sorted((believed, shown), key=lambda checkpoint: checkpoint.size)
            self._check_consistency(older, newer)
            if shown.size <= believed.size:
                return
        self._believed = shown
        if self._memory is not None:
            fresh = self._memory.with_name(f"{self._memory.name}.new")
            fresh.write_bytes(raw)
            os.replace(fresh, self._memory)

    def _check_consistency(self, older: VerifiedCheckpoint, newer: VerifiedCheckpoint) -> None:
        if older.size == newer.size:
            if older.root != newer.root:
                raise LogInconsistent("two roots were signed for one size", size=older.size)
            return
        if older.size == 0:
            return
        answer = self.connection.ask(
            self._log.GetConsistencyProof,
            transparency_service_pb2.GetConsistencyProofRequest(first_size=older.size, second_size=newer.size),
        )
        try:
            verify_consistency(older.size, newer.size, older.root, newer.root, list(answer.hashes))
        except VerificationError as refusal:
            raise LogInconsistent(
                "a checkpoint does not continue the one believed before", believed=older.size, shown=newer.size
            ) from refusal
