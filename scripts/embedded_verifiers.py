"""Write into verify.py the tables that it takes over from the product, and into the documents what verifiers there are.

The rules:

* `verify.py` shares no code with the product. What it cannot take from a dossier stands in tables at its end: the
  digests of the contract and of the text for finders, the strength of every finding code, the built-in policy pack.
* The digests of both embedded verifiers stand in docs/formats/dossier.md.
* Run with `--write` after a change of any of these; without it, it says whether something is out of date.
"""

from __future__ import annotations

import hashlib
import re
import sys
import textwrap
from pathlib import Path
from typing import Final

from cellcustody.ledger.custody.findings import Family, Strength, all_rules
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.dossier.embedded import EMBEDDED_NAMES
from cellcustody.ledger.dossier.layout import README_TEXT
from cellcustody.ledger.verification.statements import SIGNER_CODES

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "ledger/cellcustody/ledger/dossier/verifiers"
SCRIPT: Final = FOLDER / "verify.py"
DOCUMENT: Final = ROOT / "docs/formats/dossier.md"
SCHEMA: Final = ROOT / "proto/cellcustody/v1/schema.binpb"

BEGIN: Final = "# Written by scripts/embedded_verifiers.py from the product; a test holds them to it.\n"
END: Final = "# The end of what is written by a script.\n"
DIGESTS_BEGIN: Final = "<!-- digests of the embedded verifiers: scripts/embedded_verifiers.py -->\n"
DIGESTS_END: Final = "<!-- end of digests -->\n"
LINE_LENGTH: Final = 116
_GROUPS: Final = {"gate": (Strength.GATE, Strength.HARD_GATE), "advisory": (Strength.ADVISORY,)} | {
    "awaiting": (Strength.AWAITING,)
}


def tables() -> str:
    """Returns the source of the tables."""
    if DEFAULT_PACK.co_signing or DEFAULT_PACK.training_roles or DEFAULT_PACK.training_validity_days:
        raise ValueError("the built-in pack asks for more than verify.py knows of")
    lines = [
        "CONTRACTS = {  # SHA-256 of the schemas that this release knows.",
        f'    "{hashlib.sha256(SCHEMA.read_bytes()).hexdigest()}",',
        "}",
        f'README_SHA256 = "{hashlib.sha256(README_TEXT).hexdigest()}"',
        "# The built-in pack asks for no training, and for no co-signatures of its own.",
        f'DEFAULT_PACK = "{DEFAULT_PACK.digest.hex()}"',
        f"DEFAULT_WINDOW_SECONDS = {DEFAULT_PACK.co_signature_window_seconds}",
        *_words("SIGNER_CODES", sorted(SIGNER_CODES)),
    ]
    for family in Family:
        for group, strengths in _GROUPS.items():
            codes = [rule.code for rule in all_rules() if rule.family is family and rule.strength in strengths]
            lines += _words(f"{group}_of_{family.value}".upper(), codes)
    return "\n".join(lines) + "\n"


def _words(name: str, words: list[str]) -> list[str]:
    wrapped = textwrap.wrap(" ".join(words), LINE_LENGTH, break_long_words=False, break_on_hyphens=False)
    return [f'{name} = words("""', *wrapped, '""")']


def digests() -> str:
    """Returns the table of the embedded verifiers' digests."""
    rows = [f"| `{name}` | `{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}` |" for name in EMBEDDED_NAMES]
    return "\n".join(["| file | SHA-256 |", "|---|---|", *rows]) + "\n"


def replaced(text: str, begin: str, end: str, content: str) -> str:
    """Returns the text with what stands between two markers replaced."""
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no place marked by {begin.strip()}")
    return pattern.sub(lambda _: begin + content + end, text)


def main(*, write: bool) -> int:
    """Brings both files up to date, or says that they are not; returns an exit code."""
    stale: list[Path] = []
    for path, begin, end, content in (
        (SCRIPT, BEGIN, END, tables),
        (DOCUMENT, DIGESTS_BEGIN, DIGESTS_END, digests),  # After the script, whose digest it gives.
    ):
        before = path.read_text(encoding="utf-8")
        after = replaced(before, begin, end, content())
        if after != before:
            stale.append(path)
            if write:
                path.write_text(after, encoding="utf-8")
    if stale and not write:
        print("out of date: " + ", ".join(str(path.relative_to(ROOT)) for path in stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(write="--write" in sys.argv[1:]))
