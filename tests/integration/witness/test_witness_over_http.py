"""A witness over HTTP: every status of the specification, and a log that never gets two histories cosigned."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.transparency import (
    build_add_checkpoint,
    origin_hash,
    parse_note,
    prove_consistency,
    read_cosignatures,
    verify_checkpoint,
)
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.running import RunningWitness
from cellcustody.services.witness.store import WitnessRolledBackError

from .small_log import NOW_SECONDS, ORIGIN, SmallLog, Told, ask, configuration_of, running, submit
from .witnessed_ledger import eventually

OTHER = "other.example/log"
SIZE = "text/x.tlog.size"


@pytest.fixture
def text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    return configuration_of(tmp_path / "witness", SmallLog(), SmallLog(OTHER))


@pytest.fixture
def witness(configuration: Path, text: io.StringIO) -> Iterator[RunningWitness]:
    with running(configuration, StructuredLog(text)) as found:
        yield found


@pytest.fixture
def log() -> SmallLog:
    return SmallLog().grow(10)


def test_a_growing_log_is_cosigned_with_both_keys(witness: RunningWitness, log: SmallLog) -> None:
    first = submit(witness.port, log.request(0))
    assert (first.status, first.content.count(b"\n")) == (200, 2)
    old = len(log.leaves)
    second = submit(witness.port, log.grow(300).request(old))
    assert second.status == 200
    note = log.checkpoint()
    lines = read_cosignatures(second.content, parse_note(note).text, witness.witness.vkeys)
    assert len(lines) == 2
    verified = verify_checkpoint(note + second.content, ORIGIN, log.vkeys(), witness_vkeys=witness.witness.vkeys)
    assert [one.timestamp_seconds for one in verified.witness_signatures] == [NOW_SECONDS, NOW_SECONDS]


def test_the_same_checkpoint_is_cosigned_again(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, log.request(0)).status == 200
    assert submit(witness.port, log.request(10)).status == 200


def test_an_empty_log_is_cosigned_and_may_be_again(witness: RunningWitness) -> None:
    empty = SmallLog()
    assert [submit(witness.port, empty.request(0)).status for _ in range(2)] == [200, 200]
    assert submit(witness.port, empty.grow(3).request(0)).status == 200


def test_a_stale_old_size_is_told_the_size(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, log.request(0)).status == 200
    log.grow(5)
    assert submit(witness.port, log.request(0)) == Told(409, SIZE, b"10\n")
    assert submit(witness.port, log.request(7)) == Told(409, SIZE, b"10\n")
    assert submit(witness.port, log.request(10)).status == 200


def test_logs_are_apart(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, log.request(0)).status == 200
    assert submit(witness.port, SmallLog(OTHER).grow(3).request(3)) == Told(409, SIZE, b"0\n")
    assert submit(witness.port, SmallLog(OTHER).grow(3).request(0)).status == 200


def test_an_unknown_log_is_not_found(witness: RunningWitness) -> None:
    assert submit(witness.port, SmallLog("nobody.example/log").grow(1).request(0)).status == 404


def test_a_checkpoint_that_the_log_did_not_sign_is_forbidden(witness: RunningWitness, log: SmallLog) -> None:
    by_stranger = log.request(0, checkpoint=log.checkpoint().replace(ORIGIN.encode() + b" ", b"stranger.example "))
    assert submit(witness.port, by_stranger).status == 403
    altered = log.checkpoint().replace(b"\n10\n", b"\n11\n")
    assert submit(witness.port, build_add_checkpoint(0, [], altered)).status == 403


def test_one_key_of_the_log_is_enough_and_one_bad_signature_too_much(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, log.request(0, checkpoint=log.checkpoint(signers=log.signers[:1]))).status == 200
    over_ten, over_nine = (log.checkpoint(size).splitlines(keepends=True) for size in (10, 9))
    mixed = b"".join([*over_ten[:-1], over_nine[-1]])
    assert submit(witness.port, log.request(10, checkpoint=mixed)).status == 403


def test_an_old_size_above_the_checkpoint_is_a_bad_request(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, build_add_checkpoint(11, [], log.checkpoint())).status == 400


def test_a_fork_is_not_cosigned(witness: RunningWitness, log: SmallLog, configuration: Path) -> None:
    assert submit(witness.port, log.request(0)).status == 200
    fork = SmallLog().grow(5).grow(5, "other")
    assert submit(witness.port, fork.request(10)).status == 422
    assert submit(witness.port, fork.grow(7).request(10)).status == 422
    kept = witness.witness.latest(ORIGIN)
    assert kept is not None and kept.head.size == 10
    evidence = sorted(path.suffix for path in (configuration.parent / "journal").iterdir() if path.suffix != ".journal")
    assert evidence == [".contradicting", ".contradicting", ".kept", ".kept"]


def test_a_proof_that_does_not_lead_there_is_unprocessable(witness: RunningWitness, log: SmallLog) -> None:
    assert submit(witness.port, build_add_checkpoint(0, [bytes(32)], log.checkpoint())).status == 422
    assert submit(witness.port, log.request(0)).status == 200
    log.grow(9)
    proof = prove_consistency(10, log.leaves)
    for wrong in ([], proof[:-1], [*proof, proof[0]], proof[::-1]):
        assert submit(witness.port, build_add_checkpoint(10, wrong, log.checkpoint())).status == 422
    assert submit(witness.port, build_add_checkpoint(19, [bytes(32)], log.checkpoint())).status == 409


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"old 0\n",
        b"old 00\n\nX",
        b"old +0\n\nX",
        "old ٠\n\nX".encode(),
        b"old  0\n\nX",
        b"old 0 \n\nX",
        b"Old 0\n\nX",
        b"old 0\r\n\nX",
        b"old 18446744073709551616\n\nX",
        b"old 0\nAAAA\n\nX",
        b"old 0\n" + b"A" * 43 + b"=\n" * 1 + b"junk\n\nX",
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\nX",
        b"old 0\n\nnot a note",
    ],
)
def test_a_request_that_is_not_in_its_form_is_bad(witness: RunningWitness, log: SmallLog, spoilt: bytes) -> None:
    body = spoilt[:-1] + log.checkpoint() if spoilt.endswith(b"X") else spoilt
    assert submit(witness.port, body).status == 400


def test_limits_on_methods_lengths_and_bodies(witness: RunningWitness) -> None:
    assert ask(witness.port, "GET", "/add-checkpoint").status == 405
    assert ask(witness.port, "PUT", "/add-checkpoint", b"old 0").status == 405
    assert ask(witness.port, "POST", "/elsewhere", b"old 0").status == 404
    assert ask(witness.port, "POST", "/add-checkpoint", b"", Content_Length="262145").status == 413
    assert ask(witness.port, "POST", "/add-checkpoint", b"", Transfer_Encoding="chunked").status == 411
    assert ask(witness.port, "GET", "/health").content == b"OK\n"


def test_monitors_get_what_was_cosigned_last(witness: RunningWitness, log: SmallLog) -> None:
    path = f"/{origin_hash(ORIGIN)}/checkpoint"
    assert ask(witness.port, "GET", path).status == 404
    foreign = b"\xe2\x80\x94 somebody.example " + b"AAAAAAAA\n"
    assert submit(witness.port, log.request(0, checkpoint=log.checkpoint() + foreign)).status == 200
    told = ask(witness.port, "GET", path)
    verified = verify_checkpoint(
        told.content, ORIGIN, log.vkeys(), required_vkeys=log.vkeys(), witness_vkeys=witness.witness.vkeys
    )
    assert (verified.size, len(verified.witness_signatures)) == (10, 2)
    assert b"somebody.example" not in told.content


def test_two_that_race_never_both_go_on_from_one_head(witness: RunningWitness, log: SmallLog) -> None:
    """Whoever loses is told the size that won; no head is taken back."""
    assert submit(witness.port, log.request(0)).status == 200
    log.grow(40)
    sizes = list(range(11, 51))
    told: dict[int, Told] = {}

    def race(size: int) -> None:
        told[size] = submit(witness.port, log.request(10, size))

    threads = [threading.Thread(target=race, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [size for size in sizes if told[size].status == 200]
    assert len(won) == 1
    assert {told[size].content for size in sizes if size not in won} == {f"{won[0]}\n".encode()}
    kept = witness.witness.latest(ORIGIN)
    assert kept is not None and kept.head.size == won[0]


def test_a_witness_goes_on_where_it_stopped(configuration: Path, log: SmallLog, text: io.StringIO) -> None:
    with running(configuration, StructuredLog(text)) as witness:
        assert submit(witness.port, log.request(0)).status == 200
    with running(configuration, StructuredLog(text), now=NOW_SECONDS - 100) as witness:
        assert submit(witness.port, log.grow(1).request(0)).content == b"10\n"
        assert submit(witness.port, log.request(10)).status == 200
        kept = witness.witness.latest(ORIGIN)
        assert kept is not None and kept.cosigned_at == NOW_SECONDS, "the time of a cosignature never goes back"


def test_a_restored_database_is_noticed_at_start(configuration: Path, log: SmallLog, text: io.StringIO) -> None:
    database = configuration.parent / "data" / "witness.sqlite"
    with running(configuration, StructuredLog(text)) as witness:
        assert submit(witness.port, log.request(0)).status == 200
    old = database.read_bytes()
    with running(configuration, StructuredLog(text)) as witness:
        assert submit(witness.port, log.grow(1).request(10)).status == 200
    database.write_bytes(old)
    with pytest.raises(WitnessRolledBackError) as refusal, running(configuration, StructuredLog(text)):
        pass
    assert refusal.value.values["journal_size"] == "11"


def test_a_witness_that_lost_everything_is_shown_its_own_cosignature(
    configuration: Path, log: SmallLog, text: io.StringIO
) -> None:
    """Database and journal are gone; what it cosigned is still on the log's side."""
    with running(configuration, StructuredLog(text)) as witness:
        lines = submit(witness.port, log.request(0)).content
    for folder in ("data", "journal"):
        for path in (configuration.parent / folder).iterdir():
            path.unlink()
    with running(configuration, StructuredLog(text)) as witness:
        shown = submit(witness.port, log.request(0, checkpoint=log.checkpoint() + lines))
        assert (shown.status, b"WITNESS_ROLLED_BACK" in shown.content) == (503, True)
        assert submit(witness.port, log.request(0)).status == 503, "it does not begin again"
        assert ask(witness.port, "GET", "/health").status == 503


def test_lines_of_the_log_tell_what_was_asked_and_not_by_whom(
    witness: RunningWitness, log: SmallLog, text: io.StringIO
) -> None:
    submit(witness.port, log.request(0))
    submit(witness.port, log.grow(1).request(0))
    eventually(lambda: text.getvalue().count("\n") == 2)  # A line is written after its answer was sent.
    lines = [json.loads(line) for line in text.getvalue().splitlines()]
    assert [(line["status"], line.get("reason")) for line in lines] == [(200, None), (409, "WITNESS_STATE")]
    assert "127.0.0.1" not in text.getvalue()


@pytest.mark.parametrize(
    "line",
    ['origin = "small.example/log"\nkeys = []', 'origin = "a"\nkeys = ["a+00000000+AAAA"]', 'nothing = "x"'],
)
def test_a_configuration_that_names_no_log_is_refused(
    configuration: Path, text: io.StringIO, line: str, tmp_path: Path
) -> None:
    with configuration.open("a") as stream:
        stream.write(f"\n[[log]]\n{line}\n")
    with pytest.raises(ConfigurationError), running(configuration, StructuredLog(text)):
        pass
