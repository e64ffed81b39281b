"""Opens the verifier page in a headless Chromium, and makes the dossiers that it is tried on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "unit/verification")]
pytest.register_assert_rewrite("forge", "map_forge", "verifier_page_driver")

from devtools import Browser, Page  # noqa: E402  (after the path is set)
from forge import Forge  # noqa: E402
from verifier_page_driver import VerifierPage  # noqa: E402

from cellcustody.ledger.dossier.embedded import __file__ as embedded_file  # noqa: E402

INDEX = Path(embedded_file).with_name("verifiers") / "index.html"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser without a network."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def by_hand(browser: Browser) -> Page:
    """The page freshly opened from disk, to be used as a person does."""
    return browser.open(INDEX)


@pytest.fixture(scope="session")
def page(browser: Browser) -> VerifierPage:
    """The page opened from disk, to be used through its interface for machines."""
    return VerifierPage(browser.open(INDEX))


@pytest.fixture(scope="session")
def lawful() -> Forge:
    """A ledger with a short lawful history; not to be changed."""
    return Forge().founds().lives()


@pytest.fixture
def forge() -> Forge:
    """A founded ledger in which nothing has happened yet."""
    return Forge().founds()
