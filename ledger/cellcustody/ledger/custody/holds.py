"""Holds: what stands in the way of processing, release, dispatch for use, issue, thaw and go-ahead.

The rules:

* A hold's id is SHA-256(statement digest || code), so that anyone can compute it from the fact that opened it.
* A hold that a finding opened falls when that finding is revised away; any hold falls when a HoldLifted in effect
  names it.
* A hold never blocks acceptance, return, storage, testing, results, reactions or destruction under quality.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class ScopeOfHold(StrEnum):
    """What a hold covers."""

    MATERIAL = "material"
    BATCH = "batch"
    THERAPY = "therapy"
    CONSIGNMENT = "consignment"
    LOT = "lot"
    SITE = "site"
    EQUIPMENT = "equipment"


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that stands: `materials`, `batches` and `containers` are empty where the scope is the whole stream."""

    hold: bytes
    code: str
    statement_digest: bytes
    stream: bytes
    scope: ScopeOfHold
    since: int
    materials: frozenset[bytes] = frozenset()
    batches: frozenset[bytes] = frozenset()
    containers: frozenset[str] = frozenset()


def hold_id(statement_digest: bytes, code: str) -> bytes:
    """Returns the id of the hold that the finding `code` of this statement opens, 32 bytes."""
    return hashlib.sha256(statement_digest + code.encode("ascii")).digest()
