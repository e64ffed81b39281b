"""An export over gRPC: logged, given out in pieces, closed, resumed, and refused to whom it does not concern."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from served_ledger import TIMEOUT_SECONDS, EnrolledSite, ServedLedger, founded_in, refusal_of, served

from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.verification import Outcome, verify_dossier
from cellcustody.v1 import export_service_pb2, options_pb2
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub

POSITION_KEY = "cellcustody-export-position"


@dataclass
class Served:
    """A server with a plant, a regulator and one therapy."""

    ledger: ServedLedger
    plant: EnrolledSite
    therapy: bytes

    @property
    def anchor(self) -> Anchor:
        """The anchor that the founding wrote."""
        return parse_anchor(self.ledger.founded.anchor.read_bytes())

    def export(
        self,
        name: str,
        *,
        purpose: str = "inspection",
        offset: int = 0,
        position: int = 0,
        therapy: bytes | None = None,
    ) -> tuple[bytes, export_service_pb2.ExportClosing, int]:
        """Returns what came: bytes, closing message, and the export's position."""
        call = ExportServiceStub(self.ledger.channel(name)).ExportTherapy(
            export_service_pb2.ExportTherapyRequest(
                stream=therapy or self.therapy, purpose=purpose, resume_offset=offset, resume_position=position
            ),
            timeout=TIMEOUT_SECONDS,
        )
        metadata = dict(call.initial_metadata())
        answers = list(call)
        assert answers[-1].HasField("closing")
        return b"".join(one.chunk for one in answers[:-1]), answers[-1].closing, int(metadata[POSITION_KEY])

    def refusal(self, name: str, **said: object) -> str:
        """Returns the reason for which an export is refused."""
        with pytest.raises(grpc.RpcError) as refused:
            self.export(name, **said)  # type: ignore[arg-type]  # keywords pass through
        return refusal_of(refused.value).reason


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in which a plant has raised a deviation."""
    folder: Path = tmp_path_factory.mktemp("served") / "ledger"
    with served(founded_in(folder)) as ledger:
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_RELEASE)
        ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
        ledger.enrol_site("other", options_pb2.CAPABILITY_PROCESS)
        ledger.enrol_site("courier", options_pb2.CAPABILITY_TRANSPORT)
        therapy = ledger.therapy()
        deviation = ledger.deviation(plant.administrator, therapy)
        ledger.modification("plant").RaiseDeviation(deviation, timeout=TIMEOUT_SECONDS)
        yield Served(ledger, plant, therapy)


def test_a_regulator_gets_a_dossier_that_verifies(running: Served) -> None:
    """What arrives is what the closing message promises, and verifies against the founders' anchor."""
    data, closing, position = running.export("office")

    assert hashlib.sha256(data).digest() == closing.sha256
    assert len(data) == closing.length_bytes
    report = verify_dossier(data, running.anchor)
    assert report.outcome is Outcome.VERIFIED
    assert report.position == position
    assert len(report.statements) == closing.statements
    assert closing.checkpoint in data


def test_an_export_is_on_record_before_it_is_given(running: Served) -> None:
    """Each export is an entry in the log's own stream, followed by a map, under the checkpoint of the dossier."""
    store = running.ledger.server.ledger.store
    log = single_stream_id(StreamKind.LOG)
    before = store.stream_head(log)
    _, _, position = running.export("office")
    after = store.stream_head(log)

    assert after is not None
    assert after.sequence == (before.sequence if before else 0) + 2
    assert position >= after.leaf_index + 1


def test_an_export_resumes_at_a_byte_of_the_same_file(running: Served) -> None:
    """The rest of a file that broke off is the rest of that file, byte for byte; no second entry is logged."""
    data, closing, position = running.export("office")
    head = running.ledger.server.ledger.store.stream_head(single_stream_id(StreamKind.LOG))

    rest, again, _ = running.export("office", offset=1000, position=position)

    assert data[:1000] + rest == data
    assert again == closing
    assert running.ledger.server.ledger.store.stream_head(single_stream_id(StreamKind.LOG)) == head


def test_somebody_elses_export_is_not_resumed(running: Served) -> None:
    """An export belongs to the site that asked; one that is not kept is asked for anew."""
    _, _, position = running.export("office")

    assert running.refusal("plant", position=position) == "EXPORT_NOT_RESUMABLE"
    assert running.refusal("office", position=position + 1000) == "EXPORT_NOT_RESUMABLE"
    assert running.refusal("office", position=position, offset=1 << 40) == "REQUEST_INVALID"


def test_a_site_that_takes_part_gets_its_therapy_and_no_other(running: Served) -> None:
    """The plant signed in this therapy; another plant did not, and a courier exports nothing."""
    data, _, _ = running.export("plant")

    assert verify_dossier(data, running.anchor).outcome is Outcome.VERIFIED
    assert running.refusal("other") == "NO_PART_IN_THERAPY"
    assert running.refusal("courier") == "CALL_NOT_PERMITTED"


def test_an_export_without_purpose_or_of_nothing_is_refused(running: Served) -> None:
    """Nothing is logged for a request that could not be answered."""
    head = running.ledger.server.ledger.store.stream_head(single_stream_id(StreamKind.LOG))

    assert running.refusal("office", purpose="") == "REQUEST_INVALID"
    assert running.refusal("office", therapy=running.ledger.therapy()) == "THERAPY_UNKNOWN"
    assert running.refusal("office", therapy=bytes([2]) + bytes(15) + b"\x01") == "REQUEST_INVALID"
    assert running.ledger.server.ledger.store.stream_head(single_stream_id(StreamKind.LOG)) == head
