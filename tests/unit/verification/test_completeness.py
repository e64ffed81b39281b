"""What a dossier with the log's map of heads shows, and how every lie about it is found out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest
from forge import Forge, drawn, open_files, sealed_again
from map_forge import ALIASES_OF_THERAPY, COI, MapForge

from cellcustody.ledger.completeness import AliasKey, stream_key
from cellcustody.ledger.completeness.sparse_map import value_digest
from cellcustody.ledger.completeness.values import head_value
from cellcustody.ledger.dossier import GivenEntry
from cellcustody.ledger.dossier.layout import HEADS
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.verification import (
    AliasesInvalidError,
    Check,
    CompletenessInvalidError,
    DossierError,
    Outcome,
    Result,
    verify_dossier,
)
from cellcustody.v1 import dossier_pb2


@pytest.fixture
def mapped() -> MapForge:
    """A ledger with a therapy under two names and others beside it, and a map of all of it."""
    forge = Forge().founds().lives(ALIASES_OF_THERAPY)
    for number in range(12):
        forge.enrols(another(forge, number), [("isbt128-coi", f"CHA99992500{number + 10:04d}"), ("order", "PO-18")])
    return MapForge(forge).logs()


def another(forge: Forge, number: int) -> bytes:
    """Returns the stream of another therapy."""
    return bytes([StreamKind.THERAPY]) + drawn(f"{forge.world}: another therapy {number}", 16)


class Withholding(Forge):
    """A ledger whose operator leaves the last entry of a stream out of what is given away."""

    withheld: bytes = b""

    def stream_entries(self, stream: bytes, size: int) -> list[GivenEntry]:
        """Returns the entries of a stream, without the last of the one that is withheld."""
        given = super().stream_entries(stream, size)
        return given[:-1] if stream == self.withheld else given


def refused(
    data: bytes, forge: Forge, kind: type[DossierError], words: str, key: AliasKey | None = None
) -> DossierError:
    """Returns the refusal of a dossier, which is of this kind and says these words."""
    with pytest.raises(kind, match=words) as found:
        verify_dossier(data, forge.anchor, alias_key=key)
    report = found.value.report
    assert report is not None
    assert report.outcome is Outcome.BROKEN
    assert report.line(found.value.check).result is Result.FAILED
    return found.value


# What holds.


def test_all_of_a_therapy_and_of_what_it_cites_is_shown_to_be_there(mapped: MapForge) -> None:
    """With the map every stream given is complete up to the checkpoint; with the key so are its names."""
    data = mapped.dossier()
    report = verify_dossier(data, mapped.forge.anchor, alias_key=mapped.key)
    line = report.line(Check.COMPLETENESS)
    assert (line.result, line.checked, line.note) == (Result.PASSED, 4, f"up to {len(mapped.forge.entries)}")
    assert report.line(Check.ALIASES).result is Result.PASSED
    assert report.line(Check.ALIASES).checked == 2

    without_key = verify_dossier(data, mapped.forge.anchor)
    assert without_key.line(Check.COMPLETENESS).result is Result.PASSED
    assert without_key.line(Check.ALIASES).result is Result.UNVERIFIED


def test_what_came_after_the_map_is_told(mapped: MapForge) -> None:
    """Entries since are held by their chain where they are given, and counted where they are not."""
    mapped.forge.places_hold()
    for _ in range(3):
        mapped.forge.records_elsewhere()
    report = verify_dossier(mapped.dossier(), mapped.forge.anchor)
    note = report.line(Check.COMPLETENESS).note
    assert note == f"up to {mapped.covered}; 3 of the 5 entries since are unknown here"


def test_a_stream_that_began_after_the_map_is_shown_as_not_there_yet() -> None:
    """The map has no head for it, which its path shows; its entries are held by their chain."""
    forge = Forge().founds()
    maps = MapForge(forge).logs()
    forge.lives()
    report = verify_dossier(maps.dossier(), forge.anchor)
    assert report.line(Check.COMPLETENESS).result is Result.PASSED


def test_a_dossier_without_a_map_says_so(mapped: MapForge) -> None:
    """No map, no word about what is left out."""
    report = verify_dossier(mapped.forge.dossier().data, mapped.forge.anchor, alias_key=mapped.key)
    assert report.line(Check.COMPLETENESS).result is Result.UNVERIFIED
    assert report.line(Check.ALIASES).result is Result.UNVERIFIED


def test_names_are_unverified_where_no_proof_is_given(mapped: MapForge) -> None:
    """A dossier for somebody who may not have the key carries no paths of aliases."""
    report = verify_dossier(mapped.dossier(mapped.shows(names=())), mapped.forge.anchor, alias_key=mapped.key)
    assert report.line(Check.ALIASES).result is Result.UNVERIFIED


# Entries that are left out.


@pytest.mark.parametrize("which", ["therapy", "consignment", "registry"])
def test_an_entry_left_out_at_the_end_of_a_stream_is_missed(which: str) -> None:
    """The manifest agrees with what is given, for the operator signed it anew; the map does not."""
    forge = Withholding().founds()
    assert isinstance(forge, Withholding)
    forge.lives(ALIASES_OF_THERAPY)
    if which == "registry":
        forge.revokes(forge.second_nurse)
    stream = {"therapy": forge.therapy, "consignment": forge.consignment, "registry": forge.entries[0].stream}[which]
    if which == "consignment":
        forge.opens_consignment()
    last = [given for given in forge.entries if given.stream == stream][-1]
    maps = MapForge(forge).logs()
    honest = maps.dossier()
    assert verify_dossier(honest, forge.anchor).line(Check.COMPLETENESS).result is Result.PASSED

    heads = maps.shows()
    forge.withheld = stream
    assert verify_dossier(forge.dossier().data, forge.anchor).outcome is Outcome.VERIFIED, "nothing else misses it"
    found = refused(maps.dossier(heads), forge, CompletenessInvalidError, "left out: it goes on beyond")
    assert found.values["stream"] == stream.hex()
    assert found.values["map_sequence"] == str(last.sequence)
    assert found.values["map_head"] == leaf_hash_of(last.entry).hex()
    assert found.values["given_sequence"] == str(last.sequence - 1)


def test_a_path_for_a_shorter_stream_does_not_hold(mapped: MapForge) -> None:
    """Whoever leaves an entry out cannot show that the map says so."""
    heads = mapped.shows()
    for proof in heads.streams:
        if proof.stream == mapped.forge.therapy:
            before = [given for given in mapped.forge.entries if given.stream == proof.stream][-2]
            proof.entries, proof.last_leaf_hash = before.sequence, leaf_hash_of(before.entry)
    found = refused(mapped.dossier(heads), mapped.forge, CompletenessInvalidError, "does not say this of a stream")
    assert found.values["stream"] == mapped.forge.therapy.hex()


def test_an_old_map_is_no_map_for_a_new_checkpoint() -> None:
    """A map from long before says nothing of what came since, whatever it fits."""
    forge = Withholding().founds()
    assert isinstance(forge, Withholding)
    forge.lives()
    maps = MapForge(forge).logs()
    forge.places_hold()
    for _ in range(1_024):
        forge.records_elsewhere()
    forge.withheld = forge.therapy
    found = refused(maps.dossier(), forge, CompletenessInvalidError, "older than a dossier's may be")
    assert (found.values["covered_size"], found.values["size"]) == (str(maps.covered), str(len(forge.entries)))


# Maps that lie.


def test_a_map_with_a_wrong_count_is_found_out(mapped: MapForge) -> None:
    """One entry more, or less, than the stream has."""
    forge = mapped.forge
    count, head = mapped.true_heads(len(forge.entries))[forge.therapy]
    mapped.logs(heads={forge.therapy: (count + 1, head)})
    refused(mapped.dossier(), forge, CompletenessInvalidError, "left out")
    mapped.logs(heads={forge.therapy: (count - 1, head)})
    refused(mapped.dossier(), forge, CompletenessInvalidError, "more entries here than the map")


def test_a_map_with_the_head_of_another_stream_is_found_out(mapped: MapForge) -> None:
    """The right count with another entry's hash."""
    forge = mapped.forge
    heads = mapped.true_heads(len(forge.entries))
    mapped.logs(heads={forge.therapy: (heads[forge.therapy][0], heads[forge.consignment][1])})
    found = refused(mapped.dossier(), forge, CompletenessInvalidError, "another than the map's")
    assert found.values["map_head"] == heads[forge.consignment][1].hex()
    assert found.values["given_head"] == heads[forge.therapy][1].hex()


