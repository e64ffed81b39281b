"""What the pack asks for at the bedside, readiness certificates in a check, and bags found breached at their thaw."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from cellcustody.ledger.custody.act import Act, Finding, Status
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.findings import codes_of
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.references import References
from cellcustody.ledger.readiness_certificates import ReadinessCertificate, issue_certificate
from cellcustody.ledger.statements import Ed25519Signer
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned

from .stories import (
    COI,
    DAY,
    DIN,
    HOUR,
    MATCHING,
    MINUTE,
    OPERATOR,
    PACK,
    RELEASE_FOR_INFUSION,
    REVIEWER,
    SECOND_MICROS,
    SECOND_NURSE,
    START,
    THERAPY,
    WARD,
    Delivery,
    Story,
    creators_of,
    folds_of,
    material,
    new,
    outcome,
    volume,
)

SIGNER = Ed25519Signer(bytes(32))
LABEL_EXPIRY = START + 300 * DAY


def asking(**changed: object) -> PolicyPack:
    """Returns the sample pack with something asked for at the bedside."""
    return replace(PACK, bedside=replace(PACK.bedside, **changed))  # type: ignore[arg-type]  # Members by name.


def case_under(story: Story, pack: PolicyPack) -> TherapyCase:
    """Returns the therapy folded under a pack."""
    own = [one for one in story.acts if one.stream == THERAPY]
    return TherapyCase(THERAPY, pack, own, References(folds_of(story.acts), creators_of(story.acts)))


def checks(story: Story, bag: str = "bag-1", *, at: int | None = None, **changed: object) -> Act:
    """Two nurses check a bag; fields of the body may be changed."""
    fields = {"coi_read": COI, "din_read": DIN, "patient_present": True} | changed
    body = returned.BedsideChecked(material=material(bag), **fields)  # type: ignore[arg-type]  # Fields by name.
    act = story.tell(body, comparisons=MATCHING, at=at)
    story.join(act, SECOND_NURSE)
    return act


def codes(story: Story, act: Act, pack: PolicyPack = PACK) -> set[str]:
    """Returns the codes of the findings on an act."""
    return set(codes_of(case_under(story, pack).judged[act.digest].findings))


# What else of the bag is read.


def test_the_expiry_read_is_the_labels() -> None:
    """A hard gate if it is another; asked for by the pack or not."""
    story = Story().to_the_bedside()
    right = checks(story, expires_read_unix_micros=LABEL_EXPIRY)
    wrong = checks(story, expires_read_unix_micros=LABEL_EXPIRY + DAY)
    unread = checks(story)
    asked = asking(must_read=frozenset({"expiry"}))
    assert codes(story, right, asked) == set()
    assert codes(story, wrong) == {"EXPIRY_MISMATCH"}
    assert codes(story, unread) == set()
    assert codes(story, unread, asked) == {"BAG_NOT_IDENTIFIED"}


def _mpho(din: str = DIN, code: str = "S1234") -> str:
    return f"A9999 {code} {din} 0000A1"


def test_the_unique_identifier_of_the_product_is_the_labels() -> None:
    """Its donation number and description code are; another donation breaks the chain of identity."""
    story = Story().to_the_bedside()
    asked = asking(must_read=frozenset({"mpho_ui"}))
    assert codes(story, checks(story, mpho_ui_read=_mpho()), asked) == set()
    assert codes(story, checks(story), asked) == {"BAG_NOT_IDENTIFIED"}
    assert codes(story, checks(story, mpho_ui_read="A9999 S12")) == {"BAG_UNREADABLE"}
    wrong = checks(story, mpho_ui_read=_mpho("A999925000009"))
    assert "IDENTITY_MISMATCH" in codes(story, wrong)
    assert case_under(story, PACK).state.identity_broken


@pytest.mark.parametrize(("code", "found"), [("S1234", set()), ("S9999", {"IDENTITY_MISMATCH"})])
def test_the_unique_identifier_tells_the_labels_product(code: str, found: set[str]) -> None:
    """Another product's description code is another bag's."""
    story = Story().to_the_product()
    story.tell(
        harvest.LabelApplied(
            material=material("bag-1"),
            din=DIN,
            coi=COI,
            product_code="S1234V00",
            expires_at_unix_micros=LABEL_EXPIRY,
        ),
        OPERATOR,
    )
    checked = checks(story, mpho_ui_read=_mpho(code=code))
    assert codes(story, checked) & {"IDENTITY_MISMATCH"} == found


def test_a_bag_without_a_label_is_told_by_the_donations_that_went_into_it() -> None:
    """Any of them; no other."""
    story = Story().to_the_product()
    story.acts[:] = [act for act in story.acts if not act.body_type.endswith("LabelApplied")]
    for din, found in ((DIN, set()), ("A999925000009", {"IDENTITY_MISMATCH"})):
        checked = checks(story, mpho_ui_read=_mpho(din))
        assert codes(story, checked) & {"IDENTITY_MISMATCH"} == found


def test_the_certificate_for_infusion_is_the_one_quality_released_with() -> None:
    """Another is found, and none where the pack asks for it."""
    story = Story().to_the_bedside()
    asked = asking(must_read=frozenset({"release_certificate"}))
    other = common.Document(sha256=b"x" * 32, kind="release-for-infusion")
    assert codes(story, checks(story, release_certificate=RELEASE_FOR_INFUSION), asked) == set()
    assert codes(story, checks(story, release_certificate=other)) == {"RELEASE_CERTIFICATE_MISMATCH"}
    assert codes(story, checks(story), asked) == {"RELEASE_CERTIFICATE_MISSING"}
    assert codes(story, checks(story)) == set()


@pytest.mark.parametrize(("doses", "found"), [(2, set()), (1, {"RESCUE_MEDICINE_MISSING"})])
def test_medicines_against_reactions_are_at_hand(doses: int, found: set[str]) -> None:
    """As many doses as the pack asks for, however they were counted."""
    story = Story().to_the_bedside()
    asked = asking(rescue_medicines={"tocilizumab": 2})
    at_hand = [returned.RescueMedicine(medicine="Tocilizumab", doses=1)] * doses
    assert codes(story, checks(story, rescue_medicines=at_hand), asked) == found


# Readiness certificates.


def certified(story: Story, **changed: object) -> bytes:
    """Returns a certificate of bag-1, issued now for four hours, or otherwise."""
    bag = story.case().state.materials[material("bag-1")]
    certificate = ReadinessCertificate(
        ledger_id=bytes(16),
        therapy=THERAPY,
        material=material("bag-1"),
        position=len(story.acts),
        last_statement_digest=bytes(32),
        issued_at=story.now,
        expires_at=story.now + 4 * HOUR,
        coi=COI,
        din=DIN,
        bag_expires_at=LABEL_EXPIRY,
        released_by=bag.released_by,
    )
    return issue_certificate(replace(certificate, **changed), SIGNER)  # type: ignore[arg-type]  # Members by name.


def test_a_check_may_rest_on_a_certificate() -> None:
    """Nothing came between, and it holds: so does the check."""
    story = Story().to_the_bedside()
    check = checks(story, readiness_certificate=certified(story))
    assert story.codes(check) == set()
    assert story.codes(story.starts_infusion("bag-1", check)) == set()


def test_a_certificate_is_of_that_very_bag() -> None:
    """Or the check is none, whoever else's it was."""
    story = Story().to_the_bedside()
    check = checks(story, readiness_certificate=certified(story, material=material("bag-2")))
    assert story.codes(check) == {"CERTIFICATE_OF_ANOTHER_BAG"}
    other = checks(story, readiness_certificate=certified(story, therapy=bytes([1]) * 17))
    assert story.codes(other) == {"CERTIFICATE_OF_ANOTHER_BAG"}
    assert "BEDSIDE_CHECK_MISSING" in story.codes(story.starts_infusion("bag-1", check))


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (0, set()),
        (10 * MINUTE, set()),
        (10 * MINUTE + 1, {"CERTIFICATE_EXPIRED"}),
        (-SECOND_MICROS, {"CERTIFICATE_EXPIRED"}),
    ],
)
def test_a_certificate_holds_at_the_time_of_the_check(after: int, found: set[str]) -> None:
    """By the check's own time, both ends included; delivery may come whenever it will."""
    story = Story().to_the_bedside()
    story.now += HOUR  # The bag was thawed before.
    held = certified(story, expires_at=story.now + 10 * MINUTE)
    assert story.codes(checks(story, readiness_certificate=held, at=story.now + after)) == found


