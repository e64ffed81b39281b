"""Policy packs: exact form, and what they answer."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction

import pytest

from cellcustody.ledger.custody.findings import Family, Strength, rule_of
from cellcustody.ledger.custody.policy import (
    DEFAULT_PACK,
    Json,
    PolicyMalformedError,
    PolicyPack,
    canonical_json,
    sample_pack_bytes,
)


def changed(path: str, value: Json) -> bytes:
    """Returns the sample pack with the member at a dotted path set to a value, or taken away where it is None."""
    pack = json.loads(sample_pack_bytes())
    *parents, name = path.split(".")
    place = pack
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return canonical_json(pack)


def test_the_sample_pack_is_invented_and_reads() -> None:
    """It says that it is no medical advice, and its digest is that of its bytes."""
    shipped = sample_pack_bytes()
    pack = PolicyPack.parse(shipped)
    assert b"Not medical advice" in shipped
    assert pack.digest == hashlib.sha256(shipped).digest()
    assert (pack.product, pack.jurisdiction, pack.version) == ("cellcustody-demo-product", "EU", 1)
    assert pack.volume_tolerance == Fraction(1, 20)


def test_every_gate_that_a_shipped_pack_overrides_is_a_gate() -> None:
    """No pack of ours names a hard gate, an advisory or a finding of entry as overridable."""
    for code in PolicyPack.parse(sample_pack_bytes()).overridable_gates:
        assert (rule_of(code).strength, rule_of(code).family) == (Strength.GATE, Family.FOLD)


@pytest.mark.parametrize(
    ("pack", "path"),
    [
        (changed("budgets.infusion_seconds", True), "$.budgets.infusion_seconds"),
        (changed("budgets.infusion_seconds", 0), "$.budgets.infusion_seconds"),
        (changed("budgets.unknown", 1), "$.budgets.unknown"),
        (changed("unknown", 1), "$.unknown"),
        (changed("roles", None), "$.roles"),
        (changed("roles.HoldLifted", ["b", "a"]), "$.roles.HoldLifted"),
        (changed("roles.HoldLifted", [1]), "$.roles.HoldLifted[0]"),
        (changed("format", 2), "$.format"),
        (changed("patient_identifiers_min", 1), "$.patient_identifiers_min"),
        (changed("volume_tolerance.denominator", 0), "$.volume_tolerance.denominator"),
        (changed("conditional_tests", ["potency"]), "$.conditional_tests"),
        (changed("co_signing.BatchReleased", {"number": 1, "roles": []}), "$.co_signing.BatchReleased.window_seconds"),
        (changed("product", ""), "$.product"),
        (
            changed("temperature_bands", [{"kind": "a", "state": "b", "millicelsius_min": 2, "millicelsius_max": 1}]),
            "$.temperature_bands[0]",
        ),
        (b"[]", "$"),
    ],
)
def test_a_pack_that_says_more_or_less_is_refused_with_the_path(pack: bytes, path: str) -> None:
    """Every member is known, present and of its type."""
    with pytest.raises(PolicyMalformedError) as refused:
        PolicyPack.parse(pack)
    assert refused.value.values["path"] == path


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        b"\xff",
        b"{",
        b" " + sample_pack_bytes(),
        json.dumps(json.loads(sample_pack_bytes())).encode(),
        sample_pack_bytes().replace(b'"version":1', b'"version":1.0'),
        sample_pack_bytes().replace(b'"version":1', b'"version":NaN'),
        sample_pack_bytes().replace(b'"version":1', b'"version":1,"version":1'),
        b"[" * 100_000,
        b" " * 300_000,
    ],
    ids=["empty", "not-utf-8", "cut", "space", "spaces", "float", "nan", "twice", "deep", "long"],
)
def test_a_pack_that_is_not_canonical_is_refused(pack: bytes) -> None:
    """The digest is of exact bytes, so that there is one form only."""
    with pytest.raises(PolicyMalformedError):
        PolicyPack.parse(pack)


def test_roles_hold_by_short_or_full_name() -> None:
    """A body without roles may be signed in any."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.may_sign("cellcustody.v1.BatchReleased", "quality_reviewer")
    assert not pack.may_sign("BatchReleased", "driver")
    assert pack.may_sign("cellcustody.v1.CustodyReleased", "driver")


def test_no_pack_goes_below_the_contracts_co_signers() -> None:
    """The greater number counts."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.co_signing_for("BatchReleased", 3).number == 3
    assert pack.co_signing_for("BatchReleased").number == 1
    assert DEFAULT_PACK.co_signing_for("CustodyEstablished", 1).number == 1
    assert DEFAULT_PACK.co_signing_for("CustodyReleased").number == 0


def test_bands_are_found_by_kind_and_state() -> None:
    """A band without a lower end has none; a kind that the pack does not know has no band."""
    pack = PolicyPack.parse(sample_pack_bytes())
    frozen = pack.band_for("product", "frozen")
    assert frozen is not None
    assert (frozen.millicelsius_min, frozen.millicelsius_max) == (None, -120_000)
    assert pack.band_for("retain", "frozen") is None


def test_the_pack_names_who_overrides_and_who_lifts() -> None:
    """Roles named for a code; the star stands for the others; nobody named means anybody for lifting, nobody else."""
    pack = PolicyPack.parse(sample_pack_bytes())
    assert pack.may_override("TEST_INTERIM", "quality_reviewer")
    assert not pack.may_override("TEST_INTERIM", "driver")
    assert not pack.may_override("NOT_CUSTODIAN", "quality_reviewer")
    assert not pack.may_lift("EXCURSION", "driver")
    assert DEFAULT_PACK.may_lift("EXCURSION", "driver")
    assert not DEFAULT_PACK.may_override("EXCURSION", "quality_reviewer")
