"""Hold the rules to what must be true of every history, and shrink one for which it is not.

* Kept: every fact that was delivered stands in its fold with a judgement, those that wait among them.
* Hard: what is in effect has no hard gate among its findings, and the model knew of none.
* Alike: whatever the order of delivery, judgements, custody, possession, genealogy, holds and breaks are the same.
* Agreed: the model says the same of who answers, who has it, what it came from, what has ended and what waits.

What is found is told in words; nothing found is nothing said. A history that fails is shrunk by leaving acts out, as
long as it goes on failing in the same way, and is then told line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from cellcustody.ledger.custody.act import Act, Status, UnitRef
from cellcustody.ledger.custody.therapy_state import custody_of

from .custody_model import Unit, tell, tell_consignments
from .delivery import Ledger
from .places import PEOPLE, SITE_OF, is_hard
from .scribe import Scribe

SITES = dict(zip(PEOPLE, ("hospital", "courier", "plant", "other-plant"), strict=True))


def delivered(acts: Iterable[Act]) -> Ledger:
    """Returns a ledger to which these acts were delivered one by one."""
    ledger = Ledger()
    for act in acts:
        ledger.deliver(act)
    return ledger


def end_of(ledger: Ledger) -> dict[str, object]:
    """Returns all that the order of delivery must not change, in a form that compares."""
    told: dict[str, object] = {}
    for stream, fold in sorted(ledger.folds.items()):
        told[f"consignment {stream.hex()}"] = (
            [act.digest for act in fold.order],
            dict(fold.judged),
            dict(fold.state.containers),
            sorted(fold.state.holds.items()),
        )
    for stream, case in ledger.cases.items():
        state = case.state
        told[f"therapy {stream.hex()}"] = (
            [act.digest for act in case.order],
            dict(case.judged),
            dict(state.materials),
            dict(state.batches),
            sorted(state.holds.items()),
            list(state.identity_breaks),
            dict(state.infusions),
            {name: custody_of(state, name) for name in state.materials},
        )
    return told


def lost_in(ledger: Ledger, acts: Iterable[Act]) -> list[str]:
    """Returns the acts that have no judgement, or stand in no order."""
    gone: list[str] = []
    for act in acts:
        fold = ledger.owner(act.stream)
        if act.digest not in fold.judged:
            gone.append(f"{act.digest.hex()[:8]} has no judgement")
        if act.digest not in {one.digest for one in fold.order}:
            gone.append(f"{act.digest.hex()[:8]} stands in no order")
    return gone


def hard_gates_passed(ledger: Ledger) -> list[str]:
    """Returns the authorisations in effect that carry a hard gate."""
    folds = [fold.judged for fold in ledger.folds.values()]
    folds.extend(case.judged for case in ledger.cases.values())
    return [
        f"{digest.hex()[:8]} is in effect with {one.code}"
        for fold in folds
        for digest, judged in fold.items()
        if judged.status is Status.IN_EFFECT
        for one in judged.findings
        if is_hard(one)
    ]


def differences(ledger: Ledger, acts: Sequence[Act]) -> list[str]:
    """Returns where the model and the rules disagree."""
    found: list[str] = []
    for therapy, case in ledger.cases.items():
        teller = tell(acts, therapy)
        told = teller.told
        state = case.state
        if set(told.bags) != set(state.materials):
            found.append(f"materials: model {_ids(told.bags)}, rules {_ids(state.materials)}")
        for name in told.bags.keys() & state.materials.keys():
            bag, material = told.bags[name], state.materials[name]
            if teller.where(name) != tuple(map(_pair, custody_of(state, name))):
                rules = tuple(map(_pair, custody_of(state, name)))
                found.append(f"bag {name.hex()[:6]}: model {_say(*teller.where(name))}, rules {_say(*rules)}")
            if bag.ended != material.life.has_ended:
                found.append(f"bag {name.hex()[:6]} ended: model {bag.ended}, rules {material.life.value}")
            if set(bag.parents) != set(material.parents):
                found.append(f"bag {name.hex()[:6]} came from: model {bag.parents}, rules {material.parents}")
        waiting = {
            one.digest for one in acts if one.stream == therapy and case.judged[one.digest].status is Status.AWAITING
        }
        model = {one.digest for one in acts if one.stream == therapy and one.digest in told.waiting}
        if waiting != model:
            found.append(f"waiting: model {_ids(model - waiting)}, rules {_ids(waiting - model)}")
    told = tell_consignments(acts).told
    boxes = {
        (stream, label): container
        for stream, fold in ledger.folds.items()
        for label, container in fold.state.containers.items()
    }
    if set(boxes) != set(told.boxes):
        found.append(f"boxes: model {sorted(told.boxes)}, rules {sorted(boxes)}")
    for key in boxes.keys() & told.boxes.keys():
        model_says = (told.boxes[key].answers, told.boxes[key].has)
        rules_say = (_pair(boxes[key].custodian), _pair(boxes[key].possessor))
        if model_says != rules_say:
            found.append(f"box {key[0][1:2].decode()}/{key[1]}: model {_say(*model_says)}, rules {_say(*rules_say)}")
    for stream, fold in ledger.folds.items():
        waiting = {digest for digest, judged in fold.judged.items() if judged.status is Status.AWAITING}
        model = {one.digest for one in acts if one.stream == stream and one.digest in told.waiting}
        if waiting != model:
            found.append(f"waiting: model {_ids(model - waiting)}, rules {_ids(waiting - model)}")
    return found


def shuffled(acts: Sequence[Act], rng: Random) -> list[Act]:
    """Returns the acts as two or three sites come back on line: in any order, or in runs of their outboxes."""
    if rng.random() < 0.5:
        order = list(acts)
        rng.shuffle(order)
        return order
    boxes: list[list[Act]] = [[], [], []]
    for act in acts:
        boxes[act.site[0] % 3].append(act)
    if rng.random() < 0.5:
        boxes[0].reverse()
    order = []
    while any(boxes):
        box = rng.choice([one for one in boxes if one])
        run = rng.randrange(1, 12)
        order.extend(box[:run])
        del box[:run]
    return order


def orders_that_differ(acts: Sequence[Act], rng: Random, orders: int) -> list[str]:
    """Delivers the acts in several orders; returns what came out otherwise."""
    expected = end_of(delivered(acts))
    for number in range(orders):
        order = list(reversed(acts)) if number == 0 and rng.random() < 0.3 else shuffled(acts, rng)
        end = end_of(delivered(order))
        if end != expected:
            return [f"{key} ends otherwise in another order" for key in expected if end.get(key) != expected[key]]
    return []


def failures(acts: Sequence[Act], seed: int, orders: int) -> list[str]:
    """Returns in words what is wrong with a history, or nothing."""
    ledger = delivered(acts)
    return (
        lost_in(ledger, acts)
        or hard_gates_passed(ledger)
        or differences(ledger, acts)
        or orders_that_differ(acts, Random(seed), orders)
    )


def failures_of(scribe: Scribe, seed: int, orders: int) -> list[str]:
    """Returns what is wrong with a history that was just told, its authorisations among it."""
    return permissions_against(scribe) or failures(scribe.acts, seed, orders)


def told_shortly(acts: Sequence[Act], found: Sequence[str], seed: int, orders: int) -> str:
    """Returns the shortest history found that fails in the same way, told line by line, and what is wrong with it."""
    kind = found[0].split()[0]
    left = shrunk(acts, lambda trial: any(one.split()[0] == kind for one in failures(trial, seed, orders)))
    lines = failures(left, seed, orders) or found  # What a permission passed is told as it is.
    return "\n".join((*lines, story_of(left, delivered(left))))


def permissions_against(scribe: Scribe) -> list[str]:
    """Returns the authorisations that took effect though a hard gate stood against them by the model."""
    return [f"{one.act.body_type} took effect against {one.against}" for one in scribe.permissions if one.against]


def shrunk(acts: Sequence[Act], fails: Callable[[Sequence[Act]], bool]) -> list[Act]:
    """Leaves out acts, many at once and then one by one, as long as the history goes on failing."""
    left = list(acts)
    size = max(1, len(left) // 2)
    while True:
        start = 0
        changed = False
        while start < len(left):
            trial = left[:start] + left[start + size :]
            if trial and fails(trial):
                left, changed = trial, True
            else:
                start += size
        if size == 1 and not changed:
            return left
        size = max(1, size // 2)


def story_of(acts: Sequence[Act], ledger: Ledger) -> str:
    """Tells a history line by line: when, in which stream, by whom, what, and how it is judged."""
    lines: list[str] = []
    first = min(act.occurred_start for act in acts)
    for act in sorted(acts, key=lambda one: one.leaf_index):
        fold = ledger.owner(act.stream)
        judged = fold.judged[act.digest]
        minute = (act.occurred_start - first) // 60_000_000
        who = f"{SITES[SITE_OF[act.signer]]}:{act.signer[:1].hex()}"
        kind = act.body_type.rpartition(".")[2] or f"joins {_short(act.joins)}"
        body = "" if act.body is None else _plain(act.body)
        seen = "".join(f" seen {_short(digest)}" for _, digest in act.seen)
        codes = ",".join(one.code for one in judged.findings)
        effect = "" if act.in_effect_at is None else f" in effect at {act.in_effect_at}"
        lines.append(
            f"{act.leaf_index:3} +{minute:<4} {_short(act.digest)} {'case' if act.stream[0] == 1 else 'cons'}-"
            f"{act.stream[1:2].decode()} {who:14} {kind} {body}{seen}{effect} -> {judged.status.name} {codes}"
        )
    return "\n".join(lines)


def _plain(body: object) -> str:
    """Tells a body in one line, with short ids and the names of sites."""
    told: list[str] = []
    for descriptor, value in body.ListFields():  # type: ignore[attr-defined]  # A message of any body.
        told.append(f"{descriptor.name}={_value(value)}")
    return " ".join(told)


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return SITES.get(value, value.hex()[:8] if len(value) != 17 else f"cons-{value[1:2].decode()}")
    if isinstance(value, str | int):
        return str(value)
    if hasattr(value, "ListFields"):
        return "(" + _plain(value) + ")"
    assert isinstance(value, Iterable)
    return "[" + " ".join(_value(one) for one in value) + "]"


def _short(digest: bytes | None) -> str:
    return "-" if digest is None else digest.hex()[:8]


def _ids(names: Iterable[bytes]) -> list[str]:
    return sorted(name.hex()[:8] for name in names)


def _pair(unit: UnitRef | None) -> Unit | None:
    return None if unit is None else (unit.site, unit.unit)


def _say(answers: Unit | None, has: Unit | None) -> str:
    names = ["nobody" if one is None else f"{SITES.get(one[0], '?')}/{one[1]}" for one in (answers, has)]
    return f"{names[0]} answers, {names[1]} has it"
