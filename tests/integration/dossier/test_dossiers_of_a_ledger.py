"""A dossier of a real ledger: built from its store and vault, verified from nothing but the file and the anchor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ledger_harness import ORIGIN, LedgerHarness, Signing

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.dossier import BuiltDossier, TherapyUnknownError, build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import StreamKind, parse_statement
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.ledger.verification import (
    Check,
    EntryToVerify,
    Outcome,
    Result,
    replay_registry,
    verify_dossier,
    verify_entries,
)
from cellcustody.v1 import common_pb2, harvest_pb2, options_pb2, quality_pb2, transport_pb2

COI = "CHA999925000001G"


@dataclass(frozen=True, slots=True)
class History:
    """A ledger with one therapy and what it cites."""

    harness: LedgerHarness
    therapy: bytes
    consignment: bytes
    held: bytes

    @property
    def anchor(self) -> Anchor:
        """The ledger's anchor, as its founders gave it out."""
        founding = parse_statement(read_entry(self.harness.store.entry(0)).envelope)
        return Anchor(founding.digest, ORIGIN, tuple(one.vkey for one in self.harness.log_signers))

    def dossier(self, *classes: DisclosureClass) -> BuiltDossier:
        """Returns the therapy's dossier under the last checkpoint."""
        return build_dossier(
            StoreSource(self.harness.store, self.harness.vault),
            self.therapy,
            checkpoint=self.harness.ledger.checkpoint(),
            ledger_id=self.harness.ledger_id,
            service_signer=self.harness.service,
            open_classes=classes,
        )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A therapy that is enrolled, checked by two, packed, and told of out of order."""
    harness = LedgerHarness(tmp_path_factory.mktemp("ledger"))
    harness.found()
    pack = harness.publish_pack()
    site, administrators = harness.site(
        "hospital",
        options_pb2.CAPABILITY_COLLECT,
        options_pb2.CAPABILITY_INFUSE,
        options_pb2.CAPABILITY_RELEASE,
        units=("apheresis",),
    )
    nurse, second = (harness.enrol("collection_nurse", site, administrators[0]) for _ in range(2))
    therapy, consignment = harness.new_stream(StreamKind.THERAPY), harness.new_stream(StreamKind.CONSIGNMENT)
    unit = common_pb2.Unit(site=site, unit="apheresis")
    identifiers = [
        common_pb2.PatientIdentifier(kind=kind, value=value, method=common_pb2.READ_METHOD_SCANNED)
        for kind, value in (("medical_record_number", "0001"), ("birth_date", "1970-01-01"))
    ]
    harness.say(
        nurse,
        therapy,
        harvest_pb2.TherapyEnrolled(
            aliases=[common_pb2.Alias(scheme="isbt128-coi", value=COI)],
            patient_identifiers=identifiers,
            product=pack.product,
            jurisdiction=pack.jurisdiction,
            policy_digest=pack.digest,
            treating_unit=unit,
            participants=[site],
            custodian_of_record=site,
            indication="example",
        ),
    )
    checked = harness.say(
        nurse,
        therapy,
        harvest_pb2.IdentityChecked(
            point=harvest_pb2.IDENTITY_POINT_CHAIRSIDE,
            patient_identifiers=identifiers,
            coi_read=COI,
        ),
    )
    harness.co_sign(second, therapy, checked.statement_digest)
    harness.say(
        nurse,
        consignment,
        transport_pb2.ConsignmentOpened(
            unit=unit,
            consignment_number="A9999-1",
            containers=[common_pb2.Container(container="1", kind="dry_shipper")],
        ),
    )
    harness.say(
        nurse, therapy, harvest_pb2.MaterialPacked(material=bytes(15) + b"\x01", consignment=consignment, container="1")
    )
    held = out_of_order(harness, nurse, therapy)
    harness.say(nurse, harness.new_stream(StreamKind.THERAPY), quality_pb2.DeviationRaised(description="elsewhere"))
    yield History(harness, therapy, consignment, held)
    harness.close()


def out_of_order(harness: LedgerHarness, nurse: Signing, therapy: bytes) -> bytes:
    """Lets a hold arrive before the deviation that its signer had seen, so that the ledger revises its judgement."""
    harness.tick()
    deviation = harness.statement(nurse, therapy, quality_pb2.DeviationRaised(description="shipper warm"))
    digest = parse_statement(deviation.envelope).digest
    harness.tick()
    hold = harness.statement(
        nurse,
        therapy,
        quality_pb2.HoldPlaced(scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), grounds="shipper warm"),
        seen={therapy: digest},
    )
    held = harness.submit(hold).statement_digest
    harness.submit(deviation)
    return held


def test_a_dossier_of_a_real_ledger_is_verified_against_the_anchor(history: History) -> None:
    """Everything that is to be checked passes, for the therapy, its consignment and the registry."""
    built = history.dossier(*DisclosureClass)

    report = verify_dossier(built.data, history.anchor)

    assert report.outcome is Outcome.VERIFIED
    assert {history.therapy, history.consignment} < set(built.streams)
    assert report.line(Check.INCLUSION).checked == built.statements
    assert report.line(Check.COMPLETENESS).result is Result.UNVERIFIED
    assert any(one.co_signers for one in report.statements if one.body_type.endswith("IdentityChecked"))


def test_a_revised_judgement_travels_with_what_it_revises(history: History) -> None:
    """The hold that came before its predecessor is AWAITING in its entry, and revised by the ledger's own."""
    report = verify_dossier(history.dossier(DisclosureClass.CUSTODY).data, history.anchor)

    held = next(one for one in report.statements if one.statement_digest == history.held)
    assert held.status == Status.AWAITING
    assert any(one.body_type.endswith("JudgementsRevised") for one in report.statements)


