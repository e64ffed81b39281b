"""List what went another way than the rules: overrides, what passed by them, emergencies, nonconforming facts.

The rules:

* An override is listed with its gate, reason and the acts that passed by it; one that nothing passed is listed too.
* Every statement signed under an emergency credential is listed, whatever else it was.
* Every nonconforming fact is listed with its findings; one that was corrected or retracted no longer is.
* A deviation and a complaint are no exceptions of the rules; they are asked for by themselves.

Pure: a function of acts and the judgements that count. Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.findings import is_blocking
from cellcustody.ledger.registry.records import EmergencyGrant
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["EmergencyUse", "Exceptional", "Kind", "emergency_use", "exceptional_acts"]

_WHOLE_GRANT_SECONDS = 86_400  # No grant lasts longer.


class Kind(StrEnum):
    """Why something is listed."""

    OVERRIDE = "override"
    OVERRIDDEN = "overridden"
    EMERGENCY = "emergency"
    NONCONFORMING = "nonconforming"


@dataclass(frozen=True, slots=True)
class Exceptional:
    """One statement that went another way; `gate` and `reason` are those of an override."""

    kind: Kind
    digest: bytes
    stream: bytes
    body_type: str
    site: bytes
    signer: bytes
    role: str
    at: int
    signed_at: int
    codes: tuple[str, ...]
    gate: str = ""
    reason: str = ""


def exceptional_acts(acts: Sequence[Act], judged: Mapping[bytes, Judged]) -> Iterator[Exceptional]:
    """Yields what is exceptional among the acts, in their order; an act may be listed for several reasons."""
    for act in acts:
        judgement = judged.get(act.digest)
        if judgement is None:
            continue
        codes = tuple(one.code for one in judgement.findings)
        if isinstance(act.body, quality.GateOverridden) and judgement.status is Status.IN_EFFECT:
            yield _listed(Kind.OVERRIDE, act, codes, act.body.gate, act.body.circumstances.reason)
        if "GATE_OVERRIDDEN" in codes:
            yield _listed(Kind.OVERRIDDEN, act, codes)
        if "EMERGENCY_CREDENTIAL" in codes:
            yield _listed(Kind.EMERGENCY, act, codes)
        if judgement.status is Status.NONCONFORMING:
            yield _listed(Kind.NONCONFORMING, act, tuple(code for code in codes if is_blocking(code)))


def _listed(kind: Kind, act: Act, codes: tuple[str, ...], gate: str = "", reason: str = "") -> Exceptional:
    return Exceptional(
        kind,
        act.digest,
        act.stream,
        act.body_type,
        act.site,
        act.signer,
        act.role,
        act.occurred_start,
        act.signed_at,
        codes,
        gate,
        reason,
    )


@dataclass(frozen=True, slots=True)
class EmergencyUse:
    """An emergency credential with what was signed under it; `reviewed_by` is the review, empty while it is due."""

    grant: EmergencyGrant
    statements: tuple[bytes, ...]
    reviewed_by: bytes

    @property
    def is_to_review(self) -> bool:
        """Tells whether it was used, and nobody has reviewed that."""
        return bool(self.statements) and not self.reviewed_by


def emergency_use(
    grants: Sequence[EmergencyGrant], listed: Sequence[Exceptional], reviews: Mapping[bytes, bytes]
) -> tuple[EmergencyUse, ...]:
    """Returns each credential of a site with the statements signed under it; `reviews` are the site's, by grant.

    `listed` are exceptional acts of any streams; those of kind EMERGENCY by the person in one of its roles count.
    """
    return tuple(
        EmergencyUse(
            grant,
            tuple(
                one.digest
                for one in listed
                if one.kind is Kind.EMERGENCY
                and one.signer == grant.person
                and grant.covers(one.role, one.signed_at, _WHOLE_GRANT_SECONDS)
            ),
            reviews.get(grant.digest, b""),
        )
        for grant in grants
    )
