"""The commands as typed: what they make, and what they say when they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.services.commands import app
from cellcustody.services.configuration import load_configuration

ENVIRONMENT = {"CELLCUSTODY_PASSPHRASE": "registrars' words"}


def test_init_founds_a_ledger_and_lets_a_site_connect(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    made = CliRunner().invoke(
        app, ["init", "--directory", str(folder), "--registrars", "1", "--threshold", "1"], env=ENVIRONMENT
    )
    issued = CliRunner().invoke(app, ["init", "tls", "--site", "clinic", "--directory", str(folder)])

    assert (made.exit_code, issued.exit_code) == (0, 0)
    told, certificate = json.loads(made.stdout), json.loads(issued.stdout)
    anchor = parse_anchor(Path(told["anchor"]).read_bytes())
    assert anchor.founding_digest.hex() == told["founding_digest"]
    assert len(told["registrars"]) == 1
    assert len(bytes.fromhex(certificate["tls_key_id"])) == 32
    assert load_configuration(told["configuration"]).tls.client_ca == Path(certificate["authority"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--registrars", "2", "--threshold", "3"], "threshold"),
        (["--registrars", "0"], "registrars"),
    ],
)
def test_init_says_which_wish_cannot_be_met(tmp_path: Path, options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["init", "--directory", str(tmp_path / "ledger"), *options], env=ENVIRONMENT)

    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.values["key"] == said
    assert not (tmp_path / "ledger").exists()


def test_serve_names_the_key_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[ledger]\n")

    result = CliRunner().invoke(app, ["serve", "--config", str(tmp_path / "c.toml")])

    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.values["key"].startswith("ledger.")


def test_a_site_is_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()

    result = CliRunner().invoke(app, ["init", "tls", "--site", "../clinic", "--directory", str(tmp_path)])

    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.values["key"] == "site"
