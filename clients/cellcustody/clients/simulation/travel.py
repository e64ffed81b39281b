"""A leg: packed, sealed, handed to the courier, handed over, inspected, taken out; and what may go wrong on it.

What goes wrong on purpose, and how it is mended:

* A handoff is refused as a whole; the releaser releases again. Or a container is not there when it is to be accepted:
  the driver finds and releases it, and quality lifts the hold.
* A logger was outside its band: the inspection holds the materials until quality has disposed of their condition, on a
  cited study, or rejected them.
"""

from __future__ import annotations

from dataclasses import dataclass

from cellcustody.clients.simulation.cast import Person, Site
from cellcustody.clients.simulation.course import Bag, Course
from cellcustody.clients.simulation.quantities import DAY, HOUR, MINUTE, celsius, document
from cellcustody.ledger.condition import ACTIVATION_ENERGY_JOULES_PER_MOLE
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["Leg", "travel"]

_SPREAD_MILLICELSIUS = 1_000
_ARCHIVED_READINGS_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Leg:
    """One way: what travels, from and to which unit, by whose hands, for how many hours, and in what shipper."""

    bags: list[Bag]
    kind: str
    state: str
    sender: common.Unit
    receiver: common.Unit
    sending: Person
    receiving: Person
    hours: tuple[int, int]
    shipper: str
    stored_millicelsius: int | None = None
    """The store that it goes into at once on arrival; None: it goes into none."""


def travel(course: Course, leg: Leg) -> bool:
    """Tells a leg; returns False if quality has rejected what travelled."""
    return _Way(course, leg).go()


