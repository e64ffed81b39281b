"""While the ledger answers, forms are printed from what it expects; later they bring it back."""

import json
from pathlib import Path

import pypdfium2
import zxingcpp
from tests.e2e.cli.cli_world import Desks

from cellcustody.clients.labels import FormCode, parse_form_code


def _codes(pdf: Path) -> list[FormCode]:
    """Returns the code on each page of a file, read as a camera would."""
    pages = [page.render(scale=200 / 72).to_pil() for page in pypdfium2.PdfDocument(pdf)]
    return [parse_form_code(found.text) for page in pages for found in zxingcpp.read_barcodes(page)]


def test_a_form_for_a_therapys_next_act_is_entered_again(desks: Desks, tmp_path: Path) -> None:
    """The bag, its stream and its custodian come back from the paper, and the ledger takes the completed body."""
    pdf, body = tmp_path / "form.pdf", tmp_path / "body.json"
    printed = desks.says(
        "nurse",
        *("downtime", "form", "--therapy", desks.story.coi, "--act", "MaterialStored", "--material", desks.bag),
        *("--out", str(pdf), "--json"),
    )
    assert printed.code == 0, printed.err
    answer = printed.json
    assert isinstance(answer, dict)

    (code,) = _codes(pdf)
    assert [code.number] == answer["forms"]
    assert (code.stream.hex(), [each.hex() for each in code.materials]) == (desks.stream, [desks.bag])

    read = desks.says("nurse", "downtime", "read", code.text(), "--body", str(body))
    assert read.code == 0, read.err
    completed = json.loads(body.read_text())
    completed["circumstances"]["reason"] = "network down"
    assessed = desks.says(
        "nurse", "act", code.act, "--stream", code.stream.hex(), "--body", json.dumps(completed), "--assess", "--json"
    )
    assert assessed.code == 0, assessed.err
    assert isinstance(assessed.json, dict)
    assert assessed.json["refusal_reason"] in ("", "FIELD_REQUIRED"), assessed.out


def test_a_site_that_nothing_waits_for_has_no_forms(desks: Desks, tmp_path: Path) -> None:
    """The exit code says that nothing was found, and no file is written."""
    printed = desks.says("nurse", "downtime", "form", "--out", str(tmp_path / "forms.pdf"))
    assert printed.code == 5
    assert "nothing is expected" in printed.err
    assert not list(tmp_path.iterdir())


def test_a_form_for_a_release_that_nobody_made_is_not_printed(desks: Desks, tmp_path: Path) -> None:
    """It is told which."""
    printed = desks.says("nurse", "downtime", "form", "--release", "ab" * 32, "--out", str(tmp_path / "forms.pdf"))
    assert printed.code == 5
    assert "ab" * 32 in printed.err


def test_a_handoff_is_answered_on_paper_and_entered_later(desks: Desks, tmp_path: Path) -> None:
    """Released while the ledger answered, accepted while it did not: the form brings release, receiver and boxes."""
    units = {name: {"site": desks.hospital, "unit": name} for name in ("apheresis", "cell-lab")}
    opened = {
        "unit": units["apheresis"],
        "destination": units["cell-lab"],
        "consignment_number": "PAPER-1",
        "containers": [{"container": "box-7", "kind": "box"}, {"container": "box 8/ä", "kind": "box"}],
    }
    first = desks.says(
        "nurse", "act", "open-consignment", "--stream", "new", "--body", json.dumps(opened), "--yes", "--json"
    )
    assert first.code == 0, first.err
    assert isinstance(first.json, dict)
    stream = str(first.json["stream"])
    released = {
        "releaser": units["apheresis"],
        "receiver": units["cell-lab"],
        "containers": ["box-7", "box 8/ä"],
        "count": 2,
    }
    release = desks.says(
        "nurse", "act", "release-custody", "--stream", stream, "--body", json.dumps(released), "--yes", "--json"
    )
    assert release.code == 0, release.err
    assert isinstance(release.json, dict)

    pdf = tmp_path / "forms.pdf"
    printed = desks.says(
        "nurse", "downtime", "form", "--release", str(release.json["statement_digest"]), "--out", str(pdf)
    )
    assert printed.code == 0, printed.err
    (code,) = _codes(pdf)
    assert code.stream.hex() == stream
    assert code.containers == ("box-7", "box 8/ä")

    body = tmp_path / "body.json"
    assert desks.says("second-nurse", "downtime", "read", code.text(), "--body", str(body)).code == 0
    completed = json.loads(body.read_text())
    assert completed["release"] == release.json["statement_digest"]
    assert completed["receiver"] == units["cell-lab"]
    for line in completed["lines"]:
        line["outcome"] = "LINE_OUTCOME_ACCEPTED"
    completed["count"] = 2
    completed["circumstances"]["reason"] = "network down"
    accepted = desks.says(
        "second-nurse", "act", code.act, "--stream", stream, "--body", json.dumps(completed), "--yes", "--json"
    )
    assert accepted.code == 0, accepted.err
    assert isinstance(accepted.json, dict)
    assert "HANDOFF" not in str(accepted.json["findings"])
    waiting = desks.says("nurse", "worklist", "--json").json
    assert isinstance(waiting, dict)
    assert stream not in str(waiting["incoming"])
