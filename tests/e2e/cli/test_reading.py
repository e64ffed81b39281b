"""Every reading command answers from a real server, in tables and in JSON, and ends with the documented code."""

import json
from pathlib import Path

import pytest
from tests.e2e.cli.cli_world import Desks, run


@pytest.mark.parametrize(
    ("desk", "command", "member"),
    [
        ("nurse", "therapy COI", "materials"),
        ("nurse", "history COI", "items"),
        ("nurse", "history STREAM --known-at 40", "items"),
        ("nurse", "custody isbt128-coi:COI", "materials"),
        ("nurse", "custody COI --known-at 40", "materials"),
        ("nurse", "worklist", "refused"),
        ("driver", "holdings", "containers"),
        ("nurse", "handoffs", "handoffs"),
        ("nurse", "consignment CONSIGNMENT", "containers"),
        ("nurse", "readiness BAG", "reasons"),
        ("nurse", "trace therapy COI", "uses"),
        ("inspector", "log receipt --leaf-index 30", "receipt"),
        ("inspector", "log checkpoint", "root"),
    ],
)
def test_each_reading_command_prints_json(desks: Desks, desk: str, command: str, member: str) -> None:
    """What is printed parses, and has what it was asked for."""
    words = {
        "COI": desks.story.coi,
        "STREAM": desks.stream,
        "CONSIGNMENT": desks.story.outward.hex(),
        "BAG": desks.bag,
    }
    for word, meant in words.items():
        command = command.replace(word, meant)
    printed = desks.says(desk, *command.split(), "--json")

    assert printed.code == 0, printed.err
    answer = printed.json
    assert isinstance(answer, dict)
    assert member in answer


def test_a_history_tells_the_mishaps(desks: Desks) -> None:
    """The box that was missing and the temperature that was too high stand in the table, flagged."""
    printed = desks.says("nurse", "history", desks.story.coi)

    assert printed.code == 0
    assert "box-2 not present" in printed.out
    assert "NONCONFORMING" in printed.out
    assert "superseded by" in printed.out


def test_a_bag_of_collected_cells_is_not_ready_and_every_reason_is_told(desks: Desks) -> None:
    """Each reason says what would let it pass."""
    printed = desks.says("nurse", "readiness", desks.bag)

    assert printed.code == 0
    assert "NOT READY" in printed.out
    assert "GATE NOT_RELEASED" in printed.out
    assert "To pass:" in printed.out


def test_watching_ends_after_as_many_as_asked(desks: Desks) -> None:
    """One JSON object a line, from the position asked for on."""
    printed = desks.says("inspector", "watch", "--after", "30", "--count", "2", "--json")

    assert printed.code == 0, printed.err
    assert [json.loads(line)["position"] for line in printed.out.splitlines()] == [31, 32]


def test_watching_ends_after_the_time_asked(desks: Desks) -> None:
    """That the time ran out is no failure."""
    assert desks.says("inspector", "watch", "--seconds", "0.3").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("therapy", "CHA9999990000008"), 5, "NOT_FOUND"),
        (("therapy", "CHA9999990000009"), 2, "check character"),
        (("trace", "lot", "NO-SUCH-LOT"), 5, "NOT_FOUND"),
        (("worklist", "--site", "00" * 16), 6, "ACCESS_DENIED"),
        (("readiness", "ab"), 2, "CONFIGURATION_INVALID"),
        (("trace", "patient", "x"), 2, "trace what?"),
        (("no-such-command",), 2, "No such command"),
    ],
)
def test_what_cannot_be_answered_ends_as_documented(
    desks: Desks, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    """The reason and its values stand on standard error; standard output stays empty."""
    printed = desks.says("nurse", *arguments)

    assert printed.code == code
    assert reason in printed.err
    assert printed.out == ""


def test_a_server_that_is_not_there_ends_with_four(desks: Desks, tmp_path: Path) -> None:
    """The address that did not answer is named."""
    profile = desks.changed("nurse", tmp_path, target="127.0.0.1:1")

    printed = run("--profile", str(profile), "worklist")

    assert printed.code == 4
    assert "SERVER_UNAVAILABLE" in printed.err
    assert "127.0.0.1:1" in printed.err


def test_a_profile_that_is_not_there_ends_with_two(tmp_path: Path) -> None:
    """The file is named."""
    printed = run("--profile", str(tmp_path / "nobody.toml"), "worklist")

    assert printed.code == 2
    assert "nobody.toml" in printed.err


def test_a_believed_checkpoint_of_another_log_is_a_contradiction(desks: Desks, tmp_path: Path) -> None:
    """What was believed before is compared; a log that does not continue it is not believed."""
    profile = desks.changed("inspector", tmp_path)
    assert run("--profile", str(profile), "log", "checkpoint").code == 0
    memory = tmp_path / "believed.checkpoint"
    lines = memory.read_text().splitlines(keepends=True)
    lines[1] = f"{int(lines[1]) + 1000}\n"
    memory.write_text("".join(lines))

    printed = run("--profile", str(profile), "log", "checkpoint")

    assert printed.code != 0
    assert "root" not in printed.out
