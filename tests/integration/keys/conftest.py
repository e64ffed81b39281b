"""Puts the real ledger of the recording tests on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "recording"))
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("ledger_harness", "key_world")
