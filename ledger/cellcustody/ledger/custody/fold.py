"""Fold the acts of one or more streams in an order that delivery cannot change.

The rules, in the order they are applied:

* The act that opens the stream stands first. Every other act stands after each statement it names or has seen, after
  what it joins and what it replaces; among acts that nothing orders, the earlier occurrence stands first, then the
  smaller digest. The order of arrival plays no part. What permits or joins stands no earlier than its own signing: a
  word given afterwards does not heal what was done without it.
* A corrected or retracted fact has no effect from the start. Its replacement stands where it stood: behind what the
  corrected fact had seen, before what has seen the corrected fact.
* An act of a consignment stands behind acts of its own consignment alone, also where several are folded jointly: so it
  stands among them as in its own fold, whatever else takes part.
* A fact that names a statement which is not here, or whose own stream's seen statement is not here, is AWAITING: it
  has no effect and no other finding. A statement entered anew (naming the digest of a refused one) stands for it.
* Every other fact is checked against the state in front of it, then has effect, conforming or not.
* An authorisation has effect where the co-signature stands that completed it, or in its own place if it needed none; it
  is never judged here. A co-signature is noted with the person and the time of signing. The ledger's own re-judgements
  have no place in the order.

An act that sorts last costs the same however long the stream is; any other has the whole stream folded again, for
streams are short. Honest digests cannot form a cycle; one that corrections form is broken at the smallest key.
This module reads no clock, no network and no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status
from cellcustody.ledger.custody.canonical_order import Key, in_order
from cellcustody.ledger.custody.findings import Strength, merged, rule_of, status_of
from cellcustody.ledger.custody.fold_state import (
    CoSigner,
    FoldState,
    Override,
    refused_by_act,
    replaced_by_act,
)
from cellcustody.v1.quality_pb2 import JudgementsRevised, StatementCorrected, StatementRetracted

__all__ = ["CoSigner", "Fold", "FoldState", "Override", "Rules", "replaced_by_act"]

_RECORDED = Judged(Status.RECORDED)
_REVISION = JudgementsRevised.DESCRIPTOR.full_name
_CORRECTION = StatementCorrected.DESCRIPTOR.full_name
_RETRACTION = StatementRetracted.DESCRIPTOR.full_name
_CONSIGNMENT = 2  # First byte of a consignment's stream id.

S = TypeVar("S", bound=FoldState)


class Rules(Protocol[S]):
    """What the fold needs to know of a kind of stream. `check` is pure; `evolve` is total and never judges."""

    def new_state(self) -> S:
        """Returns the state before any act."""
        ...

    def opens(self, act: Act) -> bool:
        """Tells whether the act opens a stream and so stands before all that nothing puts in front of it."""
        ...

    def names(self, act: Act) -> frozenset[bytes]:
        """Returns the digests of statements that the body names, beside seen, joins, replaces and corrections."""
        ...

    def check(self, state: S, act: Act) -> tuple[Finding, ...]:
        """Returns the fold's findings on a fact; any of strength AWAITING leaves it without effect."""
        ...

    def evolve(self, state: S, act: Act, judged: Judged) -> None:
        """Lets a fact (conforming or not) or an authorisation in effect change the state, by its judgement alone."""
        ...


