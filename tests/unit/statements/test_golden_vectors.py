"""The golden vectors are what the script makes, and reading each ends as the index says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from cellcustody.ledger.errors import RefusedError
from cellcustody.ledger.statements import (
    ClosedRecord,
    Commitment,
    DisclosedBody,
    KeyId,
    Opening,
    PublicKey,
    open_body,
    parse_public_key,
    partial_body,
    read_statement,
)
from cellcustody.v1 import entry_pb2

FOLDER = Path(__file__).parents[2] / "vectors" / "statements"
INDEX = json.loads((FOLDER / "index.json").read_bytes())


def outcome_of(refusal: RefusedError) -> str:
    """Returns a refusal as the index writes it: reason, then the rule or field it names."""
    return " ".join(filter(None, (refusal.reason, refusal.values.get("rule"), refusal.values.get("field"))))


def enrolled(key_id: KeyId) -> PublicKey | None:
    """Finds a key among those of the index."""
    spki = INDEX["keys"].get(key_id.hex())
    return None if spki is None else parse_public_key(bytes.fromhex(spki))


def shown_in(name: str) -> DisclosedBody:
    """Returns the records of a file of openings."""
    return DisclosedBody(
        tuple(
            Opening(one["index"], bytes.fromhex(one["salt"]), bytes.fromhex(one["record"]))
            if "record" in one
            else ClosedRecord(one["index"], bytes.fromhex(one["leaf_hash"]))
            for one in json.loads((FOLDER / name).read_bytes())
        )
    )


def committed() -> Commitment:
    """Returns the commitment that every set of openings is held to."""
    return Commitment(bytes.fromhex(INDEX["commitment"]["root"]), tuple(INDEX["commitment"]["field_numbers"]))


def test_rebuilding_gives_the_same_bytes() -> None:
    """The script makes every file of the folder, byte for byte, and there is no other."""
    script = load("statement_vectors_build", FOLDER / "build.py")
    made = cast("dict[str, bytes]", script.files())
    there = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in (".binpb", ".json")}
    assert made == there


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(INDEX["envelopes"]))
def test_an_envelope_is_read_or_refused_as_its_name_says(name: str) -> None:
    raw, expected = (FOLDER / name).read_bytes(), INDEX["envelopes"][name]
    if expected == "OK":
        assert read_statement(raw, enrolled).digest.hex() == INDEX["statement_digests"][name]
        return
    with pytest.raises(RefusedError) as refusal:
        read_statement(raw, enrolled)
    assert outcome_of(refusal.value) == expected


@pytest.mark.parametrize("name", sorted(INDEX["openings"]))
def test_openings_verify_or_are_refused_as_their_name_says(name: str) -> None:
    shown, expected = shown_in(name), INDEX["openings"][name]
    if expected == "OK":
        shown.verify(committed())
        return
    with pytest.raises(RefusedError) as refusal:
        shown.verify(committed())
    assert refusal.value.reason == expected


def test_all_openings_are_the_body() -> None:
    """A statement read from its file, with all its openings, gives the body's exact bytes."""
    statement = read_statement((FOLDER / "custody-ed25519.binpb").read_bytes(), enrolled)
    openings = shown_in("openings-all.json").openings
    assert b"".join(opening.record for opening in openings) == (FOLDER / "body.binpb").read_bytes()
    assert open_body(statement, openings, entry_pb2.Judgement).rule_set == 1


def test_a_closed_field_reads_as_unset() -> None:
    """Of the records shown the body holds the values; of the others it holds nothing."""
    shown = shown_in("openings-some.json")
    shown.verify(committed())
    body = partial_body(entry_pb2.Judgement, shown.openings)
    assert (body.rule_set, body.policy_digest, len(body.findings)) == (1, b"", 0)
    assert shown.closed_indexes == (1, 3, 4)
