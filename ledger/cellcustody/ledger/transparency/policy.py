"""Read a witness policy and hold checkpoints to it (C2SP tlog-policy).

The rules:

* Bytes are tab, newline, 20 to 7E and 80 to FF. Lines end in newline; items are parted by spaces and tabs; empty
  lines and lines whose first item begins with # are passed over. Names are opaque bytes.
* `log <vkey> [<url>]`, type 01 or 06; `witness <name> <vkey> [<url>]`, type 04 or 06;
  `group <name> all|any|<k> <name>...`, 1 <= k <= members; `quorum <name>|none`, exactly once.
* A name is defined once, before it is used, is a member of at most one group, and is never `none`.
* No two logs and no two witnesses share a public key, whatever their names.
* A checkpoint holds if any listed log whose key name is the checkpoint's origin signed it and the quorum is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.transparency.checkpoints import VerifiedCheckpoint, parse_checkpoint, verify_checkpoint
from cellcustody.ledger.transparency.encoding import decode_decimal
from cellcustody.ledger.transparency.errors import (
    CheckpointUnsignedError,
    PolicyMalformedError,
    QuorumUnmetError,
    VerifierKeyMalformedError,
)
from cellcustody.ledger.transparency.note_keys import NoteKeyType, VerifierKey, parse_vkey

__all__ = ["Policy", "PolicyGroup", "parse_policy", "verify_quorum", "verify_under_policy", "verify_witnesses"]

POLICY_SIZE_MAX_BYTES: Final = 1_000_000  # The specification asks for 32 logs, witnesses and groups: about 120 kB.
_NONE: Final = b"none"
_FORBIDDEN: Final = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")
_GAP: Final = re.compile(rb"[ \t]+")
_LOG_TYPES: Final = (NoteKeyType.ED25519, NoteKeyType.ML_DSA_44_COSIGNATURE)
_WITNESS_TYPES: Final = (NoteKeyType.ED25519_COSIGNATURE, NoteKeyType.ML_DSA_44_COSIGNATURE)


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """At least `threshold` of the members, which are witnesses or groups, must have witnessed."""

    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Which logs are known, which witnesses and groups, and what the quorum is (None: no cosignature needed)."""

    logs: tuple[str, ...]
    witnesses: dict[bytes, str]
    groups: dict[bytes, PolicyGroup]
    quorum: bytes | None
    urls: dict[bytes, str] = field(default_factory=dict)
    """Where a witness is asked, by its name, for those whose line says so; a verifier needs none."""

    def is_met_by(self, cosigned: frozenset[bytes]) -> bool:
        """Whether the witnesses of these names are a quorum."""
        if self.quorum is None:
            return True
        witnessed = {name: name in cosigned for name in self.witnesses}
        for name, group in self.groups.items():  # In the order of definition, so that members come before groups.
            witnessed[name] = sum(witnessed[member] for member in group.members) >= group.threshold
        return witnessed[self.quorum]


@dataclass(slots=True)
class _Draft:
    """A policy while its lines are read."""

    logs: dict[VerifierKey, str] = field(default_factory=dict)
    witnesses: dict[bytes, str] = field(default_factory=dict)
    witness_keys: dict[bytes, bytes] = field(default_factory=dict)
    groups: dict[bytes, PolicyGroup] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)
    quorums: list[bytes | None] = field(default_factory=list)
    urls: dict[bytes, str] = field(default_factory=dict)


def parse_policy(raw: bytes) -> Policy:
    """Returns what a policy file says.

    Raises:
        PolicyMalformedError: the file is not in its exact form; `line` counts from 1.
    """
    if len(raw) > POLICY_SIZE_MAX_BYTES:
        raise PolicyMalformedError("the policy is too large", size_bytes=len(raw))
    if _FORBIDDEN.search(raw):
        raise PolicyMalformedError("the policy has a control character")
    if not raw.endswith(b"\n"):
        raise PolicyMalformedError("the last line does not end in a newline")
    draft = _Draft()
    for number, line in enumerate(raw[:-1].split(b"\n"), start=1):
        items = [item for item in _GAP.split(line) if item]
        if not items or items[0].startswith(b"#"):
            continue
        try:
            _read_line(draft, items[0], items[1:])
        except (ValueError, VerifierKeyMalformedError) as refusal:
            raise PolicyMalformedError("a line is not in its form", line=number, because=refusal) from refusal
    if len(draft.quorums) != 1:
        raise PolicyMalformedError("a policy has exactly one quorum", quorums=len(draft.quorums))
    return Policy(tuple(draft.logs.values()), draft.witnesses, draft.groups, draft.quorums[0], draft.urls)


