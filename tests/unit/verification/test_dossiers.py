"""What a verifier says of a dossier that is in order, and of every way in which one can be bent."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from forge import (
    CONFORMING,
    IN_EFFECT,
    ORIGIN,
    Forge,
    Signatory,
    open_files,
    sealed_again,
    zipped,
)

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.dossier import encode_entries
from cellcustody.ledger.dossier.layout import BODIES, CHECKPOINT, ENTRIES, MANIFEST, PAGE, PROOF, README, SCRIPT
from cellcustody.ledger.entries import JudgedEntry, encode_entry, read_entry
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.verification import (
    Check,
    CheckpointInvalidError,
    CommitmentInvalidError,
    CoSignatureInvalidError,
    DossierError,
    DossierFormError,
    EntryInvalidError,
    InclusionInvalidError,
    IssuerMismatchError,
    JudgementInvalidError,
    ManifestInvalidError,
    Outcome,
    ReferenceInvalidError,
    RegistryInvalidError,
    Result,
    ScopeInvalidError,
    SignerInvalidError,
    StatementInvalidError,
    StreamBrokenError,
    verify_dossier,
)
from cellcustody.v1 import dossier_pb2, entry_pb2, options_pb2, quality_pb2, registry_pb2

NOT_SHOWN = (Check.WITNESSES, Check.COMPLETENESS, Check.ALIASES, Check.TIME, Check.REPLAY)
DONE = [check for check in Check if check not in NOT_SHOWN]


def refusal_of(forge: Forge, data: bytes | None = None) -> DossierError:
    """Returns the error that the dossier ends in, under this ledger's own anchor."""
    with pytest.raises(DossierError) as refused:
        verify_dossier(forge.dossier().data if data is None else data, forge.anchor)
    return refused.value


# What holds.


def test_a_lawful_dossier_is_verified_and_says_what_it_did_not_check(lawful: Forge) -> None:
    """Each check has a line; what nobody can check yet is UNVERIFIED, not passed."""
    report = verify_dossier(lawful.dossier().data, lawful.anchor)

    assert report.outcome is Outcome.VERIFIED
    assert [line.check for line in report.checks] == list(Check)
    for line in report.checks:
        if line.check in DONE:
            assert line.result is Result.PASSED
            assert line.checked > 0
        else:
            assert line.result is Result.UNVERIFIED
            assert line.note
    assert (report.ledger_id, report.therapy, report.log_origin) == (lawful.ledger_id, lawful.therapy, ORIGIN)
    assert report.position == len(lawful.entries)


def test_without_an_anchor_the_issuer_is_unproven(lawful: Forge) -> None:
    """The same file without an anchor shows consistency and no more."""
    report = verify_dossier(lawful.dossier().data)

    assert report.outcome is Outcome.CONSISTENT_ISSUER_UNPROVEN
    assert report.line(Check.ISSUER).result is Result.UNVERIFIED


def test_every_statement_has_its_verdict(lawful: Forge) -> None:
    """A verdict names signer, site, role, records, and who joined."""
    report = verify_dossier(lawful.dossier().data, lawful.anchor)

    assert len(report.statements) == len(lawful.entries)
    (established,) = [one for one in report.statements if one.body_type.endswith("CustodyEstablished")]
    assert established.signer == lawful.nurse.id
    assert established.site == lawful.site
    assert established.co_signers == (lawful.second_nurse.id,)
    assert established.commitment is Result.PASSED


@pytest.mark.parametrize("classes", [(), (DisclosureClass.CUSTODY,), tuple(DisclosureClass)])
def test_a_dossier_verifies_with_none_some_or_all_records_open(
    lawful: Forge, classes: tuple[DisclosureClass, ...]
) -> None:
    """Closed records stand by their hashes; PUBLIC ones are always open."""
    report = verify_dossier(lawful.dossier(classes).data, lawful.anchor)

    enrolment = next(one for one in report.statements if one.body_type.endswith("TherapyEnrolled"))
    assert report.outcome is Outcome.VERIFIED
    assert (enrolment.records_closed == 0) is (len(classes) == len(DisclosureClass))


