"""The two verifiers that a dossier carries, as files of this release.

The rules:

* They are a convenience for whoever has nothing but the dossier. Whoever made a dossier could put others in, so a
  verifier from elsewhere says whether these are the published ones, and rests on neither.
* Neither shares code with the product: `verify.py` needs the standard library and `cryptography`, `index.html` a
  browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cellcustody.ledger.dossier.layout import PAGE, SCRIPT

__all__ = ["EMBEDDED_NAMES", "embedded_digests", "embedded_verifiers"]

EMBEDDED_NAMES: Final = (PAGE, SCRIPT)
FOLDER: Final = Path(__file__).with_name("verifiers")


@lru_cache(maxsize=1)
def embedded_verifiers() -> Mapping[str, bytes]:
    """Returns the content of each embedded verifier of this release by its name in a dossier."""
    return MappingProxyType({name: (FOLDER / name).read_bytes() for name in EMBEDDED_NAMES})


def embedded_digests() -> dict[str, str]:
    """Returns SHA-256 in lower-case hexadecimal of each embedded verifier of this release."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in embedded_verifiers().items()}
