"""Page and product say the same of every dossier, good or bad: outcome, reason, and what was counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forge import (
    CONFORMING,
    IN_EFFECT,
    PENDING,
    RECORDED,
    Forge,
    Signatory,
    drawn,
    open_files,
    sealed_again,
    zipped,
)
from verifier_page_driver import VerifierPage, disagreement, product_verdict

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.dossier import EMBEDDED_NAMES, FILE_NAMES
from cellcustody.ledger.dossier.layout import BODIES, CHECKPOINT, ENTRIES, MANIFEST, PROOF
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.transparency import Ed25519Cosigner
from cellcustody.ledger.verification import verify_dossier
from cellcustody.v1 import options_pb2, registry_pb2

pytestmark = pytest.mark.system

SEED = 20261123
FUZZED = 1_000
POLICY = single_stream_id(StreamKind.POLICY)


@pytest.fixture(scope="module")
def six() -> Forge:
    """A ledger with six custody statements and others of no concern to the dossier, so that there is a proof."""
    forge = Forge().founds()
    forge.records_elsewhere()
    enrolment = forge.enrols()
    opened = forge.opens_consignment()
    forge.records_elsewhere()
    forge.packs(seen=[(forge.therapy, enrolment), (forge.consignment, opened)])
    forge.revises(forge.places_hold(), Judged(Status.AWAITING, (Finding("SEEN_MISSING"),)))
    established = forge.establishes_custody()
    forge.joins(established, forge.second_nurse, forge.therapy, completes=True)
    forge.records_elsewhere()
    return forge


# Dossiers that hold.


@pytest.mark.parametrize("classes", [(), (DisclosureClass.CUSTODY,), tuple(DisclosureClass)], ids=len)
def test_with_none_some_or_all_records_open(
    page: VerifierPage, six: Forge, classes: tuple[DisclosureClass, ...]
) -> None:
    """Closed records stand by their hashes in both."""
    data = six.dossier(classes).data

    assert disagreement(page, data, six.anchor) == ""
    assert disagreement(page, data, None) == ""
    assert page.verify(data, six.anchor)["outcome"] == "VERIFIED"


def test_the_statements_of_both_reports_are_the_same(page: VerifierPage, six: Forge) -> None:
    """Signer, site, role, records and co-signers of every statement, as the product says them."""
    data = six.dossier((DisclosureClass.CUSTODY,)).data
    expected = verify_dossier(data, six.anchor)
    report = page.verify(data, six.anchor)

    assert report["statements"] == [
        {
            "leaf_index": one.leaf_index,
            "stream": one.stream.hex(),
            "sequence": one.sequence,
            "statement_digest": one.statement_digest.hex(),
            "body_type": one.body_type,
            "signer": one.signer.hex(),
            "site": one.site.hex(),
            "role": one.role,
            "signatures": one.signatures,
            "records_open": one.records_open,
            "records_closed": one.records_closed,
            "commitment": one.commitment.value,
            "key": one.key.value,
            "status": one.status,
            "findings": list(one.findings),
            "co_signers": [signer.hex() for signer in one.co_signers],
            "status_now": 3 if one.body_type.endswith("HoldPlaced") and one.sequence == 3 else one.status,
        }
        for one in expected.statements
    ]
    assert (report["position"], report["therapy"]) == (expected.position, expected.therapy.hex())


def test_witnesses_count_towards_the_anchors_quorum(page: VerifierPage, six: Forge) -> None:
    """Two of three, with a policy that lists no log; and one of three, which is too few."""
    witnesses = [
        Ed25519Cosigner(f"witness.example/{n}", Ed25519PrivateKey.from_private_bytes(drawn(f"witness {n}")))
        for n in range(3)
    ]
    lines = [f"witness w{n} {one.vkey}" for n, one in enumerate(witnesses)]
    text = "\n".join([*lines, "group g 2 w0 w1 w2", "quorum g", ""])
    anchor = replace(six.anchor, witness_policy=text)
    files = open_files(six.dossier().data)
    note, _ = files[CHECKPOINT].decode().split("\n\n")
    for count, reason in ((2, None), (3, None), (1, "WITNESS_QUORUM_UNMET"), (0, "WITNESS_QUORUM_UNMET")):
        cosigned = files[CHECKPOINT] + b"".join(
            one.sign(note + "\n", 1_767_261_700).line().encode() for one in witnesses[:count]
        )
        data = sealed_again({**files, CHECKPOINT: cosigned}, six)
        assert disagreement(page, data, anchor) == ""
        assert product_verdict(data, anchor).reason == reason


# Dossiers that do not: each a defect in the log itself, or in what an operator seals.


def _revoked(forge: Forge) -> None:
    forge.enrols()
    forge.revokes(forge.nurse)
    forge.places_hold()


def _compromised(forge: Forge) -> None:
    forge.enrols()
    since = len(forge.entries)
    forge.places_hold()
    forge.revokes(forge.nurse, since=since)


def _stranger(forge: Forge) -> None:
    forge.enrols()
    forge.nurse = Signatory("elsewhere", "stranger", "collection_nurse")
    forge.places_hold()


def _role_hidden(forge: Forge) -> None:
    forge.enrols()
    forge.nurse.role = "physician"
    forge.places_hold()


def _role_told(forge: Forge) -> None:
    forge.enrols()
    forge.nurse.role = "physician"
    forge.places_hold(Judged(Status.NONCONFORMING, (Finding("ROLE_NOT_HELD"),)))


def _alone(forge: Forge) -> None:
    forge.enrols()
    forge.establishes_custody(IN_EFFECT)


def _joined_by_themselves(forge: Forge) -> None:
    forge.enrols()
    forge.joins(forge.establishes_custody(), forge.nurse, forge.therapy, completes=True)


def _joined_late(forge: Forge) -> None:
    forge.enrols()
    established = forge.establishes_custody()
    forge.now += 3_600_000_000
    forge.joins(established, forge.second_nurse, forge.therapy, completes=True)


def _revised_by_another(forge: Forge) -> None:
    forge.enrols()
    forge.revises(forge.places_hold(), CONFORMING, by=forge.nurse)


def _entry_finding_dropped(forge: Forge) -> None:
    forge.enrols()
    forge.revises(forge.places_hold(Judged(Status.CONFORMING, (Finding("LATE"),))), CONFORMING)


def _one_registrar(forge: Forge) -> None:
    forge.records(
        registry_pb2.SiteChanged(
            site=forge.site, capabilities=[options_pb2.CAPABILITY_AUDIT], tls_key_ids=[drawn("tls")]
        ),
        forge.registrars[0],
    )
    forge.enrols()


def _no_administrator(forge: Forge) -> None:
    stranger = forge.signatory("friend", "collection_nurse")
    person = registry_pb2.PersonEnrolled(site=forge.site, person=forge.new_person(stranger))
    forge.records(person, forge.nurse, role="administrator")
    forge.enrols()


def _borrowed_proof(forge: Forge) -> None:
    stranger = forge.signatory("friend", "collection_nurse")
    person = forge.new_person(stranger)
    person.person = drawn("somebody else", 16)
    forge.records(registry_pb2.PersonEnrolled(site=forge.site, person=person), forge.administrators[0])
    forge.enrols()


def _unknown_judgement(forge: Forge) -> None:
    forge.enrols()
    forge.places_hold(Judged(Status.CONFORMING, (Finding("NO_SUCH_RULE"),)))


def _seen_elsewhere(forge: Forge) -> None:
    enrolment = forge.enrols()
    forge.opens_consignment()
    forge.packs(seen=[(forge.consignment, enrolment)])


def _consignment_missing(forge: Forge) -> None:
    forge.enrols()
    forge.packs()


def _registry_at_work(forge: Forge) -> None:
    """Everything that a registry does, lawfully: keys come and go, log and service keys turn, registrars change."""
    nurse = forge.second_nurse
    spare = forge.signatory("spare", "collection_nurse")
    added = registry_pb2.KeyAdded(holder=nurse.id, key=_key_for(forge, spare, nurse.id))
    forge.records(added, forge.administrators[0])
    forge.records(registry_pb2.KeySuspended(key_id=spare.signer.key_id), forge.administrators[0])
    forge.records(registry_pb2.KeyReinstated(key_id=spare.signer.key_id), forge.administrators[0])
    retired = registry_pb2.KeyRetired(key_id=spare.signer.key_id, grace_seconds=3600)
    forge.records(retired, forge.administrators[1])
    forge.records(
        registry_pb2.DeviceEnrolled(site=forge.site, device=drawn("device", 16), description="tablet"),
        forge.administrators[0],
    )
    changed = registry_pb2.PersonChanged(
        person=nurse.id, roles=[registry_pb2.RoleGrant(role="collection_nurse")], units=["apheresis"]
    )
    forge.records(changed, forge.administrators[1])
    grant = registry_pb2.EmergencyCredentialGranted(
        person=nurse.id, roles=["physician"], valid_from_unix_micros=forge.now, valid_seconds=3600, grounds="night"
    )
    pending = forge.records(grant, forge.administrators[0], judged=PENDING)
    forge.joins(pending, forge.administrators[1], completes=True)
    forge.quorum(
        registry_pb2.PolicyPublished(
            product="cellcustody-demo-product",
            jurisdiction="EU",
            version=1,
            pack=sample_pack_bytes(),
        ),
        POLICY,
    )
    service = forge.signatory("the ledger, later", "ledger")
    service.id = forge.service.id
    forge.quorum(registry_pb2.ServiceKeyRotated(service_key=forge.key(service)))
    forge.service = service
    later = Forge("later").log_signers[0]
    keys = [later.vkey, forge.log_signers[1].vkey]
    forge.quorum(registry_pb2.LogKeysRotated(log_keys=keys, overlap_until_size=len(forge.entries) + 3))
    forge.log_signers = [later, forge.log_signers[1]]
    fourth = forge.signatory("registrar 3", "registrar")
    kept = sorted([*forge.registrars[:2], fourth], key=lambda one: one.id)
    forge.quorum(
        registry_pb2.RegistrarsChanged(
            registrars=[
                registry_pb2.Registrar(person=one.id, key=forge.key(one), organisation=f"organisation {n}")
                for n, one in enumerate(kept)
            ],
            threshold=2,
        )
    )
    forge.lives()


def _affirmed(forge: Forge) -> None:
    """Two statements of a stolen key: one is affirmed by the site's administrators, the other is not."""
    forge.enrols()
    since = len(forge.entries)
    kept = forge.places_hold()
    forge.places_hold()
    forge.revokes(forge.nurse, since=since)
    affirmed = registry_pb2.StatementsAffirmed(key_id=forge.nurse.signer.key_id, statement_digests=[kept])
    pending = forge.records(affirmed, forge.administrators[0], judged=PENDING)
    forge.joins(pending, forge.administrators[1], completes=True)


