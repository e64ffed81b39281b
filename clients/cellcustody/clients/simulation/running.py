"""Run a simulation: several therapies at once, their histories checked against what was meant, progress told.

The rules:

* Each thread tells one therapy after another; what a therapy says depends on its number and the seed alone.
* When a therapy is told, its history is asked for: each fact that stands in it conforms, or is nonconforming with the
  codes that it was meant to have and no other gate. Nothing waits, nothing was refused, and the closure is in effect.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cellcustody.clients.errors import NotFound
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.queries import Questions
from cellcustody.clients.session import unix_micros
from cellcustody.clients.simulation.course import Course
from cellcustody.clients.simulation.desks import Desks
from cellcustody.clients.simulation.story import new_telling, tell_therapy
from cellcustody.clients.simulation.summary import Deviation, Summary
from cellcustody.clients.simulation.telling import Rates
from cellcustody.clients.simulation.world import Ground
from cellcustody.ledger.custody.findings import is_blocking
from cellcustody.v1 import custody_query_service_pb2, entry_pb2

__all__ = ["BEGIN", "Wishes", "simulate"]

BEGIN: Final = datetime(2024, 1, 8, 7, tzinfo=UTC)
"""When simulated therapies begin: far enough in the past that the last follow-up of all lies there too."""

_IN_ORDER: Final = frozenset(
    {
        entry_pb2.JUDGEMENT_STATUS_CONFORMING,
        entry_pb2.JUDGEMENT_STATUS_IN_EFFECT,
        entry_pb2.JUDGEMENT_STATUS_RECORDED,
    }
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be simulated."""

    therapies: int
    threads: int = 8
    begin: datetime = BEGIN
    rates: Rates = field(default_factory=Rates)


def simulate(ground: Ground, wishes: Wishes, *, progress: Callable[[Summary], None] = lambda _: None) -> Summary:
    """Tells therapies and returns what came of them; `progress` is told after each."""
    whole = Summary(enrolling=ground.enrolled)
    first = ground.therapies + 1
    numbers = range(first, first + wishes.therapies)
    own = threading.local()
    everybody: list[Desks] = []

    def tell(number: int) -> Summary:
        desks: Desks | None = getattr(own, "desks", None)
        if desks is None:
            desks = own.desks = Desks(ground)
            everybody.append(desks)
        return _one(desks, number, wishes)

    began = time.monotonic()
    ground.keep(first + wishes.therapies - 1)  # A broken run's numbers are not used again.
    with ThreadPoolExecutor(wishes.threads, thread_name_prefix="simulate") as pool:
        running = [pool.submit(tell, number) for number in numbers]
        try:
            for done in as_completed(running):
                whole.add(done.result())
                whole.seconds = time.monotonic() - began
                progress(whole)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for desks in everybody:
        desks.close()
    return whole


def _one(desks: Desks, number: int, wishes: Wishes) -> Summary:
    telling = new_telling(desks, number, desks.ground.seed, wishes.rates, unix_micros(wishes.begin))
    course = tell_therapy(desks, telling)
    _check(desks, course)
    return telling.summary


def _check(desks: Desks, course: Course) -> None:
    """Compares a therapy's history with what was meant."""
    telling = course.telling
    connection = desks.ground.connections[course.hospital.site.site]
    store = LocalStore(":memory:")
    try:
        questions = Questions(connection, store)
        questions.note_position(telling.position)
        history = questions.history(telling.stream)
    except NotFound as error:
        telling.summary.unintended.append(Deviation(telling.number, "history", error.message))
        return
    finally:
        store.close()
    summary, left = telling.summary, dict(telling.intended)
    for item in history.items:
        meant = left.pop(item.statement_digest, frozenset())
        found = frozenset(_blocking(item))
        act = item.body_type.rpartition(".")[2] or "co-signature"
        if item.superseded_by:
            continue
        if meant and found == meant:
            summary.intended += 1
        elif meant - found:
            summary.missed.append(Deviation(telling.number, act, "not found", tuple(sorted(meant - found))))
        if found - meant or (item.judgement.status not in _IN_ORDER and not meant):
            status = entry_pb2.JudgementStatus.Name(item.judgement.status).removeprefix("JUDGEMENT_STATUS_")
            codes = tuple(sorted(found - meant)) or tuple(one.code for one in item.judgement.findings)
            summary.unintended.append(Deviation(telling.number, act, status, codes))
    for digest, expected in left.items():
        summary.missed.append(Deviation(telling.number, digest.hex()[:12], "not recorded", tuple(sorted(expected))))


def _blocking(item: custody_query_service_pb2.HistoryItem) -> Iterator[str]:
    for finding in item.judgement.findings:
        if is_blocking(finding.code):
            yield finding.code
