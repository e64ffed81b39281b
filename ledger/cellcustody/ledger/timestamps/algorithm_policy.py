"""Read the algorithm policy: which algorithms a verifier holds broken, and from when on.

The rules (docs/formats/timestamps.md):

* A JSON object with exactly its members, none repeated; each algorithm at most once, by a name of the table.
* `from` is a time in UTC, `from_leaf` a leaf index, which is for the algorithms of statements alone; one or both.

What is broken from a time on stays good for what is proven to be older. Nothing here is fetched or built in: whoever
verifies says what they hold broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cellcustody.ledger.timestamps.errors import AlgorithmPolicyMalformedError

__all__ = ["NOTHING_BROKEN", "AlgorithmPolicy", "Broken", "parse_algorithm_policy"]

POLICY_BYTES_MAX: Final = 65_536
OF_STATEMENTS: Final = frozenset({"ed25519", "ecdsa-p256", "ml-dsa-44", "ml-dsa-65"})
_OTHERS: Final = frozenset(
    {"rsa", "ecdsa", "sha-1", "sha-256", "sha-384", "sha-512", "sha3-256", "sha3-384", "sha3-512"}
)
_CERTIFICATE: Final = re.compile("certificate:[0-9a-f]{64}")
_TIME: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FORMAT: Final = "cellcustody-algorithm-policy"
_MEMBERS: Final = frozenset({"format", "format_version", "broken"})
_LEAF_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Broken:
    """From when on an algorithm is held broken: a time (aware, UTC), a leaf index, or both."""

    at: datetime | None = None
    from_leaf: int | None = None


@dataclass(frozen=True, slots=True)
class AlgorithmPolicy:
    """What a verifier holds broken, by name."""

    broken: Mapping[str, Broken] = field(default_factory=dict)

    def is_broken(self, algorithm: str) -> bool:
        """Whether this algorithm is held broken in any way."""
        return algorithm in self.broken

    def good_until(self, algorithms: Iterable[str]) -> datetime | None:
        """Returns the first time from which one of these is held broken, or None where none is."""
        times = [broken.at for name in algorithms if (broken := self.broken.get(name)) and broken.at is not None]
        return min(times, default=None)


NOTHING_BROKEN: Final = AlgorithmPolicy()


def parse_algorithm_policy(raw: bytes) -> AlgorithmPolicy:
    """Returns the policy in a file.

    Raises:
        AlgorithmPolicyMalformedError: it is none.
    """
    if len(raw) > POLICY_BYTES_MAX:
        raise AlgorithmPolicyMalformedError("a policy is a small file", length=len(raw), limit=POLICY_BYTES_MAX)
    try:
        members: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as refusal:
        raise AlgorithmPolicyMalformedError("a policy is JSON in UTF-8", length=len(raw)) from refusal
    if not isinstance(members, dict) or set(members) != _MEMBERS:
        raise AlgorithmPolicyMalformedError("a policy has exactly its members", expected=" ".join(sorted(_MEMBERS)))
    version, rows = members["format_version"], members["broken"]
    if members["format"] != _FORMAT or type(version) is not int or version != 1 or not isinstance(rows, list):
        raise AlgorithmPolicyMalformedError("another format or version", version=version)
    broken: dict[str, Broken] = {}
    for row in rows:
        name, found = _row(row)
        if name in broken:
            raise AlgorithmPolicyMalformedError("an algorithm is named twice", algorithm=name)
        broken[name] = found
    return AlgorithmPolicy(broken)


def _row(row: object) -> tuple[str, Broken]:
    if not isinstance(row, dict) or not {"algorithm"} < set(row) <= {"algorithm", "from", "from_leaf"}:
        raise AlgorithmPolicyMalformedError("a row has an algorithm, and `from`, `from_leaf` or both")
    name, at, leaf = row["algorithm"], row.get("from"), row.get("from_leaf")
    if not isinstance(name, str) or not (name in OF_STATEMENTS or name in _OTHERS or _CERTIFICATE.fullmatch(name)):
        raise AlgorithmPolicyMalformedError("there is no such algorithm", algorithm=name)
    if "from_leaf" in row and (type(leaf) is not int or not 0 <= leaf <= _LEAF_MAX or name not in OF_STATEMENTS):
        raise AlgorithmPolicyMalformedError("a leaf index is for algorithms of statements", algorithm=name, value=leaf)
    moment: datetime | None = None
    if "from" in row:
        if not isinstance(at, str) or not _TIME.fullmatch(at):
            raise AlgorithmPolicyMalformedError("a time is in UTC, in whole seconds", algorithm=name, value=at)
        try:
            moment = datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError as refusal:
            raise AlgorithmPolicyMalformedError("there is no such time", algorithm=name, value=at) from refusal
    return name, Broken(moment, leaf if type(leaf) is int else None)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise AlgorithmPolicyMalformedError("a member is repeated", members=" ".join(name for name, _ in pairs))
    return members
