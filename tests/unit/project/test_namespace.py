"""One namespace over four folders, and a client that stays light."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("proto", "ledger", "services", "clients")
HEAVY = ("eventsourcing", "typer", "click", "rich", "psycopg", "sqlite3", "http.server", "grpc_reflection")


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_claims_the_namespace(folder: str) -> None:
    """An `__init__.py` in one folder would hide the packages of the three others."""
    assert (ROOT / folder / "cellcustody").is_dir()
    assert not (ROOT / folder / "__init__.py").exists()
    assert not (ROOT / folder / "cellcustody" / "__init__.py").exists()


def test_the_namespace_spans_the_four_folders() -> None:
    """All four folders answer to the one import name."""
    namespace = importlib.import_module("cellcustody")

    assert {Path(place).resolve() for place in namespace.__path__} == {ROOT / name / "cellcustody" for name in FOLDERS}
    assert namespace.__file__ is None


def test_every_part_says_that_it_is_typed() -> None:
    """Type checkers of those who install this read our annotations only where the marker stands."""
    for part in ("proto/cellcustody/v1", *(f"{name}/cellcustody/{name}" for name in FOLDERS[1:])):
        assert (ROOT / part / "py.typed").is_file(), part


def modules_after(statement: str) -> set[str]:
    """Returns the names of all modules that a fresh interpreter holds after `statement`."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return set(json.loads(printed))


def test_importing_the_clients_loads_nothing_a_site_does_not_need() -> None:
    """A site's program starts without event store, terminal library, database driver or web server."""
    loaded = modules_after("import cellcustody.clients")

    assert "cellcustody.clients" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_the_measure_of_lightness_sees_what_is_loaded() -> None:
    """The list above would name a heavy module if one came along."""
    assert "http.server" in modules_after("import cellcustody.clients, http.server")
