"""What an inspector asks when the story is told: questions on the command line, and each judgement that stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cellcustody.clients.cli.main import run
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.findings import is_blocking
from cellcustody.v1 import custody_query_service_pb2
from demo.profiles import write_profile
from demo.telling import Story
from demo.world import REGULATE, Person, Site

__all__ = ["ask", "check_judgements", "enrol_inspector"]

QUESTIONS: Final = ("gaps", "corrections", "exceptions", "conditions", "infusions", "follow-up")
COLUMNS: Final = "140"
WELL: Final = frozenset({Status.CONFORMING, Status.IN_EFFECT, Status.RECORDED})


def enrol_inspector(story: Story) -> tuple[Site, Person, Path]:
    """Returns a regulator, an inspector of it, and their profile for the command line."""
    world = story.world
    regulator = world.enrol_site(world.registrars(), "Regulator", [REGULATE], ["inspection"])
    inspector = world.enrol(regulator, "inspector", "inspection")
    return regulator, inspector, write_profile(world, inspector, world.folder / "inspector.toml", site=regulator)


def ask(story: Story, profile: Path) -> None:
    """Asks some of the questions as they are typed."""
    os.environ.setdefault("COLUMNS", COLUMNS)
    for question in QUESTIONS:
        _type(story, profile, "inspect", question, story.coi)
    _type(story, profile, "alerts", "--stream", story.therapy.hex())


def _type(story: Story, profile: Path, *arguments: str) -> None:
    story.world.tell(f"\n$ cellcustody {' '.join(arguments)}")
    try:
        run(["--profile", str(profile), *arguments])
    except SystemExit as ended:
        if ended.code:
            raise


def check_judgements(story: Story, history: custody_query_service_pb2.GetHistoryResponse) -> None:
    """Ends the demonstration if anything stands judged otherwise than the story meant, after all that came later."""
    intended = dict(story.intended)
    for item in history.items:
        if item.superseded_by:
            continue
        status = Status(item.judgement.status)
        codes = {one.code for one in item.judgement.findings}
        meant = intended.pop(item.statement_digest, frozenset())
        blocking = {code for code in codes if is_blocking(code)}
        if blocking != {code for code in meant if is_blocking(code)} or (status not in WELL and not meant):
            raise SystemExit(f"{item.summary}: {status.name} {codes}, intended {set(meant)}")
    if intended:
        raise SystemExit(f"{len(intended)} statements that were to be nonconforming are not in the history")