def test_absence_is_not_shown_by_a_neighbour(mapped: MapForge) -> None:
    """The leaf of a stream beside it does not stand for a stream that is there."""
    heads = mapped.shows()
    streams = sorted(mapped.heads)
    for neighbour in streams:
        if neighbour == mapped.forge.therapy:
            continue
        beside = mapped.shows([neighbour]).streams[0]
        for proof in heads.streams:
            if proof.stream == mapped.forge.therapy:
                proof.entries, proof.last_leaf_hash = 0, b""
                proof.path.CopyFrom(beside.path)
                proof.path.other_key = stream_key(neighbour)
                proof.path.other_value_digest = value_digest(head_value(neighbour, *mapped.heads[neighbour]))
        refused(mapped.dossier(heads), mapped.forge, CompletenessInvalidError, "does not say this of a stream")


def test_a_map_that_denies_the_therapy_is_found_out(mapped: MapForge) -> None:
    """A logged map without the stream: the path holds, and the entries are there."""
    forge = mapped.forge
    mapped.logs(without=forge.therapy)
    refused(mapped.dossier(), forge, CompletenessInvalidError, "more entries here than the map")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda heads: heads.streams.pop(), "exactly the streams given"),
        (lambda heads: heads.streams.append(heads.streams[0]), "ascend"),
        (lambda heads: heads.streams.reverse(), "ascend"),
        (lambda heads: heads.openings.pop(), "does not hold|shown whole"),
        (lambda heads: heads.inclusion.pop(), "does not hold"),
        (lambda heads: setattr(heads, "leaf_index", heads.leaf_index - 1), "does not hold"),
        (lambda heads: setattr(heads, "entry", b""), "does not hold"),
        (lambda heads: heads.streams[0].path.siblings.pop(), "does not say this of a stream"),
    ],
)
def test_a_map_that_is_shown_wrongly_is_refused(
    mapped: MapForge, spoil: Callable[[dossier_pb2.DossierHeads], object], words: str
) -> None:
    """A part missing, twice, or in another place."""
    heads = mapped.shows()
    spoil(heads)
    refused(mapped.dossier(heads), mapped.forge, CompletenessInvalidError, words)


