"""What bad input gets over the wire: each defect its own reason, and nothing of it in the log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import grpc
import pytest

from cellcustody.ledger.statements import (
    Ed25519Signer,
    PayloadType,
    StreamKind,
    encode_envelope,
    new_stream_id,
    parse_envelope,
    sign_envelope,
)
from cellcustody.ledger.statements.envelope import EnvelopeSignature
from cellcustody.v1 import (
    common_pb2,
    entry_pb2,
    harvest_pb2,
    ledger_service_pb2,
    options_pb2,
    quality_pb2,
    registry_pb2,
    statement_pb2,
    transport_pb2,
)

from .served_ledger import (
    REGISTRY,
    TIMEOUT_SECONDS,
    EnrolledSite,
    ServedLedger,
    Signing,
    founded_in,
    refusal_of,
    served,
)

Defect = Callable[[ServedLedger, EnrolledSite], ledger_service_pb2.SubmitRequest]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLedger]:
    with served(founded_in(tmp_path_factory.mktemp("bad") / "ledger")) as running:
        yield running


@pytest.fixture(scope="module")
def plant(ledger: ServedLedger) -> EnrolledSite:
    return ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_RELEASE)


def cut(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    request.envelope = request.envelope[:-1]
    return request


def altered(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    """One bit of the payload's last byte differs from what was signed."""
    request = ledger.deviation(site.administrator)
    envelope = parse_envelope(request.envelope)
    payload = envelope.payload[:-1] + bytes([envelope.payload[-1] ^ 1])
    request.envelope = encode_envelope(payload, envelope.payload_type, envelope.signatures)
    return request


