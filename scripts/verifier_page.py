"""Keep the page that verifies dossiers current: the tables that it carries, and the digests that its policy names.

The rules:

* `index.html` is one file that people edit; two parts of it are made here and never by hand: the tables between their
  markers, and the SHA-256 of script and style in the content security policy, without which a browser runs neither.
* The tables are those of the contract, of the findings and of the layout of a dossier, line by line, as text that a
  person can read. What each letter means is said where they begin.
* The lines are made from the generated modules and the `.proto` files alone, so that the same tree makes the same page.
"""

import argparse
import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from cellcustody.ledger.contract import BODIES, BodyType
from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, all_rules
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.dossier.layout import FILE_NAMES, README_TEXT
from cellcustody.ledger.registry import LEDGER_KINDS
from cellcustody.ledger.statements import PayloadType
from cellcustody.ledger.verification import Check
from cellcustody.ledger.verification.statements import SIGNER_CODES
from cellcustody.v1 import dossier_pb2, entry_pb2, envelope_pb2, statement_pb2

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "ledger/cellcustody/ledger/dossier/verifiers/index.html"
PROTO: Final = ROOT / "proto/cellcustody/v1"
PACKAGE: Final = "cellcustody.v1."

BEGIN: Final = '<script type="text/plain" id="tables">\n'
END: Final = "</script><!-- tables end -->\n"
SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
POLICY: Final = re.compile(r"(script-src 'sha256-)[^']*('; style-src 'sha256-)[^']*(')")

# The messages that a verifier reads beside the bodies; what they hold comes with them.
FRAMES: Final = (
    envelope_pb2.Envelope,
    envelope_pb2.KeyPossession,
    statement_pb2.Payload,
    entry_pb2.Entry,
    dossier_pb2.DossierManifest,
    dossier_pb2.DossierBodies,
    dossier_pb2.DossierHeads,
)
KINDS: Final = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_SINT32: "sint32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_SINT64: "sint64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}
STRENGTHS: Final = {Strength.HARD_GATE: "H", Strength.GATE: "G", Strength.ADVISORY: "A", Strength.AWAITING: "W"}
FAMILIES: Final = {Family.ENTRY: "E", Family.FOLD: "F"}

LEGEND: Final = """\
# Made by scripts/verifier_page.py from the contract; do not edit.
# check NAME: what each check shows, in order. kind NAME: a payload type; whether it is logged, or by the ledger alone.
# file NAME: the files of a dossier in order. readme: SHA-256 of README.txt. pack: the built-in policy pack.
# message NAME, then its fields: number, name, type (* repeated, ! explicit presence, | the oneof it is a member of);
# in a body its disclosure class too (1 PUBLIC to 6 IDENTITY). enum NAME: number=value, those that may be signed.
# body NAME: F fact or A authorisation, kind of payload, stream kinds, capabilities of which one is asked for,
# co-signers at least, what it is. finding CODE: H hard gate, G gate, A advisory, W awaiting; E entry or F fold;
# S where the registry alone shows it again; the rule.
"""


def tables() -> str:
    """Returns the tables, each line ended by a newline."""
    return LEGEND + "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    for check in Check:
        yield f"check {check.name} {check.value}"
    for kind in PayloadType:
        yield f"kind {_kind(kind)} {'ledger' if kind in LEDGER_KINDS else 'log' if kind.is_logged else 'no'}"
    for name in FILE_NAMES:
        yield f"file {name}"
    yield f"readme {hashlib.sha256(README_TEXT).hexdigest()}"
    yield f"pack {sample_pack_bytes('built-in').decode()}"
    words = _words()
    messages: dict[str, Descriptor] = {}
    enums: dict[str, EnumDescriptor] = {}
    for frame in FRAMES:
        _reach(frame.DESCRIPTOR, messages, enums)
    for body in BODIES.values():
        _reach(body.descriptor, messages, enums)
    for name in sorted(BODIES):
        yield _body_line(BODIES[name], words.get(BODIES[name].short_name, ""))
    for name in sorted(messages):
        yield f"message {_short(name)}"
        found = BODIES.get(name)
        for field in messages[name].fields:
            disclosed = f" {int(found.classes[field.number])}" if found is not None else ""
            yield f" {field.number} {field.name} {_type_of(field)}{disclosed}"
    for name in sorted(enums):
        yield f"enum {_short(name)} " + " ".join(_values(enums[name]))
    for rule in all_rules():
        yield f"finding {rule.code} {_letters(rule)} {rule.rule}"