def _affirmed_alone(forge: Forge) -> None:
    forge.enrols()
    since = len(forge.entries)
    kept = forge.places_hold()
    forge.revokes(forge.nurse, since=since)
    affirmed = registry_pb2.StatementsAffirmed(key_id=forge.nurse.signer.key_id, statement_digests=[kept])
    forge.records(affirmed, forge.administrators[0])


def _log_key_lost(forge: Forge) -> None:
    """The registrars replace both keys of the log without a signature of theirs."""
    later = Forge("later").log_signers
    forge.quorum(
        registry_pb2.LogKeysRotated(
            log_keys=[one.vkey for one in later],
            lost_keys=[one.vkey for one in forge.log_signers],
            compromised_since_size=len(forge.entries) - 2,
        )
    )
    forge.log_signers = later
    forge.lives()


def _lost_key_that_never_was(forge: Forge) -> None:
    later, other = Forge("later").log_signers, Forge("other").log_signers
    forge.quorum(registry_pb2.LogKeysRotated(log_keys=[one.vkey for one in later], lost_keys=[other[0].vkey]))
    forge.log_signers = later
    forge.lives()


def _hybrid_without_keys(forge: Forge) -> None:
    """Registrars ask two keys of themselves that none of them has."""
    forge.quorum(
        registry_pb2.RegistrarsChanged(
            registrars=[
                registry_pb2.Registrar(person=one.id, key=forge.key(one), organisation=f"organisation {n}")
                for n, one in enumerate(forge.registrars)
            ],
            threshold=2,
            hybrid_roles=["registrar"],
        )
    )
    forge.lives()


