"""Through the real server: exports that leave nothing out, proofs of what is not here, and the key of aliases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from served_ledger import (
    TIMEOUT_SECONDS,
    EnrolledSite,
    ServedLedger,
    founded_in,
    refusal_of,
    served,
)

from cellcustody.ledger.completeness import AliasKey, blinded_alias
from cellcustody.ledger.completeness.following import MapFollower, MapVerdict
from cellcustody.ledger.completeness.map_entries import ENROLMENT, MAP, place_of
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.ledger.verification import Check, Outcome, Report, Result, verify_dossier
from cellcustody.ledger.verification.heads_proofs import HeadsReport, verify_heads_proof
from cellcustody.v1 import export_service_pb2, harvest_pb2, options_pb2, transparency_service_pb2
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub

COI = "isbt128-coi"
FREE_COI = "CHA999925999999V"


@dataclass
class Served:
    """A server with a hospital, a plant, a regulator, an auditor, and one therapy."""

    ledger: ServedLedger
    hospital: EnrolledSite
    therapy: bytes
    coi: str

    @property
    def anchor(self) -> Anchor:
        """The anchor that the founding wrote."""
        return parse_anchor(self.ledger.founded.anchor.read_bytes())

    def export(self, name: str, key: AliasKey | None = None) -> Report:
        """Returns what a verifier finds of an export to a site."""
        request = export_service_pb2.ExportTherapyRequest(stream=self.therapy, purpose="inspection")
        stub = ExportServiceStub(self.ledger.channel(name))
        answers = list(stub.ExportTherapy(request, timeout=TIMEOUT_SECONDS))
        return verify_dossier(b"".join(one.chunk for one in answers), self.anchor, alias_key=key)

    def alias_key(self, name: str) -> AliasKey:
        """Returns the key as the server opens it to a site."""
        request = transparency_service_pb2.GetAliasKeyRequest()
        answer = self.ledger.transparency(name).GetAliasKey(request, timeout=TIMEOUT_SECONDS)
        key = AliasKey(self.ledger.founded.ledger_id, answer.alias_key)
        key.check(answer.commitment)
        return key

    def proof(self, name: str, *streams: bytes, aliases: tuple[bytes, ...] = (), position_min: int = 0) -> HeadsReport:
        """Returns what a proof shows that a site asked for."""
        request = transparency_service_pb2.ProveHeadsRequest(
            streams=streams, alias_keys=aliases, position_min=position_min
        )
        answer = self.ledger.transparency(name).ProveHeads(request, timeout=TIMEOUT_SECONDS)
        return verify_heads_proof(answer.proof, self.anchor)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in which a hospital has enrolled a therapy."""
    folder: Path = tmp_path_factory.mktemp("served") / "ledger"
    with served(founded_in(folder)) as ledger:
        hospital = ledger.enrol_site(
            "hospital",
            options_pb2.CAPABILITY_COLLECT,
            options_pb2.CAPABILITY_INFUSE,
            roles=("administrator", "nurse", "reviewer"),
        )
        ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
        ledger.enrol_site("auditor", options_pb2.CAPABILITY_AUDIT)
        pack = ledger.publish_pack()
        nurse = ledger.in_role(hospital.administrator, "nurse")
        enrolment = ledger.enrolment(hospital, pack)
        assert isinstance(enrolment, harvest_pb2.TherapyEnrolled)
        therapy = ledger.therapy()
        ledger.harvest("hospital").EnrolTherapy(ledger.statement(nurse, therapy, enrolment), timeout=TIMEOUT_SECONDS)
        yield Served(ledger, hospital, therapy, enrolment.aliases[0].value)


def test_an_export_leaves_nothing_out_and_proves_it(running: Served) -> None:
    """Whoever gets a dossier sees that it is all; with the key a regulator sees whose the identifier is."""
    for name in ("hospital", "office", "auditor"):
        report = running.export(name)
        assert report.outcome is Outcome.VERIFIED
        line = report.line(Check.COMPLETENESS)
        assert (line.result, line.note) == (Result.PASSED, f"up to {report.position}")
        assert report.line(Check.ALIASES).result is Result.UNVERIFIED
    for name in ("office", "auditor"):
        report = running.export(name, running.alias_key(name))
        assert report.line(Check.ALIASES).result is Result.PASSED


