"""The table in the docs names stories that are told, and each story of a row stands in it."""

from __future__ import annotations

import re
from pathlib import Path

from cellcustody.ledger.custody.findings import rule_of

HERE = Path(__file__).parent
TABLE = HERE.parents[2] / "docs" / "process.md"


def test_each_story_stands_in_the_table_and_the_other_way_round() -> None:
    """By name."""
    told = {
        name
        for path in HERE.glob("test_*.py")
        if path != Path(__file__)
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", TABLE.read_text("utf-8"))) == told


def test_each_finding_in_the_table_is_one() -> None:
    """A code that nobody finds is no gate; hard gates, and no others, are in bold."""
    rows = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|") and "`test_row" in line]
    for line in rows:
        for mark, code in re.findall(r"(\*\*)?\b([A-Z]{3,}(?:_[A-Z]+)+)\b", line):
            assert (rule_of(code).strength.name == "HARD_GATE") == bool(mark), code
        for code in re.findall(r"\*\*([A-Z_]+)\*\*", line):
            assert rule_of(code).code == code
