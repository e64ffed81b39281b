"""Replay the registry without believing the ledger's judgements.

The rules:

* The first entry is the founding, at leaf 0, and its statement is the one that the anchor names, where there is one.
* Every signer is admitted, and every act and co-signature judged, as of its own leaf index; what the entry says became
  of it must be what the rules say.
* Entries come in the order of the log, each once.

Signatures over exact bytes and inclusion in the log are verified elsewhere, before.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry.admission import SignerFacts, admit_signer
from cellcustody.ledger.registry.errors import RegistryReplayError
from cellcustody.ledger.registry.evolution import apply
from cellcustody.ledger.registry.judging import PackCheck, judge, judge_co_signature
from cellcustody.ledger.registry.records import RegistryJudgement
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.registry.statement import RegistryEntry
from cellcustody.v1 import registry_pb2

__all__ = ["verify_registry"]


def verify_registry(
    entries: Iterable[RegistryEntry], *, founding_digest: bytes | None = None, check_pack: PackCheck | None = None
) -> RegistryState:
    """Returns the registry that the entries make, after the rules have agreed to each of them.

    Raises:
        RegistryReplayError: an entry is not what the rules make of it; `leaf_index` and `defect` say which and why.
    """
    state = RegistryState()
    next_leaf = 0
    for entry in entries:
        if entry.leaf_index < next_leaf or (next_leaf == 0 and entry.leaf_index != 0):
            raise RegistryReplayError("an entry is out of its order", leaf_index=entry.leaf_index, expected=next_leaf)
        if next_leaf == 0 and founding_digest is not None and entry.statement.digest != founding_digest:
            raise RegistryReplayError("another founding", leaf_index=0, digest=entry.statement.digest)
        try:
            expected = _judge_entry(state, entry, check_pack)
        except CellcustodyError as refusal:
            raise RegistryReplayError(
                "an entry was recorded that the rules refuse",
                leaf_index=entry.leaf_index,
                defect=refusal.reason,
                because=refusal.message,
            ) from refusal
        said = entry.judged
        if (said.status, said.puts_in_effect) != (expected.status, expected.puts_in_effect):
            raise RegistryReplayError(
                "an entry says something else than the rules",
                leaf_index=entry.leaf_index,
                defect="STATUS",
                said=said.status.name,
                expected=expected.status.name,
            )
        apply(state, entry.statement, said, entry.leaf_index)
        next_leaf = entry.leaf_index + 1
    if next_leaf == 0:
        raise RegistryReplayError("there is no founding", leaf_index=0)
    return state


def _judge_entry(state: RegistryState, entry: RegistryEntry, check_pack: PackCheck | None) -> RegistryJudgement:
    statement = entry.statement
    if not isinstance(statement.body, registry_pb2.LedgerFounded):
        facts = SignerFacts(
            signer=statement.signer,
            key_ids=statement.key_ids,
            device=statement.device,
            signed_at=statement.signed_at,
            payload_kind=statement.payload_kind,
            is_authorisation=True,
        )
        admit_signer(state, facts, position=entry.leaf_index, now=entry.recorded_at)
    if statement.joins is not None:
        return judge_co_signature(state, statement, entry.leaf_index, check_pack=check_pack)
    return judge(state, statement, entry.leaf_index, check_pack=check_pack)
