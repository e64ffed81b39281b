"""What a site may read, and what a line of history says, as tables that must hold together."""

from __future__ import annotations

from string import Formatter

import pytest
from google.protobuf.message import Message

from cellcustody.ledger.contract import BODIES, SHREDDABLE, DisclosureClass
from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.views.access import READING, Reach, Reader
from cellcustody.ledger.views.summaries import TEMPLATES, Summary
from cellcustody.v1 import common_pb2, modification_pb2, options_pb2, transport_pb2

HOSPITAL = bytes(15) + b"\x01"
COURIER = bytes(15) + b"\x02"
NAMES = {HOSPITAL: "University Hospital", COURIER: "Courier"}
ALL = frozenset(DisclosureClass)


def act_of(body: Message) -> Act:
    """Returns an act with this body."""
    return Act(
        digest=bytes(32),
        stream=b"\x02" + bytes(16),
        leaf_index=0,
        body_type=body.DESCRIPTOR.full_name,
        body=body,
        signer=bytes(16),
        site=HOSPITAL,
        role="nurse",
        occurred_start=0,
        occurred_end=None,
        signed_at=0,
    )


def test_every_capability_has_a_row() -> None:
    """A new capability cannot be read by without a decision."""
    named = {value.number for value in options_pb2.Capability.DESCRIPTOR.values if value.number}
    assert set(READING) == named


def test_no_row_opens_identity() -> None:
    """Nobody reads what identifies a patient from the views."""
    assert all(DisclosureClass.IDENTITY not in row.classes for row in READING.values())


@pytest.mark.parametrize(
    ("capabilities", "therapies", "consignments"),
    [
        (set(), Reach.NONE, Reach.NONE),
        ({options_pb2.CAPABILITY_TRANSPORT}, Reach.NONE, Reach.OWN),
        ({options_pb2.CAPABILITY_TRANSPORT, options_pb2.CAPABILITY_INFUSE}, Reach.OWN, Reach.OWN),
        ({options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_AUDIT}, Reach.ALL, Reach.ALL),
        ({99}, Reach.NONE, Reach.NONE),
    ],
)
def test_a_site_reads_by_all_its_capabilities(capabilities: set[int], therapies: Reach, consignments: Reach) -> None:
    """Capabilities add up; one that is unknown opens nothing."""
    reader = Reader(HOSPITAL, frozenset(capabilities))
    assert (reader.therapies, reader.consignments) == (therapies, consignments)


def test_every_custody_body_has_a_line_of_fields_that_stay() -> None:
    """Each body of a therapy, consignment, lot or site has a template; none names what may be shredded."""
    folded = {1, 2, 3, 4}
    for body in BODIES.values():
        if body.stream_kinds <= folded and body.short_name != "ExportMade":
            assert body.short_name in TEMPLATES, body.name
    by_short = {body.short_name: body for body in BODIES.values()}
    for short_name, template in TEMPLATES.items():
        body = by_short[short_name]
        for _, field, _, _ in Formatter().parse(template):
            if field:
                number = body.descriptor.fields_by_name[field].number
                assert body.classes[number] not in SHREDDABLE, f"{short_name}.{field}"


def test_a_handoff_is_told_in_names_of_sites() -> None:
    """A line names sites as registered, and an unknown one by the beginning of its id."""
    body = transport_pb2.CustodyReleased(
        releaser=common_pb2.Unit(site=HOSPITAL, unit="apheresis"),
        receiver=common_pb2.Unit(site=COURIER),
        containers=["shipper-1", "shipper-2"],
    )
    summary = Summary(ALL, lambda site: NAMES[site])
    assert summary.of(act_of(body)) == "University Hospital/apheresis released shipper-1, shipper-2 to Courier"


def test_what_a_statement_leaves_out_is_not_told() -> None:
    """A report of possession tells what it names, and no more; one that names nothing still has its line."""
    summary = Summary(ALL, lambda site: NAMES[site])
    courier = common_pb2.Unit(site=COURIER)
    body = transport_pb2.PossessionReported(possessor=courier, containers=["box-2"])
    assert summary.of(act_of(body)) == "Courier reports to have box-2"
    body.place = "the hub"
    assert summary.of(act_of(body)) == "Courier reports to have box-2 at the hub"
    found = transport_pb2.PossessionReported(possessor=courier, materials=[b"\xab" * 16])
    assert summary.of(act_of(found)) == "Courier reports to have abababab"
    assert summary.of(act_of(transport_pb2.PossessionReported(possessor=courier))) == "Courier reports to have"


def test_an_optional_part_that_is_withheld_is_told_as_withheld() -> None:
    """Leaving it out would say that there is nothing."""
    lost = transport_pb2.ContainersLost(containers=["box-2"])
    summary = Summary(frozenset({DisclosureClass.PUBLIC}), lambda site: NAMES[site])
    assert summary.of(act_of(lost)) == "withheld lost, last known at withheld"


def test_what_a_reader_may_not_see_is_withheld() -> None:
    """A result is told without test and outcome to whoever sees CUSTODY alone."""
    body = modification_pb2.ResultReported(
        sample=b"\xab" * 16, test="sterility", outcome=modification_pb2.RESULT_OUTCOME_FAIL
    )
    custody = Summary(frozenset({DisclosureClass.CUSTODY}), lambda site: NAMES[site])
    assert custody.of(act_of(body)) == "Result of withheld on abababab: withheld"
    assert Summary(ALL, lambda site: NAMES[site]).of(act_of(body)) == "Result of sterility on abababab: fail"
