"""Make the registry again from its entries, believing neither the signers nor the ledger's judgements.

The rules:

* Leaf 0 is the founding; where there is an anchor, it is the one that the anchor names.
* A key verifies what its key id names, SHA-256 of the key; whether it was enrolled, whose it was, and whether it could
  sign is then judged as of each position by the registry's own rules (`registry.audit`).
* Every record of a class that everybody may read is open: an act that is not shown whole in those is refused, for
  nothing could be judged by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.entries import read_judgement
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import (
    RegistryEntry,
    RegistryJudgement,
    RegistryState,
    RegistryStatement,
    founding_keys,
    replay,
    verify_registry,
)
from cellcustody.ledger.statements import Opening, ParsedStatement, PayloadType, parse_statement, read_statement
from cellcustody.ledger.verification.container import EntryToVerify, Records
from cellcustody.ledger.verification.errors import (
    EntryInvalidError,
    IssuerMismatchError,
    JudgementInvalidError,
    RegistryInvalidError,
)
from cellcustody.ledger.verification.statements import read_given_entry, verify_body
from cellcustody.v1 import entry_pb2, registry_pb2

__all__ = ["ReplayedRegistry", "is_registry_entry", "replay_registry"]

_STREAM_KINDS = frozenset({6, 7, 8})  # Registry, policies, schemas: StreamKind's numbers.


class ReplayedRegistry(NamedTuple):
    """The registry after every act in it was found lawful, with the entries that it was made from.

    Another process makes the same registry again from `given`.
    """

    state: RegistryState
    leaf_indexes: tuple[int, ...]
    given: tuple[EntryToVerify, ...]


def is_registry_entry(given: EntryToVerify) -> bool:
    """Tells whether an entry is filed in one of the streams that make the registry.

    Raises:
        DossierError: it is no entry with a statement in it.
    """
    return _statement_of(given)[0].stream[0] in _STREAM_KINDS


def replay_registry(given: Sequence[EntryToVerify], founding_digest: bytes | None = None) -> ReplayedRegistry:
    """Returns the registry that these entries, in the order of the log, make.

    Raises:
        IssuerMismatchError: the founding is another than the anchor's.
        DossierError: an entry is broken, or not what the rules make of it.
    """
    if not given or given[0].leaf_index != 0:
        raise RegistryInvalidError("the founding entry is not there", leaf_index=0)

    # (1): Leaf 0, before anything else is looked at.
    first, _ = _statement_of(given[0])
    if founding_digest is not None and first.digest != founding_digest:
        raise IssuerMismatchError(
            "the dossier is of another ledger than the anchor", founding=first.digest, anchor=founding_digest
        )

    # (2): Bodies against what the payloads commit to; nothing says yet that somebody signed these payloads.
    entries = [_entry(one) for one in given]

    # (3): The signatures, with the keys that these entries name by their key ids.
    named = replay(entries)
    body = entries[0].statement.body
    try:
        keys = founding_keys(body) if isinstance(body, registry_pb2.LedgerFounded) else {}
    except CellcustodyError as refusal:
        raise RegistryInvalidError(refusal.message, leaf_index=0, **refusal.values) from refusal
    for one in given:
        try:
            read_statement(read_given_entry(one).envelope, lambda key_id: keys.get(key_id) or named.public_key(key_id))
        except CellcustodyError as defect:
            raise RegistryInvalidError(
                "an act of the registry is not what its signer signed", leaf_index=one.leaf_index, defect=str(defect)
            ) from defect

    # (4): Every act judged again, as of its own position.
    try:
        state = verify_registry(entries, founding_digest=founding_digest, check_pack=PolicyPack.parse)
    except CellcustodyError as refusal:
        raise RegistryInvalidError(refusal.message, **refusal.values) from refusal
    if not state.latest.is_founded:
        raise RegistryInvalidError("the founding is not complete", leaf_index=0)
    return ReplayedRegistry(state, tuple(one.leaf_index for one in given), tuple(given))


def _statement_of(given: EntryToVerify) -> tuple[ParsedStatement, entry_pb2.Entry]:
    entry = read_given_entry(given)
    try:
        return parse_statement(entry.envelope), entry
    except CellcustodyError as defect:
        raise EntryInvalidError(
            "an entry holds no statement in its exact form", leaf_index=given.leaf_index, defect=str(defect)
        ) from defect


def _entry(given: EntryToVerify) -> RegistryEntry:
    parsed, entry = _statement_of(given)
    try:
        recorded = read_judgement(entry.judgement)
    except CellcustodyError as defect:
        raise JudgementInvalidError(
            "a judgement is not in its form", leaf_index=given.leaf_index, defect=str(defect)
        ) from defect
    judged = RegistryJudgement(
        recorded.judged.status, findings=recorded.judged.findings, puts_in_effect=recorded.puts_in_effect or None
    )
    body: Message | None = None
    if parsed.payload_type is not PayloadType.CO_SIGNATURE:
        found = BODIES.get(parsed.header.body_type)
        if found is None:
            raise RegistryInvalidError(
                "the contract has no such body", leaf_index=given.leaf_index, body_type=parsed.header.body_type
            )
        body, _, _ = verify_body(given.leaf_index, parsed.commitment, given.records, found)
        _check_shown(given.leaf_index, parsed, given.records, found.classes)
    return RegistryEntry(RegistryStatement.of(parsed, body), given.leaf_index, entry.recorded_at_unix_micros, judged)


def _check_shown(
    leaf_index: int, parsed: ParsedStatement, records: Records | None, classes: dict[int, DisclosureClass]
) -> None:
    shown = {record.index for record in records or () if isinstance(record, Opening)}
    for index, number in enumerate(parsed.commitment.field_numbers):
        if classes.get(number) is DisclosureClass.PUBLIC and index not in shown:
            raise RegistryInvalidError("an act of the registry is not shown", leaf_index=leaf_index, record=index)
