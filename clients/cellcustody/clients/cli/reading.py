"""The commands that only read; each takes `--json`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

from cellcustody.clients.cli.answers_in_tables import key_in_words
from cellcustody.clients.cli.context import POSITION_MAX, AsJson, context_of
from cellcustody.clients.cli.names import NO_NAMES, Names, names_of
from cellcustody.clients.cli.plain import as_json, as_json_line
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.screen import moment, print_table, say, short
from cellcustody.clients.errors import ServerUnavailable
from cellcustody.clients.local_store import LocalStore
from cellcustody.clients.showing import name_in_words
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import common_pb2, custody_query_service_pb2

__all__ = ["register", "therapy_of", "time_of"]

Therapy = Annotated[
    str, typer.Argument(help="The therapy's stream in hexadecimal, its CoI identifier, or scheme:value.")
]
Site = Annotated[str, typer.Option(help="Site id; the profile's own if left out.")]
UnitName = Annotated[str, typer.Option("--unit", help="Unit; the whole site if left out.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (therapy, custody, history, worklist, holdings, handoffs, consignment, readiness, trace, watch):
        app.command()(command)


def therapy_of(text: str) -> bytes | str:
    """Returns a therapy as the clients take it: 34 hexadecimal digits are a stream, all else an alias."""
    if len(text) == 34:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    return text


def therapy(context: typer.Context, name: Therapy, json: AsJson = False) -> None:
    """Show a therapy: materials, batches, holds, signatures that are outstanding."""
    with context_of(context).open_reader() as reader:
        answer = reader.therapy(therapy_of(name))
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    for alias in answer.aliases:
        say(f"{alias.scheme}: {alias.value}")
    broken = ", IDENTITY BROKEN" if answer.identity_broken else ""
    closed = ", closed" if answer.closed else ""
    say(f"stream {answer.stream.hex()}, {answer.entries} entries, position {answer.position}{closed}{broken}")
    _print_custody("Materials", answer.materials, names)
    print_table(
        "Batches",
        ("batch", "number", "state", "attempt", "results"),
        (
            (
                short(batch.batch),
                batch.batch_number,
                batch.state,
                str(batch.attempt),
                ", ".join(f"{result.name} {result.value}" for result in batch.results),
            )
            for batch in answer.batches
        ),
    )
    _print_holds(answer.holds)
    _print_outstanding(answer.outstanding)


def custody(
    context: typer.Context,
    name: Therapy,
    at: Annotated[str, typer.Option(help="As it was at this time, ISO 8601 with offset.")] = "",
    known_at: Annotated[int, typer.Option(min=0, max=POSITION_MAX, help="As it was known at this position.")] = 0,
    json: AsJson = False,
) -> None:
    """Show who answers for each material and who has it."""
    with context_of(context).open_reader() as reader:
        answer = reader.custody(
            therapy_of(name),
            at=time_of(at) if at else None,
            known_at_position=known_at or None,
        )
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    _print_custody(f"Custody at position {answer.position}", answer.materials, names)


def history(
    context: typer.Context,
    name: Therapy,
    known_at: Annotated[int, typer.Option(min=0, max=POSITION_MAX, help="As it was known at this position.")] = 0,
    json: AsJson = False,
) -> None:
    """Show what happened to a therapy, with its consignments, in order of occurrence."""
    with context_of(context).open_reader() as reader:
        answer = reader.history(therapy_of(name), known_at_position=known_at or None)
        if not known_at:
            _note_shown(reader.store, answer.items)
    if json:
        typer.echo(as_json(answer))
        return
    _print_history(f"History at position {answer.position}", answer.items)
    for gap in answer.gaps:
        end = moment(gap.end_unix_micros) if gap.HasField("end_unix_micros") else "now"
        say(f"gap in custody: {gap.subject}, {moment(gap.start_unix_micros)} to {end}", style="red")


def worklist(context: typer.Context, site: Site = "", unit: UnitName = "", json: AsJson = False) -> None:
    """Show what waits for a site: incoming, to release, to sign, refused, alerts."""
    found = context_of(context)
    with found.open_reader() as reader:
        answer = reader.worklist(id_from_text(site, "site") if site else found.profile.id("site"), unit)
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    say(f"position {answer.position}")
    _print_handoffs("Incoming", answer.incoming, names)
    _print_handoffs("Outgoing", answer.outgoing, names)
    print_table(
        "To release",
        ("batch", "number", "attempt"),
        ((batch.batch.hex(), batch.batch_number, str(batch.attempt)) for batch in answer.to_release),
    )
    _print_outstanding(answer.awaiting_signature)
    _print_history("Refused or nonconforming", answer.refused)
    _print_holds(answer.alerts)


def holdings(context: typer.Context, site: Site = "", unit: UnitName = "", json: AsJson = False) -> None:
    """Show what a site or unit answers for or has."""
    found = context_of(context)
    with found.open_reader() as reader:
        answer = reader.holdings(id_from_text(site, "site") if site else found.profile.id("site"), unit)
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    _print_custody(f"Materials at position {answer.position}", answer.materials, names)
    _print_containers("Containers", ((short(each.consignment), each.container) for each in answer.containers), names)


def handoffs(context: typer.Context, site: Site = "", json: AsJson = False) -> None:
    """List releases that nobody has answered, oldest first."""
    with context_of(context).open_reader() as reader:
        answer = reader.open_handoffs(id_from_text(site, "site") if site else b"")
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    _print_handoffs(f"Open handoffs at position {answer.position}", answer.handoffs, names)


def consignment(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="The consignment's stream in hexadecimal.")],
    json: AsJson = False,
) -> None:
    """Show a consignment: containers, seals, custody, open handoffs, holds."""
    with context_of(context).open_reader() as reader:
        answer = reader.consignment(id_from_text(stream, "consignment", 17))
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    say(f"to {names.unit(answer.destination)}, position {answer.position}{', closed' if answer.closed else ''}")
    _print_containers("Containers", ((short(answer.consignment), each) for each in answer.containers), names)
    _print_handoffs("Open handoffs", answer.open_handoffs, names)
    _print_holds(answer.holds)


def readiness(
    context: typer.Context,
    material: Annotated[str, typer.Argument(help="The bag's id in hexadecimal.")],
    json: AsJson = False,
) -> None:
    """Say whether a bag may be infused: yes, or no with every reason."""
    with context_of(context).open_reader() as reader:
        answer = reader.readiness(id_from_text(material, "material"))
    if json:
        typer.echo(as_json(answer))
        return
    say("READY" if answer.ready else "NOT READY", style="bold green" if answer.ready else "bold red")
    say(f"position {answer.position}")
    for reason in answer.reasons:
        say(f"{reason.strength} {reason.code}: {reason.explanation}")


def trace(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="`lot` or `therapy`.")],
    name: Annotated[str, typer.Argument(help="The lot number as printed, or the therapy.")],
    json: AsJson = False,
) -> None:
    """Trace a lot to the therapies it was used in, or a therapy to its lots."""
    with context_of(context).open_reader() as reader:
        match what:
            case "lot":
                answer: custody_query_service_pb2.TraceLotResponse | custody_query_service_pb2.TraceTherapyResponse
                answer = reader.trace_lot(name)
            case "therapy":
                answer = reader.trace_therapy(therapy_of(name))
            case _:
                raise typer.BadParameter("trace what? lot or therapy")
        names = NO_NAMES if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    print_table(
        f"Uses at position {answer.position}",
        ("lot", "kind", "therapy", "batch", "materials now"),
        (
            (
                use.lot.lot_number,
                use.lot.kind,
                use.therapy.hex(),
                short(use.batch),
                ", ".join(f"{short(m.material)} {m.state} at {names.unit(m.custodian)}" for m in use.materials),
            )
            for use in answer.uses
        ),
    )


def watch(
    context: typer.Context,
    stream: Annotated[str, typer.Option(help="Only of this stream, in hexadecimal.")] = "",
    after: Annotated[int, typer.Option(min=0, max=POSITION_MAX, help="From this position on; 0 means from now.")] = 0,
    seconds: Annotated[float, typer.Option(help="Stop after this long; 0 means never.")] = 0,
    count: Annotated[int, typer.Option(help="Stop after this many; 0 means never.")] = 0,
    json: AsJson = False,
) -> None:
    """Print what happens as it happens; one line each, or one JSON object a line."""
    wanted = id_from_text(stream, "stream", 17) if stream else b""
    shown = 0
    with context_of(context).open_reader() as reader:
        try:
            for news in reader.watch(after_position=after, stream=wanted, timeout_seconds=seconds or None):
                typer.echo(as_json_line(news) if json else f"{news.position}  {_item_in_words(news.item)}")
                shown += 1
                if shown == count:
                    return
        except ServerUnavailable:
            if not seconds:  # With a limit, the end of the time is how it ends.
                raise


def time_of(text: str) -> datetime:
    """Returns a time that ISO 8601 writes with its offset, in UTC.

    Raises:
        ConfigurationError: it is none, or leaves the offset out.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as refusal:
        raise ConfigurationError("a time is written in ISO 8601", text=text) from refusal
    if parsed.tzinfo is None:
        raise ConfigurationError("a time is written with its offset, such as 2026-05-01T10:30+02:00", text=text)
    try:
        return parsed.astimezone(UTC)
    except OverflowError as refusal:
        raise ConfigurationError("a time lies in the years 1 to 9999 in UTC", text=text) from refusal


