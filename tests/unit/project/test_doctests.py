"""Examples in docstrings are what the code does."""

import doctest
import importlib
import pkgutil

import pytest

import cellcustody.clients
import cellcustody.ledger
import cellcustody.services


def module_names() -> list[str]:
    """Returns every module of the three packages, by name."""
    packages = (cellcustody.ledger, cellcustody.services, cellcustody.clients)
    found = [
        each.name for package in packages for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return sorted(name for name in found if not name.endswith("__main__"))


@pytest.mark.parametrize("name", module_names())
def test_the_module_imports_and_its_examples_hold(name: str) -> None:
    """Every module imports by itself, and prints what its docstrings say."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
