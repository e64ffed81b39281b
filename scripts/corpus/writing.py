"""Write the corpus into a folder, for verifiers that are not run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from cellcustody.ledger.registry import encode_anchor
from corpus.cases import EXPECTATIONS, Case, all_cases, expectations
from corpus.verdicts import product_says

__all__ = ["write_corpus", "write_expectations"]


def write_corpus(folder: Path, chosen: Callable[[Case], bool] = lambda case: True) -> list[dict[str, str]]:
    """Writes every chosen case and returns what stands in `expectations.json`, in the order of the corpus.

    Each member of that list has `name`, `dossier` (a file's name), `anchor` (a file's name, empty where the dossier is
    verified without one), `outcome`, `check` and `reason` (empty where nothing is broken).
    """
    expected = expectations()
    anchors: dict[bytes, str] = {}
    told: list[dict[str, str]] = []
    for case in all_cases():
        if not chosen(case):
            continue
        dossier = case.name.replace("/", "--") + ".zip"
        (folder / dossier).write_bytes(case.data)
        anchor = ""
        if case.anchor is not None:
            raw = encode_anchor(case.anchor)
            anchor = anchors.setdefault(raw, f"anchor-{len(anchors)}.json")
            (folder / anchor).write_bytes(raw)
        of = expected[case.name]
        told.append(
            {
                "name": case.name,
                "dossier": dossier,
                "anchor": anchor,
                "outcome": of.outcome,
                "check": of.check,
                "reason": of.reason,
            }
        )
    (folder / "expectations.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def write_expectations() -> int:
    """Makes the table of expectations out of what the product says; returns how many cases there are."""
    rows = ["\t".join(("name", "outcome", "check", "reason"))]
    rows += ["\t".join((case.name, *product_says(case.data, case.anchor))) for case in all_cases()]
    EXPECTATIONS.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1