def _note_shown(store: LocalStore, items: Iterable[custody_query_service_pb2.HistoryItem]) -> None:
    """Notes that this device was shown each stream's last item, for an authorisation signed next says what was seen."""
    last = {item.stream: item.statement_digest for item in sorted(items, key=lambda each: each.leaf_index)}
    for stream, digest in last.items():
        store.note_read(stream, digest)
    for stream in last:
        if StreamKind(stream[0]) is StreamKind.THERAPY:
            store.note_links(stream, tuple(other for other in last if other != stream))


def _print_custody(title: str, materials: Iterable[custody_query_service_pb2.MaterialCustody], names: Names) -> None:
    print_table(
        title,
        ("material", "kind", "state", "answers for it", "has it", "where", "holds"),
        (
            (
                each.material.hex(),
                _enum(common_pb2.MaterialKind.Name(each.kind)),
                each.state + (", released" if each.released else ""),
                names.unit(each.custodian) + (" DISPUTED" if each.disputed else ""),
                names.unit(each.possessor),
                each.position.place or each.container or "-",
                str(len(each.holds)) if each.holds else "-",
            )
            for each in materials
        ),
    )


def _print_history(title: str, items: Iterable[custody_query_service_pb2.HistoryItem]) -> None:
    print_table(
        title,
        ("leaf", "when", "what", "by", "status", "summary"),
        (
            (
                str(item.leaf_index),
                moment(item.occurred_unix_micros, item.offset_minutes),
                _act_in_words(item),
                _signer(item),
                _status(item) + (" LATE" if item.late else "") + key_in_words(item),
                item.summary + (f" [superseded by {short(item.superseded_by)}]" if item.superseded_by else ""),
            )
            for item in items
        ),
    )


