"""The same histories through the whole append core: signed, judged, recorded, and folded anew from what is stored."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.therapy_state import custody_of

from .agreement import differences, hard_gates_passed, lost_in, shuffled, story_of
from .delivery import Ledger
from .histories import tell_history
from .recorded import RecordedHistory
from .scribe import Scribe

ACTS = 60
SEED = 20_270_000


def _recorded_acts(ledger: Ledger) -> list[Act]:
    folds = [*(fold.acts for fold in ledger.folds.values()), *(case.acts for case in ledger.cases.values())]
    acts = {digest: act for fold in folds for digest, act in fold.items()}
    return sorted(acts.values(), key=lambda act: act.leaf_index)


def _held_to_the_model(folder: Path, seed: int) -> None:
    """Delivers a history as it was told; the log keeps it all, and the model agrees with what it came to."""
    scribe = tell_history(Random(seed), ACTS)
    history = RecordedHistory(folder, scribe.said)
    try:
        history.deliver(scribe.acts)
        facts = {act.digest for act in scribe.acts if act.joins is None and not act.is_authorisation}
        assert not facts & history.refused.keys(), "a fact was refused"
        history.harness.check()
        ledger = history.ledger()
        acts = [act for act in _recorded_acts(ledger) if not act.body_type.endswith("JudgementsRevised")]
        assert {history.real[digest] for digest in facts} <= {act.digest for act in acts}
        found = lost_in(ledger, acts) or hard_gates_passed(ledger) or differences(ledger, acts)
        assert not found, "\n".join((f"seed {seed}", *found, story_of(scribe.acts, scribe.ledger)))
    finally:
        history.close()


def _end_of(folder: Path, scribe: Scribe, order: list[Act]) -> dict[str, object]:
    """Delivers acts in an order; returns what they came to, in words of the history."""
    history = RecordedHistory(folder, scribe.said)
    try:
        begun = [act for act in scribe.acts if act.body_type.endswith("TherapyEnrolled")]
        history.deliver((*begun, *order))
        history.harness.check()
        ledger = history.ledger()
        back = {real: own for own, real in history.real.items()}
        told: dict[str, object] = {}
        for stream in (*ledger.folds, *ledger.cases):
            fold = ledger.owner(stream)
            told[f"judged in {stream.hex()}"] = {
                back[digest]: (judged.status, [one for one in judged.findings if one.code != "LATE"])
                for digest, judged in fold.judged.items()
                if digest in back and fold.acts[digest].stream == stream
            }
            told[f"holds of {stream.hex()}"] = sorted(
                (hold.code, back[hold.statement_digest]) for hold in fold.state.holds.values()
            )
        for stream, case in ledger.cases.items():
            told[f"custody in {stream.hex()}"] = {
                name: [None if one is None else (back[one.site], one.unit) for one in custody_of(case.state, name)]
                for name in case.state.materials
            }
            told[f"genealogy of {stream.hex()}"] = {
                name: (material.parents, material.life) for name, material in case.state.materials.items()
            }
        return told
    finally:
        history.close()


def _same_in_any_order(folder: Path, seed: int, orders: int) -> None:
    """Delivers the facts of a history, and those who join them, in several orders to a ledger each."""
    rng = Random(seed)
    scribe = tell_history(rng, ACTS)
    words = {act.digest for act in scribe.acts if act.is_authorisation}
    facts = [act for act in scribe.acts if act.digest not in words and act.joins not in words]
    # Who joins what is not here is refused, and may come again: they come behind what they join.
    joins = [act for act in facts if act.joins is not None]
    told = [act for act in facts if act.joins is None]
    ends = []
    for number in range(orders + 1):
        where = folder / str(number)
        where.mkdir()
        order = told if number == 0 else shuffled(told, rng)
        ends.append(_end_of(where, scribe, [*order, *joins]))
    for number, end in enumerate(ends[1:], start=1):
        for key, value in ends[0].items():
            assert end[key] == value, f"seed {seed}, order {number}: {key}\n{story_of(scribe.acts, scribe.ledger)}"


def test_a_recorded_history_is_kept_and_the_model_agrees(tmp_path: Path) -> None:
    """One history of sixty acts, with authorisations, refused ones among them."""
    _held_to_the_model(tmp_path, SEED)


def test_recorded_facts_end_alike_in_any_order(tmp_path: Path) -> None:
    """One history's facts in two orders."""
    _same_in_any_order(tmp_path, SEED, 1)


@pytest.mark.torture
def test_many_recorded_histories(tmp_path: Path) -> None:
    """Forty histories held to the model, and ten delivered in four orders each."""
    for seed in range(SEED, SEED + 40):
        folder = tmp_path / f"model-{seed}"
        folder.mkdir()
        _held_to_the_model(folder, seed)
    for seed in range(SEED, SEED + 10):
        folder = tmp_path / f"orders-{seed}"
        folder.mkdir()
        _same_in_any_order(folder, seed, 3)
