"""The commands for authors of policy packs."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cellcustody.clients.cli.app import app
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.custody.policy_reading import PolicyMalformedError

NAME = "cellcustody-sample-product-eu-1"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source of the European sample pack, to be changed."""
    file = tmp_path / "pack.toml"
    file.write_text((files("cellcustody.ledger.custody") / "packs" / f"{NAME}.toml").read_text("utf-8"))
    return file


def test_compiling_writes_the_bytes_and_prints_their_digest(source: Path) -> None:
    """The compiled pack lies beside its source, unless told otherwise."""
    done = CliRunner().invoke(app, ["policy", "compile", str(source)])
    compiled = source.with_suffix(".json").read_bytes()
    assert (done.exit_code, compiled) == (0, sample_pack_bytes(NAME))
    assert done.stdout.strip() == hashlib.sha256(compiled).hexdigest()


def test_a_json_source_is_not_overwritten(source: Path) -> None:
    """Its compiled form needs a name of its own."""
    written = source.with_suffix(".json")
    written.write_bytes(sample_pack_bytes(NAME))
    before = written.read_bytes()
    assert CliRunner().invoke(app, ["policy", "compile", str(written)]).exit_code != 0
    assert written.read_bytes() == before
    other = source.with_name("compiled.json")
    assert CliRunner().invoke(app, ["policy", "compile", str(written), "--output", str(other)]).exit_code == 0
    assert other.read_bytes() == before


def test_a_fit_pack_ends_with_0_and_shows_course_and_limits(source: Path) -> None:
    """Every act with its verdict, every limit with what is found beyond it."""
    done = CliRunner().invoke(app, ["policy", "check", str(source)])
    assert done.exit_code == 0, done.stdout
    assert "conforming    InfusionStopped" in done.stdout
    assert "bites         $.budgets.infusion_seconds = 1800 s: beyond it InfusionStopped BUDGET_EXCEEDED" in done.stdout
    assert done.stdout.rstrip().endswith("fit")


def test_a_pack_that_cannot_be_meant_ends_with_1_and_says_what_to_do(source: Path) -> None:
    """Path, value, what is wrong, and the remedy; for a script as JSON."""
    source.write_text(source.read_text().replace('infusion_seconds = "30 min"', 'infusion_seconds = "30 s"'))
    shown = CliRunner().invoke(app, ["policy", "check", str(source), "--without-course"])
    assert shown.exit_code == 0  # A warning alone.
    assert "warning: $.budgets.infusion_seconds = 30: the budget is out of the order of magnitude" in shown.stdout
    told = CliRunner().invoke(app, ["policy", "check", str(source), "--json"])
    assert told.exit_code == 1
    answer = json.loads(told.stdout)
    assert answer["fit"] is False
    assert answer["findings"][0]["remedy"]
    stopped = next(one for one in answer["course"] if one["body"] == "InfusionStopped")
    assert (stopped["verdict"], stopped["findings"]) == ("nonconforming", ["BUDGET_EXCEEDED"])
    assert {one["path"] for one in answer["limits"] if not one["bites"]} >= {"$.budgets.infusion_seconds"}


def test_an_error_of_the_linter_alone_makes_a_pack_unfit(source: Path) -> None:
    """A hard gate named as overridable."""
    source.write_text(
        source.read_text().replace("[overridable_gates]", '[overridable_gates]\nEXPIRED = ["quality_head"]')
    )
    done = CliRunner().invoke(app, ["policy", "check", str(source), "--without-course"])
    assert done.exit_code == 1
    assert "error: $.overridable_gates.EXPIRED = EXPIRED: a hard gate has no override" in done.stdout


def test_what_is_no_pack_is_refused_with_its_path(source: Path) -> None:
    """The program ends with 2 on it, as on every input that is wrong."""
    source.write_text(source.read_text().replace("container_tolerance = 0", "container_tolerance = -1"))
    done = CliRunner().invoke(app, ["policy", "check", str(source)])
    assert isinstance(done.exception, PolicyMalformedError)
    assert done.exception.values["path"] == "$.container_tolerance"
