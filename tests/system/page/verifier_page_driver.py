"""Gives dossiers to the verifier page and compares its verdicts with the product's."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from devtools import Json, Page

from cellcustody.ledger.completeness import AliasKey
from cellcustody.ledger.registry import Anchor, encode_anchor
from cellcustody.ledger.verification import DossierError, Report, Result, verify_dossier

__all__ = ["UNFIT_REASONS", "Verdict", "VerifierPage", "difference", "disagreement", "product_verdict"]

# What the page says when it, and not the dossier, is at fault. No dossier may bring it there.
UNFIT_REASONS: Final = frozenset({"PAGE_FAILED", "BROWSER_UNFIT"})

_HELPERS: Final = """
    globalThis.bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    globalThis.patched = (base, [start, cut, put]) => {
        const middle = bytes(put), out = new Uint8Array(base.length - cut + middle.length);
        out.set(base.subarray(0, start));
        out.set(middle, start);
        out.set(base.subarray(start + cut), start + middle.length);
        return out;
    };
"""


class Verdict(NamedTuple):
    """Outcome, reason of the first broken link, and the counts of the checks that passed."""

    outcome: str
    reason: str | None
    passed: dict[str, int]


class VerifierPage:
    """The page, driven through `window.cellcustodyVerify` and `window.cellcustodyProfile`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(_HELPERS)
        self._base = b""

    def verify(
        self, data: bytes, anchor: Anchor | bytes | None, alias_key: AliasKey | bytes | None = None
    ) -> dict[str, Json]:
        """Returns the page's report on a dossier."""
        start, cut, put = self._patch(data)
        raw = anchor if isinstance(anchor, bytes | None) else encode_anchor(anchor)
        key = alias_key.to_file() if isinstance(alias_key, AliasKey) else alias_key
        others = ", ".join("null" if one is None else f"bytes('{_text(one)}')" for one in (raw, key))
        call = f"cellcustodyVerify(patched(base, [{start}, {cut}, '{put}']), {others})"
        return cast(dict[str, Json], self.page.evaluate(call))

    def profile(self, name: str, calls: Sequence[tuple[bytes, ...]]) -> list[bool]:
        """Returns what one function of the strict profile says to each of these arguments."""
        rows = json.dumps([[_text(one) for one in arguments] for arguments in calls])
        expression = f"""(async () => {{
            const said = [];
            for (const row of {rows}) said.push(await cellcustodyProfile.{name}(...row.map(bytes)));
            return said;
        }})()"""
        return cast(list[bool], self.page.evaluate(expression))

    def _patch(self, data: bytes) -> tuple[int, int, str]:
        """Returns what makes the dossier of the one that the page holds: few bytes, where the two are alike."""
        most = min(len(data), len(self._base))
        start = _alike(data, self._base, most)
        end = _alike(data[::-1], self._base[::-1], most - start)
        if len(data) - start - end > 200_000:
            self._base, start, end = data, len(data), 0
            self.page.evaluate(f"globalThis.base = bytes('{_text(data)}'); 0")
        return start, len(self._base) - start - end, _text(data[start : len(data) - end])


def product_verdict(data: bytes, anchor: Anchor | None, alias_key: AliasKey | None = None) -> Verdict:
    """Returns what the product says."""
    try:
        report = verify_dossier(data, anchor, alias_key=alias_key)
    except DossierError as broken:
        return Verdict("BROKEN", broken.reason, _passed(broken.report))
    return Verdict(report.outcome.value, None, _passed(report))


def disagreement(page: VerifierPage, data: bytes, anchor: Anchor | None) -> str:
    """Returns in which way page and product differ on a dossier; empty where they agree on all that both check."""
    return difference(page.verify(data, anchor), product_verdict(data, anchor))


def difference(report: dict[str, Json], by_product: Verdict) -> str:
    """Returns in which way the page's report differs from the product's verdict; empty where it does not."""
    broken = cast(dict[str, Json] | None, report["first_broken_link"])
    reason = None if broken is None else cast(str, broken["reason"])
    if reason in UNFIT_REASONS:
        return f"the page failed: {broken}"
    if (report["outcome"], reason) != (by_product.outcome, by_product.reason):
        return f"page: {report['outcome']} {broken}; product: {by_product.outcome} {by_product.reason}"
    for line in cast(list[dict[str, Json]], report["checks"]):
        name = cast(str, line["check"])
        if line["result"] == "PASSED" and by_product.passed.get(name) != line["checked"]:
            return f"{name}: page {line['checked']}, product {by_product.passed.get(name)}"
    return ""


def _passed(report: Report | None) -> dict[str, int]:
    if report is None:
        return {}
    return {line.check.name: line.checked for line in report.checks if line.result is Result.PASSED}


def _alike(left: bytes, right: bytes, most: int) -> int:
    """Returns how many bytes the two have in common at the start, `most` at most."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