def test_what_came_between_a_certificate_and_its_check_is_found() -> None:
    """A hold, a consent withdrawn, a release taken back: the ward could not know."""
    held = Story().to_the_bedside()
    kept = certified(held)
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])
    placed = held.tell(quality.HoldPlaced(scope=scope))
    check = checks(held, readiness_certificate=kept)
    assert held.codes(check) == {"CERTIFICATE_OVERTAKEN"}
    assert held.judged(check).status is Status.NONCONFORMING
    held.acts.remove(placed)
    assert held.codes(check) == set()

    unwilling = Story().to_the_bedside()
    kept = certified(unwilling)
    unwilling.tell(harvest.ConsentWithdrawn(scopes=[harvest.CONSENT_SCOPE_INFUSION]))
    assert "CERTIFICATE_OVERTAKEN" in unwilling.codes(checks(unwilling, readiness_certificate=kept))

    anew = Story().to_the_bedside()
    kept = certified(anew, released_by=b"n" * 32)
    assert anew.codes(checks(anew, readiness_certificate=kept)) == {"CERTIFICATE_OVERTAKEN"}


def test_what_came_after_the_check_overtakes_no_certificate() -> None:
    """The hold stands in the way of the infusion, as any does."""
    story = Story().to_the_bedside()
    check = checks(story, readiness_certificate=certified(story))
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])
    story.tell(quality.HoldPlaced(scope=scope), at=story.now + MINUTE)
    assert story.codes(check) == set()
    assert story.codes(story.starts_infusion("bag-1", check)) == {"HOLD_OPEN"}


