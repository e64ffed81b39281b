"""Fold streams with the judgements that were recorded for them; nothing is judged again.

The rules:

* A consignment, a lot and a site fold alone. A therapy folds jointly with the consignments that it cites, in the order
  of its rules, so that custody of what is packed is that of its container.
* Each act has the judgement that counts: the latest revision's, else its entry's. A co-signature has none that is
  ever revised; it counts as soon as what it joins is here.
* Which acts take part is the caller's choice: all, those of a position, or those that happened by a time. Corrections
  and retractions always do, for they say what was so all along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.equipment import EquipmentRules, EquipmentState
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.lots import LotRules, LotState
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.references import ConsignmentHistory, References, cited_streams
from cellcustody.ledger.custody.repinning import PackOf
from cellcustody.ledger.custody.sites import SiteRules, SiteState
from cellcustody.ledger.custody.therapy_rules import TherapyRules
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.recording.replaying import revised_judgements
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views.database import RowSet
from cellcustody.ledger.views.reading import Told, as_they_stand, latest_judgements
from cellcustody.v1 import quality_pb2

__all__ = [
    "StreamView",
    "cited_consignments",
    "fold_consignment",
    "fold_therapy",
    "happened_by",
    "observe_therapy",
]

Observer = Callable[[TherapyState, Act], None]


class _ObservedRules(TherapyRules):
    """A therapy's rules that let somebody look at the state after each act."""

    def __init__(self, observe: Observer) -> None:
        super().__init__(DEFAULT_PACK)  # Evolution reads no pack.
        self._observe = observe

    def evolve(self, state: TherapyState, act: Act, judged: Judged) -> None:
        """Lets an act have its effect, and then be looked at."""
        super().evolve(state, act, judged)
        self._observe(state, act)


@dataclass(frozen=True, slots=True)
class _History:
    """A consignment's acts with the judgements that count."""

    acts: Mapping[bytes, Act]
    judged: Mapping[bytes, Judged]


def _recorded(told: Iterable[Told], latest: Mapping[bytes, JudgedEntry]) -> dict[bytes, Judged]:
    return {one.act.digest: latest[one.act.digest].judged for one in told if one.act.joins is None}


def cited_consignments(told: Iterable[Told]) -> frozenset[bytes]:
    """Returns the consignments that statements of a therapy cite."""
    return frozenset(
        stream
        for one in told
        if one.act.body is not None
        for stream in cited_streams(one.act)
        if stream[0] == StreamKind.CONSIGNMENT
    )


def happened_by(told: Sequence[Told], at: int | None) -> list[Told]:
    """Returns what happened by a time (microseconds), and corrections and retractions whenever made; None: all."""
    if at is None:
        return list(told)
    return [
        one
        for one in told
        if one.act.occurred_start <= at
        or isinstance(one.act.body, quality_pb2.StatementCorrected | quality_pb2.StatementRetracted)
    ]


def fold_consignment(stream: bytes, told: Sequence[Told], *, at: int | None = None) -> Fold[ConsignmentState]:
    """Returns a consignment folded."""
    fold = Fold(ConsignmentRules(stream), recorded=_recorded(told, latest_judgements(told)))
    fold.extend(one.act for one in happened_by(told, at))
    return fold


def fold_therapy(
    stream: bytes,
    told: Sequence[Told],
    consignments: Mapping[bytes, Sequence[Told]],
    pack: PolicyPack,
    *,
    at: int | None = None,
    pack_of: PackOf | None = None,
) -> TherapyCase:
    """Returns a therapy folded jointly with the consignments given; `pack_of` finds packs it was moved to."""
    histories: dict[bytes, ConsignmentHistory] = {}
    for consignment, carried in consignments.items():
        acts = {one.act.digest: one.act for one in happened_by(carried, at)}
        histories[consignment] = _History(acts, _recorded(carried, latest_judgements(carried)))
    return TherapyCase(
        stream,
        pack,
        [one.act for one in happened_by(told, at)],
        References(histories),
        recorded=_recorded(told, latest_judgements(told)),
        pack_of=pack_of,
    )


def observe_therapy(case: TherapyCase, observe: Observer) -> None:
    """Folds a therapy once more, and lets `observe` look at the state after each act that has effect."""
    Fold(_ObservedRules(observe), recorded=case.judged).extend(case.acts.values())


class StreamView:
    """One stream as followed so far, kept while there is room; `told` in the order of recording."""

    def __init__(self, stream: bytes, told: Iterable[Told] = ()) -> None:
        self.stream = stream
        self.kind = StreamKind(stream[0])
        self.told: list[Told] = list(told)
        self.latest = latest_judgements(self.told)
        self.rows: RowSet | None = None  # As written last; None: to be read from the file.
        self._case: TherapyCase | None = None
        self._fold: Fold[ConsignmentState] | None = None

    @property
    def sequence(self) -> int:
        """How many entries the stream has so far."""
        return len(self.told)

    def add(self, news: Sequence[Told]) -> None:
        """Takes in what was recorded since: in place if it changes nothing before it, else by folding again later."""
        is_plain = not any(one.judgement.puts_in_effect or revised_judgements(one.act) for one in news)
        self.told.extend(news)
        if not is_plain:
            self.told = as_they_stand(self.told)
            self.latest = latest_judgements(self.told)
            self.forget_folds()
            return
        for one in news:
            self.latest[one.act.digest] = one.judgement
        if cited_consignments(news):
            self._case = None
        if self._case is not None:
            for one in news:
                self._case.append(one.act, judged=None if one.act.joins else one.judgement.judged)
        self._fold = None

    def forget_folds(self) -> None:
        """Lets the stream be folded again, for a consignment of it has news."""
        self._case = None
        self._fold = None

    def therapy(
        self, consignments: Mapping[bytes, Sequence[Told]], pack: PolicyPack, pack_of: PackOf | None = None
    ) -> TherapyCase:
        """Returns the therapy folded; `consignments` are those it cites, `pack` one that it was judged under."""
        if self._case is None or self._case.enrolled_pack.digest != pack.digest:
            self._case = fold_therapy(self.stream, self.told, consignments, pack, pack_of=pack_of)
        return self._case

    def consignment(self) -> Fold[ConsignmentState]:
        """Returns the consignment folded."""
        if self._fold is None:
            self._fold = fold_consignment(self.stream, self.told)
        return self._fold

    def alone(self) -> FoldState:
        """Returns the state of a lot, a site or a piece of equipment."""
        recorded = _recorded(self.told, self.latest)
        acts = [one.act for one in self.told]
        if self.kind is StreamKind.LOT:
            lot: Fold[LotState] = Fold(LotRules(self.stream), recorded=recorded)
            lot.extend(acts)
            return lot.state
        if self.kind is StreamKind.EQUIPMENT:
            equipment: Fold[EquipmentState] = Fold(EquipmentRules(self.stream), recorded=recorded)
            equipment.extend(acts)
            return equipment.state
        site: Fold[SiteState] = Fold(SiteRules(self.stream), recorded=recorded)
        site.extend(acts)
        return site.state
