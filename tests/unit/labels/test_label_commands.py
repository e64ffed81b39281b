"""Scans, labels and forms from the command line, without a server."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from drawings_read import symbols_in_pdf, symbols_in_svg, text_in_pdf

from cellcustody.clients.cli.main import run
from cellcustody.clients.labels import FormCode

LABEL = (
    *("label", "draw", "--coi", "CHA9999 25 000001 G", "--din", "A9999 25 123456 00 9", "--product", "S1234100"),
    *("--collected", "2025-03-01T00:30+01:00", "--zone", "Europe/Berlin", "--sec", "PL/1499", "--not-evaluated"),
)
CODE = FormCode(
    form=bytes(range(8)),
    ledger=bytes(range(16)),
    position=4711,
    act="CustodyAccepted",
    stream=b"\x02" + bytes(range(16)),
    release=bytes(range(32)),
    site=bytes(range(16)),
    containers=("SHIPPER-1",),
)


def exit_of(*arguments: str) -> int:
    """Runs the program and returns its exit code."""
    with pytest.raises(SystemExit) as left:
        run(arguments)
    return int(left.value.code or 0)


def test_a_scan_is_read_into_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Offsets, contents and printed forms, in the symbol's order."""
    assert exit_of("scan", "parse", "=+02000=A99991712345600&/CHA999925000001", "--json") == 0
    donation, chain = json.loads(capsys.readouterr().out)
    assert (donation["kind"], donation["offset"], donation["printed"]) == ("din", 7, "A9999 17 123456 00 9")
    assert (chain["content"], chain["offset"], chain["fields"]["facility"]) == ("CHA999925000001", 23, "A9999")


def test_a_scan_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json, a table and a line of fields."""
    assert exit_of("scan", "parse", "]d100106141412345678908") == 2
    assert exit_of("scan", "parse", "]d200106141412345678908") == 0
    printed = capsys.readouterr()
    assert "DATA_IDENTIFIER_UNKNOWN" in printed.err
    assert "(00)106141412345678908" in printed.out


def test_a_bad_scan_names_the_place_and_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is that of wrong input."""
    assert exit_of("scan", "parse", "=A99991712345697") == 2
    error = capsys.readouterr().err
    assert "IDENTIFIER_MALFORMED" in error and "offset=14" in error and "97-99 are reserved" in error


def test_a_scanner_may_write_to_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One end of line is the scanner's own; two are not."""
    for typed, code in (("&/CHA999925000001\r\n", 0), ("&/CHA999925000001", 0), ("&/CHA999925000001\n\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        assert exit_of("scan", "parse", "-") == code
    capsys.readouterr()


def test_a_label_is_drawn_as_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The symbol in each is what the command says that it carries."""
    for name in ("label.svg", "label.pdf"):
        assert exit_of(*LABEL, "--out", str(tmp_path / name), "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["files"] == [str(tmp_path / name)]
        content = (tmp_path / name).read_bytes()
        found = symbols_in_pdf(content)[0] if name.endswith("pdf") else symbols_in_svg(content.decode())
        assert [each.text for each in found] == [answer["symbol"]]
    (text,) = text_in_pdf((tmp_path / "label.pdf").read_bytes())
    assert "01 MAR 2025 00:30 CET (28 FEB 2025 23:30 UTC)" in text
    assert "NOT EVALUATED FOR INFECTIOUS SUBSTANCES" in text


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (("--din", "A9999 25 123456 00 8"), "CHECK_CHARACTER_WRONG"),
        (("--coi", "CHA999925000001"), "CHECK_CHARACTER_MISSING"),
        (("--product", "S1234A00"), "LABEL_REFUSED"),
        (("--product", "S1234199"), "PRODUCT_DIVISION_REQUIRED"),
        (("--collected", "2025-03-01T00:30"), "CONFIGURATION_INVALID"),
        (("--zone", "Europe/Nowhere"), "CONFIGURATION_INVALID"),
        (("--height-mm", "30"), "LABEL_TOO_SMALL"),
        (("--out", "label.png"), "CONFIGURATION_INVALID"),
    ],
)
def test_a_wrong_label_is_not_drawn(
    changed: tuple[str, str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written."""
    assert exit_of(*LABEL, "--out", str(tmp_path / "label.svg"), *changed) == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_forms_code_becomes_the_body_of_the_act(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Act, stream and body are printed, and the body is written where `act --body @` reads it."""
    body = tmp_path / "body.json"
    assert exit_of("downtime", "read", CODE.text(), "--body", str(body), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["act"], answer["stream"], answer["form"]) == ("CustodyAccepted", CODE.stream.hex(), CODE.number)
    assert answer["body"] == json.loads(body.read_text())
    assert answer["body"]["release"] == CODE.release.hex()
    assert answer["body"]["circumstances"]["mode"] == "ENTRY_MODE_FROM_PAPER"

    assert exit_of("downtime", "read", CODE.text()) == 0
    assert f"--stream {CODE.stream.hex()}" in capsys.readouterr().out


def test_a_smudged_form_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It is typed in by hand then; nothing is guessed."""
    assert exit_of("downtime", "read", CODE.text().replace("SHIPPER-1", "SHIPPER-7")) == 2
    assert "FORM_CODE_MALFORMED" in capsys.readouterr().err


def test_without_the_extra_scans_are_read_and_drawing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A light install has the commands; only drawing needs more."""
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    assert exit_of("scan", "parse", "&/CHA999925000001") == 0
    assert exit_of("downtime", "read", CODE.text()) == 0
    assert exit_of(*LABEL, "--out", str(tmp_path / "label.svg")) == 2
    assert "LABELS_NOT_INSTALLED" in capsys.readouterr().err

    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "reportlab.pdfgen.canvas", None)
    assert exit_of(*LABEL, "--out", str(tmp_path / "label.svg")) == 0
    assert exit_of(*LABEL, "--out", str(tmp_path / "label.pdf")) == 2
    assert "LABELS_NOT_INSTALLED" in capsys.readouterr().err


def test_importing_the_drawing_package_loads_no_drawing_library() -> None:
    """They are loaded when something is drawn."""
    probe = (
        "import sys, cellcustody.clients.labels, cellcustody.clients.cli.app;"
        "sys.exit(any(name.split('.')[0] in ('zxingcpp', 'reportlab', 'PIL') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", probe]).returncode == 0
