"""The dossier: one file with the statements of a therapy and what it takes to verify them offline (design, section 10).

The format stands in `layout` and is specified in docs/formats/dossier.md; `building` makes a dossier from a ledger.
Verifying one is `cellcustody.ledger.verification`, which shares the layout's names and nothing of the builder.
"""

from cellcustody.ledger.dossier.building import (
    BuiltDossier,
    DossierSource,
    GivenEntry,
    TherapyUnknownError,
    build_dossier,
    streams_given,
)
from cellcustody.ledger.dossier.embedded import EMBEDDED_NAMES, embedded_digests, embedded_verifiers
from cellcustody.ledger.dossier.layout import (
    FILE_NAMES,
    FORMAT_VERSION,
    README_TEXT,
    canonical_zip,
    encode_entries,
)

__all__ = [
    "EMBEDDED_NAMES",
    "FILE_NAMES",
    "FORMAT_VERSION",
    "README_TEXT",
    "BuiltDossier",
    "DossierSource",
    "GivenEntry",
    "TherapyUnknownError",
    "build_dossier",
    "canonical_zip",
    "embedded_digests",
    "embedded_verifiers",
    "encode_entries",
    "streams_given",
]
