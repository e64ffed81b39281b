"""Questions that the rules from issue to infusion share: dates, release, conditioning, the way of a bag.

Each finds on the bench it is given and changes nothing.
"""

from __future__ import annotations

from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, Judging, answers_for
from cellcustody.ledger.custody.therapy_state import Life, MaterialKind, MaterialState, TherapyState
from cellcustody.ledger.custody.time_out_of_cryo import out_of_cryo_micros

__all__ = [
    "bags_issued",
    "check_lymphodepletion",
    "check_out_of_cryo",
    "expires_at",
    "in_date",
    "lymphodepletion_codes",
    "released",
]


def expires_at(material: MaterialState) -> int | None:
    """Returns when a material expires, microseconds: by its label or its thaw, whichever is first; None: never."""
    stated = [] if material.label is None or material.label.expires_at is None else [material.label.expires_at]
    if material.usable_until is not None:
        stated.append(material.usable_until)
    return min(stated, default=None)


def in_date(judging: Judging, material: MaterialState, field: int) -> None:
    """Finds what is used after its expiry."""
    expiry = expires_at(material)
    if expiry is not None and judging.act.occurred_start > expiry:
        judging.find("EXPIRED", field)


def released(judging: Judging, material: MaterialState, field: int) -> None:
    """Finds what quality has not released."""
    if not material.is_released:
        judging.find("NOT_RELEASED", field)


def lymphodepletion_codes(state: TherapyState, pack: PolicyPack, at: int, *, is_infusion: bool) -> tuple[str, ...]:
    """Returns what stands against issue or infusion at a time for want of lymphodepletion in its window.

    The last course that was given whole counts. A bag may be issued before the window begins, not infused.
    """
    window = pack.lymphodepletion_to_infusion
    if window is None:
        return ()
    stops = [
        one.stopped_at
        for one in state.treatment.lymphodepletions.values()
        if one.is_complete and one.stopped_at is not None and one.stopped_at <= at
    ]
    if not stops:
        return ("LYMPHODEPLETION_MISSING",)
    since = at - max(stops)
    found: list[str] = []
    if is_infusion and since < window.min_seconds * MICROS_PER_SECOND:
        found.append("LYMPHODEPLETION_TOO_RECENT")
    if since > window.max_seconds * MICROS_PER_SECOND:
        found.append("LYMPHODEPLETION_LAPSED")
    if window.repeat_after_seconds is not None and since > window.repeat_after_seconds * MICROS_PER_SECOND:
        found.append("LYMPHODEPLETION_TO_REPEAT")
    return tuple(found)


def check_lymphodepletion(judging: Judging, *, is_infusion: bool) -> None:
    """Finds lymphodepletion missing, too recent, too long ago, or to be repeated."""
    for code in lymphodepletion_codes(judging.state, judging.pack, judging.act.occurred_start, is_infusion=is_infusion):
        judging.find(code)


def check_out_of_cryo(judging: Judging, material: bytes, field: int, until: int) -> None:
    """Finds a material that was out of its frozen store longer than the pack lets it, and one of which nobody knows."""
    budget = judging.pack.budgets.out_of_cryo_seconds
    if budget is None:
        return
    spent = out_of_cryo_micros(judging.state, material, judging.pack, until)
    if spent is None:
        judging.find("OUT_OF_CRYO_UNKNOWN", field)
    elif spent > budget * MICROS_PER_SECOND:
        judging.find("OUT_OF_CRYO_TOO_LONG", field)


def bags_issued(state: TherapyState, but_not: bytes = b"") -> int:
    """Returns how many bags were issued and are still where they were issued to, not given; `but_not` is left out.

    What was drawn or washed from a bag counts with it, for it was issued once.
    """
    return len(
        {
            one.issued_by
            for one in state.materials.values()
            if one.kind == MaterialKind.PRODUCT
            and one.material != but_not
            and one.life is Life.AVAILABLE
            and one.issued_to is not None
            and answers_for(one.custodian, one.issued_to)
        }
    )
