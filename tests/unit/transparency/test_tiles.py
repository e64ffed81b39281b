"""Paths, bundles, tile reading and the right edge, held together at every size around the boundaries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellcustody.ledger.transparency import (
    EMPTY_ROOT,
    Bundle,
    RightEdge,
    Tile,
    TileTree,
    TileWrite,
    bundle_path,
    bundles_touched,
    decode_bundle,
    encode_bundle,
    leaf_hash,
    parse_bundle_path,
    parse_tile_path,
    prove_consistency,
    prove_inclusion,
    root_of,
    tile_path,
    tile_width,
    tiles_touched,
    verify_consistency,
    verify_inclusion,
)
from cellcustody.ledger.transparency.errors import (
    BundleMalformedError,
    ConsistencyProofError,
    InclusionProofError,
    TileContentError,
    TilePathMalformedError,
)

LEAVES = [leaf_hash(index.to_bytes(4, "big")) for index in range(66_000)]


class TilesInMemory:
    """A store that keeps only the widest version of every tile, and counts what is read from it."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        self.reads += 1
        return self.tiles[level, index][: 32 * width]

    def write(self, writes: list[TileWrite]) -> None:
        for tile in writes:
            self.tiles[tile.level, tile.index] = tile.hashes


def grown(size: int, group: int = 4096) -> tuple[RightEdge, TilesInMemory]:
    """A tree of the first `size` leaves, and its stored tiles."""
    stored = TilesInMemory()
    edge = RightEdge(older=TileTree(stored))
    for start in range(0, size, group):
        stored.write(edge.extend(LEAVES[start : min(start + group, size)]))
    return edge, stored


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/000.p/1", Tile(0, 0, 1)),
        ("tile/1/005.p/255", Tile(1, 5, 255)),
        ("tile/0/x001/x234/067", Tile(0, 1234067)),
        ("tile/2/x001/000.p/17", Tile(2, 1000, 17)),
        ("tile/63/999", Tile(63, 999)),
    ],
)
def test_tile_paths_have_one_spelling(path: str, tile: Tile) -> None:
    """A path is written and read back alike."""
    assert parse_tile_path(path) == tile
    assert tile_path(tile.level, tile.index, tile.width) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "/tile/0/000", "tile/0/000/", "tile/00/000", "tile/01/000", "tile/64/000",
        "tile/-1/000", "tile/+1/000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/005", "tile/0/x000",
        "tile/0/001/000", "tile/0/x01/000", "tile/0/x001/00", "tile/0/X001/000", "tile/0/000.p/0", "tile/0/000.p/256",
        "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/+1", "tile/0/000.p/1 ", " tile/0/000",
        "tile/0/000\n", "tile/0/٠٠٠", "tile/٠/000", "tile/0/000.p/١", "tile/entries/000", "tile/ /000",
        "tile/0/000.p/1/", "tile/0//000", "tile/../000", "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/" + "x001/" * 3000 + "000",
    ],
)  # fmt: skip
def test_other_spellings_of_tile_paths_are_refused(path: str) -> None:
    """Nothing but the exact form names a tile."""
    with pytest.raises(TilePathMalformedError):
        parse_tile_path(path)


@pytest.mark.parametrize("path", ["tile/entries/0", "tile/0/000", "tile/entries/000.p/256", "tile/Entries/000"])
def test_other_spellings_of_bundle_paths_are_refused(path: str) -> None:
    """Nothing but the exact form names an entry bundle."""
    with pytest.raises(TilePathMalformedError):
        parse_bundle_path(path)


@given(st.integers(0, 63), st.integers(0, 2**64 - 1), st.integers(1, 256))
def test_every_path_written_is_read_back(level: int, index: int, width: int) -> None:
    """Writing and reading paths are inverse over all levels, indexes and widths."""
    assert parse_tile_path(tile_path(level, index, width)) == Tile(level, index, width)
    assert parse_bundle_path(bundle_path(index, width)) == Bundle(index, width)


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_no_path_is_written_for_what_is_no_tile(level: int, index: int, width: int) -> None:
    """Numbers out of bounds are refused when a path is written."""
    with pytest.raises(TilePathMalformedError):
        tile_path(level, index, width)


