"""A replica judges a ledger's log again: an honest one to the last word, and no forged judgement goes unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from courses import World

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.replica import GivenEntry, ReplayFinding, ReplicaStoppedError
from cellcustody.v1 import entry_pb2

from .copies import BUT_IDENTITY, Copy, copy_of, replica_in


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A therapy from enrolment to the bedside, one whose facts came in the wrong order, and a nonconforming one."""
    made = World(tmp_path_factory.mktemp("world"))
    course = made.course()
    course.to_the_bedside()
    late = made.course()
    late.checks_identity()
    late.enrols()
    started = late.starts_collection()
    late.completes_collection(started, "bag-1")
    late.consents()
    yield made
    made.harness.close()


@pytest.fixture(scope="module")
def copy(world: World) -> Copy:
    return copy_of(world)


def test_an_honest_log_is_judged_again_word_for_word(copy: Copy, tmp_path: Path) -> None:
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(copy.size, copy.at)
        assert (replayed.findings, replayed.unverified, replayed.judged) == ([], 0, copy.size)
        assert replica.size == copy.size


def test_a_replica_goes_on_where_it_stopped(copy: Copy, tmp_path: Path) -> None:
    """In pieces that end where a checkpoint could: before a statement, never between it and what it causes."""
    causes = [leaf for leaf in range(1, copy.size) if copy.body_type(leaf) != "JudgementsRevised"]
    for size in (*causes[10::37], copy.size):
        with replica_in(tmp_path / "copy") as replica:
            replayed = replica.advance(size, copy.at)
            assert (replayed.findings, replayed.unverified) == ([], 0)
    with replica_in(tmp_path / "copy") as replica:
        assert replica.size == copy.size


def test_identities_may_be_closed(world: World, tmp_path: Path) -> None:
    """What was compared is the ledger's word then, and counted; everything else is judged again all the same."""
    copy = copy_of(world, BUT_IDENTITY)
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(copy.size, copy.at)
    assert (replayed.findings, replayed.unverified, replayed.judged) == ([], 0, copy.size)
    assert replayed.comparisons > 0


@pytest.mark.parametrize("classes", [{DisclosureClass.PUBLIC}, {DisclosureClass.PUBLIC, DisclosureClass.CUSTODY}])
def test_what_is_closed_is_unverified_and_never_right_nor_false(
    world: World, tmp_path: Path, classes: set[DisclosureClass]
) -> None:
    copy = copy_of(world, classes)
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(copy.size, copy.at)
    assert replayed.findings == []
    assert replayed.unverified >= 40
    assert replayed.judged + replayed.unverified == copy.size


def conforming(entry: entry_pb2.Entry) -> None:
    """A gate is hidden."""
    entry.judgement.status = entry_pb2.JUDGEMENT_STATUS_CONFORMING
    del entry.judgement.findings[:]


def nonconforming(entry: entry_pb2.Entry) -> None:
    """Something is held against what was right."""
    entry.judgement.status = entry_pb2.JUDGEMENT_STATUS_NONCONFORMING
    entry.judgement.findings.add(code="WRONG_RECEIVER")


def test_a_nonconforming_fact_recorded_as_conforming_is_found(copy: Copy, tmp_path: Path) -> None:
    wrong = [
        leaf
        for leaf in range(copy.size)
        if entry_pb2.Entry.FromString(copy.given[leaf].entry).judgement.status
        == entry_pb2.JUDGEMENT_STATUS_NONCONFORMING
    ]
    assert wrong
    for number, leaf in enumerate(wrong[:3]):
        forged = copy.forged(leaf, conforming)
        with replica_in(tmp_path / f"copy-{number}") as replica:
            replayed = replica.advance(forged.size, forged.at)
        assert [(one.code, one.leaf_index) for one in replayed.findings] == [("JUDGEMENT_FALSE", leaf)]
        assert "NONCONFORMING" in replayed.findings[0].expected and "CONFORMING" in replayed.findings[0].said


@pytest.mark.parametrize("body_type", ["CollectionCompleted", "CustodyAccepted", "ResultReported", "TherapyEnrolled"])
def test_a_judgement_made_worse_is_found(copy: Copy, tmp_path: Path, body_type: str) -> None:
    leaf = copy.leaves_of(body_type)[0]
    forged = copy.forged(leaf, nonconforming)
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(forged.size, forged.at)
    assert (replayed.findings[0].code, replayed.findings[0].leaf_index) == ("JUDGEMENT_FALSE", leaf)
    assert "WRONG_RECEIVER" in replayed.findings[0].said
    assert replayed.unverified > 0, "what stands on a disputed stream is judged no more"


def test_a_finding_left_out_is_found(copy: Copy, tmp_path: Path) -> None:
    """Of an advisory, too, though the status stays what it was."""
    found = [
        leaf
        for leaf in range(copy.size)
        if entry_pb2.Entry.FromString(copy.given[leaf].entry).judgement.findings
        and entry_pb2.Entry.FromString(copy.given[leaf].entry).judgement.status == entry_pb2.JUDGEMENT_STATUS_CONFORMING
    ]

    def forget(entry: entry_pb2.Entry) -> None:
        del entry.judgement.findings[0]

    forged = copy.forged(found[0], forget)
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(forged.size, forged.at)
    assert (replayed.findings[0].code, replayed.findings[0].leaf_index) == ("JUDGEMENT_FALSE", found[0])


def test_a_re_judgement_left_out_is_found(copy: Copy, tmp_path: Path) -> None:
    leaf = copy.leaves_of("JudgementsRevised")[0]
    forged = copy.without(leaf)
    with replica_in(tmp_path / "copy") as replica:
        replayed = replica.advance(forged.size, forged.at)
    assert (replayed.findings[0].code, replayed.findings[0].leaf_index) == ("REJUDGEMENT_FALSE", leaf)


