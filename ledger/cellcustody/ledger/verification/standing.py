"""Put what times and algorithms show beside each statement, and on the lines of the report.

The rules:

* TIME passes for as many statements as are bounded from above; without evidence that is believed it is UNVERIFIED.
* A statement whose claims contradict the bounds is SUSPECT in its time: named, and no broken link.
* A statement that rests on what is held broken alone is INVALID: the verification fails, after everything else was
  looked at, and the report tells which statements stand and which do not.
* What was signed by a broken algorithm and is needed by nothing else, manifest and cosignatures, is UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from cellcustody.ledger.registry import Anchor, RegistryState
from cellcustody.ledger.verification.algorithm_judging import broken_algorithms, rests_on_what_is_broken
from cellcustody.ledger.verification.errors import AlgorithmBrokenError
from cellcustody.ledger.verification.report import (
    Check,
    CheckLine,
    KeyFinding,
    Outcome,
    Report,
    Result,
    StatementVerdict,
    TimeFinding,
)
from cellcustody.ledger.verification.standpoint import Standpoint
from cellcustody.ledger.verification.statements import CheckedStatement
from cellcustody.ledger.verification.time_bounds import TimeBounds, VerifiedTimes

__all__ = ["Standing", "fail_on_broken", "stand_statements", "tell_broken", "tell_times", "with_standing"]


class Standing(NamedTuple):
    """When a statement was there, and why it does not stand (empty where it does)."""

    bounds: TimeBounds
    broken: str


class Lines(Protocol):
    """The lines of a report as they come to be known."""

    def told(self, check: Check, count: int, note: str, none: str) -> None:
        """Notes a check that passed for `count` things; of none, that nothing was shown."""
        ...

    def unverified(self, check: Check, note: str) -> None:
        """Notes a check that was not made."""
        ...


def stand_statements(
    statements: Sequence[CheckedStatement], registry: RegistryState, times: VerifiedTimes, standpoint: Standpoint
) -> Mapping[int, Standing]:
    """Returns how each statement stands, by leaf index."""
    judges = bool(standpoint.algorithms.broken)
    standing: dict[int, Standing] = {}
    for one in statements:
        bounds = times.bounds(one.leaf_index, signed_at=one.signed_at, recorded_at=one.recorded_at)
        broken = ""
        if judges:
            keys = [registry.public_key(key_id) for key_id in one.key_ids]
            algorithms = [key.algorithm for key in keys if key is not None]
            broken = rests_on_what_is_broken(one.leaf_index, algorithms, times, standpoint)
        standing[one.leaf_index] = Standing(bounds, broken)
    return standing


def tell_times(times: VerifiedTimes, standing: Mapping[int, Standing], lines: Lines) -> None:
    """Notes the line of TIME."""
    bounded = sum(one.bounds.not_after is not None for one in standing.values())
    notes: list[str] = []
    if bounded < len(standing):
        notes.append(f"{len(standing) - bounded} later than all evidence")
    suspect = sum(one.bounds.finding is TimeFinding.SUSPECT for one in standing.values())
    if suspect:
        notes.append(f"{suspect} claim a time that is disproven")
    if times.disagreeing:
        notes.append(f"authorities disagree on {len(times.disagreeing)} items")
    if times.unknown_tokens:
        notes.append(f"{times.unknown_tokens} tokens are by nobody in the anchor")
    renewed = sum(held.is_renewed for held in times.held.values())
    if renewed:
        notes.append(f"{renewed} items hold by renewal")
    if not times.has_authorities and times.witnessed_at is None:
        why = "the anchor names no time authority: times are the signers' and the ledger's own words"
    else:
        why = "no time evidence that holds: times are the signers' and the ledger's own words"
    lines.told(Check.TIME, bounded, "; ".join(notes), why)


def tell_broken(
    registry: RegistryState,
    size: int,
    anchor: Anchor | None,
    times: VerifiedTimes,
    standpoint: Standpoint,
    lines: Lines,
) -> None:
    """Notes what is not verified any more because its algorithm is held broken."""
    service_key_id = registry.as_of(size).service_key_id
    key = None if service_key_id is None else registry.public_key(service_key_id)
    if key is not None and broken_algorithms([key.algorithm], standpoint):
        lines.unverified(Check.MANIFEST, "its signature is of an algorithm held broken, and nothing shows its age")
    asks = anchor is not None and bool(anchor.witness_policy)
    policy = standpoint.algorithms
    if asks and times.witnessed_at is None and (policy.is_broken("ed25519") or policy.is_broken("ml-dsa-44")):
        lines.unverified(Check.WITNESSES, "too few cosignatures are of algorithms that are not held broken")


def with_standing(verdict: StatementVerdict, standing: Mapping[int, Standing]) -> StatementVerdict:
    """Returns a verdict with what times and algorithms show of the statement."""
    bounds, broken = standing[verdict.leaf_index]
    return verdict._replace(
        time=bounds.finding,
        not_before=bounds.not_before,
        not_after=bounds.not_after,
        remarks=(*bounds.contradictions, broken) if broken else bounds.contradictions,
        key=KeyFinding.INVALID if broken else verdict.key,
    )


def fail_on_broken(report: Report) -> None:
    """Returns if every statement stands.

    Raises:
        AlgorithmBrokenError: some rest on what is held broken; its report holds every verdict.
    """
    invalid = report.invalid
    if not invalid:
        return
    error = AlgorithmBrokenError(
        "statements rest on algorithms that are held broken",
        invalid=len(invalid),
        of=len(report.statements),
        first_leaf_index=invalid[0].leaf_index,
        why=invalid[0].remarks[-1],
    )
    failed = CheckLine(error.check, Result.FAILED, 0, str(error))
    checks = tuple(failed if line.check is error.check else line for line in report.checks)
    error.report = replace(report, outcome=Outcome.BROKEN, checks=checks)
    raise error
