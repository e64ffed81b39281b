"""Verify a dossier offline: everything that one file and an anchor can show.

The rules, in the order in which they are checked; the first that fails ends it and names the link:

1. The file is the one ZIP that its contents make, and each file in it is in its exact form.
2. The founding entry is the one that the anchor names.
3. The registry, made again from its entries, was lawful at every position; every key is known from it.
4. The checkpoint is signed by every key that signs for the log at its size, as followed from the founding through the
   rotations that the registry holds; with an anchor, its origin and keys are the anchor's.
5. Every entry is in the tree that the checkpoint names.
6. The ledger signed the manifest, which lists these very files, and the streams.
7. Every statement holds by itself (`statements`), and across entries (`crossing`).
8. Where the log's map of heads is given, nothing of the streams is left out that it covers (`completeness`).
9. Where time evidence is given, it holds, and bounds when entries were there (`time_bounds`); what rests on algorithms
   that the verifier holds broken alone does not stand (`algorithm_judging`).

Without an anchor all of this shows that the file is consistent, and not who made it. What is not checked is listed as
UNVERIFIED, and nothing is said of nothing. No I/O, no clock: bytes in, a report out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from cellcustody.ledger.completeness.values import AliasKey
from cellcustody.ledger.dossier.embedded import EMBEDDED_NAMES
from cellcustody.ledger.dossier.layout import HEADS, TIMESTAMPS
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor, RegistryState
from cellcustody.ledger.transparency import (
    VerifiedCheckpoint,
    verify_checkpoint,
)
from cellcustody.ledger.verification.algorithm_judging import judge_checkpoint
from cellcustody.ledger.verification.completeness import (
    check_aliases,
    check_heads,
    read_heads,
    verify_heads,
    with_aliases,
)
from cellcustody.ledger.verification.container import EntryToVerify, OpenedDossier, open_dossier
from cellcustody.ledger.verification.crossing import Crossing, check_streams
from cellcustody.ledger.verification.errors import (
    CheckpointInvalidError,
    DossierError,
    IssuerMismatchError,
    NothingCheckedError,
)
from cellcustody.ledger.verification.inclusion import verify_shared_proof
from cellcustody.ledger.verification.manifests import (
    check_open_classes,
    check_scope,
    unpublished_verifiers,
    verify_manifest,
)
from cellcustody.ledger.verification.registry_replay import ReplayedRegistry, is_registry_entry, replay_registry
from cellcustody.ledger.verification.report import (
    Check,
    CheckLine,
    KeyFinding,
    Outcome,
    Report,
    Result,
    StatementVerdict,
)
from cellcustody.ledger.verification.standing import (
    fail_on_broken,
    stand_statements,
    tell_broken,
    tell_times,
    with_standing,
)
from cellcustody.ledger.verification.standpoint import NOWHERE, Standpoint
from cellcustody.ledger.verification.statements import CheckedStatement, StatementVerifier
from cellcustody.ledger.verification.time_bounds import verify_times
from cellcustody.ledger.verification.witnessed_time import witnessed_at
from cellcustody.ledger.verification.witnesses import signing_vkeys, verify_anchored_witnesses

__all__ = ["verify_dossier", "verify_log_checkpoint"]

_NEVER_DONE: Final = (
    (
        Check.REPLAY,
        "findings on custody, comparisons of identifiers and the unit acted for are the ledger's word, by rule-set 1",
    ),
)


def verify_dossier(
    data: bytes,
    anchor: Anchor | None = None,
    *,
    alias_key: AliasKey | None = None,
    standpoint: Standpoint = NOWHERE,
) -> Report:
    """Returns what was verified; without an anchor the outcome is CONSISTENT, ISSUER UNPROVEN.

    `alias_key` is the key of the map of aliases, where the reader is entitled to it; `standpoint` says at which time it
    is verified, and which algorithms are held broken.

    Raises:
        DossierError: the first broken link, by its class; its `report` lists what was checked before.
    """
    progress = _Progress()
    try:
        return _verify(data, anchor, alias_key, standpoint, progress)
    except DossierError as broken:
        if broken.report is None:
            broken.report = progress.broken(broken)
        raise


class _Progress:
    """The lines of a report, as they come to be known."""

    def __init__(self) -> None:
        self._lines: dict[Check, CheckLine] = {}

    def passed(self, check: Check, count: int, note: str = "") -> None:
        """Notes a check that passed for `count` things, of which there must be one at least."""
        if count < 1:
            raise NothingCheckedError("there was nothing to check", missing=check.name)
        self._lines[check] = CheckLine(check, Result.PASSED, count, note)

    def told(self, check: Check, count: int, note: str, none: str) -> None:
        """Notes a check that passed for `count` things; of none, that nothing was shown."""
        if count:
            self.passed(check, count, note)
        else:
            self.unverified(check, none)

    def unverified(self, check: Check, note: str) -> None:
        """Notes a check that was not made."""
        self._lines[check] = CheckLine(check, Result.UNVERIFIED, 0, note)

    def lines(self) -> tuple[CheckLine, ...]:
        """Returns a line for every check; UNVERIFIED for those that nobody made."""
        return tuple(self._lines.get(check) or CheckLine(check, Result.NOT_REACHED) for check in Check)

    def broken(self, broken: DossierError) -> Report:
        """Returns the report of a dossier in which this link is broken."""
        self._lines[broken.check] = CheckLine(broken.check, Result.FAILED, 0, str(broken))
        return Report(Outcome.BROKEN, self.lines())


def _verify(
    data: bytes, anchor: Anchor | None, alias_key: AliasKey | None, standpoint: Standpoint, progress: _Progress
) -> Report:
    # (1): The container and the form of all that is in it.
    dossier = open_dossier(data)
    progress.passed(Check.CONTAINER, len(dossier.files))
    of_registry = [given for given in dossier.entries if is_registry_entry(given)]
    progress.passed(Check.ENTRIES, len(dossier.entries))

    # (2) and (3): Whose ledger it is, and who may say what in it.
    registry = replay_registry(of_registry, None if anchor is None else anchor.founding_digest)
    if anchor is None:
        progress.unverified(Check.ISSUER, "no anchor was given: anybody can make a ledger of their own")
    progress.passed(Check.REGISTRY, len(of_registry))

    # (4): What the log signed.
    checkpoint = verify_log_checkpoint(dossier.checkpoint, registry.state, anchor)
    if anchor is not None:
        progress.passed(Check.ISSUER, 1)
    progress.passed(Check.CHECKPOINT, len(checkpoint.log_signatures))
    _verify_witnesses(dossier.checkpoint, checkpoint, anchor, progress)

    # (5), (6) and (7): The entries in the tree, the manifest over the files, the statements.
    verified = _verify_entries(dossier, registry, checkpoint, progress)
    statements, crossing, heads, _ = verified
    manifest = verify_manifest(dossier.files, registry.state, checkpoint.size)
    progress.passed(Check.MANIFEST, len(manifest.files))
    _tell_embedded(dossier, progress)
    withheld = check_open_classes(manifest, dossier.entries)
    note = f"{withheld} records of open classes are not shown: erased, or withheld" if withheld else ""
    progress.passed(Check.SCOPE, check_scope(manifest, heads, statements), note)

    # (8): That nothing of these streams is left out.
    complete_below = _verify_completeness(dossier, verified, manifest.therapy, checkpoint, alias_key, progress)

    # (9): When entries were there, and whether what algorithms carried still stands.
    times = verify_times(
        dossier.files[TIMESTAMPS],
        checkpoint=checkpoint,
        entries=dossier.entries,
        verifier=verified.verifier,
        anchor=anchor,
        standpoint=standpoint,
        witnessed_at=witnessed_at(dossier.checkpoint, anchor, signing_vkeys(checkpoint), standpoint),
    )
    standing = stand_statements(statements, registry.state, times, standpoint)
    tell_times(times, standing, progress)
    judge_checkpoint(checkpoint, dossier.checkpoint, times, standpoint)
    tell_broken(registry.state, checkpoint.size, anchor, times, standpoint, progress)

    for check, why in _NEVER_DONE:
        progress.unverified(check, why)
    report = Report(
        outcome=Outcome.VERIFIED if anchor is not None else Outcome.CONSISTENT_ISSUER_UNPROVEN,
        checks=progress.lines(),
        statements=tuple(with_standing(_verdict(one, crossing), standing) for one in statements),
        ledger_id=manifest.ledger_id,
        log_origin=checkpoint.origin,
        position=checkpoint.size,
        therapy=manifest.therapy,
        complete_below=complete_below,
    )
    fail_on_broken(report)
    return report


def verify_log_checkpoint(raw: bytes, registry: RegistryState, anchor: Anchor | None) -> VerifiedCheckpoint:
    """Returns the checkpoint after every key that signs for the log at its size has been found to have signed it.

    Raises:
        IssuerMismatchError: origin or keys are not those that the anchor leads to.
        CheckpointInvalidError: it is not in its form, or a key did not sign.
    """
    # (1): The log's keys as the founding fixed them and the registrars rotated them since.
    founding = registry.founding
    eras = [keys for _, keys in registry.log_keys.changes(1 << 63)]
    if founding is None or not eras:
        raise CheckpointInvalidError("nothing names the log's keys")
    if anchor is not None:
        if founding.log_origin != anchor.log_origin:
            raise IssuerMismatchError(
                "the log is another than the anchor's", origin=founding.log_origin, anchor=anchor.log_origin
            )
        if all(set(anchor.log_keys) != set(era.keys) for era in eras):
            raise IssuerMismatchError("the anchor's log keys were never this log's", origin=founding.log_origin)

    # (2): The size says which keys must sign; it is believed once they have.
    try:
        any_key = tuple(dict.fromkeys(key for era in eras for key in (*era.keys, *era.overlapping)))
        size = verify_checkpoint(raw, founding.log_origin, any_key).size
        keys = registry.as_of(size).log_keys
        if keys is None:
            raise CheckpointInvalidError("the checkpoint is older than the log's keys", size=size)
        signing = keys.signing(size)
        return verify_checkpoint(raw, founding.log_origin, signing, required_vkeys=signing)
    except CheckpointInvalidError:
        raise
    except CellcustodyError as defect:
        raise CheckpointInvalidError("the checkpoint is not what the log signed", defect=str(defect)) from defect


def _tell_embedded(dossier: OpenedDossier, progress: _Progress) -> None:
    unknown = unpublished_verifiers(dossier.files)
    if unknown:
        told = ", ".join(f"{name} {digest}" for name, digest in unknown.items())
        progress.unverified(Check.EMBEDDED_VERIFIERS, f"not published with this release: {told}")
    else:
        progress.passed(Check.EMBEDDED_VERIFIERS, len(EMBEDDED_NAMES))


def _verify_witnesses(raw: bytes, checkpoint: VerifiedCheckpoint, anchor: Anchor | None, progress: _Progress) -> None:
    witnesses = verify_anchored_witnesses(raw, anchor, signing_vkeys(checkpoint))
    if witnesses is None:
        progress.unverified(Check.WITNESSES, "the anchor asks for no witness" if anchor else "no anchor was given")
    else:
        # A policy may ask for none (`quorum none`), and then nothing was shown.
        progress.told(Check.WITNESSES, len(witnesses), ", ".join(witnesses), "the anchor's quorum is of nobody")


class _Verified(NamedTuple):
    statements: list[CheckedStatement]
    crossing: Crossing
    heads: dict[bytes, tuple[int, bytes]]
    verifier: StatementVerifier


def _verify_completeness(
    dossier: OpenedDossier,
    verified: _Verified,
    therapy: bytes,
    checkpoint: VerifiedCheckpoint,
    alias_key: AliasKey | None,
    progress: _Progress,
) -> int:
    if not dossier.files[HEADS]:
        progress.unverified(Check.COMPLETENESS, "no map of heads is in this file; ask the log for later entries")
        progress.unverified(Check.ALIASES, "no map of heads is in this file")
        return 0
    size = checkpoint.size
    heads = read_heads(dossier.files[HEADS])
    found = verify_heads(heads, verified.verifier, size=size, root=checkpoint.root)
    checked = check_heads(found, verified.statements, verified.heads, size=size)
    unknown = found.unknown_after((one.leaf_index for one in verified.statements), size)
    note = f"; {unknown} of the {size - found.logged.covered_size} entries since are unknown here" if unknown else ""
    progress.passed(Check.COMPLETENESS, checked, f"up to {found.logged.covered_size if unknown else size}{note}")
    found = with_aliases(found, heads)
    if alias_key is None:
        progress.unverified(Check.ALIASES, f"{len(found.aliases)} proofs; the key of aliases was not given")
    elif not found.aliases:
        progress.unverified(Check.ALIASES, "no proof of aliases is in this file")
    else:
        named = check_aliases(found, verified.statements, therapy, alias_key)
        progress.told(Check.ALIASES, named, f"as of {found.logged.covered_size}", "no alias is open")
    return found.logged.covered_size if unknown else size


def _verify_entries(
    dossier: OpenedDossier, registry: ReplayedRegistry, checkpoint: VerifiedCheckpoint, progress: _Progress
) -> _Verified:
    given: Sequence[EntryToVerify] = dossier.entries
    indexes = [one.leaf_index for one in given]
    hashes = [leaf_hash_of(one.entry) for one in given]
    verify_shared_proof(indexes, hashes, checkpoint.size, dossier.proof, checkpoint.root)
    progress.passed(Check.INCLUSION, len(given))

    verifier = StatementVerifier(registry.state, registry.leaf_indexes)
    statements = [verifier.verify(one) for one in given]
    heads = check_streams(statements)
    crossing = Crossing(registry.state, verifier)
    for statement in statements:
        crossing.take(statement)

    shown = sum(one.is_shown for one in statements)
    closed = sum(one.records_closed for one in statements)
    progress.passed(Check.SIGNATURES, sum(one.signatures for one in statements))
    progress.passed(Check.BODIES, shown, _bodies_note(len(statements) - shown, closed))
    suspect = sum(one.is_suspect for one in statements)
    progress.passed(
        Check.SIGNERS, len(statements), f"{suspect} signed by a key said to be compromised by then" if suspect else ""
    )
    progress.passed(Check.STREAMS, len(heads))
    progress.passed(Check.JUDGEMENTS, len(statements) + crossing.revisions)
    joined = sum(map(len, crossing.co_signers.values()))
    progress.passed(Check.CO_SIGNATURES, joined + len(crossing.in_effect_at))
    progress.passed(Check.REFERENCES, len(statements) + crossing.references)
    return _Verified(statements, crossing, heads, verifier)


def _bodies_note(not_shown: int, closed: int) -> str:
    notes = [f"{closed} records are closed"] if closed else []
    if not_shown:
        notes.append(f"{not_shown} bodies are not shown at all")
    return "; ".join(notes)


def _verdict(one: CheckedStatement, crossing: Crossing) -> StatementVerdict:
    return StatementVerdict(
        leaf_index=one.leaf_index,
        stream=one.stream,
        sequence=one.sequence,
        statement_digest=one.digest,
        body_type=one.body_type,
        signer=one.signer,
        site=one.site,
        role=one.role,
        signatures=one.signatures,
        records_open=one.records_open,
        records_closed=one.records_closed,
        commitment=Result.PASSED if one.is_shown else Result.UNVERIFIED,
        key=KeyFinding.SUSPECT if one.is_suspect else KeyFinding.VALID,
        status=int(one.judgement.judged.status),
        findings=tuple(finding.code for finding in one.judgement.judged.findings),
        co_signers=tuple(other.signer for other in crossing.co_signers.get(one.digest, ())),
        recorded_at=one.recorded_at,
    )
