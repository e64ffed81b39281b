"""The page says of every dossier of the corpus what is expected of it, and counts what the product counts."""

from __future__ import annotations

import pytest
from verifier_page_driver import VerifierPage, difference, product_verdict

from corpus import all_cases, expectations

pytestmark = pytest.mark.system

CASES_MIN = 200


def test_the_corpus(page: VerifierPage) -> None:
    """Outcome, check and reason as expected, and the same counts as the product's, for each by its name."""
    expected = expectations()
    wrong: dict[str, str] = {}
    seen = 0
    for case in all_cases():
        seen += 1
        report = page.verify(case.data, case.anchor)
        told = difference(report, product_verdict(case.data, case.anchor))
        broken = report["first_broken_link"]
        check, reason = (str(broken["check"]), str(broken["reason"])) if isinstance(broken, dict) else ("", "")
        wanted = expected[case.name]
        if told:
            wrong[case.name] = told
        elif (report["outcome"], check, reason) != (wanted.outcome, wanted.check, wanted.reason):
            wrong[case.name] = f"{report['outcome']} {check} {reason}, expected {wanted}"

    assert wrong == {}
    assert seen == len(expected) >= CASES_MIN
