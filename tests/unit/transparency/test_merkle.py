"""Trees and their proofs against outside probes, the recursive definition and every small size."""

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.transparency import (
    EMPTY_ROOT,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from cellcustody.ledger.transparency.errors import ConsistencyProofError, InclusionProofError

LEAVES = [leaf_hash(str(index).encode()) for index in range(300)]


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 6962, section 2.1, writes it down."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def defined_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH as RFC 6962, section 2.1.1, writes it down."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*defined_path(index, leaves[:split]), defined_root(leaves[split:])]
    return [*defined_path(index - split, leaves[split:]), defined_root(leaves[:split])]


def defined_consistency(size1: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF as RFC 6962, section 2.1.2, write them down."""
    if size1 == len(leaves):
        return [] if whole else [defined_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if size1 <= split:
        return [*defined_consistency(size1, leaves[:split], whole), defined_root(leaves[split:])]
    return [*defined_consistency(size1 - split, leaves[split:], False), defined_root(leaves[:split])]


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_outside_inclusion_probes(vectors: Path) -> None:
    """Each probe is accepted or refused as it says."""
    wrong, seen = [], 0
    for file in sorted((vectors / "merkle/inclusion").rglob("*.json")):
        probe = json.loads(file.read_text())
        refused = False
        try:
            verify_inclusion(
                probe["leafIdx"],
                probe["treeSize"],
                decoded(probe["leafHash"]),
                [decoded(step) for step in probe["proof"] or []],
                decoded(probe["root"]),
            )
        except InclusionProofError:
            refused = True
        seen += 1
        if refused != probe["wantErr"]:
            wrong.append((file.name, probe["desc"]))
    assert wrong == []
    assert seen >= 48


def test_outside_consistency_probes(vectors: Path) -> None:
    """Each probe is accepted or refused as it says."""
    wrong, seen = [], 0
    for file in sorted((vectors / "merkle/consistency").rglob("*.json")):
        probe = json.loads(file.read_text())
        refused = False
        try:
            verify_consistency(
                probe["size1"],
                probe["size2"],
                decoded(probe["root1"]),
                decoded(probe["root2"]),
                [decoded(step) for step in probe["proof"] or []],
            )
        except ConsistencyProofError:
            refused = True
        seen += 1
        if refused != probe["wantErr"]:
            wrong.append((file.name, probe["desc"]))
    assert wrong == []
    assert seen >= 22


def test_outside_reference_hashes_and_roots(vectors: Path) -> None:
    """The classic leaves give the classic roots."""
    reference = json.loads((vectors / "merkle/rfc6962_reference.json").read_text())
    for case in reference["hash_cases"]:
        match case["kind"]:
            case "empty_root":
                computed = EMPTY_ROOT
            case "leaf":
                computed = leaf_hash(bytes.fromhex(case["data_hex"]))
            case _:
                computed = node_hash(bytes.fromhex(case["left_hex"]), bytes.fromhex(case["right_hex"]))
        assert computed.hex() == case["want"], case["desc"]
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in reference["ct_reference_leaves_hex"]]
    roots = [root_of(leaves[:size]).hex() for size in range(1, 9)]
    assert roots == reference["roots_by_size_hex"]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    """The root over no leaves is SHA-256 of the empty string."""
    assert root_of([]) == EMPTY_ROOT == sha256(b"").digest()


def test_roots_and_proofs_are_those_of_the_definition() -> None:
    """At small sizes every root and proof equals what the recursive definition gives."""
    for size in range(1, 34):
        leaves = LEAVES[:size]
        assert root_of(leaves) == defined_root(leaves)
        for index in range(size):
            assert prove_inclusion(index, leaves) == defined_path(index, leaves)
            assert prove_consistency(index + 1, leaves) == defined_consistency(index + 1, leaves)


@given(st.data())
def test_proofs_verify_at_every_size(data: st.DataObject) -> None:
    """What is proved verifies, for any leaf and any pair of sizes up to 300."""
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    size1 = data.draw(st.integers(1, size))
    leaves, root = LEAVES[:size], root_of(LEAVES[:size])
    verify_inclusion(index, size, leaves[index], prove_inclusion(index, leaves), root)
    verify_consistency(size1, size, root_of(leaves[:size1]), root, prove_consistency(size1, leaves))


@given(st.data())
def test_any_change_to_an_inclusion_proof_fails(data: st.DataObject) -> None:
    """A flipped bit anywhere, a hash more, a hash fewer or another index fails."""
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    parts = [LEAVES[index], root_of(LEAVES[:size]), *prove_inclusion(index, LEAVES[:size])]
    which, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    flipped = list(parts)
    flipped[which] = (int.from_bytes(parts[which], "big") ^ 1 << bit).to_bytes(32, "big")
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    for leaf, root, proof, position in [
        (flipped[0], flipped[1], flipped[2:], index),
        (parts[0], parts[1], parts[3:], index),
        (parts[0], parts[1], parts[2:-1], index),
        (parts[0], parts[1], [*parts[2:], parts[1]], index),
        (parts[0], parts[1], parts[2:], other),
    ]:
        with pytest.raises(InclusionProofError):
            verify_inclusion(position, size, leaf, proof, root)


@given(st.data())
def test_any_change_to_a_consistency_proof_fails(data: st.DataObject) -> None:
    """A flipped bit in a root or a step, a step more or a step fewer fails."""
    size2 = data.draw(st.integers(2, 300))
    size1 = data.draw(st.integers(1, size2 - 1))
    parts = [root_of(LEAVES[:size1]), root_of(LEAVES[:size2]), *prove_consistency(size1, LEAVES[:size2])]
    which, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    flipped = list(parts)
    flipped[which] = (int.from_bytes(parts[which], "big") ^ 1 << bit).to_bytes(32, "big")
    for changed in (flipped, parts[:-1], [*parts, parts[1]], [parts[0], parts[1], parts[0], *parts[2:]]):
        with pytest.raises(ConsistencyProofError):
            verify_consistency(size1, size2, changed[0], changed[1], changed[2:])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (4, 3), (0, 0), (0, -1), (1 << 64, (1 << 64) + 1)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    """No proof is looked at for a leaf that the tree cannot have."""
    with pytest.raises(InclusionProofError):
        verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_of_another_length_are_refused(length: int) -> None:
    """A wrong length is an error wherever it stands, even where equal bytes would meet."""
    short = bytes(length)
    root = root_of(LEAVES[:2])
    for leaf, proof, claimed in [
        (short, [LEAVES[1]], root),
        (LEAVES[0], [short], root),
        (LEAVES[0], [LEAVES[1]], short),
    ]:
        with pytest.raises(InclusionProofError, match="32 bytes"):
            verify_inclusion(0, 2, leaf, proof, claimed)
    with pytest.raises(InclusionProofError, match="32 bytes"):
        verify_inclusion(0, 1, short, [], short)
    with pytest.raises(ConsistencyProofError, match="32 bytes"):
        verify_consistency(2, 2, short, short, [])
    with pytest.raises(ConsistencyProofError, match="32 bytes"):
        verify_consistency(1, 2, LEAVES[0], root, [short])


@pytest.mark.parametrize(("size1", "size2"), [(0, 0), (0, 3), (4, 3), (-1, 3)])
def test_consistency_from_nothing_or_backwards_is_refused(size1: int, size2: int) -> None:
    """Nothing follows from an empty tree, and no tree is a prefix of a smaller one."""
    with pytest.raises(ConsistencyProofError):
        verify_consistency(size1, size2, EMPTY_ROOT, root_of(LEAVES[:3]), [])
    if size1 <= 0:
        with pytest.raises(ConsistencyProofError):
            prove_consistency(size1, LEAVES[: max(size2, 0)])


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    """Two trees of one size are one tree."""
    root = root_of(LEAVES[:3])
    verify_consistency(3, 3, root, root, [])
    verify_consistency(2**64 - 1, 2**64 - 1, root, root, [])
    with pytest.raises(ConsistencyProofError):
        verify_consistency(2**64, 2**64, root, root, [])
    for other, proof in [(root_of(LEAVES[:2]), []), (root, [root])]:
        with pytest.raises(ConsistencyProofError):
            verify_consistency(3, 3, root, other, proof)
