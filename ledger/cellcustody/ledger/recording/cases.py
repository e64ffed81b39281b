"""Keep the folded streams that are being written to, and let one stream's news reach those that rest on it.

The rules:

* The writer's thread alone owns the cases. A case is read from the store when it is first needed and kept while there
  is room; what it was told since the last commit is not in the store yet, so that such a case is never let go before.
* What a group that failed had told is forgotten by dropping its cases.
* What an arrival changes is told by cases that were there before it, so all that rest on it are read first.
* A therapy is judged under the pack that its enrolment in effect pins it to, and under the default before that.
* A consignment folds alone. A therapy folds jointly with the consignments it cites; when one of them moves on, the
  therapies linked to it are told. Links of the group being made count like those in the store.
* Of the therapies whose steps were near in a process area, only those that shared it are told. What others used is
  taken from their statements alone, for to fold them would need their own references first. A correction or a
  retraction that takes a step away tells those that had shared the area with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.equipment import EquipmentRules
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.ledger.custody.lots import LotRules
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.process_areas import AREA_PREFIX, AreaUse, area_use, area_uses, meeting_keys
from cellcustody.ledger.custody.references import (
    ConsignmentHistory,
    References,
    creates_key,
    names_key,
    reference_keys,
)
from cellcustody.ledger.custody.sites import SiteRules
from cellcustody.ledger.recording.replaying import read_stream
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.store import LedgerStore, Vault
from cellcustody.v1 import harvest_pb2, quality_pb2

__all__ = ["Case", "Cases"]

S = TypeVar("S", bound=FoldState)

_STREAM_BYTES: Final = 17
_LINKED: Final = frozenset({StreamKind.THERAPY, StreamKind.EQUIPMENT})
AREAS_KEPT_MAX: Final = 20_000  # A therapy's uses of process areas are some hundred bytes each.
CASES_KEPT_MAX: Final = 2_000  # A case of 120 acts is about half a megabyte of Python objects at most.


class Case(Protocol):
    """A folded stream, whatever its kind."""

    @property
    def state(self) -> FoldState: ...
    @property
    def acts(self) -> Mapping[bytes, Act]: ...
    @property
    def judged(self) -> Mapping[bytes, Judged]: ...
    def append(self, act: Act) -> frozenset[bytes]: ...
    def mark_in_effect(self, digest: bytes, leaf_index: int) -> frozenset[bytes]: ...


class Cases:
    """The folded streams of one writer."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        registry: RegistryState,
        pack_of: Callable[[bytes], PolicyPack | None],
        *,
        kept_max: int = CASES_KEPT_MAX,
    ) -> None:
        self._store = store
        self._vault = vault
        self._registry = registry
        self._pack_of = pack_of
        self._kept_max = kept_max
        self._cases: OrderedDict[bytes, Case] = OrderedDict()
        self._touched: set[bytes] = set()
        self._links: dict[bytes, set[bytes]] = {}
        self._areas: OrderedDict[bytes, tuple[AreaUse, ...]] = OrderedDict()
        self._left: set[AreaUse] = set()  # Uses that what is being taken in may take away.
        self._resting: tuple[bytes, list[bytes]] = (b"", [])  # Of the act whose links were taken last.

    def case(self, stream: bytes) -> Case:
        """Returns the case of a stream that is folded, read from the store if need be."""
        found = self._cases.get(stream)
        if found is None:
            found = self._load(stream)
            self._cases[stream] = found
        else:
            self._cases.move_to_end(stream)
        return found

    def therapy(self, stream: bytes) -> TherapyCase:
        """Returns the case of a therapy."""
        found = self.case(stream)
        if not isinstance(found, TherapyCase):
            raise TypeError("the stream is no therapy")
        return found

    def revised_at(self, stream: bytes) -> dict[bytes, int]:
        """Returns the leaf of the latest re-judgement of each fact that a case knows of as judged again."""
        revised: dict[bytes, int] = {}
        for act in self.case(stream).acts.values():
            if isinstance(act.body, quality_pb2.JudgementsRevised):
                for one in act.body.judgements:
                    revised[one.statement_digest] = max(act.leaf_index, revised.get(one.statement_digest, 0))
        return revised

    def touch(self, stream: bytes) -> None:
        """Tells that the case holds what is not in the store yet."""
        self._touched.add(stream)

    def linked(self, key: bytes) -> frozenset[bytes]:
        """Returns the streams linked to a key, those of the group being made among them."""
        recorded = self._store.linked(key)
        pending = self._links.get(key)
        return frozenset(recorded) if pending is None else frozenset((*recorded, *pending))

    def take_links(self, act: Act) -> frozenset[bytes]:
        """Returns the keys that an act links its stream to, after noting them for the group being made.

        To be called before the act comes into its case: the cases that rest on it are read as they were without it.
        """
        keys = reference_keys(act) if act.stream[0] in _LINKED else frozenset()
        self._resting = (act.digest, self._resting_on(act, keys))
        for stream in self._resting[1]:
            self.case(stream)
        for key in keys:
            self._links.setdefault(key, set()).add(act.stream)
        if any(key[:1] == AREA_PREFIX for key in keys):
            self._forget_areas(act.stream)
        return keys

    def append(
        self, act: Act, links: frozenset[bytes], replacing: Mapping[bytes, Act] | None = None
    ) -> frozenset[bytes]:
        """Takes an act into its case; returns the digests of the earlier facts of its stream that change with it.

        `replacing` are earlier acts of a therapy by digest as they are from now on, with identifiers compared anew.
        """
        self._touched.add(act.stream)
        case = self.case(act.stream)
        if not isinstance(case, TherapyCase):
            return case.append(act)
        self._before_taking_back(act)
        references = self._references(case.references, links)
        if (use := area_use(act)) is not None and (shared := self._shared(use)) - case.references.area_uses:
            held = references or case.references
            references = replace(held, area_uses=held.area_uses | shared)
        if replacing:
            return self._fold_anew(case, references, replacing, act)
        changed = case.append(act, references=references)
        return changed | self._pinned(act) if isinstance(act.body, harvest_pb2.TherapyEnrolled) else changed

    def mark_in_effect(self, stream: bytes, digest: bytes, leaf_index: int) -> frozenset[bytes]:
        """Puts a pending authorisation in effect; returns the digests of earlier facts that change with it."""
        self._touched.add(stream)
        case = self.case(stream)
        self._before_taking_back(case.acts[digest])
        changed = case.mark_in_effect(digest, leaf_index)
        act = case.acts[digest]
        return changed | self._pinned(act) if isinstance(act.body, harvest_pb2.TherapyEnrolled) else changed

    def _pinned(self, enrolment: Act) -> frozenset[bytes]:
        """Folds a therapy anew if it has come to be pinned to another pack."""
        case = self.therapy(enrolment.stream)
        if case.enrolled_pack.digest == self._pack_for(case.acts.values()).digest:
            return frozenset()
        return self._fold_anew(case, None, {}) - {enrolment.digest}

    def _fold_anew(
        self, case: TherapyCase, references: References | None, replacing: Mapping[bytes, Act], *more: Act
    ) -> frozenset[bytes]:
        before = {digest: judged for digest, judged in case.judged.items() if case.acts[digest].stream == case.stream}
        own = [replacing.get(digest, case.acts[digest]) for digest in before]
        own.extend(more)
        anew = TherapyCase(case.stream, self._pack_for(own), own, references or case.references, pack_of=self._pack_of)
        self._cases[case.stream] = anew
        return frozenset(
            digest for digest, judged in before.items() if digest in replacing or anew.judged[digest] != judged
        )

    def spread(self, act: Act, links: frozenset[bytes], changed: dict[bytes, set[bytes]]) -> None:
        """Tells the streams that rest on what an act said, and adds what they judge otherwise now to `changed`."""
        told_of, resting = self._resting
        for stream in resting if told_of == act.digest else self._resting_on(act, links):
            therapy = self.therapy(stream)
            self._touched.add(stream)
            if act.stream[0] == StreamKind.CONSIGNMENT:
                news = therapy.consignment_advanced(act.stream, self._history(act.stream))
            else:
                held = therapy.references
                keys = frozenset(key for key in held.creators if key in links or key[1:] in {k[1:] for k in links})
                references = self._references(held, keys, anew=True) or held
                if (use := area_use(act)) is not None and any(use.shares_with(own) for own in self._uses_of(stream)):
                    references = replace(references, area_uses=references.area_uses | {use})
                news = therapy.references_changed(references)
            changed.setdefault(stream, set()).update(news)
        self._spread_areas_left(act.stream, changed)

    def retold(self, consignment: bytes) -> None:
        """Lets the therapies that cite a consignment know that something in its stream was judged again.

        Whoever read the consignment since has seen that re-judgement, and says so in an authorisation of the therapy.
        A therapy that is not at hand finds it in the log.
        """
        for stream in self.linked(consignment):
            therapy = self._cases.get(stream)
            if isinstance(therapy, TherapyCase):
                self._touched.add(stream)
                therapy.consignment_advanced(consignment, self._history(consignment))

    def _references(self, held: References, keys: Iterable[bytes], *, anew: bool = False) -> References | None:
        """Returns references with these keys looked up, or None where nothing was added to what is held."""
        consignments: dict[bytes, ConsignmentHistory] = {}
        creators: dict[bytes, frozenset[bytes]] = {}
        for key in keys:
            if key[0] == StreamKind.CONSIGNMENT and len(key) == _STREAM_BYTES:
                if key not in held.consignments:
                    consignments[key] = self._history(key)
                continue
            for asked in _asked(key):
                if anew or asked not in held.creators:
                    creators[asked] = self.linked(asked)
        if not consignments and not creators:
            return None
        return References(
            {**held.consignments, **consignments} if consignments else held.consignments,
            {**held.creators, **creators} if creators else held.creators,
            held.area_uses,
        )

    def _shared(self, use: AreaUse) -> frozenset[AreaUse]:
        """Returns the uses by other therapies of the area of `use` at its time."""
        near = {stream for key in meeting_keys(use) for stream in self.linked(key)} - {use.stream}
        return frozenset(one for stream in near for one in self._uses_of(stream) if use.shares_with(one))

    def _uses_of(self, stream: bytes) -> tuple[AreaUse, ...]:
        found = self._areas.get(stream)
        if found is None:
            case = self._cases.get(stream)
            if case is not None:
                acts: Iterable[Act] = case.acts.values()
            else:
                acts = (one.act for one in read_stream(self._store, self._vault, self._registry, stream))
            found = self._areas[stream] = area_uses(acts)
            while len(self._areas) > AREAS_KEPT_MAX:
                self._areas.popitem(last=False)
        return found

    def _before_taking_back(self, act: Act) -> None:
        """Reads the therapies that shared an area with a step that a correction or a retraction may take away."""
        match act.body:
            case quality_pb2.StatementCorrected() as body:
                digest = body.corrected
            case quality_pb2.StatementRetracted() as body:
                digest = body.retracted
            case _:
                return
        taken = self.case(act.stream).acts.get(digest)
        use = None if taken is None else area_use(taken)
        if use is not None:
            for one in self._shared(use):
                self.case(one.stream)
            self._forget_areas(act.stream)
            self._left.add(use)

    def _spread_areas_left(self, stream: bytes, changed: dict[bytes, set[bytes]]) -> None:
        for use in [use for use in self._left if use.stream == stream]:
            self._left.discard(use)
            if use in self._uses_of(stream):
                continue  # Still pending, or another step used the area just so.
            for other in {one.stream for one in self._shared(use)}:
                therapy = self.therapy(other)
                self._touched.add(other)
                held = therapy.references
                news = therapy.references_changed(replace(held, area_uses=held.area_uses - {use}))
                changed.setdefault(other, set()).update(news)

    def _forget_areas(self, stream: bytes) -> None:
        self._touched.add(stream)
        self._areas.pop(stream, None)

    def _history(self, consignment: bytes) -> ConsignmentHistory:
        found = self.case(consignment)
        if not isinstance(found, Fold):
            raise TypeError("the stream is no consignment")
        return found

    def _resting_on(self, act: Act, links: frozenset[bytes]) -> list[bytes]:
        if act.stream[0] == StreamKind.CONSIGNMENT:
            return sorted(self.linked(act.stream))
        resting: set[bytes] = set()
        for key in links:
            # Who names or creates what this stream creates, and who claims the donation number that it claims.
            if key[:1] == b"C":
                resting.update(self.linked(key), self.linked(names_key(key[1:])))
            elif key[:1] == b"D":
                resting.update(self.linked(key))
            elif key[:1] in (b"O", b"P"):
                # Whoever packed something unsealed into the container, and for an unsealed one whoever packed at all.
                resting.update(self.linked(b"O" + key[1:]))
                if key[:1] == b"O":
                    resting.update(self.linked(b"P" + key[1:]))
        if (use := area_use(act)) is not None:
            resting.update(one.stream for one in self._shared(use))
        resting.discard(act.stream)
        return sorted(resting)

    def committed(self) -> None:
        """Tells that all that was told is in the store; lets go of what has not been needed for longest."""
        self._touched.clear()
        self._links.clear()
        while len(self._cases) > self._kept_max:
            self._cases.popitem(last=False)

    def abandon(self) -> None:
        """Forgets what was told since the last commit."""
        for stream in self._touched:
            self._cases.pop(stream, None)
            self._areas.pop(stream, None)
        self._touched.clear()
        self._links.clear()
        self._left.clear()

    def _load(self, stream: bytes) -> Case:
        acts = [one.act for one in read_stream(self._store, self._vault, self._registry, stream)]
        match StreamKind(stream[0]):
            case StreamKind.THERAPY:
                return self._load_therapy(stream, acts)
            case StreamKind.CONSIGNMENT:
                return _filled(Fold(ConsignmentRules(stream)), acts)
            case StreamKind.LOT:
                return _filled(Fold(LotRules(stream)), acts)
            case StreamKind.SITE:
                return _filled(Fold(SiteRules(stream)), acts)
            case StreamKind.EQUIPMENT:
                return _filled(Fold(EquipmentRules(stream)), acts)
            case kind:
                raise TypeError(f"streams of kind {kind.name} are not folded here")

    def _load_therapy(self, stream: bytes, acts: list[Act]) -> TherapyCase:
        keys = {key for act in acts for key in reference_keys(act)}
        references = self._references(References(), keys) or References()
        shared = frozenset(one for use in area_uses(acts) for one in self._shared(use))
        return TherapyCase(
            stream, self._pack_for(acts), acts, replace(references, area_uses=shared), pack_of=self._pack_of
        )

    def _pack_for(self, acts: Iterable[Act]) -> PolicyPack:
        """Returns the pack that the enrolment in effect pins a therapy to."""
        for act in acts:
            if isinstance(act.body, harvest_pb2.TherapyEnrolled) and act.in_effect_at is not None:
                return self._pack_of(act.body.policy_digest) or DEFAULT_PACK
        return DEFAULT_PACK


def _asked(key: bytes) -> tuple[bytes, ...]:
    """Returns the keys of claims that rules look at for a stream with this link."""
    match key[:1]:
        case b"C" | b"D":
            return (key,)
        case b"N":
            return (creates_key(key[1:]),)
        case b"O":
            return (key, b"P" + key[1:])
        case b"P":
            return (b"O" + key[1:],)  # Sealed beside sealed is nobody's news.
        case _:
            return ()


def _filled(fold: Fold[S], acts: list[Act]) -> Fold[S]:
    if acts:
        fold.extend(acts)
    return fold