def test_a_site_at_work_gets_no_paths_of_aliases(running: Served) -> None:
    """It holds no key and could not tell whose they are; even with the key there is nothing to verify."""
    report = running.export("hospital", running.alias_key("office"))
    assert report.line(Check.ALIASES).result is Result.UNVERIFIED


def test_absence_is_proved_offline(running: Served) -> None:
    """A stream that is not here, one that is, an identifier of one therapy and no other, and one of nobody."""
    key = running.alias_key("auditor")
    stranger = running.ledger.therapy()
    wanted = tuple(blinded_alias(key.key, COI, value) for value in (running.coi, FREE_COI))
    report = running.proof("auditor", running.therapy, stranger, aliases=wanted)

    assert report.outcome is Outcome.VERIFIED
    assert report.streams[stranger] == (0, b"")
    assert report.streams[running.therapy][0] == 1
    assert report.therapies_named(key, COI, running.coi) == (running.therapy,)
    assert report.therapies_named(key, COI, FREE_COI) == ()


def test_a_newer_map_is_made_for_who_oversees(running: Served) -> None:
    """An auditor may ask for the log as it is now; a member takes the last map, and asks for no newer one."""
    old = running.proof("hospital", running.therapy)
    running.export("office")
    size = running.ledger.server.ledger.checkpoint_size()
    newer = running.proof("auditor", running.therapy, position_min=size)
    assert newer.covered_size >= size > old.covered_size
    assert running.proof("auditor", running.therapy).covered_size == newer.covered_size


@pytest.mark.parametrize(
    ("name", "request_", "reason"),
    [
        ("hospital", transparency_service_pb2.ProveHeadsRequest(alias_keys=[bytes(32)]), "CALL_NOT_PERMITTED"),
        ("auditor", transparency_service_pb2.ProveHeadsRequest(), "REQUEST_INVALID"),
        ("auditor", transparency_service_pb2.ProveHeadsRequest(alias_keys=[bytes(31)]), "REQUEST_INVALID"),
        ("auditor", transparency_service_pb2.ProveHeadsRequest(streams=[bytes(17)]), "ID_MALFORMED"),
        (
            "auditor",
            transparency_service_pb2.ProveHeadsRequest(
                streams=[single_stream_id(StreamKind.REGISTRY)], position_min=1 << 40
            ),
            "REQUEST_INVALID",
        ),
    ],
)
def test_what_may_not_be_asked_is_refused(
    running: Served, name: str, request_: transparency_service_pb2.ProveHeadsRequest, reason: str
) -> None:
    """Aliases are for auditors and regulators; what is asked for has its form."""
    size = running.ledger.server.ledger.checkpoint_size()
    with pytest.raises(grpc.RpcError) as refused:
        running.ledger.transparency(name).ProveHeads(request_, timeout=TIMEOUT_SECONDS)
    assert refusal_of(refused.value).reason == reason
    assert running.ledger.server.ledger.checkpoint_size() == size, "nothing is logged for a refused question"


@pytest.mark.parametrize("name", ["hospital", "operator"])
def test_the_key_of_aliases_is_opened_to_nobody_else(running: Served, name: str) -> None:
    """Neither a site at work nor the operator's TLS key gets it."""
    with pytest.raises(grpc.RpcError) as refused:
        running.alias_key(name)
    assert refusal_of(refused.value).reason in ("CALL_NOT_PERMITTED", "TLS_KEY_UNKNOWN")


def test_a_monitor_finds_every_map_true(running: Served) -> None:
    """Made again from the log's entries, all maps that exports and questions caused are those that were logged."""
    running.export("office")
    ledger = running.ledger.server.ledger
    follower = MapFollower(running.ledger.founded.ledger_id, running.alias_key("auditor").key)
    found = []
    for index, entry in enumerate(ledger.store.entries(0, 10_000)):
        place = place_of(entry)
        openings = []
        if place.body_type in (ENROLMENT, MAP):
            digest = parse_statement(place.envelope).digest
            openings = openings_of(ledger.store, ledger.vault, digest, frozenset({1, 2}))
        checked = follower.take(index, entry, openings)
        if checked is not None:
            found.append((checked.heads, checked.aliases))
    assert found and set(found) == {(MapVerdict.MATCHES, MapVerdict.MATCHES)}
