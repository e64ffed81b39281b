"""With the key of aliases the page says whether the therapy's names are its own, as the product does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from forge import Forge, drawn
from map_forge import ALIASES_OF_THERAPY, COI, MapForge
from verifier_page_driver import VerifierPage, difference, product_verdict

from cellcustody.ledger.completeness import AliasKey
from cellcustody.ledger.statements import StreamKind

pytestmark = pytest.mark.system

DOCUMENT = Path(__file__).parents[3] / "docs/formats/dossier.md"
OTHER_THERAPY = bytes([StreamKind.THERAPY]) + drawn("another therapy", 16)


class Said(NamedTuple):
    """Reason of a refusal, and what the line ALIASES says."""

    reason: object
    result: object
    checked: object


def said(page: VerifierPage, forge: MapForge, data: bytes, key: AliasKey | None) -> Said:
    """Returns what both say, once they are found to say the same."""
    anchor = forge.forge.anchor
    report = page.verify(data, anchor, key)
    assert difference(report, product_verdict(data, anchor, key)) == ""
    broken, checks = report["first_broken_link"], report["checks"]
    assert isinstance(checks, list)
    (line,) = [one for one in checks if isinstance(one, dict) and one["check"] == "ALIASES"]
    return Said(broken["reason"] if isinstance(broken, dict) else None, line["result"], line["checked"])


def mapped(aliases: Sequence[tuple[str, str]] = ALIASES_OF_THERAPY) -> MapForge:
    """A ledger whose therapy has these aliases."""
    return MapForge(Forge().founds().lives(aliases))


def test_names_are_the_therapys_own(page: VerifierPage) -> None:
    """Two aliases, a chain of identity identifier with spaces among them."""
    forge = mapped((("isbt128-coi", "CHA9999 25 000001 G"), ("order", "PO-17"))).logs()

    assert said(page, forge, forge.dossier(), forge.key) == Said(None, "PASSED", 2)
    assert said(page, forge, forge.dossier(), None) == Said(None, "UNVERIFIED", 0)


def test_without_proofs_or_without_an_alias_nothing_is_said(page: VerifierPage) -> None:
    """UNVERIFIED, and never passed for none."""
    without_proofs = mapped().logs()
    without_alias = mapped(()).logs(names={drawn("somebody's alias"): [OTHER_THERAPY]})

    assert said(
        page, without_proofs, without_proofs.dossier(without_proofs.shows(names=())), without_proofs.key
    ) == Said(None, "UNVERIFIED", 0)
    assert said(page, without_alias, without_alias.dossier(), without_alias.key) == Said(None, "UNVERIFIED", 0)


def test_a_chain_of_identity_that_names_two_is_refused(page: VerifierPage) -> None:
    """An order number may name two courses; a chain of identity identifier names one."""
    forge = mapped()
    forge.logs(names={forge.blinded("isbt128-coi", COI): sorted([forge.forge.therapy, OTHER_THERAPY])})
    order = mapped()
    order.logs(names={order.blinded("order", "PO-17"): sorted([order.forge.therapy, OTHER_THERAPY])})

    assert said(page, forge, forge.dossier(), forge.key).reason == "ALIASES_INVALID"
    assert said(page, order, order.dossier(), order.key) == Said(None, "PASSED", 2)


def test_names_of_another_therapy_and_names_not_shown_are_refused(page: VerifierPage) -> None:
    """Each open alias has its proof, and that names this therapy."""
    elsewhere = mapped()
    elsewhere.logs(names={elsewhere.blinded("order", "PO-17"): [OTHER_THERAPY]})
    hidden = mapped().logs()

    assert said(page, elsewhere, elsewhere.dossier(), elsewhere.key).reason == "ALIASES_INVALID"
    shown = hidden.dossier(hidden.shows(names=[hidden.blinded("order", "PO-17")]))
    assert said(page, hidden, shown, hidden.key).reason == "ALIASES_INVALID"


def test_another_key_is_no_key(page: VerifierPage) -> None:
    """The map commits to its key; a file in another form is refused outright."""
    forge = mapped().logs()
    other = AliasKey(forge.forge.ledger_id, drawn("another key"))

    assert said(page, forge, forge.dossier(), other).reason == "ALIASES_INVALID"
    report = page.verify(forge.dossier(), forge.forge.anchor, forge.key.to_file()[:-1])
    broken = report["first_broken_link"]
    assert isinstance(broken, dict)
    assert broken["reason"] == "ALIAS_KEY_MALFORMED"


def test_what_the_page_checks_is_what_the_format_says_of_it(page: VerifierPage) -> None:
    """The page's column of the table in docs/formats/dossier.md, with anchor, witnesses and key of aliases."""
    forge = mapped().logs()
    report = page.verify(forge.dossier(), forge.forge.anchor, forge.key)
    checks = report["checks"]
    assert isinstance(checks, list)
    results = {str(one["check"]): one["result"] for one in checks if isinstance(one, dict)}

    text = DOCUMENT.read_text(encoding="utf-8")
    rows = text[text.index("<!-- checks by verifier") :].split("\n\n")[0].splitlines()[3:]
    told = {
        name: row.strip("|").split("|")[3].strip()
        for row in rows
        for name in row.strip("|").split("|")[0].strip().split(", ")
    }

    assert set(results) == set(told) - {"CONTRACT"}  # That is verify.py's: the page has the contract built in.
    for check, result in results.items():
        if check != "WITNESSES":  # Asked for by the anchor alone: tried in its own test.
            assert (result == "UNVERIFIED") is (told[check] == "UNVERIFIED"), check
