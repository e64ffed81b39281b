"""Scan the files that belong to the repository for what must never be in it.

The rules:

* No path of the machine somebody works on: nobody else has it.
* No address to download from and no host of a package registry: where packages come from is each machine's own choice.
* No private key outside tests/vectors, not even one that protects nothing.
* No file over 300 KB: what is larger is made by a script.
* No `__init__.py` where the namespace `cellcustody` spreads over the four folders: it would hide the other three.

The rules are functions from a path and its bytes to complaints, so that the tests can hand them any content.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SIZE_MAX_BYTES: Final = 300 * 1024  # Ten times the largest module; a checked-in archive or dump is over it.
NAMESPACE_FOLDERS: Final = frozenset(
    PurePosixPath(folder, *below)
    for folder in ("proto", "ledger", "services", "clients")
    for below in ((), ("cellcustody",))
)
KEYS_ALLOWED_UNDER: Final = PurePosixPath("tests/vectors")

# Each pattern is written so that it does not match its own source.
MACHINE_PATH: Final = re.compile(rb"(?<![\w.:/$}~-])/(?:work|tmp|root|home|Users|opt)/[\w.-]+")
REGISTRY_HOST: Final = re.compile(
    rb"\b(?:pypi[.]org|pythonhosted[.]org|npmjs[.]org|npmjs[.]com|crates[.]io|proxy[.]golang[.]org|"
    rb"(?:deb|ftp|snapshot)[.]debian[.]org|docker[.]io|ghcr[.]io|quay[.]io|huggingface[.]co)\b|--(?:extra-)?index-url\b"
)
DOWNLOAD_ADDRESS: Final = re.compile(rb"https?://[^\s\"'<>)]+[.](?:whl|tar[.]gz|tgz|zip|deb|rpm|exe|iso)\b")
PRIVATE_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+(?:[\w-]+: [^\n]*\n)*\s*[A-Za-z0-9+/]{16}")


def complaints_about(path: PurePosixPath, content: bytes) -> Iterator[str]:
    """Yields one sentence for every rule that the file at `path`, relative to the root, breaks."""
    if path.name == "__init__.py" and path.parent in NAMESPACE_FOLDERS:
        yield f"{path}: hides the rest of the namespace; remove it"
    if len(content) > SIZE_MAX_BYTES:
        yield f"{path}: {len(content)} bytes, more than {SIZE_MAX_BYTES}"
    for pattern, what in (
        (MACHINE_PATH, "a path of one machine"),
        (REGISTRY_HOST, "a package registry"),
        (DOWNLOAD_ADDRESS, "an address to download from"),
    ):
        for match in pattern.finditer(content):
            line = content.count(b"\n", 0, match.start()) + 1
            yield f"{path}:{line}: {what}: {match.group().decode(errors='replace')}"
    if KEYS_ALLOWED_UNDER not in path.parents and PRIVATE_KEY.search(content):
        yield f"{path}: holds a private key"


def repository_files() -> list[PurePosixPath]:
    """Returns the files that git tracks or would add, in order."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return sorted(PurePosixPath(name) for name in set(listed.split("\0")) if name)


def main() -> None:
    """Prints every complaint, and leaves with a failure if there is one."""
    files = [path for path in repository_files() if (ROOT / path).is_file()]
    found = [complaint for path in files for complaint in complaints_about(path, (ROOT / path).read_bytes())]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(files)} files scanned")


if __name__ == "__main__":
    main()
