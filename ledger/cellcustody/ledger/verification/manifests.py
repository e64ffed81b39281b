"""Hold a dossier to its manifest: who signed it, which files and streams it lists.

The rules:

* The manifest is an envelope of its own kind with one signature, by the service key of the ledger at the position that
  it names, in the exact wire form.
* It lists every other file by name, length and SHA-256, in order, and nothing else.
* Its position is the checkpoint's size; its streams are exactly those of the entries, with their counts and last leaf
  hashes: the registry's three, the therapy, and consignments and lots.
* Every stream that an open body of the therapy cites is among them. What is open is of the classes it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.dossier.citations import cited_in
from cellcustody.ledger.dossier.embedded import embedded_digests
from cellcustody.ledger.dossier.layout import FILE_NAMES, FORMAT_VERSION, MANIFEST
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import RegistryState
from cellcustody.ledger.statements import (
    Opening,
    PayloadType,
    StreamKind,
    parse_envelope,
    parse_statement,
    parse_wire_form,
    verify_envelope,
)
from cellcustody.ledger.verification.container import EntryToVerify
from cellcustody.ledger.verification.errors import ManifestInvalidError, ScopeInvalidError
from cellcustody.ledger.verification.statements import CheckedStatement, read_given_entry
from cellcustody.v1 import dossier_pb2, options_pb2

__all__ = ["check_open_classes", "check_scope", "unpublished_verifiers", "verify_manifest"]

_GIVEN_KINDS: Final = frozenset({StreamKind.CONSIGNMENT, StreamKind.LOT})
_REGISTRY_KINDS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})


def verify_manifest(files: Mapping[str, bytes], registry: RegistryState, size: int) -> dossier_pb2.DossierManifest:
    """Returns the manifest after its signature and its list of files have been verified.

    Raises:
        ManifestInvalidError: the ledger did not sign it, or it lists other files.
    """
    view = registry.as_of(size)
    service_key = view.service_key_id
    try:
        # (1): The ledger's service key covers these very bytes.
        envelope = parse_envelope(files[MANIFEST])
        signed_by = verify_envelope(envelope, registry.public_key)
        if envelope.payload_type is not PayloadType.DOSSIER_MANIFEST or signed_by != (service_key,):
            raise ManifestInvalidError(
                "the manifest is not signed by the ledger's service key",
                payload_type=envelope.payload_type.value,
                signed_by=" ".join(key_id.hex() for key_id in signed_by),
            )
        manifest = parse_wire_form(dossier_pb2.DossierManifest, envelope.payload)
    except ManifestInvalidError:
        raise
    except CellcustodyError as defect:
        raise ManifestInvalidError("the manifest is not what the ledger signed", defect=str(defect)) from defect

    # (2): It is of this format, ledger and checkpoint.
    if manifest.format_version != FORMAT_VERSION or manifest.ledger_id != view.ledger_id or manifest.position != size:
        raise ManifestInvalidError(
            "the manifest is of another format, ledger or checkpoint",
            format_version=manifest.format_version,
            ledger_id=manifest.ledger_id,
            position=manifest.position,
            size=size,
        )

    # (3): These files, and no other.
    listed = [(file.name, file.length_bytes, file.sha256) for file in manifest.files]
    found = [(name, len(files[name]), hashlib.sha256(files[name]).digest()) for name in FILE_NAMES if name != MANIFEST]
    if listed != found:
        differing = [name for (name, *rest), other in zip(found, listed, strict=False) if (name, *rest) != other]
        raise ManifestInvalidError("the files are not those that the manifest lists", files=" ".join(differing))
    classes = list(manifest.open_classes)
    if classes != sorted(set(classes)) or options_pb2.DISCLOSURE_CLASS_PUBLIC not in classes:
        raise ManifestInvalidError("open classes ascend, PUBLIC among them")
    return manifest


def unpublished_verifiers(files: Mapping[str, bytes]) -> dict[str, str]:
    """Returns SHA-256 in hexadecimal of each embedded verifier that is not the one of this release, by its name."""
    published = embedded_digests()
    found = {name: hashlib.sha256(files[name]).hexdigest() for name in published}
    return {name: digest for name, digest in found.items() if digest != published[name]}


def check_scope(
    manifest: dossier_pb2.DossierManifest,
    heads: Mapping[bytes, tuple[int, bytes]],
    statements: Sequence[CheckedStatement],
) -> int:
    """Returns how many streams were held to the manifest, and to what the therapy cites.

    Raises:
        ScopeInvalidError: the streams are others than the manifest lists, or one that is cited is not there.
    """
    # (1): The streams and how far they go.
    listed = [(stream.stream, stream.entries, stream.last_leaf_hash) for stream in manifest.streams]
    found = [(stream, sequence, leaf_hash) for stream, (sequence, leaf_hash) in sorted(heads.items())]
    if listed != found:
        raise ScopeInvalidError(
            "the entries are not those that the manifest lists",
            listed=len(listed),
            found=len(found),
            differing=" ".join(
                stream.hex() for stream in sorted({row[0] for row in set(listed).symmetric_difference(found)})
            ),
        )

    # (2): Of the kinds that a therapy's dossier has, and that one therapy.
    if manifest.therapy not in heads or manifest.therapy[0] != StreamKind.THERAPY:
        raise ScopeInvalidError("the therapy's own entries are not there", therapy=manifest.therapy)
    for stream in heads:
        if stream != manifest.therapy and stream[0] not in _GIVEN_KINDS and stream[0] not in _REGISTRY_KINDS:
            raise ScopeInvalidError("a stream has no place in this dossier", stream=stream)

    # (3): What the therapy cites.
    for one in statements:
        if one.stream == manifest.therapy and one.body is not None:
            for cited in cited_in(one.body):
                if cited not in heads and BODIES[one.body_type].payload_type is PayloadType.CUSTODY:
                    raise ScopeInvalidError(
                        "a stream that the therapy cites is not there", leaf_index=one.leaf_index, cited=cited
                    )
    return len(heads)


def check_open_classes(manifest: dossier_pb2.DossierManifest, entries: Sequence[EntryToVerify]) -> int:
    """Returns how many records of the classes that the manifest names as open are closed all the same.

    Raises:
        ScopeInvalidError: a record of another class is open.
    """
    allowed = frozenset(DisclosureClass(number) for number in manifest.open_classes)
    closed = 0
    for given in entries:
        if not given.records:
            continue
        statement = parse_statement(read_given_entry(given).envelope)
        classes = BODIES[statement.header.body_type].classes
        for record in given.records:
            is_allowed = classes[statement.commitment.field_numbers[record.index]] in allowed
            is_open = isinstance(record, Opening)
            if is_open and not is_allowed:
                raise ScopeInvalidError(
                    "a record is open that the manifest does not name", leaf_index=given.leaf_index, record=record.index
                )
            closed += is_allowed and not is_open
    return closed
