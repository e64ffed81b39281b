"""A stream of checkpoints, the plainest facts there are, whose places tell the order in which they had effect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Finding, Judged
from cellcustody.ledger.custody.fold import Fold, FoldState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

STREAM = b"\x02" + bytes(16)
OTHER_STREAM = b"\x01" + bytes(16)


@dataclass(slots=True)
class Trail(FoldState):
    """The places in the order in which they had effect, and how often the rules were asked."""

    places: list[str] = field(default_factory=list)


class TrailRules:
    """A checkpoint named `loop` is nonconforming behind another loop; a refusal names a statement."""

    def __init__(self) -> None:
        self.checked = 0

    def new_state(self) -> Trail:
        return Trail(places=[])

    def opens(self, act: Act) -> bool:
        return isinstance(act.body, transport.ConsignmentOpened)

    def names(self, act: Act) -> frozenset[bytes]:
        return frozenset((act.body.release,)) if isinstance(act.body, transport.CustodyRefused) else frozenset()

    def check(self, state: Trail, act: Act) -> tuple[Finding, ...]:
        self.checked += 1
        if isinstance(act.body, transport.TransitCheckpointPassed) and act.body.place == "loop" in state.places:
            return (Finding("EXCURSION"),)
        return ()

    def evolve(self, state: Trail, act: Act, judged: Judged) -> None:
        match act.body:
            case transport.TransitCheckpointPassed() as body:
                state.places.append(body.place)
            case transport.CustodyRefused():
                state.places.append("refused")
            case transport.CustodyEstablished():
                state.places.append("established")
            case _:
                pass


def told(
    body: Message | None,
    minute: int,
    *,
    seen: Act | bytes | None = None,
    stream: bytes = STREAM,
    joins: Act | None = None,
    is_authorisation: bool = False,
    in_effect_at: int | None = None,
    signer: bytes = bytes(16),
) -> Act:
    """Returns an act at a minute; its digest is that of its content."""
    content = b"" if body is None else body.SerializeToString(deterministic=True)
    last = seen.digest if isinstance(seen, Act) else seen
    kind = "" if body is None else body.DESCRIPTOR.full_name
    return Act(
        digest=hashlib.sha256(kind.encode() + content + signer + bytes((minute,)) + (last or b"")).digest(),
        stream=stream,
        leaf_index=minute,
        body_type=kind,
        body=body,
        signer=signer,
        site=bytes(16),
        role="driver",
        occurred_start=minute * 60_000_000,
        occurred_end=None,
        signed_at=minute * 60_000_000,
        seen=() if last is None else ((stream, last),),
        joins=None if joins is None else joins.digest,
        is_authorisation=is_authorisation,
        in_effect_at=in_effect_at,
    )


class Trails:
    """Makes the acts of a trail."""

    def __init__(self) -> None:
        self.rules = TrailRules()
        self.fold = Fold(self.rules)

    def passes(
        self, place: str, minute: int, *, seen: Act | bytes | None = None, replaces: bytes = b"", refused: bytes = b""
    ) -> Act:
        """A checkpoint is passed."""
        body = transport.TransitCheckpointPassed(place=place, replaces=replaces)
        if refused:
            body.circumstances.CopyFrom(common.Circumstances(refused_digest=refused))
        return told(body, minute, seen=seen)

    def refuses(self, release: bytes, minute: int) -> Act:
        """Something that names a statement."""
        return told(transport.CustodyRefused(release=release), minute)

    def opens(self, minute: int) -> Act:
        """The consignment is opened."""
        return told(transport.ConsignmentOpened(), minute)

    def joins(self, act: Act, minute: int, signer: bytes) -> Act:
        """A co-signature."""
        return told(None, minute, joins=act, signer=signer)

    def corrects(self, corrected: bytes, replacement: bytes, minute: int) -> Act:
        """A correction in effect."""
        body = quality.StatementCorrected(corrected=corrected, replacement=replacement)
        return told(body, minute, is_authorisation=True, in_effect_at=minute)

    def retracts(self, retracted: bytes, minute: int) -> Act:
        """A retraction in effect."""
        body = quality.StatementRetracted(retracted=retracted)
        return told(body, minute, is_authorisation=True, in_effect_at=minute)

    def establishes(self, minute: int) -> Act:
        """An authorisation that is still pending."""
        return told(transport.CustodyEstablished(), minute, is_authorisation=True)

    def revises(self, cause: Act, minute: int) -> Act:
        """The ledger's own re-judgement."""
        return told(quality.JudgementsRevised(caused_by=cause.digest), minute)

    def elsewhere(self, act: Act) -> Act:
        """The same act, in another stream."""
        return replace(act, stream=OTHER_STREAM)

    def appends(self, *acts: Act) -> list[frozenset[bytes]]:
        """Appends acts one by one; after each, folding from scratch must agree."""
        changed = []
        so_far = list(self.fold.acts.values())
        for act in acts:
            changed.append(self.fold.append(act))
            so_far.append(act)
            afresh = Fold(self.rules)
            afresh.extend(reversed(so_far))
            assert afresh.order == self.fold.order
            assert afresh.judged == self.fold.judged
            assert afresh.state == self.fold.state
        return changed

    @property
    def places(self) -> list[str]:
        """The places in the order in which they had effect."""
        return self.fold.state.places


@pytest.fixture
def trails() -> Trails:
    """A trail with nothing on it."""
    return Trails()
