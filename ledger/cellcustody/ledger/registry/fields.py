"""Check single fields of registry acts; the error names the field.

The rules:

* Ids of sites, persons and devices have 16 bytes, key ids and digests 32.
* Names are printable, of at most 200 characters, without space at either end; roles and units are shorter names, each
  once. A facility is an ISBT 128 facility identification number.
* A key to be enrolled is proven to be its holder's, and nobody ever held it.
* The log's keys carry the log's origin as their name, each once, and one at least is Ed25519.
* Registrars ascend by person id; the threshold is between 1 and their number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from cellcustody.ledger.registry.errors import KeyTakenError, QuorumUnreachableError, RegistryFieldInvalidError
from cellcustody.ledger.registry.possession import verify_possession
from cellcustody.ledger.registry.state import RegistryView
from cellcustody.ledger.transparency.errors import VerifierKeyMalformedError
from cellcustody.ledger.transparency.note_keys import NoteKeyType, is_key_name, parse_vkey
from cellcustody.v1 import registry_pb2

__all__ = [
    "check_each_once",
    "check_facility",
    "check_length",
    "check_log_keys",
    "check_name",
    "check_names",
    "check_new_keys",
    "check_origin",
    "check_registrars",
]

PARTY_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32
NAME_LENGTH_MAX: Final = 200  # A site's full name with its department; it is shown in lists.
SHORT_NAME_LENGTH_MAX: Final = 64  # Roles and units stand in headers and table columns.
ITEMS_COUNT_MAX: Final = 256  # Far above any site's units or TLS keys, and an act still fits an entry.
KEYS_PER_SIGNER_MAX: Final = 16  # Thirty years at a new card every two; a limit on everything.
_FACILITY: Final = re.compile(r"[A-NP-Z1-9][A-NP-Z0-9][0-9]{3}")  # ISBT 128 data structure 001, first five characters.


def check_length(field: str, value: bytes, length: int) -> None:
    """Returns if an id or digest has its length in bytes."""
    if len(value) != length:
        raise RegistryFieldInvalidError("an id or digest has another length", field=field, length=len(value))


def check_name(field: str, text: str, *, length_max: int = NAME_LENGTH_MAX) -> None:
    """Returns if a name can be shown and compared."""
    if not 0 < len(text) <= length_max or not text.isprintable() or text != text.strip():
        raise RegistryFieldInvalidError("a name is short and printable", field=field, length=len(text))


def check_names(field: str, names: Sequence[str]) -> None:
    """Returns if every role or unit is a short name, each once."""
    for name in names:
        check_name(field, name, length_max=SHORT_NAME_LENGTH_MAX)
    check_each_once(field, names)


def check_each_once(field: str, values: Sequence[object]) -> None:
    """Returns if no value is repeated and there are not too many."""
    if len(values) > ITEMS_COUNT_MAX or len(set(values)) != len(values):
        raise RegistryFieldInvalidError("a list names each member once", field=field, count=len(values))


def check_facility(field: str, facility: str) -> None:
    """Returns if a facility is absent or a facility identification number."""
    if facility and not _FACILITY.fullmatch(facility):
        raise RegistryFieldInvalidError("not a facility identification number", field=field, value=facility)


def check_origin(field: str, origin: str) -> None:
    """Returns if a log may have this origin: what its keys may be named."""
    if len(origin) > NAME_LENGTH_MAX or not is_key_name(origin):
        raise RegistryFieldInvalidError("an origin is a note's key name", field=field, value=origin)


def check_log_keys(field: str, keys: Sequence[str], origin: str) -> None:
    """Returns if these are verifier keys of the log with this origin."""
    check_each_once(field, keys)
    try:
        parsed = [parse_vkey(key) for key in keys]
    except VerifierKeyMalformedError as refusal:
        raise RegistryFieldInvalidError(refusal.message, field=field, **refusal.values) from refusal
    if any(key.name != origin for key in parsed):
        raise RegistryFieldInvalidError("a log's key is named by its origin", field=field, origin=origin)
    if any(key.type is NoteKeyType.ED25519_COSIGNATURE for key in parsed):
        raise RegistryFieldInvalidError("a witness's kind of key signs no log", field=field)
    if not any(key.type is NoteKeyType.ED25519 for key in parsed):
        raise RegistryFieldInvalidError("one of a log's keys is Ed25519", field=field, count=len(keys))


def check_new_keys(
    view: RegistryView,
    enrolled: Iterable[tuple[bytes, registry_pb2.EnrolledKey]],
    *,
    ledger_id: bytes,
    may_keep: Collection[bytes] = (),
) -> tuple[bytes, ...]:
    """Returns the ids of keys to be enrolled, given as (holder, key), after each is proven and free.

    A holder in `may_keep` may be named with a key that is theirs already, which needs no second proof.

    Raises:
        RegistryFieldInvalidError, PossessionNotProvenError: see `verify_possession`.
        KeyTakenError: somebody holds the key, or ever did, or it speaks for a site in TLS, or is named twice here.
    """
    new: dict[bytes, bytes] = {}
    kept: list[bytes] = []
    for holder, key in enrolled:
        own = next((record.key_id for record in view.keys_of(holder) if record.spki == key.spki), None)
        if holder in may_keep and own is not None:
            kept.append(own)
            continue
        key_id = bytes(verify_possession(key, ledger_id=ledger_id, holder=holder).key_id)
        if key_id in new or view.key_record(key_id) is not None:
            raise KeyTakenError("a key belongs to one holder, once", key_id=key_id)
        if key_id in view.state.tls_keys:
            raise KeyTakenError("a key for TLS signs no statement", key_id=key_id)
        new[key_id] = holder
    for holder in set(new.values()):
        if len(view.keys_of(holder)) + sum(1 for other in new.values() if other == holder) > KEYS_PER_SIGNER_MAX:
            raise RegistryFieldInvalidError("a signer has too many keys", field="keys", limit=KEYS_PER_SIGNER_MAX)
    return (*new, *kept)


def check_registrars(registrars: Sequence[registry_pb2.Registrar], threshold: int) -> None:
    """Returns if these may be the registrars, apart from their keys."""
    persons = [registrar.person for registrar in registrars]
    for registrar in registrars:
        check_length("registrars.person", registrar.person, PARTY_ID_BYTES)
        check_name("registrars.organisation", registrar.organisation)
    check_each_once("registrars", persons)
    if not persons or persons != sorted(persons):
        raise RegistryFieldInvalidError("registrars ascend by person id", field="registrars", count=len(persons))
    if not 1 <= threshold <= len(persons):
        raise QuorumUnreachableError(
            "the threshold is between one and the number of registrars", threshold=threshold, count=len(persons)
        )
