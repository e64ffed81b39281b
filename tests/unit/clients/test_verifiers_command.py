"""The command that names and gives out the verifiers that dossiers carry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from typer.testing import CliRunner

from cellcustody.clients.cli.app import app


def test_digests_are_printed_and_files_given_out(tmp_path: Path) -> None:
    """What is written has the digests that are told."""
    done = CliRunner().invoke(app, ["verifiers", "--to", str(tmp_path / "new"), "--json"])

    told = {row["name"]: row["sha256"] for row in json.loads(done.stdout)["verifiers"]}
    written = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "new").iterdir()}
    assert done.exit_code == 0
    assert told == written
    assert set(told) == {"index.html", "verify.py"}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")

    assert CliRunner().invoke(app, ["verifiers", "--to", str(tmp_path / "file")]).exit_code != 0


def test_without_json_a_line_names_each(tmp_path: Path) -> None:
    """As sha256sum prints them, so that it can check them."""
    lines = CliRunner().invoke(app, ["verifiers"]).stdout.splitlines()

    assert [line.split("  ")[1] for line in lines] == ["index.html", "verify.py"]
