"""The desks at which the simulated people sign: a client for each person, for one thread, in memory.

The rules:

* What a statement is made of (ids, salts, counters) comes from the therapy at hand and from nothing that another
  therapy or thread has done, so that the same therapy signs the same wherever it is told.
* An outbox seals with randomness of its own: none of that is in a statement.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cellcustody.clients.connection import Connection
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.outbox import Outbox
from cellcustody.clients.session import Identity, Session
from cellcustody.clients.simulation.cast import Cast, Person
from cellcustody.clients.simulation.seeded import Seeded
from cellcustody.clients.simulation.world import ZONE, Ground
from cellcustody.clients.site import SiteClient

__all__ = ["Desks"]

COUNTERS_PER_THERAPY: Final = 10_000  # A device's counter begins here for each therapy, so that threads do not matter.
OUTBOX_PASSPHRASE: Final = "for trying out only"
OUTBOX_COST_LOG2: Final = 10  # It guards nothing.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _CountedStore(LocalStore):
    """A device's store in memory, whose counters begin where they are told to."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self._used: dict[bytes, int] = {}
        self._begin = 0

    def begin(self, counter: int) -> None:
        """Lets every device count from here."""
        self._used.clear()
        self._begin = counter

    def next_counter(self, device: bytes) -> int:
        """Returns the next number of a device."""
        self._used[device] = used = self._used.get(device, self._begin) + 1
        return used


class Desks:
    """The clients of everybody in the world, for one thread; they draw and count for the therapy at hand."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.cast: Cast = ground.cast
        self._store = _CountedStore()
        self._clients: dict[bytes, SiteClient] = {}
        self._outboxes: dict[bytes, Outbox] = {}
        self._take: Callable[[int], bytes] = Seeded(ground.seed, "desks").take
        self.now = _EPOCH

    def begin(self, number: int, take: Callable[[int], bytes]) -> None:
        """Begins with another therapy, whose generator is drawn from."""
        self.draw(take)
        self._store.begin(number * COUNTERS_PER_THERAPY)

    def draw(self, take: Callable[[int], bytes]) -> None:
        """Draws ids and salts from another generator."""
        self._take = take

    def connection(self, person: Person) -> Connection:
        """Returns the connection of a person's site."""
        return self.ground.connections[person.site.site]

    def client(self, person: Person) -> SiteClient:
        """Returns a person's client."""
        known = self._clients.get(person.person)
        if known is None:
            identity = Identity(
                self.ground.ledger_id,
                person.person,
                person.person,
                person.role,
                person.title,
                site=person.site.site,
            )
            session = Session(
                identity,
                [person.signer],
                ZONE,
                self._store,
                clock=lambda: self.now,
                random_bytes=lambda count: self._take(count),
                names=self.cast.names,
            )
            known = self._clients[person.person] = SiteClient(self.connection(person), session)
        return known

    def outbox(self, person: Person) -> Outbox:
        """Returns a person's outbox, which their client delivers from."""
        known = self._outboxes.get(person.person)
        if known is None:
            store = LocalStore(":memory:")
            known = self._outboxes[person.person] = Outbox(store, OUTBOX_PASSPHRASE, cost_log2=OUTBOX_COST_LOG2)
            self.client(person).outbox = known
        return known

    def close(self) -> None:
        """Closes what the desks keep."""
        self._store.close()