def _key_for(forge: Forge, of: Signatory, holder: bytes) -> registry_pb2.EnrolledKey:
    owner = Signatory.__new__(Signatory)
    owner.id, owner.role, owner.signer = holder, of.role, of.signer
    return forge.key(owner)


def _wrong_pack(forge: Forge) -> None:
    pack = sample_pack_bytes().replace(b'"version":1', b'"version": 1')
    forge.quorum(
        registry_pb2.PolicyPublished(product="cellcustody-demo-product", jurisdiction="EU", version=1, pack=pack),
        POLICY,
    )
    forge.enrols()


def _service_key_as_person(forge: Forge) -> None:
    forge.enrols()
    forge.nurse = forge.service
    forge.places_hold(RECORDED)


IN_THE_LOG: dict[str, tuple[Callable[[Forge], None], str | None]] = {
    "a revoked key signs": (_revoked, "SIGNER_INVALID"),
    "a key was compromised by then": (_compromised, None),
    "a stranger signs": (_stranger, "STATEMENT_INVALID"),
    "a missing role is hidden": (_role_hidden, "SIGNER_INVALID"),
    "a missing role is told": (_role_told, None),
    "one person for two": (_alone, "CO_SIGNATURE_INVALID"),
    "a signer joins themselves": (_joined_by_themselves, "CO_SIGNATURE_INVALID"),
    "a second person joins late": (_joined_late, "CO_SIGNATURE_INVALID"),
    "somebody else revises": (_revised_by_another, "SIGNER_INVALID"),
    "a finding of entry is dropped": (_entry_finding_dropped, "JUDGEMENT_INVALID"),
    "one registrar for a quorum": (_one_registrar, "REGISTRY_INVALID"),
    "a nurse enrols a person": (_no_administrator, "REGISTRY_INVALID"),
    "a proof of possession for another": (_borrowed_proof, "REGISTRY_INVALID"),
    "a finding that no rule has": (_unknown_judgement, "JUDGEMENT_INVALID"),
    "a statement seen in another stream": (_seen_elsewhere, "REFERENCE_INVALID"),
    "a cited consignment is missing": (_consignment_missing, "SCOPE_INVALID"),
    "a registry at work": (_registry_at_work, None),
    "two administrators affirm": (_affirmed, None),
    "one administrator affirms": (_affirmed_alone, "REGISTRY_INVALID"),
    "log keys are lost": (_log_key_lost, None),
    "a lost log key never was one": (_lost_key_that_never_was, "REGISTRY_INVALID"),
    "registrars ask for keys that nobody has": (_hybrid_without_keys, "REGISTRY_INVALID"),
    "a pack with a space": (_wrong_pack, "REGISTRY_INVALID"),
    "the service key says what a person says": (_service_key_as_person, "SIGNER_INVALID"),
}


