"""Cosignatures are gathered, shown, waited for and enforced; a witness that is down holds up nobody."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from served_ledger import EnrolledSite, ServedLedger, founded_in, refusal_of, served

from cellcustody.ledger.store import StoreForkedError, StoreRolledBackError
from cellcustody.ledger.transparency import parse_checkpoint, parse_log_proof, parse_policy, verify_witnesses
from cellcustody.ledger.transparency.errors import QuorumUnmetError
from cellcustody.ledger.verification import WitnessQuorumError, verify_receipt
from cellcustody.v1 import ledger_service_pb2, options_pb2, transparency_service_pb2

from .witnessed_ledger import NAMES, Witnesses, anchor_of, eventually, three_witnesses, witnessed_ledger


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedLedger, Witnesses, EnrolledSite]]:
    with witnessed_ledger(tmp_path_factory.mktemp("witnessed")) as (ledger, witnesses):
        yield ledger, witnesses, ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)


@pytest.fixture
def ledger(world: tuple[ServedLedger, Witnesses, EnrolledSite]) -> ServedLedger:
    return world[0]


@pytest.fixture
def plant(world: tuple[ServedLedger, Witnesses, EnrolledSite]) -> EnrolledSite:
    return world[2]


@pytest.fixture
def witnesses(world: tuple[ServedLedger, Witnesses, EnrolledSite]) -> Iterator[Witnesses]:
    yield world[1]
    for number in range(len(NAMES)):
        if number not in world[1].running:
            world[1].start(number)


def said(ledger: ServedLedger, plant: EnrolledSite, *, witnessed: bool) -> ledger_service_pb2.SubmitRequest:
    """A statement to send, that waits for witnesses or does not."""
    request = ledger.deviation(plant.administrator)
    request.await_witnessed = witnessed
    return request


def entry_at(ledger: ServedLedger, position: int) -> bytes:
    """The bytes of an entry."""
    asked = ledger_service_pb2.GetEntryRequest(leaf_index=position - 1)
    return ledger.ledger_service("plant").GetEntry(asked, timeout=30).entry


def standing(ledger: ServedLedger) -> transparency_service_pb2.GetWitnessesResponse:
    """How the log stands with its witnesses, as anyone may ask."""
    return ledger.transparency("plant").GetWitnesses(transparency_service_pb2.GetWitnessesRequest(), timeout=30)


def caught_up(ledger: ServedLedger) -> bool:
    """Whether a quorum has cosigned all there is."""
    found = standing(ledger)
    return found.witnessed_size == found.size


def test_a_submitter_waits_for_the_quorum(ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses) -> None:
    answer = ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=True), timeout=30)
    assert answer.witnessed
    checked = verify_receipt(answer.receipt, entry_at(ledger, answer.position), anchor_of(ledger))
    assert checked.leaf_index == answer.position - 1
    organisations = {name.removesuffix("/pq") for name in checked.witnesses or ()}
    assert len(organisations) >= 2


def test_one_witness_of_three_may_be_down(ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses) -> None:
    witnesses.stop(1)
    for _ in range(3):
        assert ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=True), timeout=30).witnessed
    eventually(lambda: standing(ledger).witnesses[1].failure == "WITNESS_FAILED")
    found = standing(ledger)
    assert found.witnesses[1].size < found.witnesses[0].size
    assert list(found.witnesses[0].names) == [NAMES[0], f"{NAMES[0]}/pq"]


def test_without_a_quorum_it_is_recorded_and_said_not_to_be_witnessed(
    ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses
) -> None:
    """The same statement sent again later gets the witnessed receipt of the first entry."""
    eventually(lambda: caught_up(ledger))
    witnesses.stop(0)
    witnesses.stop(2)
    request = said(ledger, plant, witnessed=True)
    first = ledger.ledger_service("plant").Append(request, timeout=6)
    assert (first.witnessed, bool(first.receipt)) == (False, True)
    with pytest.raises(WitnessQuorumError) as unmet:
        verify_receipt(first.receipt, entry_at(ledger, first.position), anchor_of(ledger))
    assert unmet.value.values["signed"] == ""
    assert unmet.value.values["lacking"].split(", ") == sorted([*NAMES, *(f"{name}/pq" for name in NAMES)])

    witnesses.start(0)
    again = ledger.ledger_service("plant").Append(request, timeout=60)
    assert (again.witnessed, again.already_recorded, again.position) == (True, True, first.position)
    verify_receipt(again.receipt, entry_at(ledger, first.position), anchor_of(ledger))


def test_appends_do_not_wait_for_witnesses_that_are_down(
    ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses
) -> None:
    for number in range(len(NAMES)):
        witnesses.stop(number)
    answers = [
        ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=False), timeout=30) for _ in range(20)
    ]
    assert len({answer.position for answer in answers}) == 20
    assert standing(ledger).size >= answers[-1].position > standing(ledger).witnessed_size


def test_items_of_a_batch_may_wait(ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses) -> None:
    batch = ledger_service_pb2.AppendBatchRequest(
        statements=[said(ledger, plant, witnessed=witnessed) for witnessed in (True, False, True)]
    )
    results = ledger.ledger_service("plant").AppendBatch(batch, timeout=60).results
    assert [result.recorded.witnessed for result in results] == [True, False, True]
    for result in (results[0].recorded, results[2].recorded):
        verify_receipt(result.receipt, entry_at(ledger, result.position), anchor_of(ledger))


def test_the_checkpoint_shown_carries_the_quorum(
    ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses
) -> None:
    """Over HTTP, over gRPC, and in the receipts that are asked for later."""
    answer = ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=True), timeout=30)
    anchor = anchor_of(ledger)
    policy = parse_policy(anchor.witness_policy.encode())
    connection = http.client.HTTPConnection("127.0.0.1", ledger.server.http_port or 0, timeout=30)
    connection.request("GET", "/checkpoint")
    over_http = connection.getresponse().read()
    connection.close()
    over_grpc = ledger.transparency("plant").GetCheckpoint(transparency_service_pb2.GetCheckpointRequest(), timeout=30)
    receipt = ledger.transparency("plant").GetReceipt(
        transparency_service_pb2.GetReceiptRequest(leaf_index=answer.position - 1), timeout=30
    )
    for note in (over_http, over_grpc.checkpoint, parse_log_proof(receipt.receipt).checkpoint):
        verify_witnesses(note, policy, anchor.log_origin, anchor.log_keys, required_vkeys=anchor.log_keys)


def test_a_checkpoint_without_its_cosignatures_fails_offline(
    ledger: ServedLedger, plant: EnrolledSite, witnesses: Witnesses
) -> None:
    answer = ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=True), timeout=30)
    anchor = anchor_of(ledger)
    policy = parse_policy(anchor.witness_policy.encode())
    note = parse_log_proof(answer.receipt).checkpoint
    lines = note.splitlines(keepends=True)
    cosignatures = [line for line in lines if line.startswith("— ".encode()) and b"/w" in line]
    alone = b"".join(line for line in lines if line not in cosignatures)
    with pytest.raises(QuorumUnmetError):
        verify_witnesses(alone, policy, anchor.log_origin, anchor.log_keys)
    one_organisation = alone + b"".join(line for line in cosignatures if line.split()[1] == cosignatures[0].split()[1])
    with pytest.raises(QuorumUnmetError):
        verify_witnesses(one_organisation, policy, anchor.log_origin, anchor.log_keys)


def test_what_was_cosigned_is_there_after_a_restart(tmp_path: Path) -> None:
    """Without any witness answering, the server shows the newest checkpoint that it has kept."""
    with three_witnesses(tmp_path) as (witnesses, founded):
        with served(founded) as ledger:
            ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
            eventually(lambda: caught_up(ledger))
            size = standing(ledger).size
        witnesses.close()
        with served(founded) as ledger:
            shown = ledger.transparency("plant").GetCheckpoint(
                transparency_service_pb2.GetCheckpointRequest(), timeout=30
            )
            anchor = anchor_of(ledger)
            verify_witnesses(
                shown.checkpoint, parse_policy(anchor.witness_policy.encode()), anchor.log_origin, anchor.log_keys
            )
            assert parse_checkpoint(shown.checkpoint).size == size


def test_a_ledger_restored_with_its_journal_is_stopped_by_its_witnesses(tmp_path: Path) -> None:
    """Data, keys and journal are all of an older day; only others remember the newer one."""
    with three_witnesses(tmp_path) as (_, founded):
        folder = founded.configuration.parent
        with served(founded) as ledger:
            ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
            eventually(lambda: caught_up(ledger))
        shutil.copytree(folder, tmp_path / "older")
        with served(founded) as ledger:
            ledger.enrol_site("clinic", options_pb2.CAPABILITY_COLLECT)
            eventually(lambda: caught_up(ledger))
        newer = tmp_path / "newer"
        folder.rename(newer)
        (tmp_path / "older").rename(folder)
        with pytest.raises(StoreRolledBackError) as refusal, served(founded):
            pass
        assert refusal.value.values["witness"].split(", ")[0] in NAMES


def test_a_ledger_that_lost_and_rewrote_its_end_is_stopped_while_it_runs(tmp_path: Path) -> None:
    """Its witnesses were down when it started; the first that answers proves the fork, and nothing more is recorded."""
    with three_witnesses(tmp_path) as (witnesses, founded):
        folder = founded.configuration.parent
        with served(founded):
            pass
        shutil.copytree(folder, tmp_path / "older")
        with served(founded) as ledger:
            plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
            for _ in range(5):
                ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=False), timeout=30)
            eventually(lambda: caught_up(ledger))
        folder.rename(tmp_path / "newer")
        (tmp_path / "older").rename(folder)
        witnesses.close()
        with served(founded) as ledger:
            clinic = ledger.enrol_site("clinic", options_pb2.CAPABILITY_COLLECT)
            for number in range(len(NAMES)):
                witnesses.start(number)
            eventually(lambda: ledger.server.ledger.stopped is not None)
            why = ledger.server.ledger.stopped or ""
            assert StoreRolledBackError.reason in why or StoreForkedError.reason in why
            with pytest.raises(grpc.RpcError) as refused:
                ledger.ledger_service("clinic").Append(said(ledger, clinic, witnessed=False), timeout=30)
            assert refusal_of(refused.value).reason == "LEDGER_STOPPED"


def test_a_ledger_without_witnesses_takes_nothing_that_is_to_wait(tmp_path: Path) -> None:
    with served(founded_in(tmp_path / "alone")) as ledger:
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        before = standing(ledger).size
        with pytest.raises(grpc.RpcError) as refused:
            ledger.ledger_service("plant").Append(said(ledger, plant, witnessed=True), timeout=30)
        assert refusal_of(refused.value).reason == "NO_WITNESSES"
        assert (standing(ledger).size, standing(ledger).witnessed_size) == (before, 0)