def test_the_same_history_gives_the_same_bytes() -> None:
    """Nothing in a dossier but the log's ML-DSA signature is drawn, and that comes with the checkpoint."""
    forge = Forge().founds().lives()
    first = open_files(forge.dossier().data)
    second = open_files(forge.dossier().data)

    for name in (README, ENTRIES, BODIES, PROOF):
        assert first[name] == second[name]


def test_an_erased_body_is_unverified_and_never_passed() -> None:
    """Where a record and its hash are gone, the body is left out and its verdict says so."""
    forge = Forge().founds().lives()
    before = verify_dossier(forge.dossier().data)
    digest = next(one.statement_digest for one in before.statements if "Hold" in one.body_type)
    forge.kept[digest] = forge.kept[digest][1:]

    report = verify_dossier(forge.dossier().data, forge.anchor)

    hold = next(one for one in report.statements if one.statement_digest == digest)
    assert hold.commitment is Result.UNVERIFIED
    assert "1 bodies are not shown" in report.line(Check.BODIES).note


# Whose it is.


def test_a_dossier_forged_whole_is_consistent_and_refused_with_the_anchor(lawful: Forge) -> None:
    """Anybody can found a ledger of their own: only the anchor tells it from the real one."""
    other = Forge("elsewhere").founds().lives()

    assert verify_dossier(other.dossier().data).outcome is Outcome.CONSISTENT_ISSUER_UNPROVEN
    assert isinstance(refusal_of(lawful, other.dossier().data), IssuerMismatchError)


def test_the_same_founding_under_other_log_keys_is_refused(lawful: Forge) -> None:
    """A checkpoint signed by keys that the founding does not name is no checkpoint of this log."""
    files = open_files(lawful.dossier().data)
    thief = Forge().founds().lives()
    thief.log_signers = Forge("elsewhere").log_signers
    files[CHECKPOINT] = thief.checkpoint()

    assert isinstance(refusal_of(lawful, sealed_again(files, lawful)), CheckpointInvalidError)


def test_an_anchor_with_other_log_keys_is_refused(lawful: Forge) -> None:
    """An anchor names keys that were the log's at some time."""
    anchor = replace(lawful.anchor, log_keys=Forge("elsewhere").founds().anchor.log_keys)

    with pytest.raises(IssuerMismatchError):
        verify_dossier(lawful.dossier().data, anchor)


def test_a_checkpoint_with_one_of_its_two_signatures_is_refused(lawful: Forge) -> None:
    """Ed25519 and ML-DSA-44 both sign; either alone is not the log's word."""
    files = open_files(lawful.dossier().data)
    for dropped in (2, 1):
        lines = files[CHECKPOINT].split(b"\n")
        del lines[-1 - dropped]
        bent = {**files, CHECKPOINT: b"\n".join(lines)}
        assert isinstance(refusal_of(lawful, sealed_again(bent, lawful)), CheckpointInvalidError)


# The file.


def test_every_truncation_is_found(lawful: Forge) -> None:
    """A file that is cut off anywhere is no dossier."""
    data = lawful.dossier().data
    for length in [*range(200), *range(200, len(data), 997), len(data) - 1]:
        assert isinstance(refusal_of(lawful, data[:length]), DossierFormError)


@pytest.mark.parametrize("extra", [b"\x00", b"PK\x05\x06" + bytes(18)])
def test_bytes_after_the_end_are_found(lawful: Forge, extra: bytes) -> None:
    """Nothing hides behind the file."""
    assert isinstance(refusal_of(lawful, lawful.dossier().data + extra), DossierFormError)


