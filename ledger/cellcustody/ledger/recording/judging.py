"""Judge statements one by one, at the position each would take (design, section 4, step 4, and section 7).

The rules, in the order they are checked; what fails first is told:

1. The same statement again gets its first position; the same id with another digest is refused and kept for people.
2. The statement is of this ledger and names a schema that is published; an unknown schema may come later.
3. Its keys may sign at this position (`registry.admission`); the ledger's own kinds come from the ledger alone.
4. Registry, policies and schemas are judged by the registry's rules.
5. Everything else is judged as custody (`custody_judging`): a fact is recorded whatever it breaks, an authorisation is
   refused for any gate, a co-signature joins a statement of its own stream by another person.

State moves on with each plan, and back to what is committed when a group is abandoned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cellcustody.ledger.contract import BodyType
from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.entries import JudgedEntry, read_entry
from cellcustody.ledger.errors import ConflictError, FormRefusedError, RetryableRefusedError
from cellcustody.ledger.recording.cases import Cases
from cellcustody.ledger.recording.custody_judging import CustodyJudge, planned
from cellcustody.ledger.recording.entry_checks import clock_is_ahead
from cellcustody.ledger.recording.ledger_statements import Voice
from cellcustody.ledger.recording.packs import Packs
from cellcustody.ledger.recording.planning import (
    AlreadyRecorded,
    Explained,
    Plan,
    RuleRefusedError,
)
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.registry.admission import HANDOFF_BODIES, Admission, SignerFacts, admit_signer
from cellcustody.ledger.registry.authority import authority_of
from cellcustody.ledger.registry.evolution import apply
from cellcustody.ledger.registry.judging import judge as judge_registry
from cellcustody.ledger.registry.judging import judge_co_signature
from cellcustody.ledger.registry.records import RegistryJudgement
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.registry.statement import RegistryStatement
from cellcustody.ledger.statements import ParsedStatement, StreamKind
from cellcustody.ledger.store import LedgerStore, OperationalFinding, Vault
from cellcustody.v1 import registry_pb2

__all__ = ["LedgerIdMismatchError", "LedgerJudge", "LogKeyNotHereError", "SchemaUnknownError", "StatementIdTakenError"]

_REGISTRY_KINDS = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})


class LedgerIdMismatchError(FormRefusedError):
    """Raised when a statement names another ledger, or names none although it founds none."""

    reason = "LEDGER_MISMATCH"


class SchemaUnknownError(RetryableRefusedError):
    """Raised when a statement names a schema that is not published here yet; servers upgrade first."""

    reason = "SCHEMA_UNKNOWN"


class StatementIdTakenError(ConflictError):
    """Raised when another statement was recorded under this id."""

    reason = "STATEMENT_ID_TAKEN"


class LogKeyNotHereError(RetryableRefusedError):
    """Raised when the log's keys are to be rotated to one that the ledger has no signer for; install it first."""

    reason = "LOG_KEY_NOT_HERE"


@dataclass(frozen=True, slots=True)
class _Known:
    """A statement recorded before, or in the group being made, under the id that is asked for."""

    statement_digest: bytes
    leaf_index: int
    judgement: Callable[[], JudgedEntry]


def _id_taken(statement: ParsedStatement, known: _Known) -> StatementIdTakenError:
    return StatementIdTakenError(
        "another statement has this id",
        statement_id=statement.statement_id,
        recorded_digest=known.statement_digest,
        digest=statement.digest,
    )


