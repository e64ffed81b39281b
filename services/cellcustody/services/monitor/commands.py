"""The commands of a monitor: `monitor` follows a log, `monitor verify-fork` and `monitor prove-fork` handle proofs.

Ends with 0 if nothing was found false, now or before in this state; with 1 if something was; with 2 for a wrong
command, 4 where nobody answers, 6 where entries are for members. `--follow` ends with SIGTERM or SIGINT, by the same.
"""

from __future__ import annotations

import json as json_module
import signal
import sys
import threading
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.registry import Anchor, parse_anchor
from cellcustody.ledger.transparency import build_fork_proof, parse_checkpoint, verify_checkpoint, verify_fork_proof
from cellcustody.services.monitor.following import Look, Monitor
from cellcustody.services.monitor.sources import (
    EntitledOpenings,
    LogFiles,
    LogUnavailableError,
    PublicOpenings,
    TlsPaths,
)
from cellcustody.services.monitor.state import monitor_state

__all__ = ["monitor"]

monitor = typer.Typer(add_completion=False, help="Follow a ledger's log, judge it again, and prove a fork.")


@monitor.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    anchor: Annotated[Path | None, typer.Option(help="Anchor file, got elsewhere than from the operator.")] = None,
    url: Annotated[str, typer.Option(help="The log's address (http or https).")] = "",
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the copy and what was found.")] = None,
    gossip: Annotated[
        list[str] | None, typer.Option(help="Address of a witness or a mirror that shows this log's checkpoints.")
    ] = None,
    grpc: Annotated[str, typer.Option(help="host:port of the ledger, to read what this site may read of bodies.")] = "",
    ca: Annotated[Path | None, typer.Option(help="Authority of the ledger's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="This site's certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    follow: Annotated[float, typer.Option(min=0, help="Look again after so many seconds; 0: look once.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print each look as one JSON object on a line.")] = False,
) -> None:
    """Follows a log: verifies every entry, judges it again, compares what others were shown; ends with 1 for a lie."""
    if context.invoked_subcommand is not None:
        return
    if anchor is None or not url or state is None:
        raise ConfigurationError("a monitor needs --anchor, --url and --state")
    tls = _tls(ca, certificate, key)
    if grpc and tls is None:
        raise ConfigurationError("--grpc needs --ca, --certificate and --key")
    ended = threading.Event()
    if follow:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        files = LogFiles(url, tls)
        stack.callback(files.close)
        public_files = LogFiles(url, tls)
        stack.callback(public_files.close)
        entitled = EntitledOpenings(grpc, tls) if grpc and tls is not None else None
        if entitled is not None:
            stack.callback(entitled.close)
        known = stack.enter_context(monitor_state(state))
        watching = Monitor(
            _anchor(anchor),
            files,
            entitled or PublicOpenings(public_files),
            known,
            gossip=gossip or (),
            tls=tls,
            alias_key=None if entitled is None else entitled.alias_key(),
        )
        while True:
            try:
                _print(watching.look(), as_json=json)
            except LogUnavailableError as silence:
                if not follow:
                    raise
                print(f"monitor: {silence}", file=sys.stderr)
            if not follow or ended.wait(follow):
                break
        if count := len(known.findings()):
            # Each look shows its own findings alone: why a quiet one ends with 1 must be told.
            print(f"monitor: {count} found FALSE, now or before: {state / 'findings.jsonl'}", file=sys.stderr)
            raise typer.Exit(1)


@monitor.command("verify-fork")
def verify_fork(
    file: Annotated[Path, typer.Argument(help="The proof.")],
    anchor: Annotated[Path, typer.Option(help="Anchor file of the log.")],
) -> None:
    """Verifies offline that a log signed two checkpoints that cannot both be true; ends with 1 if that is unproven."""
    trusted = _anchor(anchor)
    proven = verify_fork_proof(_read(file), trusted.log_origin, trusted.log_keys)
    typer.echo(
        json_module.dumps(
            {
                "outcome": "FORK",
                "origin": trusted.log_origin,
                "first": {"size": proven.first.size, "root": proven.first.root.hex()},
                "second": {"size": proven.second.size, "root": proven.second.root.hex()},
            },
            indent=1,
        )
    )


@monitor.command("prove-fork")
def prove_fork(
    first: Annotated[Path, typer.Argument(help="A checkpoint.")],
    second: Annotated[Path, typer.Argument(help="Another, that contradicts it.")],
    anchor: Annotated[Path, typer.Option(help="Anchor file of the log.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    state: Annotated[
        Path | None, typer.Option(help="A monitor's folder with a copy of the larger tree, where the sizes differ.")
    ] = None,
) -> None:
    """Makes a proof of two checkpoints of a log that cannot both be true; ends with 1 if they can."""
    trusted = _anchor(anchor)
    notes = sorted((_read(first), _read(second)), key=lambda note: parse_checkpoint(note).size)
    small, large = (verify_checkpoint(note, trusted.log_origin, trusted.log_keys) for note in notes)
    if small.size == large.size:
        proof = build_fork_proof(*notes)
    elif state is None:
        raise ConfigurationError("checkpoints of different size need --state, with a copy of the larger tree")
    else:
        with monitor_state(state) as known:
            tree, size = known.replica.tree, known.replica.size
            if size < large.size or tree.root(large.size) != large.root:
                raise ConfigurationError("the copy is not of the larger tree", size=size, wanted=large.size)
            proof = build_fork_proof(
                *notes,
                prefix_root=tree.root(small.size),
                proof=tree.consistency_proof(small.size, large.size),
            )
    verify_fork_proof(proof, trusted.log_origin, trusted.log_keys)
    out.write_bytes(proof)
    typer.echo(json_module.dumps({"proof": str(out)}))


def _print(look: Look, *, as_json: bool) -> None:
    plain = {**asdict(look), "root": look.root.hex()}
    if as_json:
        typer.echo(json_module.dumps(plain))
        return
    typer.echo(
        f"size {look.size}: {look.entries} new, {look.judged} judged again, {look.unverified} UNVERIFIED, "
        f"{look.comparisons} with comparisons on the ledger's word; maps {look.maps_matching} right, "
        f"{look.maps_unverified} UNVERIFIED; elsewhere {look.gossip_agreeing} agree, {look.gossip_pending} ahead, "
        f"{len(look.gossip_silent)} silent"
    )
    for reason, count in look.reasons.items():
        typer.echo(f"  UNVERIFIED {count}: {reason}")
    for finding in look.findings:
        values = ", ".join(f"{name}={value}" for name, value in finding.items() if name != "code")
        typer.echo(f"  FALSE {finding['code']}: {values}")


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> TlsPaths | None:
    if ca is None and certificate is None and key is None:
        return None
    if ca is None or certificate is None or key is None:
        raise ConfigurationError("--ca, --certificate and --key belong together")
    return TlsPaths(ca, certificate, key)


def _anchor(path: Path) -> Anchor:
    return parse_anchor(_read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as refusal:
        raise ConfigurationError("the file cannot be read", path=path, because=refusal.strerror) from refusal
