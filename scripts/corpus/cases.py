"""What a case is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from cellcustody.ledger.registry import Anchor

__all__ = ["EXPECTATIONS", "Case", "Expectation", "Family", "all_cases", "cases_of", "expectations"]

EXPECTATIONS: Final = Path(__file__).with_name("expectations.tsv")
_FAMILIES: Final = (
    "good",
    "container",
    "entry_files",
    "envelopes",
    "headers",
    "keys",
    "registry_acts",
    "signers",
    "judgements",
    "joining",
    "checkpoints",
    "manifests",
    "heads",
)


class Case(NamedTuple):
    """A dossier, the anchor to verify it with (None: without one), and the name of what is wrong with it."""

    name: str
    data: bytes
    anchor: Anchor | None


class Expectation(NamedTuple):
    """What is expected of a case; `check` and `reason` are empty where nothing is broken."""

    name: str
    outcome: str
    check: str
    reason: str


class Family:
    """The cases of one family, as functions that make them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.makers: list[Callable[[], Iterator[Case]]] = []

    def __call__(self, maker: Callable[[], Iterator[Case]]) -> Callable[[], Iterator[Case]]:
        """Adds a function that yields cases."""
        self.makers.append(maker)
        return maker

    def cases(self) -> Iterator[Case]:
        """Yields the family's cases, named by it."""
        for maker in self.makers:
            for case in maker():
                yield case._replace(name=f"{self.name}/{case.name}")


def cases_of(family: str) -> Iterator[Case]:
    """Yields the cases of one family, named by its module."""
    yield from import_module(f"corpus.{family}").FAMILY.cases()


def all_cases() -> Iterator[Case]:
    """Yields every case, in a fixed order; together they are some hundred megabytes."""
    names: set[str] = set()
    for name in _FAMILIES:
        for case in cases_of(name):
            if case.name in names:
                raise ValueError(f"two cases are named {case.name}")
            names.add(case.name)
            yield case


def expectations() -> dict[str, Expectation]:
    """Returns what is expected of each case, by its name."""
    lines = EXPECTATIONS.read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {name: Expectation(name, outcome, check, reason) for name, outcome, check, reason in rows}
