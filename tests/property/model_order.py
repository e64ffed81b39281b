"""Put a history in its one order, by the rules in words: docs/rules.md, "Order" and "Corrections".

A second reading, which shares no code with the rules that it is held against.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

_REPLACES = "replaces"  # The field that every fact's body has.
CORRECTIONS = (quality.StatementCorrected, quality.StatementRetracted)


def named_by(act: Act) -> set[bytes]:
    """Returns the statements without which a fact cannot have effect: those that its body names."""
    match act.body:
        case transport.CustodyAccepted() | transport.CustodyRefused() as body:
            return {body.release}
        case transport.ReleaseWithdrawn() | transport.ReceiverRenamed() as body:
            return {body.release}
        case harvest.CollectionCompleted() as body:
            return {body.started}
        case returned.InfusionStarted() as body if body.bedside_check:
            return {body.bedside_check}
        case returned.InfusionStopped() as body if body.started:
            return {body.started}
        case quality.CoSignatureDeclined() as body:
            return {body.declined}
        case _:
            return set()


def replaces_of(act: Act) -> bytes:
    """Returns the fact that a fact is to replace; empty if none."""
    if act.body is None or _REPLACES not in act.body.DESCRIPTOR.fields_by_name:
        return b""
    replaced: object = getattr(act.body, _REPLACES)
    assert isinstance(replaced, bytes)
    return replaced


def opens(act: Act) -> bool:
    """Tells whether an act begins its stream."""
    return isinstance(act.body, harvest.TherapyEnrolled | transport.ConsignmentOpened)


def is_in_effect(act: Act, acts: Iterable[Act]) -> bool:
    """Tells whether an authorisation is in effect: at its own entry, or at that of the co-signature completing it."""
    if act.in_effect_at is None or act.in_effect_at == act.leaf_index:
        return act.in_effect_at is not None
    return any(one.joins == act.digest and one.leaf_index == act.in_effect_at for one in acts)


@dataclass(slots=True)
class Corrections:
    """What corrections and retractions in effect do: the first word on each fact, by their leaves."""

    replaced: dict[bytes, bytes] = field(default_factory=dict)
    retracted: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, acts: Iterable[Act]) -> Corrections:
        """Reads the corrections of a history."""
        found = cls()
        everything = list(acts)
        words = [one for one in everything if isinstance(one.body, CORRECTIONS) and is_in_effect(one, everything)]
        for act in sorted(words, key=lambda one: (one.in_effect_at or 0, one.digest)):
            match act.body:
                case quality.StatementCorrected() as body if not found.is_gone(body.corrected):
                    found.replaced[body.corrected] = body.replacement
                case quality.StatementRetracted() as body if not found.is_gone(body.retracted):
                    found.retracted.add(body.retracted)
                case _:
                    pass
        return found

    def is_gone(self, digest: bytes) -> bool:
        """Tells whether a fact was corrected or retracted."""
        return digest in self.replaced or digest in self.retracted

    def stands_for(self, digest: bytes) -> bytes:
        """Returns the last replacement of a fact, or the fact itself."""
        for _ in range(len(self.replaced)):
            if digest not in self.replaced:
                break
            digest = self.replaced[digest]
        return digest

    def first_of(self, digest: bytes) -> bytes:
        """Returns the fact in whose place a replacement stands, or the fact itself."""
        back = {new: old for old, new in self.replaced.items()}
        for _ in range(len(back)):
            if digest not in back:
                break
            digest = back[digest]
        return digest


def put_in_order(acts: Sequence[Act], corrections: Corrections) -> list[Act]:
    """Puts acts behind all that they name, join, replace or have seen; else by occurrence, then by digest."""
    here = {act.digest: act for act in acts}

    def references(act: Act) -> set[bytes]:
        found = named_by(act) | {digest for _, digest in act.seen} | {replaces_of(act)}
        if act.joins is not None:
            found.add(act.joins)
        match act.body:
            case quality.StatementCorrected() as body:
                found |= {body.corrected, body.replacement}
            case quality.StatementRetracted() as body:
                found.add(body.retracted)
            case _:
                pass
        return found

    def moment(act: Act) -> tuple[bool, int, bytes]:
        is_word = act.is_authorisation or act.joins is not None
        when = max(act.occurred_start, act.signed_at) if is_word else act.occurred_start
        return (not opens(act), when, act.digest)

    behind: dict[bytes, set[bytes]] = {}
    for act in acts:
        first = corrections.first_of(act.digest)
        found = references(act)
        if first != act.digest and first in here:
            found = references(here[first]) | named_by(act) | {replaces_of(act)}
        wanted: set[bytes] = set()
        if act.stream[0] == 2:  # A consignment knows of itself alone.
            found = {digest for digest in found if digest in here and here[digest].stream == act.stream}
        for digest in found & here.keys():
            wanted.add(digest)
            if not isinstance(act.body, quality.StatementCorrected):
                while digest in corrections.replaced and (digest := corrections.replaced[digest]) != act.digest:
                    wanted.add(digest)
        behind[act.digest] = (wanted & here.keys()) - {act.digest}
    free = [(moment(here[digest]), digest) for digest, wanted in behind.items() if not wanted]
    heapq.heapify(free)
    ordered: list[Act] = []
    while free:
        _, digest = heapq.heappop(free)
        ordered.append(here[digest])
        for other, wanted in behind.items():
            if digest in wanted:
                wanted.discard(digest)
                if not wanted:
                    heapq.heappush(free, (moment(here[other]), other))
    assert len(ordered) == len(acts), "honest digests form no cycle"
    return ordered