def test_bytes_that_are_no_heads_are_refused(mapped: MapForge) -> None:
    """The file is empty or in its exact form."""
    data = mapped.forge.dossier(heads=b"\xff").data
    refused(data, mapped.forge, CompletenessInvalidError, "exact form")


def test_only_the_ledger_says_where_streams_end(mapped: MapForge) -> None:
    """A map signed by somebody else does not hold."""
    mapped.logs(by=mapped.forge.administrators[0])
    refused(mapped.dossier(), mapped.forge, CompletenessInvalidError, "does not hold")


def test_another_statement_is_no_map(mapped: MapForge) -> None:
    """An entry that holds and is something else."""
    forge = mapped.forge
    mapped.leaf = next(given.leaf_index for given in forge.entries if given.stream == forge.therapy)
    refused(mapped.dossier(), forge, CompletenessInvalidError, "no map")


def test_a_map_of_the_future_is_refused(mapped: MapForge) -> None:
    """No map covers its own entry."""
    mapped.logs(covered_size=len(mapped.forge.entries) + 1)
    refused(mapped.dossier(), mapped.forge, CompletenessInvalidError, "not there yet")
    mapped.logs(heads_root=bytes(31))
    refused(mapped.dossier(), mapped.forge, CompletenessInvalidError, "32 bytes")


def test_a_map_of_another_ledger_is_refused(mapped: MapForge) -> None:
    """What another ledger's log says of its streams says nothing of these."""
    other = MapForge(Forge("elsewhere").founds().lives()).logs()
    refused(mapped.dossier(other.shows()), mapped.forge, CompletenessInvalidError, "does not hold")