def test_a_file_changed_under_the_manifest_is_found(lawful: Forge) -> None:
    """Whatever else a change survives, the manifest names what the ledger gave out."""
    files = open_files(lawful.dossier().data)
    other = open_files(Forge().founds().lives().dossier().data)  # The same log, its checkpoint signed a second time.

    assert isinstance(refusal_of(lawful, zipped({**files, CHECKPOINT: other[CHECKPOINT]})), ManifestInvalidError)


def test_a_manifest_signed_by_somebody_else_is_found(lawful: Forge) -> None:
    """An administrator's key does not seal a dossier."""
    thief = Forge().founds().lives()
    thief.service = thief.administrators[0]

    assert isinstance(refusal_of(lawful, sealed_again(open_files(lawful.dossier().data), thief)), ManifestInvalidError)


# Entries and bodies, sealed again by an operator who lies.


def test_a_removed_statement_is_found(lawful: Forge) -> None:
    """Without one of its entries a stream has a gap, even if the manifest is signed for what is left."""
    files = open_files(lawful.dossier().data)
    for removed in range(1, len(lawful.entries)):
        entries = [(one.leaf_index, one.entry) for one in lawful.entries if one.leaf_index != removed]
        bent = {**files, ENTRIES: encode_entries(entries), BODIES: without_body(files[BODIES], removed)}
        assert isinstance(refusal_of(lawful, sealed_again(bent, lawful)), DossierError)


def test_the_last_statement_cannot_be_left_out_under_a_proof_made_for_it() -> None:
    """A dossier built without a stream's last entry is caught by its signed manifest, and by nothing else yet."""
    forge = Forge().founds().lives()
    whole = open_files(forge.dossier().data)
    size = len(forge.entries)
    forge.entries.pop()
    left_out = open_files(forge.dossier(size=size).data)

    assert isinstance(refusal_of(forge, zipped({**left_out, MANIFEST: whole[MANIFEST]})), ManifestInvalidError)


def without_body(raw: bytes, leaf_index: int) -> bytes:
    """Returns bodies.binpb without one body."""
    bodies = dossier_pb2.DossierBodies.FromString(raw)
    kept = [body for body in bodies.bodies if body.leaf_index != leaf_index]
    return dossier_pb2.DossierBodies(bodies=kept).SerializeToString(deterministic=True)


def test_a_verifier_that_is_not_the_published_one_is_told_and_breaks_nothing(lawful: Forge) -> None:
    """Nothing rests on the verifiers inside, so that others are named by their digest and no more."""
    files = open_files(lawful.dossier().data)
    bent = {**files, SCRIPT: b"print('OK')\n"}

    report = verify_dossier(sealed_again(bent, lawful), lawful.anchor)

    line = report.line(Check.EMBEDDED_VERIFIERS)
    assert report.outcome is Outcome.VERIFIED
    assert line.result is Result.UNVERIFIED
    assert hashlib.sha256(bent[SCRIPT]).hexdigest() in line.note
    assert PAGE not in line.note


def test_swapped_and_repeated_entries_are_found(lawful: Forge) -> None:
    """Entries stand at their own leaf index, once."""
    files = open_files(lawful.dossier().data)
    entries = [(one.leaf_index, one.entry) for one in lawful.entries]
    swapped = [*entries[:-2], (entries[-2][0], entries[-1][1]), (entries[-1][0], entries[-2][1])]

    bent = sealed_again({**files, ENTRIES: encode_entries(swapped)}, lawful)
    assert isinstance(refusal_of(lawful, bent), CommitmentInvalidError | InclusionInvalidError)
    repeated = {**files, ENTRIES: encode_entries([*entries, entries[-1]])}
    assert isinstance(refusal_of(lawful, sealed_again(repeated, lawful)), DossierFormError)


