"""What `make demo` and `make serve` show is what happens."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cellcustody.v1.labels_pb2 import LabelsReconciled, LabelsReturned
from demo.cast import enrol_cast, unit_of
from demo.chapters import harvest
from demo.course import WHOLE_COURSE
from demo.telling import Story
from demo.world import World

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


def test_the_demonstration_ends_as_it_says() -> None:
    """One therapy vein to vein with what went wrong; the dossier verifies, the tampered and the forged one do not."""
    done = subprocess.run(
        [sys.executable, "-m", "demo.run"], env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    for line in (
        "cellcustody-sample-product, EU",
        "  times are as claimed\n",  # And none that is disproven.
        "! SCAN_MISMATCH: ",
        "Identity restored",
        "3 acts delivered from the outbox, in order",
        "! CONTAINER_NOT_PRESENT: ",
        "= bag of day 2: Courier/road answers for it; nobody has it",
        "! EXCURSION: ",
        "accepted on stability study STAB-0007",
        "shelf 9 corrected to shelf 6",
        "~ GATE_OVERRIDDEN: ",
        "! TEST_NOT_PASSED: ",
        "verified without a network",
        "product bag B, number 2 of 2",
        "cytokine release syndrome, grade 1",
        "* alert, late_result: ",
        "! SAMPLES_NOT_ENDED: ",
        "every one stands as the story meant it",
        "$ cellcustody inspect gaps ",
        "$ cellcustody alerts ",
        "Offline verification: VERIFIED",
        "other organisations saw the same log  - hospital.example/witness, ",
        "WITNESS_QUORUM_UNMET: ",
        "All as intended",
    ):
        assert line in done.stdout, line
    assert done.stdout.count(": refused.\n") == 3
    assert done.stdout.count("refused; nothing of it is in the log") == 2
    assert done.stdout.count("readiness: yes") == 2
    assert done.stdout.count("* alert, excursion: ") == 1  # It ends with the disposition, and is not told of later.
    assert done.stdout.count("CONSISTENT, ISSUER UNPROVEN") == 2


def test_a_statement_that_the_story_did_not_intend_ends_it(tmp_path: Path) -> None:
    """A label that nobody printed comes back, and a count is found right that was to be wrong."""
    with World(tmp_path, tell=lambda _: None, begin=datetime.now(UTC) - WHOLE_COURSE) as world:
        world.start_server()
        story = Story(world, enrol_cast(world))
        harvest.enrol(story)
        nurse = story.cast.nurse
        label = LabelsReturned(serials=["nobody's"], unit=unit_of(nurse))
        with pytest.raises(SystemExit, match=r"LabelsReturned by .* found .*, intended set"):
            story.tell(nurse, label)
        counted = LabelsReconciled(unit=unit_of(nurse), printed=0)
        with pytest.raises(SystemExit, match="intended"):
            story.tell(nurse, counted, intends={"EXCURSION"})


def test_the_three_commands_to_try_work_as_printed(tmp_path: Path) -> None:
    """Each is typed as it stands there, in the project's folder, while the ledger runs; then it is ended."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "demo.serve", "--folder", str(tmp_path / "demo"), "--http-listen", "127.0.0.1:0"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert serving.stdout is not None
    try:
        printed: list[str] = []
        for line in serving.stdout:
            printed.append(line)
            if line.startswith("Ctrl-C"):
                break
        told = "".join(printed).partition("in another terminal:\n")[2].partition("Ctrl-C")[0]
        commands = [each.strip() for each in told.split("\n\n") if each.strip()]
        assert len(commands) == 3, "".join(printed)
        answers = [type_in(command) for command in commands]
        assert "box-2 not present" in answers[0]
        assert "available" in answers[1]
        assert "VERIFIED: " in answers[2]
        (log,) = re.findall("the log over HTTP on ([0-9.:]+)[.]", "".join(printed))
        assert "make the root that the log signed" in the_readmes_verifier(
            f"http://{log}", str(tmp_path / "demo" / "ledger" / "anchor.json")
        )
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(timeout=60)
        serving.stdout.close()
    assert (tmp_path / "demo" / "server.log").read_text().rstrip().splitlines()[-1].count('"ended"') == 1


def the_readmes_verifier(*arguments: str) -> str:
    """Returns what the verifier prints that README.md gives to those who do without this program."""
    (program,) = re.findall("```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert "cellcustody" not in program
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def type_in(command: str) -> str:
    """Returns what a command prints that is typed in the project's folder."""
    if not (ROOT / ".venv" / "bin" / "cellcustody").exists():
        pytest.skip("the commands name .venv, which make setup makes")
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
