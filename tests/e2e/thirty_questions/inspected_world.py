"""A ledger that an inspector comes to: a therapy told through the real clients to a running server, with its mishaps.

To the demonstration's story (a box that went missing, a warm logger, a correction, a leg delivered late) are added what
inspectors ask for beside: screening, labels, an override, a late failing result, toxicity, downtime with back-entry, a
complaint, qualified equipment, a recall, a withdrawal of consent.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

from google.protobuf.message import Message
from tests.e2e.thirty_questions.small_story import Story

from cellcustody.clients.answers import Recorded
from cellcustody.clients.cli.main import run
from cellcustody.clients.inspections import Inspections
from cellcustody.clients.session import ActOptions
from cellcustody.ledger.statements import StreamKind, new_stream_id, single_stream_id
from cellcustody.v1 import common_pb2, registry_pb2, statement_pb2
from cellcustody.v1 import custody_query_service_pb2 as custody
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport
from demo.profiles import write_profile
from demo.world import PASSPHRASE, REGULATE, Person, World

PROGRAM = Path(sys.executable).with_name("cellcustody")
RUN_SECONDS_MAX = 60
REGISTRY = single_stream_id(StreamKind.REGISTRY)
REASON = "the last thaw took longer than planned"


@dataclass
class Inspected:
    """The world, what was told in it, and the inspector who asks."""

    world: World
    story: Story
    inspector: Person
    profile: Path
    said: dict[str, Recorded] = field(default_factory=dict)

    @property
    def questions(self) -> Inspections:
        """The inspector's questions, by gRPC."""
        return self.inspector.client.inspections

    def digest(self, name: str) -> bytes:
        """Returns the digest of a statement that was said under a name."""
        return self.said[name].statement_digest

    def says(self, name: str, by: Person, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> Recorded:
        """Has somebody say something; an authorisation is signed by who has read the therapy before."""
        if stream == self.story.therapy:
            by.client.refresh(stream)
        recorded = by.client.act(stream, body, **options)
        self.said[name] = recorded
        return recorded

    def joins(self, name: str, by: Person, stream: bytes) -> Recorded:
        """Has a second person join what was said under a name."""
        if stream == self.story.therapy:
            by.client.refresh(stream)
        return self.story.join(by, stream, self.digest(name), statement_pb2.MEANING_VERIFIED)

    def runs(self, *arguments: str) -> int:
        """Runs the program in this process as the inspector; returns its exit code."""
        try:
            run(["--profile", str(self.profile), *arguments])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    def prints(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the installed program as the inspector."""
        return subprocess.run(
            [str(PROGRAM), "--profile", str(self.profile), *arguments],
            env={
                **os.environ,
                "COLUMNS": "200",
                "NO_COLOR": "1",
                "CELLCUSTODY_PASSPHRASE": PASSPHRASE,
                "CELLCUSTODY_OUTBOX_PASSPHRASE": "of the outbox",
            },
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
        )


def told_as(item: custody.HistoryItem) -> tuple[str, str]:
    """Returns who said an item, by name and by site."""
    return item.signer_name, item.site_name


def from_paper(reason: str, downtime: bytes = b"") -> common_pb2.Circumstances:
    """Returns the circumstances of an entry from paper."""
    return common_pb2.Circumstances(mode=common_pb2.ENTRY_MODE_FROM_PAPER, reason=reason, downtime=downtime)


def _tell_the_rest(told: Inspected) -> None:
    story, therapy = told.story, told.story.therapy
    ward = common_pb2.Unit(site=story.ward_nurse.site, unit="ward")
    told.says(
        "assessed",
        story.physician,
        therapy,
        harvest.EligibilityAssessed(outcome=harvest.ELIGIBILITY_OUTCOME_ELIGIBLE, criteria_version="EC-3"),
    )
    told.says(
        "screened",
        story.physician,
        therapy,
        harvest.DonorScreened(
            sample_taken_at_unix_micros=_micros(datetime.now(UTC) - timedelta(days=3)),
            markers=[
                harvest.MarkerTested(marker="HBV", evaluated=True),
                harvest.MarkerTested(marker="HTLV", evaluated=False),
            ],
            biohazard=harvest.BIOHAZARD_NOT_EVALUATED,
            label_reason="for autologous use only",
        ),
    )
    apheresis = common_pb2.Unit(site=story.nurse.site, unit="apheresis")
    told.says("printed", story.nurse, therapy, labels.LabelsPrinted(serials=["S-1", "S-2", "S-3"], unit=apheresis))
    told.says("returned", story.nurse, therapy, labels.LabelsReturned(serials=["S-3"], unit=apheresis))
    told.says(
        "override",
        story.reviewer,
        therapy,
        quality.GateOverridden(
            gate="BUDGET_EXCEEDED",
            scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY),
            valid_until_unix_micros=_micros(datetime.now(UTC) + timedelta(hours=1)),
            circumstances=common_pb2.Circumstances(mode=common_pb2.ENTRY_MODE_DIRECT, reason=REASON),
        ),
    )
    told.says(
        "late result",
        story.analyst,
        therapy,
        modification.ResultReported(
            sample=story.sample, batch=story.batch, test="sterility", outcome=modification.RESULT_OUTCOME_FAIL
        ),
    )
    told.says(
        "toxicity",
        story.physician,
        therapy,
        returned.ToxicityGraded(toxicity=returned.REACTION_KIND_CRS, grade=2, materials=story.products[:1]),
    )
    told.says(
        "complaint",
        story.reviewer,
        therapy,
        quality.ComplaintRecorded(
            reference="CMP-7", scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY), description="label came off"
        ),
    )
    hospital = bytes([StreamKind.SITE]) + story.nurse.site
    told.says(
        "downtime",
        story.nurse,
        hospital,
        transport.DowntimeDeclared(reference="DT-1", system="label printer", forms=["F-1"]),
    )
    told.says(
        "from paper",
        story.ward_nurse,
        therapy,
        returned.PatientMonitored(unit=ward, circumstances=from_paper("network down", told.digest("downtime"))),
        clock_source=statement_pb2.CLOCK_SOURCE_MANUAL,
    )
    told.says("downtime over", story.nurse, hospital, transport.DowntimeEnded(declared=told.digest("downtime")))
    told.says(
        "year late",
        story.ward_nurse,
        therapy,
        returned.FollowUpRecorded(visit="month 3", outcome=returned.FOLLOW_UP_OUTCOME_SEEN),
        occurred_at=datetime.now(UTC) - timedelta(days=4),
    )
    equipment = new_stream_id(StreamKind.EQUIPMENT, os.urandom)
    told.says(
        "equipment",
        story.operator,
        equipment,
        facilities.EquipmentRegistered(
            asset="INC-4", kind="incubator", owner=common_pb2.Unit(site=story.operator.site, unit="suite-1")
        ),
    )
    told.says(
        "qualified",
        story.reviewer,
        bytes([StreamKind.SITE]) + story.driver.site,
        facilities.QualificationRecorded(
            kind=facilities.QUALIFICATION_KIND_COURIER,
            valid_from_unix_micros=_micros(datetime.now(UTC) - timedelta(days=300)),
            valid_until_unix_micros=_micros(datetime.now(UTC) + timedelta(days=10)),
            reference="audit of the courier",
        ),
    )
    told.says(
        "recall", story.reviewer, story.lot, modification.LotStatusChanged(status=modification.LOT_STATUS_RECALLED)
    )
    _tell_an_emergency(told, hospital, ward)
    told.says(
        "notified",
        story.reviewer,
        therapy,
        returned.ResultNotified(result=told.digest("late result"), told=ward),
    )
    told.says(
        "quarantined",
        story.operator,
        therapy,
        facilities.RecallActionTaken(
            lot=story.lot,
            action=facilities.RECALL_ACTION_QUARANTINE,
            materials=[story.retain],
            unit=common_pb2.Unit(site=story.operator.site, unit="suite-1"),
        ),
    )
    told.says(
        "withdrawn",
        story.physician,
        therapy,
        harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_DATA]),
    )


def _tell_an_emergency(told: Inspected, hospital: bytes, ward: common_pb2.Unit) -> None:
    """Two administrators lend a nurse a role for a day; she uses it, and that is reviewed."""
    story = told.story
    first, second = story.sites["Hospital"].administrators
    begins = datetime.now(UTC) + timedelta(seconds=1)
    granted = first.client.grant_emergency_credential(
        registry_pb2.EmergencyCredentialGranted(
            person=story.nurse.person,
            roles=["ward_nurse"],
            valid_from_unix_micros=_micros(begins),
            valid_seconds=86_400,
            grounds="the ward is short of hands",
        )
    )
    told.said["grant"] = granted
    second.client.co_sign(granted.statement_digest, REGISTRY, statement_pb2.MEANING_APPROVED)
    time.sleep(max(0.0, (begins - datetime.now(UTC)).total_seconds()))
    told.says("in emergency", story.nurse, story.therapy, returned.PatientMonitored(unit=ward), role="ward_nurse")
    told.says(
        "reviewed",
        story.reviewer,
        hospital,
        facilities.EmergencyUseReviewed(
            grant=granted.statement_digest, statements=[told.digest("in emergency")], outcome="rightly used"
        ),
    )


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


@contextmanager
def inspected_world(folder: Path) -> Iterator[Inspected]:
    """Yields the ledger at the end of the story."""
    with World(folder, tell=lambda _: None) as world:
        world.start_server()
        story = Story(world)
        story.enrol_everyone()
        story.harvest()
        story.store_and_correct()
        story.to_the_plant()
        story.manufacture()
        story.test_and_release()
        story.back_to_the_ward()
        regulator = world.enrol_site(world.registrars(), "Regulator", [REGULATE], ["inspection"])
        inspector = world.enrol(regulator, "inspector", "inspection")
        profile = write_profile(world, inspector, folder / "inspector.toml", site=regulator)
        told = Inspected(world, story, inspector, profile)
        _tell_the_rest(told)
        inspector.client.note_position(max(one.position for one in told.said.values()))
        yield told