def test_swapped_openings_are_found(lawful: Forge) -> None:
    """A record belongs to one place of one body."""
    files = open_files(lawful.dossier().data)
    bodies = dossier_pb2.DossierBodies.FromString(files[BODIES])
    custody = [body for body in bodies.bodies if len(body.openings) > 1 and body.leaf_index > 7]
    body = custody[0]
    first, second = body.openings[0].record, body.openings[1].record
    body.openings[0].record, body.openings[1].record = second, first
    bent = {**files, BODIES: bodies.SerializeToString(deterministic=True)}

    assert isinstance(refusal_of(lawful, sealed_again(bent, lawful)), CommitmentInvalidError)


def test_a_proof_with_a_hash_more_or_less_is_found() -> None:
    """The shared proof has exactly the hashes that the tree demands."""
    forge = Forge().founds()
    for _ in range(5):
        forge.records_elsewhere()
    forge.lives()
    files = open_files(forge.dossier().data)
    assert files[PROOF]

    for proof in (files[PROOF][:-32], files[PROOF] + bytes(32), bytes(32) + files[PROOF][32:]):
        assert isinstance(refusal_of(forge, sealed_again({**files, PROOF: proof}, forge)), InclusionInvalidError)


# Lies in the log itself.


def test_a_tampered_judgement_is_found_by_its_leaf(lawful: Forge) -> None:
    """An entry whose judgement was changed afterwards is not in the tree any more."""
    files = open_files(lawful.dossier().data)
    entries = [(one.leaf_index, one.entry) for one in lawful.entries]
    leaf_index, raw = entries[-1]
    entry = entry_pb2.Entry.FromString(raw)
    entry.judgement.ClearField("puts_in_effect")
    entries[-1] = (leaf_index, entry.SerializeToString(deterministic=True))

    bent = sealed_again({**files, ENTRIES: encode_entries(entries)}, lawful)
    assert isinstance(refusal_of(lawful, bent), InclusionInvalidError)


def test_an_entry_without_a_judgement_is_found(forge: Forge) -> None:
    """A ledger that says nothing of a statement is not taken at its word."""
    envelope, openings = _enrolment(forge)
    bare = entry_pb2.Entry(
        format_version=1, envelope=envelope, recorded_at_unix_micros=forge.now, sequence=1, previous_leaf_hash=bytes(32)
    )
    forge.enter(envelope, openings, IN_EFFECT, entry=bare.SerializeToString(deterministic=True))

    assert isinstance(refusal_of(forge), JudgementInvalidError)


def _enrolment(forge: Forge) -> tuple[bytes, tuple[Opening, ...]]:
    scratch = Forge().founds()
    scratch.enrols()
    given = scratch.entries[-1]
    envelope = read_entry(given.entry).envelope
    return envelope, next(reversed(scratch.kept.values()))


def test_a_statement_by_a_revoked_key_is_found(forge: Forge) -> None:
    """A key that was revoked before cannot sign, whatever the ledger recorded."""
    forge.enrols()
    forge.revokes(forge.nurse)
    forge.places_hold()

    assert isinstance(refusal_of(forge), SignerInvalidError)


def test_what_a_compromised_key_signed_before_is_suspect_and_not_broken(forge: Forge) -> None:
    """Compromise that is told later leaves a mark on what was signed since, and no broken link."""
    forge.enrols()
    since = len(forge.entries)
    hold = forge.places_hold()
    forge.revokes(forge.nurse, since=since)

    report = verify_dossier(forge.dossier().data, forge.anchor)

    assert [one.statement_digest for one in report.suspect] == [hold]
    assert "1 signed by a key" in report.line(Check.SIGNERS).note


def test_a_statement_by_a_key_that_nobody_enrolled_is_found(forge: Forge) -> None:
    """A signature by a stranger is no signature here."""
    forge.enrols()
    forge.nurse = Signatory("elsewhere", "stranger", "collection_nurse")
    forge.places_hold()

    assert isinstance(refusal_of(forge), StatementInvalidError)