@pytest.mark.parametrize("defect", IN_THE_LOG)
def test_what_an_operator_lets_into_the_log(page: VerifierPage, defect: str) -> None:
    """The same reason, or none, from both."""
    happens, reason = IN_THE_LOG[defect]
    forge = Forge().founds()
    anchor = forge.anchor  # From before: a rotation of the log's keys leaves it good.
    happens(forge)
    data = forge.dossier().data

    assert disagreement(page, data, anchor) == ""
    assert product_verdict(data, anchor).reason == reason


def test_a_ledger_forged_whole(page: VerifierPage, six: Forge) -> None:
    """Consistent in itself, and of another issuer than the anchor's."""
    data = Forge("elsewhere").founds().lives().dossier().data

    assert disagreement(page, data, None) == ""
    assert disagreement(page, data, six.anchor) == ""
    assert product_verdict(data, six.anchor).reason == "ISSUER_MISMATCH"


@pytest.mark.parametrize(
    "bent",
    [b"", b"{}", b"[]", b'{"format": "cellcustody-anchor"}', b"\xff", b'{"a": 1, "a": 2}', b"1" * 70_000],
    ids=lambda raw: f"{raw[:20]!r}",
)
def test_an_anchor_that_is_none_is_refused(page: VerifierPage, six: Forge, bent: bytes) -> None:
    """Without a good anchor nothing is believed, and it is not taken for none at all."""
    report = page.verify(six.dossier().data, bent)

    assert report["outcome"] == "BROKEN"
    assert report["first_broken_link"]["reason"] == "ANCHOR_MALFORMED"  # type: ignore[index, call-overload]  # JSON


