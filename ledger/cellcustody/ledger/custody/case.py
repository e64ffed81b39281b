"""One therapy with the consignments it cites: their acts folded jointly.

The rules of this module:

* A consignment folds alone and its judgements are taken as they are; a therapy's acts are judged against the
  consignments as they stand in front of them, in one order of all acts that delivery cannot change.
* Only the consignments that the therapy's own acts cite take part. One that comes to be cited, or has news, comes in
  as a whole: its history is passed in, never fetched.
* An arrival that sorts last costs the same however long the therapy is; any other has everything folded again.
* What changed is told as digests of the therapy's own earlier facts, for these are what is judged anew.
* A view passes the judgements that were recorded; then nothing is judged here.

Single owner: not safe for use by several threads at once. Reads no clock, no network and no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cellcustody.ledger.custody.act import Act, Finding, Judged
from cellcustody.ledger.custody.authorisations import News
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import ConsignmentHistory, References, cited_streams
from cellcustody.ledger.custody.repinning import PackOf
from cellcustody.ledger.custody.signatures import Outstanding, outstanding_in
from cellcustody.ledger.custody.therapy_authorisations import judge_authorisation, therapy_news
from cellcustody.ledger.custody.therapy_rules import TherapyRules
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["TherapyCase", "state_as_of"]

_CONSIGNMENT = 2  # First byte of a consignment's stream id.


class TherapyCase:
    """A therapy as its acts, its consignments and other streams' claims leave it.

    `recorded` are judgements of the therapy's own acts that count as they are (views); absent, acts are judged here.
    `pack` is the one the therapy was enrolled under; `pack_of` finds those that it was moved to since.
    """

    def __init__(
        self,
        stream: bytes,
        pack: PolicyPack,
        acts: Iterable[Act] = (),
        references: References | None = None,
        *,
        recorded: Mapping[bytes, Judged] | None = None,
        pack_of: PackOf | None = None,
    ) -> None:
        self.stream = stream
        self._rules = TherapyRules(pack, references, pack_of=pack_of)
        # Judgements made elsewhere: the consignments' own and, for views, all. Read by the fold each time it folds.
        self._given: dict[bytes, Judged] = dict(recorded or {})
        self._is_view = recorded is not None
        self._cited: set[bytes] = set()
        self._fold: Fold[TherapyState] = Fold(self._rules, recorded=self._given)
        own = list(acts)
        for act in own:
            self._cited |= _cited_consignments(act)
        joined: list[Act] = []
        for cited in sorted(self._cited):
            joined.extend(self._take_history(cited))
        if own or joined:
            self._fold.extend((*own, *joined))

    # What it has come to ------------------------------------------------------------------------------------------

    @property
    def state(self) -> TherapyState:
        """The state after all acts; owned by the case, and replaced by a new object when it folds again."""
        return self._fold.state

    @property
    def order(self) -> Sequence[Act]:
        """All acts, the consignments' too, in canonical order."""
        return self._fold.order

    @property
    def judged(self) -> Mapping[bytes, Judged]:
        """The present judgement of every act by digest, the consignments' too."""
        return self._fold.judged

    @property
    def acts(self) -> Mapping[bytes, Act]:
        """Every act by digest, the consignments' too."""
        return self._fold.acts

    @property
    def fold(self) -> Fold[TherapyState]:
        """The joint fold itself."""
        return self._fold

    @property
    def cited(self) -> frozenset[bytes]:
        """The streams of the consignments that the therapy's acts cite."""
        return frozenset(self._cited)

    @property
    def pack(self) -> PolicyPack:
        """The policy pack that the therapy's next act is judged under."""
        return self._rules.pack_in(self.state)

    @property
    def enrolled_pack(self) -> PolicyPack:
        """The policy pack that the case was made with: the enrolment's, whatever the therapy was moved to."""
        return self._rules.pack

    def pack_digest_of(self, digest: bytes) -> bytes:
        """Returns the digest of the policy pack that an act of the therapy was judged under."""
        return self.state.pins.under(digest, self.pack.digest)

    @property
    def references(self) -> References:
        """What the case knows of other streams."""
        return self._rules.references

    # What comes in ------------------------------------------------------------------------------------------------

    def append(
        self, act: Act, *, references: References | None = None, judged: Judged | None = None
    ) -> frozenset[bytes]:
        """Takes in an act of the therapy's stream; returns the digests of its earlier facts whose judgement changed.

        `references`, where given, are those as of this act: with the claims that it makes itself and the history of
        each consignment that it is the first to cite. `judged` is its recorded judgement, for views.
        """
        changed: frozenset[bytes] = frozenset()
        if references is not None:
            changed |= self._replace_references(references, but_not=act.digest)
        if judged is not None:
            self._given[act.digest] = judged
        newly_cited = _cited_consignments(act) - self._cited
        if not newly_cited:
            return self._own(changed | self._fold.append(act))
        self._cited |= newly_cited
        joined = [one for cited in sorted(newly_cited) for one in self._take_history(cited)]
        return self._own(changed | self._fold.extend((*joined, act)))

    def mark_in_effect(self, digest: bytes, leaf_index: int) -> frozenset[bytes]:
        """Puts a pending authorisation of the therapy in effect; returns the facts whose judgement changed."""
        self._given.pop(digest, None)
        return self._own(self._fold.mark_in_effect(digest, leaf_index))

    def consignment_advanced(self, stream: bytes, history: ConsignmentHistory) -> frozenset[bytes]:
        """Takes in the news of a consignment; returns the digests of the therapy's facts whose judgement changed.

        A consignment that the therapy does not cite changes nothing yet.
        """
        consignments = {**self._rules.references.consignments, stream: history}
        self._rules.references = replace(self._rules.references, consignments=consignments)
        if stream not in self._cited:
            return frozenset()
        return self._own(self._take_news(stream))

    def references_changed(self, references: References) -> frozenset[bytes]:
        """Replaces what is known of other streams; returns the digests of the facts whose judgement changed."""
        return self._own(self._replace_references(references))

    def judgement_revised(self, judgements: Mapping[bytes, Judged]) -> None:
        """Takes in judgements that were recorded anew, for views, and folds again."""
        self._given.update(judgements)
        self._fold.fold_again()

    def preview(self, act: Act) -> tuple[Judged, frozenset[bytes]]:
        """Returns what `append` would judge of the act and which facts would change, changing nothing."""
        twin = self.copy()
        changed = twin.append(act)
        return twin.judged[act.digest], changed

    def copy(self) -> TherapyCase:
        """Returns a case of the same acts that shares nothing with this one but what cannot change."""
        own = [act for act in self._fold.acts.values() if act.stream == self.stream]
        recorded = {act.digest: self._fold.judged[act.digest] for act in own} if self._is_view else None
        return TherapyCase(
            self.stream,
            self.enrolled_pack,
            own,
            self.references,
            recorded=recorded,
            pack_of=self._rules.pack_of,
        )

    # What is asked ------------------------------------------------------------------------------------------------

    def judge_authorisation(
        self, act: Act, *, pack: PolicyPack | None = None, revised_at: Mapping[bytes, int] | None = None
    ) -> tuple[tuple[Finding, ...], tuple[News, ...]]:
        """Returns what the rules find in an authorisation now, and the news that its signer had not seen.

        `pack` is given for an enrolment, which names its own. `revised_at` gives the leaf of a fact's latest
        re-judgement. For an authorisation that is here already (pending), its own act is left out of the news.
        """
        news = therapy_news(self._fold, act, revised_at=revised_at)
        in_force = self.pack if pack is None else pack
        return judge_authorisation(self.state, act, in_force, news, pack_of=self._rules.pack_of), news

    def outstanding(self) -> tuple[Outstanding, ...]:
        """Returns the therapy's statements that wait for another person's signature, in canonical order."""
        return tuple(outstanding_in(self._fold, self.pack, self.stream))

    def as_of(self, time_micros: int) -> TherapyState:
        """Returns the state as all that is known now tells it was at a time, microseconds."""
        return state_as_of(self._rules, self._fold, time_micros)

    # How it is done -----------------------------------------------------------------------------------------------

    def _own(self, changed: frozenset[bytes]) -> frozenset[bytes]:
        if not changed:
            return changed
        acts = self._fold.acts
        return frozenset(digest for digest in changed if acts[digest].stream == self.stream)

    def _take_history(self, stream: bytes) -> list[Act]:
        history = self._rules.references.consignments.get(stream)
        if history is None:
            return []
        self._given.update(history.judged)
        return list(history.acts.values())

    def _take_news(self, stream: bytes) -> frozenset[bytes]:
        history = self._rules.references.consignments[stream]
        known = self._fold.acts
        news: list[Act] = []
        is_revised = False
        for digest, act in history.acts.items():
            before = known.get(digest)
            if before is None:
                news.append(act)
            elif before.in_effect_at != act.in_effect_at or self._given.get(digest) != history.judged[digest]:
                is_revised = True
        self._given.update(history.judged)
        if is_revised:
            return self._fold_anew(news)
        if len(news) == 1:
            return self._fold.append(news[0])
        return self._fold.extend(news) if news else frozenset()

    def _fold_anew(self, news: Iterable[Act]) -> frozenset[bytes]:
        """Folds all acts in a new fold, taking each consignment's act as its own history has it now."""
        before = dict(self._fold.judged)
        acts = [act for act in self._fold.acts.values() if act.stream[0] != _CONSIGNMENT]
        for cited in sorted(self._cited):
            acts.extend(self._take_history(cited))
        acts.extend(act for act in news if act.stream not in self._cited)
        self._fold = Fold(self._rules, recorded=self._given)
        self._fold.extend(acts)
        return frozenset(
            digest for digest, judged in self._fold.judged.items() if digest in before and judged != before[digest]
        )

    def _replace_references(self, references: References, *, but_not: bytes = b"") -> frozenset[bytes]:
        held = self._rules.references
        self._rules.references = references
        changed: frozenset[bytes] = frozenset()
        has_claims_news = references.creators is not held.creators and (
            references.claims_of_others(self.stream) != held.claims_of_others(self.stream)
        )
        if has_claims_news or references.area_uses != held.area_uses:
            changed = self._fold.fold_again(but_not=but_not)
        for stream in self._cited:
            if stream in references.consignments and references.consignments[stream] is not held.consignments.get(
                stream
            ):
                changed |= self._take_news(stream)
        return changed


def _cited_consignments(act: Act) -> set[bytes]:
    return {stream for stream in cited_streams(act) if stream[0] == _CONSIGNMENT}


def state_as_of(rules: TherapyRules, fold: Fold[TherapyState], time_micros: int) -> TherapyState:
    """Returns the state that the acts which had occurred by `time_micros` lead to, by the judgements that count now.

    An interval counts from its start. What was corrected since is seen as corrected: this is how it was, not how it
    was known.
    """
    earlier: Fold[TherapyState] = Fold(rules, recorded=dict(fold.judged))
    acts = [act for act in fold.order if act.occurred_start <= time_micros]
    superseding = [
        act
        for act in fold.order
        if act.occurred_start > time_micros and act.in_effect_at is not None and _supersedes(act)
    ]
    earlier.extend((*acts, *superseding))
    return earlier.state


def _supersedes(act: Act) -> bool:
    return isinstance(act.body, quality.StatementCorrected | quality.StatementRetracted)
