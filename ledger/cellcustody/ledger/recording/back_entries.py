"""Find, at entry, what is amiss with a statement that was written late or copied from paper.

The rules:

* What is entered from paper names its form; without it, nobody finds the record that it was copied from.
* The downtime that it names is one of the signer's own site, lasted when the thing happened, and had that form handed
  out. The site's stream is read as it stands at this entry.
* What was written late says why.

Nothing here refuses. A body that says nothing of its circumstances costs one look.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.back_entry import circumstances_of
from cellcustody.ledger.custody.sites import SiteState
from cellcustody.ledger.recording.cases import Cases
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import common_pb2

__all__ = ["back_entry_findings"]

_FIELD_CIRCUMSTANCES: Final = 51


def back_entry_findings(
    cases: Cases, body: Message, field_numbers: tuple[int, ...], *, site: bytes, occurred_at: int
) -> list[Finding]:
    """Returns the findings; `occurred_at` in microseconds, `site` the signer's own."""
    told = circumstances_of(body)
    if told is None:
        return []
    leaves = tuple(leaf for leaf, number in enumerate(field_numbers) if number == _FIELD_CIRCUMSTANCES)
    if told.mode == common_pb2.ENTRY_MODE_LATE:
        return [] if told.reason else [Finding("LATE_WITHOUT_REASON", leaves)]
    if told.mode != common_pb2.ENTRY_MODE_FROM_PAPER:
        return []
    found = [] if told.form else [Finding("PAPER_FORM_MISSING", leaves)]
    if told.downtime:
        found += [Finding(code, leaves) for code in _of_downtime(cases, told, site, occurred_at)]
    return found


def _of_downtime(cases: Cases, told: common_pb2.Circumstances, site: bytes, occurred_at: int) -> list[str]:
    state = cases.case(bytes([StreamKind.SITE]) + site).state if site else None
    downtime = state.downtimes.get(state.current(told.downtime)) if isinstance(state, SiteState) else None
    if downtime is None:
        return ["DOWNTIME_UNKNOWN"]
    codes = []
    if not downtime.lasted_at(occurred_at):
        codes.append("OUTSIDE_DOWNTIME")
    if told.form and told.form not in downtime.forms:
        codes.append("FORM_NOT_OF_DOWNTIME")
    return codes