class Fold(Generic[S]):
    """The acts of a stream (or of several folded jointly), their order, their judgements and the state they lead to.

    Acts whose digest is in `recorded` take that judgement and are never checked, so that views and joint folds evolve
    without judging; the mapping is read at each fold. Single owner: not safe for use by several threads at once.
    """

    def __init__(self, rules: Rules[S], *, recorded: Mapping[bytes, Judged] | None = None) -> None:
        self._rules = rules
        self._recorded: Mapping[bytes, Judged] = {} if recorded is None else recorded
        self._acts: dict[bytes, Act] = {}
        self._judged: dict[bytes, Judged] = {}
        self._order: list[Act] = []
        self._position: dict[bytes, int] = {}
        self._last_key: Key | None = None  # The greatest key placed; invariant: None if none is.
        self._wanted: set[bytes] = set()  # Digests that some act refers to and that are not here.
        self._joined_by: dict[bytes, list[bytes]] = {}  # A statement -> the co-signatures that join it.
        self._stands_for: dict[bytes, bytes] = {}  # A refused or re-judging statement -> the act that stands for it.
        self._superseded: dict[bytes, bytes | None] = {}  # Corrected -> replacement; retracted -> None.
        self._enabled: dict[bytes, bytes] = {}  # Replacement in effect -> what it replaces.
        self._is_cyclic = False
        self._state = self._new_state()

    # What it has come to ------------------------------------------------------------------------------------------

    @property
    def state(self) -> S:
        """The state after all acts; owned by the fold, and replaced by a new object when it folds again."""
        return self._state

    @property
    def order(self) -> Sequence[Act]:
        """The acts in canonical order, superseded ones among them."""
        return self._order

    @property
    def judged(self) -> Mapping[bytes, Judged]:
        """The present judgement of every act by digest, entry findings included."""
        return MappingProxyType(self._judged)

    @property
    def acts(self) -> Mapping[bytes, Act]:
        """Every act by digest, the ledger's own re-judgements among them."""
        return MappingProxyType(self._acts)

    @property
    def superseded(self) -> Mapping[bytes, bytes | None]:
        """Facts without effect: corrected ones with their replacement, retracted ones with None."""
        return MappingProxyType(self._superseded)

    # How acts come in ---------------------------------------------------------------------------------------------

    def append(self, act: Act) -> frozenset[bytes]:
        """Takes an act in; returns the digests of earlier facts whose judgement changed. A known act is left."""
        if act.digest in self._acts:
            return frozenset()
        if act.body_type == _REVISION:
            return self._note_revision(act)
        self._take(act)
        if self._sorts_last(act):
            self._place_last(act)
            return frozenset()
        return self.fold_again(but_not=act.digest)

    def extend(self, acts: Iterable[Act]) -> frozenset[bytes]:
        """Takes many acts in with one fold; returns the digests of earlier facts whose judgement changed."""
        earlier = frozenset(self._judged)
        for act in acts:
            if act.digest in self._acts:
                continue
            if act.body_type == _REVISION:
                self._note_revision(act)
            else:
                self._take(act)
        return self.fold_again() & earlier

    def _take(self, act: Act) -> None:
        self._acts[act.digest] = act
        if act.joins is not None:
            self._joined_by.setdefault(act.joins, []).append(act.digest)

    def mark_in_effect(self, digest: bytes, leaf_index: int) -> frozenset[bytes]:
        """Puts a pending authorisation in effect; returns the digests of facts whose judgement changed."""
        act = replace(self._acts[digest], in_effect_at=leaf_index)
        self._acts[digest] = act
        position = self._position[digest]
        completing = self._completing(act)
        place = digest if completing is None else completing
        if act.body_type in (_CORRECTION, _RETRACTION) or self._position[place] != len(self._order) - 1:
            return self.fold_again(but_not=digest)
        self._order[position] = act
        self._state.placed[digest] = act
        self._judged[digest] = judged = Judged(Status.IN_EFFECT, merged(act.entry_findings))
        self._rules.evolve(self._state, act, judged)
        return frozenset()

    def fold_again(self, *, but_not: bytes = b"") -> frozenset[bytes]:
        """Folds everything from the start; returns the digests whose judgement changed, `but_not` left out.

        To be called too when what the rules refer to outside the acts (references, recorded judgements) has changed.
        """
        before = self._judged
        self._find_superseded()
        self._state = self._new_state()
        self._judged = {digest: before[digest] for digest, act in self._acts.items() if act.body_type == _REVISION}
        ordered = self._sorted()
        self._order = []
        self._position = {}
        self._last_key = None
        for act in ordered:
            self._place(act)
        return frozenset(
            digest
            for digest, judged in self._judged.items()
            if digest != but_not and digest in before and judged != before[digest]
        )

    def preview(self, act: Act) -> tuple[Judged, frozenset[bytes]]:
        """Returns what `append` would judge of the act and which earlier facts would change, changing nothing."""
        trial = self.copy()
        changed = trial.append(act)
        return trial._judged[act.digest], changed

    def copy(self) -> Fold[S]:
        """Returns a fold of the same acts that shares nothing with this one but the rules."""
        twin = Fold(self._rules, recorded=self._recorded)
        twin._acts = dict(self._acts)
        twin._judged = {digest: one for digest, one in self._judged.items() if digest not in self._position}
        twin._joined_by = {digest: list(joined) for digest, joined in self._joined_by.items()}
        twin._stands_for = dict(self._stands_for)
        twin.fold_again()
        return twin

    # The order ----------------------------------------------------------------------------------------------------

    def _key(self, act: Act) -> Key:
        is_word = act.is_authorisation or act.joins is not None
        moment = max(act.occurred_start, act.signed_at) if is_word else act.occurred_start
        return (0 if self._rules.opens(act) else 1, moment, act.digest)

    def _named(self, act: Act) -> set[bytes]:
        """Returns what must not be missing for a fact to have effect: what it names and joins, not what it has seen."""
        named = set(self._rules.names(act))
        if act.joins is not None:
            named.add(act.joins)
        replaces = replaced_by_act(act)
        if replaces:
            named.add(replaces)
        return named

    def _referred(self, act: Act) -> set[bytes]:
        referred = self._named(act)
        referred.update(digest for _, digest in act.seen)
        if act.body_type == _CORRECTION and isinstance(act.body, StatementCorrected):
            referred.update((act.body.corrected, act.body.replacement))
        elif act.body_type == _RETRACTION and isinstance(act.body, StatementRetracted):
            referred.add(act.body.retracted)
        referred.discard(act.digest)
        return referred

    def _here(self, digest: bytes) -> bytes | None:
        """Returns the digest of the act in the order that stands for `digest`, or None if there is none."""
        for _ in range(len(self._stands_for) + 1):
            if digest in self._acts and self._acts[digest].body_type != _REVISION:
                return digest
            following = self._stands_for.get(digest)
            if following is None:
                return None
            digest = following
        return None

    def _in_front(self, act: Act, digest: bytes) -> bytes | None:
        """Returns what stands for `digest` if the act has to stand behind it: a consignment knows of itself alone."""
        here = self._here(digest)
        if here is not None and act.stream[0] == _CONSIGNMENT and self._acts[here].stream != act.stream:
            return None
        return here

    def _sorts_last(self, act: Act) -> bool:
        """Tells whether the act stands last and changes nothing in front of it."""
        if (
            self._is_cyclic
            or act.digest in self._wanted
            or (act.in_effect_at is not None and act.body_type in (_CORRECTION, _RETRACTION))
        ):
            return False
        refused = refused_by_act(act)
        if refused and (refused in self._wanted or refused in self._stands_for):
            return False
        key = self._key(act)
        if self._last_key is None or key > self._last_key:
            return True
        # Nothing stands behind a new act, so the others keep their order; it stands before the first of those behind
        # all that it refers to whose key is greater.
        after = -1
        for digest in self._referred(act):
            here = self._in_front(act, digest)
            if here is not None:
                after = max(after, self._position[here])
        return all(self._key(other) < key for other in self._order[after + 1 :])

    def _replacements(self, digest: bytes) -> list[bytes]:
        """Returns the chain of replacements that stand in the place of a corrected fact."""
        chain: list[bytes] = []
        following = self._superseded.get(digest)
        while following is not None and following not in chain:
            chain.append(following)
            following = self._superseded.get(following)
        return chain

    def _find_superseded(self) -> None:
        self._superseded = {}
        self._enabled = {}
        settled = [
            (act.in_effect_at, act.digest, act.body)
            for act in self._acts.values()
            if act.in_effect_at is not None and act.body_type in (_CORRECTION, _RETRACTION)
        ]
        for _, _, body in sorted(settled, key=lambda one: one[:2]):
            # The first word on a fact counts; a second one is refused at arrival.
            if isinstance(body, StatementCorrected) and body.corrected not in self._superseded:
                self._superseded[body.corrected] = body.replacement
                self._enabled[body.replacement] = body.corrected
            elif isinstance(body, StatementRetracted):
                self._superseded.setdefault(body.retracted, None)

    def _sorted(self) -> list[Act]:
        """Returns the acts in canonical order (Kahn's algorithm with the smallest key first)."""
        members = {digest: act for digest, act in self._acts.items() if act.body_type != _REVISION}
        # Of several that enter the same refused statement anew, the one with the smallest key stands for it.
        entered_anew = [(self._key(act), refused) for act in members.values() if (refused := refused_by_act(act))]
        for (_, _, digest), refused in sorted(entered_anew, reverse=True):
            if refused not in self._acts:
                self._stands_for[refused] = digest
        self._wanted = set()
        in_front: dict[bytes, set[bytes]] = {}
        for digest, act in members.items():
            referred = self._referred(act)
            original = digest
            while original in self._enabled and self._enabled[original] in members:
                # It stands where the corrected fact stood, so what it had seen itself does not put it behind.
                original = self._enabled[original]
                if original == digest:
                    break
            if original != digest:
                referred = self._referred(members[original]) | self._named(act)
            edges: set[bytes] = set()
            for one in referred:
                here = self._in_front(act, one)
                if here is None:
                    self._wanted.add(one)
                    continue
                edges.add(here)
                if act.body_type != _CORRECTION:
                    edges.update(other for other in self._replacements(here) if other in members)
            if original != digest:
                chain = self._replacements(original)
                edges.difference_update(chain[chain.index(digest) :] if digest in chain else ())
            edges.discard(digest)
            in_front[digest] = edges
        keys = {digest: self._key(act) for digest, act in members.items()}
        ordered, self._is_cyclic = in_order(keys, in_front)
        return [members[digest] for digest in ordered]

    # The fold -----------------------------------------------------------------------------------------------------

    def _new_state(self) -> S:
        state = self._rules.new_state()
        for digest, replacement in self._superseded.items():
            if replacement is None:
                state.retracted.add(digest)
            else:
                state.replaced_by[digest] = replacement
        return state

    def _note_revision(self, act: Act) -> frozenset[bytes]:
        """Takes in a re-judgement: it has no place in the order, and whoever has seen it has seen what caused it."""
        if isinstance(act.body, JudgementsRevised) and act.body.caused_by:
            self._stands_for[act.digest] = act.body.caused_by
        self._acts[act.digest] = act
        self._judged[act.digest] = _RECORDED
        return self.fold_again() if act.digest in self._wanted else frozenset()

    def _place_last(self, act: Act) -> None:
        refused = refused_by_act(act)
        if refused:
            self._stands_for.setdefault(refused, act.digest)
        for digest in self._referred(act):
            if self._here(digest) is None:
                self._wanted.add(digest)
        self._place(act)

    def _place(self, act: Act) -> None:
        """Judges the act against the state in front of it and lets it have its effect."""
        digest = act.digest
        self._position[digest] = len(self._order)
        self._order.append(act)
        key = self._key(act)
        if self._last_key is None or key > self._last_key:
            self._last_key = key
        judged = self._judge(act)
        self._judged[digest] = judged
        state = self._state
        state.placed[digest] = act
        if act.joins is not None:
            if judged.status is Status.RECORDED:
                state.cosigners.setdefault(act.joins, []).append(
                    CoSigner(act.signer, act.site, act.role, act.signed_at, digest)
                )
                joined = self._acts.get(act.joins)
                if joined is not None and self._completing(joined) == digest:
                    self._rules.evolve(state, joined, self._judged[joined.digest])
        elif (
            digest not in self._superseded
            and judged.status
            in (
                Status.CONFORMING,
                Status.NONCONFORMING,
                Status.IN_EFFECT,
            )
            and self._completing(act) is None
        ):
            self._rules.evolve(state, act, judged)

    def _completing(self, act: Act) -> bytes | None:
        """Returns the co-signature with which an authorisation took effect; None if that was its own entry."""
        if not act.is_authorisation or act.in_effect_at is None or act.in_effect_at == act.leaf_index:
            return None
        for joined in self._joined_by.get(act.digest, ()):
            if self._acts[joined].leaf_index == act.in_effect_at:
                return joined
        return None

    def _judge(self, act: Act) -> Judged:
        recorded = self._recorded.get(act.digest)
        if recorded is not None:
            if act.is_authorisation and act.in_effect_at is not None:
                return Judged(Status.IN_EFFECT, recorded.findings)  # Its entry may still say PENDING.
            return recorded
        if act.digest in self._superseded:
            code = "RETRACTED" if self._superseded[act.digest] is None else "SUPERSEDED"
            return Judged(Status.RECORDED, merged((*act.entry_findings, Finding(code))))
        if act.is_authorisation:
            status = Status.PENDING if act.in_effect_at is None else Status.IN_EFFECT
            return Judged(status, merged(act.entry_findings))
        if act.joins is not None:
            # It joins what is there, whether or not that waits itself: the log says so once, and never again.
            if self._here(act.joins) is None:
                return Judged(Status.AWAITING, merged((*act.entry_findings, Finding("PREDECESSOR_MISSING"))))
            return Judged(Status.RECORDED, merged(act.entry_findings))
        missing = self._missing(act)
        found: tuple[Finding, ...] = self._rules.check(self._state, act)
        waiting = tuple(one for one in found if rule_of(one.code).strength is Strength.AWAITING)
        if missing is not None and not waiting:
            waiting = (missing,)
        if waiting:
            return Judged(Status.AWAITING, merged((*act.entry_findings, *waiting)))
        if self._superseded and not self._state.retracted.isdisjoint(self._rules.names(act)):
            found = (*found, Finding("NAMES_RETRACTED"))
        if not found and not act.entry_findings:
            return _CONFORMING
        findings = merged((*act.entry_findings, *found))
        return Judged(status_of(findings), findings)

    def _missing(self, act: Act) -> Finding | None:
        """Returns why the act must wait, or None if all that it rests on is here."""
        replaces = replaced_by_act(act)
        if replaces and act.digest not in self._enabled:
            return Finding("CORRECTION_MISSING")
        for digest in self._named(act):
            here = self._here(digest)
            if here is None:
                return Finding("PREDECESSOR_MISSING")
            if here == replaces:
                continue
            predecessor = self._judged.get(here)
            if predecessor is None or predecessor.status is Status.AWAITING:
                return Finding("PREDECESSOR_MISSING")
        for stream, digest in act.seen:
            if stream == act.stream and digest not in self._acts and self._here(digest) is None:
                return Finding("SEEN_MISSING")
        return None


_CONFORMING = Judged(Status.CONFORMING)
