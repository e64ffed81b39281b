"""The page as a person uses it: two files picked, a verdict and a history read, in light and in dark."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from devtools import Page
from forge import CONFORMING, IN_EFFECT, Forge

from cellcustody.ledger.registry import encode_anchor
from cellcustody.v1 import quality_pb2

pytestmark = pytest.mark.system

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


def shown(page: Page, folder: Path, data: bytes, anchor: bytes | None) -> str:
    """Picks the files, and returns the page's text once it has a verdict."""
    if anchor is not None:
        (folder / "anchor.json").write_bytes(anchor)
        page.pick("anchor", folder / "anchor.json")
    (folder / "therapy.zip").write_bytes(data)
    page.pick("dossier", folder / "therapy.zip")
    page.wait_until("document.body.dataset.outcome")
    return cast(str, page.evaluate("document.body.innerText"))


def test_a_dossier_is_verified_and_read(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """Verdict, what was not verified, who did what where and when; and nothing was asked of any network."""
    text = shown(by_hand, tmp_path, lawful.dossier().data, encode_anchor(lawful.anchor))

    assert by_hand.evaluate("document.body.dataset.outcome") == "VERIFIED"
    assert "Not verified by this page:" in text
    for name in ("therapy.zip", "anchor.json"):  # On paper too it is told which files these were.
        assert f"{name}, " in text
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() in text
    for told in ("Therapy enrolled", "Material packed", "Hold placed", "Collection nurse", "Example Hospital"):
        assert told in text
    assert "2026-01-01 10:00:" in text
    assert by_hand.network_requests()[1:] == []  # The first is the page itself, from disk.
    assert by_hand.complaints() == []


def test_without_an_anchor_nobody_is_said_to_have_made_it(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """Consistent is not verified, and the page says so in words."""
    text = shown(by_hand, tmp_path, lawful.dossier().data, None)

    assert by_hand.evaluate("document.body.dataset.outcome") == "CONSISTENT, ISSUER UNPROVEN"
    assert "nobody can tell who made it" in text


def test_of_a_refused_file_nothing_is_shown(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """The first broken link is named, and no part of the history that nobody can rely on."""
    other = Forge("elsewhere").founds().lives()

    text = shown(by_hand, tmp_path, other.dossier().data, encode_anchor(lawful.anchor))

    assert by_hand.evaluate("document.body.dataset.outcome") == "BROKEN"
    assert "First broken link: ISSUER (ISSUER_MISMATCH)" in text
    assert "Therapy enrolled" not in text
    assert by_hand.evaluate("document.getElementById('acts').childElementCount") == 0


def test_a_second_file_takes_the_place_of_the_first(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """After a good file a bad one leaves nothing of the good one on the screen."""
    data = lawful.dossier().data
    shown(by_hand, tmp_path, data, encode_anchor(lawful.anchor))
    by_hand.evaluate("delete document.body.dataset.outcome")
    (tmp_path / "other.zip").write_bytes(data[:-1])
    by_hand.pick("dossier", tmp_path / "other.zip")
    by_hand.wait_until("document.body.dataset.outcome")

    assert by_hand.evaluate("document.getElementById('history').hidden") is True
    assert "REFUSED" in cast(str, by_hand.evaluate("document.body.innerText"))


def test_what_a_dossier_says_is_text_and_never_markup(by_hand: Page, forge: Forge, tmp_path: Path) -> None:
    """A signer can write what they like: it is shown, and does nothing."""
    forge.enrols()
    hold = quality_pb2.HoldPlaced(
        scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), grounds=HOSTILE, procedure="javascript:alert(1)"
    )
    forge.records(hold, forge.nurse, forge.therapy, CONFORMING)

    text = shown(by_hand, tmp_path, forge.dossier().data, encode_anchor(forge.anchor))

    assert HOSTILE in text
    assert by_hand.evaluate("document.querySelectorAll('#history img, #history script, #history iframe').length") == 0
    assert by_hand.evaluate("document.title") == "Custody dossier: check and read"
    assert by_hand.evaluate("[...document.links].every((link) => link.getAttribute('href').startsWith('#'))") is True


def test_corrected_statements_stand_beside_what_corrects_them(by_hand: Page, forge: Forge, tmp_path: Path) -> None:
    """The original stays readable, marked, with a link to what took its place."""
    forge.enrols()
    hold = forge.places_hold()
    replacement = forge.records(
        quality_pb2.HoldPlaced(
            scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), grounds="the right reason", replaces=hold
        ),
        forge.nurse,
        forge.therapy,
        CONFORMING,
    )
    correction = quality_pb2.StatementCorrected(corrected=hold, replacement=replacement)
    forge.records(correction, forge.nurse, forge.therapy, IN_EFFECT)

    text = shown(by_hand, tmp_path, forge.dossier().data, encode_anchor(forge.anchor))

    assert by_hand.evaluate("document.body.dataset.outcome") == "VERIFIED"
    assert "This statement was corrected by" in text
    assert "It stays here as it was signed." in text
    assert "This statement takes the place of" in text
    assert by_hand.evaluate("document.querySelectorAll('article.gone').length") == 1


def test_a_short_list_gives_each_act_one_line(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """When, what, who, of what and how it stands, each line leading to the act in full."""
    shown(by_hand, tmp_path, lawful.dossier().data, encode_anchor(lawful.anchor))

    by_hand.evaluate("document.getElementById('short').click()")
    rows = cast(
        list[list[str]],
        by_hand.evaluate(
            "[...document.querySelectorAll('#rows tr')].map((row) => [...row.cells].map((c) => c.innerText))"
        ),
    )
    leads = by_hand.evaluate(
        "[...document.querySelectorAll('#rows a')].every((a) => document.querySelector(a.getAttribute('href')))"
    )

    assert [row[1] for row in rows][:2] == ["Therapy enrolled", "Consignment opened"]
    assert rows[2][2:4] == ["Collection nurse, Example Hospital", f"container 1, material {lawful.material.hex()[:8]}…"]
    assert rows[3][4] == "waits for what it names: SEEN_MISSING"
    assert rows[4][2] == "Collection nurse, Example Hospital (and 1 more)"
    assert leads is True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(by_hand: Page, lawful: Forge, tmp_path: Path, scheme: str) -> None:
    """Contrast of every text with what is behind it is at least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    shown(by_hand, tmp_path, lawful.dossier().data, encode_anchor(lawful.anchor))
    picture = by_hand.look(1100, 1600, scheme=scheme)
    assert picture.startswith(b"\x89PNG")

    poor = by_hand.evaluate(_CONTRAST)

    assert poor == []


_CONTRAST = """(() => {
    document.getElementById("details").open = true;
    document.getElementById("short").click();
    const parts = (colour) => colour.match(/[0-9.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).slice(0, 3).map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const ground = getComputedStyle(at).backgroundColor;
            if (parts(ground)[3] !== 0) return ground;
        }
        return "rgb(255, 255, 255)";
    };
    const poor = [];
    for (const node of document.querySelectorAll("main *, header *")) {
        const has = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
        if (!has || node.closest("[hidden]") || node.tagName === "OPTION") continue;
        const a = light(getComputedStyle(node).color), b = light(behind(node));
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) poor.push(`${node.tagName} ${node.textContent.slice(0, 30)}: ${contrast.toFixed(2)}`);
    }
    return poor;
})()"""


def test_everything_has_a_name_and_can_be_reached_by_keyboard(by_hand: Page, lawful: Forge, tmp_path: Path) -> None:
    """Each control has a label, headings come in order, and results are announced."""
    shown(by_hand, tmp_path, lawful.dossier().data, encode_anchor(lawful.anchor))

    nameless = by_hand.evaluate(
        "[...document.querySelectorAll('input, select, button')]"
        ".filter((one) => !(one.labels && one.labels.length) && !one.textContent.trim()).map((one) => one.id)"
    )
    levels = cast(
        list[int],
        by_hand.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))"),
    )

    assert nameless == []
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert by_hand.evaluate("document.getElementById('verdict').getAttribute('aria-live')") == "polite"
    assert by_hand.evaluate("document.documentElement.lang") == "en"
