"""The sparse Merkle map against a plain dictionary: roots, proofs of presence and absence, and what is refused."""

import hashlib
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.ledger.completeness import (
    ALIASES,
    EMPTY,
    HEADS,
    HeadMapDamagedError,
    MapProofError,
    RowsInMemory,
    SparseMap,
    map_root,
    verify_absent,
    verify_present,
)
from cellcustody.ledger.completeness.sparse_map import MapEnd, Summary

KEYS = st.one_of(
    st.binary(min_size=32, max_size=32),
    # Neighbours: keys that differ in one bit, so that paths grow long.
    st.integers(0, 255).map(lambda bit: (1 << bit).to_bytes(32, "big")),
    st.integers(0, 40).map(lambda n: hashlib.sha256(n.to_bytes(2, "big")).digest()),
)
ITEMS = st.dictionaries(KEYS, st.binary(max_size=60), max_size=40)


def made(items: Mapping[bytes, bytes]) -> SparseMap:
    """Returns a map with these items, taken in one by one."""
    found = SparseMap(HEADS, RowsInMemory())
    for key, value in items.items():
        found.update({key: value})
    return found


def plain_root(items: Sequence[tuple[bytes, bytes]], depth: int = 0) -> bytes:
    """Returns the root as the format says it, word by word."""
    if not items:
        return bytes(32)
    if len(items) == 1:
        key, value = items[0]
        return hashlib.sha256(b"\x10" + key + hashlib.sha256(value).digest()).digest()
    halves: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for item in items:
        halves[int.from_bytes(item[0], "big") >> (255 - depth) & 1].append(item)
    return hashlib.sha256(b"\x11" + plain_root(halves[0], depth + 1) + plain_root(halves[1], depth + 1)).digest()


def siblings_of(end: MapEnd) -> list[bytes]:
    """Returns siblings as a path writes them."""
    return [b"" if sibling == EMPTY else sibling for sibling in end.siblings]


def show(tree: SparseMap, key: bytes, root: bytes) -> bytes | None:
    """Returns what a verifier learns of a key."""
    end = tree.prove(key)
    if end.value is not None:
        verify_present(HEADS, key, end.value, siblings_of(end), root)
        return end.value
    other = None if end.other is None else (end.other[0], hashlib.sha256(end.other[1]).digest())
    verify_absent(HEADS, key, siblings_of(end), other, root)
    return None


@settings(max_examples=150)
@given(ITEMS, st.binary(max_size=8))
def test_the_root_follows_from_the_set_alone(items: dict[bytes, bytes], order: bytes) -> None:
    """Taken in at once, one by one, or in another order, the map has the root that the format says."""
    shuffled = sorted(items.items(), key=lambda item: hashlib.sha256(item[0] + order).digest())
    expected = plain_root(sorted(items.items()))
    assert map_root(HEADS, items) == expected
    assert made(items).root == expected
    assert made(dict(shuffled)).root == expected


@settings(max_examples=100)
@given(ITEMS, st.lists(st.tuples(KEYS, st.binary(max_size=20)), max_size=30), st.lists(KEYS, max_size=10))
def test_every_key_is_shown_as_the_dictionary_has_it(
    items: dict[bytes, bytes], changes: list[tuple[bytes, bytes]], asked: list[bytes]
) -> None:
    """After any changes every key that is there is shown with its value, and every other as absent."""
    model = dict(items)
    tree = made(items)
    for key, value in changes:
        assert tree.update({key: value}) == (key not in model)
        model[key] = value
    assert tree.root == plain_root(sorted(model.items()))
    for key in {*model, *asked}:
        assert show(tree, key, tree.root) == model.get(key)
        assert tree.value(key) == model.get(key)


@settings(max_examples=100)
@given(ITEMS, KEYS, st.binary(max_size=20))
def test_no_lie_about_a_key_verifies(items: dict[bytes, bytes], key: bytes, false_value: bytes) -> None:
    """With the honest path nothing else can be claimed of a key: no other value, and no other verdict."""
    tree = made(items)
    end = tree.prove(key)
    siblings = siblings_of(end)
    if false_value != end.value:
        with pytest.raises(MapProofError):
            verify_present(HEADS, key, false_value, siblings, tree.root)
    if end.value is not None:
        with pytest.raises(MapProofError):
            verify_absent(HEADS, key, siblings, None, tree.root)
        with pytest.raises(MapProofError, match="itself stands there"):
            verify_absent(HEADS, key, siblings, (key, hashlib.sha256(end.value).digest()), tree.root)


