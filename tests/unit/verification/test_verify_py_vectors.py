"""Vectors, golden and outside, read by verify.py: the same verdicts as the product's, by code of its own."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import cast

import cryptography_vectors
import pytest

from corpus.verdicts import load_verify_py

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
TRANSPARENCY, STATEMENTS = VECTORS / "transparency", VECTORS / "statements"
ORIGIN = "ledger.example/a9999"
P256_HALF = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The verifier that dossiers carry."""
    return load_verify_py()


@pytest.mark.parametrize("file", ["ed25519_test.json", "ecdsa_secp256r1_sha256_p1363_test.json"])
def test_wycheproof_verdicts_and_low_s(script: ModuleType, vectors: Path, file: str) -> None:
    """The verdict is the vector's, and for P-256 also that s is low."""
    wrong: list[int] = []
    seen: Counter[bool] = Counter()
    for group in json.loads((vectors / "wycheproof" / file).read_bytes())["testGroups"]:
        key = script.read_key(bytes.fromhex(group["publicKeyDer"]))
        for test in group["tests"]:
            signature, message = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
            has_low_s = len(signature) == 64 and 1 <= int.from_bytes(signature[32:], "big") <= P256_HALF
            expected = test["result"] == "valid" and (key.algorithm != "P-256" or has_low_s)
            seen[expected] += 1
            if holds(script, lambda k=key, s=signature, m=message: k.verify(s, m)) != expected:
                wrong.append(test["tcId"])
    assert wrong == []
    assert min(seen[True], seen[False]) > 20


def holds(script: ModuleType, check: object) -> bool:
    """Tells whether a check of the script passes; anything but its own refusal is an error."""
    try:
        check()  # type: ignore[operator]  # a function without arguments
    except script.Defect:
        return False
    return True


def test_ed25519_reference_vectors(script: ModuleType) -> None:
    """RFC 8032's reference vectors verify, and no longer do with another message."""
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as lines:
        rows = [line.strip().split(":") for line in lines]
    for _, public, message_hex, signed, _ in rows[:256]:
        key, message = bytes.fromhex(public), bytes.fromhex(message_hex)
        signature = bytes.fromhex(signed)[:64]
        script.verify_ed25519(key, signature, message)
        assert not holds(script, lambda k=key, s=signature, m=message: script.verify_ed25519(k, s, m + b"\0"))


def test_outside_inclusion_probes(script: ModuleType, vectors: Path) -> None:
    """Each probe is accepted or refused as it says."""
    wrong, seen = [], 0
    for file in sorted((vectors / "merkle/inclusion").rglob("*.json")):
        probe = json.loads(file.read_text())
        path = [base64.b64decode(step) for step in probe["proof"] or []]
        leaf, root = base64.b64decode(probe["leafHash"] or ""), base64.b64decode(probe["root"] or "")
        arguments = (probe["leafIdx"], leaf, path, probe["treeSize"], root)
        seen += 1
        if holds(script, lambda a=arguments: script.check_path_of_one(*a)) == probe["wantErr"]:
            wrong.append((file.name, probe["desc"]))
    assert wrong == []
    assert seen >= 48


def test_outside_reference_roots(script: ModuleType, vectors: Path) -> None:
    """The classic leaves give the classic roots."""
    reference = json.loads((vectors / "merkle/rfc6962_reference.json").read_text())
    leaves = [script.sha256(b"\0" + bytes.fromhex(leaf)) for leaf in reference["ct_reference_leaves_hex"]]

    assert [script.root_of(leaves[:size]).hex() for size in range(1, 9)] == reference["roots_by_size_hex"]


@pytest.mark.parametrize("name", sorted(json.loads((STATEMENTS / "index.json").read_text())["envelopes"]))
def test_golden_statements(script: ModuleType, name: str) -> None:
    """Form, signatures and header of each are accepted or refused as it is named."""
    index = json.loads((STATEMENTS / "index.json").read_text())
    keys = {bytes.fromhex(key_id): script.read_key(bytes.fromhex(spki)) for key_id, spki in index["keys"].items()}
    entry = b"\x08\x01" + _field(2, (STATEMENTS / name).read_bytes()) + b"\x28\x01" + _field(6, bytes(32))
    digest = ""

    def read() -> None:
        nonlocal digest
        found = script.Entry(0, entry, None)
        found.verify_signatures(keys, script.Report())
        digest = found.digest.hex()

    assert holds(script, read) is (index["envelopes"][name] == "OK")
    assert digest == index["statement_digests"].get(name, digest)


def _field(number: int, content: bytes) -> bytes:
    length = len(content)
    head = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([number << 3 | 2]) + head + content


def _verdicts(kind: str) -> dict[str, str | None]:
    verdicts = cast("dict[str, str | None]", json.loads((TRANSPARENCY / "verdicts.json").read_text()))
    return {name: verdict for name, verdict in verdicts.items() if name.endswith(kind)}


@pytest.mark.parametrize("name", sorted(_verdicts(".checkpoint")))
def test_golden_checkpoints(script: ModuleType, name: str) -> None:
    """Notes, checkpoints, signatures of the log and of a witness, and the quorum of the good policy."""
    told = json.loads((TRANSPARENCY / "keys.json").read_text())
    log = [script.read_vkey(told["log"]), script.read_vkey(told["log ml-dsa"])]
    policy = script.read_policy((TRANSPARENCY / "good.policy").read_bytes())

    def read() -> None:
        checkpoint = script.read_checkpoint((TRANSPARENCY / name).read_bytes())
        signed = script.verify_note(checkpoint, [*log, *policy.witnesses.values()], script.Report())
        script.need(checkpoint.origin == ORIGIN and signed.intersection(log), "the log did not sign")
        script.need(checkpoint.size or checkpoint.root == script.EMPTY, "an empty tree has the empty root")
        if name == "not-cosigned.checkpoint":
            script.need(signed.intersection(policy.witnesses.values()), "no witness signed")

    assert holds(script, read) is (_verdicts(".checkpoint")[name] is None)


@pytest.mark.parametrize("name", sorted(_verdicts(".policy")))
def test_golden_policies(script: ModuleType, name: str) -> None:
    """Witness policies are read or refused as they are named."""
    raw = (TRANSPARENCY / name).read_bytes()

    assert holds(script, lambda: script.read_policy(raw)) is (_verdicts(".policy")[name] is None)
