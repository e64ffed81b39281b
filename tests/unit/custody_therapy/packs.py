"""Packs like the sample one, changed where a story needs it, and cases judged under them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.policy import PolicyPack, canonical_json, sample_pack_bytes
from cellcustody.ledger.custody.references import References

from .stories import REVIEWER, Story, creators_of, folds_of

Change = Callable[[dict[str, Any]], None]


def pack_with(*changes: Change) -> PolicyPack:
    """Returns the sample pack with these changes made to its members."""
    members = json.loads(sample_pack_bytes())
    for change in changes:
        change(members)
    return PolicyPack.parse(canonical_json(members))


def member(name: str, value: object) -> Change:
    """Sets a member."""

    def change(members: dict[str, Any]) -> None:
        members[name] = value

    return change


def step(body: str, *after: str, optional: bool = False, repeatable: bool = True) -> Change:
    """Puts a step into the order, or changes it."""

    def change(members: dict[str, Any]) -> None:
        members["steps"] = [one for one in members["steps"] if one["step"] != body]
        members["steps"].append({"step": body, "after": sorted(after), "optional": optional, "repeatable": repeatable})

    return change


def limit(name: str, **changed: object) -> Change:
    """Puts a test into the pack, or changes it."""

    def change(members: dict[str, Any]) -> None:
        new: dict[str, object] = {
            "test": name,
            "phases": ["release"],
            "unit": None,
            "min": None,
            "max": None,
            "outcome": "PASS",
            "required": True,
            "conditional": False,
        }
        members["tests"] = [one for one in members["tests"] if one["test"] != name] + [{**new, **changed}]

    return change


def case_under(pack: PolicyPack, story: Story) -> TherapyCase:
    """Returns a story folded under a pack."""
    references = References(folds_of(story.acts), creators_of(story.acts))
    own = [act for act in story.acts if act.stream == story.therapy]
    return TherapyCase(story.therapy, pack, own, references)


def codes_under(pack: PolicyPack, story: Story, act: Act) -> set[str]:
    """Returns the codes of the findings on an act under a pack."""
    return {finding.code for finding in case_under(pack, story).judged[act.digest].findings}


def refused_with(
    story: Story,
    body: Message,
    *,
    pack: PolicyPack | None = None,
    role: str = "quality_reviewer",
    signer: bytes = REVIEWER,
) -> set[str]:
    """Returns why an authorisation would be refused at the end of a story, having seen all; empty if it would not."""
    trial = Story(list(story.acts), story.now, story.therapy)
    act = trial.tell(body, signer, role=role, is_in_effect=False, seen=story.acts)
    case = case_under(pack or pack_with(), story)
    findings, _ = case.judge_authorisation(act)
    assert case.judged.get(act.digest) is None
    return {finding.code for finding in findings}
