"""What people sign on the command line is shown, confirmed, recorded, or kept until somebody takes it."""

from pathlib import Path

from tests.e2e.cli.cli_world import Desks, Printed, run


def answered(printed: Printed) -> dict[str, object]:
    """Returns what was answered in JSON."""
    answer = printed.json
    assert isinstance(answer, dict)
    return answer


def test_an_act_is_shown_in_words_and_recorded(desks: Desks) -> None:
    """Who, in which role, meaning what, when, and every field; the answer alone is on standard output."""
    printed = desks.says(
        "nurse", "act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), "--yes", "--json"
    )

    assert printed.code == 0, printed.err
    recorded = answered(printed)
    assert recorded["status"] == "CONFORMING"
    assert len(str(recorded["holds_opened"])) > 64
    for shown in ("Hold placed (fact)", "collection nurse of Hospital", "performed", "Europe/Berlin", "label is loose"):
        assert shown in printed.err


def test_a_fact_that_breaks_a_rule_is_recorded_and_explained(desks: Desks) -> None:
    """It ends with 0, for what happened is recorded; the rule, its values and the hold are told."""
    printed = desks.says(
        "nurse", "act", "transfer-between-units", "--stream", desks.stream, "--body", desks.body_of_transfer(), "--yes"
    )

    assert printed.code == 0, printed.err
    assert "NONCONFORMING at position" in printed.out
    assert "NOT_CUSTODIAN" in printed.out
    assert desks.bag in printed.out
    assert "hold opened: " in printed.out


def test_another_person_joins_a_statement(desks: Desks) -> None:
    """The statement is shown as recorded before it is joined; the signer of it cannot join it."""
    printed = desks.says(
        "nurse",
        *("act", "transfer-between-units", "--stream", desks.stream, "--body", desks.body_of_transfer()),
        *("--yes", "--json"),
    )
    digest = str(answered(printed)["statement_digest"])
    assert digest in desks.says("second-nurse", "worklist").out

    alone = desks.says("nurse", "co-sign", digest, "--meaning", "accepted", "--yes")
    joined = desks.says("second-nurse", "co-sign", digest, "--meaning", "accepted", "--yes")

    assert alone.code == 3
    assert "DIFFERENT_PERSON_NEEDED" in alone.err
    assert joined.code == 0, joined.err
    assert "RECORDED at position" in joined.out
    assert desks.bag in joined.out
    assert digest not in desks.says("second-nurse", "worklist").out


def test_an_authorisation_against_the_rules_is_refused_with_every_reason(desks: Desks) -> None:
    """It ends with 3."""
    printed = desks.says("nurse", "act", "close-therapy", "--stream", desks.stream, "--body", "{}", "--yes")

    assert printed.code == 3
    assert "RULES_REFUSED" in printed.err
    assert "GATE MATERIALS_NOT_ENDED" in printed.err
    assert printed.out == ""


def test_what_was_read_counts_as_seen(desks: Desks) -> None:
    """After the history was shown, nothing in it is held against an authorisation as unseen."""
    close = ("act", "close-therapy", "--stream", desks.stream, "--body", "{}", "--yes")
    assert "UNSEEN_DECISION" in desks.says("second-nurse", *close).err

    desks.says("second-nurse", "history", desks.stream)

    assert "UNSEEN_DECISION" not in desks.says("second-nurse", *close).err


def test_assessing_tells_what_would_be_found_and_records_nothing(desks: Desks) -> None:
    """Position and finding are those of a dry run."""
    act = ("act", "transfer-between-units", "--stream", desks.stream, "--body", desks.body_of_transfer(), "--assess")

    first, second = desks.says("nurse", *act, "--json"), desks.says("nurse", *act)

    assert answered(first)["status"] == "NONCONFORMING"
    assert f"as of position {answered(first)['position']}" in second.out


def test_what_is_not_confirmed_is_not_signed(desks: Desks) -> None:
    """The question is put on standard error; no is the default."""
    printed = desks.says(
        "nurse", "act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), typed="n\n"
    )

    assert printed.code == 3
    assert "SIGNING_DECLINED" in printed.err


def test_a_wrong_passphrase_signs_nothing(desks: Desks) -> None:
    """The key is named, its passphrase is not."""
    printed = desks.says(
        *("nurse", "act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), "--yes"),
        CELLCUSTODY_PASSPHRASE="guessed wrongly",
    )

    assert printed.code == 2
    assert "PASSPHRASE_WRONG" in printed.err
    assert "guessed" not in printed.err


def test_a_wrong_body_names_the_field_on_one_line(desks: Desks) -> None:
    """It ends with 2 before anything is asked or signed."""
    printed = desks.says("nurse", "act", "place-hold", "--stream", desks.stream, "--body", '{"reason": "x"}', "--yes")

    assert printed.code == 2
    assert '"reason"' in printed.err
    assert len(printed.err.splitlines()) == 1


def test_what_is_queued_is_relayed_by_another_site_and_then_delivered(desks: Desks, tmp_path: Path) -> None:
    """The courier hands over the nurse's statement; her own delivery finds it recorded at the same position."""
    act = ("act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), "--yes", "--queue")
    assert desks.says("nurse", *act).code == 0
    file = tmp_path / "outbox.sealed"
    assert desks.says("nurse", "outbox", "export", str(file)).code == 0

    relayed = desks.says("driver", "outbox", "relay", str(file), "--json")
    delivered = desks.says("nurse", "outbox", "deliver", "--json")

    assert relayed.code == delivered.code == 0, relayed.err + delivered.err
    assert relayed.json == delivered.json
    (kept,) = answered_list(desks.says("nurse", "outbox", "list", "--json"))
    assert kept["state"] == "delivered"
    assert "1 removed" in desks.says("nurse", "outbox", "acknowledge").out


def test_what_nobody_took_is_kept_and_delivered_later(desks: Desks, tmp_path: Path) -> None:
    """It ends with 4; the same statement is delivered when the server is back."""
    offline = desks.changed("second-nurse", tmp_path, target="127.0.0.1:1")
    act = ("act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), "--yes")

    printed = run("--profile", str(offline), *act)

    assert printed.code == 4
    assert "kept in the outbox as number" in printed.err
    (kept,) = answered_list(desks.says("second-nurse", "outbox", "list", "--json"))
    assert kept["state"] == "queued"
    delivered = desks.says("second-nurse", "outbox", "deliver")
    assert delivered.code == 0, delivered.err
    assert str(kept["statement_digest"]) in delivered.out


def answered_list(printed: Printed) -> list[dict[str, object]]:
    """Returns a list that was answered in JSON."""
    answer = printed.json
    assert isinstance(answer, list)
    return answer


def test_the_servers_log_tells_of_nobody(desks: Desks) -> None:
    """Calls are logged with method, outcome and site; no name, role, patient, person or content of a body is."""
    desks.says("nurse", "act", "place-hold", "--stream", desks.stream, "--body", desks.body_of_hold(), "--yes")
    log = (desks.world.folder / "server.log").read_text()

    assert "/PlaceHold" in log
    for private in ("nurse", "MRN-", "WB-", "label is loose", desks.story.cast.nurse.person.hex(), desks.story.coi):
        assert private not in log
