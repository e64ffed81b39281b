"""A consignment told act by act, verified again from scratch after each one.

The harness signs nothing: an act is what the rules see of a statement. Its digest is that of its content and its
number, so that every run tells the same story. Minutes are counted from an arbitrary start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Finding, Judged, Status, UnitRef
from cellcustody.ledger.custody.authorisations import News
from cellcustody.ledger.custody.consignment_authorisations import judge_authorisation
from cellcustody.ledger.custody.consignment_rules import ConsignmentRules
from cellcustody.ledger.custody.consignment_state import ConsignmentState, ContainerState
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.fold import Fold
from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.statements.commitment import cut_records
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

STREAM = b"\x02" + bytes(range(16))
START = 1_800_000_000_000_000
MINUTE = 60_000_000
OUTCOMES = {
    "accepted": common.LINE_OUTCOME_ACCEPTED,
    "refused": common.LINE_OUTCOME_REFUSED,
    "not_present": common.LINE_OUTCOME_NOT_PRESENT,
    "extra": common.LINE_OUTCOME_EXTRA,
}


@dataclass(frozen=True, slots=True)
class Someone:
    """A person of a unit of a site, in a role."""

    person: bytes
    unit: UnitRef
    role: str

    @property
    def stated(self) -> common.Unit:
        """The unit as a body states it."""
        return common.Unit(site=self.unit.site, unit=self.unit.unit)


def someone(number: int, site: int, unit: str, role: str) -> Someone:
    """Returns a person with these small numbers as ids."""
    return Someone(bytes((number,)) * 16, UnitRef(bytes((site,)) * 16, unit), role)


class ConsignmentStory:
    """Tells acts to a fold; after each, the whole history is folded again from scratch and must agree."""

    cell_lab = someone(1, 0x11, "cell-lab", "technician")
    courier = someone(2, 0x22, "", "driver")
    second_driver = someone(3, 0x22, "", "driver")
    plant = someone(4, 0x33, "receiving", "operator")
    other_plant = someone(5, 0x44, "receiving", "operator")
    quality = someone(6, 0x33, "quality", "quality_reviewer")
    second_technician = someone(7, 0x11, "cell-lab", "technician")

    def __init__(self, pack: PolicyPack = DEFAULT_PACK) -> None:
        self.pack = pack
        self.rules = ConsignmentRules(STREAM, pack=pack)
        self.fold: Fold[ConsignmentState] = Fold(self.rules)
        self.told: list[Act] = []
        self.minute = 0

    @property
    def state(self) -> ConsignmentState:
        """The state as it is now."""
        return self.fold.state

    def act(
        self,
        body: Message | None,
        by: Someone,
        *,
        minute: int | None = None,
        seen: Act | None = None,
        joins: Act | None = None,
        entry: Iterable[Finding] = (),
        is_authorisation: bool = False,
    ) -> Act:
        """Returns an act without telling it; it occurs a minute after the one before unless `minute` says when."""
        if minute is None:
            self.minute += 1
            minute = self.minute
        number = len(self.told)
        content = b"" if body is None else body.SerializeToString(deterministic=True)
        digest = hashlib.sha256(number.to_bytes(4, "big") + minute.to_bytes(8, "big") + by.person + content).digest()
        return Act(
            digest=digest,
            stream=STREAM,
            leaf_index=number,
            body_type="" if body is None else body.DESCRIPTOR.full_name,
            body=body,
            signer=by.person,
            site=by.unit.site,
            role=by.role,
            occurred_start=START + minute * MINUTE,
            occurred_end=None,
            signed_at=START + minute * MINUTE,
            seen=() if seen is None else ((STREAM, seen.digest),),
            field_numbers=tuple(number for number, _ in cut_records(content)),
            joins=None if joins is None else joins.digest,
            entry_findings=tuple(entry),
            is_authorisation=is_authorisation,
        )

    def tell(self, act: Act) -> Act:
        """Lets the ledger record an act."""
        self.fold.append(act)
        self.told.append(act)
        self.check()
        return act

    def says(self, by: Someone, body: Message, *, minute: int | None = None, seen: Act | None = None) -> Act:
        """Records a fact."""
        return self.tell(self.act(body, by, minute=minute, seen=seen))

    def joins(self, by: Someone, act: Act, *, minute: int | None = None) -> Act:
        """Records a co-signature."""
        return self.tell(self.act(None, by, joins=act, minute=minute))

    def asks(self, by: Someone, body: Message, *, news: Iterable[News] = ()) -> frozenset[str]:
        """Returns the codes for which an authorisation would be refused; records nothing."""
        act = self.act(body, by, is_authorisation=True)
        return codes_of(judge_authorisation(self.state, act, self.pack, tuple(news)))

    def authorises(self, by: Someone, body: Message) -> Act:
        """Records an authorisation that nothing refuses, and puts it in effect."""
        act = self.act(body, by, is_authorisation=True)
        assert judge_authorisation(self.state, act, self.pack) == ()
        self.tell(act)
        assert self.fold.judged[act.digest].status is Status.PENDING
        self.fold.mark_in_effect(act.digest, act.leaf_index)
        self.told[-1] = self.fold.acts[act.digest]
        self.check()
        return self.told[-1]

    def judged(self, act: Act) -> Judged:
        """Returns the present judgement of an act."""
        return self.fold.judged[act.digest]

    def status(self, act: Act) -> Status:
        """Returns the present status of an act."""
        return self.judged(act).status

    def codes(self, act: Act) -> set[str]:
        """Returns the codes found in an act."""
        return set(codes_of(self.judged(act).findings))

    def held(self) -> set[str]:
        """Returns the codes of the holds that stand."""
        return {hold.code for hold in self.state.holds.values()}

    def container(self, label: str = "box") -> ContainerState:
        """Returns one container."""
        return self.state.containers[label]

    def where(self, label: str = "box") -> tuple[UnitRef | None, UnitRef | None]:
        """Returns (custodian, possessor) of a container."""
        return (self.container(label).custodian, self.container(label).possessor)

    def check(self) -> None:
        """Folds everything again, backwards and from the recorded judgements alone; all must agree."""
        backwards = Fold(self.rules)
        backwards.extend(reversed(self.told))
        replayed = Fold(self.rules, recorded=dict(self.fold.judged))
        for act in self.told:
            replayed.append(act)
        for other in (backwards, replayed, self.fold.copy()):
            assert other.order == self.fold.order
            assert other.judged == self.fold.judged
            assert other.state == self.state

    # What people say ----------------------------------------------------------------------------------------------

    def opens(self, *labels: str, minute: int | None = None) -> Act:
        """The cell laboratory opens the consignment with these containers."""
        return self.says(self.cell_lab, self.opening(*labels), minute=minute)

    def opening(self, *labels: str) -> transport.ConsignmentOpened:
        """Returns the body that opens the consignment."""
        return transport.ConsignmentOpened(
            unit=self.cell_lab.stated,
            consignment_number="C-1",
            containers=[
                common.Container(
                    container=label,
                    kind="dry_shipper",
                    qualified_until_unix_micros=START + 10_000 * MINUTE,
                    logger=f"logger-{label}",
                )
                for label in labels or ("box",)
            ],
            destination=self.plant.stated,
            carrier=self.courier.unit.site,
        )

    def releases(
        self, releaser: Someone, receiver: Someone, *labels: str, minute: int | None = None, seen: Act | None = None
    ) -> Act:
        """A custodian releases containers to a receiver."""
        return self.says(releaser, self.release(releaser, receiver, *labels), minute=minute, seen=seen)

    def release(self, releaser: Someone, receiver: Someone, *labels: str) -> transport.CustodyReleased:
        """Returns the body of a release."""
        containers = labels or ("box",)
        return transport.CustodyReleased(
            releaser=releaser.stated, receiver=receiver.stated, containers=containers, count=len(containers)
        )

    def accepts(
        self, receiver: Someone, release: Act, *, minute: int | None = None, seen: Act | None = None, **lines: str
    ) -> Act:
        """A receiver answers a release line by line; without lines, `box` is accepted."""
        return self.says(receiver, self.acceptance(receiver, release, **lines), minute=minute, seen=seen)

    def acceptance(self, receiver: Someone, release: Act, **lines: str) -> transport.CustodyAccepted:
        """Returns the body of an acceptance; each line is a label with accepted, refused, not_present or extra."""
        told = lines or {"box": "accepted"}
        return transport.CustodyAccepted(
            release=release.digest,
            receiver=receiver.stated,
            lines=[common.HandoffLine(container=label, outcome=OUTCOMES[outcome]) for label, outcome in told.items()],
            count=sum(outcome == "accepted" for outcome in told.values()),
        )

    def hands_over(self, releaser: Someone, receiver: Someone, *labels: str) -> Act:
        """A handoff of both acts; returns the acceptance."""
        release = self.releases(releaser, receiver, *labels)
        lines = dict.fromkeys(labels or ("box",), "accepted")
        return self.says(receiver, self.acceptance(receiver, release, **lines))


@pytest.fixture
def story() -> ConsignmentStory:
    """A consignment of which nothing has been told."""
    return ConsignmentStory()


@pytest.fixture(scope="session")
def new_story() -> type[ConsignmentStory]:
    """What makes a fresh story, for properties that need one for each example."""
    return ConsignmentStory
