"""Say what each finding code means, how strong it is and what would make it pass.

The rules of the table:

* A code is stable: it stands in entries for thirty years, so that it is added and never changed or taken away.
* HARD_GATE has no override; GATE can be overridden beforehand where the policy pack lets it; ADVISORY is shown and
  holds nothing up; AWAITING says that something the act names is not in the log yet.
* ENTRY findings are made once, at entry, and never revised; FOLD findings are made again whenever the order of the
  acts changes.
* Every module named `codes_*` of this package, and `registry.codes`, registers its rules on import; all are imported
  before a code is said to be unknown.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from cellcustody.ledger.custody.act import Finding, Status
from cellcustody.ledger.errors import NotFoundError

__all__ = [
    "Family",
    "FindingRule",
    "Findings",
    "Strength",
    "UnknownFindingError",
    "all_rules",
    "codes_of",
    "is_blocking",
    "leaves_in",
    "merged",
    "register",
    "rule_of",
    "status_of",
]


class Strength(Enum):
    """How much a finding weighs."""

    HARD_GATE = "hard gate"
    GATE = "gate"
    ADVISORY = "advisory"
    AWAITING = "awaiting"


class Family(Enum):
    """Whether a finding is made once at entry or again at each fold."""

    ENTRY = "entry"
    FOLD = "fold"


class UnknownFindingError(NotFoundError):
    """Raised when a code stands in no table."""

    reason = "FINDING_UNKNOWN"


@dataclass(frozen=True, slots=True)
class FindingRule:
    """A finding code with the rule in words and what would make it pass."""

    code: str
    strength: Strength
    family: Family
    rule: str
    remedy: str


_REGISTRY_CODES = "cellcustody.ledger.registry.codes"  # By name: the registry imports this module.

_RULES: dict[str, FindingRule] = {}
_LOADING = threading.RLock()
_loaded: bool = False


def register(*rules: FindingRule) -> None:
    """Adds rules to the table; registering the same rule again changes nothing.

    Raises:
        ValueError: a code is registered twice with different words or strength.
    """
    for rule in rules:
        known = _RULES.get(rule.code)
        if known is not None and known != rule:
            raise ValueError(f"finding code {rule.code} is registered twice")
        _RULES[rule.code] = rule


def _load_tables() -> None:
    """Imports every `codes_*` module of this package, and the registry's, once."""
    global _loaded
    # Whoever comes second waits for the first: half a table would call a known code unknown.
    with _LOADING:
        if _loaded:
            return
        package = importlib.import_module("cellcustody.ledger.custody")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith("codes_"):
                importlib.import_module(f"{package.__name__}.{module.name}")
        importlib.import_module(_REGISTRY_CODES)
        _loaded = True


def rule_of(code: str) -> FindingRule:
    """Returns the rule behind `code`.

    Raises:
        UnknownFindingError: no table has it.
    """
    known = _RULES.get(code)
    if known is None:
        _load_tables()
        known = _RULES.get(code)
        if known is None:
            raise UnknownFindingError("no rule has this code", code=code)
    return known


def all_rules() -> tuple[FindingRule, ...]:
    """Returns every rule, in order of code."""
    _load_tables()
    return tuple(_RULES[code] for code in sorted(_RULES))


def is_blocking(code: str) -> bool:
    """Tells whether the finding makes a fact nonconforming and refuses an authorisation."""
    return rule_of(code).strength in (Strength.HARD_GATE, Strength.GATE)


def status_of(findings: Iterable[Finding], is_fact: bool = True) -> Status:
    """Returns the status that these findings give: of a fact, or (is_fact False) of an authorisation not in effect."""
    status = Status.CONFORMING if is_fact else Status.PENDING
    for finding in findings:
        strength = rule_of(finding.code).strength
        if strength is Strength.AWAITING:
            return Status.AWAITING
        if is_fact and strength is not Strength.ADVISORY:
            status = Status.NONCONFORMING
    return status


def codes_of(findings: Iterable[Finding]) -> frozenset[str]:
    """Returns the codes of the findings."""
    return frozenset(finding.code for finding in findings)


def leaves_in(findings: Iterable[Finding], *codes: str) -> frozenset[int]:
    """Returns the numbers of the leaves that findings with one of these codes concern."""
    return frozenset(leaf for finding in findings if finding.code in codes for leaf in finding.leaves)


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns the findings in order of code, one for each code, with all the leaves that each concerns."""
    leaves: dict[str, set[int]] = {}
    for finding in findings:
        leaves.setdefault(finding.code, set()).update(finding.leaves)
    return tuple(Finding(code, tuple(sorted(leaves[code]))) for code in sorted(leaves))


class Findings:
    """Collects findings while an act is checked; `result` gives them in order of code, one for each code."""

    __slots__ = ("_leaves",)

    def __init__(self) -> None:
        self._leaves: dict[str, set[int]] = {}

    def add(self, code: str, leaves: Iterable[int] = ()) -> None:
        """Adds a finding, or more leaves to one that is there."""
        self._leaves.setdefault(code, set()).update(leaves)

    def __contains__(self, code: object) -> bool:
        return code in self._leaves

    def result(self) -> tuple[Finding, ...]:
        """Returns what was found, in order of code."""
        if not self._leaves:
            return ()
        return tuple(Finding(code, tuple(sorted(self._leaves[code]))) for code in sorted(self._leaves))
