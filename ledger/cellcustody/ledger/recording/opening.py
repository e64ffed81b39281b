"""Resume a ledger: the registry from its own streams, the last checkpoint from the journal.

The rules:

* Starting reads the registry's, policies' and schemas' streams and nothing else: never the whole log.
* The journal's last checkpoint is believed after its signature by a key of the log verifies; a journal of another log,
  or one that nobody here could have signed, stops the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.entries import JudgedEntry, read_entry
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.prepared import check_header_fits_body
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry.evolution import apply
from cellcustody.ledger.registry.records import RegistryJudgement
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.ledger.statements import StreamKind, parse_statement, partial_body, single_stream_id
from cellcustody.ledger.store import Head, HeadJournal, LedgerStore, StreamEntry, Vault
from cellcustody.ledger.transparency import NoteSigner, parse_checkpoint, verify_checkpoint

__all__ = ["RegistryReplica", "open_registry", "verified_last_checkpoint"]

_READ_AT_ONCE = 500
_STAYING = frozenset({1, 2, 3, 4})


def open_registry(store: LedgerStore, vault: Vault) -> RegistryState:
    """Returns the registry as the recorded entries of its three streams make it."""
    replica = RegistryReplica(store, vault)
    replica.catch_up(store.head().size)
    return replica.state


class RegistryReplica:
    """The registry as recorded entries make it, for whoever does not judge; owned by one thread, read by all."""

    def __init__(self, store: LedgerStore, vault: Vault) -> None:
        self.state = RegistryState()
        self._store = store
        self._vault = vault
        self._after = dict.fromkeys((StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA), 0)

    def catch_up(self, size: int) -> None:
        """Applies what is recorded below that tree size and was not applied yet, in the order of the log."""
        rows: list[StreamEntry] = []
        for kind in self._after:
            rows.extend(self._new_rows(kind, size))
        for row in sorted(rows, key=lambda one: one.leaf_index):
            entry = read_entry(row.entry)
            statement = parse_statement(entry.envelope)
            found = check_header_fits_body(statement)
            body = None
            if found is not None:
                openings = openings_of(self._store, self._vault, statement.digest, _STAYING)
                body = partial_body(found.message_class, openings)
            apply(self.state, RegistryStatement.of(statement, body), _judgement(entry.judgement), row.leaf_index)

    def _new_rows(self, kind: StreamKind, size: int) -> Iterator[StreamEntry]:
        while True:
            read = self._store.stream_entries(single_stream_id(kind), self._after[kind], _READ_AT_ONCE)
            for row in read:
                if row.leaf_index >= size:
                    return
                self._after[kind] = row.sequence
                yield row
            if len(read) < _READ_AT_ONCE:
                return


def _judgement(recorded: JudgedEntry) -> RegistryJudgement:
    status = recorded.judged.status
    return RegistryJudgement(
        Status.RECORDED if status is Status.RECORDED else status,
        findings=recorded.judged.findings,
        puts_in_effect=recorded.puts_in_effect or None,
    )


def verified_last_checkpoint(
    journal: HeadJournal, registry: RegistryState, origin: str, signers: Sequence[NoteSigner]
) -> Published | None:
    """Returns the last checkpoint that left this ledger, or None before the first.

    Raises:
        ConfigurationError: the journal is of another log, or no key known here signed its last checkpoint.
    """
    note = journal.last()
    if note is None:
        return None
    size = parse_checkpoint(note).size
    keys = registry.as_of(size).log_keys
    vkeys = tuple(signer.vkey for signer in signers) if keys is None else keys.signing(size)
    checkpoint = verify_checkpoint(note, origin, vkeys)
    if checkpoint.origin != origin:
        raise ConfigurationError("the journal is of another log", origin=checkpoint.origin, expected=origin)
    return Published(Head(checkpoint.size, checkpoint.root, 0), note)
