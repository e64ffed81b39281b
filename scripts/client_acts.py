"""Write the clients' module of acts from the contract: one typed method for each rpc that takes a statement.

The rules:

* An act's rpc is one from SubmitRequest to SubmitResponse whose comment says `Appends a <Body>.`; the contract's
  lint demands the comment, and this script that every body a client may sign has exactly one such rpc.
* A method is named as its rpc, in snake case. Where a body has only one stream to go to, the method asks for none.
* What the ledger signs by itself (JudgementsRevised, ExportMade) and what founds it has no rpc, and no method.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto/cellcustody/v1"
MODULE: Final = ROOT / "clients/cellcustody/clients/acts.py"
SERVICES: Final = ("harvest", "transport", "modification", "return", "registry")
FILES: Final = ("harvest", "transport", "modification", "return", "quality", "registry")
SINGLE_STREAMS: Final = {"REGISTRY": "REGISTRY", "POLICY": "POLICY", "SCHEMA": "SCHEMA"}
RPC: Final = re.compile(r"// Appends a (\w+)\.\n  rpc (\w+)\(SubmitRequest\) returns \(SubmitResponse\);")
SERVICE: Final = re.compile(r"^service (\w+) \{", re.MULTILINE)
BODY: Final = re.compile(
    r"((?:^// [^\n]*\n)+)^message (\w+) \{\n  option \(act\) = \{\n(.*?)^  \};", re.MULTILINE | re.DOTALL
)
STREAM_KINDS: Final = re.compile(r"STREAM_KIND_(\w+)")

HEAD: Final = '''\
"""Every act that a client can sign, as a typed method. Made by `scripts/client_acts.py`; do not edit.

`Acts` is what a connected site client and its outbox have in common: the first sends what was signed, the second
keeps it, and `ResultT` is what they return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar, Unpack

from cellcustody.ledger.statements.ids import StreamKind, single_stream_id

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cellcustody.clients.session import ActOptions
    from cellcustody.v1 import (
        harvest_pb2,
        modification_pb2,
        quality_pb2,
        registry_pb2,
        return_pb2,
        transport_pb2,
    )

__all__ = ["ACT_RPCS", "Acts"]

ResultT = TypeVar("ResultT")
'''

CLASS: Final = '''

class Acts(ABC, Generic[ResultT]):
    """One method for each act; each shows the statement, has it confirmed, signs it, and sends or keeps it."""

    @abstractmethod
    def act(self, stream: bytes, body: Message, **options: Unpack[ActOptions]) -> ResultT:
        """Signs `body` as a statement of `stream`, 17 bytes."""
'''


@dataclass(frozen=True, slots=True)
class Act:
    """One body with its rpc."""

    body: str
    module: str
    comment: str
    service: str
    rpc: str
    stream_kinds: tuple[str, ...]

    @property
    def method(self) -> str:
        """The rpc's name in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.rpc).lower()


def read_acts() -> tuple[Act, ...]:
    """Returns every act of the contract that has an rpc, in the order of the services."""
    bodies = {}
    for name in FILES:
        for comment, body, option in BODY.findall((PROTO / f"{name}.proto").read_text(encoding="utf-8")):
            text = " ".join(line.removeprefix("// ") for line in comment.splitlines())
            bodies[body] = (f"{name}_pb2", text, tuple(STREAM_KINDS.findall(option)))
    acts = []
    for name in SERVICES:
        text = (PROTO / f"{name}_service.proto").read_text(encoding="utf-8")
        found = SERVICE.search(text)
        assert found is not None, name
        for body, rpc in RPC.findall(text):
            module, comment, stream_kinds = bodies[body]
            acts.append(Act(body, module, comment, found[1], rpc, stream_kinds))
    assert len({act.body for act in acts}) == len(acts), "a body has two rpcs"
    return tuple(acts)


def write_module(acts: tuple[Act, ...]) -> str:
    """Returns the text of the module."""
    lines = [HEAD]
    for kind in SINGLE_STREAMS:
        lines.append(f"_{kind}: Final = single_stream_id(StreamKind.{kind})\n")
    lines.append("\nACT_RPCS: Final[dict[str, tuple[str, str]]] = {\n")
    for act in acts:
        lines.append(f'    "cellcustody.v1.{act.body}": ("{act.service}", "{act.rpc}"),\n')
    lines.append('}\n"""Service and rpc of each body, by its full name."""\n')
    lines.append(CLASS)
    for act in acts:
        parameter = f"body: {act.module}.{act.body}"
        if len(act.stream_kinds) == 1 and act.stream_kinds[0] in SINGLE_STREAMS:
            signature, stream = f"self, {parameter}, **options: Unpack[ActOptions]", f"_{act.stream_kinds[0]}"
        else:
            signature, stream = f"self, stream: bytes, {parameter}, **options: Unpack[ActOptions]", "stream"
        one_line = f"    def {act.method}({signature}) -> ResultT:\n"
        if len(one_line) > 121:
            one_line = f"    def {act.method}(\n        {signature}\n    ) -> ResultT:\n"
        lines.append(f"\n{one_line}")
        lines.append(f'        """{_docstring(act)}"""\n')
        lines.append(f"        return self.act({stream}, body, **options)\n")
    return "".join(lines)


def _docstring(act: Act) -> str:
    text = f"Signs a statement that {act.comment.partition(' ')[2]}"
    if len(text) + 14 <= 120:
        return text
    words, rows = text.split(), [""]
    first = text.split(". ")[0].split("; ")[0].split(": ")[0]
    if len(first) + 15 <= 120:
        rest = text[len(first) :].lstrip(".;: ")
        return f"{first}.\n\n        {rest[:1].upper()}{rest[1:]}\n        "
    for word in words:
        if len(rows[-1]) + len(word) + 1 > 108:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return "\n        ".join(rows) + "\n        "


def main() -> None:
    """Rewrites the module, or leaves with a message if it is out of date."""
    parser = argparse.ArgumentParser(description="Write the clients' module of acts from the contract.")
    parser.add_argument("--write", action="store_true", help="rewrite it")
    text = write_module(read_acts())
    if parser.parse_args().write:
        MODULE.write_text(text, encoding="utf-8")
    elif MODULE.read_text(encoding="utf-8") != text:
        sys.exit("clients/cellcustody/clients/acts.py is out of date; run scripts/client_acts.py --write")


if __name__ == "__main__":
    main()
