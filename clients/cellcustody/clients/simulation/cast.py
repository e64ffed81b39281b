"""The sites and people of a simulated world: who there is, with ids and keys that the seed decides.

The rules:

* Four hospitals, a courier, a plant and a contract laboratory; every step of a course has the people that it asks for,
  each with a key of their own. Nobody has a name: roles stand for people.
* Ids and private keys follow from the seed alone, so that a world is found again without keeping a key on disk. Such
  keys protect nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.ledger.custody.policy import PolicyPack, sample_pack_bytes
from cellcustody.ledger.statements import Ed25519Signer, Signer, StreamKind, new_stream_id
from cellcustody.v1 import common_pb2, options_pb2

__all__ = ["PACKS", "Asset", "Cast", "Hospital", "Lot", "Person", "Site", "gather"]

PACKS: Final = {"EU": "cellcustody-sample-product-eu-1", "US": "cellcustody-sample-product-us-1"}
HOSPITALS_COUNT: Final = 4  # Half under each pack.
SHIPPERS_COUNT: Final = 8
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 16

COLLECT, TRANSPORT, STORE, PROCESS, TEST, RELEASE, INFUSE = (
    options_pb2.CAPABILITY_COLLECT,
    options_pb2.CAPABILITY_TRANSPORT,
    options_pb2.CAPABILITY_STORE,
    options_pb2.CAPABILITY_PROCESS,
    options_pb2.CAPABILITY_TEST,
    options_pb2.CAPABILITY_RELEASE,
    options_pb2.CAPABILITY_INFUSE,
)


@dataclass(frozen=True, slots=True)
class Site:
    """A site with its id, 16 bytes; `stem` names its files."""

    site: bytes
    name: str
    stem: str
    capabilities: tuple[options_pb2.Capability.ValueType, ...]
    units: tuple[str, ...]

    @property
    def stream(self) -> bytes:
        """The site's own stream, 17 bytes."""
        return bytes([StreamKind.SITE]) + self.site

    def unit(self, name: str = "") -> common_pb2.Unit:
        """Returns one of its units; without a name, the site as a whole."""
        return common_pb2.Unit(site=self.site, unit=name)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in one role at a site; `person` is 16 bytes, and the device's id too."""

    person: bytes
    title: str
    role: str
    site: Site
    signer: Signer


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital with its people, and the jurisdiction whose pack its therapies are pinned to."""

    site: Site
    jurisdiction: str
    physician: Person
    nurses: tuple[Person, Person]
    technicians: tuple[Person, Person]
    ward_nurses: tuple[Person, Person]
    apheresis_device: str


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot with its stream, 17 bytes."""

    stream: bytes
    number: str
    kind: str

    def use(self) -> common_pb2.LotUse:
        """Returns that this lot was used."""
        return common_pb2.LotUse(lot=self.stream, lot_number=self.number, kind=self.kind)


@dataclass(frozen=True, slots=True)
class Asset:
    """A piece of equipment with its stream, 17 bytes."""

    stream: bytes
    asset: str
    kind: str
    owner: Site


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody and everything there is."""

    hospitals: tuple[Hospital, ...]
    courier: Site
    drivers: tuple[Person, ...]
    plant: Site
    operators: tuple[Person, Person, Person]
    reviewers: tuple[Person, Person]
    quality_head: Person
    qualified_person: Person
    laboratory: Site
    analysts: tuple[Person, Person]
    administrators: Mapping[bytes, tuple[Person, Person]]
    lots: Mapping[str, Lot]
    assets: tuple[Asset, ...]
    packs: Mapping[str, PolicyPack]
    names: dict[bytes, str] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites."""
        return (*(one.site for one in self.hospitals), self.courier, self.plant, self.laboratory)

    def people(self) -> Iterator[Person]:
        """Yields everybody but the administrators."""
        for one in self.hospitals:
            yield one.physician
            yield from (*one.nurses, *one.technicians, *one.ward_nurses)
        yield from (*self.drivers, *self.operators, *self.reviewers, self.quality_head, self.qualified_person)
        yield from self.analysts

    def assets_of(self, kind: str) -> tuple[Asset, ...]:
        """Returns the equipment of one kind."""
        return tuple(one for one in self.assets if one.kind == kind)


