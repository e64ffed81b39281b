"""The golden vectors of the formats get the verdict in the page that they get in the product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from verifier_page_driver import VerifierPage

from cellcustody.v1 import dossier_pb2, entry_pb2

pytestmark = pytest.mark.system

VECTORS = Path(__file__).parents[2] / "vectors"
STATEMENTS, TRANSPARENCY, COMPLETENESS = (VECTORS / name for name in ("statements", "transparency", "completeness"))


def test_statements(page: VerifierPage) -> None:
    """Envelopes, signatures, wire form, headers, commitments: each file as its verdict says."""
    index = json.loads((STATEMENTS / "index.json").read_bytes())
    keys = tuple(bytes.fromhex(spki) for spki in index["keys"].values())
    names = sorted(index["envelopes"])

    said = page.profile("statement", [((STATEMENTS / name).read_bytes(), *keys) for name in names])

    expected = {name: index["envelopes"][name] == "OK" for name in names}
    assert dict(zip(names, said, strict=True)) == expected
    assert len(expected) > 50


def test_bodies(page: VerifierPage) -> None:
    """Records shown, closed, swapped and altered against one commitment."""
    index = json.loads((STATEMENTS / "index.json").read_bytes())
    envelope = (STATEMENTS / "custody-ed25519.binpb").read_bytes()
    names = sorted(index["openings"])

    said = page.profile("body", [(envelope, _shown(STATEMENTS / name)) for name in names])

    # Read as a dossier's body, records come in the order of their numbers: only that they were swapped is not seen.
    expected = {name: index["openings"][name] == "OK" for name in names if name != "openings-swapped.json"}
    assert {name: one for name, one in zip(names, said, strict=True) if name in expected} == expected


def _shown(path: Path) -> bytes:
    body = dossier_pb2.DossierBody(leaf_index=1)
    for row in json.loads(path.read_bytes()):
        if "record" in row:
            opened = {"salt": bytes.fromhex(row["salt"]), "record": bytes.fromhex(row["record"])}
            body.openings.append(entry_pb2.Opening(index=row["index"], **opened))
        else:
            body.closed.append(dossier_pb2.ClosedRecord(index=row["index"], leaf_hash=bytes.fromhex(row["leaf_hash"])))
    return body.SerializeToString(deterministic=True)


def test_checkpoints_and_witness_policies(page: VerifierPage) -> None:
    """Notes, checkpoints, cosignatures and policies to the letter."""
    verdicts = json.loads((TRANSPARENCY / "verdicts.json").read_bytes())
    keys = json.loads((TRANSPARENCY / "keys.json").read_bytes())
    policies = sorted(name for name in verdicts if name.endswith(".policy"))
    checkpoints = sorted(name for name in verdicts if name.endswith(".checkpoint"))
    asked = (TRANSPARENCY / "good.policy").read_bytes()
    unasked = f"witness w {keys['witness 1']}\nquorum none\n".encode()

    read = page.profile("policy", [((TRANSPARENCY / name).read_bytes(),) for name in policies])
    signed = page.profile(
        "checkpoint",
        [
            (
                (TRANSPARENCY / name).read_bytes(),
                keys["origin"].encode(),
                asked if name.startswith(("not-cosigned", "signed-by-witness")) else unasked,
                keys["log"].encode(),
                keys["log ml-dsa"].encode(),
            )
            for name in checkpoints
        ],
    )

    assert dict(zip(policies, read, strict=True)) == {name: verdicts[name] is None for name in policies}
    assert dict(zip(checkpoints, signed, strict=True)) == {name: verdicts[name] is None for name in checkpoints}
    assert len(policies) > 10
    assert len(checkpoints) > 20


def test_paths_in_the_sparse_maps(page: VerifierPage) -> None:
    """Present, absent, and every way in which a path shows neither."""
    rows = json.loads((COMPLETENESS / "paths.json").read_bytes())
    calls: list[tuple[bytes, ...]] = []
    for row in rows:
        path = dossier_pb2.MapPath(
            siblings=[bytes.fromhex(sibling) for sibling in row["siblings"]],
            other_key=bytes.fromhex(row["other_key"]),
            other_value_digest=bytes.fromhex(row["other_value_digest"]),
        ).SerializeToString(deterministic=True)
        kind = b"aliases" if row["map"] == "aliases" else b""
        key, value, root = (bytes.fromhex(row[member] or "") for member in ("key", "value", "root"))
        calls.append((kind, key, value, path, root))

    said = page.profile("mapPath", calls)

    names = [row["name"] for row in rows]
    assert dict(zip(names, said, strict=True)) == {row["name"]: row["verdict"] == "holds" for row in rows}
    assert len(rows) > 5


def test_blinded_aliases(page: VerifierPage) -> None:
    """Schemes, values as printed and as typed, and values that are no identifiers."""
    given = json.loads((COMPLETENESS / "aliases.json").read_bytes())
    key = bytes.fromhex(given["alias_key"])

    said: list[object] = [
        *page.profile("alias", [(key, row["scheme"].encode(), row["value"].encode()) for row in given["aliases"]])
    ]

    assert said == [row["key"] for row in given["aliases"]]
    assert len(said) > 2
