"""Every finding code of the table is told by a test: by one of the rules alone where the fold makes it.

That those tests would notice a rule taken away is what the campaign of mutants shows (`make torture`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from cellcustody.ledger.custody.findings import Family, FindingRule, all_rules

ROOT = Path(__file__).resolve().parents[3]
CUSTODY = ROOT / "ledger" / "cellcustody" / "ledger" / "custody"
OF_RULES = sorted((ROOT / "tests" / "unit").glob("custody*/test_*.py"))
OF_ENTRIES = sorted((ROOT / "tests" / "integration").rglob("test_*.py"))
ELSEWHERE = sorted(path for path in (ROOT / "tests" / "unit").rglob("test_*.py") if path.parent.name != "project")


def words(paths: Iterable[Path]) -> set[str]:
    """Returns every string that stands in these sources."""
    return {
        node.value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def untested(rules: Iterable[FindingRule], *tests: Iterable[Path]) -> list[str]:
    """Returns the codes of the rules that none of these tests tells."""
    told = {word for paths in tests for word in words(paths)}
    return [rule.code for rule in rules if rule.code not in told]


@pytest.fixture(scope="module")
def found_in_custody() -> set[str]:
    """The words of the rules, their tables left aside."""
    return words(path for path in CUSTODY.glob("*.py") if not path.stem.startswith("codes_"))


def test_every_finding_of_the_fold_is_told_by_a_test_of_the_rules(found_in_custody: set[str]) -> None:
    """Without a ledger, a store or a key."""
    rules = [rule for rule in all_rules() if rule.family is Family.FOLD and rule.code in found_in_custody]
    assert len(rules) > 300
    assert untested(rules, OF_RULES) == []


def test_every_finding_at_entry_is_told_by_a_test(found_in_custody: set[str]) -> None:
    """Most of them need the registry, and so the append core."""
    rules = [rule for rule in all_rules() if rule.family is Family.ENTRY or rule.code not in found_in_custody]
    assert len(rules) > 40
    assert untested(rules, OF_ENTRIES, ELSEWHERE) == []


def test_a_code_that_no_test_tells_is_named() -> None:
    """Nothing is told by no tests."""
    rules = all_rules()[:2]
    assert untested(rules, ()) == [rule.code for rule in rules]
