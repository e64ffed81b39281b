"""The commands about labels and paper: read a scan, draw a label, print a downtime form and read it back.

Reading a scan or a form's code and drawing a label need no server and no profile; what a form says comes from the
ledger. Drawing needs the extra `labels`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from cellcustody.clients.cli.context import AsJson, Context, context_of
from cellcustody.clients.cli.plain import Plain, as_json, plain_of
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import therapy_of
from cellcustody.clients.cli.screen import moment, print_table, say, unit_in_words
from cellcustody.clients.labels import (
    FORM_ID_BYTES,
    LABEL_HEIGHT_MM,
    LABEL_WIDTH_MM,
    MODULE_MM,
    Drawing,
    FormCode,
    MaterialLabel,
    Paper,
    draft_body,
    draw_form,
    draw_label,
    names_unit,
    parse_form_code,
    pdf_of,
    svg_of,
)
from cellcustody.clients.regulator import RegulatorClient
from cellcustody.ledger.errors import ConfigurationError, NotFoundError
from cellcustody.ledger.identifiers import (
    ChainOfIdentity,
    Din,
    DonationSequence,
    PlainIdentifier,
    ProcessingFacility,
    ProductCode,
    ProductDivision,
    read_scan,
)
from cellcustody.v1 import common_pb2, custody_query_service_pb2

__all__ = ["register"]

_AVAILABLE: Final = "available"

Out = Annotated[Path, typer.Option(help="File to write; its ending, .pdf or .svg, says how.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for name, words, commands in (
        ("scan", "Read what scanners give out.", (("parse", scan_parse),)),
        ("label", "Draw labels.", (("draw", label_draw),)),
        ("downtime", "Print forms for when the ledger cannot be reached, and read them back.", _DOWNTIME),
    ):
        group = typer.Typer(no_args_is_help=True, help=words)
        for command, function in commands:
            group.command(command)(function)
        app.add_typer(group, name=name)


def scan_parse(
    raw: Annotated[str, typer.Argument(help="The raw string; - reads it from standard input, one newline cut off.")],
    json: AsJson = False,
) -> None:
    """Read a scanner's raw string, or say at which character (from 0) and why it is none."""
    found = read_scan(_raw(raw))
    if json:
        typer.echo(as_json(cast(Plain, found)))
        return
    print_table(
        "Scan",
        ("offset", "what", "structure", "content", "as printed"),
        (
            (str(each["offset"]), each["name"], each["structure"] or "-", each["content"], each["printed"])
            for each in found
        ),
    )
    for each in found:
        say(f"{each['name']}: {_fields_in_words(each)}")


def label_draw(
    out: Out,
    coi: Annotated[str, typer.Option(help="Chain of identity identifier as printed, with its check character.")],
    din: Annotated[str, typer.Option(help="Donation number as printed, with its check character.")],
    product: Annotated[str, typer.Option(help="Product code: description, collection type, division; 8 characters.")],
    division: Annotated[str, typer.Option(help="Data structure 032, where the product code says 99.")] = "",
    name: Annotated[str, typer.Option(help="The product in words.")] = "",
    collected: Annotated[str, typer.Option(help="ISO 8601 with offset.")] = "",
    expires: Annotated[str, typer.Option(help="ISO 8601 with offset.")] = "",
    zone: Annotated[str, typer.Option(help="Zone to print local times in, such as Europe/Berlin.")] = "",
    facility: Annotated[str, typer.Option(help="Processing facility: FIN and six characters.")] = "",
    sec: Annotated[str, typer.Option(help="European donation: country and establishment, such as PL/001499.")] = "",
    storage: Annotated[str, typer.Option(help="How to keep it.")] = "",
    not_evaluated: Annotated[bool, typer.Option("--not-evaluated", help="The donor was not tested.")] = False,
    width_mm: Annotated[float, typer.Option(help="Width of the label.")] = LABEL_WIDTH_MM,
    height_mm: Annotated[float, typer.Option(help="Height of the label.")] = LABEL_HEIGHT_MM,
    module_mm: Annotated[float, typer.Option(help="Side of a module of the symbol.")] = MODULE_MM,
    json: AsJson = False,
) -> None:
    """Draw the label of a material, Data Matrix and text, as SVG or PDF."""
    donation = Din.parse_printed(din)
    country, _, establishment = sec.partition("/")
    label = MaterialLabel(
        chain_of_identity=ChainOfIdentity.parse_printed(coi),
        donation=donation,
        product=ProductCode.parse_content(product),
        division=ProductDivision.parse_content(division) if division else None,
        product_name=name,
        collected_at=_local_time(collected, zone) if collected else None,
        expires_at=_local_time(expires, zone) if expires else None,
        processing_facility=ProcessingFacility.parse_content(facility) if facility else None,
        donation_sequence=DonationSequence.of(country, establishment, donation) if sec else None,
        not_evaluated=not_evaluated,
        storage=storage,
    )
    drawing = draw_label(label, width_mm=width_mm, height_mm=height_mm, module_mm=module_mm)
    _print_written(_written([drawing], out), {"symbol": label.message.wire()}, json=json)