def test_a_signer_without_the_role_whose_entry_does_not_say_so_is_found(forge: Forge) -> None:
    """The finding belongs in the entry; without it the ledger covered something up."""
    forge.enrols()
    forge.nurse.role = "physician"
    forge.places_hold()

    refusal = refusal_of(forge)

    assert isinstance(refusal, SignerInvalidError)
    assert refusal.values["found"] == "ROLE_NOT_HELD"


def test_a_signer_without_the_role_whose_entry_says_so_is_no_broken_link(forge: Forge) -> None:
    """A fact outside its signer's role is recorded and marked; the dossier tells it."""
    forge.enrols()
    forge.nurse.role = "physician"
    forge.places_hold(Judged(Status.NONCONFORMING, (Finding("ROLE_NOT_HELD"),)))

    report = verify_dossier(forge.dossier().data, forge.anchor)

    assert report.outcome is Outcome.VERIFIED
    assert report.statements[-1].findings == ("ROLE_NOT_HELD",)


def test_a_finding_on_a_signer_who_lacks_nothing_is_found(forge: Forge) -> None:
    """A ledger cannot belittle a signer either."""
    forge.enrols()
    forge.places_hold(Judged(Status.NONCONFORMING, (Finding("TRAINING_LAPSED"),)))

    assert isinstance(refusal_of(forge), SignerInvalidError)


@pytest.mark.parametrize(
    "judged",
    [
        Judged(Status.NONCONFORMING),
        Judged(Status.CONFORMING, (Finding("PREDECESSOR_MISSING"),)),
        Judged(Status.CONFORMING, (Finding("NO_SUCH_RULE"),)),
        Judged(Status.IN_EFFECT),
        Judged(Status.RECORDED),
        Judged(Status.CONFORMING, (Finding("LATE", (77,)),)),
        Judged(Status.CONFORMING, (Finding("LATE"), Finding("CLOCK_AHEAD"))),
    ],
    ids=lambda judged: f"{judged.status.name}-{len(judged.findings)}",
)
def test_a_judgement_that_cannot_stand_is_found(forge: Forge, judged: Judged) -> None:
    """A status follows from the findings, and both fit the statement."""
    forge.enrols()
    forge.places_hold(judged)

    assert isinstance(refusal_of(forge), JudgementInvalidError)


def test_a_judgement_revised_by_somebody_else_is_found(forge: Forge) -> None:
    """Only the ledger's service key revises."""
    forge.enrols()
    forge.revises(forge.places_hold(), CONFORMING, by=forge.nurse)

    assert isinstance(refusal_of(forge), SignerInvalidError)


def test_a_finding_of_entry_that_a_revision_drops_is_found(forge: Forge) -> None:
    """What was found at entry stays for good."""
    forge.enrols()
    hold = forge.places_hold(Judged(Status.CONFORMING, (Finding("LATE"),)))
    forge.revises(hold, CONFORMING)

    assert isinstance(refusal_of(forge), JudgementInvalidError)


def test_a_revision_of_what_is_not_there_is_found(forge: Forge) -> None:
    """A re-judgement names a fact of its own stream."""
    forge.enrols()
    forge.revises(hashlib.sha256(b"nothing").digest(), CONFORMING)

    assert isinstance(refusal_of(forge), JudgementInvalidError)


# Two persons.


def test_an_authorisation_in_effect_without_its_second_person_is_found(forge: Forge) -> None:
    """The contract asks for another person; a ledger that asks for none is found out."""
    forge.enrols()
    forge.establishes_custody(IN_EFFECT)

    refusal = refusal_of(forge)

    assert isinstance(refusal, CoSignatureInvalidError)
    assert refusal.values["asked"] == "1"


def test_a_co_signature_by_the_same_person_is_found(forge: Forge) -> None:
    """Two signatures of one person are one person."""
    forge.enrols()
    established = forge.establishes_custody()
    forge.joins(established, forge.nurse, forge.therapy, completes=True)

    assert isinstance(refusal_of(forge), CoSignatureInvalidError)


