"""Every refusal that reading a statement can end in; `reason` is documented, sent over the wire and never changes.

MalformedError
|- PublicKeyMalformedError      PUBLIC_KEY_MALFORMED
|- IdMalformedError             ID_MALFORMED
`- DescriptorShapeError         DESCRIPTOR_SHAPE
FormRefusedError
|- OversizeError                OVERSIZE
|- EnvelopeMalformedError       ENVELOPE_MALFORMED
|- PayloadTypeUnknownError      PAYLOAD_TYPE_UNKNOWN
|- WireFormError                WIRE_FORM
|- HeaderInvalidError           HEADER_INVALID
|- CommitmentMalformedError     COMMITMENT_MALFORMED
|- OpeningMissingError          OPENING_MISSING
|- OpeningInvalidError          OPENING_INVALID
`- CommitmentMismatchError      COMMITMENT_MISMATCH
SignatureRefusedError
|- KeyUnknownError              KEY_UNKNOWN
|- SignatureNotValidError       SIGNATURE_INVALID
|- SignatureRepeatedError       SIGNATURE_REPEATED
`- KeyIdsDisagreeError          KEY_IDS_DISAGREE
"""

from __future__ import annotations

from enum import StrEnum

from cellcustody.ledger.errors import FormRefusedError, MalformedError, SignatureRefusedError

__all__ = [
    "CommitmentMalformedError",
    "CommitmentMismatchError",
    "DescriptorShapeError",
    "EnvelopeMalformedError",
    "HeaderInvalidError",
    "IdMalformedError",
    "KeyIdsDisagreeError",
    "KeyUnknownError",
    "OpeningInvalidError",
    "OpeningMissingError",
    "OversizeError",
    "PayloadTypeUnknownError",
    "PublicKeyMalformedError",
    "SignatureNotValidError",
    "SignatureRepeatedError",
    "WireFormError",
    "WireRule",
]


class WireRule(StrEnum):
    """One rule of the exact wire form; a refusal names the rule it broke and the byte offset."""

    TRUNCATED = "TRUNCATED"
    """A varint, a fixed-width value or a length-delimited value runs past the end of what encloses it."""

    VARINT_NOT_SHORTEST = "VARINT_NOT_SHORTEST"
    """A varint (tag, length or value) could be written in fewer bytes."""

    VARINT_TOO_WIDE = "VARINT_TOO_WIDE"
    """A varint does not fit the width of its field, or has more than ten bytes or 64 bits."""

    TAG_INVALID = "TAG_INVALID"
    """A tag has field number 0, a field number above 2^29 - 1, or wire type 6 or 7."""

    GROUP = "GROUP"
    """A tag has wire type 3 or 4."""

    FIELD_UNKNOWN = "FIELD_UNKNOWN"
    """The schema has no field of this number."""

    WIRE_TYPE = "WIRE_TYPE"
    """The wire type is not that of the field."""

    SCALAR_NOT_PACKED = "SCALAR_NOT_PACKED"
    """An element of a repeated scalar field stands alone instead of packed."""

    PACKED_EMPTY = "PACKED_EMPTY"
    """A packed field is present and has no element."""

    FIELD_ORDER = "FIELD_ORDER"
    """A field number is lower than that of the record before it."""

    FIELD_TWICE = "FIELD_TWICE"
    """A singular field, or a packed one, occurs a second time."""

    ONEOF_TWICE = "ONEOF_TWICE"
    """A second member of one oneof is present."""

    DEFAULT_ENCODED = "DEFAULT_ENCODED"
    """A field with implicit presence is present with its default value."""

    BOOL_NOT_0_OR_1 = "BOOL_NOT_0_OR_1"
    """A bool is neither 0 nor 1."""

    ENUM_ZERO = "ENUM_ZERO"
    """An enum has the value 0, which means unspecified."""

    ENUM_UNKNOWN = "ENUM_UNKNOWN"
    """An enum has a value that the schema does not name."""

    UTF8 = "UTF8"
    """A string is not valid UTF-8."""

    NFC = "NFC"
    """A string is not in Unicode normalisation form C."""

    DEPTH = "DEPTH"
    """Messages are nested deeper than eight levels, the outermost counted as the first."""


class PublicKeyMalformedError(MalformedError):
    """Raised when bytes are not the one accepted encoding of a public key of the signature profile."""

    reason = "PUBLIC_KEY_MALFORMED"


class IdMalformedError(MalformedError):
    """Raised when an identifier of the format (stream, statement, key) is not in its exact form."""

    reason = "ID_MALFORMED"


class DescriptorShapeError(MalformedError):
    """Raised when a message of the contract has a shape that no statement may have."""

    reason = "DESCRIPTOR_SHAPE"


class OversizeError(FormRefusedError):
    """Raised when an envelope, a body or a list in it is larger than the format allows."""

    reason = "OVERSIZE"


class EnvelopeMalformedError(FormRefusedError):
    """Raised when bytes are not an envelope in its exact form; `rule` and `offset` say why, where a rule is named."""

    reason = "ENVELOPE_MALFORMED"


class PayloadTypeUnknownError(FormRefusedError):
    """Raised when an envelope's payload type is none of the format's, or not the one asked for."""

    reason = "PAYLOAD_TYPE_UNKNOWN"


class WireFormError(FormRefusedError):
    """Raised when a message is not in the exact wire form; carries the rule and the offset of the defect."""

    reason = "WIRE_FORM"

    def __init__(self, message: str, /, *, rule: WireRule, offset: int) -> None:
        super().__init__(message, rule=rule, offset=offset)
        self.rule = rule
        self.offset = offset


class HeaderInvalidError(FormRefusedError):
    """Raised when a header in exact wire form says something that no header may say; `field` names where."""

    reason = "HEADER_INVALID"

    def __init__(self, message: str, /, *, field: str, **values: object) -> None:
        super().__init__(message, field=field, **values)
        self.field = field


class CommitmentMalformedError(FormRefusedError):
    """Raised when a payload's commitment is not a root of 32 bytes with non-descending field numbers."""

    reason = "COMMITMENT_MALFORMED"


class OpeningMissingError(FormRefusedError):
    """Raised when a record that must be shown is neither opened nor, where that is allowed, closed by its hash."""

    reason = "OPENING_MISSING"


class OpeningInvalidError(FormRefusedError):
    """Raised when an opening is out of place, repeated, of the wrong size, or not of the committed field."""

    reason = "OPENING_INVALID"


class CommitmentMismatchError(FormRefusedError):
    """Raised when the records shown do not hash to the root that was signed."""

    reason = "COMMITMENT_MISMATCH"


class KeyUnknownError(SignatureRefusedError):
    """Raised when a signature's hint leads to no known key, so that nothing can be verified."""

    reason = "KEY_UNKNOWN"


class SignatureNotValidError(SignatureRefusedError):
    """Raised when a signature does not verify over the exact bytes under the signature profile."""

    reason = "SIGNATURE_INVALID"


class SignatureRepeatedError(SignatureRefusedError):
    """Raised when one key signed an envelope more than once."""

    reason = "SIGNATURE_REPEATED"


class KeyIdsDisagreeError(SignatureRefusedError):
    """Raised when the header declares other keys than those whose signatures verify."""

    reason = "KEY_IDS_DISAGREE"
