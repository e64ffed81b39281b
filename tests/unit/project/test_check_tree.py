"""What must never be in the repository is found."""

from pathlib import PurePosixPath

import pytest

import check_tree

# Put together here so that this file holds none of it.
SLASH = b"/"
KEY = b"-----BEGIN " + b"PRIVATE KEY-----\n" + b"MC4CAQAwBQYDK2VwBCIEIA" + b"\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        ("docs/a.md", b"see " + SLASH + b"home/someone/ledger", "docs/a.md:1: a path of one machine"),
        ("Makefile", b"x\n\tpip install --index" + b"-url x", "Makefile:2: a package registry"),
        ("README.md", b"from https:" + b"//pypi" + b".org/simple", "README.md:1: a package registry"),
        ("README.md", b"https:" + b"//example.com/a/b.whl", "README.md:1: an address to download from"),
        ("docs/key.pem", KEY, "docs/key.pem: holds a private key"),
        ("ledger/cellcustody/__init__.py", b"", "hides the rest of the namespace"),
        ("proto/__init__.py", b"", "hides the rest of the namespace"),
        ("docs/dump.sql", b"x" * (check_tree.SIZE_MAX_BYTES + 1), "docs/dump.sql: 307201 bytes"),
    ],
)
def test_a_file_that_breaks_a_rule_is_named(path: str, content: bytes, what: str) -> None:
    """One complaint, with path and line."""
    (complaint,) = check_tree.complaints_about(PurePosixPath(path), content)

    assert what in complaint


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("tests/vectors/device.pem", KEY),
        ("ledger/cellcustody/ledger/__init__.py", b'"""The domain."""\n'),
        ("docs/a.md", b"served at /tile/0/000 and https://c2sp.org/tlog-tiles"),
        ("docs/dump.sql", b"x" * check_tree.SIZE_MAX_BYTES),
    ],
)
def test_a_file_within_the_rules_passes(path: str, content: bytes) -> None:
    """Test keys where they belong, packages below the namespace, addresses of specifications."""
    assert list(check_tree.complaints_about(PurePosixPath(path), content)) == []
