"""A dossier in which somebody acted under an emergency credential is verified from the file and the anchor alone."""

from __future__ import annotations

from pathlib import Path

from ledger_harness import MICROS, ORIGIN, LedgerHarness

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.ledger.verification import Outcome, verify_dossier
from cellcustody.v1 import common_pb2, harvest_pb2, options_pb2, quality_pb2, registry_pb2
from corpus import verify_py_says

REGISTRY = single_stream_id(StreamKind.REGISTRY)
COI = "CHA999925000001G"
VALID_SECONDS = 600


def test_what_was_done_in_an_emergency_is_verified_as_such(tmp_path: Path) -> None:
    """Before, under and after the grant, with training that lapses meanwhile: the verifier agrees with each finding."""
    harness = LedgerHarness(tmp_path)
    harness.found()
    pack = harness.publish_pack()
    site, administrators = harness.site("hospital", options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_INFUSE)
    nurse = harness.enrol("collection_nurse", site, administrators[0])
    lapsing = harness.enrol("collection_nurse", site, administrators[0], trained_until=harness.clock + 900 * MICROS)
    clerk = harness.enrol("clerk", site, administrators[0])
    therapy = harness.new_stream(StreamKind.THERAPY)
    identifiers = [
        common_pb2.PatientIdentifier(kind=kind, value="1", method=common_pb2.READ_METHOD_SCANNED)
        for kind in ("medical_record_number", "wristband")
    ]
    enrolment = harvest_pb2.TherapyEnrolled(
        aliases=[common_pb2.Alias(scheme="isbt128-coi", value=COI)],
        patient_identifiers=identifiers,
        product=pack.product,
        jurisdiction=pack.jurisdiction,
        policy_digest=pack.digest,
        treating_unit=common_pb2.Unit(site=site),
        participants=[site],
        custodian_of_record=site,
        indication="example",
    )
    harness.say(nurse, therapy, enrolment)

    def told() -> list[set[str]]:
        said = []
        for person in (clerk, lapsing):
            body = quality_pb2.DeviationRaised(scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY))
            recorded = harness.say(person, therapy, body, role="collection_nurse")
            assert recorded.judgement is not None
            said.append({finding.code for finding in recorded.judgement.judged.findings})
        return said

    assert told() == [{"ROLE_NOT_HELD"}, set()]
    grant = registry_pb2.EmergencyCredentialGranted(
        person=clerk.person,
        roles=["collection_nurse"],
        valid_from_unix_micros=harness.clock + 60 * MICROS,
        valid_seconds=VALID_SECONDS,
    )
    pending = harness.say(administrators[0], REGISTRY, grant, seen={})
    harness.co_sign(administrators[1], REGISTRY, pending.statement_digest)
    assert told() == [{"EMERGENCY_CREDENTIAL"}, set()]
    harness.tick(VALID_SECONDS)
    assert told() == [{"ROLE_NOT_HELD"}, {"TRAINING_LAPSED"}]

    founding = parse_statement(read_entry(harness.store.entry(0)).envelope)
    anchor = Anchor(founding.digest, ORIGIN, tuple(one.vkey for one in harness.log_signers))
    built = build_dossier(
        StoreSource(harness.store, harness.vault),
        therapy,
        checkpoint=harness.ledger.checkpoint(),
        ledger_id=harness.ledger_id,
        service_signer=harness.service,
        open_classes=tuple(DisclosureClass),
    )
    assert verify_dossier(built.data, anchor).outcome is Outcome.VERIFIED
    assert verify_py_says(built.data, anchor).outcome == "VERIFIED"
    harness.check()
    harness.close()
