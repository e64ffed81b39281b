"""Who reads what: every kind of caller asks every kind of question about the same therapy, over the wire."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.statements import StreamKind, new_stream_id, parse_statement
from cellcustody.v1 import (
    common_pb2,
    ledger_service_pb2,
    options_pb2,
    registry_service_pb2,
    transparency_service_pb2,
    transport_pb2,
)
from cellcustody.v1 import custody_query_service_pb2 as queries
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub

from .served_ledger import TIMEOUT_SECONDS, ServedLedger, founded_in, refusal_of, served

C, OPS, Q = DisclosureClass.CUSTODY, DisclosureClass.OPERATIONAL, DisclosureClass.QUALITY
CLINICAL, IDENTITY = DisclosureClass.CLINICAL, DisclosureClass.IDENTITY
ALL = {C, OPS, Q, CLINICAL, IDENTITY}
STAFF = ("administrator", "nurse", "reviewer")
UNKNOWN, FORBIDDEN = "TLS_KEY_UNKNOWN", "READ_NOT_PERMITTED"
CALLERS = ("hospital", "courier", "plant", "laboratory", "auditor", "regulator", "stranger", "unregistered", "operator")


@dataclass(frozen=True)
class Told:
    """A running ledger with one therapy and one consignment."""

    ledger: ServedLedger
    therapy: bytes
    consignment: bytes
    enrolled: int
    opened: int
    position: int


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with served(founded_in(tmp_path_factory.mktemp("reading") / "ledger")) as ledger:
        pack = ledger.publish_pack()
        hospital = ledger.enrol_site(
            "hospital", options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_INFUSE, roles=STAFF
        )
        courier = ledger.enrol_site("courier", options_pb2.CAPABILITY_TRANSPORT)
        plant = ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_RELEASE)
        laboratory = ledger.enrol_site("laboratory", options_pb2.CAPABILITY_TEST)
        ledger.enrol_site("auditor", options_pb2.CAPABILITY_AUDIT)
        ledger.enrol_site("regulator", options_pb2.CAPABILITY_REGULATE)
        ledger.enrol_site("stranger", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_INFUSE)
        ledger.certificate("unregistered")
        therapy = ledger.therapy()
        nurse = ledger.in_role(hospital.administrator, "nurse")
        body = ledger.enrolment(hospital, pack, courier, plant, laboratory)
        enrolled = ledger.harvest("hospital").EnrolTherapy(
            ledger.statement(nurse, therapy, body, seen={}), timeout=TIMEOUT_SECONDS
        )
        consignment = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
        opened = ledger.ledger_service("hospital").Append(
            ledger.statement(
                nurse,
                consignment,
                transport_pb2.ConsignmentOpened(
                    unit=common_pb2.Unit(site=hospital.site, unit="cell-lab"),
                    destination=common_pb2.Unit(site=plant.site, unit="cell-lab"),
                    containers=[common_pb2.Container(container="box-1", kind="dry_shipper")],
                    carrier=courier.site,
                    procedure="SOP-2",
                ),
            ),
            timeout=TIMEOUT_SECONDS,
        )
        yield Told(ledger, therapy, consignment, enrolled.position - 1, opened.position - 1, opened.position)


def answered(ask: Callable[[], object]) -> str:
    """ "OK", or the reason why not."""
    try:
        ask()
    except grpc.RpcError as error:
        return refusal_of(error).reason
    return "OK"


def classes_read(told: Told, caller: str, leaf_index: int) -> set[DisclosureClass] | str:
    """The classes of what GetEntry opens of an entry for a caller, or the reason why it answers nothing."""
    try:
        answer = told.ledger.ledger_service(caller).GetEntry(
            ledger_service_pb2.GetEntryRequest(leaf_index=leaf_index), timeout=TIMEOUT_SECONDS
        )
    except grpc.RpcError as error:
        return refusal_of(error).reason
    statement = parse_statement(read_entry(answer.entry).envelope)
    classes, numbers = BODIES[statement.header.body_type].classes, statement.commitment.field_numbers
    return {classes[numbers[opening.index]] for opening in answer.openings}


@pytest.mark.parametrize(
    ("caller", "expected"),
    list(
        zip(
            CALLERS, [ALL, set(), {C, OPS, Q}, {C, OPS}, {C}, {C, OPS, Q, CLINICAL}, set(), UNKNOWN, set()], strict=True
        )
    ),
)
def test_the_body_of_a_therapys_statement(told: Told, caller: str, expected: set[DisclosureClass] | str) -> None:
    """The enrolment has fields of every class; the hospital signed it, and the courier is a participant by name."""
    assert classes_read(told, caller, told.enrolled) == expected


@pytest.mark.parametrize(
    ("caller", "expected"),
    list(zip(CALLERS, [{C, Q}, {C}, {C, Q}, set(), {C}, {C, Q}, set(), UNKNOWN, set()], strict=True)),
)
def test_the_body_of_a_consignments_statement(told: Told, caller: str, expected: set[DisclosureClass] | str) -> None:
    """For who sends, carries and is to receive; the laboratory takes part in the therapy and not in this."""
    assert classes_read(told, caller, told.opened) == expected


ASKED: dict[str, Callable[[Told, str], object]] = {
    "therapy": lambda told, caller: CustodyQueryServiceStub(told.ledger.channel(caller)).GetTherapy(
        queries.GetTherapyRequest(therapy=queries.TherapyName(stream=told.therapy), position_min=told.position),
        timeout=TIMEOUT_SECONDS,
    ),
    "history": lambda told, caller: CustodyQueryServiceStub(told.ledger.channel(caller)).GetHistory(
        queries.GetHistoryRequest(therapy=queries.TherapyName(stream=told.therapy), position_min=told.position),
        timeout=TIMEOUT_SECONDS,
    ),
    "consignment": lambda told, caller: CustodyQueryServiceStub(told.ledger.channel(caller)).GetConsignment(
        queries.GetConsignmentRequest(consignment=told.consignment, position_min=told.position),
        timeout=TIMEOUT_SECONDS,
    ),
    "registry": lambda told, caller: told.ledger.registry_service(caller).GetRegistry(
        registry_service_pb2.GetRegistryRequest(), timeout=TIMEOUT_SECONDS
    ),
    "entries": lambda told, caller: list(
        told.ledger.transparency(caller).StreamEntries(
            transparency_service_pb2.StreamEntriesRequest(), timeout=TIMEOUT_SECONDS
        )
    ),
    "checkpoint": lambda told, caller: told.ledger.transparency(caller).GetCheckpoint(
        transparency_service_pb2.GetCheckpointRequest(), timeout=TIMEOUT_SECONDS
    ),
}
NO_THERAPY, NO_CONSIGNMENT = "THERAPY_NOT_FOUND", "CONSIGNMENT_NOT_FOUND"
OK = "OK"
ANSWERS = {
    #              hospital  courier    plant  lab             audit  regul.  stranger        unreg.   operator
    "therapy":     (OK,      FORBIDDEN, OK,    OK,             OK,    OK,     NO_THERAPY,     UNKNOWN, UNKNOWN),
    "history":     (OK,      FORBIDDEN, OK,    OK,             OK,    OK,     NO_THERAPY,     UNKNOWN, UNKNOWN),
    "consignment": (OK,      OK,        OK,    NO_CONSIGNMENT, OK,    OK,     NO_CONSIGNMENT, UNKNOWN, UNKNOWN),
    "registry":    (OK,      OK,        OK,    OK,             OK,    OK,     OK,             UNKNOWN, OK),
    "entries":     (OK,      OK,        OK,    OK,             OK,    OK,     OK,             UNKNOWN, OK),
    "checkpoint":  (OK,      OK,        OK,    OK,             OK,    OK,     OK,             OK,      OK),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "caller", "expected"),
    [(call, caller, answer) for call, row in ANSWERS.items() for caller, answer in zip(CALLERS, row, strict=True)],
)
def test_each_call_answers_whom_it_may(told: Told, call: str, caller: str, expected: str) -> None:
    assert answered(lambda: ASKED[call](told, caller)) == expected


def test_the_servers_log_knows_nothing_of_the_patient(told: Told) -> None:
    """After everything above, refused and answered: no identifier, alias, indication or role is in it."""
    text = told.ledger.log_text.getvalue()

    assert text.count('"call"') > 10
    for private in ("A-4711", "W-0815", "CHA9999", "indication", "SOP-1", "box-1", "nurse", told.therapy.hex()):
        assert private not in text
