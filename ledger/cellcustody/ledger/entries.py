"""Write and read entries: a statement as recorded, with the ledger's judgement.

The rules:

* An entry is serialised once, by the ledger; its bytes are the leaf of the log and the event's state, and are never
  written again. Readers parse them and keep them.
* An entry has at most 65,535 bytes, for a tile's bundle gives its length two (C2SP tlog-tiles).
* Findings stand in order of code; they carry leaf numbers and no values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.custody.act import Comparison, Finding, Judged, Outcome, Status
from cellcustody.ledger.errors import FormRefusedError, MalformedError
from cellcustody.ledger.values import value
from cellcustody.v1 import entry_pb2

__all__ = [
    "ENTRY_BYTES_MAX",
    "FORMAT_VERSION",
    "RULE_SET",
    "EntryMalformedError",
    "EntryTooLargeError",
    "JudgedEntry",
    "ReadEntry",
    "encode_entry",
    "leaf_hash_of",
    "read_entry",
    "read_judgement",
    "write_judgement",
]

FORMAT_VERSION: Final = 1
RULE_SET: Final = 1  # Released rule-sets stay runnable; a change of any rule raises this number.
ENTRY_BYTES_MAX: Final = 65_535
ZERO_HASH: Final = bytes(32)


class EntryTooLargeError(FormRefusedError):
    """Raised when a statement would make an entry that no bundle can carry."""

    reason = "ENTRY_OVERSIZE"


class EntryMalformedError(MalformedError):
    """Raised when bytes that should be an entry are none."""

    reason = "ENTRY_MALFORMED"


@value(frozen=True, slots=True)
class JudgedEntry:
    """The ledger's whole word on one statement, as its entry carries it."""

    judged: Judged
    policy_digest: bytes = b""
    comparisons: tuple[Comparison, ...] = ()
    puts_in_effect: bytes = b""
    rule_set: int = RULE_SET


@value(frozen=True, slots=True)
class ReadEntry:
    """An entry as read. Times are microseconds since 1970-01-01T00:00:00Z."""

    raw: bytes
    envelope: bytes
    recorded_at: int
    submitting_site: bytes
    sequence: int
    previous_leaf_hash: bytes
    judgement: JudgedEntry


def leaf_hash_of(raw: bytes) -> bytes:
    """Returns the RFC 6962 leaf hash of an entry."""
    return hashlib.sha256(b"\x00" + raw).digest()


def write_judgement(judgement: JudgedEntry) -> entry_pb2.Judgement:
    """Returns a judgement in the contract's form."""
    if not judgement.judged.findings and not judgement.comparisons:  # As most are.
        return entry_pb2.Judgement(
            rule_set=judgement.rule_set,
            policy_digest=judgement.policy_digest,
            status=entry_pb2.JudgementStatus.ValueType(judgement.judged.status),
            puts_in_effect=judgement.puts_in_effect,
        )
    return entry_pb2.Judgement(
        rule_set=judgement.rule_set,
        policy_digest=judgement.policy_digest,
        status=entry_pb2.JudgementStatus.ValueType(judgement.judged.status),
        findings=[entry_pb2.Finding(code=f.code, leaves=f.leaves) for f in judgement.judged.findings],
        comparisons=[
            entry_pb2.IdentifierComparison(leaf=c.leaf, outcome=entry_pb2.ComparisonOutcome.ValueType(c.outcome))
            for c in judgement.comparisons
        ],
        puts_in_effect=judgement.puts_in_effect,
    )


def read_judgement(message: entry_pb2.Judgement) -> JudgedEntry:
    """Returns a judgement from the contract's form.

    Raises:
        EntryMalformedError: a status or an outcome is not one.
    """
    try:
        status = Status(message.status)
        comparisons = tuple(Comparison(c.leaf, Outcome(c.outcome)) for c in message.comparisons)
    except ValueError as defect:
        raise EntryMalformedError("a judgement has no such status or outcome", status=message.status) from defect
    findings = tuple(Finding(f.code, tuple(f.leaves)) for f in message.findings)
    return JudgedEntry(
        Judged(status, findings), message.policy_digest, comparisons, message.puts_in_effect, message.rule_set
    )


def encode_entry(
    envelope: bytes,
    *,
    recorded_at: int,
    submitting_site: bytes,
    sequence: int,
    previous_leaf_hash: bytes,
    judgement: JudgedEntry,
) -> bytes:
    """Returns the bytes of an entry.

    Raises:
        EntryTooLargeError: it would have more than 65,535 bytes.
    """
    raw = entry_pb2.Entry(
        format_version=FORMAT_VERSION,
        envelope=envelope,
        recorded_at_unix_micros=recorded_at,
        submitting_site=submitting_site,
        sequence=sequence,
        previous_leaf_hash=previous_leaf_hash,
        judgement=write_judgement(judgement),
    ).SerializeToString(deterministic=True)
    if len(raw) > ENTRY_BYTES_MAX:
        raise EntryTooLargeError("an entry would be too large for the log", length=len(raw), limit=ENTRY_BYTES_MAX)
    return raw


def read_entry(raw: bytes) -> ReadEntry:
    """Returns what an entry's bytes say.

    Raises:
        EntryMalformedError: they are no entry of this format.
    """
    try:
        message = entry_pb2.Entry.FromString(raw)
    except DecodeError as defect:
        raise EntryMalformedError("bytes are no entry", length=len(raw)) from defect
    if message.format_version != FORMAT_VERSION or not message.envelope or message.sequence < 1:
        raise EntryMalformedError("an entry lacks a part", version=message.format_version, sequence=message.sequence)
    if len(message.previous_leaf_hash) != len(ZERO_HASH):
        raise EntryMalformedError("a leaf hash has 32 bytes", length=len(message.previous_leaf_hash))
    return ReadEntry(
        raw=raw,
        envelope=message.envelope,
        recorded_at=message.recorded_at_unix_micros,
        submitting_site=message.submitting_site,
        sequence=message.sequence,
        previous_leaf_hash=message.previous_leaf_hash,
        judgement=read_judgement(message.judgement),
    )


def sorted_findings(*groups: Sequence[Finding]) -> tuple[Finding, ...]:
    """Returns the findings of all groups, in order of code, each once."""
    return tuple(sorted({finding for group in groups for finding in group}))
