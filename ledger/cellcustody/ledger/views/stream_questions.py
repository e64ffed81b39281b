"""The questions about one stream's insides, each answered from its account, which is folded once and kept.

The rules:

* Each question is a function over an account; here it gets its answer, its subject's kind and its number.
* What a subject leads to is answered one stream a page, unless more are asked for.
"""

from __future__ import annotations

from cellcustody.ledger.views.access import Reader
from cellcustody.ledger.views.inspection import (
    condition_questions,
    custody_questions,
    material_questions,
    patient_questions,
    quality_questions,
    signature_questions,
)
from cellcustody.ledger.views.questioning import Questioning
from cellcustody.ledger.views.subjects import Wanted
from cellcustody.v1 import inspection_service_pb2 as pb

__all__ = ["StreamQuestions"]


class StreamQuestions(Questioning):
    """The questions about therapies and consignments, stream by stream."""

    def inspect_history(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectHistoryResponse:
        """1: returns the whole history, with its gaps."""
        empty = pb.InspectHistoryResponse()
        return self._of_streams(empty, custody_questions.history, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_handoffs(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectHandoffsResponse:
        """3: returns every handoff."""
        empty = pb.InspectHandoffsResponse()
        return self._of_streams(empty, custody_questions.handoffs, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_gaps(self, request: pb.InspectRequest, reader: Reader, now: int, wait: float) -> pb.InspectGapsResponse:
        """4: returns the intervals without an accepted custodian."""
        empty = pb.InspectGapsResponse()
        return self._of_streams(empty, custody_questions.gaps, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_pairs(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectPairsResponse:
        """5: returns the checks of two persons."""
        empty = pb.InspectPairsResponse()
        return self._of_streams(empty, signature_questions.pairs, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_signatures(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectSignaturesResponse:
        """6: returns the manifest of signatures."""
        empty = pb.InspectSignaturesResponse()
        return self._of_streams(empty, signature_questions.signatures, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_genealogy(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectGenealogyResponse:
        """10: returns the tree of materials."""
        empty = pb.InspectGenealogyResponse()
        return self._of_streams(empty, material_questions.genealogy, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_labels(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectLabelsResponse:
        """11: returns what became of labels."""
        empty = pb.InspectLabelsResponse()
        return self._of_streams(empty, material_questions.labels, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_conditions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectConditionsResponse:
        """12: returns temperature records."""
        empty = pb.InspectConditionsResponse()
        return self._of_streams(empty, condition_questions.conditions, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_budgets(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectBudgetsResponse:
        """13: returns time budgets."""
        empty = pb.InspectBudgetsResponse()
        return self._of_streams(empty, condition_questions.budgets, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_qualifications(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectQualificationsResponse:
        """14: returns qualifications in force on the day of use."""
        empty = pb.InspectQualificationsResponse()
        return self._of_streams(empty, condition_questions.qualifications, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_releases(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectReleasesResponse:
        """15: returns quality's decisions."""
        empty = pb.InspectReleasesResponse()
        return self._of_streams(empty, quality_questions.releases, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_out_of_specification(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectOutOfSpecificationResponse:
        """16: returns use of material outside specification."""
        empty = pb.InspectOutOfSpecificationResponse()
        question = quality_questions.out_of_specification
        return self._of_streams(empty, question, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_consent(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectConsentResponse:
        """19: returns the state of consent."""
        empty = pb.InspectConsentResponse()
        return self._of_streams(empty, patient_questions.consent, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_eligibility(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectEligibilityResponse:
        """20: returns donor screening."""
        empty = pb.InspectEligibilityResponse()
        return self._of_streams(empty, patient_questions.eligibility, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_infusions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectInfusionsResponse:
        """21: returns records of infusion."""
        empty = pb.InspectInfusionsResponse()
        return self._of_streams(empty, patient_questions.infusions, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_follow_up(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectFollowUpResponse:
        """22: returns the schedule of follow-up."""
        empty = pb.InspectFollowUpResponse()
        return self._of_streams(empty, patient_questions.follow_up, Wanted.THERAPIES, request, reader, now, wait)

    def inspect_versions(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectVersionsResponse:
        """25: returns the versions that judged each statement."""
        empty = pb.InspectVersionsResponse()
        return self._of_streams(empty, signature_questions.versions, Wanted.CUSTODY, request, reader, now, wait)

    def inspect_clocks(
        self, request: pb.InspectRequest, reader: Reader, now: int, wait: float
    ) -> pb.InspectClocksResponse:
        """26: returns clocks that were not the network's, or disagreed."""
        empty = pb.InspectClocksResponse()
        return self._of_streams(empty, signature_questions.clocks, Wanted.CUSTODY, request, reader, now, wait)
