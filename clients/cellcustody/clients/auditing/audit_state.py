"""Remember how far an audit has come: the leaves whose signatures were verified, and the last head believed.

The rules:

* A JSON file in the auditor's own folder, replaced as a whole. It is the auditor's word to themselves; nothing of the
  log's is in it but hashes.
* `signed_leaves` with `signed_root`: the signatures of so many leaves, which make this root, were verified. They
  are taken over only where the entries make the same root again.
* `size` with `root` are the last head up to which everything was found right: a later one must continue it.
* What belongs to another ledger is refused, never overwritten.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry import Anchor

__all__ = ["AuditState", "read_state", "write_state"]

_FORMAT: Final = "cellcustody-audit"
_FORMAT_VERSION: Final = 1
_NUMBERS: Final = frozenset({"signed_leaves", "size"})
_HASHES: Final = frozenset({"founding_digest", "signed_root", "root"})
_MEMBERS: Final = _NUMBERS | _HASHES | {"format", "format_version", "log_origin"}


@dataclass(frozen=True, slots=True)
class AuditState:
    """How far an audit of one log has come; roots are 32 bytes, or empty where there is nothing yet."""

    log_origin: str
    founding_digest: bytes
    signed_leaves: int = 0
    signed_root: bytes = b""
    size: int = 0
    root: bytes = b""

    def signed_up_to(self, leaves: int, root: bytes) -> AuditState:
        """Returns the state after the signatures of so many leaves were verified."""
        return replace(self, signed_leaves=leaves, signed_root=root)

    def believing(self, size: int, root: bytes) -> AuditState:
        """Returns the state after everything up to a head was found right."""
        return replace(self, signed_leaves=size, signed_root=root, size=size, root=root)


def read_state(path: Path, anchor: Anchor) -> AuditState:
    """Returns what is remembered of the anchor's log; a beginning where there is nothing.

    Raises:
        ConfigurationError: the file is none, or of another ledger.
    """
    try:
        members: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return AuditState(anchor.log_origin, anchor.founding_digest)
    except (OSError, ValueError, RecursionError) as refusal:
        raise ConfigurationError("what an audit remembers cannot be read", path=path) from refusal
    if (
        not isinstance(members, dict)
        or set(members) != _MEMBERS
        or members["format"] != _FORMAT
        or members["format_version"] != _FORMAT_VERSION
        or not all(type(members[name]) is int and members[name] >= 0 for name in _NUMBERS)
        or not isinstance(members["log_origin"], str)
    ):
        raise ConfigurationError("this is no memory of an audit", path=path)
    try:
        hashes = {name: bytes.fromhex(members[name]) for name in _HASHES}
    except (TypeError, ValueError) as refusal:
        raise ConfigurationError("this is no memory of an audit", path=path) from refusal
    state = AuditState(
        members["log_origin"],
        hashes["founding_digest"],
        members["signed_leaves"],
        hashes["signed_root"],
        members["size"],
        hashes["root"],
    )
    if (state.log_origin, state.founding_digest) != (anchor.log_origin, anchor.founding_digest):
        raise ConfigurationError(
            "the folder remembers the audit of another ledger",
            path=path,
            there=f"{state.log_origin}, {state.founding_digest.hex()}",
            asked=f"{anchor.log_origin}, {anchor.founding_digest.hex()}",
        )
    return state


def write_state(path: Path, state: AuditState) -> None:
    """Replaces the file."""
    members = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "log_origin": state.log_origin,
        "founding_digest": state.founding_digest.hex(),
        "signed_leaves": state.signed_leaves,
        "signed_root": state.signed_root.hex(),
        "size": state.size,
        "root": state.root.hex(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(members, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(fresh, path)
