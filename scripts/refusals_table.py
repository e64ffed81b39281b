"""Write the table of refusal and error reasons into the docs, or check that it is current.

The table is made from the tree of errors and from the table of statuses that the server itself answers by.
"""

import argparse
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc

import cellcustody.ledger
import cellcustody.services
from cellcustody.ledger.errors import CellcustodyError, RefusedError
from cellcustody.services.error_status import is_retryable, status_code_of

TABLE: Final = Path(__file__).resolve().parent.parent / "docs/refusals.md"
OPTIONAL: Final = {"psycopg", "psycopg_pool"}  # Without the extra for PostgreSQL; it adds no reason.

INTRODUCTION: Final = """\
# Refusals and errors: what a server answers instead

Made by `scripts/refusals_table.py --write` from the errors themselves; do not edit. The reason is `ErrorInfo.reason`
(domain `cellcustody`) in `grpc-status-details-bin`, or `Refusal.reason` of a batch's item. "again" marks what may be
sent again unchanged. Of a refused statement nothing is in the log. INTERNAL says nothing more than its code.
"""


def classes(root: type[CellcustodyError] = CellcustodyError) -> Iterator[type[CellcustodyError]]:
    """Yields a class and all below it, of every module of ledger and services."""
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def load_all() -> None:
    """Imports every module whose classes are in the tree."""
    for package in (cellcustody.ledger, cellcustody.services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as missing:
                if missing.name not in OPTIONAL:
                    raise


def rendered() -> str:
    """Returns the whole document."""
    load_all()
    lines = [INTRODUCTION]
    for title, is_refusal in (("Statements that are refused", True), ("Everything else", False)):
        rows: dict[str, tuple[str, str, set[str]]] = {}
        for each in classes():
            if issubclass(each, RefusedError) is not is_refusal or not each.__module__.startswith("cellcustody."):
                continue
            code = status_code_of(each.__new__(each))
            if code is grpc.StatusCode.INTERNAL or each.__module__.startswith("cellcustody.clients"):
                continue
            again = "again" if is_retryable(each.__new__(each)) else ""
            words = inspect.cleandoc(each.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
            _, _, meanings = rows.setdefault(each.reason, (code.name, again, set()))
            meanings.add(words.removeprefix("Raised when "))
        lines += [f"## {title}\n", "| reason | status | | when |", "|--|--|--|--|"]
        for reason, (code_name, again, meanings) in sorted(rows.items()):
            lines.append(f"| `{reason}` | {code_name} | {again} | {' Or: '.join(sorted(meanings))} |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    """Writes the table with --write, else says whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table instead of checking it")
    if parser.parse_args().write:
        TABLE.write_text(rendered(), encoding="utf-8")
        return 0
    if TABLE.read_text(encoding="utf-8") != rendered():
        print(f"{TABLE.name} is not current: run scripts/refusals_table.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
