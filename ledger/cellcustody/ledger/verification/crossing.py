"""Check what lies between entries: chains of streams, persons who join, revised judgements, what signers had seen.

The rules:

* Every stream given runs from sequence 1 without a gap, each entry naming the leaf hash of the one before it, in the
  order of the log. No statement, and no statement id, is there twice.
* A co-signature joins an earlier statement of its own stream, by another person than its signer and than those who
  joined before; what the registry says a co-signer lacks, no authorisation in effect may rest on.
* An authorisation is in effect at its own entry only if contract and pack ask for nobody else; else from the entry of
  a co-signature that says so, which comes once, when as many persons as are asked for have joined: in the roles and
  within the time that the pack asks for.
* A judgement is revised by the ledger's own entries in the same stream, after the statement; what was found at entry
  stays in it. Registry, policies and schemas are judged by their own rules, elsewhere.
* An authorisation has seen what was there. A fact that has seen what its own stream did not hold yet is AWAITING.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Finding, Status
from cellcustody.ledger.custody.findings import Family, UnknownFindingError, rule_of
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.entries import ZERO_HASH, read_judgement
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import RegistryState
from cellcustody.ledger.statements import PayloadType, StreamKind
from cellcustody.ledger.verification.errors import (
    CoSignatureInvalidError,
    JudgementInvalidError,
    ReferenceInvalidError,
    StreamBrokenError,
)
from cellcustody.ledger.verification.statements import CheckedStatement, StatementVerifier, check_findings, check_status
from cellcustody.v1 import quality_pb2

__all__ = ["Crossing", "check_streams"]

_REGISTRY_STREAMS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})
_REMOVED: Final = frozenset({"RETRACTED", "SUPERSEDED"})
_MICROS_PER_SECOND: Final = 1_000_000


def check_streams(
    statements: Sequence[CheckedStatement], heads: dict[bytes, tuple[int, bytes]] | None = None
) -> dict[bytes, tuple[int, bytes]]:
    """Returns (sequence, leaf hash) of the last entry of each stream, after every chain has been followed.

    `statements` are in the order of the log. `heads` are those up to which chains were followed before; it is changed.

    Raises:
        StreamBrokenError: a chain has a gap, or another predecessor, or a statement is there twice.
    """
    found: dict[bytes, tuple[int, bytes]] = {} if heads is None else heads
    for one in statements:
        sequence, previous = found.get(one.stream, (0, ZERO_HASH))
        if one.sequence != sequence + 1:
            raise StreamBrokenError(
                "an entry is missing, or out of its place",
                leaf_index=one.leaf_index,
                stream=one.stream,
                sequence=one.sequence,
                expected=sequence + 1,
            )
        if one.previous_leaf_hash != previous:
            raise StreamBrokenError(
                "an entry follows another than the one before it",
                leaf_index=one.leaf_index,
                stream=one.stream,
                named=one.previous_leaf_hash,
                expected=previous,
            )
        found[one.stream] = (one.sequence, one.leaf_hash)
    return found


class Crossing:
    """The checks across entries, fed in the order of the log with entries that passed by themselves."""

    def __init__(self, registry: RegistryState, verifier: StatementVerifier) -> None:
        self._registry = registry
        self._verifier = verifier
        self._by_digest: dict[bytes, CheckedStatement] = {}
        self._ids: set[bytes] = set()
        self._packs: dict[bytes, PolicyPack] = {DEFAULT_PACK.digest: DEFAULT_PACK, b"": DEFAULT_PACK}
        self._unmet_seen: dict[bytes, list[CheckedStatement]] = {}
        self.co_signers: dict[bytes, list[CheckedStatement]] = {}
        self.in_effect_at: dict[bytes, int] = {}
        self.references = 0
        self.revisions = 0

    def take(self, one: CheckedStatement) -> None:
        """Checks the next entry against those before it.

        Raises:
            DossierError: the first broken rule, by its class.
        """
        # (1): Each statement once.
        if one.digest in self._by_digest or one.statement_id in self._ids:
            raise StreamBrokenError("a statement is recorded twice", leaf_index=one.leaf_index, digest=one.digest)

        # (2): What its signer had seen.
        self._check_seen(one)
        self._by_digest[one.digest] = one
        self._ids.add(one.statement_id)

        # (3): Who joins, and what is in effect.
        if one.joins is not None:
            self._check_co_signature(one, one.joins)
        elif one.judgement.judged.status is Status.IN_EFFECT:
            self._check_in_effect_alone(one)
        elif one.kind is PayloadType.JUDGEMENT:
            self._check_revision(one)

    def _check_seen(self, one: CheckedStatement) -> None:
        waiting = self._unmet_seen.pop(one.digest, None)
        if waiting is not None:
            for earlier in waiting:
                self._check_seen_later(earlier, one)
        for stream, digest in one.seen:
            there = self._by_digest.get(digest)
            if there is None:
                self._unmet_seen.setdefault(digest, []).append(one)
            elif there.stream != stream:
                raise ReferenceInvalidError(
                    "a statement seen is of another stream", leaf_index=one.leaf_index, seen=digest, stream=stream
                )
            else:
                self.references += 1

    def _check_seen_later(self, earlier: CheckedStatement, seen: CheckedStatement) -> None:
        body = BODIES.get(earlier.body_type)
        is_fact = body is not None and not body.is_authorisation
        waits = earlier.judgement.judged.status is Status.AWAITING
        if (body is not None and body.is_authorisation) or (is_fact and seen.stream == earlier.stream and not waits):
            raise ReferenceInvalidError(
                "a statement rests on one that was recorded after it",
                leaf_index=earlier.leaf_index,
                seen=seen.digest,
                seen_leaf_index=seen.leaf_index,
            )

    def _check_co_signature(self, one: CheckedStatement, joins: bytes) -> None:
        joined = self._by_digest.get(joins)
        if joined is None or joined.stream != one.stream:
            raise CoSignatureInvalidError(
                "a co-signature joins nothing that its stream held before it", leaf_index=one.leaf_index, joins=joins
            )
        if joined.joins is not None:
            raise CoSignatureInvalidError("a co-signature joins a co-signature", leaf_index=one.leaf_index)
        others = self.co_signers.setdefault(joins, [])
        if one.signer == joined.signer or any(one.signer == other.signer for other in others):
            raise CoSignatureInvalidError(
                "one person signs twice, where different persons are needed",
                leaf_index=one.leaf_index,
                signer=one.signer,
                joins=joins,
            )
        others.append(one)
        completes = one.judgement.puts_in_effect
        if one.stream[0] in _REGISTRY_STREAMS:
            return  # The registry's own rules have judged it.
        lacking = self._verifier.check_co_signer(one, joined.body_type)
        if lacking:
            raise CoSignatureInvalidError(
                "a co-signer may not join this",
                leaf_index=one.leaf_index,
                signer=one.signer,
                found=" ".join(sorted(lacking)),
            )
        if completes:
            self._check_completes(one, joined, completes)

    def _check_completes(self, one: CheckedStatement, joined: CheckedStatement, completes: bytes) -> None:
        if completes != joined.digest or joined.judgement.judged.status is not Status.PENDING:
            raise CoSignatureInvalidError(
                "a co-signature puts in effect what it does not join, or what was not pending",
                leaf_index=one.leaf_index,
                puts_in_effect=completes,
            )
        if joined.digest in self.in_effect_at:
            raise CoSignatureInvalidError("an authorisation takes effect once", leaf_index=one.leaf_index)
        body = BODIES[joined.body_type]
        asked = self._pack_of(one).co_signing_for(body.name, body.co_signers_min)
        window = asked.window_seconds * _MICROS_PER_SECOND
        counting = [
            other
            for other in self.co_signers[joined.digest]
            if (not asked.roles or other.role in asked.roles) and abs(other.signed_at - joined.signed_at) <= window
        ]
        if not counting or len(counting) < asked.number:
            raise CoSignatureInvalidError(
                "an authorisation is in effect without the persons it needs",
                leaf_index=one.leaf_index,
                joins=joined.digest,
                asked=asked.number,
                joined=len(counting),
            )
        self.in_effect_at[joined.digest] = one.leaf_index

    def _check_in_effect_alone(self, one: CheckedStatement) -> None:
        if one.stream[0] in _REGISTRY_STREAMS:
            return
        body = BODIES[one.body_type]
        asked = self._pack_of(one).co_signing_for(body.name, body.co_signers_min)
        if asked.number:
            raise CoSignatureInvalidError(
                "an authorisation is in effect without the persons it needs",
                leaf_index=one.leaf_index,
                body_type=one.body_type,
                asked=asked.number,
                joined=0,
            )
        self.in_effect_at[one.digest] = one.leaf_index

    def _pack_of(self, one: CheckedStatement) -> PolicyPack:
        digest = one.judgement.policy_digest
        pack = self._packs.get(digest)
        if pack is None:
            policy = self._registry.as_of(one.leaf_index).policy(digest)
            if policy is None:
                raise ReferenceInvalidError(
                    "the policy judged under was not published there", leaf_index=one.leaf_index, policy_digest=digest
                )
            pack = self._packs[digest] = PolicyPack.parse(policy.pack)
        return pack

    def _check_revision(self, one: CheckedStatement) -> None:
        body = one.body
        if not isinstance(body, quality_pb2.JudgementsRevised) or not one.is_whole:
            raise JudgementInvalidError("a re-judgement is not shown", leaf_index=one.leaf_index)
        for revised in body.judgements:
            there = self._by_digest.get(revised.statement_digest)
            contract = BODIES.get(there.body_type) if there is not None else None
            if there is None or there.stream != one.stream or contract is None or contract.is_authorisation:
                raise JudgementInvalidError(
                    "a re-judgement names what is no fact of its stream before it",
                    leaf_index=one.leaf_index,
                    statement_digest=revised.statement_digest,
                )
            try:
                judged = read_judgement(revised.judgement).judged
            except CellcustodyError as defect:
                raise JudgementInvalidError(
                    "a revised judgement is not in its form", leaf_index=one.leaf_index, defect=str(defect)
                ) from defect
            check_findings(judged.findings, range(1 << 20), one.leaf_index)
            if _of_entry(judged.findings) != _of_entry(there.judgement.judged.findings):
                raise JudgementInvalidError(
                    "what was found at entry was revised", leaf_index=one.leaf_index, statement_digest=there.digest
                )
            if judged.status is Status.RECORDED:
                if not any(finding.code in _REMOVED for finding in judged.findings):
                    raise JudgementInvalidError("a fact was unmade without reason", leaf_index=one.leaf_index)
            else:
                check_status(judged.status, judged.findings, one.leaf_index)
            self.revisions += 1


def _of_entry(findings: Sequence[Finding]) -> frozenset[str]:
    try:
        return frozenset(finding.code for finding in findings if rule_of(finding.code).family is Family.ENTRY)
    except UnknownFindingError:
        return frozenset()
