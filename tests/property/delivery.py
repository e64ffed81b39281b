"""Deliver acts to the folds of two therapies and their consignments, one by one, as a ledger does.

An authorisation that needs others is pending until the co-signature that completed it is there, in whatever order the
two come; each therapy hears of what its consignments and other therapies came to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cellcustody.ledger.custody.act import Act, Finding
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_authorisations import consignment_news, judge_authorisation
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.references import References, reference_keys

from .places import PACK, THERAPIES


@dataclass(slots=True)
class Ledger:
    """The folds of two therapies and of their consignments, fed as a ledger feeds them."""

    folds: dict[bytes, Fold[ConsignmentState]] = field(default_factory=dict)
    cases: dict[bytes, TherapyCase] = field(default_factory=dict)
    creators: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    pending: dict[bytes, int] = field(default_factory=dict)  # Authorisation -> leaf that is to put it in effect.
    leaves: dict[int, Act] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cases = {stream: TherapyCase(stream, PACK) for stream in THERAPIES}

    def references(self) -> References:
        """Returns what a therapy may know of others."""
        return References(dict(self.folds), self.creators)

    def deliver(self, act: Act) -> None:
        """Takes in an act; an authorisation is in effect once the co-signature that completed it is there too."""
        if act.is_authorisation and act.in_effect_at not in (None, act.leaf_index):
            assert act.in_effect_at is not None
            self.pending[act.digest] = act.in_effect_at
            act = replace(act, in_effect_at=None)
        self.leaves[act.leaf_index] = act
        self.take_in(act)
        joined = act.digest if act.joins is None else act.joins
        completing = self.leaves.get(self.pending.get(joined, -1))
        if completing is not None and completing.joins == joined:
            authorisation = self.owner(act.stream).acts[joined]
            self.mark_in_effect(authorisation, completing.leaf_index)

    def owner(self, stream: bytes) -> Fold[ConsignmentState] | TherapyCase:
        """Returns what folds a stream."""
        return self.folds[stream] if stream[0] == 2 else self.cases[stream]

    def take_in(self, act: Act) -> None:
        """Takes in an act as it is, and tells everyone whom it concerns."""
        if act.stream[0] == 2:
            fold = self.folds.setdefault(act.stream, Fold(ConsignmentRules(act.stream)))
            fold.append(act)
            self.advance(act.stream)
            return
        before = self.creators
        claims = {key: before.get(key, frozenset()) | {act.stream} for key in reference_keys(act)}
        self.creators = {**before, **claims}
        references = self.references()
        self.cases[act.stream].append(act, references=references)
        for stream, case in self.cases.items():
            if stream != act.stream:
                case.references_changed(references)

    def advance(self, stream: bytes) -> None:
        """Tells the therapies of a consignment's news."""
        for case in self.cases.values():
            case.consignment_advanced(stream, self.folds[stream])

    def mark_in_effect(self, act: Act, leaf_index: int) -> None:
        """Puts a pending authorisation in effect."""
        if act.stream[0] == 2:
            self.folds[act.stream].mark_in_effect(act.digest, leaf_index)
            self.advance(act.stream)
        else:
            self.cases[act.stream].mark_in_effect(act.digest, leaf_index)

    def found_in(self, act: Act) -> tuple[Finding, ...]:
        """Returns what the rules find in an authorisation now."""
        if act.stream[0] == 2:
            fold = self.folds.setdefault(act.stream, Fold(ConsignmentRules(act.stream)))
            return judge_authorisation(fold.state, act, DEFAULT_PACK, consignment_news(fold, act))
        findings, _ = self.cases[act.stream].judge_authorisation(act)
        return findings
