"""Stories of the small file that an auditor gets by another way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.registry import Anchor, encode_anchor, parse_anchor
from cellcustody.ledger.registry.errors import AnchorMalformedError

if TYPE_CHECKING:
    from tests.unit.registry.conftest import RegistryWorld


@pytest.fixture
def anchor(world: RegistryWorld) -> Anchor:
    """The anchor of a ledger that has been founded."""
    world.founds()
    founding, keys = world.state.latest.founding, world.state.latest.log_keys
    assert founding is not None
    assert keys is not None
    return Anchor(founding.statement_digest, founding.log_origin, keys.keys)


def test_an_anchor_is_read_as_it_was_written(anchor: Anchor) -> None:
    """And it is text that people can read and compare."""
    raw = encode_anchor(anchor)

    assert parse_anchor(raw) == anchor
    assert raw.endswith(b"}\n")
    assert json.loads(raw)["founding_digest"] == anchor.founding_digest.hex()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", "another"),
        ("format_version", 2),
        ("format_version", True),
        ("format_version", 1.0),
        ("founding_digest", "AB" * 32),
        ("founding_digest", "ab" * 31),
        ("founding_digest", " " + "ab" * 32),
        ("founding_digest", "no hex"),
        ("founding_digest", None),
        ("log_origin", "with space"),
        ("log_origin", "elsewhere"),
        ("log_keys", []),
        ("log_keys", "one"),
        ("log_keys", ["no key"]),
        ("log_keys", [7]),
        ("witness_policy", None),
        ("witness_policy", "quorum"),
        ("surplus", 1),
    ],
)
def test_an_anchor_says_nothing_else(anchor: Anchor, member: str, value: object) -> None:
    """A member that is wrong, missing or surplus is refused; nothing is guessed."""
    members = json.loads(encode_anchor(anchor))
    members[member] = value
    with pytest.raises(AnchorMalformedError):
        parse_anchor(json.dumps(members).encode())

    del members[member]
    with pytest.raises(AnchorMalformedError):
        if member == "surplus":
            del members["log_origin"]
        parse_anchor(json.dumps(members).encode())


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"format":1,"format":1}', b"[" * 60_000, b" " * 70_000])
def test_what_is_no_anchor_is_refused(raw: bytes) -> None:
    """Whatever it is, the error is the anchor's own."""
    with pytest.raises(AnchorMalformedError):
        parse_anchor(raw)


def test_an_anchor_may_ask_for_no_witness_by_policy(anchor: Anchor) -> None:
    """A policy, where there is one, is held to its exact form."""
    asked = Anchor(anchor.founding_digest, anchor.log_origin, anchor.log_keys, "quorum none\n")

    assert parse_anchor(encode_anchor(asked)) == asked