def _print_handoffs(title: str, handoffs: Iterable[custody_query_service_pb2.OpenHandoff], names: Names) -> None:
    print_table(
        title,
        ("release", "consignment", "from", "to", "containers", "age"),
        (
            (
                each.release.hex(),
                each.consignment.hex(),
                names.unit(each.releaser),
                names.unit(each.receiver),
                ", ".join(each.containers),
                f"{each.age_seconds} s" + (" OVERDUE" if each.overdue else ""),
            )
            for each in handoffs
        ),
    )


def _print_containers(
    title: str, containers: Iterable[tuple[str, custody_query_service_pb2.ContainerCustody]], names: Names
) -> None:
    print_table(
        title,
        ("consignment", "container", "answers for it", "has it", "seals", "condition"),
        (
            (
                consignment,
                each.container,
                names.unit(each.custodian) + (" DISPUTED" if each.disputed else ""),
                names.unit(each.possessor),
                ", ".join(each.seals),
                _enum(common_pb2.Condition.Name(each.condition)),
            )
            for consignment, each in containers
        ),
    )


def _print_holds(holds: Iterable[custody_query_service_pb2.HoldRecord]) -> None:
    print_table(
        "Holds",
        ("hold", "code", "scope", "covers", "since"),
        (
            (
                each.hold.hex(),
                each.code,
                each.scope,
                ", ".join([*(short(material) for material in each.materials), *each.containers]) or "-",
                moment(each.since_unix_micros),
            )
            for each in holds
        ),
    )


def _print_outstanding(outstanding: Iterable[custody_query_service_pb2.OutstandingSignature]) -> None:
    print_table(
        "Awaiting a signature",
        ("statement", "stream", "what", "missing", "until"),
        (
            (
                each.statement_digest.hex(),
                each.stream.hex(),
                name_in_words(each.body_type.rpartition(".")[2]),
                str(each.missing),
                moment(each.due_unix_micros) if each.due_unix_micros else "-",
            )
            for each in outstanding
        ),
    )


def _item_in_words(item: custody_query_service_pb2.HistoryItem) -> str:
    when = moment(item.occurred_unix_micros, item.offset_minutes)
    return f"{when}  {_act_in_words(item)}  {_status(item)}  {item.summary}"


def _signer(item: custody_query_service_pb2.HistoryItem) -> str:
    """Returns who signed, in which role, of which site."""
    return ", ".join(part for part in (item.signer_name, item.role, item.site_name) if part)


def _act_in_words(item: custody_query_service_pb2.HistoryItem) -> str:
    if item.body_type:
        return name_in_words(item.body_type.rpartition(".")[2])
    return f"Co-signature of {short(item.joins)}"


def _status(item: custody_query_service_pb2.HistoryItem) -> str:
    status = item.judgement.status
    return Status(status).name if status else "-"


def _enum(name: str) -> str:
    return name.partition("_KIND_")[2].lower() or name.rpartition("CONDITION_")[2].lower()
