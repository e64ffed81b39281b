"""Time evidence through the wire: stamped at export, served over gRPC and HTTP, carried in the dossier."""

from __future__ import annotations

import dataclasses
import http.client
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import Message
from served_ledger import REGISTRY, TIMEOUT_SECONDS, ServedLedger, Signing, founded_in, refusal_of, served

from cellcustody.clients.auditing import audit_log, open_source
from cellcustody.clients.errors import LogInconsistent
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.errors import CellcustodyError, VerificationError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.timestamps import Stamp, TimeAuthority, encode_item, parse_item
from cellcustody.ledger.timestamps.issuing import AuthorityKeys, make_authority
from cellcustody.ledger.verification import Check, Outcome, Result, verify_dossier
from cellcustody.ledger.verification.standpoint import Standpoint
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_authority import TimeAuthorityServer
from cellcustody.v1 import (
    export_service_pb2,
    ledger_service_pb2,
    options_pb2,
    quality_pb2,
    registry_pb2,
    timestamps_pb2,
    transparency_service_pb2,
)
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub


@dataclasses.dataclass(frozen=True, slots=True)
class Stamped:
    """A server that asks one authority, with a therapy of a plant."""

    ledger: ServedLedger
    keys: AuthorityKeys
    therapy: bytes

    def export(self) -> bytes:
        """Returns the therapy's dossier."""
        call = ExportServiceStub(self.ledger.channel("office")).ExportTherapy(
            export_service_pb2.ExportTherapyRequest(stream=self.therapy, purpose="inspection"), timeout=TIMEOUT_SECONDS
        )
        return b"".join(one.chunk for one in call)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stamped]:
    folder = tmp_path_factory.mktemp("stamped")
    now = datetime.now(UTC).replace(microsecond=0)
    keys = make_authority(
        "tsa.example",
        key=ec.generate_private_key(ec.SECP256R1()),
        root_key=ec.generate_private_key(ec.SECP256R1()),
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=3650),
    )
    (folder / "root.pem").write_bytes(keys.root.public_bytes(Encoding.PEM))
    authority = TimeAuthorityServer(
        keys, ListenAddress("127.0.0.1", 0), lambda: datetime.now(UTC), StructuredLog(io.StringIO())
    )
    authority.start()
    founded = founded_in(folder / "ledger", entries_open=True)
    with open(founded.configuration, "a", encoding="utf-8") as stream:
        stream.write(
            "\n[timestamps]\ninterval_seconds = 3600\n"
            f'[[timestamps.authorities]]\nname = "tsa.example"\nurl = "{authority.url}"\n'
            f'certificates = ["{folder / "root.pem"}"]\n'
        )
    try:
        with served(founded) as ledger:
            plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_RELEASE)
            ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
            therapy = ledger.therapy()
            ledger.modification("plant").RaiseDeviation(
                ledger.deviation(plant.administrator, therapy), timeout=TIMEOUT_SECONDS
            )
            yield Stamped(ledger, keys, therapy)
    finally:
        authority.stop()


def test_a_dossier_is_stamped_when_it_is_exported(running: Stamped) -> None:
    """Its very checkpoint, so that every statement in it is bounded; the second export records the first's item."""
    running.export()
    data = running.export()
    anchor = parse_anchor(running.ledger.founded.anchor.read_bytes())
    believing = dataclasses.replace(anchor, time_authorities=(TimeAuthority("tsa.example", (running.keys.root_der,)),))

    report = verify_dossier(data, believing, standpoint=Standpoint(datetime.now(UTC)))

    assert report.outcome is Outcome.VERIFIED
    line = report.line(Check.TIME)
    assert (line.result, line.checked) == (Result.PASSED, len(report.statements))
    assert verify_dossier(data, anchor).line(Check.TIME).result is Result.UNVERIFIED


def test_items_are_served_over_grpc_and_http_alike(running: Stamped) -> None:
    running.export()
    transparency = running.ledger.transparency("plant")
    answer = transparency.GetTimeEvidence(transparency_service_pb2.GetTimeEvidenceRequest(), timeout=TIMEOUT_SECONDS)
    assert answer.count == len(answer.items) >= 1
    assert [parse_item(raw).number for raw in answer.items] == list(range(answer.count))
    port = running.ledger.server.http_port
    assert port is not None

    def get(path: str) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(), response.headers["Cache-Control"]
        finally:
            connection.close()

    assert get("/timestamps/0") == (200, answer.items[0], "public, max-age=31536000, immutable")
    assert int(get("/timestamps/count")[1]) >= answer.count
    certificates = timestamps_pb2.TimeCertificates.FromString(get("/timestamps/certificates")[1])
    assert list(certificates.certificates) == list(answer.certificates)
    assert running.keys.root_der in certificates.certificates
    assert [get(path)[0] for path in ("/timestamps/999999", "/timestamps/00", "/timestamps/-1", "/timestamps/")] == [
        404
    ] * 4


def test_some_items_at_a_time(running: Stamped) -> None:
    running.export()
    transparency = running.ledger.transparency("plant")
    request = transparency_service_pb2.GetTimeEvidenceRequest(start=0, limit=1)
    assert len(transparency.GetTimeEvidence(request, timeout=TIMEOUT_SECONDS).items) == 1
    beyond = transparency_service_pb2.GetTimeEvidenceRequest(start=10_000)
    assert not transparency.GetTimeEvidence(beyond, timeout=TIMEOUT_SECONDS).items