# Chance.


def _mutations(forge: Forge, draw: random.Random) -> Iterator[tuple[bytes, Anchor]]:
    data, anchor = forge.dossier().data, forge.anchor
    files = open_files(data)
    embedded_end = len(data) - sum(len(files[name]) for name in FILE_NAMES if name not in EMBEDDED_NAMES)
    inner = [name for name in (CHECKPOINT, ENTRIES, BODIES, PROOF) for _ in range(len(files[name]) // 500 + 1)]
    while True:
        kind = draw.randrange(10)
        if kind == 0:  # Anywhere in the file, mostly behind the two verifiers.
            at = draw.randrange(embedded_end, len(data)) if draw.random() < 0.9 else draw.randrange(len(data))
            yield _turned(data, at, draw), anchor
        elif kind == 1:  # A stretch of other bytes, of another length.
            at = draw.randrange(len(data))
            yield data[:at] + draw.randbytes(draw.randrange(64)) + data[at + draw.randrange(64) :], anchor
        elif kind == 2:
            yield data[: draw.randrange(len(data))], anchor
        elif kind in (3, 4, 5, 6):  # One bit in a file, sealed anew by the operator.
            name = draw.choice(inner)
            at = draw.randrange(len(files[name]))
            yield sealed_again({**files, name: _turned(files[name], at, draw)}, forge), anchor
        elif kind in (7, 8):  # Bytes put in, taken out or repeated in a file, sealed anew.
            name = draw.choice(inner)
            at, count = draw.randrange(len(files[name])), draw.randrange(1, 40)
            content = files[name]
            put = draw.choice([b"", draw.randbytes(count), content[at : at + count]])
            cut = draw.choice([0, count])
            bent = content[:at] + put + content[at + cut :]
            yield sealed_again({**files, name: bent}, forge), anchor
        else:  # One bit in the manifest's envelope.
            at = draw.randrange(len(files[MANIFEST]))
            yield zipped({**files, MANIFEST: _turned(files[MANIFEST], at, draw)}), anchor


def _turned(raw: bytes, at: int, draw: random.Random) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]


def test_a_thousand_dossiers_changed_by_chance(page: VerifierPage, six: Forge) -> None:
    """The same verdict and the same reason for each, and never a failure of the page itself."""
    draw = random.Random(SEED)
    changed = _mutations(six, draw)
    differing = []
    outcomes = set()
    for number in range(FUZZED):
        data, anchor = next(changed)
        told = disagreement(page, data, anchor)
        if told:
            differing.append((number, told))
        outcomes.add(product_verdict(data, anchor).reason)

    assert differing == []
    # The changes reach every part of a dossier, and not its container alone.
    assert len(outcomes) >= 8, outcomes


def test_bytes_at_random_are_refused(page: VerifierPage, six: Forge) -> None:
    """No input at all ends in anything but a verdict."""
    draw = random.Random(SEED)
    read = partial(disagreement, page)

    for length in (0, 1, 30, 100, 1000):
        assert read(draw.randbytes(length), six.anchor) == ""
