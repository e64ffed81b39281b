"""Values that are frozen for the type checker: equal as frozen ones are, and used where many are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cellcustody.ledger import values
from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.statements import Opening

PACKAGE = Path(values.__file__).parent
MADE_FOR_EACH_STATEMENT = {
    "custody/act.py",
    "custody/fold_state.py",
    "custody/scan_comparison.py",
    "custody/therapy_state.py",
    "custody/treatment.py",
    "entries.py",
    "recording/answers.py",
    "recording/planning.py",
    "recording/prepared.py",
    "recording/writer.py",
    "registry/admission.py",
    "registry/records.py",
    "registry/state.py",
    "statements/commitment.py",
    "statements/envelope.py",
    "statements/statement.py",
    "store/application.py",
    "store/model.py",
    "transparency/tree.py",
}


def test_equal_values_are_one_in_a_set_and_have_an_order() -> None:
    salt = bytes(32)
    assert {Opening(0, salt, b"record"), Opening(0, salt, b"record")} == {Opening(0, salt, b"record")}
    assert replace(Opening(0, salt, b"record"), index=1) != Opening(0, salt, b"record")
    assert sorted([Finding("B"), Finding("A", (2,)), Finding("A", (1,))]) == [
        Finding("A", (1,)),
        Finding("A", (2,)),
        Finding("B"),
    ]


def test_a_value_has_no_room_for_other_fields() -> None:
    with pytest.raises(AttributeError):
        Finding("A").note = "more"  # type: ignore[attr-defined]  # What is tested.


def test_values_stand_only_where_one_is_made_for_each_statement() -> None:
    using = {
        str(module.relative_to(PACKAGE))
        for module in PACKAGE.rglob("*.py")
        if "from cellcustody.ledger.values import value" in module.read_text(encoding="utf-8")
    }
    assert using == MADE_FOR_EACH_STATEMENT
