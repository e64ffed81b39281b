"""Everything recorded of one stream, folded once, for questions that rows do not answer.

The rules:

* A therapy's account has the consignments that it cites; any other stream's has itself alone.
* An account is never changed after it was made, so that many readers may share it. It is kept as long as nothing was
  recorded in its streams since; what is kept is bounded by statements.
* As known at an earlier position, an account is made anew and kept for nobody.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.fold_state import FoldState
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views.folding import StreamView, cited_consignments, fold_consignment, fold_therapy
from cellcustody.ledger.views.follower import Packs
from cellcustody.ledger.views.gaps import custody_gaps
from cellcustody.ledger.views.pinned import pinned_digest
from cellcustody.ledger.views.reading import LedgerSource, Told, latest_judgements, read_told
from cellcustody.v1 import custody_query_service_pb2

__all__ = ["Account", "Accounts"]

KEPT_STATEMENTS_MAX: Final = 4_000  # Some ten megabytes; forty therapies of ordinary length.


@dataclass(frozen=True, slots=True)
class Account:
    """One stream as told; `told` and `latest` are by digest, with those of the consignments that a therapy cites."""

    stream: bytes
    heads: tuple[tuple[bytes, int], ...]
    told: Mapping[bytes, Told]
    latest: Mapping[bytes, JudgedEntry]
    state: FoldState
    consignments: Mapping[bytes, ConsignmentState]
    pack: PolicyPack
    case: TherapyCase | None
    _gaps: list[tuple[custody_query_service_pb2.CustodyGap, ...]] = field(default_factory=list)

    def gaps(self) -> tuple[custody_query_service_pb2.CustodyGap, ...]:
        """Returns the gaps in a therapy's custody, found once; to find them, it is folded with somebody looking."""
        if self.case is None:
            return ()
        if not self._gaps:
            self._gaps.append(tuple(custody_gaps(self.case)))
        return self._gaps[0]

    @property
    def therapy(self) -> TherapyState | None:
        """The therapy's state, or None for another stream."""
        return self.state if isinstance(self.state, TherapyState) else None

    def own(self) -> Iterator[Told]:
        """Yields the stream's own statements in order of occurrence."""
        yield from self.in_time(alone=True)

    def in_time(self, *, alone: bool = False) -> Iterator[Told]:
        """Yields all statements, or the stream's own, in order of occurrence."""
        for one in sorted(self.told.values(), key=lambda each: each.act.sort_key):
            if not alone or one.act.stream == self.stream:
                yield one

    def standing(self, *, alone: bool = False) -> Iterator[Told]:
        """Yields the statements that stand: not corrected, not taken back, and in effect if they permit something."""
        for one in self.in_time(alone=alone):
            act = one.act
            if act.digest in self.state.retracted or act.digest in self.state.replaced_by:
                continue
            if act.is_authorisation and act.in_effect_at is None:
                continue
            yield one

    def co_signatures(self, digest: bytes) -> list[Told]:
        """Returns who joined a statement, in order of signing."""
        joined = [one for one in self.told.values() if one.act.joins == digest]
        return sorted(joined, key=lambda one: (one.act.signed_at, one.act.digest))


class Accounts:
    """Makes accounts and keeps those asked for last. Any thread may ask."""

    def __init__(self, source: LedgerSource, packs: Packs, *, kept_statements_max: int = KEPT_STATEMENTS_MAX) -> None:
        self._source = source
        self._packs = packs
        self._max = kept_statements_max
        self._kept: OrderedDict[bytes, Account] = OrderedDict()
        self._statements = 0
        self._lock = threading.Lock()

    def of(self, stream: bytes, position: int) -> Account:
        """Returns the account of a stream as recorded below `position`."""
        with self._lock:
            kept = self._kept.get(stream)
        if kept is not None and all(self._is_head(one, leaf, position) for one, leaf in kept.heads):
            with self._lock:
                if stream in self._kept:
                    self._kept.move_to_end(stream)
            return kept
        made = self._make(stream, position)
        if all(self._is_head(one, leaf, position) for one, leaf in made.heads):
            self._keep(made)
        return made

    def _is_head(self, stream: bytes, leaf_index: int, position: int) -> bool:
        head = self._source.store.stream_head(stream)
        return head is not None and head.leaf_index == leaf_index < position

    def _keep(self, made: Account) -> None:
        with self._lock:
            before = self._kept.pop(made.stream, None)
            self._statements += len(made.told) - (0 if before is None else len(before.told))
            self._kept[made.stream] = made
            while self._statements > self._max and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                self._statements -= len(gone.told)

    def _make(self, stream: bytes, position: int) -> Account:
        own = read_told(self._source, stream, position)
        told = {one.act.digest: one for one in own}
        latest = latest_judgements(own)
        heads = [(stream, _last(own))]
        match StreamKind(stream[0]):
            case StreamKind.THERAPY:
                carried = {cited: read_told(self._source, cited, position) for cited in sorted(cited_consignments(own))}
                for cited, statements in carried.items():
                    told.update((one.act.digest, one) for one in statements)
                    latest.update(latest_judgements(statements))
                    heads.append((cited, _last(statements)))
                pack = self._pack(own)
                case = fold_therapy(stream, own, carried, pack)
                state = case.state
                return Account(stream, tuple(heads), told, latest, state, dict(state.consignments), pack, case)
            case StreamKind.CONSIGNMENT:
                fold = fold_consignment(stream, own)
                alone = {stream: fold.state}
                return Account(stream, tuple(heads), told, latest, fold.state, alone, DEFAULT_PACK, None)
            case _:
                folded = StreamView(stream, own).alone()
                return Account(stream, tuple(heads), told, latest, folded, {}, DEFAULT_PACK, None)

    def _pack(self, told: list[Told]) -> PolicyPack:
        return self._packs.of(pinned_digest(told))


def _last(told: list[Told]) -> int:
    return max((one.act.leaf_index for one in told), default=-1)
