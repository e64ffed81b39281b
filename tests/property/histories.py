"""Draw histories: what two therapies and the consignments between them may come to, sensible or not.

A scribe says one act after another. Most go on from where the model says that things are; some permit, correct, retract
or join what was said; some ask for what a hard gate stands against.
"""

from __future__ import annotations

from random import Random

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

from .places import ALL_UNITS, BOXES, CONSIGNMENTS, DAY, HOSPITAL, PEOPLE, PLANT, THERAPIES, identity, stated
from .says_in_therapy import TherapyScribe

_REPLACES, _CONTAINER = "replaces", "container"  # Fields of bodies.


class Storyteller(TherapyScribe):
    """Says acts of every kind, one after another."""

    # What is said ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Says something: most often a fact, now and then what permits or joins."""
        self.say_word() if self.chance(0.12) else self.say_fact()

    def say_fact(self) -> None:
        """Says a fact of a therapy or of a consignment."""
        therapy = THERAPIES[0] if self.chance(0.75) else THERAPIES[1]
        if self.chance(0.45):
            opened = [act.stream for act in self.said if isinstance(act.body, transport.ConsignmentOpened)]
            stream = self.one(opened) if opened and self.chance(0.9) else self.one(CONSIGNMENTS)
            self.say_on_the_way(stream)
        else:
            self.say_in_therapy(therapy)

    # What permits, corrects and joins -------------------------------------------------------------------------------

    def say_word(self) -> None:
        """Asks for an authorisation, or joins a fact."""
        streams = sorted({act.stream for act in self.acts})
        if not streams:
            self.enrols(THERAPIES[0])
            return
        stream = self.one(streams)
        match self.rng.randrange(9):
            case 0 | 1 | 2:
                self.corrects(stream)
            case 3:
                self.retracts(stream)
            case 4:
                self.establishes(stream)
            case 5 | 6:
                self.lifts(stream)
            case 7:
                self.permits_wrongly(stream)
            case _:
                facts = [act for act in self.acts if act.joins is None and not act.is_authorisation]
                if facts:
                    self.join(self.one(facts))

    def corrects(self, stream: bytes) -> None:
        """Says a fact anew in place of another, with one detail changed, and has it corrected."""
        facts = [act for act in self.acts if act.stream == stream and _is_fact(act)]
        if not facts:
            return
        wrong = self.one(facts[-12:])
        body = type(wrong.body)() if wrong.body is not None else None
        assert body is not None and wrong.body is not None
        body.CopyFrom(wrong.body)
        for name in ("unit", "receiver", "releaser", "possessor"):
            if name in body.DESCRIPTOR.fields_by_name and self.chance(0.7):
                getattr(body, name).CopyFrom(stated(self.one(ALL_UNITS)))
        if _CONTAINER in body.DESCRIPTOR.fields_by_name:
            setattr(body, _CONTAINER, self.one(BOXES))
        setattr(body, _REPLACES, wrong.digest)
        signer = self.one(PEOPLE[wrong.site])
        right = self.fact(stream, body, signer)
        if right in self.acts and not self.off():
            correction = quality.StatementCorrected(corrected=wrong.digest, replacement=right.digest)
            self.permit(stream, correction, self.person(wrong.site))

    def retracts(self, stream: bytes) -> None:
        """Retracts a fact."""
        facts = [act for act in self.acts if act.stream == stream and _is_fact(act)]
        if facts:
            wrong = self.one(facts[-12:])
            self.permit(stream, quality.StatementRetracted(retracted=wrong.digest), self.person(wrong.site))

    def establishes(self, stream: bytes) -> None:
        """Settles who answers for a container or a material."""
        custodian = stated(self.one(ALL_UNITS))
        if stream[0] == 2:
            label = self.one(BOXES)
            body = transport.CustodyEstablished(custodian=custodian, containers=[label])
            box = self.told_on_the_way().told.boxes.get((stream, label))
            answers = None if box is None else box.answers
        else:
            name = self.bag(stream)
            body = transport.CustodyEstablished(custodian=custodian, materials=[name])
            answers = self.holder(stream, name)
        self.permit(stream, body, self.person(HOSPITAL if answers is None else answers[0]))

    def lifts(self, stream: bytes) -> None:
        """Lifts a hold that stands."""
        state = self.ledger.folds[stream].state if stream in self.ledger.folds else None
        holds = sorted(state.holds) if state is not None else []
        if stream in THERAPIES:
            holds = sorted(self.ledger.cases[stream].state.holds)
        named = [self.one(holds)] if holds and not self.off() else [identity("no hold") * 2]
        self.permit(stream, quality.HoldLifted(holds=named, disposition="looked at"), self.person(PLANT))

    def permits_wrongly(self, stream: bytes) -> None:
        """Asks for what a hard gate stands against."""
        if stream[0] == 2 or self.chance(0.4):
            hard = self.one(("WRONG_RECEIVER", "EXPIRED", "OTHER_PATIENTS_MATERIAL", "SECOND_PERSON_MISSING"))
            body: Message = quality.GateOverridden(
                gate=hard,
                scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
                valid_until_unix_micros=self.now + DAY,
            )
            self.permit(stream, body, self.person(PLANT), against=("HARD_GATE_NO_OVERRIDE",))
        elif self.chance(0.5):
            self.enrols(stream)
        else:
            told = self.told(stream).told
            foreign = [one for one in self.told(self.other(stream)).told.bags if one not in told.bags]
            ended = [one for one, bag in told.bags.items() if bag.ended]
            named = [*foreign[:1], *ended[:1]]
            if named:
                body = modification.BatchReleased(batch=identity("batch-0"), materials=named)
                self.permit(stream, body, self.person(PLANT), against=("OTHER_PATIENTS_MATERIAL or ended",))


def _is_fact(act: Act) -> bool:
    return act.joins is None and not act.is_authorisation


def tell_history(rng: Random, acts: int, *, wrong: float = 0.12) -> Storyteller:
    """Returns a history of about so many acts."""
    scribe = Storyteller(rng, wrong=wrong)
    for _ in range(acts):
        scribe.step()
        if len(scribe.acts) >= acts:
            break
    return scribe
