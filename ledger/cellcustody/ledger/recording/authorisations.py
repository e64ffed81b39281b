"""Judge authorisations at their arrival, against the state as it is now.

The rules, in the order they are checked:

1. Everything that the signer has seen is in the log; what is not may come, so that the refusal is retryable, unless a
   gate of entry refuses it for good.
2. No finding of entry is a gate, and the rules of the stream find nothing that stands against it; all that stands
   against it is told at once. What the rules wait for makes the refusal retryable.
3. Nothing decision-relevant about the same material stands in its streams at a leaf that the signer had not seen;
   the refusal lists the digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cellcustody.ledger.contract import BodyType
from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.authorisations import News, decision_news
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.closing import open_matters
from cellcustody.ledger.custody.consignment_authorisations import consignment_news
from cellcustody.ledger.custody.consignment_authorisations import judge_authorisation as judge_consignment
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.equipment import EquipmentState, judge_equipment_authorisation
from cellcustody.ledger.custody.findings import Strength, rule_of
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.lots import LotState, judge_lot_authorisation
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import din_key, din_number
from cellcustody.ledger.custody.sites import SiteState, judge_site_authorisation
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.errors import AuthorisationRefusedError, RetryableRefusedError
from cellcustody.ledger.recording.cases import Case, Cases
from cellcustody.ledger.recording.explaining import explain
from cellcustody.ledger.recording.lots_inside import lot_findings
from cellcustody.ledger.recording.planning import RuleRefusedError, RuleRefusedRetryableError
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.store import LedgerStore
from cellcustody.ledger.transparency import TileTree
from cellcustody.v1 import facilities_pb2, return_pb2

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


def _concerns(state: FoldState, one: Act) -> bool:
    """Tells that in the stream of a lot, a site or a piece of equipment everything concerns the same thing."""
    return True


def _is_apart(act: Act) -> bool:
    return isinstance(
        act.body,
        facilities_pb2.QualificationRecorded
        | facilities_pb2.QualificationWithdrawn
        | facilities_pb2.EmergencyUseReviewed,
    )


def blocks(findings: Iterable[Finding]) -> bool:
    """Tells whether any of the findings stands against an authorisation for good."""
    return any(
        rule_of(finding.code).strength in _BLOCKING or finding.code in _REFUSED_THOUGH_ADVISORY for finding in findings
    )


def refuse_if_blocking(findings: Sequence[Finding]) -> None:
    """Returns if no finding of entry stands against a co-signature.

    Raises:
        RuleRefusedError: a gate or a hard gate stands against it; all findings are told.
    """
    if blocks(findings):
        raise RuleRefusedError("rules stand against the co-signature", explain(findings))


def _open_matters(case: Case, act: Act, pack: PolicyPack) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Returns, for a closure, all that is open, as named values by the code of the finding."""
    if not isinstance(act.body, return_pb2.TherapyClosed) or not isinstance(case.state, TherapyState):
        return []
    by_code: dict[str, list[tuple[str, str]]] = {}
    for matter in open_matters(case.state, pack):
        by_code.setdefault(matter.code, []).append((matter.kind, matter.id))
    return [(code, tuple(values)) for code, values in by_code.items()]


