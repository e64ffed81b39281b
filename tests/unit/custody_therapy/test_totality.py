"""Evolution is total: whatever a ledger may hold, folding it never fails."""

from __future__ import annotations

import hashlib

import pytest
from google.protobuf import descriptor_pool, message_factory

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.policy import DEFAULT_PACK
from cellcustody.ledger.custody.therapy_rules import ROWS, TherapyRules
from cellcustody.v1 import options_pb2

from .stories import Story, case_of


def _bodies_of_therapies() -> set[str]:
    return {body.name for body in BODIES.values() if options_pb2.STREAM_KIND_THERAPY in body.stream_kinds}


def test_every_body_that_may_be_filed_in_a_therapys_stream_has_a_row() -> None:
    """All but the ledger's own re-judgements; and no row is for anything else."""
    assert set(ROWS) == _bodies_of_therapies() - {"cellcustody.v1.JudgementsRevised"}


def _empty(body_type: str) -> Act:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(body_type)
    return Act(
        digest=hashlib.sha256(body_type.encode()).digest(),
        stream=bytes([1]) + b"t" * 16,
        leaf_index=10_000,
        body_type=body_type,
        body=message_factory.GetMessageClass(descriptor)(),
        signer=b"s" * 16,
        site=b"x" * 16,
        role="nurse",
        occurred_start=Story().to_the_end().now,
        occurred_end=None,
        signed_at=0,
    )


@pytest.mark.parametrize("body_type", sorted(ROWS))
@pytest.mark.parametrize("is_told", [False, True])
def test_an_empty_body_is_judged_and_evolved_without_failing(body_type: str, is_told: bool) -> None:
    """Against nothing, and against a whole therapy."""
    acts = Story().to_the_end().acts if is_told else []
    act = _empty(body_type)
    rules = TherapyRules(DEFAULT_PACK)
    for status in (Status.CONFORMING, Status.NONCONFORMING, Status.IN_EFFECT):
        state = case_of(acts).state
        findings = rules.check(state, act)
        rules.evolve(state, act, Judged(status, findings))
    case_of([*acts, act])


@pytest.mark.parametrize("body_type", sorted(ROWS))
def test_checking_changes_nothing(body_type: str) -> None:
    """A rule reads the state and leaves it as it is."""
    case = Story().to_the_bedside().case()
    before = repr(case.state)
    TherapyRules(DEFAULT_PACK).check(case.state, _empty(body_type))
    assert repr(case.state) == before
