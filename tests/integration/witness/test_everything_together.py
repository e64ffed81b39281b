"""The whole: three witnesses of three organisations, a dossier that carries their quorum, a monitor that hears them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_ledger import EnrolledSite, ServedLedger

from cellcustody.ledger.dossier.layout import CHECKPOINT, FILE_NAMES, canonical_zip
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.transparency import format_note, parse_note
from cellcustody.ledger.verification import Check, WitnessQuorumError, open_dossier, verify_dossier
from cellcustody.services.monitor.following import Look, Monitor
from cellcustody.services.monitor.sources import EntitledOpenings, LogFiles, TlsPaths
from cellcustody.services.monitor.state import monitor_state
from cellcustody.v1 import export_service_pb2, options_pb2
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub

from .witnessed_ledger import NAMES, Witnesses, anchor_of, witnessed_ledger


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServedLedger, Witnesses, EnrolledSite, bytes]]:
    """A ledger with its witnesses, and a therapy of which a plant has told something."""
    with witnessed_ledger(tmp_path_factory.mktemp("together")) as (ledger, witnesses):
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_RELEASE)
        ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
        therapy = ledger.therapy()
        for _ in range(3):
            ledger.modification("plant").RaiseDeviation(ledger.deviation(plant.administrator, therapy), timeout=30)
        yield ledger, witnesses, plant, therapy


def exported(ledger: ServedLedger, therapy: bytes) -> bytes:
    """The dossier that a regulator gets."""
    request = export_service_pb2.ExportTherapyRequest(stream=therapy, purpose="inspection")
    answers = list(ExportServiceStub(ledger.channel("office")).ExportTherapy(request, timeout=60))
    return b"".join(one.chunk for one in answers[:-1])


def with_lines(data: bytes, keep: tuple[str, ...]) -> bytes:
    """The dossier with the cosignatures of these witnesses alone."""
    files = dict(open_dossier(data).files)
    note = parse_note(files[CHECKPOINT])
    kept = [
        line for line in note.signatures if line.name not in {*NAMES, *(f"{n}/pq" for n in NAMES)} or line.name in keep
    ]
    files[CHECKPOINT] = format_note(note.text, kept)
    return canonical_zip([(name, files[name]) for name in FILE_NAMES])


def test_a_dossier_carries_the_quorum_and_fails_without_it(
    world: tuple[ServedLedger, Witnesses, EnrolledSite, bytes],
) -> None:
    ledger, _, _, therapy = world
    anchor = anchor_of(ledger)
    data = exported(ledger, therapy)
    report = verify_dossier(data, anchor)
    line = next(line for line in report.checks if line.check is Check.WITNESSES)
    assert (line.result.value, line.checked >= 2) == ("PASSED", True)
    with pytest.raises(WitnessQuorumError) as unmet:
        verify_dossier(with_lines(data, (NAMES[0],)), anchor)
    assert unmet.value.values["signed"] == f"{NAMES[0]}, {NAMES[0]}/pq"
    assert NAMES[1] in unmet.value.values["lacking"]
    assert unmet.value.report is not None
    failed = [line.check for line in unmet.value.report.checks if line.result.value == "FAILED"]
    assert failed == [Check.WITNESSES]


def test_a_monitor_hears_the_witnesses_and_judges_with_what_a_regulator_reads(
    world: tuple[ServedLedger, Witnesses, EnrolledSite, bytes], tmp_path: Path
) -> None:
    ledger, witnesses, plant, _ = world
    anchor: Anchor = anchor_of(ledger)
    tls = TlsPaths(ledger.founded.authority, ledger.tls / "office.pem", ledger.tls / "office.key")

    def look() -> Look:
        with monitor_state(tmp_path / "state") as state:
            files = LogFiles(f"http://127.0.0.1:{ledger.server.http_port}")
            entitled = EntitledOpenings(f"localhost:{ledger.server.grpc_port}", tls)
            try:
                gossip = [f"http://127.0.0.1:{port}" for port in witnesses.ports.values()]
                key = entitled.alias_key()
                assert key is not None
                return Monitor(anchor, files, entitled, state, gossip=gossip, alias_key=key).look()
            finally:
                files.close()
                entitled.close()

    first = look()
    assert (first.findings, first.unverified) == ([], 0)
    assert first.gossip_silent == []
    assert len(first.witnesses or ()) >= 2
    request = ledger.deviation(plant.administrator)
    request.await_witnessed = True
    ledger.ledger_service("plant").Append(request, timeout=30)
    second = look()
    assert (second.findings, second.entries > 0, second.unverified) == ([], True, 0)
    assert first.maps_matching + second.maps_matching > 0
