"""Rebuild every golden vector and hold it against the one that is checked in.

The rules:

* A folder below tests/vectors that has a `build.py` is made by it alone: the script writes beside itself, from fixed
  inputs, the same bytes on every machine.
* A randomised signature cannot be made again: it is kept in a file `*.signature`, which the script reads, and verifies.
* The check rebuilds in a copy from which all but scripts and kept signatures was removed, so a vector that no script
  makes any more, or that somebody edited, is found as well as one that changed with the code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VECTORS: Final = ROOT / "tests/vectors"
BUILDER: Final = "build.py"
INPUT_SUFFIXES: Final = frozenset({".py", ".signature"})
ENVIRONMENT: Final = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # No __pycache__ among the vectors.


def content_of(folder: Path) -> dict[str, bytes]:
    """Returns every file below `folder` by its relative path, what scripts read excepted."""
    files = (path for path in folder.rglob("[!.]*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.suffix not in INPUT_SUFFIXES
    }


def differences(folder: Path) -> list[str]:
    """Rebuilds a copy of `folder` and returns one line for every file that is not as its script makes it.

    Raises: subprocess.CalledProcessError if the script fails.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(
            folder, copy, ignore=lambda place, names: [n for n in names if (Path(place) / n).suffix == ".pyc"]
        )
        for name in content_of(copy):
            (copy / name).unlink()
        subprocess.run([sys.executable, str(copy / BUILDER)], cwd=ROOT, env=ENVIRONMENT, check=True)
        made, kept = content_of(copy), content_of(folder)
    lines = [f"{name} is made by the script and not checked in" for name in sorted(made.keys() - kept.keys())]
    lines += [f"{name} is made by no script" for name in sorted(kept.keys() - made.keys())]
    lines += [f"{name} differs" for name in sorted(made.keys() & kept.keys()) if made[name] != kept[name]]
    return lines


def main() -> None:
    """Rebuilds all folders, and leaves with the list of differences if there is one."""
    builders = sorted(VECTORS.rglob(BUILDER))
    found = [
        f"{builder.parent.relative_to(ROOT)}/{line}" for builder in builders for line in differences(builder.parent)
    ]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(builders)} folders of golden vectors rebuilt, all as checked in")


if __name__ == "__main__":
    main()