def downtime_form(
    context: typer.Context,
    out: Out,
    release: Annotated[list[str] | None, typer.Option(help="Only this release; may be given again.")] = None,
    unit: Annotated[str, typer.Option(help="Unit that is to answer; the whole site if left out.")] = "",
    therapy: Annotated[str, typer.Option(help="A therapy, for an act that follows in it.")] = "",
    act: Annotated[str, typer.Option(help="Body of the act, such as MaterialThawed; a handoff is accepted.")] = "",
    material: Annotated[list[str] | None, typer.Option(help="Only this material; may be given again.")] = None,
    letter: Annotated[bool, typer.Option("--letter", help="US Letter instead of A4.")] = False,
    json: AsJson = False,
) -> None:
    """Print forms: for every handoff that this site is to answer, or for a therapy's next act."""
    found = context_of(context)
    now = datetime.now(UTC)
    with found.open_reader() as reader:
        if therapy:
            forms = _therapy_forms(found, reader, therapy, act, [id_from_text(m, "material") for m in material or ()])
        else:
            wanted = [id_from_text(each, "release", 32) for each in release or ()]
            forms = _handoff_forms(found, reader, act or "CustodyAccepted", unit, wanted)
    if not forms:
        raise NotFoundError("nothing is expected for which a form could be printed")
    paper = Paper.LETTER if letter else Paper.A4
    pages = [page for code, lines in forms for page in draw_form(code, printed_at=now, expected=lines, paper=paper)]
    written = _written(pages, out)
    _print_written(written, {"forms": [code.number for code, _ in forms]}, json=json)


