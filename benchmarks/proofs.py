"""Measure what proofs cost whoever holds them: checking a receipt, building and verifying a therapy's dossier.

The rules:

* The therapy has 120 statements, in a ledger with others; its dossier carries every record open, the registry, and the
  proofs. Renderings are in none.
* A receipt is checked from its bytes and the entry's: form, path, signature of the checkpoint. Without the log's
  ML-DSA-44 key its signature is passed over, as a reader without post-quantum parts would; with it, both are verified.
* Each is measured by itself, in one thread; medians over the repetitions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.founding import ORIGIN, found, opened
from benchmarks.timing import median
from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.transparency import parse_vkey, verify_log_proof
from cellcustody.ledger.transparency.note_keys import NoteKeyType
from cellcustody.ledger.verification import Outcome, verify_dossier
from cellcustody.services.configuration import load_configuration
from cellcustody.services.open_ledger import load_ledger_keys

__all__ = ["Proofs", "measure_proofs"]

STATEMENTS: Final = 120
OTHERS: Final = 20
TIMEOUT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Proofs:
    """Medians, in seconds and bytes. `statements` are those of the therapy, `entries` all that its dossier has."""

    log_size: int
    statements: int
    entries: int
    receipt_bytes: int
    receipt_seconds: float
    receipt_both_seconds: float
    dossier_bytes: int
    build_seconds: float
    verify_seconds: float


def measure_proofs(directory: Path, repetitions: int) -> Proofs:
    """Founds a ledger under `directory`, records a therapy among others, and measures."""
    ground = found(directory / "proofs")
    scene = ground.scene
    with opened(ground) as ledger:
        therapies = scene.begin_therapies(ledger, OTHERS + 1)
        chosen = therapies[0]
        head = ledger.store.stream_head(chosen.stream)
        missing = STATEMENTS - (0 if head is None else head.sequence)
        facts = [*scene.facts([chosen], missing), *scene.facts(therapies[1:], OTHERS * 30)]
        for start in range(0, len(facts), 500):
            batch = [fact.submission for fact in facts[start : start + 500]]
            results = ledger.submit_many(batch, timeout_seconds=TIMEOUT_SECONDS, with_receipts=False)
            if not all(isinstance(one, Recorded) for one in results):
                raise RuntimeError("a statement was refused")

        anchor = parse_anchor(ground.founded.anchor.read_bytes())
        size = ledger.checkpoint_size()
        entry = ledger.entries(size // 2, 1)[0]
        receipt = ledger.receipt(size // 2)
        ed25519 = tuple(key for key in anchor.log_keys if parse_vkey(key).type is NoteKeyType.ED25519)

        def check_receipt(keys: tuple[str, ...]) -> None:
            verify_log_proof(receipt, leaf_hash_of(entry), ORIGIN, keys, required_vkeys=keys)

        signer = load_ledger_keys(
            load_configuration(ground.founded.configuration).keys, os.environ, origin=ORIGIN
        ).service_signer
        checkpoint = ledger.checkpoint()

        def build() -> bytes:
            return build_dossier(
                StoreSource(ledger.store, ledger.vault),
                chosen.stream,
                checkpoint=checkpoint,
                ledger_id=ground.founded.ledger_id,
                service_signer=signer,
                open_classes=tuple(DisclosureClass),
            ).data

        data = build()
        report = verify_dossier(data, anchor)
        if report.outcome is not Outcome.VERIFIED:
            raise RuntimeError("the dossier does not verify")
        return Proofs(
            log_size=size,
            statements=sum(one.stream == chosen.stream for one in report.statements),
            entries=len(report.statements),
            receipt_bytes=len(receipt),
            receipt_seconds=_median_seconds(lambda: check_receipt(ed25519), 50 * repetitions),
            receipt_both_seconds=_median_seconds(lambda: check_receipt(anchor.log_keys), 50 * repetitions),
            dossier_bytes=len(data),
            build_seconds=_median_seconds(build, repetitions),
            verify_seconds=_median_seconds(lambda: verify_dossier(data, anchor), repetitions),
        )


def _median_seconds(work: Callable[[], object], repetitions: int) -> float:
    seconds: list[float] = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)
