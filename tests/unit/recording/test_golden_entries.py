"""The golden entries read back as what they say, chain, and name the holds that anyone can compute."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.entries import ZERO_HASH, leaf_hash_of, read_entry
from cellcustody.ledger.recording.sealing import decode_leaf_hashes, decode_openings
from cellcustody.ledger.registry import parse_anchor
from cellcustody.ledger.statements import Commitment, parse_statement, verify_openings
from cellcustody.ledger.statements.key_files import load_signer

FOLDER = Path(__file__).parents[2] / "vectors" / "ledger"
INDEX = json.loads((FOLDER / "index.json").read_bytes())


def test_entries_chain_and_hash_as_the_index_says() -> None:
    """Three entries of one stream: sequence, previous leaf hash, leaf hash and digest."""
    previous = ZERO_HASH
    for sequence, name in enumerate(("entry-fact", "entry-co-signature", "entry-revision"), start=1):
        raw = (FOLDER / f"{name}.binpb").read_bytes()
        entry = read_entry(raw)
        said = INDEX["entries"][name]
        assert (entry.sequence, entry.previous_leaf_hash) == (sequence, previous)
        assert hashlib.sha256(b"\x00" + raw).hexdigest() == said["leaf_hash"]
        assert parse_statement(entry.envelope).digest.hex() == said["statement_digest"]
        previous = leaf_hash_of(raw)


def test_hold_ids_follow_from_the_digest_and_the_code() -> None:
    """SHA-256(statement digest || code), for each finding of the fact."""
    entry = read_entry((FOLDER / "entry-fact.binpb").read_bytes())
    digest = parse_statement(entry.envelope).digest
    assert entry.judgement.judged.status is Status.NONCONFORMING
    assert {
        finding.code: hashlib.sha256(digest + finding.code.encode()).hexdigest()
        for finding in entry.judgement.judged.findings
    } == INDEX["holds"]


def test_rows_hold_the_openings_that_make_the_signed_root() -> None:
    """The row of openings makes the commitment; the row of leaf hashes is theirs."""
    entry = read_entry((FOLDER / "entry-fact.binpb").read_bytes())
    commitment: Commitment = parse_statement(entry.envelope).commitment
    openings = decode_openings((FOLDER / "row-openings.bin").read_bytes())
    assert verify_openings(commitment, openings)
    hashes = decode_leaf_hashes((FOLDER / "row-leaf-hashes.bin").read_bytes())
    assert hashes == [opening.leaf_hash for opening in openings]


def test_anchor_pack_and_key_file_read_back(tmp_path: Path) -> None:
    """The anchor names the fact; the pack's digest is that of its bytes; the key file opens under its passphrase."""
    anchor = parse_anchor((FOLDER / "anchor.json").read_bytes())
    assert anchor.founding_digest.hex() == INDEX["entries"]["entry-fact"]["statement_digest"]
    assert hashlib.sha256((FOLDER / "policy-pack.json").read_bytes()).hexdigest() == INDEX["policy_digest"]
    kept = tmp_path / "key.json"  # A key file that others may read is refused, and a checkout lets them.
    kept.write_bytes((FOLDER / "key.json").read_bytes())
    kept.chmod(0o600)
    signer = load_signer(kept, "vectors")
    statement = parse_statement(read_entry((FOLDER / "entry-fact.binpb").read_bytes()).envelope)
    assert statement.key_ids == (signer.key_id,)
