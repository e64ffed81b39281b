"""What the log's package offers to outsiders stays, and is written down."""

from pathlib import Path

import cellcustody.ledger.transparency as transparency

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "transparency.md"
RESULT_TYPES = {
    "TILE_WIDTH",
    "Checkpoint",
    "LogProof",
    "Note",
    "NoteKeyType",
    "NoteSignature",
    "Policy",
    "PolicyGroup",
    "TileReader",
    "TileWrite",
    "VerifiedCheckpoint",
    "VerifiedLogProof",
    "VerifiedNote",
    "VerifiedSignature",
    "VerifierKey",
}


def test_every_public_function_is_listed_in_the_formats_page() -> None:
    """An outside harness finds on one page what it can call; the rest are types of results."""
    page = PAGE.read_text()
    unlisted = {name for name in transparency.__all__ if f"`{name}" not in page}
    assert unlisted == RESULT_TYPES - {name for name in RESULT_TYPES if f"`{name}" in page}
    assert all(hasattr(transparency, name) for name in transparency.__all__)
