"""The commands of inspectors: each question in one call, alerts, and what waits for a signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from google.protobuf.message import Message

from cellcustody.clients.cli.answers_in_tables import print_answer, statement_in_words
from cellcustody.clients.cli.context import POSITION_MAX, AsJson, context_of
from cellcustody.clients.cli.names import Names, names_of
from cellcustody.clients.cli.plain import as_json, as_json_line
from cellcustody.clients.cli.profile import id_from_text
from cellcustody.clients.cli.reading import time_of
from cellcustody.clients.cli.screen import moment, print_table, say
from cellcustody.clients.errors import ServerUnavailable
from cellcustody.clients.inspections import QUESTIONS, Question
from cellcustody.ledger.errors import ConfigurationError
from cellcustody.v1 import inspection_service_pb2

__all__ = ["register"]

Subject = Annotated[
    str,
    typer.Argument(
        help="kind:value; kinds are coi, therapy, bag, din, lot, shipper, logger, person, site, consignment, equipment."
    ),
]
At = Annotated[str, typer.Option(help="As it was at this time, ISO 8601 with offset.")]
Since = Annotated[str, typer.Option("--from", help="Only from this time on, ISO 8601 with offset.")]
Before = Annotated[str, typer.Option("--until", help="Only before this time, ISO 8601 with offset.")]
KnownAt = Annotated[int, typer.Option(min=0, max=POSITION_MAX, help="As it was known at this position.")]
PageSize = Annotated[
    int,
    typer.Option(min=0, max=(1 << 32) - 1, help="Streams or rows in one answer; 0 means as many as the server gives."),
]
PageToken = Annotated[str, typer.Option(help="Go on after the answer that printed this token.")]
OfSite = Annotated[str, typer.Option(help="Only of this site, in hexadecimal.")]
OfStream = Annotated[str, typer.Option(help="Only of this stream, in hexadecimal.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    inspect = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="An inspector's questions, one call each.")
    for question in QUESTIONS:
        inspect.command(question.name, help=f"{question.number}: {question.words}.")(_command(question))
    app.add_typer(inspect, name="inspect")
    app.command()(alerts)
    app.command()(awaiting)


def _command(question: Question[Message]) -> Callable[..., None]:
    def ask(
        context: typer.Context,
        subject: Subject = "",
        at: At = "",
        since: Since = "",
        before: Before = "",
        known_at: KnownAt = 0,
        page_size: PageSize = 0,
        page_token: PageToken = "",
        json: AsJson = False,
    ) -> None:
        if not subject and question.needs_subject and not (since or before):
            raise typer.BadParameter("about what? name a subject, or a time with --from and --until")
        with context_of(context).open_reader() as reader:
            answer = reader.inspections.ask(
                question,
                subject or None,
                at=time_of(at) if at else None,
                since=time_of(since) if since else None,
                before=time_of(before) if before else None,
                known_at_position=known_at or None,
                page_size=page_size,
                page_token=_token_from_text(page_token),
            )
            names = Names() if json else names_of(reader)
        if json:
            typer.echo(as_json(answer))
            return
        print_answer(f"{question.number}. {question.words}", answer, names)
        token: object = getattr(answer, "next_page_token", b"")
        if isinstance(token, bytes) and token:
            say(f"There is more: --page-token {token.hex()}")

    return ask


def _token_from_text(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as refusal:
        raise ConfigurationError("a page token is written in hexadecimal, as it was printed", text=text) from refusal


def alerts(
    context: typer.Context,
    site: OfSite = "",
    stream: OfStream = "",
    follow: Annotated[bool, typer.Option("--follow", help="Tell of each as it begins, becomes due and ends.")] = False,
    seconds: Annotated[float, typer.Option(help="With --follow, stop after this long; 0 means never.")] = 0,
    json: AsJson = False,
) -> None:
    """Show what wants attention now, or follow it."""
    of_site = id_from_text(site, "site") if site else b""
    of_stream = id_from_text(stream, "stream", 17) if stream else b""
    with context_of(context).open_reader() as reader:
        if follow:
            names = Names() if json else names_of(reader)
            try:
                news = reader.inspections.watch_alerts(site=of_site, stream=of_stream, timeout_seconds=seconds or None)
                for one in news:
                    typer.echo(as_json_line(one) if json else _news_in_words(one, names))
            except ServerUnavailable:
                if not seconds:  # With a limit, the end of the time is how it ends.
                    raise
            return
        answer = reader.inspections.alerts(site=of_site, stream=of_stream)
        names = Names() if json else names_of(reader)
    if json:
        typer.echo(as_json(answer))
        return
    print_table(
        f"Alerts at {moment(answer.at_unix_micros)}",
        ("kind", "state", "subject", "due", "who", "action", "because"),
        (
            (
                one.kind,
                one.state.upper() if one.state == "due" else one.state,
                one.subject,
                moment(one.due_unix_micros) if one.HasField("due_unix_micros") and one.due_unix_micros else "-",
                "\n".join(map(names.unit, one.addressees)),
                one.action,
                "\n".join(map(statement_in_words, one.statements)),
            )
            for one in answer.alerts
        ),
    )


def _news_in_words(news: inspection_service_pb2.WatchAlertsResponse, names: Names) -> str:
    alert = news.alert
    state = "over" if news.ended else alert.state
    who = ", ".join(map(names.unit, alert.addressees))
    return f"{moment(news.at_unix_micros)}  {alert.kind} {state}: {alert.subject}; {alert.action} ({who})"


def awaiting(
    context: typer.Context,
    person: Annotated[str, typer.Option(help="Person id; the profile's own if left out.")] = "",
    json: AsJson = False,
) -> None:
    """Show what awaits a person's signature, soonest due first."""
    found = context_of(context)
    with found.open_reader() as reader:
        whose = id_from_text(person, "person") if person else found.profile.id("person")
        answer = reader.inspections.awaiting_signature(whose)
    if json:
        typer.echo(as_json(answer))
        return
    print_table(
        f"Awaiting a signature at position {answer.position}",
        ("statement", "stream", "what", "as", "missing", "until"),
        (
            (
                one.outstanding.statement_digest.hex(),
                one.outstanding.stream.hex(),
                statement_in_words(one.statement),
                ", ".join(one.roles),
                str(one.outstanding.missing),
                moment(one.outstanding.due_unix_micros) if one.outstanding.due_unix_micros else "-",
            )
            for one in answer.awaiting
        ),
    )
