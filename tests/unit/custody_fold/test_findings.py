"""The table of findings: complete, stable, and the same as the page in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import findings_table
from cellcustody.ledger.custody.act import Finding, Status
from cellcustody.ledger.custody.findings import (
    Family,
    FindingRule,
    Findings,
    Strength,
    UnknownFindingError,
    all_rules,
    merged,
    register,
    rule_of,
    status_of,
)

CUSTODY = Path(findings_table.__file__).parent.parent / "ledger/cellcustody/ledger/custody"


def test_every_rule_says_what_is_asked_and_what_makes_it_pass() -> None:
    """Codes are upper snake; rule and remedy are sentences."""
    for rule in all_rules():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", rule.code), rule
        assert rule.rule.endswith(".") and rule.remedy.endswith("."), rule


@pytest.mark.parametrize(
    "module", ["consignment_rules", "consignment_readings", "consignment_authorisations", "authorisations", "fold"]
)
def test_every_code_that_the_rules_find_stands_in_the_table(module: str) -> None:
    """Whatever is added to what was found has a rule."""
    source = (CUSTODY / f"{module}.py").read_text("utf-8")
    codes = set(re.findall(r'(?:found\.add\(|Finding\(|, )"([A-Z][A-Z0-9_]+)"', source))
    assert codes
    for code in codes:
        assert rule_of(code).family is Family.FOLD


def test_the_page_in_the_docs_is_current() -> None:
    """The table in the docs is made from the rules as they are."""
    assert findings_table.TABLE.read_text("utf-8") == findings_table.table()


def test_a_code_has_one_meaning() -> None:
    """Registering a code again with other words is an error in the program; with the same words it is nothing."""
    known = rule_of("WRONG_RECEIVER")
    register(known)
    with pytest.raises(ValueError, match="WRONG_RECEIVER"):
        register(FindingRule(known.code, Strength.ADVISORY, known.family, known.rule, known.remedy))


def test_an_unknown_code_is_named() -> None:
    """A look-up of a code that no table has says which."""
    with pytest.raises(UnknownFindingError) as unknown:
        rule_of("NO_SUCH_CODE")
    assert unknown.value.values == {"code": "NO_SUCH_CODE"}


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ((), Status.CONFORMING),
        (("SEAL_NOT_READ",), Status.CONFORMING),
        (("SEAL_NOT_READ", "SEAL_BROKEN"), Status.NONCONFORMING),
        (("WRONG_RECEIVER",), Status.NONCONFORMING),
        (("RELEASE_UNKNOWN", "WRONG_RECEIVER"), Status.AWAITING),
    ],
)
def test_the_strongest_finding_decides_the_status(codes: tuple[str, ...], status: Status) -> None:
    """Advisories leave a fact conforming; a gate does not; what waits has no status but that."""
    assert status_of(Finding(code) for code in codes) is status


def test_findings_of_one_code_become_one_with_all_leaves() -> None:
    """In order of code, leaves ascending, each once."""
    found = Findings()
    found.add("B", (3, 1))
    found.add("A")
    found.add("B", (2, 3))
    assert found.result() == (Finding("A"), Finding("B", (1, 2, 3)))
    assert merged((Finding("B", (2,)), Finding("A"), Finding("B", (1,)))) == (Finding("A"), Finding("B", (1, 2)))
