"""Show sites and people by their registered names: asked of the registry once for a table, never for JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from cellcustody.clients.queries import Questions
from cellcustody.v1 import common_pb2

__all__ = ["NO_NAMES", "Names", "names_of"]

_SHORT_LENGTH = 8  # Of an id that nobody registered.


@dataclass(frozen=True, slots=True)
class Names:
    """Names by id: of sites, and of people as far as the caller may read them."""

    sites: dict[bytes, str] = field(default_factory=dict)
    people: dict[bytes, str] = field(default_factory=dict)

    def site(self, site: bytes) -> str:
        """Returns a site's name, or the beginning of its id, or a dash."""
        return self.sites.get(site) or (site.hex()[:_SHORT_LENGTH] if site else "-")

    def unit(self, unit: common_pb2.Unit) -> str:
        """Returns a unit as site and name, or a dash."""
        if not unit.site:
            return "-"
        return f"{self.site(unit.site)}/{unit.unit}" if unit.unit else self.site(unit.site)

    def of(self, identity: bytes) -> str | None:
        """Returns the name of a site or person, or None if it is neither."""
        return self.sites.get(identity) or self.people.get(identity) or None


NO_NAMES = Names()


def names_of(reader: Questions) -> Names:
    """Returns the names that the registry tells this caller."""
    registry = reader.registry()
    return Names(
        {one.site: one.name for one in registry.sites},
        {one.signer: one.printed_name for one in registry.signers if one.printed_name},
    )
