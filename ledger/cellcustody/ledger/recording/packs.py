"""Read the published policy packs, each parsed once.

The rules:

* A pack is known from the moment it is in effect in the registry, and not after a group that brought it was dropped.
* Packs never change under their digest, so that a parsed one may be kept and shared by threads.
"""

from __future__ import annotations

from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.registry.state import RegistryState

__all__ = ["Packs"]


class Packs:
    """The policy packs of one ledger by digest. A ledger has tens of packs; a parsed one is a few kilobytes."""

    def __init__(self, registry: RegistryState) -> None:
        self._registry = registry
        self._parsed: dict[bytes, PolicyPack] = {}

    def pack(self, digest: bytes) -> PolicyPack | None:
        """Returns a published pack, or None where none of that digest is in effect."""
        policy = self._registry.latest.policy(digest)
        if policy is None:
            return None
        parsed = self._parsed.get(digest)
        if parsed is None:
            parsed = self._parsed[digest] = PolicyPack.parse(policy.pack)
        return parsed
