"""Let gates pass that an authorisation has overridden beforehand.

The rules:

* An override names one gate, a scope and a time; it serves acts that stand behind it and occur until then.
* A hard gate has no override: such an authorisation is refused, and one that were here would change nothing.
* A gate let pass leaves the advisory GATE_OVERRIDDEN with the same leaves, so that the override stays in sight.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.findings import Strength, merged, rule_of
from cellcustody.ledger.custody.fold import Override

__all__ = ["let_pass"]


def let_pass(
    findings: tuple[Finding, ...],
    overrides: Iterable[Override],
    occurred_at: int,
    *,
    ids: frozenset[bytes] = frozenset(),
    containers: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """Returns the findings with those let pass turned into GATE_OVERRIDDEN; `ids` and `containers` are touched.

    An override with a scope serves only acts that touch nothing outside it. `occurred_at` in microseconds.
    """
    if not findings:
        return findings
    passed = {
        one.gate
        for one in overrides
        if one.valid_until >= occurred_at
        and (not one.ids or (ids and ids <= one.ids))
        and (not one.containers or (containers and containers <= one.containers))
    }
    if not passed:
        return findings
    return merged(
        Finding("GATE_OVERRIDDEN", one.leaves)
        if one.code in passed and rule_of(one.code).strength is Strength.GATE
        else one
        for one in findings
    )
