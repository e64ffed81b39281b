"""Hold records to the commitment that was signed, and to the exact wire form of their body, quickly.

The rules are those of `statements.commitment` and `statements.wireform`; this reads them a second time, record by
record, for records shorter than 128 bytes with a tag of at most two. What is accepted here is accepted there:

* Each record, open or closed, stands in its place; an open one is one whole record of the committed field, with its
  salt. Together their leaf hashes make the signed root.
* A body is in the exact wire form if each of its records is, taken alone, and if their field numbers may follow one
  another in a body of this type. Sequences of numbers are learnt from whole bodies that passed the exact check.
* Records come again and again, such as who stores what where: one that was found exact need not be looked at again.

Where this does not accept, the exact checks decide and name the defect.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from cellcustody.ledger.contract import BodyType
from cellcustody.ledger.statements import ClosedRecord, Opening
from cellcustody.ledger.statements.shapes import ValueKind, shape_of
from cellcustody.ledger.statements.varints import WIRE_LENGTH, WIRE_VARINT, encode_varint
from cellcustody.ledger.statements.wireform import fast_path_accepts

__all__ = ["RecordReader"]

RECORDS_REMEMBERED_MAX: Final = 65_536  # At most 128 bytes each: some 10 MiB, after which they are learnt anew.
LAYOUTS_REMEMBERED_MAX: Final = 4_096
NUMBERS_MAX: Final = 128  # A body with more records is a rarity that the exact checks can take care of.

_HASH_BYTES: Final = 32
_TAG_BYTES_MAX: Final = 2
_ONE_BYTE: Final = 128  # Lengths and values below this are one byte.
_LEAF: Final = sha256(b"\x00")  # Copying a hash that has begun takes half the time of beginning one.
_NODE: Final = sha256(b"\x01")


class _Place(NamedTuple):
    """What the record in one place of a body begins with; any bytes are the wire form of a field of `is_bytes`."""

    tag: bytes
    tag_bytes: int
    has_length: bool
    is_bytes: bool


class RecordReader:
    """Reads the records of bodies. One reader serves any number of threads."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[str, tuple[int, ...]], tuple[_Place, ...]] = {}
        self._exact: dict[str, set[bytes]] = {}
        self._remembered = 0

    def learn(self, found: BodyType, numbers: tuple[int, ...]) -> None:
        """Takes note of the field numbers of a whole body that was found to be in the exact wire form."""
        if len(numbers) > NUMBERS_MAX:
            return
        places: list[_Place] = []
        fields = shape_of(found.descriptor).fields
        for number in numbers:
            field = fields[number]
            wire_type = WIRE_LENGTH if field.is_packed else field.element_wire_type
            tag = encode_varint(number << 3 | wire_type)
            if len(tag) > _TAG_BYTES_MAX or wire_type not in (WIRE_LENGTH, WIRE_VARINT):
                return
            places.append(_Place(tag, len(tag), wire_type == WIRE_LENGTH, field.kind is ValueKind.BYTES))
        if len(self._layouts) >= LAYOUTS_REMEMBERED_MAX:
            self._layouts.clear()
        self._layouts[found.name, numbers] = tuple(places)

    def accepts(
        self, records: Sequence[Opening | ClosedRecord], root: bytes, numbers: tuple[int, ...], found: BodyType
    ) -> bool:
        """Tells whether these records are exactly those that were signed, each in the exact wire form of its body."""
        places = self._layouts.get((found.name, numbers))
        if places is None or len(records) != len(places) or not records:
            return False
        exact = self._exact.get(found.name)
        if exact is None:
            exact = self._exact.setdefault(found.name, set())
        hashes: list[bytes] = []
        copy_leaf = _LEAF.copy
        index = 0
        for (tag, at, has_length, is_bytes), record in zip(places, records, strict=True):
            if record.index != index:
                return False
            index += 1
            if not isinstance(record, Opening):
                if len(record.leaf_hash) != _HASH_BYTES:
                    return False
                hashes.append(record.leaf_hash)
                continue
            raw, salt = record.record, record.salt
            if len(salt) != _HASH_BYTES or not raw.startswith(tag):
                return False
            if raw not in exact:
                size = len(raw) - at - 1
                # One whole record: a length of one byte and as many bytes after it, or a varint of one byte.
                if size < 0 or raw[at] >= _ONE_BYTE or size != (raw[at] if has_length else 0):
                    return False
                if not (is_bytes and size):
                    if not fast_path_accepts(found.message_class, raw):
                        return False
                    self._remember(exact, raw)
            leaf = copy_leaf()
            leaf.update(salt + raw)
            hashes.append(leaf.digest())
        # Pairing neighbours and carrying an odd one up makes the tree of RFC 6962, section 2.1.
        copy_node = _NODE.copy
        while len(hashes) > 1:
            paired: list[bytes] = []
            for left, right in zip(hashes[::2], hashes[1::2], strict=False):
                node = copy_node()
                node.update(left + right)
                paired.append(node.digest())
            if len(hashes) & 1:
                paired.append(hashes[-1])
            hashes = paired
        return hashes[0] == root

    def _remember(self, exact: set[bytes], raw: bytes) -> None:
        if self._remembered >= RECORDS_REMEMBERED_MAX:
            for records in self._exact.values():
                records.clear()
            self._remembered = 0
        self._remembered += 1
        exact.add(raw)
