"""Write from the contract which rpc takes which act, and the clients' module with one typed method for each of them.

The rules:

* Services and clients read one table, `cellcustody.ledger.act_rpcs`; neither can import the other.

* An act's rpc is one from SubmitRequest to SubmitResponse whose comment says `Appends a <Body>.`; the contract's
  lint demands the comment, and this script that every body a client may sign has exactly one such rpc.
* A method is named as its rpc, in snake case. Where a body has only one stream to go to, the method asks for none.
* What the ledger signs by itself (JudgementsRevised, ExportMade, HeadsMapped, ...) and what founds it has no rpc, and
  no method.
"""

import argparse
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PROTO: Final = ROOT / "proto/cellcustody/v1"
MODULE: Final = ROOT / "clients/cellcustody/clients/acts.py"
TABLE: Final = ROOT / "ledger/cellcustody/ledger/act_rpcs.py"
FIRST: Final = ("harvest", "transport", "modification", "return")  # As the process goes; the others by name.
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
{modules}
    )

__all__ = ["Acts"]

ResultT = TypeVar("ResultT")
'''

TABLE_HEAD: Final = '''\
"""Which rpc takes which act. Made by `scripts/client_acts.py` from the contract's comments; do not edit."""

from __future__ import annotations

from typing import Final

__all__ = ["ACT_RPCS"]

ACT_RPCS: Final[dict[str, tuple[str, str]]] = {
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
    files = [path.name.removesuffix(".proto") for path in sorted(PROTO.glob("*.proto"))]
    for name in files:
        for comment, body, option in BODY.findall((PROTO / f"{name}.proto").read_text(encoding="utf-8")):
            text = " ".join(line.removeprefix("// ") for line in comment.splitlines())
            bodies[body] = (f"{name}_pb2", text, tuple(STREAM_KINDS.findall(option)))
    acts = []
    others = [name.removesuffix("_service") for name in files if name.endswith("_service")]
    for name in (*FIRST, *(name for name in others if name not in FIRST)):
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
    modules = sorted({act.module for act in acts})
    lines = [HEAD.replace("{modules}", "\n".join(f"        {module}," for module in modules))]
    for kind in SINGLE_STREAMS:
        lines.append(f"_{kind}: Final = single_stream_id(StreamKind.{kind})\n")
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


def write_table(acts: tuple[Act, ...]) -> str:
    """Returns the text of the table of rpcs."""
    rows = [f'    "cellcustody.v1.{act.body}": ("{act.service}", "{act.rpc}"),\n' for act in acts]
    return "".join(
        (TABLE_HEAD, *rows, '}\n"""Service and rpc of each body that somebody sends, by its full name."""\n')
    )


def _docstring(act: Act) -> str:
    text = f"Signs a statement that {act.comment.partition(' ')[2]}"
    if len(text) + 14 <= 120:
        return text
    first = text.split(". ")[0].split("; ")[0].split(": ")[0]
    if len(first) + 15 <= 120:
        rest = text[len(first) :].lstrip(".;: ")
        text, opening = f"{rest[:1].upper()}{rest[1:]}", f"{first}.\n\n        "
    else:
        opening = ""
    return opening + "\n        ".join(textwrap.wrap(text, 104)) + "\n        "


def main() -> None:
    """Rewrites both modules, or leaves with a message if one is out of date."""
    parser = argparse.ArgumentParser(description="Write the table of acts and rpcs, and the clients' module of acts.")
    parser.add_argument("--write", action="store_true", help="rewrite them")
    acts = read_acts()
    texts = {MODULE: write_module(acts), TABLE: write_table(acts)}
    if parser.parse_args().write:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    else:
        for path, text in texts.items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path.relative_to(ROOT)} is out of date; run scripts/client_acts.py --write")


if __name__ == "__main__":
    main()