class AuthorisationBench:
    """Judges authorisations for one writer."""

    def __init__(self, store: LedgerStore, cases: Cases) -> None:
        self._store = store
        self._tree = TileTree(TilesOfStore(store))
        self._cases = cases
        self._group: dict[bytes, bytes] = {}

    def note(self, digest: bytes, stream: bytes) -> None:
        """Notes a statement of the group being made, so that later members may have seen it."""
        self._group[digest] = stream

    def forget_group(self) -> None:
        """Forgets the group: it is in the store, or it never will be."""
        self._group.clear()

    def check(
        self,
        act: Act,
        case: Case,
        pack: PolicyPack,
        found: BodyType,
        openings: Sequence[Opening],
        entry_findings: Sequence[Finding] = (),
    ) -> None:
        """Returns if the authorisation may take effect now; `entry_findings` are those made at this very entry.

        Raises:
            SeenUnknownError, RuleRefusedError, RuleRefusedRetryableError: it may not, or not yet.
        """
        refused_at_entry = blocks(entry_findings)
        if not refused_at_entry:
            self._check_seen(act)
        by_rules, news = self._rules(case, act, pack)
        if news and all(finding.code != "UNSEEN_DECISION" for finding in by_rules):
            by_rules = (*by_rules, Finding("UNSEEN_DECISION"))
        findings = sorted({*entry_findings, *by_rules})
        if not findings:
            return
        unseen = tuple(("unseen", one.digest.hex()) for one in news)
        told = explain(findings, found, openings, [("UNSEEN_DECISION", unseen), *_open_matters(case, act, pack)])
        # What is missing may come, and with it the rules may find otherwise; what was found at entry stays.
        is_waiting = any(rule_of(finding.code).strength is Strength.AWAITING for finding in by_rules)
        if is_waiting and not refused_at_entry:
            raise RuleRefusedRetryableError("something that the authorisation names is not in the log yet", told)
        if refused_at_entry or blocks(by_rules):
            values = {"unseen": " ".join(one.digest.hex() for one in news)} if news else {}
            raise RuleRefusedError("rules stand against the authorisation", told, **values)

    def _check_seen(self, act: Act) -> None:
        for stream, digest in act.seen:
            there = self._group.get(digest)
            if there is None:
                position = self._store.find_statement(digest)
                if position is None:
                    raise SeenUnknownError("what the signer has seen is not in the log yet", stream=stream, seen=digest)
                there = position.stream
            if there != stream:
                raise AuthorisationRefusedError(
                    "what the signer has seen is of another stream", stream=stream, seen=digest, of=there
                )

    def _settled_otherwise(self, act: Act) -> tuple[Finding, ...]:
        """Returns a finding if quality has given the donation number that this act settles to another therapy."""
        if not isinstance(act.body, facilities_pb2.DonationNumberSettled):
            return ()
        number = din_number(act.body.din)
        others = self._cases.linked(din_key(number)) - {act.stream}
        if any(number in self._cases.therapy(other).state.settled_dins for other in sorted(others)):
            return (Finding("DIN_SETTLED_OTHERWISE", act.leaves_of(1)),)
        return ()

    def _of_another_log(self, act: Act) -> tuple[Finding, ...]:
        """Returns a finding if the record would pass with a checkpoint that is none of this log's."""
        body = act.body
        if not isinstance(body, return_pb2.CustodianOfRecordChanged):
            return ()
        size = body.checkpoint_size
        if 0 < size <= self._store.head().size and self._tree.root(size) == body.checkpoint_root:
            return ()
        return (Finding("COPY_OF_ANOTHER_LOG", act.leaves_of(3, 4)),)

    def _rules(self, case: Case, act: Act, pack: PolicyPack) -> tuple[tuple[Finding, ...], tuple[News, ...]]:
        revised_at = self._cases.revised_at(act.stream)
        if isinstance(case, TherapyCase):
            found, news = case.judge_authorisation(act, pack=pack, revised_at=revised_at)
            settled = (*self._settled_otherwise(act), *self._of_another_log(act))
            return (*found, *settled, *lot_findings(self._cases, case.state, act.body, act.field_numbers)), news
        if not isinstance(case, Fold):
            raise TypeError("the stream takes no authorisations")
        match case.state:
            case ConsignmentState() as state:
                news = consignment_news(case, act, revised_at=revised_at)
                return judge_consignment(state, act, pack, news), news
            case LotState() as state:
                news = decision_news(case, act, _concerns, revised_at=revised_at)
                return judge_lot_authorisation(state, act, pack, news), news
            case SiteState() as state:
                # What others say of a site, or qualify it for, changes nobody's mind about something else there.
                news = () if _is_apart(act) else decision_news(case, act, _concerns, revised_at=revised_at)
                return judge_site_authorisation(state, act, pack, news), news
            case EquipmentState() as state:
                news = decision_news(case, act, _concerns, revised_at=revised_at)
                return judge_equipment_authorisation(state, act, pack, news), news
            case _:
                raise TypeError("the stream takes no authorisations")
