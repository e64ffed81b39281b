"""What the product and verify.py say of a dossier, each in the same words."""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple, Protocol, cast

from cellcustody.ledger.dossier import embedded
from cellcustody.ledger.dossier.layout import SCRIPT
from cellcustody.ledger.registry import Anchor, encode_anchor
from cellcustody.ledger.verification import DossierError, verify_dossier

__all__ = ["Verdict", "load_verify_py", "product_says", "verify_py_report", "verify_py_says"]

_MODULE = "cellcustody_verify_py"


class Verdict(NamedTuple):
    """An outcome; of a broken dossier the check that failed first, and the reason."""

    outcome: str
    check: str = ""
    reason: str = ""


@lru_cache(maxsize=1)
def load_verify_py() -> ModuleType:
    """Returns the embedded verify.py as a module: the very file that dossiers carry."""
    path = embedded.FOLDER / SCRIPT
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    spec.loader.exec_module(module)
    return module


def product_says(data: bytes, anchor: Anchor | None) -> Verdict:
    """Returns the verdict of `cellcustody.ledger.verification`."""
    try:
        report = verify_dossier(data, anchor)
    except DossierError as broken:
        return Verdict("BROKEN", broken.check.name, broken.reason)
    return Verdict(report.outcome.value)


class VerifyPyReport(Protocol):
    """What is read of a report of verify.py: outcome, first broken link, and result, count and note of each check."""

    outcome: str
    first_broken: VerifyPyBroken | None
    lines: dict[str, tuple[str, int, str]]


class VerifyPyBroken(Protocol):
    """The first broken link."""

    check: str
    reason: str


def verify_py_report(data: bytes, anchor: Anchor | None) -> VerifyPyReport:
    """Returns the report of verify.py, which reads the anchor's file by itself."""
    module = load_verify_py()
    read = None if anchor is None else module.read_anchor(encode_anchor(anchor))
    return cast(VerifyPyReport, module.verify(data, read))


def verify_py_says(data: bytes, anchor: Anchor | None) -> Verdict:
    """Returns the verdict of verify.py."""
    report = verify_py_report(data, anchor)
    first = report.first_broken
    if first is None:
        return Verdict(report.outcome)
    return Verdict("BROKEN", first.check, first.reason)
