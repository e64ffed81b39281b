"""A ledger on PostgreSQL from its founding to a dossier that verifies, over the wire like one on SQLite."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from typer.testing import CliRunner

from cellcustody.ledger.errors import ConfigurationError, StoreError
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import parse_statement
from cellcustody.ledger.verification import Outcome, verify_dossier
from cellcustody.services.commands import app
from cellcustody.services.founding import Founded
from cellcustody.v1 import custody_query_service_pb2 as queries
from cellcustody.v1 import export_service_pb2, ledger_service_pb2, options_pb2, quality_pb2
from cellcustody.v1.custody_query_service_pb2_grpc import CustodyQueryServiceStub
from cellcustody.v1.export_service_pb2_grpc import ExportServiceStub

from .served_ledger import PASSPHRASE, TIMEOUT_SECONDS, founded_in, refusal_of, served

SCHEMA = "served_test"


@pytest.fixture
def database(recording_postgres: str) -> Iterator[str]:
    """The folder of a server's socket, with an empty schema."""
    with psycopg.connect(host=recording_postgres, dbname="postgres", user="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        yield recording_postgres
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def founded_on(database: str, folder: Path) -> Founded:
    """Founds a ledger in the schema; its files lie in the folder."""
    password = folder.parent / "password"
    password.write_text("trusted locally\n")
    password.chmod(0o600)
    table = f"""
host = {json.dumps(database)}
dbname = "postgres"
user = "postgres"
schema = "{SCHEMA}"
password_file = {json.dumps(str(password))}
"""
    return founded_in(folder, postgres=table)


def test_a_therapy_is_recorded_read_exported_and_there_after_a_restart(database: str, tmp_path: Path) -> None:
    founded = founded_on(database, tmp_path / "ledger")
    with served(founded) as ledger:
        pack = ledger.publish_pack()
        hospital = ledger.enrol_site(
            "hospital", options_pb2.CAPABILITY_COLLECT, roles=("administrator", "nurse", "reviewer")
        )
        ledger.enrol_site("office", options_pb2.CAPABILITY_REGULATE)
        therapy = ledger.therapy()
        nurse = ledger.in_role(hospital.administrator, "nurse")
        enrolment = ledger.statement(nurse, therapy, ledger.enrolment(hospital, pack))
        ledger.harvest("hospital").EnrolTherapy(enrolment, timeout=TIMEOUT_SECONDS)
        facts = [ledger.deviation(nurse, therapy) for _ in range(40)]
        answers = ledger.ledger_service("hospital").AppendBatch(
            ledger_service_pb2.AppendBatchRequest(statements=facts), timeout=TIMEOUT_SECONDS
        )
        position = answers.results[-1].recorded.position
        question = queries.GetTherapyRequest(therapy=queries.TherapyName(stream=therapy), position_min=position)
        told = CustodyQueryServiceStub(ledger.channel("hospital")).GetTherapy(question, timeout=TIMEOUT_SECONDS)
        export = ExportServiceStub(ledger.channel("office")).ExportTherapy(
            export_service_pb2.ExportTherapyRequest(stream=therapy, purpose="inspection"), timeout=TIMEOUT_SECONDS
        )
        dossier = b"".join(one.chunk for one in export)
        deviation = quality_pb2.DeviationRaised(description="under an id that is taken")
        header = ledger.header(nurse, therapy, deviation.DESCRIPTOR.full_name)
        header.statement_id = parse_statement(enrolment.envelope).statement_id
        with pytest.raises(grpc.RpcError) as refused:
            ledger.ledger_service("hospital").Append(ledger.signed(nurse, header, deviation), timeout=TIMEOUT_SECONDS)

    report = verify_dossier(dossier, parse_anchor(founded.anchor.read_bytes()))
    assert (told.entries, told.product) == (41, pack.product)
    assert report.outcome is Outcome.VERIFIED
    assert refusal_of(refused.value).reason == "STATEMENT_ID_TAKEN"
    with served(founded) as ledger:
        settled = ledger.ledger_service("hospital").Append(facts[-1], timeout=TIMEOUT_SECONDS)
        entry = ledger.ledger_service("hospital").GetEntry(
            ledger_service_pb2.GetEntryRequest(leaf_index=position - 1), timeout=TIMEOUT_SECONDS
        )

    assert (settled.already_recorded, settled.position) == (True, position)
    assert [one.record for one in entry.openings] == [one.record for one in facts[-1].openings]


def test_a_second_server_with_another_journal_is_refused(database: str, tmp_path: Path) -> None:
    """The database's own lock stands where the journal's does not: on another machine."""
    founded = founded_on(database, tmp_path / "ledger")
    twin = tmp_path / "twin"
    shutil.copytree(tmp_path / "ledger", twin)
    elsewhere = Founded(
        twin / founded.configuration.name,
        twin / founded.anchor.name,
        founded.ledger_id,
        founded.founding_digest,
        founded.registrars,
        twin / "tls" / "ca.pem",
        founded.operator,
    )
    with served(founded) as first:
        with pytest.raises(StoreError, match="WRITER_LOCKED"), served(elsewhere):
            pass
        first.enrol_site("still-writing", options_pb2.CAPABILITY_TEST)


def test_init_takes_a_database_and_refuses_one_that_is_in_use(database: str, tmp_path: Path) -> None:
    options = ["--postgres-host", database, "--postgres-dbname", "postgres", "--postgres-user", "postgres"]
    options += ["--postgres-schema", SCHEMA, "--registrars", "1", "--threshold", "1"]
    environment = {"CELLCUSTODY_PASSPHRASE": PASSPHRASE, "CELLCUSTODY_POSTGRES_PASSWORD": "trusted locally"}

    made = CliRunner().invoke(app, ["init", "--directory", str(tmp_path / "one"), *options], env=environment)
    second = CliRunner().invoke(app, ["init", "--directory", str(tmp_path / "two"), *options], env=environment)

    assert made.exit_code == 0, made.exception
    assert 'store = "postgres"' in (tmp_path / "one" / "cellcustody.toml").read_text()
    assert "JOURNAL_MISSING" in str(second.exception)
    assert not (tmp_path / "two" / "anchor.json").exists()


def test_a_database_that_does_not_answer_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="STORE_UNAVAILABLE"):
        founded_on(str(tmp_path), tmp_path / "ledger")


def test_a_schema_that_is_missing_is_named(recording_postgres: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"postgres\.schema"):
        founded_on(recording_postgres, tmp_path / "ledger")
