"""One row for each act of a therapy: what it names and touches, how it is judged, what it changes.

The rules of the table:

* A new act is a body in the contract and a row here; nothing else switches on the type of a body.
* `touches` says which materials and batches a hold that the act opens covers; none means the whole therapy.
* `check` may wait, find and ask; `evolve` may only change the state. Authorisations have an `evolve` and no `check`:
  they are judged once, at arrival (see `therapy_authorisations`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_state import TherapyState

__all__ = ["TherapyAct", "authorisation", "fact"]

B = TypeVar("B", bound=Message)


@dataclass(frozen=True, slots=True)
class TherapyAct:
    """The row of one body type; the callables take acts whose body is of that type."""

    body_type: str
    names: Callable[[Act], frozenset[bytes]]
    touches: Callable[[Act], tuple[tuple[bytes, ...], tuple[bytes, ...]]]
    check: Callable[[Judging], None]
    evolve: Callable[[TherapyState, Act, Judged], None]


def _nothing(body: Message) -> Iterable[bytes]:
    return ()


def _body(act: Act, body: type[B]) -> B:
    if not isinstance(act.body, body):
        raise TypeError(f"{act.body_type} came with the body of another act")
    return act.body


def fact(
    body: type[B],
    *,
    check: Callable[[Judging, B], None],
    evolve: Callable[[TherapyState, Act, B, Judged], None],
    names: Callable[[B], Iterable[bytes]] = _nothing,
    materials: Callable[[B], Iterable[bytes]] = _nothing,
    batches: Callable[[B], Iterable[bytes]] = _nothing,
) -> TherapyAct:
    """Returns the row of a fact."""

    def check_act(judging: Judging) -> None:
        check(judging, _body(judging.act, body))

    def evolve_act(state: TherapyState, act: Act, judged: Judged) -> None:
        evolve(state, act, _body(act, body), judged)

    def named(act: Act) -> frozenset[bytes]:
        return frozenset(digest for digest in names(_body(act, body)) if digest)

    def touched(act: Act) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        found = _body(act, body)
        return (tuple(materials(found)), tuple(batch for batch in batches(found) if batch))

    return TherapyAct(body.DESCRIPTOR.full_name, named, touched, check_act, evolve_act)


def authorisation(
    body: type[B],
    *,
    evolve: Callable[[TherapyState, Act, B, Judged], None],
    names: Callable[[B], Iterable[bytes]] = _nothing,
    materials: Callable[[B], Iterable[bytes]] = _nothing,
    batches: Callable[[B], Iterable[bytes]] = _nothing,
) -> TherapyAct:
    """Returns the row of an authorisation, which the fold never judges."""

    def never_judged(judging: Judging, found: B) -> None:
        return None

    return fact(body, check=never_judged, evolve=evolve, names=names, materials=materials, batches=batches)