def test_the_order_of_delivery_changes_nothing_about_a_certificate() -> None:
    """A hold, an offline check with its certificate and the infusion, delivered in all orders."""
    story = Story().to_the_bedside()
    kept = certified(story)
    before = list(story.acts)
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material("bag-1")])
    told = [story.tell(quality.HoldPlaced(scope=scope))]
    check = checks(story, readiness_certificate=kept)
    told += [check, story.acts[-1], story.starts_infusion("bag-1", check)]
    expected = outcome(story.case())
    assert "CERTIFICATE_OVERTAKEN" in story.codes(check)
    for order in itertools.permutations(told):
        delivery = Delivery()
        for act in (*before, *order):
            delivery.deliver(act)
        assert outcome(delivery.case) == expected


# A bag that was not whole.


def _breached() -> tuple[Story, Act]:
    story = Story().to_the_ward()
    story.issues("bag-1")
    return story, story.thaws("bag-1", intact=False)


def _samples(story: Story, bag: str = "bag-1") -> None:
    outputs = [new(f"culture-{bag}", common.MATERIAL_KIND_SAMPLE, 2)]
    story.divides(bag, outputs, left=volume(58), signer=story.acts[0].signer, unit=WARD)


def _deviates(story: Story, *bags: str) -> Act:
    scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=[material(bag) for bag in bags or ("bag-1",)])
    return story.tell(quality.DeviationRaised(reference="DEV-1", scope=scope))