def test_identity_stays_closed_where_it_is_not_asked_for(history: History) -> None:
    """A dossier for a regulator shows no patient, and verifies all the same."""
    built = history.dossier(DisclosureClass.CUSTODY, DisclosureClass.QUALITY, DisclosureClass.OPERATIONAL)

    assert b"1970-01-01" not in built.data
    assert b"1970-01-01" in history.dossier(*DisclosureClass).data
    assert verify_dossier(built.data, history.anchor).outcome is Outcome.VERIFIED


def test_a_therapy_that_nobody_enrolled_has_no_dossier(history: History) -> None:
    """There is nothing to give out."""
    stranger = History(history.harness, bytes([StreamKind.THERAPY]) + bytes(15) + b"\x01", b"", b"")

    with pytest.raises(TherapyUnknownError):
        stranger.dossier()


def test_the_whole_log_is_verified_as_an_export(history: History) -> None:
    """Every entry of the log, with every body, to the root that the checkpoint names."""
    harness = history.harness
    source = StoreSource(harness.store, harness.vault)
    entries = []
    for leaf_index, raw in enumerate(harness.store.entries(0, 1000)):
        openings = source.openings(parse_statement(read_entry(raw).envelope).digest)
        entries.append(EntryToVerify(leaf_index, raw, tuple(openings) or None))
    of_registry = [one for one in entries if parse_statement(read_entry(one.entry).envelope).stream[0] in (6, 7, 8)]
    registry = replay_registry(of_registry, history.anchor.founding_digest)

    report = verify_entries(entries, registry, root=parse_checkpoint(harness.ledger.checkpoint()).root)

    assert report.entries == len(entries)
    assert report.revisions >= 1


def test_an_older_dossier_stays_verifiable(history: History, tmp_path: Path) -> None:
    """A dossier is a file: what the ledger does afterwards does not touch it."""
    file = tmp_path / "therapy.dossier"
    file.write_bytes(history.dossier().data)
    history.harness.ledger.checkpoint()

    assert verify_dossier(file.read_bytes(), history.anchor).outcome is Outcome.VERIFIED


def test_what_stays_after_an_erasure_is_still_shown_to_be_signed(history: History) -> None:
    """The last test of this ledger: identity and clinical records go, and every body still makes its signed root."""
    classes = (DisclosureClass.CUSTODY, DisclosureClass.QUALITY, DisclosureClass.OPERATIONAL)
    before = verify_dossier(history.dossier(*classes).data, history.anchor).line(Check.BODIES)
    for erased in (DisclosureClass.IDENTITY, DisclosureClass.CLINICAL):
        history.harness.vault.shred(history.therapy, erased)
    report = verify_dossier(history.dossier(*classes).data, history.anchor)
    after = report.line(Check.BODIES)
    assert report.outcome is Outcome.VERIFIED
    assert (after.result, after.checked) == (Result.PASSED, before.checked)
