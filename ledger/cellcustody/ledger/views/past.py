"""Answer what rows cannot: how it was at a time, what was known at a position, and the history itself.

The rules:

* As known at a position: the statements, links and judgements recorded below it, and nothing later.
* As it was at a time: the acts that had happened by then, by the judgements that count; what was corrected since is
  told as corrected, for this is how it was, not how it was known.
* A history stands in the order of occurrence, as people read it; at the same time, in the order of the fold. A
  corrected fact stays in it beside its replacement and names the correction. The ledger's own re-judgements are no
  occurrences; their outcome stands in the judgement of each item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.views.folding import cited_consignments, fold_therapy
from cellcustody.ledger.views.follower import Packs
from cellcustody.ledger.views.pinned import pinned_digest
from cellcustody.ledger.views.reading import LedgerSource, Told, latest_judgements, read_told
from cellcustody.v1 import custody_query_service_pb2, quality_pb2

__all__ = ["Tell", "TherapyPast"]

Tell = Callable[[Told, JudgedEntry], custody_query_service_pb2.HistoryItem]
"""Tells a statement with the judgement that counts, as far as somebody may read it."""


class TherapyPast:
    """One therapy as it was known at a position (tree size), with the consignments it cites."""

    def __init__(self, source: LedgerSource, packs: Packs, stream: bytes, position: int) -> None:
        self.stream = stream
        self.told = read_told(source, stream, position)
        self.consignments: dict[bytes, list[Told]] = {
            cited: read_told(source, cited, position) for cited in sorted(cited_consignments(self.told))
        }
        self.pack = packs.of(pinned_digest(self.told))
        self._pack_of = packs.of

    def case(self, at: int | None = None) -> TherapyCase:
        """Returns the therapy folded: as it was at a time (microseconds), or as it is."""
        return fold_therapy(self.stream, self.told, self.consignments, self.pack, at=at, pack_of=self._pack_of)

    def items(self, case: TherapyCase, tell: Tell) -> list[custody_query_service_pb2.HistoryItem]:
        """Returns the history in the order of occurrence."""
        told = {one.act.digest: one for one in self.told}
        latest = latest_judgements(self.told)
        for carried in self.consignments.values():
            told.update((one.act.digest, one) for one in carried)
            latest.update(latest_judgements(carried))
        corrected_by = _corrections(case.order)
        items = []
        for act in sorted(case.order, key=lambda act: act.occurred_start):
            item = tell(told[act.digest], latest[act.digest])
            item.superseded_by = corrected_by.get(act.digest, b"")
            items.append(item)
        return items


def _corrections(acts: Sequence[Act]) -> dict[bytes, bytes]:
    """Returns which statement corrected or retracted each; the first in effect counts."""
    found: dict[bytes, bytes] = {}
    for act in sorted(acts, key=lambda act: (act.in_effect_at or 0, act.digest)):
        if act.in_effect_at is None:
            continue
        if isinstance(act.body, quality_pb2.StatementCorrected):
            found.setdefault(act.body.corrected, act.digest)
        elif isinstance(act.body, quality_pb2.StatementRetracted):
            found.setdefault(act.body.retracted, act.digest)
    return found