def signed_by_nobody_known(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    stranger = Signing(os.urandom(16), Ed25519Signer(os.urandom(32)), "reviewer", os.urandom(16))
    return ledger.deviation(stranger)


def not_in_wire_form(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    """The payload has a field that the schema does not know, and is signed as such."""
    request = ledger.deviation(site.administrator)
    payload = parse_envelope(request.envelope).payload + bytes.fromhex("f80f01")
    request.envelope = sign_envelope(payload, PayloadType.CUSTODY, [site.administrator.signer])
    return request


def with_another_record(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    request.openings[0].record = request.openings[0].record[:-1] + b"!"
    return request


def without_its_openings(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    del request.openings[:]
    return request


def with_short_salt(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    request.openings[0].salt = request.openings[0].salt[:-1]
    return request


def oversize(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    request.envelope += bytes(70_000)
    return request


def headed(
    ledger: ServedLedger, site: EnrolledSite, change: Callable[[statement_pb2.Header], None]
) -> ledger_service_pb2.SubmitRequest:
    """A deviation whose header says something else, signed so."""
    body = quality_pb2.DeviationRaised(description="as headed")
    header = ledger.header(site.administrator, ledger.therapy(), body.DESCRIPTOR.full_name)
    change(header)
    return ledger.signed(site.administrator, header, body)


def with_unknown_schema(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    def change(header: statement_pb2.Header) -> None:
        header.schema_digest = bytes(32)

    return headed(ledger, site, change)


def of_another_ledger(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    def change(header: statement_pb2.Header) -> None:
        header.ledger_id = bytes(16)

    return headed(ledger, site, change)


def in_the_registry(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    def change(header: statement_pb2.Header) -> None:
        header.stream = REGISTRY

    return headed(ledger, site, change)


def under_another_payload_type(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    payload = parse_envelope(request.envelope).payload
    request.envelope = sign_envelope(payload, PayloadType.POLICY, [site.administrator.signer])
    return request


def by_a_key_of_another(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    """The registrar's key signs what the header says the administrator said."""
    administrator, registrar = site.administrator, ledger.registrar(1)
    return ledger.deviation(Signing(administrator.person, registrar.signer, "administrator", administrator.person))


def with_a_signature_less_than_declared(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    registrar = ledger.registrar(1)
    body = quality_pb2.DeviationRaised(description="two keys")
    header = ledger.header(site.administrator, ledger.therapy(), body.DESCRIPTOR.full_name)
    keys = sorted([site.administrator.signer, registrar.signer], key=lambda signer: signer.key_id)
    del header.signer.key_ids[:]
    header.signer.key_ids.extend(key.key_id for key in keys)
    drafted = ledger.deviation(site.administrator)
    payload = statement_pb2.Payload.FromString(parse_envelope(drafted.envelope).payload)
    payload.header.CopyFrom(header)
    raw = payload.SerializeToString(deterministic=True)
    drafted.envelope = sign_envelope(raw, PayloadType.CUSTODY, [site.administrator.signer])
    return drafted


def signed_twice(ledger: ServedLedger, site: EnrolledSite) -> ledger_service_pb2.SubmitRequest:
    request = ledger.deviation(site.administrator)
    envelope = parse_envelope(request.envelope)
    (once,) = envelope.signatures
    twice = [once, EnvelopeSignature(once.sig, once.keyid)]
    request.envelope = encode_envelope(envelope.payload, envelope.payload_type, twice)
    return request


DEFECTS: dict[str, tuple[Defect, grpc.StatusCode]] = {
    "ENVELOPE_MALFORMED": (cut, grpc.StatusCode.INVALID_ARGUMENT),
    "SIGNATURE_INVALID": (altered, grpc.StatusCode.UNAUTHENTICATED),
    "KEY_UNKNOWN": (signed_by_nobody_known, grpc.StatusCode.UNAUTHENTICATED),
    "KEY_IDS_DISAGREE": (with_a_signature_less_than_declared, grpc.StatusCode.UNAUTHENTICATED),
    "SIGNATURE_REPEATED": (signed_twice, grpc.StatusCode.UNAUTHENTICATED),
    "SIGNER_MISMATCH": (by_a_key_of_another, grpc.StatusCode.UNAUTHENTICATED),
    "WIRE_FORM": (not_in_wire_form, grpc.StatusCode.INVALID_ARGUMENT),
    "COMMITMENT_MISMATCH": (with_another_record, grpc.StatusCode.INVALID_ARGUMENT),
    "OPENING_MISSING": (without_its_openings, grpc.StatusCode.INVALID_ARGUMENT),
    "OPENING_INVALID": (with_short_salt, grpc.StatusCode.INVALID_ARGUMENT),
    "OVERSIZE": (oversize, grpc.StatusCode.INVALID_ARGUMENT),
    "SCHEMA_UNKNOWN": (with_unknown_schema, grpc.StatusCode.ABORTED),
    "LEDGER_MISMATCH": (of_another_ledger, grpc.StatusCode.INVALID_ARGUMENT),
    "STREAM_KIND_MISMATCH": (in_the_registry, grpc.StatusCode.INVALID_ARGUMENT),
    "PAYLOAD_TYPE_MISMATCH": (under_another_payload_type, grpc.StatusCode.INVALID_ARGUMENT),
}


@pytest.mark.parametrize("reason", DEFECTS)
def test_each_defect_has_its_reason_and_leaves_no_trace(ledger: ServedLedger, plant: EnrolledSite, reason: str) -> None:
    defect, code = DEFECTS[reason]
    before = ledger.server.ledger.checkpoint_size()

    with pytest.raises(grpc.RpcError) as refused:
        ledger.ledger_service("plant").Append(defect(ledger, plant), timeout=TIMEOUT_SECONDS)

    refusal = refusal_of(refused.value)
    assert (refusal.reason, refusal.code) == (reason, code)
    assert ledger.server.ledger.checkpoint_size() == before


def test_the_same_again_gets_the_same_position(ledger: ServedLedger, plant: EnrolledSite) -> None:
    request = ledger.deviation(plant.administrator)
    service = ledger.modification("plant")
    first = service.RaiseDeviation(request, timeout=TIMEOUT_SECONDS)

    again = service.RaiseDeviation(request, timeout=TIMEOUT_SECONDS)

    assert again.already_recorded and not first.already_recorded
    assert (again.position, again.statement_digest) == (first.position, first.statement_digest)


def test_another_statement_under_the_same_id_is_refused(ledger: ServedLedger, plant: EnrolledSite) -> None:
    body = quality_pb2.DeviationRaised(description="first")
    header = ledger.header(plant.administrator, ledger.therapy(), body.DESCRIPTOR.full_name)
    service = ledger.modification("plant")
    service.RaiseDeviation(ledger.signed(plant.administrator, header, body), timeout=TIMEOUT_SECONDS)
    header.device_counter += 1

    with pytest.raises(grpc.RpcError) as refused:
        service.RaiseDeviation(ledger.signed(plant.administrator, header, body), timeout=TIMEOUT_SECONDS)

    refusal = refusal_of(refused.value)
    assert (refusal.reason, refusal.code) == ("STATEMENT_ID_TAKEN", grpc.StatusCode.ALREADY_EXISTS)


def test_an_rpc_takes_its_own_act_alone(ledger: ServedLedger, plant: EnrolledSite) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ledger.harvest("plant").EnrolTherapy(ledger.deviation(plant.administrator), timeout=TIMEOUT_SECONDS)

    refusal = refusal_of(refused.value)
    assert refusal.reason == "WRONG_RPC"
    assert refusal.metadata["expected"] == "cellcustody.v1.TherapyEnrolled"
    assert refusal.bad_fields == ("envelope",)


def test_a_fact_that_breaks_rules_is_recorded_and_told_loudly(ledger: ServedLedger, plant: EnrolledSite) -> None:
    """A site that may not collect says that it did: findings, not a refusal."""
    body = harvest_pb2.CollectionStarted(din="not a donation number")
    request = ledger.statement(plant.administrator, ledger.therapy(), body)

    answer = ledger.harvest("plant").StartCollection(request, timeout=TIMEOUT_SECONDS)

    codes = {finding.code for finding in answer.judgement.findings}
    assert {"CAPABILITY_MISSING", "CHECK_CHARACTER_WRONG"} <= codes
    assert {finding.code for finding in answer.explained} == codes
    assert answer.receipt.startswith(b"c2sp.org/tlog-proof@v1\n")


def test_an_authorisation_that_breaks_rules_is_refused_with_every_finding(
    ledger: ServedLedger, plant: EnrolledSite
) -> None:
    """A plant may not enrol therapies; the refusal names that beside everything else that is wrong."""
    body = harvest_pb2.TherapyEnrolled(product="nothing", jurisdiction="EU")
    request = ledger.statement(plant.administrator, ledger.therapy(), body)

    with pytest.raises(grpc.RpcError) as refused:
        ledger.harvest("plant").EnrolTherapy(request, timeout=TIMEOUT_SECONDS)

    refusal = refusal_of(refused.value)
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "CAPABILITY_MISSING" in refusal.violations
    assert "PATIENT_IDENTIFIERS_TOO_FEW" in refusal.violations


def test_an_administrator_of_one_site_enrols_nobody_at_another(ledger: ServedLedger, plant: EnrolledSite) -> None:
    other = ledger.enrol_site("laboratory", options_pb2.CAPABILITY_TEST)
    body = registry_pb2.DeviceEnrolled(site=other.site, device=os.urandom(16), description="tablet")

    with pytest.raises(grpc.RpcError) as refused:
        ledger.registry_service("plant").EnrolDevice(
            ledger.statement(plant.administrator, REGISTRY, body), timeout=TIMEOUT_SECONDS
        )

    assert refusal_of(refused.value).reason == "NOT_ADMINISTRATOR"


def test_assess_tells_what_append_would_and_writes_nothing(ledger: ServedLedger, plant: EnrolledSite) -> None:
    request = ledger.deviation(plant.administrator)
    before = ledger.server.ledger.checkpoint_size()

    assessed = ledger.ledger_service("plant").Assess(
        ledger_service_pb2.AssessRequest(
            payload=parse_envelope(request.envelope).payload,
            payload_type=PayloadType.CUSTODY.value,
            openings=request.openings,
        ),
        timeout=TIMEOUT_SECONDS,
    )

    assert ledger.server.ledger.checkpoint_size() == before
    recorded = ledger.modification("plant").RaiseDeviation(request, timeout=TIMEOUT_SECONDS)
    assert assessed.judgement == recorded.judgement


class TestABatch:
    def test_it_answers_in_order_each_by_itself(self, ledger: ServedLedger, plant: EnrolledSite) -> None:
        good, bad, last = (ledger.deviation(plant.administrator) for _ in range(3))
        bad.openings[0].record += b"!"

        answer = ledger.ledger_service("plant").AppendBatch(
            ledger_service_pb2.AppendBatchRequest(statements=[good, bad, last], omit_receipts=True),
            timeout=TIMEOUT_SECONDS,
        )

        assert [result.WhichOneof("result") for result in answer.results] == ["recorded", "refused", "recorded"]
        assert answer.results[0].recorded.position < answer.results[2].recorded.position
        assert not answer.results[0].recorded.receipt
        assert answer.results[1].refused.reason

    def test_what_names_a_refused_one_of_the_batch_says_so(self, ledger: ServedLedger, plant: EnrolledSite) -> None:
        therapy = ledger.therapy()
        refused = ledger.deviation(plant.administrator, therapy)
        del refused.openings[:]
        digest = parse_envelope(refused.envelope).statement_digest
        retraction = ledger.statement(
            plant.administrator, therapy, quality_pb2.StatementRetracted(retracted=digest), seen={therapy: digest}
        )

        answer = ledger.ledger_service("plant").AppendBatch(
            ledger_service_pb2.AppendBatchRequest(statements=[refused, retraction]), timeout=TIMEOUT_SECONDS
        )

        assert answer.results[1].refused.reason == "DEPENDS_ON_REFUSED"
        assert answer.results[1].refused.retryable

    def test_a_fact_that_names_a_refused_one_is_recorded_and_says_so(
        self, ledger: ServedLedger, plant: EnrolledSite
    ) -> None:
        consignment = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
        unit = common_pb2.Unit(site=plant.site, unit="cell-lab")
        release = transport_pb2.CustodyReleased(releaser=unit, receiver=unit, containers=["box-1"], count=1)
        refused = ledger.statement(plant.administrator, consignment, release)
        del refused.openings[:]
        digest = parse_envelope(refused.envelope).statement_digest
        line = common_pb2.HandoffLine(container="box-1", outcome=common_pb2.LINE_OUTCOME_ACCEPTED)
        acceptance = transport_pb2.CustodyAccepted(release=digest, receiver=unit, lines=[line])
        fact = ledger.statement(plant.administrator, consignment, acceptance)
        other = ledger.deviation(plant.administrator)

        batch = ledger_service_pb2.AppendBatchRequest(statements=[refused, fact, other])
        answer = ledger.ledger_service("plant").AppendBatch(batch, timeout=TIMEOUT_SECONDS)

        told = answer.results[1].recorded
        assert answer.results[0].refused.reason
        assert told.judgement.status == entry_pb2.JUDGEMENT_STATUS_AWAITING
        assert "DEPENDS_ON_REFUSED" in {one.code for one in told.judgement.findings}
        assert "DEPENDS_ON_REFUSED" not in {one.code for one in answer.results[2].recorded.judgement.findings}

    @pytest.mark.parametrize("count", [0, 501])
    def test_its_size_is_bounded(self, ledger: ServedLedger, plant: EnrolledSite, count: int) -> None:
        request = ledger_service_pb2.AppendBatchRequest(
            statements=[ledger_service_pb2.SubmitRequest(envelope=b"x")] * count
        )

        with pytest.raises(grpc.RpcError) as refused:
            ledger.ledger_service("plant").AppendBatch(request, timeout=TIMEOUT_SECONDS)

        assert refusal_of(refused.value).reason == "BATCH_SIZE"


def test_the_latest_judgement_of_a_registrys_act_is_in_effect(ledger: ServedLedger) -> None:
    pending = ledger.server.ledger.checkpoint_size()
    ledger.enrol_site("joined", options_pb2.CAPABILITY_TEST)

    entry = ledger.ledger_service().GetEntry(
        ledger_service_pb2.GetEntryRequest(leaf_index=pending), timeout=TIMEOUT_SECONDS
    )

    assert entry.latest_judgement.status == entry_pb2.JUDGEMENT_STATUS_IN_EFFECT


def test_an_entry_comes_back_with_what_its_reader_may_read(ledger: ServedLedger, plant: EnrolledSite) -> None:
    courier = ledger.enrol_site("courier", options_pb2.CAPABILITY_TRANSPORT)
    recorded = ledger.modification("plant").RaiseDeviation(
        ledger.deviation(plant.administrator), timeout=TIMEOUT_SECONDS
    )
    question = ledger_service_pb2.GetEntryRequest(statement_digest=recorded.statement_digest)

    own = ledger.ledger_service("plant").GetEntry(question, timeout=TIMEOUT_SECONDS)
    foreign = ledger.ledger_service(courier.tls_name).GetEntry(question, timeout=TIMEOUT_SECONDS)

    assert own.entry == foreign.entry
    assert entry_pb2.Entry.FromString(own.entry).judgement == recorded.judgement
    assert [opening.index for opening in own.openings] == [0]
    assert not foreign.openings


def test_an_entry_that_is_not_there_is_not_found(ledger: ServedLedger, plant: EnrolledSite) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ledger.ledger_service("plant").GetEntry(
            ledger_service_pb2.GetEntryRequest(leaf_index=1_000_000), timeout=TIMEOUT_SECONDS
        )

    assert refusal_of(refused.value).code is grpc.StatusCode.NOT_FOUND