HOUR_MICROS = 3_600_000_000


def told(running: Stamped, by: Signing, body: Message, shift: int) -> ledger_service_pb2.SubmitRequest:
    """Returns a statement of a therapy whose times are so many microseconds from now."""
    header = running.ledger.header(by, running.ledger.therapy(), body.DESCRIPTOR.full_name)
    header.signed_at.unix_micros += shift
    header.occurred_at.start_unix_micros += shift
    return running.ledger.signed(by, header, body)


def test_a_fact_by_a_clock_ahead_is_recorded_with_a_finding(running: Stamped) -> None:
    """And with the time that its signer gave: nothing is rewritten."""
    ledger = running.ledger
    plant = ledger.enrol_site("early", options_pb2.CAPABILITY_PROCESS).administrator
    fact = told(running, plant, quality_pb2.DeviationRaised(description="tomorrow"), HOUR_MICROS)
    answer = ledger.modification("early").RaiseDeviation(fact, timeout=TIMEOUT_SECONDS)
    assert "CLOCK_AHEAD" in {finding.code for finding in answer.judgement.findings}
    recorded = ledger.server.ledger.read_entry(statement_digest=answer.statement_digest)
    assert read_entry(recorded.entry).envelope == fact.envelope


def test_an_authorisation_by_a_clock_ahead_is_refused(running: Stamped) -> None:
    ledger = running.ledger
    clinic = ledger.enrol_site("eager", options_pb2.CAPABILITY_INFUSE, roles=("administrator", "physician"))
    pack = ledger.publish_pack()
    enrolling = told(
        running, ledger.in_role(clinic.administrator, "physician"), ledger.enrolment(clinic, pack), HOUR_MICROS
    )
    with pytest.raises(grpc.RpcError) as refused:
        ledger.harvest("eager").EnrolTherapy(enrolling, timeout=TIMEOUT_SECONDS)
    assert "CLOCK_AHEAD" in refusal_of(refused.value).violations


def test_an_act_of_the_registry_by_a_clock_ahead_is_refused(running: Stamped) -> None:
    ledger = running.ledger
    registrar = ledger.registrar(1)
    body = registry_pb2.SiteChanged(site=ledger.enrol_site("moving", options_pb2.CAPABILITY_TEST).site)
    header = ledger.header(registrar, REGISTRY, body.DESCRIPTOR.full_name)
    header.signed_at.unix_micros += HOUR_MICROS
    with pytest.raises(grpc.RpcError) as refused:
        ledger.registry_service().ChangeSite(ledger.signed(registrar, header, body), timeout=TIMEOUT_SECONDS)
    assert refusal_of(refused.value).violations == ("CLOCK_AHEAD",)


def test_a_fact_that_comes_late_is_flagged_and_never_refused(running: Stamped) -> None:
    ledger = running.ledger
    plant = ledger.enrol_site("slow", options_pb2.CAPABILITY_PROCESS).administrator
    fact = told(running, plant, quality_pb2.DeviationRaised(description="last week"), -7 * 24 * HOUR_MICROS)
    answer = ledger.modification("slow").RaiseDeviation(fact, timeout=TIMEOUT_SECONDS)
    assert "LATE" in {finding.code for finding in answer.judgement.findings}


def test_an_audit_holds_the_evidence_to_the_log(running: Stamped, tmp_path: Path) -> None:
    """Over HTTP and from the folder that it kept; and each lie in that folder is found."""
    running.export()
    anchor = parse_anchor(running.ledger.founded.anchor.read_bytes())
    believing = dataclasses.replace(anchor, time_authorities=(TimeAuthority("tsa.example", (running.keys.root_der,)),))
    source = open_source(f"http://127.0.0.1:{running.ledger.server.http_port}")

    times = audit_log(source, believing, state_folder=tmp_path / "state").times
    assert times.items == times.tokens >= 1
    assert audit_log(source, anchor).times.unknown_tokens == times.items
    kept = tmp_path / "state" / "log"
    assert audit_log(open_source(str(kept)), believing).times.items == times.items

    item = kept / "timestamps" / "0"
    honest = item.read_bytes()
    parsed = parse_item(honest)
    assert isinstance(parsed.record, Stamp)
    other_tree = dataclasses.replace(parsed.record, size=parsed.record.size - 1)
    other_note = dataclasses.replace(parsed.record, note_sha512=bytes(64))
    lies: list[tuple[bytes, type[CellcustodyError]]] = [
        (encode_item(0, other_tree, parsed.tokens), LogInconsistent),
        (encode_item(0, other_note, parsed.tokens), VerificationError),
        (honest[:-1], LogInconsistent),
        (encode_item(1, parsed.record, parsed.tokens), LogInconsistent),
    ]
    for lie, found in lies:
        item.write_bytes(lie)
        with pytest.raises(found):
            audit_log(open_source(str(kept)), believing)
    item.unlink()
    with pytest.raises(LogInconsistent):
        audit_log(open_source(str(kept)), believing)
