"""Write and read the code of a downtime form: what the ledger expected when the form was printed, in one QR symbol.

    CCDF1/F:form/L:ledger/P:position/A:act/S:stream/R:release/U:site.unit/C:container/.../M:material/.../K:sum

* Only the 45 characters of QR's alphanumeric mode stand in it, so that the symbol stays small and every scanner's
  keyboard layout types it alike. Identifiers are upper-case hexadecimal.
* Members stand in this order. F, L, P, A and S stand once; R and U once or not at all; C and M as often as needed.
* Names (units, containers) keep 0-9, A-Z, `-` and `.`; every other byte of their UTF-8 is `%` and two digits.
* The act is a body's name in words with hyphens: `CUSTODY-ACCEPTED`.
* K is the first 16 digits of the SHA-256 of all before `/K:`: a form that was cut, smudged or edited is noticed.
* There is one way to write a code. What reads as a code writes back as the very same text, or is refused.
* The code proves nothing and signs nothing: it saves typing. What is entered from it is shown, signed and attested.

docs/formats/downtime-form.md is the specification for other programs.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cellcustody.clients.labels.errors import FormCodeMalformed
from cellcustody.ledger.identifiers import check_character
from cellcustody.ledger.statements.errors import IdMalformedError
from cellcustody.ledger.statements.ids import check_stream_id

__all__ = ["CODE_PREFIX", "FORM_ID_BYTES", "FormCode", "parse_form_code"]

CODE_PREFIX: Final = "CCDF1"
FORM_ID_BYTES: Final = 8  # Drawn at random; a site prints some thousands of forms, not some thousand million.
CODE_LENGTH_MAX: Final = 2420  # What a QR symbol of the largest size holds at error correction level Q.
_ID_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_SUM_DIGITS: Final = 16
_POSITION_MAX: Final = (1 << 63) - 1
_PLAIN: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-.")
_HEX: Final = frozenset("0123456789ABCDEF")
_ACT: Final = re.compile(r"(?:[A-Z][a-z]+)+")
_ACT_CODE: Final = re.compile(r"[A-Z]{2,}(?:-[A-Z]{2,})*")
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ORDER: Final = "FLPASRUCM"
_ONCE: Final = frozenset("FLPASRU")
_NEEDED: Final = "FLPAS"


@dataclass(frozen=True, slots=True)
class FormCode:
    """What a downtime form is about.

    `form` is 8 random bytes; `ledger` 16 and `stream` 17 bytes; `position` the ledger's when it was printed; `act` the
    short name of the body that the form is for; `release` the digest of the release that is to be answered, 32 bytes,
    or empty; `site` and `unit` who acts, empty where nobody is named; `materials` 16 bytes each.
    """

    form: bytes
    ledger: bytes
    position: int
    act: str
    stream: bytes
    release: bytes = b""
    site: bytes = b""
    unit: str = ""
    containers: tuple[str, ...] = ()
    materials: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        lengths = [
            ("form", self.form, FORM_ID_BYTES),
            ("ledger", self.ledger, _ID_BYTES),
            *(("material", material, _ID_BYTES) for material in self.materials),
        ]
        lengths += [("release", self.release, _DIGEST_BYTES)] if self.release else []
        lengths += [("site", self.site, _ID_BYTES)] if self.site or self.unit else []
        for name, value, length in lengths:
            if len(value) != length:
                raise FormCodeMalformed(f"{name} is {length} bytes", offset=0, value=value.hex())
        try:
            check_stream_id(self.stream)
        except IdMalformedError as refusal:
            raise FormCodeMalformed("stream is a stream id", offset=0, value=self.stream.hex()) from refusal
        if not 0 <= self.position <= _POSITION_MAX:
            raise FormCodeMalformed("position is a position", offset=0, value=str(self.position))
        if not _ACT.fullmatch(self.act):
            raise FormCodeMalformed("act is the name of a body", offset=0, value=self.act)
        for name, entries in (("container", self.containers), ("material", tuple(m.hex() for m in self.materials))):
            if "" in entries or len(set(entries)) != len(entries):
                raise FormCodeMalformed(f"each {name} stands once, and none is empty", offset=0)

    @property
    def number(self) -> str:
        """Returns the form's number as printed and typed: 16 digits and their check character (Mod 37,2)."""
        digits = self.form.hex().upper()
        return f"{digits}{check_character(digits)}"

    @property
    def number_in_groups(self) -> str:
        """Returns the form's number in groups of four, then its check character."""
        return " ".join([*(self.number[place : place + 4] for place in range(0, 16, 4)), self.number[-1]])

    def text(self) -> str:
        """Returns the code.

        Raises:
            FormCodeMalformed: it is longer than a symbol holds; print several forms instead.
        """
        members = [
            ("F", _hex(self.form)),
            ("L", _hex(self.ledger)),
            ("P", str(self.position)),
            ("A", _CAPITAL.sub("-", self.act).upper()),
            ("S", _hex(self.stream)),
        ]
        members += [("R", _hex(self.release))] if self.release else []
        members += [("U", f"{_hex(self.site)}.{_named(self.unit)}")] if self.site else []
        members += [("C", _named(container)) for container in self.containers]
        members += [("M", _hex(material)) for material in self.materials]
        text = "/".join([CODE_PREFIX, *(f"{key}:{value}" for key, value in members)])
        text = f"{text}/K:{_sum(text)}"
        if len(text) > CODE_LENGTH_MAX:
            raise FormCodeMalformed(f"a code has at most {CODE_LENGTH_MAX} characters", offset=CODE_LENGTH_MAX)
        return text


