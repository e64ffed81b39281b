"""The page on the format names every reason, rule and payload type, and its example is that of the vectors."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import KeyAlgorithm, Opening, PayloadType, errors
from cellcustody.ledger.statements.errors import WireRule

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "formats" / "statement.md").read_text(encoding="utf-8")
VECTORS = ROOT / "tests" / "vectors" / "statements"


def test_every_reason_is_documented() -> None:
    reasons = {
        found.reason
        for name in errors.__all__
        if isinstance(found := getattr(errors, name), type) and issubclass(found, CellcustodyError)
    }
    assert {reason for reason in reasons if f"`{reason}`" not in PAGE} == set()
    assert len(reasons) == 16


def test_every_rule_of_the_wire_form_is_documented() -> None:
    table = PAGE.split("## Wire form")[1].split("## Payload")[0]
    assert re.findall(r"^\| `([A-Z0-9_]+)` \|", table, re.MULTILINE) == [rule.value for rule in WireRule]


def test_every_kind_and_key_prefix_is_documented() -> None:
    kinds = {payload_type.value.split(".")[2] for payload_type in PayloadType}
    assert {kind for kind in kinds if f"`{kind}`" not in PAGE} == set()
    assert all(f"`{algorithm.value.hex()}`" in PAGE for algorithm in KeyAlgorithm)


def test_the_example_is_that_of_the_vectors() -> None:
    index = json.loads((VECTORS / "index.json").read_bytes())
    assert index["commitment"]["root"] in PAGE
    assert index["statement_digests"]["custody-ed25519.binpb"] in PAGE
    openings = {one["index"]: one for one in json.loads((VECTORS / "openings-all.json").read_bytes())}
    rows = re.findall(r"^\| (\d) \| (\d) \| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for number, field, record, salt, leaf in rows:
        assert (openings[int(number)]["record"], openings[int(number)]["salt"]) == (record, salt)
        assert index["commitment"]["field_numbers"][int(number)] == int(field)
        assert Opening(int(number), bytes.fromhex(salt), bytes.fromhex(record)).leaf_hash.hex() == leaf
