"""Puts the real ledger, its copies and the real server of the other integration tests on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

for folder in ("recording", "services", "replica"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
pytest.register_assert_rewrite("ledger_harness", "courses", "served_ledger", "copies")
