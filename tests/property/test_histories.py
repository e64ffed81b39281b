"""Whatever is told, in whatever order: nothing is lost, no hard gate is passed, the end is one, and a model agrees.

Each history is drawn from a seed, so that one which fails is the same tomorrow. It is then shrunk and told line by
line, with what was found.
"""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .agreement import failures, failures_of, told_shortly
from .histories import tell_history

ACTS_IN_ALL = 100_000
ACTS = 50  # Of one history: long enough for what goes wrong to have consequences, and for these to be corrected.
HISTORIES = 25  # Of the sample.
ORDERS = 2  # In which each history is delivered, beside the order in which it was told.
FIRST_SEED = 20_260_000


def _check(seed: int) -> Counter[str]:
    """Tells one history and holds the rules to it; returns what it was made of."""
    scribe = tell_history(Random(seed), ACTS)
    found = failures_of(scribe, seed, ORDERS)
    if found:
        pytest.fail(f"seed {seed}:\n" + told_shortly(scribe.acts, found, seed, ORDERS), pytrace=False)
    statuses = Counter(scribe.ledger.owner(act.stream).judged[act.digest].status.name for act in scribe.acts)
    return statuses + Counter(acts=len(scribe.acts), refused=scribe.refused, refused_hard=scribe.refused_hard)


def test_a_sample_of_histories() -> None:
    """Histories of two therapies and three consignments, of every kind of outcome."""
    told = sum((_check(FIRST_SEED + number) for number in range(HISTORIES)), Counter[str]())

    assert told["acts"] >= HISTORIES * ACTS // 2
    for kind in ("CONFORMING", "NONCONFORMING", "AWAITING", "IN_EFFECT", "PENDING", "RECORDED"):
        assert told[kind], f"no act ended as {kind}: the sample says nothing of them"
    assert told["refused_hard"], "no hard gate stood against any authorisation"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rng=st.randoms(use_true_random=False), wrong=st.sampled_from((0.0, 0.1, 0.4)))
def test_short_histories_that_hypothesis_draws_and_shrinks(rng: Random, wrong: float) -> None:
    """Every choice is hypothesis's own: from nothing wrong to nearly everything wrong."""
    scribe = tell_history(rng, 10, wrong=wrong)
    found = failures_of(scribe, 0, ORDERS)
    assert not found, told_shortly(scribe.acts, found, 0, ORDERS)


@pytest.mark.torture
def test_a_hundred_thousand_acts(capsys: pytest.CaptureFixture[str]) -> None:
    """100,000 acts, conforming and not, each history in several orders of delivery."""
    told: Counter[str] = Counter()
    seed = FIRST_SEED
    begun = time.monotonic()
    while told["acts"] < ACTS_IN_ALL:
        told += _check(seed)
        seed += 1
    with capsys.disabled():
        kinds = ", ".join(f"{count:,} {name.lower()}" for name, count in sorted(told.items()))
        print(
            f"\n{seed - FIRST_SEED:,} histories in {ORDERS + 1} orders, {time.monotonic() - begun:.0f} s: {kinds}; "
            "nothing lost, no hard gate passed, one end each, and the model agrees"
        )


def test_a_rule_that_errs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Acceptances that pass custody to anybody: a history shows it, and what is left of it fits on a page."""
    from cellcustody.ledger.custody import consignment_evolution

    monkeypatch.setattr(consignment_evolution, "_POSSESSION_ONLY", frozenset())
    for seed in range(FIRST_SEED, FIRST_SEED + 200):
        scribe = tell_history(Random(seed), ACTS)
        found = failures_of(scribe, seed, ORDERS)
        if found:
            break
    else:
        pytest.fail("nothing was found")
    told = told_shortly(scribe.acts, found, seed, ORDERS)
    assert "model" in told and "CustodyAccepted" in told
    assert len(told.splitlines()) <= 20
    assert not failures(scribe.acts[:1], seed, ORDERS)
