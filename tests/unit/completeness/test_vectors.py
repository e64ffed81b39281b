"""The golden vectors of maps and paths, by the product and by the verifier that a dossier carries."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

import cellcustody.ledger.dossier
from cellcustody.ledger.completeness import (
    ALIASES,
    HEADS,
    AliasKey,
    MapProofError,
    blinded_alias,
    map_root,
    parse_alias_key_file,
    verify_absent,
    verify_present,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors/completeness"
TAGS = {"heads": HEADS, "aliases": ALIASES}
Case = dict[str, object]


def loaded(name: str) -> list[Case]:
    """Returns the cases in a file of vectors."""
    return cast("list[Case]", json.loads((VECTORS / name).read_text(encoding="utf-8")))


PATHS = loaded("paths.json")


def raw(case: Case, field: str) -> bytes:
    """Returns a field of a case."""
    return bytes.fromhex(str(case[field]))


def siblings_of(case: Case) -> list[bytes]:
    """Returns the siblings of a case."""
    return [bytes.fromhex(one) for one in cast("list[str]", case["siblings"])]


@pytest.mark.parametrize("case", loaded("maps.json"), ids=lambda case: f"{case['map']}-{case['keys']}")
def test_a_map_has_the_root_that_its_items_make(case: Case) -> None:
    """Of nothing, of one key, and of many."""
    items = cast("dict[str, str]", case["items"])
    made = {bytes.fromhex(key): bytes.fromhex(value) for key, value in items.items()}
    assert len(made) == case["keys"]
    assert map_root(TAGS[str(case["map"])], made) == raw(case, "root")


@pytest.mark.parametrize("case", PATHS, ids=lambda case: str(case["name"]))
def test_a_path_holds_or_does_not(case: Case) -> None:
    """Each case by its own name."""
    tags, key, root = TAGS[str(case["map"])], raw(case, "key"), raw(case, "root")
    other = (raw(case, "other_key"), raw(case, "other_value_digest")) if case["other_key"] else None

    def verify() -> None:
        if case["value"] is None:
            verify_absent(tags, key, siblings_of(case), other, root)
        else:
            if other is not None:
                raise MapProofError("a key that is there has no other in its place")
            verify_present(tags, key, raw(case, "value"), siblings_of(case), root)

    if case["verdict"] == "holds":
        verify()
    else:
        with pytest.raises(MapProofError):
            verify()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The verifier that a dossier carries, which shares no code with the product."""
    path = Path(cellcustody.ledger.dossier.__file__).parent / "verifiers/verify.py"
    found = importlib.util.spec_from_file_location("embedded_verifier_of_maps", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # Its dataclasses look their own module up.
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", PATHS, ids=lambda case: str(case["name"]))
def test_the_embedded_verifier_agrees(case: Case, script: ModuleType) -> None:
    """By its own reading of the format every case ends alike."""
    path = script.Message(
        script.SHAPES["MapPath"],
        {
            "siblings": siblings_of(case),
            "other_key": raw(case, "other_key"),
            "other_value_digest": raw(case, "other_value_digest"),
        },
    )
    is_there = case["value"] is not None
    value = raw(case, "value") if is_there else b""
    tag = TAGS[str(case["map"])].leaf[0]
    leads_to = cast("Callable[..., bytes]", script.map_root)
    try:
        holds = leads_to(raw(case, "key"), value, path, tag, is_there) == raw(case, "root")
    except Exception as refusal:
        assert type(refusal).__module__ == script.__name__, "it refuses in its own words"
        holds = False
    assert holds == (case["verdict"] == "holds")


def test_aliases_are_blinded_as_written() -> None:
    """By HMAC over the length of the scheme, the scheme, and the value; the check character is no part of it."""
    found = json.loads((VECTORS / "aliases.json").read_text(encoding="utf-8"))
    key = AliasKey(bytes.fromhex(found["ledger_id"]), bytes.fromhex(found["alias_key"]))
    assert key.commitment.hex() == found["commitment"]
    label = b"cellcustody/alias-key/v1\x00"
    assert hashlib.sha256(label + key.ledger_id + key.key).hexdigest() == found["commitment"]
    assert parse_alias_key_file(found["key_file"].encode()) == key
    by_hand = b"\x00\x0bisbt128-coiCHA999925000001"
    assert found["aliases"][0]["key"] == hmac.digest(key.key, by_hand, "sha256").hex()
    assert found["aliases"][0]["key"] == found["aliases"][1]["key"]
    for alias in found["aliases"]:
        assert blinded_alias(key.key, alias["scheme"], alias["value"]).hex() == alias["key"]
