"""What is declared, pinned and promised about the distribution agrees."""

import os
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = ("constraints.txt", "constraints-proto.txt")


def pins(name: str) -> dict[str, str]:
    """Returns the pinned version of every package in the constraints file `name`."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_are_plain_pins(name: str) -> None:
    """Name and version alone: no hash, no address, nothing about where packages come from."""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        assert line.startswith("# ") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line


def test_every_declared_requirement_is_pinned_within_its_range() -> None:
    """What users are allowed to install includes what the tests run with."""
    pinned = pins("constraints.txt")
    declared = [
        *PROJECT["dependencies"],
        *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
    ]

    for requirement in map(Requirement, declared):
        if requirement.name != "cellcustody":
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), str(requirement)


def test_everything_installed_is_pinned() -> None:
    """An environment set up today and one set up next year are the same."""
    installed = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    unpinned = installed.keys() - pins("constraints.txt").keys() - {"cellcustody", "pip", "setuptools", "wheel"}

    assert unpinned == set()


def test_a_site_installs_three_packages() -> None:
    """The base install is what signs, sends and verifies; the rest are extras."""
    assert {Requirement(each).name for each in PROJECT["dependencies"]} == {"cryptography", "grpcio", "protobuf"}


def test_make_alone_lists_every_target() -> None:
    """The front door shows all its doors, and `.PHONY` names the same."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None

    # A make started by make says more; this one is to behave as from a shell.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(["make"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    assert [line.split()[1] for line in shown.splitlines()] == phony.group(1).split()
