"""Rebuild the golden vectors of readiness certificates: `python tests/vectors/readiness/build.py`.

Every byte follows from this script: keys from fixed labels, Ed25519. `index.json` gives the service key, and says of
each envelope at which time, for which bag and from which size of log it is verified, and by which rule it fails, or OK.
Bad ones are named after their defect. Read them with any implementation of docs/formats/readiness-certificate.md.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from cellcustody.ledger.readiness_certificates import ReadinessCertificate, issue_certificate
from cellcustody.ledger.statements import Ed25519Signer, PayloadType, parse_envelope, sign_envelope

FOLDER: Final = Path(__file__).parent
ISSUED_AT: Final = 1_767_261_600_000_000  # 2026-01-01T10:00:00Z
HOUR: Final = 3_600_000_000


def drawn(label: str, length: int = 32) -> bytes:
    """Returns bytes that stand for randomness: the same for the same label."""
    return hashlib.sha256(b"cellcustody readiness vectors/" + label.encode()).digest()[:length]


SERVICE: Final = Ed25519Signer(drawn("service key"))
STRANGER: Final = Ed25519Signer(drawn("key of a stranger"))
GOOD: Final = ReadinessCertificate(
    ledger_id=drawn("ledger", 16),
    therapy=bytes([1]) + drawn("therapy", 16),
    material=drawn("bag", 16),
    position=4711,
    last_statement_digest=drawn("last statement"),
    issued_at=ISSUED_AT,
    expires_at=ISSUED_AT + 4 * HOUR,
    coi="CHA999925000001G",
    din="A9999 25 000001 00 V",
    bag_expires_at=ISSUED_AT + 1000 * HOUR,
    released_by=drawn("release"),
)


def main() -> None:
    """Writes every vector and the index."""
    good = issue_certificate(GOOD, SERVICE)
    payload = parse_envelope(good).payload
    without_version = payload[2:]
    files = {
        "good": (good, {}, "OK"),
        "good-without-expiry-of-the-bag": (issue_certificate(replace(GOOD, bag_expires_at=None), SERVICE), {}, "OK"),
        "good-without-donation-number": (issue_certificate(replace(GOOD, din=""), SERVICE), {}, "OK"),
        "good-at-its-end": (good, {"at": GOOD.expires_at}, "OK"),
        "expired": (good, {"at": GOOD.expires_at + 1}, "EXPIRED"),
        "not-yet": (good, {"at": GOOD.issued_at - 1}, "NOT_YET"),
        "of-another-bag": (good, {"material": drawn("another bag", 16).hex()}, "MATERIAL"),
        "of-another-ledger": (good, {"ledger_id": drawn("another ledger", 16).hex()}, "LEDGER"),
        "older-than-known": (good, {"position_min": GOOD.position + 1}, "POSITION"),
        "signed-by-a-stranger": (issue_certificate(GOOD, STRANGER), {}, "SIGNATURE"),
        "signed-twice": (
            sign_envelope(payload, PayloadType.READINESS_CERTIFICATE, [SERVICE, STRANGER]),
            {},
            "SIGNATURES",
        ),
        "of-another-payload-type": (sign_envelope(payload, PayloadType.CUSTODY, [SERVICE]), {}, "PAYLOAD_TYPE"),
        "format-version-absent": (
            sign_envelope(without_version, PayloadType.READINESS_CERTIFICATE, [SERVICE]),
            {},
            "FORM",
        ),
        "field-unknown": (
            sign_envelope(payload + bytes([0x78, 0x01]), PayloadType.READINESS_CERTIFICATE, [SERVICE]),
            {},
            "FORM",
        ),
        "position-changed": (good.replace(bytes([0x28, 0xE7, 0x24]), bytes([0x28, 0xE8, 0x24])), {}, "SIGNATURE"),
        "truncated": (good[:-1], {}, "FORM"),
    }
    index = {
        "service_key_spki": SERVICE.public_key_spki.hex(),
        "asked": {
            "ledger_id": GOOD.ledger_id.hex(),
            "material": GOOD.material.hex(),
            "at": GOOD.issued_at + HOUR,
            "position_min": GOOD.position,
        },
        "vectors": {
            f"{name}.binpb": {"asked": asked, "verdict": verdict} for name, (_, asked, verdict) in files.items()
        },
    }
    for name, (envelope, _, _) in files.items():
        (FOLDER / f"{name}.binpb").write_bytes(envelope)
    (FOLDER / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
