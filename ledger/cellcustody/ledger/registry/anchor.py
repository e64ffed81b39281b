"""Write and read the anchor: the small file that an auditor gets by another way than from the operator.

The rules:

* It is a JSON object in UTF-8 with exactly these members: `format` (cellcustody-anchor), `format_version` (1),
  `founding_digest` (statement digest of leaf 0, lower-case hex), `log_keys` (verifier keys in C2SP text form, at least
  one Ed25519, each named by the origin), `log_origin`, `witness_policy` (text of a C2SP tlog-policy; empty: no witness
  is asked for).
* Two members may follow: `time_authorities` (objects of `name`, `certificates` in base64 DER, `policies`), and with it
  `time_authorities_min`, how many of them must have stamped. An anchor without them believes no authority.
* No member is repeated. The file is at most 64 KiB long.

Whoever holds an anchor follows the log's keys from here on through the rotations recorded in the log itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.registry.errors import AnchorMalformedError, RegistryFieldInvalidError
from cellcustody.ledger.registry.fields import check_log_keys, check_origin
from cellcustody.ledger.timestamps.errors import TokenMalformedError
from cellcustody.ledger.timestamps.paths import TimeAuthority, load_certificate
from cellcustody.ledger.transparency.encoding import decode_base64, encode_base64
from cellcustody.ledger.transparency.errors import PolicyMalformedError
from cellcustody.ledger.transparency.policy import parse_policy

__all__ = ["ANCHOR_BYTES_MAX", "Anchor", "encode_anchor", "parse_anchor"]

ANCHOR_BYTES_MAX: Final = 1 << 16  # Two ML-DSA-44 keys and thirty witnesses come to some 60 kB; read whole, always.
_FORMAT: Final = "cellcustody-anchor"
_FORMAT_VERSION: Final = 1
_MEMBERS: Final = frozenset({"format", "format_version", "founding_digest", "log_keys", "log_origin", "witness_policy"})
_OPTIONAL: Final = frozenset({"time_authorities", "time_authorities_min"})
_AUTHORITY_MEMBERS: Final = frozenset({"name", "certificates", "policies"})
_AUTHORITIES_MAX: Final = 16
_CERTIFICATES_MAX: Final = 8
_AUTHORITY_NAME: Final = re.compile("[a-z0-9.-]{1,64}")
_OBJECT_IDENTIFIER: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,18})){1,30}")
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an auditor trusts beforehand; `founding_digest` is the statement digest of leaf 0, 32 bytes."""

    founding_digest: bytes
    log_origin: str
    log_keys: tuple[str, ...]
    witness_policy: str = ""
    time_authorities: tuple[TimeAuthority, ...] = ()
    time_authorities_min: int = 1

    def __post_init__(self) -> None:
        if len(self.founding_digest) != _DIGEST_BYTES:
            raise AnchorMalformedError("a digest has 32 bytes", member="founding_digest")
        try:
            check_origin("log_origin", self.log_origin)
            check_log_keys("log_keys", self.log_keys, self.log_origin)
            if self.witness_policy:
                parse_policy(self.witness_policy.encode("utf-8", "surrogatepass"))
        except RegistryFieldInvalidError as refusal:
            raise AnchorMalformedError(refusal.message, member=refusal.field) from refusal
        except PolicyMalformedError as refusal:
            raise AnchorMalformedError(refusal.message, member="witness_policy") from refusal
        _check_authorities(self.time_authorities, self.time_authorities_min)