def verify_under_policy(raw: bytes, policy: Policy) -> VerifiedCheckpoint:
    """Returns what a checkpoint says that one of the policy's logs and a quorum of its witnesses signed.

    Raises:
        MalformedError: the checkpoint is not in its exact form.
        VerificationError: it is not signed as the policy demands.
    """
    origin = parse_checkpoint(raw).origin  # Only to choose keys; it is believed once one of them has signed it.
    log_vkeys = [vkey for vkey in policy.logs if parse_vkey(vkey).name == origin]
    if not log_vkeys:
        raise CheckpointUnsignedError("the policy lists no log of this origin", origin=origin)
    checkpoint = verify_checkpoint(raw, origin, log_vkeys, witness_vkeys=tuple(policy.witnesses.values()))
    verify_quorum(checkpoint, policy)
    return checkpoint


def verify_quorum(checkpoint: VerifiedCheckpoint, policy: Policy) -> None:
    """Returns if the witnesses that signed a verified checkpoint are a quorum of the policy.

    Raises:
        QuorumUnmetError: they are not.
    """
    signed = {signature.key for signature in checkpoint.witness_signatures}
    cosigned = frozenset(name for name, vkey in policy.witnesses.items() if parse_vkey(vkey) in signed)
    if not policy.is_met_by(cosigned):
        raise QuorumUnmetError(
            "too few witnesses signed",
            signed=_names(cosigned),
            lacking=_names(policy.witnesses.keys() - cosigned),
            size=checkpoint.size,
        )


def verify_witnesses(
    raw: bytes, policy: Policy, origin: str, log_vkeys: Sequence[str], *, required_vkeys: Sequence[str] = ()
) -> VerifiedCheckpoint:
    """Returns what the log of this origin signed and a quorum of the policy's witnesses cosigned.

    The log's keys are known from elsewhere: an anchor, a registry. Where the policy lists logs all the same, one of
    this origin is among them, and signed.

    Raises:
        MalformedError: the checkpoint is not in its exact form.
        QuorumUnmetError: too few witnesses signed; `lacking` names the others.
        VerificationError: it is not signed as keys and policy demand.
    """
    checkpoint = verify_checkpoint(
        raw, origin, log_vkeys, required_vkeys=required_vkeys, witness_vkeys=tuple(policy.witnesses.values())
    )
    if policy.logs:
        listed = [vkey for vkey in policy.logs if parse_vkey(vkey).name == origin]
        if not listed:
            raise CheckpointUnsignedError("the policy lists no log of this origin", origin=origin)
        verify_checkpoint(raw, origin, listed)
    verify_quorum(checkpoint, policy)
    return checkpoint


def _names(names: Iterable[bytes]) -> str:
    return ", ".join(name.decode(errors="replace") for name in sorted(names))


def _read_line(draft: _Draft, keyword: bytes, items: Sequence[bytes]) -> None:
    """Adds one line to the draft, or raises ValueError saying what is wrong."""
    match keyword, items:
        case b"log", [vkey] | [vkey, _]:
            key, text = _key(vkey, _LOG_TYPES)
            if any(other.public_key == key.public_key for other in draft.logs):
                raise ValueError("two logs share a public key")
            draft.logs[key] = text
        case b"witness", [name, vkey, *url] if len(url) <= 1:
            key, text = _key(vkey, _WITNESS_TYPES)
            if key.public_key in draft.witness_keys:
                raise ValueError("two witnesses share a public key")
            _define(draft, name)
            draft.witness_keys[key.public_key] = name
            draft.witnesses[name] = text
            if url:
                draft.urls[name] = url[0].decode("utf-8", "surrogateescape")  # Opaque here; whoever asks it looks.
        case b"group", [name, threshold, *members] if members:
            for member in members:
                if member not in draft.witnesses and member not in draft.groups:
                    raise ValueError("a member is not defined on a line before")
                if member in draft.taken:
                    raise ValueError("a name is a member twice")
                draft.taken.add(member)
            _define(draft, name)
            draft.groups[name] = PolicyGroup(_threshold(threshold, len(members)), tuple(members))
        case b"quorum", [name]:
            if name != _NONE and name not in draft.witnesses and name not in draft.groups:
                raise ValueError("the quorum is not defined on a line before")
            draft.quorums.append(None if name == _NONE else name)
        case _:
            raise ValueError("no line has this form")


def _define(draft: _Draft, name: bytes) -> None:
    if name == _NONE or name in draft.witnesses or name in draft.groups:
        raise ValueError("the name is taken")


def _key(raw: bytes, types: Sequence[NoteKeyType]) -> tuple[VerifierKey, str]:
    text = raw.decode("utf-8")  # Key names are UTF-8 in notes; UnicodeDecodeError is a ValueError.
    key = parse_vkey(text)
    if key.type not in types:
        raise ValueError("the key's signature type does not fit its part")
    return key, text


def _threshold(raw: bytes, members: int) -> int:
    if raw == b"all":
        return members
    if raw == b"any":
        return 1
    threshold = decode_decimal(raw.decode("ascii"))
    if not 1 <= threshold <= members:
        raise ValueError("the threshold is not between one and all members")
    return threshold