def test_the_specifications_tree_of_70000() -> None:
    """273 full tiles and one of 112, one full and one of 17, and one of 1."""
    tiles = tiles_touched(0, 70_000)
    assert [tile for tile in tiles if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert len(tiles) == 274 + 2 + 1
    assert tile_width(0, 273, 70_000) == 112
    assert tile_width(0, 274, 70_000) == 0


def test_a_tree_of_256_has_one_full_tile_and_one_hash_above() -> None:
    """A full tile is hashed into the level above at once; nothing is written for empty tiles."""
    assert tiles_touched(255, 256) == [Tile(0, 0, 256), Tile(1, 0, 1)]
    assert bundles_touched(250, 260) == [Bundle(0, 256), Bundle(1, 4)]
    assert tiles_touched(256, 256) == []


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    """A bundle gives back its entries, in order, and nothing else reads as it."""
    raw = encode_bundle(entries)
    assert decode_bundle(raw, len(entries)) == entries
    for damaged, width in [(raw[:-1], len(entries)), (raw + b"\x00", len(entries)), (raw, len(entries) + 1)]:
        with pytest.raises(BundleMalformedError):
            decode_bundle(damaged, width)


def test_bundles_hold_entries_up_to_65535_bytes() -> None:
    """The largest entry fits, one byte more does not, and neither does an empty or a 257th entry."""
    largest = bytes(65_535)
    assert decode_bundle(encode_bundle([largest]), 1) == [largest]
    for raw, width in [(b"", 0), (bytes(514), 257)]:
        with pytest.raises(BundleMalformedError):
            decode_bundle(raw, width)
    for entries in ([largest + b"\x00"], [], [b""] * 257):
        with pytest.raises(BundleMalformedError):
            encode_bundle(entries)


@settings(max_examples=60)
@given(st.data())
def test_tiles_prove_what_the_definition_proves(data: st.DataObject) -> None:
    """Roots and proofs out of tiles equal those over all leaves, at any size up to that of the tree."""
    size = data.draw(st.integers(1, 300) | st.sampled_from([511, 512, 513, 1024, 2000]))
    edge, stored = grown(size, data.draw(st.sampled_from([1, 7, 16, 255, 256, 257, 4096])))
    smaller = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, smaller - 1))
    tree = TileTree(stored)
    root = root_of(LEAVES[:smaller])
    assert tree.root(smaller) == root
    assert tree.inclusion_proof(index, smaller) == prove_inclusion(index, LEAVES[:smaller])
    assert tree.consistency_proof(smaller, size) == prove_consistency(smaller, LEAVES[:size])
    assert tree.leaf_hash(index, smaller) == LEAVES[index]
    assert edge.root() == root_of(LEAVES[:size])
    assert edge.inclusion_proof(index) == prove_inclusion(index, LEAVES[:size])
    assert edge.consistency_proof(smaller) == prove_consistency(smaller, LEAVES[:size])