def _letters(rule: FindingRule) -> str:
    return STRENGTHS[rule.strength] + FAMILIES[rule.family] + ("S" if rule.code in SIGNER_CODES else "")


def _body_line(body: BodyType, words: str) -> str:
    kind = "A" if body.is_authorisation else "F"
    streams = ",".join(map(str, sorted(body.stream_kinds)))
    capabilities = ",".join(map(str, sorted(body.capabilities))) or "-"
    payload = _kind(body.payload_type)
    return f"body {body.short_name} {kind} {payload} {streams} {capabilities} {body.co_signers_min} {words}".rstrip()


def _kind(payload_type: PayloadType) -> str:
    return payload_type.value.removeprefix("application/vnd.cellcustody.").removesuffix(".v1+protobuf")


def _reach(descriptor: Descriptor, messages: dict[str, Descriptor], enums: dict[str, EnumDescriptor]) -> None:
    if descriptor.full_name in messages:
        return
    messages[descriptor.full_name] = descriptor
    for field in descriptor.fields:
        if field.message_type is not None:
            _reach(field.message_type, messages, enums)
        if field.enum_type is not None:
            enums[field.enum_type.full_name] = field.enum_type


def _type_of(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        name = _short(field.message_type.full_name)
    elif field.enum_type is not None:
        name = _short(field.enum_type.full_name)
    else:
        name = KINDS[field.type]
    oneof = field.containing_oneof
    is_optional = oneof is not None and len(oneof.fields) == 1 and oneof.name == f"_{field.name}"
    prefix = "*" if field.is_repeated else "!" if is_optional else ""
    return prefix + name + (f"|{oneof.name}" if oneof is not None and not is_optional else "")


def _values(enum: EnumDescriptor) -> Iterator[str]:
    values = [value for value in enum.values if value.number != 0]
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    for value in values:
        yield f"{value.number}={value.name.removeprefix(stem)}"


def _words() -> dict[str, str]:
    """Returns what the contract says of each message, without the name that its sentence begins with."""
    found: dict[str, str] = {}
    for path in sorted(PROTO.glob("*.proto")):
        comment: list[str] = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("// "):
                comment.append(line[3:])
            elif line.startswith("message ") and comment:
                name = line.split()[1]
                found[name] = " ".join(comment).removeprefix(f"{name} ")
                comment = []
            else:
                comment = []
    return found


def _short(name: str) -> str:
    return name.removeprefix(PACKAGE)


def current(page: str) -> str:
    """Returns the page with tables and digests as they should be.

    Raises:
        ValueError: a marker, the script, the style or the policy is not there once.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise ValueError("the tables' markers stand in the page once each")
    page = before + begin + tables() + end + after
    digests = []
    for part in (SCRIPT, STYLE):
        found = part.findall(page)
        if len(found) != 1:
            raise ValueError("a page has one script and one style")
        digests.append(base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode())
    page, replaced = POLICY.subn(rf"\g<1>{digests[0]}\g<2>{digests[1]}\g<3>", page)
    if replaced != 1:
        raise ValueError("a page has one content security policy")
    return page


def main() -> int:
    """Writes the page, or tells whether it is current; returns the exit status."""
    arguments = argparse.ArgumentParser(description="Keep the page that verifies dossiers current.")
    arguments.add_argument("--write", action="store_true", help="write the page instead of comparing it")
    is_to_write = arguments.parse_args().write
    there = PAGE.read_text("utf-8")
    expected = current(there)
    if is_to_write:
        PAGE.write_text(expected, "utf-8")
        return 0
    if there != expected:
        print("the page's tables or digests are not current: scripts/verifier_page.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
