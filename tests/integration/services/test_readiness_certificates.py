"""Readiness certificates over the wire: who may ask for one, and what stands against a bag that is not ready."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest

from cellcustody.ledger.identifiers.donations import Din
from cellcustody.v1 import common_pb2, harvest_pb2, options_pb2
from cellcustody.v1 import custody_query_service_pb2 as queries
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub

from .served_ledger import TIMEOUT_SECONDS, Refusal, ServedLedger, founded_in, refusal_of, served


@dataclass(frozen=True)
class Told:
    """A running ledger with one bag that is collected and nothing more, and the position of its collection."""

    ledger: ServedLedger
    bag: bytes
    position: int

    def refused(self, caller: str, material: bytes) -> Refusal:
        """Returns what a caller gets who asks for a certificate of a bag that has none."""
        stub = CustodyQueryServiceStub(self.ledger.channel(caller))
        request = queries.GetReadinessCertificateRequest(material=material, position_min=self.position)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetReadinessCertificate(request, timeout=TIMEOUT_SECONDS)
        return refusal_of(caught.value)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with served(founded_in(tmp_path_factory.mktemp("readiness") / "ledger")) as ledger:
        pack = ledger.publish_pack()
        roles = ("administrator", "nurse", "reviewer")
        capabilities = (options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_INFUSE)
        hospital = ledger.enrol_site("hospital", *capabilities, roles=roles)
        courier = ledger.enrol_site("courier", options_pb2.CAPABILITY_TRANSPORT)
        ledger.enrol_site("stranger", options_pb2.CAPABILITY_PROCESS, options_pb2.CAPABILITY_INFUSE)
        nurse = ledger.in_role(hospital.administrator, "nurse")
        therapy, bag = ledger.therapy(), os.urandom(16)
        desk = ledger.ledger_service("hospital")
        unit = common_pb2.Unit(site=hospital.site, unit="ward")
        body = ledger.enrolment(hospital, pack, courier)
        desk.Append(ledger.statement(nurse, therapy, body, seen={}), timeout=TIMEOUT_SECONDS)
        started = desk.Append(
            ledger.statement(
                nurse,
                therapy,
                harvest_pb2.CollectionStarted(day=1, din=Din.of_number("A999925000001").format_print(), unit=unit),
            ),
            timeout=TIMEOUT_SECONDS,
        )
        output = common_pb2.NewMaterial(material=bag, kind=common_pb2.MATERIAL_KIND_COLLECTION)
        completed = desk.Append(
            ledger.statement(
                nurse,
                therapy,
                harvest_pb2.CollectionCompleted(started=started.statement_digest, outputs=[output], unit=unit),
            ),
            timeout=TIMEOUT_SECONDS,
        )
        yield Told(ledger, bag, completed.position)


def test_a_bag_that_is_not_ready_gets_none(told: Told) -> None:
    """Everything that stands against it is told, but for what the ward is still to do."""
    refusal = told.refused("hospital", told.bag)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BAG_NOT_READY")
    assert {"NOT_A_PRODUCT", "NOT_RELEASED", "LYMPHODEPLETION_MISSING"} <= set(refusal.violations)
    assert "NOT_THAWED" not in refusal.violations


def test_only_who_may_read_the_therapy_asks(told: Told) -> None:
    """A carrier and a site that takes no part are told no more than that they may not read."""
    assert told.refused("courier", told.bag).code is grpc.StatusCode.PERMISSION_DENIED
    assert told.refused("stranger", told.bag).code in (
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND,
    )
    assert told.refused("operator", told.bag).reason == "TLS_KEY_UNKNOWN"


def test_a_bag_that_nobody_made_has_none(told: Told) -> None:
    """It is not found."""
    assert told.refused("hospital", os.urandom(16)).code is grpc.StatusCode.NOT_FOUND