def test_every_proof_verifies_through_tiles_at_every_size_to_300() -> None:
    """First, last and middle leaf and size, at each size from 1 to 300."""
    edge, stored = RightEdge(), TilesInMemory()
    tree = TileTree(stored)
    roots = [EMPTY_ROOT]
    for size in range(1, 301):
        stored.write(edge.extend(LEAVES[size - 1 : size]))
        roots.append(edge.root())
        for index in {0, size // 2, size - 1}:
            verify_inclusion(index, size, LEAVES[index], tree.inclusion_proof(index, size), roots[size])
            verify_consistency(index + 1, size, roots[index + 1], roots[size], tree.consistency_proof(index + 1, size))


def test_three_levels_of_tiles_prove_and_resume() -> None:
    """Past 65,536 leaves a third level begins; a resumed edge goes on as the one that never stopped."""
    edge, stored = grown(65_530)
    resumed = RightEdge.resume(stored, 65_530)
    writes = edge.extend(LEAVES[65_530:66_000])
    assert resumed.extend(LEAVES[65_530:66_000]) == writes
    stored.write(writes)
    assert (2, 0) in stored.tiles
    assert edge.root() == resumed.root() == TileTree(stored).root(66_000) == root_of(LEAVES)
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        assert edge.inclusion_proof(index) == resumed.inclusion_proof(index)
        verify_inclusion(index, 66_000, LEAVES[index], edge.inclusion_proof(index), edge.root())
    assert edge.consistency_proof(65_530) == prove_consistency(65_530, LEAVES)


@given(st.integers(0, 1200), st.integers(0, 600))
def test_growth_writes_the_touched_tiles_whole(before: int, more: int) -> None:
    """What is written are exactly the tiles that changed, each with all its hashes."""
    edge, _ = grown(before)
    writes = edge.extend(LEAVES[before : before + more])
    assert [Tile(tile.level, tile.index, tile.width) for tile in writes] == tiles_touched(before, before + more)
    assert edge.size == before + more


def test_receipts_for_the_leaves_of_a_group_read_nothing() -> None:
    """A group that crosses two tile boundaries is proved from memory alone, before anything is stored."""
    edge, stored = grown(4_000)
    committed_reads = stored.reads
    edge.extend(LEAVES[4_000:4_700])
    root = edge.root()
    for index in range(4_000, 4_700, 50):
        verify_inclusion(index, 4_700, LEAVES[index], edge.inclusion_proof(index), root)
    assert stored.reads == committed_reads


def test_growth_that_did_not_commit_leaves_no_trace() -> None:
    """A dropped copy changes nothing; the kept one goes on."""
    edge, _ = grown(250)
    root = edge.root()
    speculative = edge.copy()
    speculative.extend(LEAVES[250:600])
    assert (edge.size, edge.root()) == (250, root)
    edge.extend([LEAVES[0]])
    assert edge.root() == root_of([*LEAVES[:250], LEAVES[0]])
    assert speculative.root() == root_of(LEAVES[:600])


def test_tiles_of_the_wrong_length_are_refused() -> None:
    """A short tile is an error, not a shorter tree."""
    _, stored = grown(300)
    stored.tiles[0, 1] = stored.tiles[0, 1][:-1]
    with pytest.raises(TileContentError):
        TileTree(stored).root(300)
    with pytest.raises(TileContentError):
        RightEdge.resume(stored, 300)
    with pytest.raises(TileContentError):
        RightEdge().append(bytes(31))


def test_leaves_and_sizes_outside_the_tree_are_refused() -> None:
    """No proof is made up for what is not there."""
    edge, stored = grown(10)
    tree = TileTree(stored)
    for index in (-1, 10):
        with pytest.raises(InclusionProofError):
            edge.inclusion_proof(index)
        with pytest.raises(InclusionProofError):
            tree.inclusion_proof(index, 10)
        with pytest.raises(InclusionProofError):
            tree.leaf_hash(index, 10)
    assert edge.consistency_proof(10) == tree.consistency_proof(10, 10) == []
    for size in (0, 11):
        with pytest.raises(ConsistencyProofError):
            edge.consistency_proof(size)
        with pytest.raises(ConsistencyProofError):
            tree.consistency_proof(size, 10)


def test_the_empty_tree_has_a_root_and_nothing_to_write() -> None:
    """Before the first leaf there is the empty root."""
    edge = RightEdge()
    assert edge.root() == TileTree(TilesInMemory()).root(0) == EMPTY_ROOT
    assert edge.extend([]) == []
    assert RightEdge.resume(TilesInMemory(), 0).root() == EMPTY_ROOT


def test_older_full_tiles_leave_memory_and_come_from_the_reader() -> None:
    """Memory stays bounded: a receipt for a leaf long past reads its tile, and needs a reader to do so."""
    edge, stored = grown(8_000, group=200)
    reads = stored.reads
    verify_inclusion(7_000, 8_000, LEAVES[7_000], edge.inclusion_proof(7_000), edge.root())
    assert stored.reads == reads
    verify_inclusion(5, 8_000, LEAVES[5], edge.inclusion_proof(5), edge.root())
    assert stored.reads == reads + 1
    alone = RightEdge()
    for start in range(0, 8_000, 200):
        alone.extend(LEAVES[start : start + 200])
    with pytest.raises(InclusionProofError, match="no reader"):
        alone.inclusion_proof(5)


def test_several_groups_of_one_transaction_are_proved_before_it_commits() -> None:
    """Two thousand leaves in many calls on one copy need nothing that is not stored yet."""
    edge, stored = grown(65_000)
    reads = stored.reads
    speculative = edge.copy()
    for start in range(65_000, 66_000, 40):
        speculative.extend(LEAVES[start : start + 40])
    root = speculative.root()
    for index in range(65_000, 66_000, 25):
        verify_inclusion(index, 66_000, LEAVES[index], speculative.inclusion_proof(index), root)
    assert stored.reads == reads
