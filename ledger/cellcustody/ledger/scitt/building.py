"""Lay an export of SCITT objects out: one transparent statement for each entry, and what it takes to read them.

The rules:

* The entries are those of a therapy's dossier without the registry's: the therapy, its consignments and its lots.
* Issuer is the log's origin. Subject is the statement, as `urn:cellcustody:<ledger id>:<stream>:<statement digest>`.
* Every object is verified before it is given out, and every receipt's root is that of the checkpoint in the ZIP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from cellcustody.ledger.dossier.building import GivenEntry
from cellcustody.ledger.dossier.layout import canonical_zip
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.scitt.objects import sign_receipt, transparent_statement
from cellcustody.ledger.scitt.reading import ScittInvalidError, verify_transparent_statement
from cellcustody.ledger.statements import Signer, StreamKind, parse_public_key, parse_statement
from cellcustody.ledger.transparency import parse_checkpoint

__all__ = ["ScittExport", "build_scitt"]

README: Final = b"""\
These are statements of a ledger cellcustody as SCITT and COSE objects, format 1: statements/<leaf index>.cose is a
signed statement with its receipt. They are a view for other tools. What they carry as payload, entry by entry, is
what the ledger's own formats specify and what its own verifiers verify: docs/formats/scitt.md.
"""


class ScittExport(NamedTuple):
    """The ZIP, and how many statements are in it."""

    data: bytes
    statements: int


def build_scitt(
    entries: Sequence[GivenEntry],
    *,
    checkpoint: bytes,
    ledger_id: bytes,
    signer: Signer,
    path_of: Callable[[int, int], Sequence[bytes]],
) -> ScittExport:
    """Returns the objects of these entries under a signed checkpoint; `path_of` gives inclusion proofs (index, size).

    Raises:
        ScittInvalidError: an entry is not in the checkpoint's tree.
        CoseKeyUnfitError: the key is of an algorithm that COSE has no number for.
    """
    tree = parse_checkpoint(checkpoint)
    key = parse_public_key(signer.public_key_spki)
    files: list[tuple[str, bytes]] = [
        ("README.txt", README),
        ("checkpoint", checkpoint),
        ("service-key.pem", _pem(signer.public_key_spki)),
    ]
    for given in sorted(entries):
        if StreamKind(given.stream[0]).has_one_stream:
            continue
        digest = parse_statement(read_entry(given.entry).envelope).digest
        subject = f"urn:cellcustody:{ledger_id.hex()}:{given.stream.hex()}:{digest.hex()}"
        receipt = sign_receipt(
            given.leaf_index,
            tree.size,
            path_of(given.leaf_index, tree.size),
            tree.root,
            issuer=tree.origin,
            subject=subject,
            signer=signer,
        )
        made = transparent_statement(given.entry, receipt, issuer=tree.origin, subject=subject, signer=signer)
        found = verify_transparent_statement(made, key)
        if found.root != tree.root:
            raise ScittInvalidError("a receipt leads to another root", leaf_index=given.leaf_index)
        files.append((f"statements/{given.leaf_index:012d}.cose", made))
    return ScittExport(canonical_zip(files), len(files) - 3)


def _pem(spki: bytes) -> bytes:
    return load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
