"""What every folded state carries, and what the fold itself reads from a body.

The rules:

* A hold's id names one finding of one statement for good: once lifted it does not stand again, whatever the order.
* A corrected fact leads to its replacement, and that to its own, so that what names the first finds the last.
* Who joined a statement is a person other than its signer; the same person twice is one person.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.values import value
from cellcustody.v1.common_pb2 import Circumstances

__all__ = ["CoSigner", "FoldState", "Override", "refused_by_act", "replaced_by_act"]


@value(frozen=True, slots=True)
class CoSigner:
    """A person who joined a statement; `signed_at` in microseconds since 1970-01-01T00:00:00Z."""

    person: bytes
    site: bytes
    role: str
    signed_at: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Override:
    """A gate that may be passed until `valid_until` (microseconds); empty scopes mean the whole stream."""

    gate: str
    digest: bytes
    valid_until: int
    ids: frozenset[bytes] = frozenset()
    containers: frozenset[str] = frozenset()


@dataclass(slots=True)
class FoldState:
    """What every folded state carries; the fold itself keeps all but the holds, `lifted` and `overrides`.

    `placed` holds every act that stands in front, with effect or without; `replaced_by` leads from a corrected fact
    to its replacement; `retracted` are facts taken back. `declines` are those who would not join a statement,
    `deviations_closed` leads from a DeviationRaised to what closed it, `complaints` are the numbers of complaints.
    """

    holds: dict[bytes, Hold] = field(default_factory=dict)
    lifted: dict[bytes, bytes] = field(default_factory=dict)
    overrides: list[Override] = field(default_factory=list)
    cosigners: dict[bytes, list[CoSigner]] = field(default_factory=dict)
    placed: dict[bytes, Act] = field(default_factory=dict)
    replaced_by: dict[bytes, bytes] = field(default_factory=dict)
    retracted: set[bytes] = field(default_factory=set)
    declines: dict[bytes, list[CoSigner]] = field(default_factory=dict)
    deviations_closed: dict[bytes, bytes] = field(default_factory=dict)
    complaints: dict[bytes, str] = field(default_factory=dict)

    def current(self, digest: bytes) -> bytes:
        """Returns the digest of the fact that stands in the place of `digest`; itself unless it was corrected."""
        for _ in range(len(self.replaced_by)):
            following = self.replaced_by.get(digest)
            if following is None:
                break
            digest = following
        return digest

    def open_hold(self, hold: Hold) -> None:
        """Lets a hold stand, unless it has been lifted: an id names one finding of one statement for good."""
        if hold.hold not in self.lifted:
            self.holds[hold.hold] = hold

    def lift_hold(self, hold: bytes, by: bytes) -> None:
        """Lifts a hold for good."""
        self.lifted[hold] = by
        self.holds.pop(hold, None)

    def others_who_signed(self, act: Act, *, within: int | None = None) -> tuple[CoSigner, ...]:
        """Returns the persons other than the signer who joined `act`, at most `within` microseconds apart."""
        return tuple(
            one
            for one in self.cosigners.get(act.digest, ())
            if one.person != act.signer and (within is None or abs(one.signed_at - act.signed_at) <= within)
        )


# Body types whose message has these fields; asked once for each type.
_HAS_REPLACES: dict[str, bool] = {}
_HAS_CIRCUMSTANCES: dict[str, bool] = {}


def replaced_by_act(act: Act) -> bytes:
    """Returns the digest of the fact that this one is to replace; empty if none."""
    body = act.body
    if body is None:
        return b""
    has = _HAS_REPLACES.get(act.body_type)
    if has is None:
        has = _HAS_REPLACES[act.body_type] = "replaces" in body.DESCRIPTOR.fields_by_name
    if not has:
        return b""
    named: object = getattr(body, "replaces")  # noqa: B009 - every body that has the field has it under this name
    return named if isinstance(named, bytes) else b""


def refused_by_act(act: Act) -> bytes:
    """Returns the digest of the refused statement that this one enters anew; empty if none."""
    body = act.body
    if body is None:
        return b""
    has = _HAS_CIRCUMSTANCES.get(act.body_type)
    if has is None:
        has = _HAS_CIRCUMSTANCES[act.body_type] = "circumstances" in body.DESCRIPTOR.fields_by_name
    if not has or not body.HasField("circumstances"):
        return b""
    circumstances: object = getattr(body, "circumstances")  # noqa: B009 - as above
    return circumstances.refused_digest if isinstance(circumstances, Circumstances) else b""