class LedgerJudge:
    """Judges for one writer; owned by its thread."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        registry: RegistryState,
        voice: Voice | None,
        *,
        packs: Packs | None = None,
        is_trial: bool = False,
        log_vkeys: Collection[str] | None = None,
        custody: Callable[..., CustodyJudge] = CustodyJudge,
    ) -> None:
        """A trial judges for an assessment: it leaves the registry, which it shares, as it is.

        `log_vkeys` are the verifier keys of which the signers are here; None: whoever signs is asked elsewhere.
        `custody` makes the judge of custody; a replay gives its own.
        """
        self._is_trial = is_trial
        self._log_vkeys = log_vkeys
        self._store = store
        self._registry = registry
        self._committed_size = store.head().size
        self._planned_size = self._committed_size
        self._in_group: dict[bytes, _Known] = {}
        self._absent: frozenset[bytes] = frozenset()
        self._registry_moved = False
        self.packs = packs or Packs(registry)
        self.cases = Cases(store, vault, registry, self.packs.pack)
        self._custody = custody(store, vault, registry, self.cases, self.packs.pack, voice, is_trial=is_trial)

    def judge(self, prepared: Prepared, submitting_site: bytes, *, leaf_index: int, now: int) -> Plan | AlreadyRecorded:
        """Returns the plan for a statement that would be recorded at `leaf_index`, and moves the state on.

        Raises:
            RefusedError: it is refused; the state is as before.
        """
        statement = prepared.statement
        known = self._already(statement)
        if known is not None:
            if known.statement_digest == statement.digest:
                return AlreadyRecorded(known.leaf_index, known.judgement())
            self._store.operational_finding(
                OperationalFinding("STATEMENT_ID_TAKEN", statement.statement_id, statement.digest, now)
            )
            raise _id_taken(statement, known)
        plan = self._judge_new(prepared, submitting_site, leaf_index, now)
        judgement = plan.entries[0].judgement
        self._in_group[statement.statement_id] = _Known(statement.digest, leaf_index, lambda: judgement)
        self._custody.note(statement.digest, statement.stream)
        self._planned_size = leaf_index + len(plan.entries)
        return plan

    def expect(self, statement_ids: Sequence[bytes]) -> None:
        """Tells which statements the next group brings, so that the store is asked for all of them at once."""
        self._absent = frozenset(statement_ids) - self._store.recorded_ids(statement_ids)

    def assess(self, prepared: Prepared, submitting_site: bytes, *, leaf_index: int, now: int) -> Plan:
        """Returns what `judge` would, for a statement that need not be signed; only for a trial.

        Raises:
            RefusedError: it would be refused; nothing is kept for people.
        """
        known = self._already(prepared.statement)
        if known is not None and known.statement_digest != prepared.statement.digest:
            raise _id_taken(prepared.statement, known)
        if known is not None:
            return Plan([planned(prepared, submitting_site, known.judgement())])
        return self._judge_new(prepared, submitting_site, leaf_index, now)

    def co_signers_needed(self, prepared: Prepared) -> int:
        """Returns how many other persons must join a statement that was just assessed."""
        statement = prepared.statement
        if StreamKind(statement.stream[0]) not in _REGISTRY_KINDS or prepared.body_type is None:
            return self._custody.co_signers_needed(prepared)
        if prepared.body_type.message_class is registry_pb2.LedgerFounded:
            return 0
        return authority_of(self._registry.latest, RegistryStatement.of(statement, prepared.body)).co_signers_needed

    def committed(self) -> None:
        """Tells that everything planned since the last call is durable."""
        self._in_group.clear()
        self._absent = frozenset()
        self._registry_moved = False
        self._committed_size = self._planned_size
        self._custody.committed()
        self.cases.committed()

    def abandon(self) -> None:
        """Tells that nothing planned since the last call was committed."""
        self._in_group.clear()
        self._absent = frozenset()
        if self._registry_moved:
            self._registry.rewind(self._committed_size)
            self._registry_moved = False
        self._planned_size = self._committed_size
        self._custody.abandon()
        self.cases.abandon()

    def _judge_new(self, prepared: Prepared, submitting_site: bytes, leaf_index: int, now: int) -> Plan:
        self._check_ledger(prepared.statement, prepared.body_type, leaf_index)
        admission = self._admit(prepared, leaf_index, now)
        if StreamKind(prepared.statement.stream[0]) in _REGISTRY_KINDS:
            return self._judge_registry(prepared, submitting_site, admission, leaf_index, now)
        return self._custody.judge(prepared, submitting_site, admission, leaf_index=leaf_index, now=now)

    # (1): The same again. ------------------------------------------------------------------------------------------

    def _already(self, statement: ParsedStatement) -> _Known | None:
        in_group = self._in_group.get(statement.statement_id)
        if in_group is not None:
            return in_group
        if statement.statement_id in self._absent:
            return None
        found = self._store.find_statement_by_id(statement.statement_id)
        if found is None:
            return None
        leaf_index = found.leaf_index
        return _Known(found.statement_digest, leaf_index, lambda: read_entry(self._store.entry(leaf_index)).judgement)

    # (2): Of this ledger, under a known schema. --------------------------------------------------------------------

    def _check_ledger(self, statement: ParsedStatement, found: BodyType | None, leaf_index: int) -> None:
        view = self._registry.as_of(leaf_index)
        header = statement.header
        if found is not None and found.message_class is registry_pb2.LedgerFounded:
            return  # The registry's rules hold the founding to naming none.
        if view.founding is None or header.ledger_id != view.ledger_id:
            raise LedgerIdMismatchError(
                "the statement is of another ledger", ledger_id=header.ledger_id, this=view.ledger_id
            )
        first = view.founding.schema_digest
        if header.schema_digest != first and view.schema_of(header.schema_digest) is None:
            raise SchemaUnknownError("the schema is not published here", schema_digest=header.schema_digest)

    # (3): Keys and signer. -----------------------------------------------------------------------------------------

    def _admit(self, prepared: Prepared, leaf_index: int, now: int) -> Admission:
        statement = prepared.statement
        found = prepared.body_type
        if found is not None and found.message_class is registry_pb2.LedgerFounded:
            return Admission(b"")
        header = statement.header
        # A co-signature permits too where it joins an authorisation, and is a person's word in any case.
        facts = SignerFacts(
            signer=header.signer.signer_id,
            key_ids=statement.key_ids,
            device=header.device,
            signed_at=header.signed_at.unix_micros,
            payload_kind=statement.payload_type,
            is_authorisation=found is None or found.is_authorisation,
            is_handoff=found is not None and found.name in HANDOFF_BODIES,
        )
        return admit_signer(self._registry, facts, position=leaf_index, now=now)

    # (4): The registry's own acts. ---------------------------------------------------------------------------------

    def _judge_registry(
        self, prepared: Prepared, submitting_site: bytes, admission: Admission, leaf_index: int, now: int
    ) -> Plan:
        statement = prepared.statement
        if clock_is_ahead(statement.header, now):
            raise RuleRefusedError(
                "an authorisation's clock is ahead of the ledger's",
                (Explained("CLOCK_AHEAD", "ADVISORY", "Times are at most five minutes ahead of the ledger's clock."),),
                signed_at_unix_micros=statement.header.signed_at.unix_micros,
                now_unix_micros=now,
            )
        seen_as = RegistryStatement.of(statement, prepared.body)
        if seen_as.joins is not None:
            judged = judge_co_signature(self._registry, seen_as, leaf_index, check_pack=PolicyPack.parse)
        else:
            judged = judge_registry(self._registry, seen_as, leaf_index, check_pack=PolicyPack.parse)
        self._check_log_signers(seen_as, judged, leaf_index)
        if not self._is_trial:
            self._registry_moved = True
            apply(self._registry, seen_as, judged, leaf_index)
        return Plan([planned(prepared, submitting_site, _registry_entry(judged, admission))])

    def _check_log_signers(self, statement: RegistryStatement, judged: RegistryJudgement, leaf_index: int) -> None:
        """Refuses log keys that this ledger could not sign with: it would stop at its next checkpoint."""
        joined = self._registry.acts.get(judged.puts_in_effect or b"")
        body = statement.body if joined is None else joined.statement.body
        if self._log_vkeys is None or not isinstance(body, registry_pb2.LogKeysRotated):
            return
        former = self._registry.as_of(leaf_index).log_keys
        wanted = set(body.log_keys)
        if former is not None and body.overlap_until_size:
            wanted |= set(former.keys) - set(body.lost_keys)
        missing = sorted(wanted.difference(self._log_vkeys))
        if missing:
            raise LogKeyNotHereError("the ledger has no signer for a key of the log", vkeys=" ".join(missing))


def _registry_entry(judged: RegistryJudgement, admission: Admission) -> JudgedEntry:
    findings = tuple(sorted({*judged.findings, *admission.findings}))
    status = Status.RECORDED if judged.status is Status.RECORDED else judged.status
    return JudgedEntry(Judged(status, findings), puts_in_effect=judged.puts_in_effect or b"")
