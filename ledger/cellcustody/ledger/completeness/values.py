"""Keys and values of the two maps, and the key under which aliases are blinded (docs/formats/head-map.md).

The rules:

* A stream's key is the hash of its id; its value is id, count of entries, and leaf hash of the last.
* An alias' key is an HMAC of scheme and normalised value; its value is the ids of the therapies that claim it.
* A chain of identity identifier is normalised to its content, for it is printed with and without spaces.
* The blinding key never stands in the log. Its commitment does, so that a wrong key is noticed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from cellcustody.ledger.completeness.errors import AliasKeyMalformedError, AliasKeyMismatchError
from cellcustody.ledger.completeness.sparse_map import ALIASES, HEADS, map_root
from cellcustody.ledger.identifiers import ChainOfIdentity, IdentifierMalformedError

__all__ = [
    "ALIAS_KEY_BYTES",
    "ALIAS_STREAM_BYTES",
    "COI_SCHEME",
    "AliasKey",
    "alias_key_commitment",
    "alias_value",
    "aliases_root",
    "blinded_alias",
    "head_value",
    "heads_root",
    "normalised_alias",
    "parse_alias_key_file",
    "stream_key",
]

ALIAS_KEY_BYTES: Final = 32
ALIAS_STREAM_BYTES: Final = 17
COI_SCHEME: Final = "isbt128-coi"
_KEY_LABEL: Final = b"cellcustody/alias-key/v1"
_LEDGER_ID_BYTES: Final = 16


class AliasKey(NamedTuple):
    """The key of one ledger's map of aliases."""

    ledger_id: bytes
    key: bytes

    @property
    def commitment(self) -> bytes:
        """What the ledger's logged maps state of it."""
        return alias_key_commitment(self.ledger_id, self.key)

    def check(self, commitment: bytes) -> None:
        """Returns if this is the key that a logged map states.

        Raises:
            AliasKeyMismatchError: it is another.
        """
        if not hmac.compare_digest(self.commitment, commitment):
            raise AliasKeyMismatchError(
                "the key of aliases is not the one that the map states", stated=commitment, given=self.commitment
            )

    def to_file(self) -> bytes:
        """Returns the content of an alias key file."""
        return b"%b\n%b\n%b\n" % (_KEY_LABEL, self.ledger_id.hex().encode(), self.key.hex().encode())


def parse_alias_key_file(content: bytes) -> AliasKey:
    """Returns the key in an alias key file.

    Raises:
        AliasKeyMalformedError: it is none.
    """
    label, _, rest = content.partition(b"\n")
    ledger_id, _, rest = rest.partition(b"\n")
    try:
        found = AliasKey(bytes.fromhex(ledger_id.decode("ascii")), bytes.fromhex(rest.decode("ascii").rstrip("\n")))
    except ValueError as defect:
        raise AliasKeyMalformedError("an alias key file holds hexadecimal digits") from defect
    is_whole = len(found.ledger_id) == _LEDGER_ID_BYTES and len(found.key) == ALIAS_KEY_BYTES
    if label != _KEY_LABEL or not is_whole or found.to_file() != content:
        raise AliasKeyMalformedError("an alias key file has three lines: what it is, the ledger, the key")
    return found


def alias_key_commitment(ledger_id: bytes, alias_key: bytes) -> bytes:
    """Returns the commitment to a key of 32 bytes of the ledger with an id of 16 bytes."""
    return hashlib.sha256(_KEY_LABEL + b"\x00" + ledger_id + alias_key).digest()


def stream_key(stream: bytes) -> bytes:
    """Returns the key of a stream in the map of heads."""
    return hashlib.sha256(stream).digest()


def head_value(stream: bytes, count: int, last_leaf_hash: bytes) -> bytes:
    """Returns the value of a stream (17 bytes) with so many entries, the last with this leaf hash."""
    return stream + count.to_bytes(8, "big") + last_leaf_hash


def normalised_alias(scheme: str, value: str) -> str:
    """Returns the value of an alias as it is blinded.

    >>> normalised_alias("isbt128-coi", "CHA9999 25 000001 G")
    'CHA999925000001'
    >>> normalised_alias("order", "PO-17")
    'PO-17'
    """
    if scheme != COI_SCHEME:
        return value
    try:
        return ChainOfIdentity.parse_printed(value).content
    except IdentifierMalformedError:
        return value  # The ledger enrols nobody under such a one; who asks for it gets the answer that it is not here.


def blinded_alias(alias_key: bytes, scheme: str, value: str) -> bytes:
    """Returns the key of an alias in the map of aliases."""
    named = scheme.encode()
    message = len(named).to_bytes(2, "big") + named + normalised_alias(scheme, value).encode()
    return hmac.digest(alias_key, message, "sha256")


def alias_value(therapies: Collection[bytes]) -> bytes:
    """Returns the value of an alias that these therapies (17 bytes each) claim."""
    return b"".join(sorted(set(therapies)))


def heads_root(heads: Mapping[bytes, tuple[int, bytes]]) -> bytes:
    """Returns the root of the map of these heads: by stream, the count of entries and the leaf hash of the last."""
    return map_root(HEADS, {stream_key(stream): head_value(stream, *head) for stream, head in heads.items()})


def aliases_root(aliases: Mapping[bytes, Collection[bytes]]) -> bytes:
    """Returns the root of the map of these aliases: by blinded key, the streams of the therapies."""
    return map_root(ALIASES, {key: alias_value(therapies) for key, therapies in aliases.items()})
