"""Boxes with a logger on their way from the hospital to the plant, and the file that the logger leaves behind."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from courses import BOX, Course, World
from ledger_harness import MICROS

from cellcustody.ledger.condition import Band, Layout, Leg, logger_summary, summarise
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import transport_pb2 as transport

LOGGER = f"logger-{BOX}"


class Journey:
    """A box with a logger and the bags of some courses, from the hospital to the plant's door."""

    def __init__(self, world: World, *courses: Course) -> None:
        self.world = world
        self.harness = world.harness
        self.courses = courses
        for course in courses:
            course.to_the_collection("day-1")
        first = courses[0]
        self.stream = first.opens_consignment(world.nurse, world.apheresis, world.suite)
        for course in courses:
            course.packs(world.nurse, world.apheresis, self.stream, "day-1")
        first.starts_logger(world.nurse, self.stream)
        self.started_at = self.harness.clock
        first.hands_over(self.stream, (world.nurse, world.apheresis), (world.driver, world.van))
        self.left_at = self.harness.clock
        self.harness.tick(3600)
        first.hands_over(self.stream, (world.driver, world.van), (world.operator, world.suite))
        self.arrived_at = self.harness.clock

    def file(self, *warm_minutes: int) -> bytes:
        """Returns the logger's file: 5 degrees every five minutes, 11 degrees at the readings named."""
        minutes = range(0, (self.arrived_at - self.started_at) // (60 * MICROS) + 10, 5)
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.started_at)
        rows = [
            f"{(start + timedelta(minutes=minute)).isoformat()},{'11.0' if minute in warm_minutes else '5.0'}\n"
            for minute in minutes
        ]
        head = f"cellcustody-logger-file 1\nlogger: {LOGGER}\nunit: Cel\ninterval-seconds: 300\n"
        return (head + f"readings: {len(rows)}\ntime,temperature\n" + "".join(rows)).encode()

    def summary(self, *warm_minutes: int) -> common.LoggerSummary:
        """Returns what that file shows of the leg."""
        stream = io.BytesIO(self.file(*warm_minutes))
        return logger_summary(
            summarise(stream, Layout.NEUTRAL, band=Band(2_000, 8_000), leg=Leg(self.left_at, self.arrived_at))
        )

    def inspects(self, summary: common.LoggerSummary) -> Recorded:
        """The plant inspects the box with this summary."""
        body = transport.ReceiptInspected(unit=self.world.suite, containers=[BOX], loggers=[summary])
        return self.harness.say(self.world.operator, self.stream, body)

    def takes_out(self, course: Course) -> Recorded:
        """The plant takes a bag out."""
        return course.receives(self.world.operator, self.world.suite, self.stream, "day-1")

    def held(self, course: Course) -> set[str]:
        """The codes of the holds that stand on a course's bag."""
        return {hold.code for hold in self.harness.therapy(course.stream).state.holds_on(course.material("day-1"))}
