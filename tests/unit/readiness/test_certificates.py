"""Readiness certificates: the golden vectors, and what a device keeps of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cellcustody.clients.readiness import BedsideCertificates, ServiceKeys
from cellcustody.ledger.readiness_certificates import (
    CertificateInvalidError,
    ReadinessCertificate,
    certificate_digest,
    issue_certificate,
    read_certificate,
    verify_certificate,
)
from cellcustody.ledger.statements import Ed25519Signer, parse_envelope, parse_public_key
from cellcustody.v1 import custody_query_service_pb2 as pb

VECTORS = Path(__file__).parents[2] / "vectors/readiness"
INDEX = json.loads((VECTORS / "index.json").read_text())
SIGNER = Ed25519Signer(bytes(range(32)))
KEY = parse_public_key(SIGNER.public_key_spki)
LEDGER, BAG, OTHER_BAG = bytes(16), b"b" * 16, b"o" * 16
NOW = 1_760_000_000_000_000
HOUR = 3_600_000_000
CERTIFICATE = ReadinessCertificate(
    ledger_id=LEDGER,
    therapy=bytes([1]) + b"t" * 16,
    material=BAG,
    position=100,
    last_statement_digest=b"l" * 32,
    issued_at=NOW,
    expires_at=NOW + HOUR,
    coi="CHA999925000001G",
    din="A999925000001",
    bag_expires_at=None,
    released_by=b"r" * 32,
)


@pytest.mark.parametrize("name", sorted(INDEX["vectors"]))
def test_every_golden_vector_gets_its_verdict(name: str) -> None:
    """By the rule that the index names."""
    key = parse_public_key(bytes.fromhex(INDEX["service_key_spki"]))
    asked = INDEX["asked"] | INDEX["vectors"][name]["asked"]
    try:
        verify_certificate(
            (VECTORS / name).read_bytes(),
            {key.key_id: key}.get,
            ledger_id=bytes.fromhex(asked["ledger_id"]),
            material=bytes.fromhex(asked["material"]),
            at=asked["at"],
            position_min=asked["position_min"],
        )
        verdict = "OK"
    except CertificateInvalidError as refusal:
        verdict = refusal.rule
    assert verdict == INDEX["vectors"][name]["verdict"]


def test_a_certificate_says_what_was_put_in() -> None:
    """Nothing is lost or added, and its name is that of any signed statement."""
    envelope = issue_certificate(CERTIFICATE, SIGNER)
    assert read_certificate(envelope) == CERTIFICATE
    assert certificate_digest(envelope) == parse_envelope(envelope).statement_digest


@pytest.mark.parametrize(
    "changed",
    [
        replace(CERTIFICATE, material=b"short"),
        replace(CERTIFICATE, released_by=b""),
        replace(CERTIFICATE, coi=""),
        replace(CERTIFICATE, position=0),
        replace(CERTIFICATE, expires_at=NOW - 1),
    ],
)
def test_none_is_issued_that_could_not_be_read(changed: ReadinessCertificate) -> None:
    """The service key signs nothing that its own readers refuse."""
    with pytest.raises(CertificateInvalidError):
        issue_certificate(changed, SIGNER)


def test_every_byte_counts() -> None:
    """No flip of one bit passes."""
    envelope = issue_certificate(CERTIFICATE, SIGNER)
    for index in range(len(envelope)):
        flipped = bytearray(envelope)
        flipped[index] ^= 1
        with pytest.raises(CertificateInvalidError):
            verify_certificate(bytes(flipped), {KEY.key_id: KEY}.get, ledger_id=LEDGER, material=BAG, at=NOW)


# What a device keeps.


class Device:
    """A device with a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.folder = folder
        self.kept = BedsideCertificates(folder, ServiceKeys(LEDGER, {KEY.key_id: KEY}), lambda: self.now)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "certificates")


def rule_of(call: Callable[[], object]) -> str:
    """Returns the rule by which a call is refused."""
    with pytest.raises(CertificateInvalidError) as caught:
        call()
    return caught.value.rule


def test_a_device_keeps_certificates_for_when_it_is_offline(device: Device) -> None:
    """Fetched once, read again from the folder by another run."""

    class Server:
        def readiness_certificate(self, material: bytes) -> pb.GetReadinessCertificateResponse:
            made = issue_certificate(replace(CERTIFICATE, material=material), SIGNER)
            return pb.GetReadinessCertificateResponse(position=100, certificate=made)

    fetched = device.kept.preload(Server(), [BAG, OTHER_BAG])
    assert [one.certificate.material for one in fetched] == [BAG, OTHER_BAG]
    again = Device(device.folder).kept.certificate_for(BAG)
    assert again == fetched[0]
    assert again.digest == certificate_digest(again.envelope)
    assert {oct(path.stat().st_mode & 0o777) for path in device.folder.iterdir()} == {"0o600"}


def test_nothing_is_kept_that_does_not_verify(device: Device) -> None:
    """A stranger's, another bag's, one that has run out."""
    stranger = issue_certificate(CERTIFICATE, Ed25519Signer(bytes(32)))
    assert rule_of(lambda: device.kept.keep(stranger, BAG)) == "SIGNATURE"
    good = issue_certificate(CERTIFICATE, SIGNER)
    assert rule_of(lambda: device.kept.keep(good, OTHER_BAG)) == "MATERIAL"
    device.now += HOUR + 1
    assert rule_of(lambda: device.kept.keep(good, BAG)) == "EXPIRED"
    assert rule_of(lambda: device.kept.certificate_for(BAG)) == "ABSENT"


def test_an_older_certificate_takes_no_newer_ones_place(device: Device) -> None:
    """Whoever holds back the newer one cannot bring back the older."""
    device.kept.keep(issue_certificate(CERTIFICATE, SIGNER), BAG)
    older = issue_certificate(replace(CERTIFICATE, position=99), SIGNER)
    assert rule_of(lambda: device.kept.keep(older, BAG)) == "POSITION"
    newer = issue_certificate(replace(CERTIFICATE, position=101), SIGNER)
    assert device.kept.keep(newer, BAG).certificate.position == 101


def test_what_the_device_has_seen_since_counts(device: Device) -> None:
    """A certificate from before is not given out."""
    device.kept.keep(issue_certificate(CERTIFICATE, SIGNER), BAG)
    assert device.kept.certificate_for(BAG, position_min=100).certificate == CERTIFICATE
    assert rule_of(lambda: device.kept.certificate_for(BAG, position_min=101)) == "POSITION"


def test_what_has_run_out_is_deleted(device: Device) -> None:
    """The others stay."""
    device.kept.keep(issue_certificate(CERTIFICATE, SIGNER), BAG)
    longer = replace(CERTIFICATE, material=OTHER_BAG, expires_at=NOW + 2 * HOUR)
    device.kept.keep(issue_certificate(longer, SIGNER), OTHER_BAG)
    device.now += HOUR
    assert device.kept.forget_expired() == ()
    device.now += 1
    assert device.kept.forget_expired() == (BAG,)
    assert rule_of(lambda: device.kept.certificate_for(BAG)) == "ABSENT"
    assert device.kept.certificate_for(OTHER_BAG).certificate == longer
