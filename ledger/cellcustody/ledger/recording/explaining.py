"""Put findings in words, with the values they rest on.

The rules:

* Every finding names its rule and what would make it pass; the words stand in the table of findings.
* Values are read from the leaves that the finding names, as far as their class may be told to the submitter; fields of
  the classes IDENTITY and CLINICAL are named and never quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from google.protobuf.message import DecodeError, Message

from cellcustody.ledger.contract import SHREDDABLE, BodyType
from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.findings import rule_of
from cellcustody.ledger.recording.planning import Explained
from cellcustody.ledger.statements import Opening

__all__ = ["explain"]

VALUE_LENGTH_MAX: Final = 200  # A value is shown to a person on a line; the whole of it is in the body.


def explain(
    findings: Iterable[Finding],
    found: BodyType | None = None,
    openings: Sequence[Opening] = (),
    extra: Iterable[tuple[str, tuple[tuple[str, str], ...]]] = (),
) -> tuple[Explained, ...]:
    """Returns the findings in words; `extra` adds values by code that no leaf carries."""
    added = dict(extra)
    explained: list[Explained] = []
    for finding in findings:
        rule = rule_of(finding.code)
        values = [] if found is None else _values(finding, found, openings)
        values.extend(added.get(finding.code, ()))
        explained.append(
            Explained(
                code=finding.code,
                strength=rule.strength.name,
                explanation=f"{rule.rule} To pass: {rule.remedy}",
                values=tuple(values),
            )
        )
    return tuple(explained)


def _values(finding: Finding, found: BodyType, openings: Sequence[Opening]) -> list[tuple[str, str]]:
    values: list[tuple[str, str]] = []
    for leaf in finding.leaves:
        if leaf >= len(openings):
            continue
        try:
            part = found.message_class.FromString(openings[leaf].record)
        except DecodeError:
            continue
        for field, value in part.ListFields():
            told = "withheld" if found.classes.get(field.number) in SHREDDABLE else _text(value)
            values.append((field.name, told))
    return values


def _text(value: object) -> str:
    match value:
        case bytes():
            text = value.hex()
        case Message():
            text = ", ".join(f"{field.name} {_text(part)}" for field, part in value.ListFields())
        case str() | int():
            text = str(value)
        case _ if isinstance(value, Iterable):
            text = " ".join(_text(part) for part in value)
        case _:
            text = str(value)
    return text if len(text) <= VALUE_LENGTH_MAX else text[:VALUE_LENGTH_MAX] + "..."
