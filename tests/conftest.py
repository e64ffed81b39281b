"""What every test run shares: where outside vectors are, which tests wait for another target, and the tally of both.

The rules:

* Tests marked `system` or `torture` run only when `-m` asks for them; a plain run counts what it left out.
* Outside vectors lie in the folder that CELLCUSTODY_VECTORS names. Without it the tests that need them skip, counted.
* No test depends on how fast the machine is, and property tests draw the same examples on every run in CI.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

VECTORS_VARIABLE = "CELLCUSTODY_VECTORS"
WITHOUT_VECTORS = f"{VECTORS_VARIABLE} names no folder of outside vectors"
TARGETS = {"system": "make test-system", "torture": "make torture"}

LEFT_OUT = pytest.StashKey[dict[str, int]]()

settings.register_profile(
    "cellcustody",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("cellcustody")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of outside vectors; a test that asks for it skips where there is none."""
    folder = os.environ.get(VECTORS_VARIABLE)
    if not folder:
        pytest.skip(WITHOUT_VECTORS)
    path = Path(folder)
    assert path.is_dir(), f"{VECTORS_VARIABLE} is set to {folder}, which is no folder"
    return path


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that another target runs, unless -m chose the tests of this run."""
    left_out = dict.fromkeys(TARGETS, 0)
    config.stash[LEFT_OUT] = left_out
    if config.option.markexpr:
        return
    kept, removed = [], []
    for item in items:
        marker = next((name for name in TARGETS if item.get_closest_marker(name)), None)
        if marker is None:
            kept.append(item)
        else:
            left_out[marker] += 1
            removed.append(item)
    if removed:
        config.hook.pytest_deselected(items=removed)
        items[:] = kept


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what this run did not test, and how to."""
    left_out = config.stash.get(LEFT_OUT, dict.fromkeys(TARGETS, 0))
    waiting = ", ".join(
        f"{left_out[name]} test{'s need' if left_out[name] != 1 else ' needs'} {target}"
        for name, target in TARGETS.items()
    )
    skipped = sum(VECTORS_VARIABLE in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"not run here: {waiting}; {skipped} skipped for want of {VECTORS_VARIABLE}")
