"""Draw what a signer means and what they get wrong, and bring it to the ledger.

Each detail of an act is wrong now and then: the unit, the person, the statement named, the material, the time. Some
facts are never delivered, though others name them. Authorisations go the way of a ledger: judged at arrival, refused or
recorded, in effect once enough persons have joined, and judged again then.

The source of chance is passed in: a seeded one for many histories, hypothesis's own for short ones that it can shrink.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Comparison, Finding
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import options_pb2 as options

from .custody_model import Teller, Unit, tell, tell_consignments
from .delivery import Ledger
from .places import ALL_UNITS, MINUTE, PACK, PEOPLE, SITE_OF, START, THERAPIES, UNITS, T, blocks, identity, is_hard


@dataclass(slots=True)
class Permission:
    """An authorisation that took effect, with what stood against it by the model: it must be nothing."""

    act: Act
    against: tuple[str, ...]


@dataclass
class Scribe(ABC):
    """Says acts one after another, and remembers what was delivered and what was not."""

    rng: Random
    wrong: float = 0.12  # How often a detail is wrong.
    lost: float = 0.03  # How often a fact is never delivered.
    acts: list[Act] = field(default_factory=list)
    said: list[Act] = field(default_factory=list)  # Those never delivered among them.
    ledger: Ledger = field(default_factory=Ledger)
    now: int = START
    number: int = 0
    leaf: int = 0
    refused: int = 0
    refused_hard: int = 0
    permissions: list[Permission] = field(default_factory=list)
    _told: dict[bytes, tuple[int, Teller]] = field(default_factory=dict)

    # Chance ---------------------------------------------------------------------------------------------------------

    def chance(self, of: float) -> bool:
        """Tells whether something unlikely happens; the least that chance can give is the plain course."""
        return self.rng.random() >= 1 - of

    def off(self) -> bool:
        """Tells whether a detail is to be wrong."""
        return self.chance(self.wrong)

    def one(self, of: Sequence[T]) -> T:
        """Draws one of several."""
        return of[self.rng.randrange(len(of))]

    def person(self, site: bytes | None, but_not: bytes = b"") -> bytes:
        """Draws a person of a site, or now and then of another."""
        where = self.one(tuple(PEOPLE)) if site not in PEOPLE or self.off() else site
        return self.one([one for one in PEOPLE[where] if one != but_not])

    def unit(self, meant: Unit | None) -> Unit:
        """Returns the unit that is meant, or now and then another."""
        return self.one(ALL_UNITS) if meant is None or self.off() else meant

    def inside(self, unit: Unit | None) -> Unit:
        """Draws a unit of the same site."""
        return self.unit(None if unit is None else (unit[0], self.one(UNITS[unit[0]])))

    def statement(self, meant: Act | None) -> bytes:
        """Returns the digest that is meant, or now and then that of any other statement, or of none."""
        if meant is None or self.off():
            return self.one(self.said).digest if self.said and self.chance(0.8) else identity("nothing") * 2
        return meant.digest

    def told(self, therapy: bytes) -> Teller:
        """Returns what the model tells of a therapy and all consignments so far."""
        held = self._told.get(therapy)
        if held is None or held[0] != len(self.acts):
            held = (len(self.acts), tell(self.acts, therapy))
            self._told[therapy] = held
        return held[1]

    def told_on_the_way(self) -> Teller:
        """Returns what the model tells of the consignments so far."""
        held = self._told.get(b"")
        if held is None or held[0] != len(self.acts):
            held = (len(self.acts), tell_consignments(self.acts))
            self._told[b""] = held
        return held[1]

    def last(self, kind: type[Message] | tuple[type[Message], ...], stream: bytes) -> Act | None:
        """Draws one of the latest statements of a kind in a stream."""
        found = [act for act in self.said if act.stream == stream and isinstance(act.body, kind)]
        return self.one(found[-2:]) if found else None

    def bag(self, therapy: bytes) -> bytes:
        """Draws a material: most often one that is there and has not ended."""
        told = self.told(therapy).told
        alive = [name for name, bag in told.bags.items() if not bag.ended]
        if self.off() or not alive:
            everything = [*told.bags, *self.told(self.other(therapy)).told.bags, identity("unknown")]
            return self.one(everything)
        return self.one(alive[-4:])

    def other(self, therapy: bytes) -> bytes:
        """Returns the other therapy."""
        return THERAPIES[1 - THERAPIES.index(therapy)]

    def holder(self, therapy: bytes, name: bytes) -> Unit | None:
        """Returns who answers for a material, by the model."""
        teller = self.told(therapy)
        return teller.where(name)[0] if name in teller.told.bags else None

    # Saying ---------------------------------------------------------------------------------------------------------

    def act(
        self,
        stream: bytes,
        body: Message | None,
        signer: bytes,
        *,
        role: str = "nurse",
        joins: Act | None = None,
        comparisons: tuple[Comparison, ...] = (),
        seen: tuple[tuple[bytes, bytes], ...] | None = None,
    ) -> Act:
        """Returns an act that nobody has delivered yet."""
        self.number += 1
        self.now += self.rng.randrange(1, 12) * MINUTE
        at = self.now - self.rng.randrange(0, 240) * MINUTE if self.off() else self.now
        option = None if body is None else body.DESCRIPTOR.GetOptions().Extensions[options.act]
        is_authorisation = option is not None and option.kind == options.ACT_KIND_AUTHORISATION
        if isinstance(body, harvest.TherapyEnrolled):
            seen = ()
        if seen is None:
            seen = self.all_seen() if is_authorisation else self.some_seen(stream)
        content = b"" if body is None else body.SerializeToString(deterministic=True)
        return Act(
            digest=hashlib.sha256(b"%d" % self.number + stream + content).digest(),
            stream=stream,
            leaf_index=self.leaf,
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            body=body,
            signer=signer,
            site=SITE_OF[signer],
            role=role,
            occurred_start=at,
            occurred_end=None,
            signed_at=max(at, self.now - self.rng.randrange(0, 3) * MINUTE) if joins is None else self.now,
            seen=tuple(one for one in seen if stream[0] == 1 or one[0][0] != 1),
            field_numbers=() if body is None else _numbers(body),
            joins=None if joins is None else joins.digest,
            comparisons=comparisons,
            is_authorisation=is_authorisation,
        )

    def some_seen(self, stream: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Draws what a signer of a fact had seen: most often nothing, else something of the own stream."""
        if self.chance(0.7):
            return ()
        own = [act for act in self.said if act.stream == stream or (act.stream[0] == 2 and self.chance(0.3))]
        if not own:
            return ()
        one = self.one(own[-5:])
        return ((one.stream, one.digest),)

    def all_seen(self) -> tuple[tuple[bytes, bytes], ...]:
        """Returns the last delivered statement of every stream; now and then an earlier one."""
        seen: dict[bytes, bytes] = {}
        for act in self.acts[: -self.rng.randrange(1, 5)] if self.off() else self.acts:
            seen[act.stream] = act.digest
        return tuple(sorted(seen.items()))

    def deliver(self, act: Act) -> None:
        """Delivers an act to the ledger."""
        self.acts.append(act)
        self.said.append(act)
        self.leaf += 1
        self.ledger.deliver(act)

    def fact(self, stream: bytes, body: Message, signer: bytes, **details: object) -> Act:
        """Says a fact; it is lost on its way now and then."""
        comparisons = details.get("comparisons", ())
        assert isinstance(comparisons, tuple)
        act = self.act(stream, body, signer, comparisons=comparisons)
        if self.chance(self.wrong / 3):
            act = replace(act, entry_findings=(Finding("CAPABILITY_MISSING"),))
        if self.chance(self.lost):
            self.said.append(act)
        else:
            self.deliver(act)
        return act

    def join(self, act: Act, *, site: bytes | None = None) -> Act | None:
        """Lets another person join a statement, if there is one who has not."""
        taken = {act.signer} | {one.signer for one in self.acts if one.joins == act.digest}
        free = [one for one in PEOPLE[site or act.site] if one not in taken]
        if not free:
            return None
        joined = self.act(act.stream, None, self.one(free), role="quality_reviewer", joins=act)
        self.deliver(joined)
        return joined

    def permit(self, stream: bytes, body: Message, signer: bytes, *, against: Sequence[str] = ()) -> Act | None:
        """Asks for an authorisation as a ledger is asked; returns it once it is in effect.

        `against` tells what hard gates stand against it by the model: such a one must never take effect.
        """
        act = self.act(stream, body, signer, role="quality_reviewer")
        if self.is_refused(act):
            return None
        option = body.DESCRIPTOR.GetOptions().Extensions[options.act]
        pack = PACK if stream[0] == 1 else DEFAULT_PACK
        needed = pack.co_signing_for(act.body_type, option.co_signers_min).number
        self.deliver(act)
        completing = act
        for _ in range(needed):
            if self.chance(0.2):
                self.say_fact()  # Somebody else says something in between.
            if self.chance(0.15):
                return None  # Nobody else joins: it stays pending.
            taken = {act.signer} | {one.signer for one in self.acts if one.joins == act.digest}
            free = [one for one in PEOPLE[act.site] if one not in taken]
            joined = self.act(stream, None, self.one(free), role="quality_reviewer", joins=act)
            is_last = len(taken) == needed
            if is_last and self.is_refused(act):
                return None
            self.deliver(joined)
            completing = joined
        index = self.acts.index(act)
        self.ledger.mark_in_effect(act, completing.leaf_index)
        self.acts[index] = act = self.ledger.owner(stream).acts[act.digest]
        self._told.clear()
        self.permissions.append(Permission(act, tuple(against)))
        return act

    def is_refused(self, act: Act) -> bool:
        """Tells whether the rules refuse an authorisation now."""
        findings = self.ledger.found_in(act)
        if not blocks(findings):
            return False
        self.refused += 1
        self.refused_hard += any(is_hard(one) for one in findings)
        return True

    @abstractmethod
    def say_fact(self) -> None:
        """Says a fact of a therapy or of a consignment."""


def _numbers(body: Message) -> tuple[int, ...]:
    """Returns the field numbers of a body's leaves."""
    numbers: list[int] = []
    for descriptor, value in body.ListFields():
        is_cut = descriptor.is_repeated and not isinstance(value, str | bytes) and descriptor.cpp_type >= 9
        numbers.extend([descriptor.number] * (len(value) if is_cut else 1))
    return tuple(numbers)
