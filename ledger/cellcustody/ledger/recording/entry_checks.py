"""Check at entry what is judged once: characters of identifiers, grades, the clock, the pack's roles.

The rules:

* An ISBT 128 identifier in a body is in its exact printed form with its check character; what the contract calls
  `..._read` may be empty, for it may not have been readable.
* A scan that a person typed is marked, and one that names a patient or donor is told to have no place there.
* A clock more than five minutes ahead of the ledger's is a finding for a fact; an authorisation is refused.
* Lateness counts from the end of the occurrence to the time of recording; it is flagged and never refused.

These findings may rest on fields that can be shredded later, for they are never made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.scan_comparison import FIELD_SCANS, read_scan
from cellcustody.ledger.errors import MalformedError
from cellcustody.ledger.identifiers import ChainOfIdentity, Din
from cellcustody.ledger.recording.identity import normalised
from cellcustody.ledger.recording.return_entry import treatment_findings
from cellcustody.v1 import common_pb2, harvest_pb2, statement_pb2

__all__ = ["CLOCK_AHEAD_MICROS_MAX", "body_findings", "clock_is_ahead", "delay_seconds", "is_late"]

CLOCK_AHEAD_MICROS_MAX: Final = 5 * 60 * 1_000_000  # Design, section 9: five minutes of skew are tolerated.
PATIENT_IDENTIFIERS_MIN: Final = 2
COI_SCHEME: Final = "isbt128-coi"

# Fields that carry a donation number or a chain of identity identifier, by body; True: may be empty.
_DIN_FIELDS: Final[dict[str, tuple[tuple[str, bool], ...]]] = {
    "cellcustody.v1.CollectionStarted": (("din", False),),
    "cellcustody.v1.LabelApplied": (("din", False),),
    "cellcustody.v1.LabelsPrinted": (("din", True),),
    "cellcustody.v1.MaterialReceived": (("din_read", True),),
    "cellcustody.v1.BedsideChecked": (("din_read", True),),
}
_COI_FIELDS: Final[dict[str, tuple[tuple[str, bool], ...]]] = {
    "cellcustody.v1.IdentityChecked": (("coi_read", True),),
    "cellcustody.v1.ReidentificationPerformed": (("coi_read", True),),
    "cellcustody.v1.CourseLinked": (("coi", False),),
    "cellcustody.v1.LabelApplied": (("coi", False),),
    "cellcustody.v1.LabelsPrinted": (("coi", False),),
    "cellcustody.v1.MaterialPacked": (("coi_read", True),),
    "cellcustody.v1.MaterialReceived": (("coi_read", True),),
    "cellcustody.v1.BedsideChecked": (("coi_read", True),),
}


def _is_din(text: str) -> bool:
    try:
        Din.parse_printed(text)
    except MalformedError:
        return False
    return True


def is_coi(text: str) -> bool:
    """Tells whether `text` is a chain of identity identifier as printed, with its check character."""
    try:
        ChainOfIdentity.parse_printed(text)
    except MalformedError:
        return False
    return True


def body_findings(body: Message, field_numbers: tuple[int, ...]) -> list[Finding]:
    """Returns what a body says that no body may say, whatever the state."""
    name = body.DESCRIPTOR.full_name
    found: list[Finding] = []
    wrong: list[int] = []
    for table, is_valid in ((_DIN_FIELDS, _is_din), (_COI_FIELDS, is_coi)):
        for field, may_be_empty in table.get(name, ()):
            value = str(getattr(body, field))
            if not (value == "" and may_be_empty) and not is_valid(value):
                wrong.append(body.DESCRIPTOR.fields_by_name[field].number)
    match body:
        case harvest_pb2.TherapyEnrolled():
            if any(alias.scheme == COI_SCHEME and not is_coi(alias.value) for alias in body.aliases):
                wrong.append(body.DESCRIPTOR.fields_by_name["aliases"].number)
            if len({one.kind for one in body.patient_identifiers if normalised(one.value)}) < PATIENT_IDENTIFIERS_MIN:
                found.append(Finding("PATIENT_IDENTIFIERS_TOO_FEW"))
        case _:
            pass
    found.extend(_scan_findings(body, field_numbers))
    found.extend(treatment_findings(body, field_numbers))
    if wrong:
        found.append(Finding("CHECK_CHARACTER_WRONG", _leaves(field_numbers, wrong)))
    return found


def _scan_findings(body: Message, field_numbers: tuple[int, ...]) -> list[Finding]:
    """Returns which scans were typed, and which name a person; what they say is compared by the fold."""
    scans: object = getattr(body, "scans", ())
    if not scans or not isinstance(scans, Sequence):
        return []
    leaves = _leaves(field_numbers, [FIELD_SCANS])
    typed: list[int] = []
    naming: list[int] = []
    for leaf, scan in zip(leaves, scans, strict=False):
        if scan.method == common_pb2.READ_METHOD_MANUAL:
            typed.append(leaf)
        if read_scan(scan.raw).names_person:
            naming.append(leaf)
    told = (("SCAN_TYPED", typed), ("SCAN_NAMES_PERSON", naming))
    return [Finding(code, tuple(where)) for code, where in told if where]


def _leaves(field_numbers: tuple[int, ...], wanted: list[int]) -> tuple[int, ...]:
    return tuple(leaf for leaf, number in enumerate(field_numbers) if number in wanted)


def clock_is_ahead(header: statement_pb2.Header, now: int) -> bool:
    """Tells whether a header's times are more than five minutes ahead of `now` (microseconds)."""
    latest = max(header.signed_at.unix_micros, header.occurred_at.start_unix_micros, header.occurred_at.end_unix_micros)
    return latest > now + CLOCK_AHEAD_MICROS_MAX


def delay_seconds(header: statement_pb2.Header, now: int) -> int:
    """Returns how long after the end of its occurrence a statement is recorded, in whole seconds."""
    occurred = header.occurred_at
    end = occurred.end_unix_micros if occurred.HasField("end_unix_micros") else occurred.start_unix_micros
    return (now - end) // 1_000_000


def is_late(header: statement_pb2.Header, now: int, pack: PolicyPack) -> bool:
    """Tells whether a fact is recorded later after its occurrence than its pack takes for direct."""
    occurred = header.occurred_at
    end = occurred.end_unix_micros if occurred.HasField("end_unix_micros") else occurred.start_unix_micros
    return now - end > pack.late_after_seconds * 1_000_000
