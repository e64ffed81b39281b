"""Puts the project on the path, so that helpers have one name, here and in processes of their own."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests" / "unit" / "timestamps")]