def test_a_map_under_a_later_checkpoint_is_refused(mapped: MapForge) -> None:
    """A map that the dossier's checkpoint does not cover."""
    size = mapped.leaf
    data = mapped.forge.dossier(size=size, heads=mapped.shows().SerializeToString()).data
    refused(data, mapped.forge, CompletenessInvalidError, "no checkpoint covers the map|does not hold")


# Names.


def test_an_identifier_that_names_two_therapies_is_told(mapped: MapForge) -> None:
    """The chain of identity identifier is one therapy's alone; an order number may be two's."""
    forge = mapped.forge
    both = sorted([forge.therapy, another(forge, 0)])
    mapped.logs(names={mapped.blinded("order", "PO-17"): both})
    assert verify_dossier(mapped.dossier(), forge.anchor, alias_key=mapped.key).line(Check.ALIASES).checked == 2
    mapped.logs(names={mapped.blinded("isbt128-coi", COI): both})
    found = refused(mapped.dossier(), forge, AliasesInvalidError, "more than one therapy", mapped.key)
    assert found.values["names"] == " ".join(stream.hex() for stream in both)


def test_an_identifier_that_names_another_therapy_is_told(mapped: MapForge) -> None:
    """In the map the therapy's identifier is another's, or nobody's."""
    forge = mapped.forge
    coi = mapped.blinded("isbt128-coi", COI)
    mapped.logs(names={coi: [another(forge, 0)]})
    refused(mapped.dossier(), forge, AliasesInvalidError, "does not name it", mapped.key)
    others = [key for key in mapped.names if key != coi]
    refused(mapped.dossier(mapped.shows(names=others)), forge, AliasesInvalidError, "nothing is shown", mapped.key)


def test_a_false_path_of_an_alias_is_refused_without_the_key(mapped: MapForge) -> None:
    """Whether the path holds needs no key."""
    heads = mapped.shows()
    heads.aliases[0].therapies[:] = [mapped.forge.therapy]
    heads.aliases[1].therapies[:] = [another(mapped.forge, 3)]
    refused(mapped.dossier(heads), mapped.forge, AliasesInvalidError, "does not say this of an alias")


def test_a_wrong_key_is_noticed(mapped: MapForge) -> None:
    """The map states a commitment to the key; an auditor who was handed another sees it."""
    wrong = AliasKey(mapped.forge.ledger_id, drawn("a wrong key"))
    found = refused(mapped.dossier(), mapped.forge, AliasesInvalidError, "not the one that the map states", wrong)
    assert found.values["stated"] == mapped.key.commitment.hex()
    elsewhere = AliasKey(drawn("another ledger", 16), mapped.key.key)
    refused(mapped.dossier(), mapped.forge, AliasesInvalidError, "not the one that the map states", elsewhere)


def check_bits(mapped: MapForge, bits: Iterable[int]) -> None:
    """Turns bits of the file of heads, one at a time, with the manifest signed anew; each is refused."""
    files = open_files(mapped.dossier())
    for bit in bits:
        turned = bytearray(files[HEADS])
        turned[bit // 8] ^= 1 << bit % 8
        again = sealed_again({**files, HEADS: bytes(turned)}, mapped.forge)
        with pytest.raises(DossierError) as found:
            verify_dossier(again, mapped.forge.anchor, alias_key=mapped.key)
        assert found.value.reason in ("COMPLETENESS_INVALID", "ALIASES_INVALID"), bit


def test_no_bit_of_the_heads_goes_unnoticed(mapped: MapForge) -> None:
    """A bit turned anywhere in the file is refused even when the operator signs the manifest anew for it."""
    size = 8 * len(open_files(mapped.dossier())[HEADS])
    check_bits(mapped, random.Random(4).sample(range(size), 150))


@pytest.mark.torture
def test_every_bit_of_the_heads_is_found(mapped: MapForge) -> None:
    """All of them."""
    check_bits(mapped, range(8 * len(open_files(mapped.dossier())[HEADS])))