def downtime_read(
    raw: Annotated[str, typer.Argument(help="The form's code as scanned; - reads it from standard input.")],
    body: Annotated[
        Path | None, typer.Option(help="Write the body to complete to this file, for `act --body @`.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Read a form's code back: the act it is for, and its body as far as the ledger expected it."""
    code = parse_form_code(_raw(raw))
    draft = draft_body(code)
    if body is not None:
        body.write_text(as_json(draft) + "\n", encoding="utf-8")
    if json:
        typer.echo(
            as_json(
                {
                    "form": code.number,
                    "ledger": code.ledger.hex(),
                    "position": code.position,
                    "act": code.act,
                    "stream": code.stream.hex(),
                    "body": plain_of(draft),
                }
            )
        )
        return
    say(f"form {code.number_in_groups}: {code.act} in {code.stream.hex()}, printed as of position {code.position}")
    say(as_json(draft))
    say("Complete it from the paper, then:")
    say(f"cellcustody act {code.act} --stream {code.stream.hex()} --body @FILE --at TIME")


_DOWNTIME: Final = (("form", downtime_form), ("read", downtime_read))

_Forms = list[tuple[FormCode, list[tuple[str, str]]]]


def _handoff_forms(found: Context, reader: RegulatorClient, act: str, unit: str, wanted: Sequence[bytes]) -> _Forms:
    """Returns a form for each open handoff to this site, or for those that are asked for."""
    profile = found.profile
    answer = reader.worklist(profile.id("site"), unit)
    if missing := set(wanted) - {each.release for each in answer.incoming}:
        raise NotFoundError("no such release waits for this site", release=min(missing))
    return [
        (
            FormCode(
                form=os.urandom(FORM_ID_BYTES),
                ledger=profile.id("ledger"),
                position=answer.position,
                act=act,
                stream=each.consignment,
                release=each.release,
                site=each.receiver.site,
                unit=each.receiver.unit,
                containers=tuple(each.containers),
            ),
            [("From", _unit_line(each.releaser)), ("Since", moment(each.since_unix_micros))],
        )
        for each in answer.incoming
        if not wanted or each.release in wanted
    ]


def _therapy_forms(found: Context, reader: RegulatorClient, name: str, act: str, wanted: Sequence[bytes]) -> _Forms:
    """Returns a form for each material that a therapy has now, or for those that are asked for."""
    if not act:
        raise ConfigurationError("a form is for one act: give --act")
    answer = reader.therapy(therapy_of(name))
    known = {each.material for each in answer.materials}
    if missing := set(wanted) - known:
        raise NotFoundError("the therapy has no such material", material=min(missing))
    alias = next((each.value for each in answer.aliases), answer.stream.hex())
    return [
        (
            FormCode(
                form=os.urandom(FORM_ID_BYTES),
                ledger=found.profile.id("ledger"),
                position=answer.position,
                act=act,
                stream=answer.stream,
                site=each.custodian.site if names_unit(act) else b"",
                unit=each.custodian.unit if names_unit(act) else "",
                materials=(each.material,),
            ),
            _material_lines(alias, each),
        )
        for each in answer.materials
        if (each.material in wanted if wanted else each.state == _AVAILABLE)
    ]


def _material_lines(therapy: str, material: custody_query_service_pb2.MaterialCustody) -> list[tuple[str, str]]:
    lines = [("Therapy", therapy), ("Held by", _unit_line(material.custodian))]
    lines += [("Label", ", ".join(f"{each.name} {each.value}" for each in material.label))] if material.label else []
    lines += [("Where", material.position.place)] if material.position.place else []
    return lines


def _unit_line(unit: common_pb2.Unit) -> str:
    return unit_in_words(unit)


def _raw(argument: str) -> str:
    """Returns the argument, or standard input without the newline that a scanner or a shell puts at its end."""
    return sys.stdin.read().removesuffix("\n").removesuffix("\r") if argument == "-" else argument


def _local_time(text: str, zone: str) -> datetime:
    """Returns a time in a zone, or with the offset it was written with, since the label shows it so."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as refusal:
        raise ConfigurationError("a time is written in ISO 8601", text=text) from refusal
    if parsed.tzinfo is None:
        raise ConfigurationError("a time is written with its offset, such as 2026-05-01T10:30+02:00", text=text)
    if not zone:
        return parsed
    try:
        return parsed.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError) as refusal:
        raise ConfigurationError("there is no such zone", zone=zone) from refusal


def _written(drawings: Sequence[Drawing], out: Path) -> list[Path]:
    """Writes one PDF of all pages, or an SVG for each, and returns the files."""
    match out.suffix.lower():
        case ".pdf":
            out.write_bytes(pdf_of(drawings))
            return [out]
        case ".svg":
            names = [out, *(out.with_stem(f"{out.stem}-{number}") for number in range(2, len(drawings) + 1))]
            for name, drawing in zip(names, drawings, strict=True):
                name.write_text(svg_of(drawing), encoding="utf-8")
            return names
        case _:
            raise ConfigurationError("a drawing is written as .pdf or .svg", path=out)


def _print_written(files: Sequence[Path], more: dict[str, Plain], *, json: bool) -> None:
    if json:
        typer.echo(as_json({"files": [str(file) for file in files], **more}))
        return
    for file in files:
        say(f"written: {file}")
    for name, value in more.items():
        say(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def _fields_in_words(found: PlainIdentifier) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in found["fields"].items() if value not in (None, [])
    )
