"""Run the ledger's own judges over what is recorded already.

The rules:

* The rules are those that judged it: the same classes, given the time, the site and the place that the entry names.
* What the ledger said in consequence stands in the log after its cause. It is found there, never signed again; if the
  rules make other re-judgements than those recorded, the difference is a finding.
* Comparisons of a patient's identifiers need them in the clear. Where they are closed, the recorded outcome is taken,
  the findings that follow from it are held to it, and it is counted as the ledger's word. How many there are is shown
  by the commitment: as many stand in their place, each of a kind and a value of its own.
* Which streams a judgement looked at is noted, so that what rests on something closed is not called false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Comparison
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.errors import VerificationError
from cellcustody.ledger.recording.cases import Case
from cellcustody.ledger.recording.custody_judging import CustodyJudge
from cellcustody.ledger.recording.identity import FIELD_PATIENT_IDENTIFIERS, identifiers_of
from cellcustody.ledger.recording.judging import LedgerJudge
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.replaying import as_revised
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import PayloadType
from cellcustody.ledger.store import IdentityMac, LedgerStore, Vault
from cellcustody.v1 import common_pb2, harvest_pb2, quality_pb2, return_pb2

__all__ = ["RecordedVoice", "ReplayJudge", "RevisionFalseError", "Told", "with_placeholders"]


class RevisionFalseError(VerificationError):
    """Raised when a re-judgement that the rules make is not the one recorded after its cause."""

    reason = "REJUDGEMENT_FALSE"


@dataclass(slots=True)
class Told:
    """What the log says of the entry being judged, for what cannot be worked out without closed records."""

    judgement: JudgedEntry
    are_identifiers_closed: bool = False
    revised: Mapping[bytes, JudgedEntry] = field(default_factory=dict)


class RecordedVoice:
    """Finds in the log what the ledger said; `recorded_at` gives the statement of a leaf, None where there is none."""

    def __init__(self, recorded_at: Callable[[int], Prepared | None]) -> None:
        self._recorded_at = recorded_at
        self.found: list[tuple[int, Prepared]] = []
        """Leaf and statement of each re-judgement that was found since this was emptied last."""

    def say(
        self, body: Message, *, ledger_id: bytes, stream: bytes, schema_digest: bytes, leaf_index: int, now: int
    ) -> Prepared:
        """Returns the re-judgement that is recorded at `leaf_index`.

        Raises:
            RevisionFalseError: there is none, or it says something else.
        """
        recorded = self._recorded_at(leaf_index)
        if (
            recorded is None
            or recorded.statement.payload_type is not PayloadType.JUDGEMENT
            or recorded.statement.stream != stream
        ):
            raise RevisionFalseError(
                "a re-judgement is left out", leaf_index=leaf_index, of_stream=stream, expected=_told(body)
            )
        if recorded.body != body:
            raise RevisionFalseError(
                "a re-judgement says something else than the rules",
                leaf_index=leaf_index,
                of_stream=stream,
                expected=_told(body),
                said=_told(recorded.body),
            )
        self.found.append((leaf_index, recorded))
        return recorded


class _ReplayCustodyJudge(CustodyJudge):
    """Judges custody with the outcomes of comparisons that the log tells, where identifiers are closed."""

    told: Told

    def _compare(self, prepared: Prepared) -> tuple[Comparison, ...]:
        numbers = prepared.statement.commitment.field_numbers
        if self.told.are_identifiers_closed and FIELD_PATIENT_IDENTIFIERS in numbers:
            return self.told.judgement.comparisons
        return super()._compare(prepared)

    def _compared_by_enrolment(self, case: Case, act: Act, macs: list[IdentityMac]) -> Mapping[bytes, Act] | None:
        if not self.told.are_identifiers_closed:
            return super()._compared_by_enrolment(case, act, macs)
        anew = {
            digest: as_revised(case.acts[digest], judgement)
            for digest, judgement in self.told.revised.items()
            if digest in case.acts and judgement.comparisons != case.acts[digest].comparisons
        }
        return anew or None


class ReplayJudge(LedgerJudge):
    """The ledger's judge, over entries that are recorded already; owned by one thread."""

    def __init__(self, store: LedgerStore, vault: Vault, registry: RegistryState, voice: RecordedVoice) -> None:
        made: list[_ReplayCustodyJudge] = []

        def custody(*args: object, **options: object) -> CustodyJudge:
            judge = _ReplayCustodyJudge(*args, **options)  # type: ignore[arg-type]  # As LedgerJudge gives them.
            made.append(judge)
            return judge

        super().__init__(store, vault, registry, voice, custody=custody)
        self._replaying = made[0]
        self.consulted: set[bytes] = set()
        """Streams that were looked at since this was emptied last."""

        case_of = self.cases.case

        def case(stream: bytes) -> Case:
            self.consulted.add(stream)
            return case_of(stream)

        self.cases.case = case  # type: ignore[method-assign]  # Notes who was asked; the answer is the same.

    def tell(self, told: Told) -> None:
        """Takes what the log says of the entry that is judged next."""
        self._replaying.told = told
        self.consulted.clear()

    def skipped(self, stream: bytes, size: int) -> None:
        """Tells that an entry of this stream was recorded, up to that size of the log, without having been judged."""
        self.cases.touch(stream)
        self.abandon()
        self.settled(size)

    def settled(self, size: int) -> None:
        """Tells how large the log is with what was recorded without this judge."""
        self._committed_size = self._planned_size = size


def with_placeholders(body: Message, numbers: Sequence[int]) -> Message:
    """Returns a body with as many identifiers of a patient as the commitment says; theirs are closed.

    `numbers` are the field numbers of its records, in order.
    """
    count = sum(number == FIELD_PATIENT_IDENTIFIERS for number in numbers)
    identifiers = identifiers_of(body)
    if not count or len(identifiers):
        return body
    filled = type(body)()
    filled.CopyFrom(body)
    given = [
        common_pb2.PatientIdentifier(
            kind=f"closed-{number}", value=f"closed {number}", method=common_pb2.READ_METHOD_SCANNED
        )
        for number in range(count)
    ]
    match filled:
        case (
            harvest_pb2.TherapyEnrolled()
            | harvest_pb2.IdentityChecked()
            | harvest_pb2.ReidentificationPerformed()
            | return_pb2.BedsideChecked()
        ):
            filled.patient_identifiers.extend(given)
        case _:
            return body
    return filled


def _told(body: Message | None) -> str:
    if not isinstance(body, quality_pb2.JudgementsRevised):
        return "nothing"
    return "; ".join(
        f"{one.statement_digest.hex()[:16]} {one.judgement.status} "
        f"{' '.join(finding.code for finding in one.judgement.findings) or 'without findings'}"
        for one in body.judgements
    )