class _Way:
    def __init__(self, course: Course, leg: Leg) -> None:
        self.course = course
        self.leg = leg
        self.telling = course.telling
        self.dice = course.dice
        self.stream = course.telling.open_consignment()
        self.carrier: Site = course.cast.courier
        self.van = self.carrier.unit("road")
        self.driver, self.other_driver = self.dice.pick(
            [(one, two) for one in course.cast.drivers for two in course.cast.drivers if one is not two]
        )
        self.container = f"{leg.shipper}-{self.dice.between(1, 8):02d}"
        self.logger = f"LOGGER-{self.dice.between(1, 16):02d}"
        self.seal = f"SEAL-{self.stream[1:5].hex()}"
        self.began = 0
        band = course.pack.band_for(leg.kind, leg.state)
        assert band is not None  # Both shipped packs have one for all that travels.
        least, most = band.millicelsius_min, band.millicelsius_max
        if least is None:
            least = (0 if most is None else most) - 60_000
        self.band = (least, least + 60_000 if most is None else most)

    def say(self, by: Person, body: transport.CustodyReleased | object, **options: object) -> bytes:
        """Tells an act in the consignment's stream."""
        return self.telling.tell(by, body, stream=self.stream, **options)  # type: ignore[arg-type]  # Passed through.

    def go(self) -> bool:
        leg, course = self.leg, self.course
        course.telling.count("legs")
        self._pack()
        self._hand_over(leg.sending, leg.sender, self.driver, self.van)
        hours = self.dice.between(*leg.hours)
        course.telling.wait(hours * HOUR // 2)
        self.say(
            self.driver,
            transport.TransitCheckpointPassed(
                place=self.dice.pick(["hub north", "hub south", "airport"]),
                containers=[self.container],
                seals=self._seals(),
            ),
        )
        course.telling.wait(hours * HOUR // 2)
        self._hand_over(self.driver, self.van, leg.receiving, leg.receiver)
        excursion = self.dice.happens(self.telling.rates.excursions)
        inspected = self._inspect(excursion)
        for bag in leg.bags:
            course.tell(
                leg.receiving,
                harvest.MaterialReceived(
                    material=bag.material,
                    consignment=self.stream,
                    container=self.container,
                    unit=leg.receiver,
                    din_read=bag.din,
                    coi_read=course.coi,
                    intact=True,
                ),
            )
        if leg.stored_millicelsius is not None:
            for bag in leg.bags:
                course.store(leg.receiving, leg.receiver, bag, leg.stored_millicelsius)
        self.say(leg.receiving, transport.ConsignmentClosed(unit=leg.receiver))
        return not excursion or self._dispose(inspected)

    def _pack(self) -> None:
        leg, course = self.leg, self.course
        year_ahead = course.now + 365 * DAY
        self.say(
            leg.sending,
            transport.ConsignmentOpened(
                unit=leg.sender,
                consignment_number=f"C-{self.stream[1:7].hex()}",
                containers=[
                    common.Container(
                        container=self.container,
                        kind="dry_shipper" if leg.state == "frozen" else "cooler",
                        asset=self.container,
                        qualified_until_unix_micros=year_ahead,
                        logger=self.logger,
                        number=1,
                        number_of=1,
                    )
                ],
                destination=leg.receiver,
                carrier=self.carrier.site,
            ),
        )
        self.say(
            leg.sending,
            transport.LoggerStarted(
                container=self.container,
                logger=self.logger,
                calibrated_until_unix_micros=year_ahead,
                interval_seconds=_ARCHIVED_READINGS_SECONDS,
                band_min=celsius(self.band[0]),
                band_max=celsius(self.band[1]),
            ),
        )
        self.began = course.now
        for bag in leg.bags:
            course.tell(
                leg.sending,
                harvest.MaterialPacked(
                    material=bag.material,
                    consignment=self.stream,
                    container=self.container,
                    unit=leg.sender,
                    coi_read=course.coi,
                ),
            )
        self.say(leg.sending, transport.SealApplied(container=self.container, seal=self.seal))

    # Handoffs.

    def _seals(self) -> list[common.SealReading]:
        return [common.SealReading(container=self.container, seal=self.seal, intact=True)]

    def _hand_over(self, giver: Person, giving: common.Unit, taker: Person, taking: common.Unit) -> None:
        self.telling.count("handoffs")
        release = self._release(giver, giving, taking)
        if self.dice.happens(self.telling.rates.handoffs):
            if self.dice.happens(0.5):
                release = self._refused(release, giver, giving, taker, taking)
            else:
                release = self._missing(release, giver, giving, taker, taking)
        self.say(taker, self._accepted(release, taking, common.LINE_OUTCOME_ACCEPTED))

    def _release(self, giver: Person, giving: common.Unit, taking: common.Unit) -> bytes:
        return self.say(
            giver,
            transport.CustodyReleased(
                releaser=giving,
                receiver=taking,
                containers=[self.container],
                count=1,
                seals=self._seals(),
                waybill=f"WB-{self.stream[1:5].hex()}",
            ),
        )

    def _accepted(
        self, release: bytes, taking: common.Unit, outcome: common.LineOutcome.ValueType
    ) -> transport.CustodyAccepted:
        is_there = outcome == common.LINE_OUTCOME_ACCEPTED
        return transport.CustodyAccepted(
            release=release,
            receiver=taking,
            lines=[common.HandoffLine(container=self.container, outcome=outcome)],
            count=int(is_there),
            seals=self._seals() if is_there else [],
        )

    def _refused(self, release: bytes, giver: Person, giving: common.Unit, taker: Person, taking: common.Unit) -> bytes:
        """The receiver refuses for want of a paper; it is brought, and the container released again."""
        self.telling.count("handoffs refused")
        self.say(
            taker,
            transport.CustodyRefused(
                release=release,
                receiver=taking,
                circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="the waybill is missing"),
            ),
        )
        self.telling.wait(20 * MINUTE)
        return self._release(giver, giving, taking)

    def _missing(self, release: bytes, giver: Person, giving: common.Unit, taker: Person, taking: common.Unit) -> bytes:
        """The container is not there; it is found and released again, and quality lifts the hold."""
        self.telling.count("handoffs incomplete")
        missed = self.say(
            taker,
            self._accepted(release, taking, common.LINE_OUTCOME_NOT_PRESENT),
            intends={"CONTAINER_NOT_PRESENT"},
        )
        self.telling.wait(40 * MINUTE)
        self.say(
            giver,
            transport.PossessionReported(possessor=giving, containers=[self.container], place="behind the dock"),
            is_plain=True,
        )
        again = self._release(giver, giving, taking)
        self.say(
            self.course.cast.reviewers[0],
            quality.HoldLifted(
                holds=[hold_id(missed, "CONTAINER_NOT_PRESENT")],
                disposition="found at once; seal whole",
                circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="the container was found"),
            ),
        )
        return again

    # Condition.

    def _inspect(self, excursion: bool) -> bytes:
        leg = self.leg
        return self.say(
            leg.receiving,
            transport.ReceiptInspected(
                unit=leg.receiver,
                containers=[self.container],
                seals=self._seals(),
                loggers=[self._summary(excursion)],
            ),
            intends={"EXCURSION"} if excursion else (),
        )

    def _summary(self, excursion: bool) -> common.LoggerSummary:
        least, most = self.band
        middle = (least + most) // 2000 * 1000
        outside = self.dice.between(20, 90) * 60 if excursion else 0
        highest = most + 3 * _SPREAD_MILLICELSIUS if excursion else middle + _SPREAD_MILLICELSIUS
        last = self.course.now
        energy = self.course.pack.excursion.mean_kinetic
        return common.LoggerSummary(
            logger=self.logger,
            file=document("logger-file", self.stream),
            temperature_min=celsius(middle - _SPREAD_MILLICELSIUS),
            temperature_max=celsius(highest),
            temperature_mean_kinetic=celsius(middle),
            activation_energy_joules_per_mole=(
                ACTIVATION_ENERGY_JOULES_PER_MOLE if energy is None else energy.activation_energy_joules_per_mole
            ),
            out_of_band_seconds=outside,
            longest_out_of_band_seconds=outside,
            above_band_seconds=outside,
            interval_seconds=_ARCHIVED_READINGS_SECONDS,
            first_reading_unix_micros=self.began,
            last_reading_unix_micros=last,
            readings=max(3, (last - self.began) // (_ARCHIVED_READINGS_SECONDS * 1_000_000)),
            band_min=celsius(least),
            band_max=celsius(most),
            condition=common.CONDITION_OUT_OF_RANGE if excursion else common.CONDITION_IN_RANGE,
        )

    def _dispose(self, inspected: bytes) -> bool:
        """Quality decides about an excursion; returns whether what travelled may be used."""
        course, reviewer = self.course, self.course.cast.reviewers[0]
        course.telling.count("excursions")
        materials = [bag.material for bag in self.leg.bags]
        scope = quality.Scope(kind=quality.SCOPE_KIND_MATERIAL, ids=materials)
        reference = f"DEV-{self.stream[1:5].hex()}"
        raised = course.tell(
            reviewer,
            quality.DeviationRaised(
                reference=reference, scope=scope, description="the logger was above its band on the way"
            ),
        )
        course.telling.wait(2 * HOUR)
        # What a laboratory tests may be rejected without harm; a sample is cheap, and so it is never.
        is_rejected = self.leg.kind != "sample" and self.dice.happens(course.telling.rates.excursions_rejected)
        decision = transport.CONDITION_DECISION_REJECTED if is_rejected else transport.CONDITION_DECISION_ACCEPTED
        disposed = course.tell(
            reviewer,
            transport.ConditionDisposed(
                materials=materials,
                holds=[hold_id(inspected, "EXCURSION")],
                inspection=inspected,
                decision=decision,
                study_reference="STAB-0007",
                study=document("stability-study", "STAB-0007"),
                rationale="beyond the study" if is_rejected else "within the study",
            ),
        )
        if is_rejected:
            course.telling.count("excursions rejected")
            self._end_rejected(disposed)
        course.tell(
            reviewer,
            quality.DeviationClosed(
                deviation=raised,
                capa_reference=reference.replace("DEV", "CAPA"),
                outcome="the shipper was taken out of use and checked",
                report=document("deviation-report", reference),
            ),
        )
        return not is_rejected

    def _end_rejected(self, disposed: bytes) -> None:
        """What was rejected is destroyed, and its hold lifted."""
        course, leg = self.course, self.leg
        witness = next(
            one for one in course.cast.people() if one.site is leg.receiving.site and one is not leg.receiving
        )
        course.destroy(leg.receiving, witness, leg.receiver, leg.bags)
        course.tell(
            course.cast.reviewers[0],
            quality.HoldLifted(
                holds=[hold_id(disposed, "CONDITION_REJECTED")],
                disposition="destroyed",
                circumstances=common.Circumstances(mode=common.ENTRY_MODE_DIRECT, reason="nothing is left to hold"),
            ),
        )
