"""A golden vector is what its script makes, no more and no less."""

from pathlib import Path

import pytest

import golden_vectors

SCRIPT = """
from pathlib import Path
here = Path(__file__).parent
(here / "good.bin").write_bytes(b"as made")
(here / "broken-seal.bin").write_bytes(b"as made too")
(here / "signed.bin").write_bytes((here / "device.signature").read_bytes() + b" and signed")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three vectors, the script that makes them and the signature it reads."""
    vectors = tmp_path / "seals"
    vectors.mkdir()
    (vectors / "build.py").write_text(SCRIPT)
    (vectors / "device.signature").write_bytes(b"randomised")
    (vectors / "signed.bin").write_bytes(b"randomised and signed")
    (vectors / "good.bin").write_bytes(b"as made")
    (vectors / "broken-seal.bin").write_bytes(b"as made too")
    return vectors


def test_vectors_as_their_script_makes_them_pass(folder: Path) -> None:
    """Nothing to say, and nothing in the folder was touched."""
    before = golden_vectors.content_of(folder)

    assert golden_vectors.differences(folder) == []
    assert golden_vectors.content_of(folder) == before


def test_an_edited_a_stray_and_a_missing_vector_are_named(folder: Path) -> None:
    """Each with what is wrong with it."""
    (folder / "good.bin").write_bytes(b"edited")
    (folder / "stray.bin").write_bytes(b"")
    (folder / "broken-seal.bin").unlink()

    assert golden_vectors.differences(folder) == [
        "broken-seal.bin is made by the script and not checked in",
        "stray.bin is made by no script",
        "good.bin differs",
    ]
