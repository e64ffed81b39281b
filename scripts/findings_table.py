"""Write the table of finding codes into the docs, or check that it is current.

The table is made from the rules that the ledger itself judges by, so that no code is found that the docs do not know.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import embedded_verifiers
from cellcustody.ledger.custody.findings import FindingRule, Strength, all_rules

TABLE: Final = Path(__file__).resolve().parent.parent / "docs/findings.md"

INTRODUCTION: Final = """\
# Findings: what the ledger can say of a statement

Made by `scripts/findings_table.py --write` from the rules themselves; do not edit. A fact with a gate or a hard gate is
recorded as nonconforming and opens a hold on what it touches; one that awaits something has no effect yet. An
authorisation with a gate or a hard gate is refused; one that awaits something can be sent again unchanged. A hard gate
has no override. Findings of entry are made once; those of the fold again whenever the order of the facts changes.
"""

HEADINGS: Final = {
    Strength.HARD_GATE: "Hard gates",
    Strength.GATE: "Gates",
    Strength.ADVISORY: "Advisories",
    Strength.AWAITING: "Awaiting",
}


def row_of(rule: FindingRule) -> str:
    """Returns one row of the table."""
    return f"| `{rule.code}` | {rule.family.value} | {rule.rule} | {rule.remedy} |"


def table() -> str:
    """Returns the whole page."""
    parts = [INTRODUCTION]
    for strength, heading in HEADINGS.items():
        rows = [row_of(rule) for rule in all_rules() if rule.strength is strength]
        parts.append(
            "\n".join((f"## {heading}", "", "| code | found | the rule | what makes it pass |", "|--|--|--|--|", *rows))
            + "\n"
        )
    return "\n".join(parts)


def main() -> None:
    """Writes the table, or exits with 1 if the one in the docs is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write the table")
    action.add_argument("--check", action="store_true", help="check that the table is current (the default)")
    made = table()
    if parser.parse_args().write:
        TABLE.write_text(made, encoding="utf-8")
        embedded_verifiers.main(write=True)  # verify.py carries the strength of every code.
    elif not TABLE.exists() or TABLE.read_text(encoding="utf-8") != made:
        sys.exit(f"docs/{TABLE.name} is not current: run scripts/findings_table.py --write")


if __name__ == "__main__":
    main()
