"""Tell one therapy, act by act: who says what when, what the ledger finds, and who answers for what then.

The rules:

* Every act is signed by whoever does it, at the story's time, a few minutes after the one before.
* Whatever the story does not intend ends the demonstration: a refusal, a gate that stands against a fact, an advisory,
  a fact that waits. What it intends it names by code, and the ledger has to find exactly that.
* Whoever authorises looks at the therapy first.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Unpack
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import ExplainedFinding, StatementRefused
from cellcustody.clients.session import ActOptions
from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import StreamKind, new_stream_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import statement_pb2
from demo.cast import Cast
from demo.world import ZONE, Person, World

__all__ = ["Bag", "Story"]

MINUTES_BETWEEN: Final = timedelta(minutes=4)
JOINED_AFTER: Final = timedelta(minutes=1)
PERSON_WIDTH: Final = 50
OUTSTANDING: Final = "CO_SIGNATURE_OUTSTANDING"
WELL: Final = frozenset({Status.CONFORMING, Status.IN_EFFECT, Status.RECORDED})


@dataclass(slots=True)
class Bag:
    """A material: its id, 16 bytes, what people call it, the donation number on it, and its cells, if counted."""

    material: bytes
    name: str
    din: str = ""
    cells: int = 0


@dataclass
class Story:
    """The therapy as it goes on."""

    world: World
    cast: Cast
    therapy: bytes = field(default_factory=lambda: new_stream_id(StreamKind.THERAPY, os.urandom))
    coi: str = ""
    patient: list[common.PatientIdentifier] = field(default_factory=list)
    slot: bytes = b""
    outward: bytes = b""
    collected: list[Bag] = field(default_factory=list)
    products: list[Bag] = field(default_factory=list)
    sample: Bag | None = None
    retain: Bag | None = None
    formulated: Bag | None = None
    batch: bytes = b""
    expires_at: int = 0
    first_infusion: int = 0
    done: Counter[str] = field(default_factory=Counter)
    named: dict[bytes, str] = field(default_factory=dict)
    intended: dict[bytes, frozenset[str]] = field(default_factory=dict)
    position: int = 0

    def __post_init__(self) -> None:
        self._began = self.world.clock.now()

    # Time. ---------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Now, microseconds since 1970-01-01T00:00:00Z."""
        return self.world.clock()

    @property
    def year(self) -> int:
        """The year in which it began, UTC."""
        return self._began.year

    def wait(self, span: timedelta) -> None:
        """Lets time pass."""
        clock = self.world.clock
        clock.move_to(clock.now() + span)

    def wait_until(self, day: int, hour: float = 0) -> None:
        """Lets time pass until so many hours after the story began; day 0 is the first."""
        self.world.clock.move_to(self._began + timedelta(days=day, hours=hour))

    # Telling. ------------------------------------------------------------------------------------------------------

    def chapter(self, title: str) -> None:
        """Tells which part of the story begins."""
        day = (self.world.clock.now() - self._began).days
        self.world.tell(f"\n{title} (day {day})")

    def remark(self, text: str) -> None:
        """Tells what no statement says."""
        self.world.tell(f"{'':<14}{text}")

    def tell(
        self,
        by: Person,
        body: Message,
        note: str = "",
        *,
        stream: bytes = b"",
        join: Person | None = None,
        intends: Collection[str] = (),
        after: timedelta = MINUTES_BETWEEN,
        **options: Unpack[ActOptions],
    ) -> Recorded:
        """Has a person say an act, and a second one join it, and tells what the ledger found.

        `intends` are the codes that the ledger is to find; without it the act conforms or takes effect.
        """
        self.wait(after)
        stream = stream or self.therapy
        is_authorisation = BODIES[body.DESCRIPTOR.full_name].is_authorisation
        if is_authorisation and self.position:  # Nothing is there to look at before the enrolment.
            by.client.note_position(self.position)
            by.client.refresh(stream)
        try:
            recorded = by.client.act(stream, body, **options)
        except StatementRefused as refusal:
            raise SystemExit(f"{body.DESCRIPTOR.name} by {by.title} was refused: {refusal}") from refusal
        self.note(by, body.DESCRIPTOR.name, recorded, note, intends=intends, joined_by=join)
        if join is not None:
            meaning = statement_pb2.MEANING_APPROVED if is_authorisation else statement_pb2.MEANING_VERIFIED
            self.join(join, recorded, meaning, stream=stream)
        return recorded

    def join(
        self, by: Person, first: Recorded, meaning: statement_pb2.Meaning.ValueType, *, stream: bytes = b""
    ) -> Recorded:
        """Has a second person join a statement."""
        self.wait(JOINED_AFTER)
        recorded = by.client.co_sign(first.statement_digest, stream or self.therapy, meaning)
        self._count(recorded)
        if recorded.status not in WELL or (first.status is Status.PENDING and not recorded.puts_in_effect):
            raise SystemExit(f"the co-signature of {by.title}: {recorded.status.name} {_in_words(recorded.findings)}")
        return recorded

    def note(
        self,
        by: Person,
        act: str,
        recorded: Recorded,
        note: str = "",
        *,
        intends: Collection[str] = (),
        joined_by: Person | None = None,
        at: datetime | None = None,
    ) -> None:
        """Tells of a statement, and ends the demonstration if the ledger found otherwise than the story says."""
        self._count(recorded)
        found = [one for one in recorded.findings if one.code != OUTSTANDING or joined_by is None]
        self._line(by, act, note, joined_by, at)
        for one in found:
            self._finding(one)
        codes = {one.code for one in found}
        if codes != set(intends):
            raise SystemExit(f"{act} by {by.title}: {recorded.status.name}, found {codes}, intended {set(intends)}")
        if recorded.status is Status.NONCONFORMING:
            self.intended[recorded.statement_digest] = frozenset(codes)
        elif recorded.status not in WELL and not intends and not (joined_by and recorded.status is Status.PENDING):
            raise SystemExit(f"{act} by {by.title}: {recorded.status.name}")

    def refused(self, by: Person, body: Message, why: str) -> None:
        """Has a person try what the rules must refuse."""
        self.wait(MINUTES_BETWEEN)
        by.client.note_position(self.position)
        by.client.refresh(self.therapy)
        try:
            by.client.act(self.therapy, body)
        except StatementRefused as refusal:
            self._line(by, body.DESCRIPTOR.name, why)
            self.remark("refused; nothing of it is in the log:")
            for one in refusal.findings:
                self._finding(one)
        else:
            raise SystemExit(f"{body.DESCRIPTOR.name} should have been refused: {why}")

    # Asking. -------------------------------------------------------------------------------------------------------

    def tell_custody(self) -> None:
        """Tells who answers for what, and who has it."""
        client = self.cast.physician.client
        client.note_position(self.position)
        materials = client.custody(self.therapy).materials
        for one in sorted(materials, key=lambda one: self.named.get(one.material, "")):
            if one.state not in ("available", "issued", "packed"):
                continue
            answers, has = self._unit(one.custodian), self._unit(one.possessor)
            places = [f", in {one.container}"] if one.container else []
            places += [f", at {one.position.place}"] if one.position.place and not places else []
            where = "".join(places)
            held = f", {len(one.holds)} hold{'s' * (len(one.holds) > 1)}" if one.holds else ""
            has = "" if has == answers else f"; {has} has it"
            self.world.tell(f"  = {self.named.get(one.material, 'a bag')}: {answers} answers for it{has}{where}{held}")

    def tell_alerts(self, person: Person) -> None:
        """Tells what wants attention, as far as a person's site may know."""
        client = person.client
        client.note_position(self.position)
        for one in client.inspections.alerts().alerts:
            who = " and ".join(self._unit(each) for each in one.addressees)
            self.world.tell(f"  * alert, {one.kind}: {one.action} ({who})")

    # Inside. -------------------------------------------------------------------------------------------------------

    def _count(self, recorded: Recorded) -> None:
        self.done[recorded.status.name] += 1
        self.position = max(self.position, recorded.position)

    def _line(
        self, by: Person, act: str, note: str, joined_by: Person | None = None, at: datetime | None = None
    ) -> None:
        when = (at or self.world.clock.now()).astimezone(ZoneInfo(ZONE))
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", act)
        words = words[:1] + words[1:].lower()
        two = f" and {_role(joined_by)}" if joined_by else ""
        who = f"{_role(by)}{two}, {self.world.names[by.site]}"
        self.world.tell(f"  {when:%d %b %H:%M}  {who:<{PERSON_WIDTH}}  {words}{f': {note}' if note else ''}")

    def _finding(self, found: ExplainedFinding) -> None:
        mark = {"ADVISORY": "~", "AWAITING": "?"}.get(found.strength, "!")
        self.world.tell(f"    {mark} {found.code}: {found.explanation.partition(' To pass: ')[0]}")

    def _unit(self, unit: common.Unit) -> str:
        if not unit.site:
            return "nobody"
        name = self.world.names.get(unit.site, unit.site.hex()[:8])
        return f"{name}/{unit.unit}" if unit.unit else name


def _role(person: Person | None) -> str:
    return "" if person is None else person.title.partition(" of ")[0]


def _in_words(findings: Collection[ExplainedFinding]) -> str:
    return "; ".join(f"{one.code}: {one.explanation}" for one in findings)
