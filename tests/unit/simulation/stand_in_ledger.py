"""A ledger that takes whatever it is sent, in memory: what was sent is what these tests look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cellcustody.clients.answers import Recorded
from cellcustody.clients.connection import Connection
from cellcustody.clients.session import SignedStatement
from cellcustody.clients.simulation import telling as telling_module
from cellcustody.clients.simulation.cast import gather
from cellcustody.clients.simulation.desks import Desks
from cellcustody.clients.simulation.story import new_telling, tell_therapy
from cellcustody.clients.simulation.telling import Rates, Telling
from cellcustody.clients.simulation.world import Ground, LedgerFolder
from cellcustody.clients.site import SiteClient
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.statements import ParsedStatement, parse_statement

BEGIN = 1_704_697_200_000_000  # 2024-01-08T07:00:00Z


@dataclass
class Taken:
    """What was sent, in the order it was sent, with the site over whose connection."""

    statements: list[SignedStatement] = field(default_factory=list)
    batches: int = 0

    @property
    def parsed(self) -> list[ParsedStatement]:
        """The statements, read back from their envelopes."""
        return [parse_statement(one.envelope) for one in self.statements]

    def take(self, connection: Connection, statements: Sequence[SignedStatement]) -> list[Recorded]:
        """Records a batch."""
        self.batches += 1
        answers = []
        for one in statements:
            self.statements.append(one)
            answers.append(
                Recorded(
                    position=len(self.statements),
                    statement_id=one.statement_id,
                    statement_digest=one.digest,
                    stream=one.stream,
                    status=Status.CONFORMING,
                    findings=(),
                    receipt=b"",
                    already_recorded=False,
                    holds_opened=(),
                    puts_in_effect=b"",
                )
            )
        return answers


class _NoChannel:
    """Stands for a channel; nothing is called on it."""

    def unary_unary(self, *_: object, **__: object) -> None:
        """Gives no rpc."""


class _NoConnection:
    """Stands for a connection; its identity is all that is asked of it."""

    channel = _NoChannel()


def told(
    monkeypatch: pytest.MonkeyPatch, *numbers: int, seed: int = 1, rates: Rates | None = None
) -> tuple[Taken, Telling]:
    """Tells therapies to a ledger that takes everything, at the same desks; returns what the last one said."""
    taken = Taken()
    monkeypatch.setattr(telling_module, "deliver_statements", taken.take)

    def deliver(client: SiteClient) -> tuple[Recorded, ...]:
        assert client.outbox is not None
        waiting = [client.outbox.statement(one.number) for one in client.outbox.list("queued")]
        answers = taken.take(client.connection, waiting)
        for queued, answer in zip(client.outbox.list("queued"), answers, strict=True):
            client.outbox._note(queued.number, answer)
        return tuple(answers)

    def last_of(_: SiteClient, stream: bytes) -> SimpleNamespace:
        return SimpleNamespace(
            last_statement_digest=next(o.digest for o in taken.statements[::-1] if o.stream == stream)
        )

    monkeypatch.setattr(SiteClient, "deliver", deliver)
    monkeypatch.setattr(SiteClient, "therapy", last_of)
    monkeypatch.setattr(SiteClient, "consignment", last_of)
    world = gather(seed)
    connections = {one.site: cast(Connection, _NoConnection()) for one in world.sites}
    folder = LedgerFolder(Path("nowhere"), "nowhere:1", "")
    desks = Desks(Ground(folder, bytes(16), Path("nowhere"), seed, world, connections))
    for number in numbers:
        taken.statements.clear()
        telling = new_telling(desks, number, seed, rates or Rates(), BEGIN)
        tell_therapy(desks, telling)
    desks.close()
    return taken, telling