def test_an_effect_claimed_too_early_is_found(copy: Copy, tmp_path: Path) -> None:
    """A co-signature is said to have put in effect what it did not complete, or not to have."""
    leaf = next(
        leaf
        for leaf in range(copy.size)
        if copy.body_type(leaf) == ""
        and entry_pb2.Entry.FromString(copy.given[leaf].entry).judgement.puts_in_effect
        and copy.given[leaf].leaf_index > 40
    )

    def forget(entry: entry_pb2.Entry) -> None:
        entry.judgement.puts_in_effect = b""

    forged = copy.forged(leaf, forget)
    with replica_in(tmp_path / "copy") as replica:
        try:
            replayed = replica.advance(forged.size, forged.at)
        except ReplicaStoppedError as stopped:
            assert stopped.values["leaf_index"] == str(leaf)
        else:
            assert replayed.findings[0].leaf_index == leaf


def test_a_false_registry_stops_the_replica(copy: Copy, tmp_path: Path) -> None:
    """A site that the registrars' quorum has not enrolled yet is said to be enrolled."""
    leaf = copy.leaves_of("SiteEnrolled")[0]

    def enrolled(entry: entry_pb2.Entry) -> None:
        entry.judgement.status = entry_pb2.JUDGEMENT_STATUS_IN_EFFECT

    forged = copy.forged(leaf, enrolled)
    with replica_in(tmp_path / "copy") as replica:
        with pytest.raises(ReplicaStoppedError) as stopped:
            replica.advance(forged.size, forged.at)
        assert (stopped.value.values["leaf_index"], replica.size) == (str(leaf), leaf)


def test_a_signature_or_a_chain_that_is_wrong_stops_the_replica(copy: Copy, tmp_path: Path) -> None:
    leaf = copy.leaves_of("CollectionStarted")[0]

    def resigned(entry: entry_pb2.Entry) -> None:
        entry.envelope = entry.envelope[:-80] + bytes([entry.envelope[-80] ^ 1]) + entry.envelope[-79:]

    given = list(copy.given)
    message = entry_pb2.Entry.FromString(given[leaf].entry)
    message.sequence += 1
    from dataclasses import replace

    given[leaf] = replace(given[leaf], entry=message.SerializeToString(deterministic=True))
    for number, forged in enumerate((copy.forged(leaf, resigned), Copy(tuple(given)))):
        with replica_in(tmp_path / f"copy-{number}") as replica:
            with pytest.raises(ReplicaStoppedError) as stopped:
                replica.advance(forged.size, forged.at)
            assert stopped.value.values["leaf_index"] == str(leaf)


def test_records_that_were_not_signed_stop_the_replica(copy: Copy, tmp_path: Path) -> None:
    from dataclasses import replace

    from cellcustody.ledger.statements import Opening

    leaf = copy.leaves_of("CollectionCompleted")[0]
    records = list(copy.given[leaf].records or ())
    first = records[0]
    assert isinstance(first, Opening)
    records[0] = Opening(first.index, first.salt, first.record[:-1] + bytes([first.record[-1] ^ 1]))
    given = list(copy.given)
    given[leaf] = replace(given[leaf], records=tuple(records))
    with replica_in(tmp_path / "copy") as replica, pytest.raises(ReplicaStoppedError) as stopped:
        replica.advance(copy.size, Copy(tuple(given)).at)
    assert stopped.value.values["leaf_index"] == str(leaf)


class Cut(Exception):
    """The machine goes down."""


@pytest.mark.parametrize("classes", [BUT_IDENTITY, {DisclosureClass.PUBLIC, DisclosureClass.CUSTODY}])
def test_a_replica_that_is_cut_off_anywhere_finds_no_more_and_no_less(
    world: World, tmp_path: Path, classes: set[DisclosureClass]
) -> None:
    """In the middle of an entry and what it causes, and with streams closed before: they are closed after, too."""
    copy = copy_of(world, classes)
    taken = 0
    for cut in (*range(3, copy.size, 7), *copy.leaves_of("JudgementsRevised"), copy.size + 1):

        def at(leaf_index: int, cut: int = cut) -> GivenEntry | None:
            if leaf_index == cut:
                raise Cut
            return copy.at(leaf_index)

        with replica_in(tmp_path / "copy") as replica:
            before = replica.size
            try:
                replayed = replica.advance(copy.size, at)
            except Cut:
                assert before <= replica.size <= cut
                continue
            assert replayed.findings == []
            taken += replayed.entries
            assert replica.size == copy.size
    assert taken > 0


def test_a_forgery_is_found_by_a_replica_that_was_cut_off(copy: Copy, tmp_path: Path) -> None:
    leaf = copy.leaves_of("CollectionCompleted")[0]
    forged = copy.forged(leaf, nonconforming)
    for cut in (leaf - 1, leaf, leaf + 1):

        def at(leaf_index: int, cut: int = cut) -> GivenEntry | None:
            if leaf_index == cut:
                raise Cut
            return forged.at(leaf_index)

        found: list[ReplayFinding] = []
        with replica_in(tmp_path / f"copy-{cut}") as replica, pytest.raises(Cut):
            replica.advance(forged.size, at, found=found.append)
        with replica_in(tmp_path / f"copy-{cut}") as replica:
            replica.advance(forged.size, forged.at, found=found.append)
            assert replica.disputed
        assert [one.leaf_index for one in found] == [leaf]
