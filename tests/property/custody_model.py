"""Tell who answers for what, and who has it, from a history: a second, plain reading of the design.

Written from the rules in words (docs/rules.md), from the contract, and from nothing else: it shares no code with the
rules that it is held against, and knows only what custody rests on. What it says of one history:

* who answers for each container and each material, and who has it;
* what each material was made of, what has ended, and what lies in which container;
* which facts still wait for something.

It folds nothing twice and remembers nothing: a history is a set of acts, put in order and told from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

from .model_materials import STEPS, materials_made, materials_of
from .model_order import Corrections, named_by, opens, put_in_order, replaces_of

Unit = tuple[bytes, str]  # A site and the part of it.


def unit_of(stated: common.Unit) -> Unit:
    """Returns a unit as a plain pair."""
    return (stated.site, stated.unit)


def speaks_for(unit: Unit, holder: Unit | None) -> bool:
    """Tells whether a unit is the one meant; a unit without a name is its site as a whole."""
    return holder is not None and unit[0] == holder[0] and (unit[1] == holder[1] or not unit[1] or not holder[1])


def is_meant(named: Unit | None, unit: Unit) -> bool:
    """Tells whether a unit is the one that a handoff means: any of the site, if that names the site as a whole."""
    return named is not None and unit[0] == named[0] and named[1] in ("", unit[1])


@dataclass(slots=True)
class Box:
    """A container: who answers for it, who has it, and the release that waits for an answer."""

    answers: Unit | None
    has: Unit | None
    waiting: bytes | None = None


@dataclass(slots=True)
class Release:
    """A release: from whom, to whom, and of which containers it can still pass custody."""

    releaser: Unit
    receiver: Unit
    named: tuple[str, ...]
    open: set[str]  # Containers whose custody an acceptance would pass.
    ended: bool = False  # Answered as a whole, refused or withdrawn.


@dataclass(slots=True)
class Bag:
    """A material: who answers for it, who has it, what it came from, where it is packed, whether it has ended."""

    answers: Unit | None
    has: Unit | None
    parents: tuple[bytes, ...] = ()
    packed: tuple[bytes, str] | None = None
    journeys: set[tuple[bytes, str]] = field(default_factory=set)
    ended: bool = False


@dataclass(slots=True)
class Told:
    """What a history comes to."""

    boxes: dict[tuple[bytes, str], Box] = field(default_factory=dict)
    bags: dict[bytes, Bag] = field(default_factory=dict)
    waiting: set[bytes] = field(default_factory=set)
    breaks: dict[bytes, int] = field(default_factory=dict)


class Teller:
    """Tells a therapy and the consignments, act by act in their order."""

    def __init__(self, acts: Sequence[Act], *, foreign: frozenset[bytes] = frozenset()) -> None:
        self.told = Told()
        self.foreign = foreign  # Materials of other therapies.
        self.corrections = Corrections.of(acts)
        self.acts = {act.digest: act for act in acts}
        self.releases: dict[bytes, Release] = {}
        self.opened: set[bytes] = set()
        self.batches: set[bytes] = set()
        self.started: set[bytes] = set()
        self.enrolled = False
        self.placed: set[bytes] = set()
        self.speaker = b""  # Site of who signed the act that is being told.
        self.joined_by: dict[bytes, list[Act]] = {}
        for act in acts:
            if act.joins is not None:
                self.joined_by.setdefault(act.joins, []).append(act)
        for act in put_in_order(acts, self.corrections):
            self.tell(act)

    # Which acts count -----------------------------------------------------------------------------------------------

    def tell(self, act: Act) -> None:
        """Lets one act have its effect, or wait."""
        self.placed.add(act.digest)
        if act.joins is not None:
            if act.joins not in self.acts:
                self.told.waiting.add(act.digest)
            elif (joined := self.acts[act.joins]).in_effect_at == act.leaf_index and joined.is_authorisation:
                self.authorise(joined)
        elif self.corrections.is_gone(act.digest):
            pass
        elif act.is_authorisation:
            if act.in_effect_at == act.leaf_index:
                self.authorise(act)
        elif self.waits(act):
            self.told.waiting.add(act.digest)
        else:
            self.happen(act)

    def waits(self, act: Act) -> bool:
        """Tells whether something that a fact rests on is not here, or has no effect yet."""
        replaced = replaces_of(act)
        if replaced and self.corrections.replaced.get(replaced) != act.digest:
            return True
        known = self.placed - self.told.waiting
        if act.stream[0] == 2:  # A consignment knows of itself alone.
            known = {digest for digest in known if self.acts[digest].stream == act.stream}
        named = {self.corrections.stands_for(digest) for digest in named_by(act)} | ({replaced} - {b""})
        if not named <= known:
            return True
        if any(stream == act.stream and digest not in self.acts for stream, digest in act.seen):
            return True
        if act.stream[0] == 2:
            return act.stream not in self.opened and not opens(act)
        if not self.enrolled:
            return True
        return self.waits_in_therapy(act)

    def waits_in_therapy(self, act: Act) -> bool:
        """Tells whether a material, a batch or a packing that a fact is about is unknown."""
        names = set(materials_of(act.body)) - self.foreign
        if any(name not in self.told.bags for name in names):
            return True
        match act.body:
            case harvest.MaterialPacked() as body:
                return body.consignment not in self.opened
            case harvest.MaterialReceived() as body if body.consignment not in self.opened:
                return True
            case harvest.MaterialReceived() as body if body.material in self.told.bags:
                bag = self.told.bags[body.material]
                return bag.packed is None and (body.consignment, body.container) not in bag.journeys
            case body if isinstance(body, STEPS):
                return body.batch not in self.batches
            case _:
                return False

    # What an act does -----------------------------------------------------------------------------------------------

    def authorise(self, act: Act) -> None:
        """Lets an authorisation in effect have its effect."""
        match act.body:
            case harvest.TherapyEnrolled():
                self.enrolled = True
            case transport.CustodyEstablished() as body:
                for label in body.containers:
                    box = self.told.boxes.get((act.stream, label))
                    if box is not None:
                        box.answers = box.has = unit_of(body.custodian)
                        self.end_release(box, label)
                for name in body.materials:
                    if name in self.told.bags:
                        bag = self.told.bags[name]
                        bag.answers = bag.has = unit_of(body.custodian)
                        bag.packed = None
            case _:
                pass

    def happen(self, act: Act) -> None:
        """Lets a fact change the world, by what it says and by whom."""
        body = act.body
        assert body is not None
        self.speaker = act.site
        if act.stream[0] == 2:
            self.happen_on_the_way(act, body)
        else:
            self.happen_in_therapy(act, body)

    def end_release(self, box: Box, label: str) -> None:
        """Ends the release that a container waits in."""
        if box.waiting is not None:
            self.releases[box.waiting].open.discard(label)
        box.waiting = None

    def happen_on_the_way(self, act: Act, body: Message) -> None:
        """Tells a fact of a consignment."""
        boxes = self.told.boxes
        match body:
            case transport.ConsignmentOpened():
                if act.stream not in self.opened:
                    self.opened.add(act.stream)
                    answers = unit_of(body.unit) if body.unit.site == act.site else None
                    for one in body.containers:
                        boxes[act.stream, one.container] = Box(answers, answers)
            case transport.CustodyReleased():
                releaser = unit_of(body.releaser)
                release = Release(releaser, unit_of(body.receiver), tuple(body.containers), set())
                self.releases[act.digest] = release
                for label in body.containers:
                    box = boxes.get((act.stream, label))
                    if box is None or act.site != releaser[0]:
                        continue
                    if not is_meant(box.answers, releaser):
                        box.has = releaser  # Nobody hands over what they do not have.
                    elif box.waiting is None:
                        box.waiting = act.digest
                        release.open.add(label)
            case transport.CustodyAccepted():
                self.accept(act, body)
            case transport.CustodyRefused():
                answered = self.releases.get(self.corrections.stands_for(body.release))
                receiver = unit_of(body.receiver)
                if answered is not None and is_meant(answered.receiver, receiver) and act.site == receiver[0]:
                    self.end_all(act.stream, answered)
            case transport.ReleaseWithdrawn():
                answered = self.releases.get(self.corrections.stands_for(body.release))
                if answered is not None and act.site == answered.releaser[0]:
                    self.end_all(act.stream, answered)
            case transport.ReceiverRenamed():
                answered = self.releases.get(self.corrections.stands_for(body.release))
                if answered is not None and act.site == answered.releaser[0] and not answered.ended:
                    answered.receiver = unit_of(body.receiver)
            case transport.PossessionReported():
                for label in body.containers:
                    if (act.stream, label) in boxes and act.site == body.possessor.site:
                        boxes[act.stream, label].has = unit_of(body.possessor)
            case transport.ContainersLost():
                for label in body.containers:
                    if (act.stream, label) in boxes:
                        boxes[act.stream, label].has = None
            case _:
                pass

    def end_all(self, stream: bytes, release: Release) -> None:
        """Ends a release for every container that still waits in it."""
        release.ended = True
        for label in tuple(release.open):
            self.end_release(self.told.boxes[stream, label], label)

    def accept(self, act: Act, body: transport.CustodyAccepted) -> None:
        """Tells an acceptance line by line: who has a container now, and whether custody passed with it."""
        receiver = unit_of(body.receiver)
        release = self.releases.get(self.corrections.stands_for(body.release))
        by_releaser = release is None or act.site == release.releaser[0]
        if act.site != receiver[0] and not (body.HasField("attestation") and by_releaser):
            return
        if release is None or release.ended or not is_meant(release.receiver, receiver):
            for line in body.lines:  # They have it, and the releaser goes on answering for it.
                box = self.told.boxes.get((act.stream, line.container))
                if box is not None and line.outcome in (common.LINE_OUTCOME_ACCEPTED, common.LINE_OUTCOME_EXTRA):
                    box.has = receiver
            return
        passing = set(release.open)
        self.end_all(act.stream, release)
        for line in body.lines:
            key = (act.stream, line.container)
            if key not in self.told.boxes and line.outcome != common.LINE_OUTCOME_NOT_PRESENT:
                self.told.boxes[key] = Box(None, None)  # Nobody had said that it travels; it is there.
            box = self.told.boxes.get(key)
            if box is None:
                continue
            match line.outcome:
                case common.LINE_OUTCOME_ACCEPTED | common.LINE_OUTCOME_EXTRA:
                    box.has = receiver
                    if line.outcome == common.LINE_OUTCOME_ACCEPTED and line.container in passing:
                        box.answers = receiver
                case common.LINE_OUTCOME_REFUSED:
                    box.has = release.releaser
                case _:
                    box.has = None

    def where(self, name: bytes) -> tuple[Unit | None, Unit | None]:
        """Returns (who answers, who has it): the container's while the material lies in one."""
        bag = self.told.bags[name]
        box = self.told.boxes.get(bag.packed) if bag.packed is not None else None
        return (bag.answers, bag.has) if box is None else (box.answers, box.has)

    def happen_in_therapy(self, act: Act, body: Message) -> None:
        """Tells a fact of a therapy."""
        match body:
            case harvest.CollectionCompleted():
                started = self.acts[self.corrections.stands_for(body.started)].body
                begun_by = body.unit
                if isinstance(started, harvest.CollectionStarted) and started.unit.site != body.unit.site:
                    begun_by = started.unit  # Who began it answers for what another site says to have finished.
                taken = set(self.told.bags)
                self.make(body.outputs, (), body.unit)
                for new in body.outputs:
                    if new.material not in taken:
                        self.told.bags[new.material].answers = unit_of(begun_by)
            case modification.MaterialDivided() | returned.MaterialReconstituted():
                own = self.make(body.outputs, (body.material,), body.unit)
                if body.left.mantissa <= 0:
                    self.end(own)
            case modification.MaterialPooled():
                self.end(self.make((body.output,), tuple(body.inputs), body.unit))
            case modification.MaterialAccessioned():
                self.batches.add(body.batch)
                self.has(body.materials, body.unit)
            case body if isinstance(body, STEPS):
                self.end(self.make(body.outputs, tuple(body.inputs), body.unit))
            case harvest.MaterialStored() | harvest.MaterialMoved():
                self.has((body.material,), body.position.unit)
            case harvest.UnitTransferred():
                self.transfer(act, tuple(body.materials), body.releaser, body.receiver)
            case returned.MaterialIssued():
                self.transfer(act, (body.material,), body.releaser, body.receiver)
            case returned.MaterialThawed():
                self.has((body.material,), body.unit)
            case transport.PossessionReported():
                if body.possessor.site == act.site:
                    for name in body.materials:
                        self.take_out(name)
                    self.has(body.materials, body.possessor)
            case harvest.LabelApplied():
                holder = self.where(body.material)[0] if body.material in self.told.bags else None
                if not speaks_for((act.site, ""), holder):
                    self.has((body.material,), common.Unit(site=act.site))
            case returned.InfusionStarted():
                self.has((body.material,), body.unit)
            case harvest.MaterialPacked():
                if body.material in self.told.bags:
                    self.take_out(body.material)
                    self.told.bags[body.material].packed = (body.consignment, body.container)
                    self.told.bags[body.material].journeys.add((body.consignment, body.container))
            case harvest.MaterialReceived():
                if body.material in self.told.bags:
                    bag = self.told.bags[body.material]
                    was_there = bag.packed == (body.consignment, body.container)
                    self.take_out(body.material)
                    if was_there and act.site == body.unit.site and speaks_for(unit_of(body.unit), bag.answers):
                        bag.answers = unit_of(body.unit)
                    bag.has = unit_of(body.unit)
            case returned.InfusionStopped():
                if body.outcome == returned.INFUSION_OUTCOME_COMPLETE:
                    self.end((body.material,))
            case returned.MaterialDestroyed() | returned.MaterialConsumed():
                self.end((body.material,))
            case transport.MaterialReturned():
                self.keep(body.material, body.unit)
            case returned.MaterialArchived() | returned.RemainderRetained():
                self.keep(body.material, body.position.unit)
            case _:
                pass

    def make(
        self, outputs: Iterable[common.NewMaterial], parents: tuple[bytes, ...], unit: common.Unit
    ) -> tuple[bytes, ...]:
        """Makes new materials: the maker answers if it answered for what they are made of; else who did.

        Returns what of the therapy's own they are made of.
        """
        maker = unit_of(unit)
        own = tuple(name for name in parents if name in self.told.bags)
        before = [self.where(name)[0] for name in own]
        is_all_theirs = self.speaker == maker[0] and all(speaks_for(maker, one) for one in before)
        # Of another patient's cells alone: whoever made them answers for what came of it.
        answers = maker if not before or is_all_theirs else before[0]
        for new in outputs:
            if new.material not in self.told.bags:
                self.told.bags[new.material] = Bag(answers, maker, own)
        return own

    def has(self, names: Iterable[bytes], unit: common.Unit) -> None:
        """Says who has materials, whatever became of them."""
        for name in names:
            if name in self.told.bags:
                self.told.bags[name].has = unit_of(unit)

    def transfer(self, act: Act, names: tuple[bytes, ...], releaser: common.Unit, receiver: common.Unit) -> None:
        """Passes materials on within a site; possession moves whoever did it."""
        is_inside = releaser.site == receiver.site == act.site
        for name in names:
            bag = self.told.bags.get(name)
            if bag is None:
                continue
            if is_inside and speaks_for(unit_of(releaser), self.where(name)[0]):
                bag.answers = unit_of(receiver)
            bag.has = unit_of(receiver)

    def take_out(self, name: bytes) -> None:
        """Takes a material out of its container, with what was true of the container."""
        if name in self.told.bags:
            bag = self.told.bags[name]
            bag.answers, bag.has = self.where(name)
            bag.packed = None

    def keep(self, name: bytes, unit: common.Unit) -> None:
        """Ends a material that somebody keeps from then on."""
        if name in self.told.bags and not self.told.bags[name].ended:
            self.take_out(name)
            self.has((name,), unit)
            self.end((name,))

    def end(self, names: Iterable[bytes]) -> None:
        """Ends materials."""
        for name in names:
            if name in self.told.bags:
                self.told.bags[name].ended = True


def tell(acts: Iterable[Act], therapy: bytes) -> Teller:
    """Tells one therapy and the consignments it cites; the other therapies' materials are known to be theirs."""
    everything = list(acts)
    others = [act for act in everything if act.stream[0] == 1 and act.stream != therapy]
    foreign = frozenset(name for act in others for name in materials_made(act.body))
    own = [act for act in everything if act.stream == therapy]
    cited = {
        act.body.consignment for act in own if isinstance(act.body, harvest.MaterialPacked | harvest.MaterialReceived)
    }
    return Teller([*own, *(act for act in everything if act.stream in cited)], foreign=foreign)


def tell_consignments(acts: Iterable[Act]) -> Teller:
    """Tells the consignments alone."""
    return Teller([act for act in acts if act.stream[0] == 2])
