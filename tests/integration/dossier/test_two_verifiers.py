"""Dossiers of whole courses of therapy, told to a real ledger, verified by the product and by verify.py."""

from __future__ import annotations

import pytest
from courses import Course, World
from ledger_harness import ORIGIN

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import return_pb2 as returned
from corpus import Verdict, product_says, verify_py_says

BYTES_MAX = 1_000_000  # A therapy's dossier stays below a megabyte, verifiers and schema included.


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course from the enrolment to the bedside, with collection, manufacture, tests, release and four legs."""
    course = World(tmp_path_factory.mktemp("ledger")).course()
    course.to_the_bedside()
    check = course.checks_bedside("bag-1")
    started = course.starts_infusion("bag-1", check)
    course.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_COMPLETE)
    return course


@pytest.mark.parametrize(
    "classes", [(), (DisclosureClass.CUSTODY,), tuple(DisclosureClass)], ids=["none", "one", "all"]
)
def test_both_verifiers_verify_a_whole_course(told: Course, classes: tuple[DisclosureClass, ...]) -> None:
    """Every act of the course, its persons, packs, lots and consignments, with records closed or open."""
    harness = told.world.harness
    founding = parse_statement(read_entry(harness.store.entry(0)).envelope)
    anchor = Anchor(founding.digest, ORIGIN, tuple(one.vkey for one in harness.log_signers))
    built = build_dossier(
        StoreSource(harness.store, harness.vault),
        told.stream,
        checkpoint=harness.ledger.checkpoint(),
        ledger_id=harness.ledger_id,
        service_signer=harness.service,
        open_classes=classes,
    )

    assert product_says(built.data, anchor) == Verdict("VERIFIED")
    assert verify_py_says(built.data, anchor) == Verdict("VERIFIED")
    assert len(built.data) < BYTES_MAX