class _Drawing:
    """Draws ids and keys in a fixed order."""

    def __init__(self, seed: int) -> None:
        self._dice = Seeded(seed, "world")

    def site(
        self, name: str, capabilities: tuple[options_pb2.Capability.ValueType, ...], units: tuple[str, ...]
    ) -> Site:
        return Site(self._dice.take(_ID_BYTES), name, name.lower().replace(" ", "-"), capabilities, units)

    def person(self, role: str, site: Site, title: str = "") -> Person:
        person, secret = self._dice.take(_ID_BYTES), self._dice.take(_SECRET_BYTES)
        return Person(person, f"{title or role.replace('_', ' ')} of {site.name}", role, site, Ed25519Signer(secret))

    def pair(self, role: str, site: Site) -> tuple[Person, Person]:
        return self.person(role, site), self.person(role, site, f"second {role.replace('_', ' ')}")

    def lot(self, kind: str, number: str) -> Lot:
        return Lot(new_stream_id(StreamKind.LOT, self._dice.take), number, kind)

    def asset(self, kind: str, asset: str, owner: Site) -> Asset:
        return Asset(new_stream_id(StreamKind.EQUIPMENT, self._dice.take), asset, kind, owner)


def gather(seed: int) -> Cast:
    """Returns the world that a seed makes."""
    draw = _Drawing(seed)
    hospitals = tuple(_hospital(draw, number) for number in range(1, HOSPITALS_COUNT + 1))
    courier = draw.site("Courier", (TRANSPORT,), ("road",))
    plant = draw.site("Manufacturer", (STORE, PROCESS, RELEASE), ("suite", "store", "quality"))
    laboratory = draw.site("Laboratory", (STORE, TEST), ("microbiology",))
    sites = (*(one.site for one in hospitals), courier, plant, laboratory)
    operators = (
        *draw.pair("manufacturing_operator", plant),
        draw.person("manufacturing_operator", plant, "third manufacturing operator"),
    )
    cast = Cast(
        hospitals=hospitals,
        courier=courier,
        drivers=(*draw.pair("driver", courier), draw.person("driver", courier, "night driver")),
        plant=plant,
        operators=operators,
        reviewers=draw.pair("quality_reviewer", plant),
        quality_head=draw.person("quality_head", plant),
        qualified_person=draw.person("qualified_person", plant),
        laboratory=laboratory,
        analysts=draw.pair("laboratory_analyst", laboratory),
        administrators={one.site: draw.pair("administrator", one) for one in sites},
        lots={
            one.kind: one
            for one in (
                draw.lot("vector", f"VEC-{seed:04d}"),
                draw.lot("activator", f"ACT-{seed:04d}"),
                draw.lot("reagent", f"REA-{seed:04d}"),
                draw.lot("kit", f"KIT-{seed:04d}"),
                draw.lot("cryoprotectant", f"CRY-{seed:04d}"),
            )
        },
        assets=tuple(_assets(draw, hospitals, courier, plant)),
        packs={name: PolicyPack.parse(sample_pack_bytes(file)) for name, file in PACKS.items()},
    )
    cast.names.update({one.site: one.name for one in sites})
    cast.names.update({one.person: one.title for one in cast.people()})
    return cast


def _hospital(draw: _Drawing, number: int) -> Hospital:
    site = draw.site(f"Hospital {number}", (COLLECT, STORE, INFUSE), ("apheresis", "cell-lab", "ward"))
    return Hospital(
        site,
        sorted(PACKS)[number % len(PACKS)],
        draw.person("physician", site),
        draw.pair("collection_nurse", site),
        draw.pair("cell_lab_technician", site),
        draw.pair("ward_nurse", site),
        f"APHERESIS-{number}",
    )


def _assets(draw: _Drawing, hospitals: tuple[Hospital, ...], courier: Site, plant: Site) -> Iterator[Asset]:
    for one in hospitals:
        yield draw.asset("apheresis_device", one.apheresis_device, one.site)
        yield draw.asset("water_bath", f"BATH-{one.site.stem}", one.site)
    for number in range(1, SHIPPERS_COUNT + 1):
        yield draw.asset("shipper", f"COOLER-{number:02d}", courier)
        yield draw.asset("shipper", f"DEWAR-{number:02d}", courier)
    for number in range(1, 2 * SHIPPERS_COUNT + 1):
        yield draw.asset("logger", f"LOGGER-{number:02d}", courier)
    for number in range(1, 5):
        yield draw.asset("isolator", f"ISOLATOR-{number}", plant)
    yield draw.asset("controlled_rate_freezer", "FREEZER-1", plant)