def test_a_co_signature_that_joins_nothing_is_found(forge: Forge) -> None:
    """A co-signature names a statement that its stream holds."""
    forge.enrols()
    forge.joins(hashlib.sha256(b"nothing").digest(), forge.second_nurse, forge.therapy)

    assert isinstance(refusal_of(forge), CoSignatureInvalidError)


def test_a_co_signature_after_the_time_of_the_pack_completes_nothing(forge: Forge) -> None:
    """Who joins an authorisation joins it within the pack's time."""
    forge.enrols()
    established = forge.establishes_custody()
    forge.now += 3_600_000_000
    forge.joins(established, forge.second_nurse, forge.therapy, completes=True)

    assert isinstance(refusal_of(forge), CoSignatureInvalidError)


def test_an_authorisation_takes_effect_once(forge: Forge) -> None:
    """A second co-signature does not put in effect what is."""
    forge.enrols()
    established = forge.establishes_custody()
    forge.joins(established, forge.second_nurse, forge.therapy, completes=True)
    forge.joins(established, forge.administrators[0], forge.therapy, completes=True)

    assert isinstance(refusal_of(forge), CoSignatureInvalidError)


# The registry.


def test_a_registry_act_without_its_quorum_is_found(forge: Forge) -> None:
    """One registrar alone changes no site, though the ledger recorded it as in effect."""
    forge.records(
        registry_pb2.SiteChanged(
            site=forge.site, capabilities=[options_pb2.CAPABILITY_AUDIT], tls_key_ids=[hashlib.sha256(b"tls").digest()]
        ),
        forge.registrars[0],
    )
    forge.enrols()

    assert isinstance(refusal_of(forge), RegistryInvalidError)


def test_a_person_enrolled_by_somebody_who_is_no_administrator_is_found(forge: Forge) -> None:
    """Registry acts are judged again, not only applied."""
    stranger = forge.signatory("friend", "collection_nurse")
    forge.records(
        registry_pb2.PersonEnrolled(site=forge.site, person=forge.new_person(stranger)),
        forge.nurse,
        role="administrator",
    )
    forge.enrols()

    assert isinstance(refusal_of(forge), RegistryInvalidError)


def test_a_registry_act_that_is_not_shown_is_found(lawful: Forge) -> None:
    """Whoever hides what a registry act says hides who may sign."""
    files = open_files(lawful.dossier().data)
    bent = {**files, BODIES: without_body(files[BODIES], 4)}

    assert isinstance(refusal_of(lawful, sealed_again(bent, lawful)), RegistryInvalidError)


# References.


def test_a_schema_that_was_never_published_is_found(forge: Forge) -> None:
    """A statement names a schema that the log holds."""
    forge.enrols()
    envelope, openings = forge.statement(
        quality_pb2.HoldPlaced(grounds="unknown"), forge.nurse, forge.therapy, schema_digest=bytes(31) + b"\x01"
    )
    forge.enter(envelope, openings, CONFORMING)

    assert isinstance(refusal_of(forge), ReferenceInvalidError)


def test_a_policy_that_was_never_published_is_found(forge: Forge) -> None:
    """A judgement names a pack that the log holds."""
    forge.enrols()
    envelope, openings = forge.statement(quality_pb2.HoldPlaced(grounds="unknown"), forge.nurse, forge.therapy)
    forge.enter(envelope, openings, CONFORMING, policy_digest=hashlib.sha256(b"no pack").digest())

    assert isinstance(refusal_of(forge), ReferenceInvalidError)


def test_a_statement_of_another_ledger_is_found(forge: Forge) -> None:
    """A statement belongs to the ledger that it names."""
    forge.enrols()
    envelope, openings = forge.statement(
        quality_pb2.HoldPlaced(grounds="unknown"), forge.nurse, forge.therapy, ledger_id=bytes(15) + b"\x01"
    )
    forge.enter(envelope, openings, CONFORMING)

    assert isinstance(refusal_of(forge), StatementInvalidError)


