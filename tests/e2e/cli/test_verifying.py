"""A dossier is believed for its anchor, and for nothing else."""

import json
from pathlib import Path

from tests.e2e.cli.cli_world import Desks, run

from cellcustody.services.founding import ANCHOR_FILE


def test_a_dossier_is_verified_against_the_anchor(desks: Desks, dossier: Path) -> None:
    """Every check stands there with its result, also those that nobody can make yet."""
    printed = run("verify", str(dossier), "--anchor", desks.anchor)

    assert printed.code == 0, printed.err
    assert "VERIFIED: " in printed.out.splitlines()[-1]
    for check in ("SIGNATURES", "INCLUSION", "JUDGEMENTS", "WITNESSES"):
        assert check in printed.out
    assert "UNVERIFIED" in printed.out
