"""A proof of its own: what is here, what is not, and whose an identifier is, offline from an anchor."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from forge import Forge, drawn
from map_forge import ALIASES_OF_THERAPY, COI, MapForge

from cellcustody.ledger.completeness import AliasKey
from cellcustody.ledger.dossier import GivenEntry
from cellcustody.ledger.dossier.heads_proof import REGISTRY_STREAMS, build_heads_proof
from cellcustody.ledger.statements import StreamKind, single_stream_id
from cellcustody.ledger.verification import (
    AliasesInvalidError,
    Check,
    CheckpointInvalidError,
    CompletenessInvalidError,
    DossierError,
    DossierFormError,
    InclusionInvalidError,
    IssuerMismatchError,
    Outcome,
    Result,
    ScopeInvalidError,
)
from cellcustody.ledger.verification.heads_proofs import verify_heads_proof
from cellcustody.v1 import dossier_pb2

UNKNOWN = bytes([StreamKind.THERAPY]) + drawn("a therapy that is not here", 16)
FREE_COI = "CHA999925999999V"


@pytest.fixture(scope="module")
def mapped() -> MapForge:
    """A ledger with a therapy under two names, and a map of all of it; not to be changed."""
    return MapForge(Forge().founds().lives(ALIASES_OF_THERAPY)).logs()


def proof_of(
    mapped: MapForge, streams: Sequence[bytes] = (), names: Sequence[bytes] = (), *, registry: bool = True
) -> dossier_pb2.HeadsProof:
    """Returns a proof of what the last map says."""
    wanted = {*streams, *(REGISTRY_STREAMS if registry else ())}
    raw = build_heads_proof(mapped.forge, mapped.shows(wanted, names), checkpoint=mapped.forge.checkpoint())
    return dossier_pb2.HeadsProof.FromString(raw)


def sealed(proof: dossier_pb2.HeadsProof) -> bytes:
    """Returns the file."""
    return proof.SerializeToString(deterministic=True)


def test_it_shows_what_is_here_and_what_is_not(mapped: MapForge) -> None:
    """A stream with its head, one that does not exist, an identifier, and one that names nobody."""
    names = [mapped.blinded("isbt128-coi", COI), mapped.blinded("isbt128-coi", FREE_COI)]
    data = sealed(proof_of(mapped, [mapped.forge.therapy, UNKNOWN], names))
    report = verify_heads_proof(data, mapped.forge.anchor)

    assert report.outcome is Outcome.VERIFIED
    assert report.streams[mapped.forge.therapy] == mapped.heads[mapped.forge.therapy]
    assert report.streams[UNKNOWN] == (0, b"")
    assert report.therapies_named(mapped.key, "isbt128-coi", COI) == (mapped.forge.therapy,)
    assert report.therapies_named(mapped.key, "isbt128-coi", FREE_COI) == ()
    assert (report.covered_size, report.position) == (mapped.covered, len(mapped.forge.entries))
    assert {line.check for line in report.checks if line.result is Result.PASSED} >= {Check.COMPLETENESS, Check.ALIASES}
    assert verify_heads_proof(data).outcome is Outcome.CONSISTENT_ISSUER_UNPROVEN


def test_what_it_does_not_speak_of_it_does_not_answer(mapped: MapForge) -> None:
    """No answer about another alias, nor with another key."""
    report = verify_heads_proof(sealed(proof_of(mapped)), mapped.forge.anchor)
    with pytest.raises(AliasesInvalidError, match="does not speak of"):
        report.therapies_named(mapped.key, "isbt128-coi", COI)
    with pytest.raises(AliasesInvalidError, match="not the one that the map states"):
        report.therapies_named(AliasKey(mapped.forge.ledger_id, bytes(32)), "isbt128-coi", COI)


def stream_of(proof: dossier_pb2.HeadsProof, stream: bytes) -> dossier_pb2.StreamProof:
    """Returns what a proof says of a stream."""
    return next(one for one in proof.heads.streams if one.stream == stream)


Spoiling = Callable[[MapForge, dossier_pb2.HeadsProof], object]


def denies_the_therapy(mapped: MapForge, proof: dossier_pb2.HeadsProof) -> None:
    """Says of a stream that is here that it is not."""
    one = stream_of(proof, mapped.forge.therapy)
    one.entries, one.last_leaf_hash = 0, b""


def denies_the_name(mapped: MapForge, proof: dossier_pb2.HeadsProof) -> None:
    """Says of an identifier that it names nobody."""
    del proof.heads.aliases[0].therapies[:]


def claims_the_unknown(mapped: MapForge, proof: dossier_pb2.HeadsProof) -> None:
    """Says of a stream that is not here that it is."""
    one = stream_of(proof, UNKNOWN)
    one.entries, one.last_leaf_hash = 1, bytes(32)
    one.path.ClearField("other_key")
    one.path.ClearField("other_value_digest")


def adds_an_entry_of_a_therapy(mapped: MapForge, proof: dossier_pb2.HeadsProof) -> None:
    """Gives an entry that has no place here."""
    given = next(one for one in mapped.forge.entries if one.stream == mapped.forge.therapy)
    proof.entries += given.leaf_index.to_bytes(8, "big") + len(given.entry).to_bytes(2, "big") + given.entry


def of_another_log(mapped: MapForge, proof: dossier_pb2.HeadsProof) -> None:
    """Stands under another log's checkpoint."""
    proof.checkpoint = Forge("elsewhere").founds().checkpoint()


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (denies_the_therapy, CompletenessInvalidError, "does not say this of a stream"),
        (claims_the_unknown, CompletenessInvalidError, "does not say this of a stream"),
        (denies_the_name, AliasesInvalidError, "does not say this of an alias"),
        (adds_an_entry_of_a_therapy, ScopeInvalidError, "none of registry"),
        (of_another_log, CheckpointInvalidError, "not what the log signed"),
        (lambda _, proof: setattr(proof, "format_version", 2), DossierFormError, "another format"),
        (lambda _, proof: setattr(proof, "proof", proof.proof[32:]), InclusionInvalidError, "too few"),
        (lambda _, proof: setattr(proof, "proof", proof.proof + b"x"), DossierFormError, "another format"),
        (lambda _, proof: proof.heads.inclusion.pop(), CompletenessInvalidError, "does not hold"),
    ],
)
def test_a_false_proof_is_refused(mapped: MapForge, spoil: Spoiling, kind: type[DossierError], words: str) -> None:
    """Each lie by its own words."""
    proof = proof_of(mapped, [mapped.forge.therapy, UNKNOWN], [mapped.blinded("isbt128-coi", COI)])
    spoil(mapped, proof)
    with pytest.raises(kind, match=words):
        verify_heads_proof(sealed(proof), mapped.forge.anchor)


