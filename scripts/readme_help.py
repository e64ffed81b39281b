"""Hold the `--help` texts that README.md shows against what the program prints.

A block is a fenced `console` block whose first line is `$ cellcustody ... --help`; the rest of it is the output. The
width is fixed and colours are off, so that the same program prints the same text everywhere.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = ROOT / "README.md"
BIN: Final = Path(sys.executable).parent  # Not resolved: the environment's own bin folder holds the program.
WIDTH_COLUMNS: Final = 100  # Fits a README as web pages show it without scrolling.
BLOCK: Final = re.compile(r"```console\n\$ (?P<command>cellcustody(?: [\w-]+)* --help)\n(?P<output>.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HelpBlock:
    """One block of a README: the command it shows, and the text it says comes out."""

    command: tuple[str, ...]
    output: str


def blocks_of(text: str) -> tuple[HelpBlock, ...]:
    """Returns the help blocks of a Markdown text in order."""
    return tuple(HelpBlock(tuple(match["command"].split()), match["output"]) for match in BLOCK.finditer(text))


def outdated(text: str, run: Callable[[Sequence[str]], str]) -> tuple[str, ...]:
    """Returns the commands in `text` whose shown output is not what `run` returns for them."""
    return tuple(" ".join(block.command) for block in blocks_of(text) if run(block.command) != block.output)


def rewritten(text: str, run: Callable[[Sequence[str]], str]) -> str:
    """Returns `text` with every block's output replaced by what `run` returns."""
    return BLOCK.sub(lambda match: f"```console\n$ {match['command']}\n{run(match['command'].split())}```", text)


def run_program(command: Sequence[str]) -> str:
    """Returns what the installed program prints, with trailing blanks of lines removed.

    Raises: subprocess.CalledProcessError if it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "LINES")}
    environment |= {
        "COLUMNS": str(WIDTH_COLUMNS),
        "TERMINAL_WIDTH": str(WIDTH_COLUMNS),
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    printed = subprocess.run(
        [str(BIN / command[0]), *command[1:]], env=environment, check=True, capture_output=True, text=True
    ).stdout
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines()) + "\n"


def main() -> None:
    """Rewrites the README's blocks, or leaves with a message that names those out of date."""
    parser = argparse.ArgumentParser(description="Check the help texts in README.md.")
    parser.add_argument("--write", action="store_true", help="rewrite them instead")
    text = README.read_text(encoding="utf-8")
    if parser.parse_args().write:
        README.write_text(rewritten(text, run_program), encoding="utf-8")
    elif stale := outdated(text, run_program):
        sys.exit(f"README.md shows old help of: {', '.join(stale)}; run scripts/readme_help.py --write")


if __name__ == "__main__":
    main()
