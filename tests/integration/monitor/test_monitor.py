"""A monitor over HTTP: an honest log is followed, every kind of lie is found, a fork becomes a proof that travels."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from copies import BUT_IDENTITY, Copy, copy_of
from courses import World
from ledger_harness import ORIGIN
from typer.testing import CliRunner

from cellcustody.ledger.registry import Anchor, encode_anchor
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    build_fork_proof,
    verify_fork_proof,
)
from cellcustody.ledger.transparency.errors import ForkUnprovenError
from cellcustody.services.monitor.commands import monitor as command
from cellcustody.services.monitor.following import WITHHELD_SECONDS, Look, Monitor
from cellcustody.services.monitor.sources import LogFiles, PublicOpenings
from cellcustody.services.monitor.state import monitor_state
from cellcustody.v1 import entry_pb2

from .shown_log import ShownLog, anchor_of, as_a_witness_shows, at_an_address


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    course = made.course()
    course.checks_identity()
    course.enrols()
    course.consents()
    started = course.starts_collection()
    course.completes_collection(started, "bag-1")
    other = made.course()
    other.to_the_collection("bag-1")
    yield made
    made.harness.close()


@pytest.fixture(scope="module")
def copy(world: World) -> Copy:
    return copy_of(world, BUT_IDENTITY)


@pytest.fixture(scope="module")
def anchor(world: World) -> Anchor:
    return anchor_of(world)


@pytest.fixture
def shown(world: World, copy: Copy) -> ShownLog:
    return ShownLog(ORIGIN, world.harness.log_signers, copy, copy.size)


def look(
    shown: ShownLog, anchor: Anchor, folder: Path, *, gossip: Sequence[ShownLog] = (), now: float = 2_000_000_000
) -> Look:
    """One look of a monitor that keeps its state in a folder."""
    with ExitStack() as stack:
        url = stack.enter_context(at_an_address(shown))
        elsewhere = [stack.enter_context(at_an_address(one)) for one in gossip]
        state = stack.enter_context(monitor_state(folder))
        files = LogFiles(url)
        openings = LogFiles(url)
        stack.callback(files.close)
        stack.callback(openings.close)
        made = Monitor(anchor, files, PublicOpenings(openings), state, gossip=elsewhere, now=lambda: now)
        return made.look()


def codes(found: Look) -> list[object]:
    """The codes of what was found."""
    return [finding["code"] for finding in found.findings]


def rewritten(copy: Copy, leaf_index: int) -> Copy:
    """Another history from a leaf on: recorded a little later."""

    def later(entry: entry_pb2.Entry) -> None:
        entry.recorded_at_unix_micros += 1

    return copy.forged(leaf_index, later)


def test_an_honest_log_is_followed_and_resumed(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    cut = copy.leaves_of("TherapyEnrolled")[0]
    shown.show(cut)
    first = look(shown, anchor, tmp_path)
    assert (codes(first), first.entries, first.judged) == ([], cut, cut)
    shown.show(copy.size)
    second = look(shown, anchor, tmp_path)
    assert (codes(second), second.entries, second.unverified) == ([], copy.size - cut, 0)
    assert second.comparisons > 0
    third = look(shown, anchor, tmp_path)
    assert (codes(third), third.entries, third.size) == ([], 0, copy.size)


def test_what_is_not_shown_is_unverified(world: World, anchor: Anchor, tmp_path: Path) -> None:
    """With PUBLIC openings alone, as anybody has them: signatures, chains, registry and tree still hold."""
    public = copy_of(world, {1})
    found = look(ShownLog(ORIGIN, world.harness.log_signers, public, public.size), anchor, tmp_path)
    assert (codes(found), found.judged + found.unverified) == ([], public.size)
    assert found.unverified > 10
    again = look(ShownLog(ORIGIN, world.harness.log_signers, public, public.size), anchor, tmp_path)
    assert codes(again) == []


def test_a_forged_judgement_is_found(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    leaf = copy.leaves_of("CollectionCompleted")[0]

    def worse(entry: entry_pb2.Entry) -> None:
        entry.judgement.status = entry_pb2.JUDGEMENT_STATUS_NONCONFORMING
        entry.judgement.findings.add(code="WRONG_RECEIVER")

    shown.show(copy.size, copy.forged(leaf, worse))
    found = look(shown, anchor, tmp_path)
    assert (codes(found), found.findings[0]["leaf_index"]) == (["JUDGEMENT_FALSE"], leaf)
    with monitor_state(tmp_path) as state:
        assert [one["code"] for one in state.findings()] == ["JUDGEMENT_FALSE"]


def test_other_entries_than_signed_are_found(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    signed = shown.checkpoint
    shown.show(copy.size, rewritten(copy, copy.leaves_of("CollectionStarted")[0]))
    shown.checkpoint = signed
    assert codes(look(shown, anchor, tmp_path)) == ["ENTRIES_NOT_SIGNED"]


def test_a_rewritten_history_becomes_a_proof(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    """The log grew, and what was below the last look is not what it was."""
    cut = copy.leaves_of("CollectionCompleted")[0]
    shown.show(cut)
    assert codes(look(shown, anchor, tmp_path)) == []
    shown.show(copy.size, rewritten(copy, cut - 2))
    found = look(shown, anchor, tmp_path)
    assert codes(found) == ["FORK"]
    proof = Path(str(found.findings[0]["proof"])).read_bytes()
    proven = verify_fork_proof(proof, anchor.log_origin, anchor.log_keys)
    assert (proven.first.size, proven.second.size) == (cut, copy.size)


def test_a_history_taken_back_becomes_a_proof(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    """The log shows a smaller tree than before, and another; an older one that is right is no lie."""
    assert codes(look(shown, anchor, tmp_path)) == []
    cut = copy.leaves_of("CollectionCompleted")[0]
    shown.show(cut)
    assert codes(look(shown, anchor, tmp_path)) == []
    shown.show(cut, rewritten(copy, cut - 2))
    found = look(shown, anchor, tmp_path)
    assert codes(found) == ["FORK"]
    verify_fork_proof(Path(str(found.findings[0]["proof"])).read_bytes(), anchor.log_origin, anchor.log_keys)


@pytest.mark.parametrize("shorter", [0, 1])
def test_a_lie_told_to_others_becomes_a_proof(
    world: World, shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path, shorter: int
) -> None:
    """A witness shows what the log signed for it: of the same size, or of a smaller one."""
    other = ShownLog(ORIGIN, world.harness.log_signers, rewritten(copy, 5), copy.size - shorter)
    elsewhere = as_a_witness_shows(shown, other.checkpoint)
    found = look(shown, anchor, tmp_path, gossip=[elsewhere])
    assert codes(found) == ["FORK"]
    proven = verify_fork_proof(Path(str(found.findings[0]["proof"])).read_bytes(), anchor.log_origin, anchor.log_keys)
    assert proven.first.size == copy.size - shorter


def test_others_who_saw_the_same_log_agree(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    older = ShownLog(ORIGIN, shown.signers, copy, copy.size - 3)
    mirror = ShownLog(ORIGIN, shown.signers, copy, copy.size)
    found = look(shown, anchor, tmp_path, gossip=[as_a_witness_shows(shown, older.checkpoint), mirror])
    assert (codes(found), found.gossip_agreeing, found.gossip_silent) == ([], 2, [])


def test_what_the_log_does_not_come_to_show_is_withheld(
    shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path
) -> None:
    """Others were shown more. At first that is nothing; the proof of agreement, or the finding, comes later."""
    cut = copy.leaves_of("CollectionCompleted")[0]
    larger = as_a_witness_shows(shown, shown.checkpoint)
    shown.show(cut)
    first = look(shown, anchor, tmp_path, gossip=[larger])
    assert (codes(first), first.gossip_pending) == ([], 1)
    later = os.path.getmtime(next((tmp_path / "gossip").iterdir())) + WITHHELD_SECONDS + 1
    assert codes(look(shown, anchor, tmp_path, now=later)) == ["WITHHELD"]
    shown.show(copy.size)
    settled = look(shown, anchor, tmp_path, now=later)
    assert (codes(settled), settled.gossip_pending, settled.gossip_agreeing) == ([], 0, 1)


def test_a_checkpoint_of_strangers_is_not_the_logs(shown: ShownLog, anchor: Anchor, tmp_path: Path) -> None:
    assert codes(look(shown, anchor, tmp_path)) == []
    shown.checkpoint = shown.checkpoint.replace(f"— {ORIGIN} ".encode(), "— stranger.example ".encode())
    assert codes(look(shown, anchor, tmp_path)) == ["NOTE_UNSIGNED"]


def test_the_quorum_is_asked_for(shown: ShownLog, anchor: Anchor, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    witness = Ed25519Cosigner("witness.example/w", Ed25519PrivateKey.generate())
    asks = replace(anchor, witness_policy=f"witness w {witness.vkey}\nquorum w\n")
    found = look(shown, asks, tmp_path)
    assert (codes(found), found.findings[0]["lacking"]) == (["WITNESS_QUORUM_UNMET"], "w")


def test_the_command_ends_with_what_was_found(shown: ShownLog, copy: Copy, anchor: Anchor, tmp_path: Path) -> None:
    """Following, proving and verifying, from the command line, with the exit codes that are documented."""
    runner = CliRunner()
    trusted = tmp_path / "anchor.json"
    trusted.write_bytes(encode_anchor(anchor))
    state = tmp_path / "state"
    with at_an_address(shown) as url:
        arguments = ["--anchor", str(trusted), "--url", url, "--state", str(state), "--json"]
        honest = runner.invoke(command, arguments)
        assert honest.exit_code == 0, honest.output
        assert json.loads(honest.stdout)["entries"] == copy.size
        (tmp_path / "first").write_bytes(shown.checkpoint)
        (tmp_path / "second").write_bytes(shown.show(copy.size - 1, rewritten(copy, 9)))
        lying = runner.invoke(command, arguments)
        assert lying.exit_code == 1
        proof = json.loads(lying.stdout)["findings"][0]["proof"]
        shown.show(copy.size, copy)
        again = runner.invoke(command, arguments)
        assert again.exit_code == 1, "what was found once stays found"
        assert "1 found FALSE, now or before" in again.stderr, "a look that finds nothing says why it ends with 1"
    verified = runner.invoke(command, ["verify-fork", proof, "--anchor", str(trusted)])
    assert (verified.exit_code, json.loads(verified.stdout)["outcome"]) == (0, "FORK")
    made = runner.invoke(
        command,
        [
            "prove-fork", str(tmp_path / "first"), str(tmp_path / "second"), "--anchor", str(trusted),
            "--out", str(tmp_path / "proof.json"), "--state", str(state),
        ],
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    verify_fork_proof((tmp_path / "proof.json").read_bytes(), anchor.log_origin, anchor.log_keys)


def test_two_that_agree_prove_nothing(shown: ShownLog, anchor: Anchor) -> None:
    with pytest.raises(ForkUnprovenError):
        verify_fork_proof(build_fork_proof(shown.checkpoint, shown.checkpoint), anchor.log_origin, anchor.log_keys)
