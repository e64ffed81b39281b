"""Puts the project on the path, so that helpers have one name, here and in processes of their own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
