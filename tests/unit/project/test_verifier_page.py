"""The page that verifies dossiers can reach nothing, says what it cannot do, and carries current tables."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

import verifier_page
from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.findings import all_rules
from cellcustody.ledger.dossier.embedded import embedded_verifiers
from cellcustody.ledger.dossier.layout import FILE_NAMES, PAGE
from cellcustody.ledger.strict_ed25519 import LOW_ORDER_ENCODINGS
from cellcustody.ledger.verification import Check

BYTES_MAX = 300 * 1024  # A third of the megabyte below which a therapy's dossier stays.

FORBIDDEN = [
    *(
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "new Function",
        "import(",
    ),
    *(
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "EventSource",
        "sendBeacon",
        "localStorage",
        "indexedDB",
        "document.cookie",
    ),
]
OUTSIDE = (r"https?:", r"\bsrc=", r"<link\b", r"<iframe\b", r"@import", r"url\(", r"\bon[a-z]+=\"", r"<form\b")


@pytest.fixture(scope="module")
def text() -> str:
    """The page as it goes into dossiers."""
    return embedded_verifiers()[PAGE].decode("utf-8")


@pytest.fixture(scope="module")
def script(text: str) -> str:
    """Its one script, without comments."""
    (found,) = verifier_page.SCRIPT.findall(text)
    return re.sub(r"^\s*//.*$|/\*\*.*?\*/", "", found, flags=re.MULTILINE | re.DOTALL)


def test_tables_and_digests_are_current(text: str) -> None:
    """What a person may not edit is what the script makes."""
    assert verifier_page.current(text) == text, "run scripts/verifier_page.py --write"


def test_stale_tables_and_digests_are_noticed(text: str) -> None:
    """A code less, or a letter more in the script, makes another page."""
    code = next(iter(all_rules())).code
    assert verifier_page.current(text.replace(f"finding {code} ", "finding OTHER ")) == text
    assert verifier_page.current(text.replace('"use strict";', '"use strict"; ')) != text


def test_the_policy_forbids_everything_but_what_is_in_the_file(text: str) -> None:
    """Nothing is loaded, sent or framed; script and style run by their digest, and there is one of each."""
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    digests = {
        name: "'sha256-" + base64.b64encode(hashlib.sha256(found.encode()).digest()).decode() + "'"
        for name, pattern in (("script-src", verifier_page.SCRIPT), ("style-src", verifier_page.STYLE))
        for found in pattern.findall(text)
    }

    assert directives == {"default-src": "'none'", **digests, "base-uri": "'none'", "form-action": "'none'"}
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert re.findall(r"<script[^>]*>", text) == ['<script type="text/plain" id="tables">', "<script>"]


def test_nothing_points_outside(text: str) -> None:
    """No address, no source, no import, no frame, and no handler written into the markup."""
    for pattern in (
        r"https?:",
        r"\bsrc=",
        r"<link\b",
        r"<iframe\b",
        r"@import",
        r"url\(",
        r"\bon[a-z]+=\"",
        r"<form\b",
    ):
        assert not re.search(pattern, text, re.IGNORECASE), pattern


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_text_stays_text_and_nothing_is_sent_or_kept(script: str, forbidden: str) -> None:
    """The script has no way to make markup of what it read, nor to send or keep it."""
    assert forbidden not in script


def test_every_body_finding_file_and_check_is_known_to_the_page() -> None:
    """A new act, finding, file or check cannot be forgotten."""
    lines = verifier_page.tables().splitlines()
    words = [line.split(" ") for line in lines]

    assert [row[1] for row in words if row[0] == "file"] == list(FILE_NAMES)
    assert [row[1] for row in words if row[0] == "check"] == [check.name for check in Check]
    assert [row[1] for row in words if row[0] == "finding"] == [rule.code for rule in all_rules()]
    assert [row[1] for row in words if row[0] == "body"] == sorted(found.short_name for found in BODIES.values())


def test_the_strict_profile_stands_in_the_page(text: str) -> None:
    """Every encoding of low order is there, letter by letter."""
    assert all(point.hex() in text for point in LOW_ORDER_ENCODINGS)


def test_it_stays_small(text: str) -> None:
    """It goes into every dossier."""
    assert len(text.encode()) <= BYTES_MAX


def test_it_lies_where_the_wheel_takes_it_from() -> None:
    """Package data: a dossier is built from the installed file."""
    assert Path(verifier_page.ROOT, "ledger/cellcustody/ledger/dossier/verifiers", PAGE) == verifier_page.PAGE
    assert verifier_page.PAGE.is_file()