def encode_anchor(anchor: Anchor) -> bytes:
    """Returns the file."""
    members: dict[str, object] = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "founding_digest": anchor.founding_digest.hex(),
        "log_keys": list(anchor.log_keys),
        "log_origin": anchor.log_origin,
        "witness_policy": anchor.witness_policy,
    }
    if anchor.time_authorities:
        members["time_authorities"] = [
            {
                "name": authority.name,
                "certificates": [encode_base64(der) for der in authority.certificates],
                "policies": list(authority.policies),
            }
            for authority in anchor.time_authorities
        ]
        members["time_authorities_min"] = anchor.time_authorities_min
    return json.dumps(members, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


def parse_anchor(raw: bytes) -> Anchor:
    """Returns the anchor in a file.

    Raises:
        AnchorMalformedError: it is not one; `member` names the member that is wrong.
    """
    if len(raw) > ANCHOR_BYTES_MAX:
        raise AnchorMalformedError("an anchor is a small file", length=len(raw), limit=ANCHOR_BYTES_MAX)
    try:
        members: object = json.loads(raw.decode("utf-8"), object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as refusal:
        raise AnchorMalformedError("an anchor is JSON in UTF-8", length=len(raw)) from refusal
    if not isinstance(members, dict) or not _MEMBERS <= set(members) <= _MEMBERS | _OPTIONAL:
        raise AnchorMalformedError("an anchor has exactly its members", expected=" ".join(sorted(_MEMBERS)))
    version = members["format_version"]
    if members["format"] != _FORMAT or type(version) is not int or version != _FORMAT_VERSION:
        raise AnchorMalformedError("another format or version", member="format_version", value=version)
    keys = members["log_keys"]
    if not isinstance(keys, list):
        raise AnchorMalformedError("the log's keys are a list", member="log_keys")
    return Anchor(
        founding_digest=_digest(_text("founding_digest", members["founding_digest"])),
        log_origin=_text("log_origin", members["log_origin"]),
        log_keys=tuple(_text("log_keys", key) for key in keys),
        witness_policy=_text("witness_policy", members["witness_policy"]),
        time_authorities=_authorities(members),
        time_authorities_min=_count(members),
    )


def _authorities(members: dict[str, object]) -> tuple[TimeAuthority, ...]:
    if "time_authorities" not in members:
        return ()
    rows = members["time_authorities"]
    if not isinstance(rows, list) or not rows:
        raise AnchorMalformedError("authorities are a list that is not empty", member="time_authorities")
    authorities: list[TimeAuthority] = []
    for row in rows:
        if not isinstance(row, dict) or set(row) != _AUTHORITY_MEMBERS:
            raise AnchorMalformedError("an authority has exactly its members", member="time_authorities")
        certificates, policies = row["certificates"], row["policies"]
        if not isinstance(certificates, list) or not isinstance(policies, list):
            raise AnchorMalformedError("certificates and policies are lists", member="time_authorities")
        try:
            ders = tuple(decode_base64(_text("time_authorities", text)) for text in certificates)
        except ValueError as refusal:
            raise AnchorMalformedError("a certificate is base64", member="time_authorities") from refusal
        name = _text("time_authorities", row["name"])
        authorities.append(TimeAuthority(name, ders, tuple(_text("time_authorities", text) for text in policies)))
    return tuple(authorities)


def _count(members: dict[str, object]) -> int:
    if "time_authorities_min" not in members:
        return 1
    count = members["time_authorities_min"]
    if type(count) is not int or "time_authorities" not in members:
        raise AnchorMalformedError("a count stands with the authorities", member="time_authorities_min")
    return count


def _check_authorities(authorities: tuple[TimeAuthority, ...], count: int) -> None:
    if len(authorities) > _AUTHORITIES_MAX or not 1 <= count <= max(1, len(authorities)):
        raise AnchorMalformedError("as many authorities as are there may be asked for", member="time_authorities_min")
    names = [authority.name for authority in authorities]
    ders = [der for authority in authorities for der in authority.certificates]
    if len(set(names)) != len(names) or len(set(ders)) != len(ders):
        raise AnchorMalformedError("names and certificates are there once each", member="time_authorities")
    for authority in authorities:
        if not _AUTHORITY_NAME.fullmatch(authority.name) or not 1 <= len(authority.certificates) <= _CERTIFICATES_MAX:
            raise AnchorMalformedError("an authority has a name and certificates", member="time_authorities")
        if not all(_OBJECT_IDENTIFIER.fullmatch(policy) for policy in authority.policies):
            raise AnchorMalformedError("a policy is an object identifier", member="time_authorities")
        for der in authority.certificates:
            try:
                load_certificate(der)
            except TokenMalformedError as defect:
                raise AnchorMalformedError("a certificate is none", member="time_authorities") from defect


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise AnchorMalformedError("a member is repeated", members=" ".join(name for name, _ in pairs))
    return members


def _text(member: str, value: object) -> str:
    if not isinstance(value, str):
        raise AnchorMalformedError("a member is text", member=member)
    return value


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError as refusal:
        raise AnchorMalformedError("a digest is lower-case hex", member="founding_digest") from refusal
    if digest.hex() != text:
        raise AnchorMalformedError("a digest is lower-case hex", member="founding_digest")
    return digest
