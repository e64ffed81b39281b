"""Verify a proof of its own from the log's map of heads: what is here and what is not, offline and from an anchor.

The rules (docs/formats/head-map.md), in the order in which they are checked:

1. The file is in its exact form, and so is every part of it.
2. Founding, registry and checkpoint are held to the anchor as those of a dossier.
3. The entries given are those of registry, policies and schemas alone, in the tree, each stream an unbroken chain.
4. The map's entry holds, and every path leads to its roots.
5. The registry's own streams are among those that the map speaks of, and nothing of them is left out.

What it says it says as of the size that the map covers. No I/O, no clock: bytes in, a report out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.completeness.errors import AliasKeyMismatchError
from cellcustody.ledger.completeness.values import AliasKey, blinded_alias
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import StreamKind, parse_wire_form, single_stream_id
from cellcustody.ledger.transparency import format_vkey
from cellcustody.ledger.verification.completeness import VerifiedHeads, check_given, verify_heads, with_aliases
from cellcustody.ledger.verification.container import EntryToVerify, bodies_of, read_entries_file
from cellcustody.ledger.verification.crossing import check_streams
from cellcustody.ledger.verification.dossiers import verify_log_checkpoint
from cellcustody.ledger.verification.errors import (
    AliasesInvalidError,
    CompletenessInvalidError,
    DossierFormError,
    ScopeInvalidError,
)
from cellcustody.ledger.verification.inclusion import verify_shared_proof
from cellcustody.ledger.verification.registry_replay import is_registry_entry, replay_registry
from cellcustody.ledger.verification.report import Check, CheckLine, Outcome, Result
from cellcustody.ledger.verification.statements import StatementVerifier
from cellcustody.ledger.verification.witnesses import verify_anchored_witnesses
from cellcustody.v1 import dossier_pb2

__all__ = ["HeadsReport", "verify_heads_proof"]

FORMAT_VERSION: Final = 1
_HASH_BYTES: Final = 32
_REGISTRY_STREAMS: Final = frozenset(
    single_stream_id(kind) for kind in (StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA)
)


@dataclass(frozen=True, slots=True)
class HeadsReport:
    """What a proof shows, as of `covered_size`; `position` is the size of the checkpoint that it stands under."""

    outcome: Outcome
    checks: tuple[CheckLine, ...]
    ledger_id: bytes
    log_origin: str
    position: int
    covered_size: int
    alias_key_commitment: bytes
    streams: Mapping[bytes, tuple[int, bytes]]
    """By stream the count of its entries and the leaf hash of the last; (0, b"") where the stream is not here."""
    aliases: Mapping[bytes, tuple[bytes, ...]]
    """By blinded alias the therapies that it names; none where it is no alias here."""

    def therapies_named(self, alias_key: AliasKey, scheme: str, value: str) -> tuple[bytes, ...]:
        """Returns the therapies that an alias names; none where it is no alias here.

        Raises:
            AliasesInvalidError: the key is not the map's, or the proof does not speak of this alias.
        """
        try:
            alias_key.check(self.alias_key_commitment)
        except AliasKeyMismatchError as other:
            raise AliasesInvalidError(other.message, **other.values) from other
        found = self.aliases.get(blinded_alias(alias_key.key, scheme, value))
        if found is None:
            raise AliasesInvalidError("the proof does not speak of this alias", scheme=scheme)
        return found


def verify_heads_proof(data: bytes, anchor: Anchor | None = None) -> HeadsReport:
    """Returns what a proof shows; without an anchor the outcome is CONSISTENT, ISSUER UNPROVEN.

    Raises:
        DossierError: the first broken link, by its class.
    """
    # (1): The file.
    proof, given = _opened(data)

    # (2): Whose ledger it is, and what its log signed.
    registry = replay_registry(given, None if anchor is None else anchor.founding_digest)
    checkpoint = verify_log_checkpoint(proof.checkpoint, registry.state, anchor)
    signing = tuple(format_vkey(one.key.name, one.key.type, one.key.public_key) for one in checkpoint.log_signatures)
    witnesses = verify_anchored_witnesses(proof.checkpoint, anchor, signing)

    # (3): The entries.
    hashes = [leaf_hash_of(one.entry) for one in given]
    nodes = [proof.proof[at : at + _HASH_BYTES] for at in range(0, len(proof.proof), _HASH_BYTES)]
    verify_shared_proof([one.leaf_index for one in given], hashes, checkpoint.size, nodes, checkpoint.root)
    verifier = StatementVerifier(registry.state, registry.leaf_indexes)
    statements = [verifier.verify(one) for one in given]
    check_streams(statements)

    # (4): The map, and what it says.
    found = verify_heads(proof.heads, verifier, size=checkpoint.size, root=checkpoint.root)
    found = with_aliases(found, proof.heads)

    # (5): The registry is whole, so that no key was revoked below the covered size without our knowing.
    missing = _REGISTRY_STREAMS - found.streams.keys()
    if missing:
        raise CompletenessInvalidError(
            "the map's word on the registry's streams is not given",
            missing=" ".join(stream.hex() for stream in sorted(missing)),
        )
    registry_heads: dict[bytes, tuple[int, bytes]] = {stream: found.streams[stream] for stream in _REGISTRY_STREAMS}
    check_given(found._replace(streams=registry_heads), statements)

    return HeadsReport(
        outcome=Outcome.VERIFIED if anchor is not None else Outcome.CONSISTENT_ISSUER_UNPROVEN,
        checks=_lines(found, len(given), anchor, len(checkpoint.log_signatures), witnesses),
        ledger_id=registry.state.latest.ledger_id,
        log_origin=checkpoint.origin,
        position=checkpoint.size,
        covered_size=found.logged.covered_size,
        alias_key_commitment=found.logged.alias_key_commitment,
        streams=found.streams,
        aliases=found.aliases,
    )


def _opened(data: bytes) -> tuple[dossier_pb2.HeadsProof, list[EntryToVerify]]:
    try:
        proof = parse_wire_form(dossier_pb2.HeadsProof, data)
    except CellcustodyError as defect:
        raise DossierFormError("the proof is not in its exact form", defect=str(defect)) from defect
    if proof.format_version != FORMAT_VERSION or len(proof.proof) % _HASH_BYTES:
        raise DossierFormError(
            "the proof is of another format", format_version=proof.format_version, length=len(proof.proof)
        )
    bodies = bodies_of(proof.bodies)
    given = [EntryToVerify(leaf, entry, bodies.pop(leaf, None)) for leaf, entry in read_entries_file(proof.entries)]
    if bodies:
        raise DossierFormError("a body belongs to no entry", leaf_index=min(bodies))
    for one in given:
        if not is_registry_entry(one):
            raise ScopeInvalidError("an entry is none of registry, policies or schemas", leaf_index=one.leaf_index)
    return proof, given


def _lines(
    found: VerifiedHeads, entries: int, anchor: Anchor | None, signatures: int, witnesses: tuple[str, ...] | None
) -> tuple[CheckLine, ...]:
    covered = f"as of {found.logged.covered_size}"
    lines = {
        Check.CONTAINER: CheckLine(Check.CONTAINER, Result.PASSED, 1),
        Check.ENTRIES: CheckLine(Check.ENTRIES, Result.PASSED, entries + 1),
        Check.ISSUER: CheckLine(Check.ISSUER, Result.PASSED, 1)
        if anchor is not None
        else CheckLine(Check.ISSUER, Result.UNVERIFIED, 0, "no anchor was given"),
        Check.REGISTRY: CheckLine(Check.REGISTRY, Result.PASSED, entries),
        Check.CHECKPOINT: CheckLine(Check.CHECKPOINT, Result.PASSED, signatures),
        Check.INCLUSION: CheckLine(Check.INCLUSION, Result.PASSED, entries + 1),
        Check.WITNESSES: CheckLine(Check.WITNESSES, Result.PASSED, len(witnesses), ", ".join(witnesses))
        if witnesses
        else CheckLine(Check.WITNESSES, Result.UNVERIFIED, 0, "no witness was asked for"),
        Check.COMPLETENESS: CheckLine(Check.COMPLETENESS, Result.PASSED, len(found.streams), covered),
        Check.ALIASES: CheckLine(Check.ALIASES, Result.PASSED, len(found.aliases), covered)
        if found.aliases
        else CheckLine(Check.ALIASES, Result.UNVERIFIED, 0, "no alias was asked for"),
    }
    return tuple(lines[check] for check in Check if check in lines)