def hashed(number: int) -> bytes:
    """Returns one of many keys that spread evenly."""
    return hashlib.sha256(number.to_bytes(4, "big")).digest()


def test_a_neighbour_does_not_stand_for_absence_of_what_is_there() -> None:
    """The leaf of a neighbour is no proof that a key beside it is absent."""
    items = {hashed(number): b"%d" % number for number in range(500)}
    tree = made(items)
    key = hashed(7)
    for neighbour in sorted(items):
        if neighbour == key:
            continue
        end = tree.prove(neighbour)
        with pytest.raises(MapProofError):
            verify_absent(
                HEADS, key, siblings_of(end), (neighbour, hashlib.sha256(items[neighbour]).digest()), tree.root
            )


def test_a_path_of_another_kind_of_map_is_refused() -> None:
    """Heads and aliases are hashed under tags of their own."""
    tree = made({hashed(1): b"one", hashed(2): b"two"})
    end = tree.prove(hashed(1))
    verify_present(HEADS, hashed(1), b"one", siblings_of(end), tree.root)
    with pytest.raises(MapProofError):
        verify_present(ALIASES, hashed(1), b"one", siblings_of(end), tree.root)


def test_a_path_has_one_form() -> None:
    """An empty subtree is no bytes and nothing else; nothing stands beside it at the end; lengths are exact."""
    items = {bytes(32): b"a", bytes(31) + b"\x01": b"b"}
    tree = made(items)
    end = tree.prove(bytes(32))
    honest = siblings_of(end)
    assert len(honest) == 256
    verify_present(HEADS, bytes(32), b"a", honest, tree.root)
    for siblings, words in (
        ([*honest[:-1], EMPTY], "no bytes for an empty"),
        ([*honest[:-1], b"\x00"], "no bytes for an empty"),
        ([b"", *honest], "no longer than"),
        ([b"", *honest[:255]], "beside nothing"),
        (honest[:255], "does not lead"),
    ):
        with pytest.raises(MapProofError, match=words):
            verify_present(HEADS, bytes(32), b"a", siblings, tree.root)
    with pytest.raises(MapProofError, match="32 bytes"):
        verify_present(HEADS, bytes(31), b"a", honest, tree.root)
    with pytest.raises(MapProofError, match="beside the way"):
        verify_absent(HEADS, bytes(32), honest, (b"\x80" + bytes(31), bytes(32)), tree.root)


def test_an_empty_map_lacks_every_key() -> None:
    """The root of nothing is zero bytes, and a path of no siblings shows that a key is absent."""
    tree = made({})
    assert tree.root == EMPTY
    assert tree.prove(hashed(1)) == MapEnd(None, None, [])
    verify_absent(HEADS, hashed(1), [], None, EMPTY)


def test_paths_stay_short() -> None:
    """Among 4,000 keys a path has about twelve siblings, and never many more."""
    tree = SparseMap(HEADS, RowsInMemory())
    tree.update({hashed(number): b"" for number in range(4000)})
    lengths = [len(tree.prove(hashed(number)).siblings) for number in range(4000)]
    assert sum(lengths) / len(lengths) < 15
    assert max(lengths) < 40


def test_a_damaged_bucket_is_noticed_before_it_is_hashed_anew() -> None:
    """A value that changed in its row, without its hash, is refused; nothing is proved or built on it."""
    rows = RowsInMemory()
    tree = SparseMap(HEADS, rows)
    tree.update({hashed(1): b"one"})
    index = int.from_bytes(hashed(1)[:2], "big") >> 2
    rows.write(index, {hashed(1): b"two"}, Summary(EMPTY, True))
    with pytest.raises(HeadMapDamagedError):
        tree.prove(hashed(1))
    with pytest.raises(HeadMapDamagedError):
        tree.update({hashed(1): b"three"})
