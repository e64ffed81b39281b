"""Which records of a body a site may read, by capability, stream and signer."""

from __future__ import annotations

import os

import pytest

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.registry import RegistryState, Site
from cellcustody.ledger.statements import Opening, StreamKind
from cellcustody.services.access import (
    ACCESS,
    Caller,
    Gate,
    Right,
    TlsKeyUnknownError,
    WrongCapabilityError,
    check_right,
    right_of,
)
from cellcustody.services.disclosure import classes_open_to, openings_for
from cellcustody.v1 import options_pb2

THERAPY = bytes([StreamKind.THERAPY]) + bytes(16)
CONSIGNMENT = bytes([StreamKind.CONSIGNMENT]) + bytes(16)
BODY = "cellcustody.v1.IdentityChecked"


def site(*capabilities: int) -> Site:
    """A site with these capabilities."""
    return Site(os.urandom(16), "a site", frozenset(capabilities), (), (), "")


def read_by(reader: Site | None, stream: bytes = THERAPY, *, takes_part: bool = True) -> set[DisclosureClass]:
    """The classes of a body, with one record of each field, that a site gets to read of what others signed."""
    classes = BODIES[BODY].classes
    numbers = tuple(sorted(classes))
    openings = [Opening(index, bytes(32), b"") for index in range(len(numbers))]
    given = openings_for(
        classes_open_to(reader, stream, takes_part=takes_part),
        body_name=BODY,
        field_numbers=numbers,
        openings=openings,
    )
    return {classes[numbers[opening.index]] for opening in given}


@pytest.mark.parametrize("capability", sorted(options_pb2.Capability.values())[1:])
def test_nobody_reads_patients_identifiers_that_others_signed(capability: int) -> None:
    assert DisclosureClass.IDENTITY not in read_by(site(capability))
    assert DisclosureClass.IDENTITY not in classes_open_to(site(capability), THERAPY)


def test_a_courier_reads_consignments_and_nothing_of_a_therapy() -> None:
    courier = site(options_pb2.CAPABILITY_TRANSPORT)

    assert read_by(courier, THERAPY) == set()
    assert DisclosureClass.CUSTODY in classes_open_to(courier, CONSIGNMENT)


def test_who_takes_no_part_reads_nothing() -> None:
    assert read_by(site(options_pb2.CAPABILITY_PROCESS), takes_part=False) == set()
    assert read_by(site(options_pb2.CAPABILITY_AUDIT), takes_part=False) == {DisclosureClass.CUSTODY}


def test_what_carriage_opens_it_opens_in_consignments_alone() -> None:
    """An auditor that also carries reads no more of a therapy than an auditor."""
    both = site(options_pb2.CAPABILITY_TRANSPORT, options_pb2.CAPABILITY_AUDIT)

    assert classes_open_to(both, THERAPY) == {DisclosureClass.PUBLIC, DisclosureClass.CUSTODY}


def test_quality_is_for_those_who_judge_it() -> None:
    assert DisclosureClass.QUALITY in read_by(site(options_pb2.CAPABILITY_REGULATE))
    assert DisclosureClass.QUALITY not in read_by(site(options_pb2.CAPABILITY_STORE))


def test_a_caller_without_a_site_reads_nothing() -> None:
    assert read_by(None) == set()


class TestTheTableOfAccess:
    KEY = bytes(32)

    def test_an_rpc_without_a_row_is_for_nobody(self) -> None:
        caller = Caller(self.KEY, site(options_pb2.CAPABILITY_REGULATE), is_operator=True)

        assert right_of("/cellcustody.v1.NewService/DoIt") is None
        with pytest.raises(WrongCapabilityError):
            check_right(None, caller, "/cellcustody.v1.NewService/DoIt")

    def test_a_row_of_one_rpc_goes_before_that_of_its_service(self) -> None:
        assert right_of("/cellcustody.v1.TransparencyService/GetCheckpoint") is Right.ANYONE
        assert right_of("/cellcustody.v1.TransparencyService/GetReceipt") is Right.MEMBER

    def test_whole_histories_are_not_for_carriers(self) -> None:
        courier = Caller(self.KEY, site(options_pb2.CAPABILITY_TRANSPORT), is_operator=False)
        regulator = Caller(self.KEY, site(options_pb2.CAPABILITY_REGULATE), is_operator=False)

        check_right(ACCESS["/cellcustody.v1.ExportService/*"], regulator, "")
        with pytest.raises(WrongCapabilityError):
            check_right(ACCESS["/cellcustody.v1.ExportService/*"], courier, "")

    @pytest.mark.parametrize("right", [Right.SITE, Right.READER, Right.REGULATOR])
    def test_the_operator_is_no_site(self, right: Right) -> None:
        operator = Gate(RegistryState(), frozenset({self.KEY})).caller_with_key(self.KEY)

        check_right(Right.MEMBER, operator, "")
        with pytest.raises(TlsKeyUnknownError):
            check_right(right, operator, "")