def _decides(
    story: Story,
    thawed: Act,
    decision: returned.BreachDecision.ValueType = returned.BREACH_DECISION_USE,
    *,
    sample: str = "culture-bag-1",
    deviation: Act | None = None,
) -> tuple[Finding, ...]:
    """Returns what stands against a physician's decision; if nothing does, it is in effect."""
    body = returned.BreachDecided(
        thawed=thawed.digest,
        decision=decision,
        culture_sample=material(sample) if sample else b"",
        deviation=b"" if deviation is None else deviation.digest,
    )
    latest = {act.stream: act for act in story.acts if act.joins is None}
    act = story.tell(body, role="physician", seen=latest.values())
    story.acts.remove(act)
    found, _ = story.case().judge_authorisation(act)
    if not found:
        story.acts.append(act)
    return found


def _lifts(story: Story, thawed: Act) -> set[str]:
    """Returns what stands against quality's lifting of the breach's hold; if nothing does, it is lifted."""
    latest = {act.stream: act for act in story.acts if act.joins is None}
    act = story.tell(
        quality.HoldLifted(holds=[hold_id(thawed.digest, "BAG_BREACHED")], disposition="culture taken"),
        REVIEWER,
        role="quality_reviewer",
        seen=latest.values(),
    )
    story.acts.remove(act)
    found, _ = story.case().judge_authorisation(act)
    if not found:
        story.acts.append(act)
    return set(codes_of(found))


def test_quality_lifts_a_breachs_hold_after_the_physician_decided() -> None:
    """With a culture and a deviation; then the bag may be given."""
    story, thawed = _breached()
    assert "BREACH_UNDECIDED" in _lifts(story, thawed)

    def minutes_after_the_thaw(minutes: int) -> None:
        story.now = thawed.occurred_start + (minutes - 10) * MINUTE  # The next act is told ten minutes later.

    minutes_after_the_thaw(1)
    _samples(story)
    minutes_after_the_thaw(2)
    deviation = _deviates(story)
    minutes_after_the_thaw(3)
    assert _decides(story, thawed, deviation=deviation) == ()
    minutes_after_the_thaw(4)
    assert _lifts(story, thawed) == set()
    check = checks(story, at=story.now + MINUTE)
    assert story.codes(story.starts_infusion("bag-1", check)) == set()


def test_a_bag_to_be_discarded_stays_held() -> None:
    """It takes no culture; it is destroyed under its hold."""
    story, thawed = _breached()
    assert _decides(story, thawed, returned.BREACH_DECISION_DISCARD, sample="") == ()
    assert _lifts(story, thawed) == {"BREACH_UNDECIDED"}


def test_a_breached_bag_is_used_only_under_culture_and_deviation() -> None:
    """A sample of that very bag, a deviation about it; all that is missing is told at once."""
    story, thawed = _breached()
    assert codes_of(_decides(story, thawed)) == {"CULTURE_MISSING", "DEVIATION_MISSING"}
    other = _deviates(story, "bag-2")
    assert codes_of(_decides(story, thawed, sample="sample", deviation=other)) == {
        "CULTURE_MISSING",
        "DEVIATION_MISSING",
    }
    _samples(story)
    assert codes_of(_decides(story, thawed, deviation=other)) == {"DEVIATION_MISSING"}
    whole = story.tell(quality.DeviationRaised(scope=quality.Scope(kind=quality.SCOPE_KIND_THERAPY)))
    assert _decides(story, thawed, deviation=whole) == ()


def test_a_decision_is_about_a_thaw_that_was_breached_and_says_what() -> None:
    """Another statement, a whole bag, nothing decided, a thaw that is not here yet."""
    story, thawed = _breached()
    assert codes_of(_decides(story, thawed, returned.BREACH_DECISION_UNSPECIFIED)) == {"DECISION_MISSING"}
    discard = returned.BREACH_DECISION_DISCARD
    assert codes_of(_decides(story, story.acts[0], discard)) == {"OTHER_STATEMENT_NAMED"}
    whole = Story().to_the_bedside()
    intact = next(act for act in whole.acts if act.body_type.endswith("MaterialThawed"))
    assert codes_of(_decides(whole, intact, discard)) == {"NOT_BREACHED"}
    story.acts.remove(thawed)
    assert codes_of(_decides(story, thawed, discard)) == {"PREDECESSOR_MISSING"}
