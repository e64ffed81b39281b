"""Check a schema that is to be published.

The rules:

* It is a FileDescriptorSet without source info. Its digest is SHA-256 of the bytes as published: they are never
  serialised again, for how options are ordered depends on who reads them.
* Every file is named once and comes after the files it imports.
* It describes cellcustody.v1.Payload, without which no statement could be read by it.
"""

from __future__ import annotations

import hashlib
from typing import Final

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from cellcustody.ledger.registry.errors import RegistryFieldInvalidError

__all__ = ["check_descriptor_set"]

_FIELD: Final = "descriptor_set"


def check_descriptor_set(descriptor_set: bytes) -> bytes:
    """Returns the schema digest, 32 bytes.

    Raises:
        RegistryFieldInvalidError: it is not a schema in its exact form.
    """
    try:
        parsed = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set)
    except DecodeError as refusal:
        raise RegistryFieldInvalidError("not a FileDescriptorSet", field=_FIELD) from refusal
    known: set[str] = set()
    for file in parsed.file:
        if file.HasField("source_code_info"):
            raise RegistryFieldInvalidError("a schema has no source info", field=_FIELD, file=file.name)
        if file.name in known or not known.issuperset(file.dependency):
            raise RegistryFieldInvalidError("files come once, after what they import", field=_FIELD, file=file.name)
        known.add(file.name)
    messages = {f"{file.package}.{message.name}" for file in parsed.file for message in file.message_type}
    if "cellcustody.v1.Payload" not in messages:
        raise RegistryFieldInvalidError("a schema describes the payload", field=_FIELD, files=len(known))
    return hashlib.sha256(descriptor_set).digest()
