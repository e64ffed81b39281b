"""Puts the real ledger of the other integration tests on the path, and the authorities of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "recording"))
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("ledger_harness", "stamped_ledger")
