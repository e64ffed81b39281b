"""Puts the real ledger of the other integration tests on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "recording"))
pytest.register_assert_rewrite("ledger_harness", "courses")
