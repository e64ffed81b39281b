"""Policy packs as their authors write them: compiled to the signed form, and linted."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files

import pytest

from cellcustody.ledger.custody.policy import (
    Budget,
    Json,
    PolicyMalformedError,
    PolicyPack,
    canonical_json,
    sample_pack_bytes,
)
from cellcustody.ledger.custody.policy_lint import LintLevel, lint
from cellcustody.ledger.custody.policy_source import compile_pack

SHIPPED = ("cellcustody-sample-product-eu-1", "cellcustody-sample-product-us-1")
FOLDER = files("cellcustody.ledger.custody") / "packs"


def source(name: str = SHIPPED[0]) -> str:
    """Returns the source of a pack that ships."""
    return (FOLDER / f"{name}.toml").read_text("utf-8")


def changed(path: str, value: Json) -> PolicyPack:
    """Returns a shipped pack with one member changed; `#` separates the parts of its path."""
    pack = json.loads(sample_pack_bytes(SHIPPED[0]))
    *parents, last = path.split("#")
    place = pack
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    place[int(last) if isinstance(place, list) else last] = value
    return PolicyPack.parse(canonical_json(pack))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pack_is_what_its_source_compiles_to(name: str) -> None:
    """The compiled file is the canonical bytes themselves, so that its SHA-256 is the policy digest."""
    compiled = compile_pack(source(name).encode())
    assert (FOLDER / f"{name}.json").read_bytes() == compiled, "compile the source again"
    assert sample_pack_bytes(name) == compiled


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pack_is_complete_invented_and_without_fault(name: str) -> None:
    """It says that it is no medical advice, sets every budget, and the linter finds nothing in it."""
    pack = PolicyPack.parse(sample_pack_bytes(name))
    assert "NOT MEDICAL ADVICE" in source(name)
    assert "Not medical advice" in pack.notice
    assert all(pack.budget(budget) is not None for budget in Budget)
    assert pack.dose is not None and pack.monitoring is not None and pack.follow_up[-1].due_after_days > 15 * 364
    assert lint(pack) == ()


def test_the_two_packs_differ_where_the_law_does() -> None:
    """Screening of autologous donors, release out of specification, who releases, how long a patient is watched."""
    eu, us = (PolicyPack.parse(sample_pack_bytes(name)) for name in SHIPPED)
    assert (eu.jurisdiction, us.jurisdiction) == ("EU", "US")
    assert (eu.eligibility.not_evaluated_allowed, us.eligibility.not_evaluated_allowed) == (False, True)
    assert (eu.oos_release.allowed, us.oos_release.allowed) == (True, False)
    assert eu.roles_for("BatchReleased") == {"qualified_person"}
    assert us.roles_for("BatchReleased") == {"quality_reviewer"}
    assert eu.monitoring != us.monitoring


def test_a_source_in_json_compiles_to_the_same() -> None:
    """What TOML writes as numbers, JSON may too."""
    assert compile_pack(json.dumps(tomllib.loads(source())).encode(), is_toml=False) == compile_pack(source().encode())


def test_times_numbers_and_names_are_written_as_people_write_them() -> None:
    """Units of time, exact numbers, lists in any order, nulls and defaults left out."""
    written = source()
    assert '"72 h"' in written and "volume_tolerance = 0.05" in written
    pack = PolicyPack.parse(compile_pack(written.encode()))
    assert pack.budget(Budget.FRESH_HOLD) == 72 * 3600
    members = json.loads(compile_pack(written.encode()))
    assert members["volume_tolerance"] == "0.05"
    assert members["required_identity_checks"] == ["CHAIRSIDE", "LABEL", "PROCESS", "RECEIPT"]
    assert members["tests"][0] == {
        "conditional": False,
        "max": None,
        "min": None,
        "outcome": "PASS",
        "phases": ["release"],
        "required": True,
        "test": "identity",
        "unit": None,
    }


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ('fresh_hold_seconds = "72 h"', 'fresh_hold_seconds = "3 weeks"', "$.budgets.fresh_hold_seconds"),
        ('fresh_hold_seconds = "72 h"', "fresh_hold_seconds = 1.5", "$.budgets.fresh_hold_seconds"),
        ("volume_tolerance = 0.05", "volume_tolerance = inf", "$.volume_tolerance"),
        ("volume_tolerance = 0.05", "volume_tolerance = nan", "$.volume_tolerance"),
        ("volume_tolerance = 0.05", "volume_tolerance = -0.05", "$.volume_tolerance"),
        ("version = 1", "version = 2026-01-01", "$.version"),
        ('product = "', 'produkt = "', "$.product"),
        ('step = "ConsentRecorded"\nafter = ["TherapyEnrolled"]', 'step = "X"\nafter = ["Y"]', "$.steps[1].after"),
    ],
)
def test_what_is_wrong_in_a_source_is_told_with_its_path(before: str, after: str, path: str) -> None:
    """The author finds the place."""
    assert before in source()
    with pytest.raises(PolicyMalformedError) as refused:
        compile_pack(source().replace(before, after).encode())
    assert refused.value.values["path"] == path


@pytest.mark.parametrize("broken", [b"\xff", b"a = ", b"[[[", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused(broken: bytes) -> None:
    """Not UTF-8, cut short, or a member twice."""
    with pytest.raises(PolicyMalformedError):
        compile_pack(broken)


def test_a_member_twice_in_a_json_source_is_refused() -> None:
    """Nobody would know which one counts."""
    with pytest.raises(PolicyMalformedError):
        compile_pack(b'{"a": 1, "a": 1}', is_toml=False)


@pytest.mark.parametrize(
    ("path", "value", "at"),
    [
        ("roles#BatchReleased", ["quality_reviwer"], "$.roles.BatchReleased"),
        ("roles#BatchReleased", [], "$.roles.BatchReleased"),
        ("roles#BatchLiberated", ["nurse"], "$.roles.BatchLiberated"),
        ("overridable_gates#OTHER_PATIENTS_MATERIAL", ["quality_head"], "$.overridable_gates.OTHER_PATIENTS_MATERIAL"),
        ("overridable_gates#LATE", ["quality_head"], "$.overridable_gates.LATE"),
        ("overridable_gates#NO_SUCH_CODE", ["quality_head"], "$.overridable_gates.NO_SUCH_CODE"),
        ("overridable_gates#BUDGET_EXCEEDED", [], "$.overridable_gates.BUDGET_EXCEEDED"),
        ("hold_lifting_roles#NO_SUCH_CODE", ["quality_head"], "$.hold_lifting_roles.NO_SUCH_CODE"),
        ("hold_lifting_roles", {}, "$.hold_lifting_roles"),
        ("must_have_seen#InfusionStarted", ["therapy"], "$.must_have_seen.InfusionStarted"),
        ("must_have_seen#BatchReleased", ["patient"], "$.must_have_seen.BatchReleased"),
        ("required_identity_checks", ["EVERYWHERE"], "$.required_identity_checks"),
        ("temperature_bands#0#kind", "cells", "$.temperature_bands[0].kind"),
        ("temperature_bands#0#state", "tepid", "$.temperature_bands[0].state"),
        ("temperature_bands#1#millicelsius_max", -120, "$.temperature_bands[1].millicelsius_max"),
        ("tests#0#outcome", None, "$.tests[0]"),
        ("tests", [], "$.tests"),
        ("budgets#infusion_seconds", 30, "$.budgets.infusion_seconds"),
        ("budgets#infusion_seconds", None, "$.budgets.infusion_seconds"),
        ("budgets#thaw_to_infusion_start_seconds", 7_000, "$.budgets.thaw_to_infusion_start_seconds"),
        ("budgets#thaw_to_infusion_end_seconds", 7_201, "$.budgets.thaw_to_infusion_end_seconds"),
        ("budgets#bedside_check_validity_seconds", 300, "$.co_signing.BedsideChecked.window_seconds"),
        ("volume_tolerance", "5", "$.volume_tolerance"),
        ("yield#CustodyReleased", {"measurement": None, "min": "0", "max": "1"}, "$.yield.CustodyReleased"),
        ("steps#0#step", "TherapyStarted", "$.steps[0].step"),
        ("steps#3#step", "CustodyReleased", "$.steps[3].step"),
        ("steps", [], "$.steps"),
        ("follow_up#0#window_days", 60, "$.follow_up[1].window_days"),
    ],
)
def test_the_linter_finds_it_and_says_what_to_do(path: str, value: Json, at: str) -> None:
    """Each with the path, in a pack that parses."""
    try:
        pack = changed(path, value)
    except PolicyMalformedError:
        # The order names the step elsewhere: it is taken out there too.
        text = sample_pack_bytes(SHIPPED[0]).replace(b'"SlotReserved"', b'"CustodyReleased"')
        members = json.loads(text.replace(b'"TherapyEnrolled"', b'"TherapyStarted"'))
        for step in members["steps"]:
            step["after"].sort()
        pack = PolicyPack.parse(canonical_json(members))
    found = {one.path: one for one in lint(pack)}
    assert at in found, sorted(found)
    assert found[at].message and found[at].remedy


def test_a_role_of_ones_own_is_no_fault() -> None:
    """Roles are free; a slip of the pen is not."""
    assert lint(changed("roles#BatchReviewed", ["release_officer"])) == ()
    slip = lint(changed("roles#BatchReviewed", ["quality_reviwer"]))
    assert [(one.level, one.value, one.message) for one in slip] == [
        (LintLevel.WARNING, "quality_reviwer", "it reads like quality_reviewer")
    ]


def test_roles_are_those_that_sites_give_where_all_are_named() -> None:
    """Whatever is not among them is found, in each place; whatever is, is not."""
    pack = changed("roles#BatchReviewed", ["release_officer"])
    given = {role for roles in pack.roles.values() for role in roles} | set(pack.training_roles)
    for one in (*pack.overridable_gates.values(), *pack.hold_lifting_roles.values()):
        given |= set(one)
    given |= {role for one in pack.co_signing.values() for role in one.roles}
    assert lint(pack, roles=given) == ()
    assert [(one.path, one.value) for one in lint(pack, roles=given - {"release_officer"})] == [
        ("$.roles.BatchReviewed", "release_officer")
    ]
