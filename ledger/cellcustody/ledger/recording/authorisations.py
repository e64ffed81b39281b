"""Judge authorisations at their arrival, against the state as it is now.

The rules, in the order they are checked:

1. No finding of entry is a gate.
2. Everything that the signer has seen is in the log; what is not may come, so that the refusal is retryable.
3. The rules of the stream find nothing that stands against it; what they wait for makes the refusal retryable.
4. Nothing decision-relevant about the same material stands in its streams at a leaf that the signer had not seen;
   the refusal lists the digests.
"""

from __future__ import annotations

from collections.abc import Sequence

from cellcustody.ledger.contract import BodyType
from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.authorisations import News, decision_news
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_authorisations import consignment_news
from cellcustody.ledger.custody.consignment_authorisations import judge_authorisation as judge_consignment
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.findings import Strength, rule_of
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.lots import LotState, judge_lot_authorisation
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.sites import SiteState, judge_site_authorisation
from cellcustody.ledger.errors import AuthorisationRefusedError, RetryableRefusedError
from cellcustody.ledger.recording.cases import Case, Cases
from cellcustody.ledger.recording.explaining import explain
from cellcustody.ledger.recording.planning import RuleRefusedError, RuleRefusedRetryableError
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.store import LedgerStore

__all__ = ["AuthorisationBench", "CoSignatureRefusedError", "SeenUnknownError", "refuse_if_blocking"]

_BLOCKING = frozenset({Strength.GATE, Strength.HARD_GATE})
# An authorisation may not carry a clock ahead of the ledger's, though it is only shown for a fact (design, section 9).
_REFUSED_THOUGH_ADVISORY = frozenset({"CLOCK_AHEAD"})


class SeenUnknownError(RetryableRefusedError):
    """Raised when an authorisation has seen a statement that is not in the log yet."""

    reason = "SEEN_UNKNOWN"


class CoSignatureRefusedError(AuthorisationRefusedError):
    """Raised when a co-signature does not count; `rule` says why."""

    reason = "CO_SIGNATURE_REFUSED"

    def __init__(self, rule: str, message: str, signer: bytes) -> None:
        super().__init__(message, rule=rule, signer=signer)
        self.rule = rule


def refuse_if_blocking(findings: Sequence[Finding], found: BodyType | None, openings: Sequence[Opening]) -> None:
    """Returns if no finding stands against an authorisation.

    Raises:
        RuleRefusedRetryableError: something that it names is not in the log yet.
        RuleRefusedError: a gate or a hard gate stands against it; all findings are told.
    """
    strengths = {rule_of(finding.code).strength for finding in findings}
    if Strength.AWAITING in strengths:
        raise RuleRefusedRetryableError(
            "something that the authorisation names is not in the log yet", explain(findings, found, openings)
        )
    if strengths & _BLOCKING or any(finding.code in _REFUSED_THOUGH_ADVISORY for finding in findings):
        raise RuleRefusedError("rules stand against the authorisation", explain(findings, found, openings))


class AuthorisationBench:
    """Judges authorisations for one writer."""

    def __init__(self, store: LedgerStore, cases: Cases) -> None:
        self._store = store
        self._cases = cases
        self._group: dict[bytes, tuple[bytes, int]] = {}

    def note(self, digest: bytes, stream: bytes, leaf_index: int) -> None:
        """Notes a statement of the group being made, so that later members may have seen it."""
        self._group[digest] = (stream, leaf_index)

    def forget_group(self) -> None:
        """Forgets the group: it is in the store, or it never will be."""
        self._group.clear()

    def check(self, act: Act, case: Case, pack: PolicyPack, found: BodyType, openings: Sequence[Opening]) -> None:
        """Returns if the authorisation may take effect now.

        Raises:
            SeenUnknownError, RuleRefusedError, RuleRefusedRetryableError: it may not, or not yet.
        """
        self._check_seen(act)
        findings, news = self._rules(case, act, pack)
        if news and all(finding.code != "UNSEEN_DECISION" for finding in findings):
            findings = (*findings, Finding("UNSEEN_DECISION"))
        strengths = {rule_of(finding.code).strength for finding in findings}
        if Strength.AWAITING not in strengths and strengths & _BLOCKING:
            unseen = tuple(("unseen", one.digest.hex()) for one in news)
            raise RuleRefusedError(
                "rules stand against the authorisation",
                explain(findings, found, openings, [("UNSEEN_DECISION", unseen)]),
                **({"unseen": " ".join(one.digest.hex() for one in news)} if news else {}),
            )
        refuse_if_blocking(findings, found, openings)

    def _check_seen(self, act: Act) -> None:
        for stream, digest in act.seen:
            in_group = self._group.get(digest)
            if in_group is not None:
                there = in_group[0]
            else:
                position = self._store.find_statement(digest)
                if position is None:
                    raise SeenUnknownError("what the signer has seen is not in the log yet", stream=stream, seen=digest)
                there = position.stream
            if there != stream:
                raise AuthorisationRefusedError(
                    "what the signer has seen is of another stream", stream=stream, seen=digest, of=there
                )

    def _rules(self, case: Case, act: Act, pack: PolicyPack) -> tuple[tuple[Finding, ...], tuple[News, ...]]:
        revised_at = self._cases.revised_at(act.stream)
        if isinstance(case, TherapyCase):
            return case.judge_authorisation(act, pack=pack, revised_at=revised_at)
        if not isinstance(case, Fold):
            raise TypeError("the stream takes no authorisations")
        match case.state:
            case ConsignmentState() as state:
                news = consignment_news(case, act, revised_at=revised_at)
                return judge_consignment(state, act, pack, news), news
            case LotState() as state:
                news = decision_news(case, act, lambda _state, _one: True, revised_at=revised_at)
                return judge_lot_authorisation(state, act, pack, news), news
            case SiteState() as state:
                news = decision_news(case, act, lambda _state, _one: True, revised_at=revised_at)
                return judge_site_authorisation(state, act, pack, news), news
            case _:
                raise TypeError("the stream takes no authorisations")