def test_a_registry_that_is_cut_short_is_missed() -> None:
    """A revocation that is left out would let a revoked key sign maps: the map itself shows that it is missing."""
    forge = Forge().founds().lives()
    before = len(forge.entries)
    forge.revokes(forge.second_nurse)
    maps = MapForge(forge).logs()
    registry = single_stream_id(StreamKind.REGISTRY)

    class Shortened(Forge):
        """Leaves the revocation out."""

        def stream_entries(self, stream: bytes, size: int) -> list[GivenEntry]:
            return super().stream_entries(stream, before if stream == registry else size)

    verify_heads_proof(sealed(proof_of(maps)), forge.anchor)
    forge.__class__ = Shortened
    proof = proof_of(maps)
    with pytest.raises(CompletenessInvalidError, match="left out"):
        verify_heads_proof(sealed(proof), forge.anchor)


def test_the_registrys_heads_are_part_of_every_proof(mapped: MapForge) -> None:
    """Without them nobody knows whether the registry given is all there is."""
    with pytest.raises(CompletenessInvalidError, match="registry's streams is not given"):
        verify_heads_proof(sealed(proof_of(mapped, [UNKNOWN], registry=False)), mapped.forge.anchor)


def test_a_proof_of_another_ledger_is_refused(mapped: MapForge) -> None:
    """A forged ledger with a perfectly consistent proof is not the anchor's."""
    other = MapForge(Forge("elsewhere").founds().lives()).logs()
    with pytest.raises(IssuerMismatchError):
        verify_heads_proof(sealed(proof_of(other)), mapped.forge.anchor)
    with pytest.raises(DossierFormError):
        verify_heads_proof(b"\xff\xff", mapped.forge.anchor)


def test_no_bit_of_a_proof_goes_unnoticed(mapped: MapForge) -> None:
    """Nothing in the file but is held by the anchor, a signature, a commitment or a hash."""
    data = sealed(proof_of(mapped, [mapped.forge.therapy, UNKNOWN], [mapped.blinded("isbt128-coi", COI)]))
    for bit in random.Random(5).sample(range(8 * len(data)), 300):
        turned = bytearray(data)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DossierError):
            verify_heads_proof(bytes(turned), mapped.forge.anchor)
