"""Write the corpus into a folder, or its table of expectations."""

from __future__ import annotations

import argparse
from pathlib import Path

from corpus.writing import write_corpus, write_expectations


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="python -m corpus", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where to write the dossiers")
    parser.add_argument("--write", action="store_true", help="make the table of expectations anew")
    given = parser.parse_args()
    if given.write:
        print(f"{write_expectations()} expectations written")
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
        print(f"{len(write_corpus(given.folder))} dossiers written")


if __name__ == "__main__":
    main()