def parse_form_code(raw: str) -> FormCode:
    """Returns what a scanner read from a downtime form.

    Raises:
        FormCodeMalformed: it is no such code, of a later version, damaged, or written in another way.
    """
    # (1): Whose code it is, and that it is whole.
    if not raw.startswith(CODE_PREFIX + "/"):
        raise FormCodeMalformed(f"must begin with {CODE_PREFIX}/", offset=0, value=ascii(raw[:6]))
    if len(raw) > CODE_LENGTH_MAX:
        raise FormCodeMalformed(f"a code has at most {CODE_LENGTH_MAX} characters", offset=CODE_LENGTH_MAX)
    body, separator, found_sum = raw.rpartition("/K:")
    if not separator:
        raise FormCodeMalformed("is cut short: no sum", offset=len(raw))
    if found_sum != _sum(body):
        raise FormCodeMalformed("the sum does not belong to the text", offset=len(body) + 3, value=ascii(found_sum))

    # (2): Its members, each once where it stands once, in their order.
    found: dict[str, list[tuple[int, str]]] = {}
    offset = len(CODE_PREFIX) + 1
    place = 0
    for member in body[offset:].split("/"):
        key, colon, value = member.partition(":")
        if not colon or key not in _ORDER or not key or _ORDER.index(key) < place or (key in _ONCE and key in found):
            raise FormCodeMalformed("no member may stand here", offset=offset, value=ascii(member[:20]))
        place = _ORDER.index(key)
        found.setdefault(key, []).append((offset + 2, value))
        offset += len(member) + 1
    for key in _NEEDED:
        if key not in found:
            raise FormCodeMalformed(f"member {key} is missing", offset=len(body))

    # (3): Their values, and that there is no other way to write them.
    site, unit = _unit(*found["U"][0]) if "U" in found else (b"", "")
    code = FormCode(
        form=_unhex(*found["F"][0]),
        ledger=_unhex(*found["L"][0]),
        position=_counted(*found["P"][0]),
        act=_act(*found["A"][0]),
        stream=_unhex(*found["S"][0]),
        release=_unhex(*found["R"][0]) if "R" in found else b"",
        site=site,
        unit=unit,
        containers=tuple(_unnamed(*each) for each in found.get("C", ())),
        materials=tuple(_unhex(*each) for each in found.get("M", ())),
    )
    if code.text() != raw:
        differs = next(at for at, pair in enumerate(zip(code.text(), raw, strict=False)) if pair[0] != pair[1])
        raise FormCodeMalformed("is written in another way than codes are", offset=differs, value=ascii(raw[differs]))
    return code


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_SUM_DIGITS].upper()


def _hex(raw: bytes) -> str:
    return raw.hex().upper()


def _unhex(offset: int, text: str) -> bytes:
    for place, character in enumerate(text):
        if character not in _HEX:
            raise FormCodeMalformed("must be 0-9, A-F", offset=offset + place, value=ascii(character))
    if len(text) % 2 or not text:
        raise FormCodeMalformed("must be whole bytes", offset=offset + len(text))
    return bytes.fromhex(text)


def _named(name: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode())


def _unnamed(offset: int, text: str) -> str:
    raw = bytearray()
    place = 0
    while place < len(text):
        if text[place] == "%":
            raw += _unhex(offset + place + 1, text[place + 1 : place + 3])
            place += 3
        elif text[place].isascii() and ord(text[place]) in _PLAIN:
            raw.append(ord(text[place]))
            place += 1
        else:
            raise FormCodeMalformed("must be 0-9, A-Z, - . or %", offset=offset + place, value=ascii(text[place]))
    try:
        return raw.decode()
    except UnicodeDecodeError as refusal:
        raise FormCodeMalformed("must be UTF-8", offset=offset) from refusal


def _act(offset: int, text: str) -> str:
    if not _ACT_CODE.fullmatch(text):
        raise FormCodeMalformed("must be an act in words with hyphens", offset=offset, value=ascii(text[:20]))
    return "".join(word.capitalize() for word in text.split("-"))


def _unit(offset: int, text: str) -> tuple[bytes, str]:
    site, dot, unit = text.partition(".")
    if not dot:
        raise FormCodeMalformed("must be a site, a point and a unit", offset=offset + len(text))
    return _unhex(offset, site), _unnamed(offset + len(site) + 1, unit)


def _counted(offset: int, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise FormCodeMalformed("must be a number", offset=offset, value=ascii(text[:20]))
    return int(text[:20])