def test_a_statement_recorded_twice_is_found(forge: Forge) -> None:
    """A statement is in the log once."""
    forge.enrols()
    digest = forge.places_hold()
    envelope = read_entry(forge.entries[-1].entry).envelope
    forge.enter(envelope, forge.kept[digest], CONFORMING)

    assert isinstance(refusal_of(forge), StreamBrokenError)


def test_a_stream_seen_under_another_name_is_found(forge: Forge) -> None:
    """What a signer had seen is of the stream that they say."""
    enrolment = forge.enrols()
    forge.opens_consignment()
    forge.packs(seen=[(forge.consignment, enrolment)])

    assert isinstance(refusal_of(forge), ReferenceInvalidError)


def test_a_cited_consignment_that_is_missing_is_found(lawful: Forge) -> None:
    """A dossier with a consignment's entries cut out shows that the therapy cites it."""
    forge = Forge().founds()
    forge.enrols()
    forge.packs()

    assert isinstance(refusal_of(forge), ScopeInvalidError)


def test_a_chain_that_names_another_predecessor_is_found(forge: Forge) -> None:
    """Each entry names the leaf hash of the one before it in its stream."""
    forge.enrols()
    envelope, openings = forge.statement(quality_pb2.HoldPlaced(grounds="unknown"), forge.nurse, forge.therapy)

    def wrong(sequence: int, previous: bytes) -> bytes:
        return encode_entry(
            envelope,
            recorded_at=forge.now,
            submitting_site=b"",
            sequence=sequence,
            previous_leaf_hash=previous,
            judgement=JudgedEntry(CONFORMING),
        )

    forge.enter(envelope, openings, CONFORMING, entry=wrong(2, bytes(32)))
    assert isinstance(refusal_of(forge), StreamBrokenError)

    other = Forge().founds()
    other.enrols()
    other.enter(envelope, openings, CONFORMING, entry=wrong(3, other.heads[other.therapy][1]))
    assert isinstance(refusal_of(other), StreamBrokenError)


def test_an_entry_of_another_format_is_found(lawful: Forge) -> None:
    """An entry of a later format is not guessed at."""
    files = open_files(lawful.dossier().data)
    entries = [(one.leaf_index, one.entry) for one in lawful.entries]
    entry = entry_pb2.Entry.FromString(entries[-1][1])
    entry.format_version = 2
    entries[-1] = (entries[-1][0], entry.SerializeToString(deterministic=True))
    bent = sealed_again({**files, ENTRIES: encode_entries(entries)}, lawful)

    refusal = refusal_of(lawful, bent)

    assert isinstance(refusal, EntryInvalidError)
    assert refusal.report is not None
    assert refusal.report.outcome is Outcome.BROKEN
    assert refusal.report.line(Check.ENTRIES).result is Result.FAILED
    assert refusal.report.line(Check.CONTAINER).result is Result.PASSED
    assert refusal.report.line(Check.INCLUSION).result is Result.NOT_REACHED


def test_entries_without_bodies_of_their_own_are_not_smuggled_in(lawful: Forge) -> None:
    """A body that belongs to no entry is refused, and so is one that opens what the manifest does not name."""
    files = open_files(lawful.dossier((DisclosureClass.CUSTODY,)).data)
    whole = open_files(lawful.dossier().data)
    orphan = dossier_pb2.DossierBodies.FromString(files[BODIES])
    orphan.bodies.add(leaf_index=99)

    bent = {**files, BODIES: orphan.SerializeToString(deterministic=True)}
    assert isinstance(refusal_of(lawful, sealed_again(bent, lawful)), DossierFormError)
    assert isinstance(refusal_of(lawful, sealed_again({**files, BODIES: whole[BODIES]}, lawful)), ScopeInvalidError)
