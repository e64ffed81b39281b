"""Rebuild the golden vectors of the log's formats, or check that what is checked in is what would be built.

Run with `--check` to compare, without writing. All keys come from the fixed seeds below. ML-DSA-44 signatures are
randomised by the library, so one signature is kept in `log-ml-dsa-44.signature` and only verified; delete that file
to make a new one. Files are named by what is wrong with them; `verdicts.json` gives for each the error's reason, or
null where it is good.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSignature,
    NoteSigner,
    RightEdge,
    build_checkpoint_text,
    build_log_proof,
    encode_bundle,
    format_note,
    leaf_hash,
    parse_note,
    parse_policy,
    parse_vkey,
    prove_consistency,
    prove_inclusion,
    root_of,
    tile_path,
    verify_checkpoint,
    verify_log_proof,
    verify_under_policy,
)

FOLDER = Path(__file__).parent
ML_DSA_SIGNATURE = FOLDER / "log-ml-dsa-44.signature"
ORIGIN = "ledger.example/a9999"
SIZE = 300
INDEX = 258
SIGNED_AT_SECONDS = 1_767_225_600  # 2026-01-01T00:00:00Z
ENTRIES = [f"entry {index}".encode() for index in range(SIZE)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def seed(name: str) -> bytes:
    """The 32-byte private seed of a key of these vectors."""
    return sha256(f"cellcustody golden vectors: {name}".encode()).digest()


def ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(name))


LOG = Ed25519NoteSigner(ORIGIN, ed25519("log"))
LOG_ML_DSA = MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(seed("log ml-dsa")))
WITNESS = Ed25519Cosigner("witness.example/w1", ed25519("witness 1"))
STRANGER = Ed25519NoteSigner("stranger.example", ed25519("stranger"))
POLICY = (
    f"# One log with two keys, one witness.\nlog {LOG.vkey}\nlog {LOG_ML_DSA.vkey} https://{ORIGIN}/\n\n"
    f"witness w1 {WITNESS.vkey}\ngroup all-witnesses all w1\nquorum all-witnesses\n"
).encode()


def kept_ml_dsa_signature(text: str) -> NoteSignature:
    """The one ML-DSA-44 signature of these vectors, made now if it is not kept yet."""
    key = parse_vkey(LOG_ML_DSA.vkey)
    if not ML_DSA_SIGNATURE.exists():
        ML_DSA_SIGNATURE.write_bytes(LOG_ML_DSA.sign(text, SIGNED_AT_SECONDS).signature)
    return NoteSignature(key.name, key.id, ML_DSA_SIGNATURE.read_bytes())


def signed(text: str, *signers: NoteSigner) -> bytes:
    return format_note(text, [signer.sign(text, SIGNED_AT_SECONDS) for signer in signers])


def replaced(raw: bytes, old: bytes, new: bytes) -> bytes:
    """`raw` with the first `old` made `new`; it must be there."""
    assert old in raw, old
    return raw.replace(old, new, 1)


def checkpoints() -> dict[str, bytes]:
    text = build_checkpoint_text(ORIGIN, SIZE, root_of(LEAVES))
    origin_line, size_line, root_line = text.splitlines()
    good = format_note(
        text,
        [
            LOG.sign(text, SIGNED_AT_SECONDS),
            kept_ml_dsa_signature(text),
            WITNESS.sign(text, SIGNED_AT_SECONDS),
        ],
    )
    plain = signed(text, LOG, WITNESS)
    stranger_line = STRANGER.sign(text, SIGNED_AT_SECONDS).line().encode()
    ml_dsa_only = format_note(text, [kept_ml_dsa_signature(text), WITNESS.sign(text, SIGNED_AT_SECONDS)])
    flipped = bytearray(kept_ml_dsa_signature(text).signature)
    flipped[1000] ^= 1
    ml_dsa_key = parse_vkey(LOG_ML_DSA.vkey)
    other_witness = Ed25519Cosigner("witness.example/w1", ed25519("witness 2"))

    def resigned(body: str) -> bytes:
        """A checkpoint of a wrong body that the log and the witness would never sign, signed by the log's key."""
        signature = NoteSignature(ORIGIN, parse_vkey(LOG.vkey).id, ed25519("log").sign(body.encode()))
        return body.encode() + b"\n" + signature.line().encode()

    return {
        "good.checkpoint": good,
        "good-without-ml-dsa.checkpoint": plain,
        "good-with-ml-dsa-alone.checkpoint": ml_dsa_only,
        "good-with-extension-lines.checkpoint": signed(text + "extension one\nextension two\n", LOG, WITNESS),
        "good-with-unknown-key.checkpoint": plain + stranger_line,
        "good-with-unknown-key-of-a-known-name.checkpoint": plain
        + other_witness.sign(text, SIGNED_AT_SECONDS).line().encode(),
        "known-key-fails.checkpoint": plain
        + NoteSignature(ORIGIN, parse_vkey(LOG.vkey).id, bytes(range(64))).line().encode(),
        "ml-dsa-signature-flipped.checkpoint": plain
        + NoteSignature(ORIGIN, ml_dsa_key.id, bytes(flipped)).line().encode(),
        "root-changed.checkpoint": replaced(plain, root_line.encode(), b"A" * 43 + b"="),
        "size-changed.checkpoint": replaced(plain, b"\n300\n", b"\n301\n"),
        "signed-by-strangers-alone.checkpoint": signed(text, STRANGER),
        "signed-by-witness-alone.checkpoint": signed(text, WITNESS),
        "not-cosigned.checkpoint": signed(text, LOG),
        "other-origin.checkpoint": resigned(f"ledger.example/other\n{size_line}\n{root_line}\n"),
        "empty-tree-with-a-root.checkpoint": resigned(f"{origin_line}\n0\n{root_line}\n"),
        "carriage-returns.checkpoint": plain.replace(b"\n", b"\r\n"),
        "size-with-sign.checkpoint": resigned(f"{origin_line}\n+300\n{root_line}\n"),
        "size-with-leading-zero.checkpoint": resigned(f"{origin_line}\n0300\n{root_line}\n"),
        "size-in-foreign-digits.checkpoint": resigned(f"{origin_line}\n٣٠٠\n{root_line}\n"),
        "size-with-space.checkpoint": resigned(f"{origin_line}\n300 \n{root_line}\n"),
        "size-past-64-bits.checkpoint": resigned(f"{origin_line}\n{2**64}\n{root_line}\n"),
        "root-of-31-bytes.checkpoint": resigned(f"{origin_line}\n{size_line}\n{'A' * 40}AA==\n"),
        "root-without-padding.checkpoint": resigned(f"{origin_line}\n{size_line}\n{root_line[:-1]}\n"),
        "root-with-spare-bits.checkpoint": resigned(f"{origin_line}\n{size_line}\n{'A' * 42}B=\n"),
        "root-in-url-alphabet.checkpoint": resigned(f"{origin_line}\n{size_line}\n{'_' * 42}8=\n"),
        "extension-line-empty.checkpoint": resigned(f"{origin_line}\n{size_line}\n{root_line}\n\nextension\n"),
        "origin-empty.checkpoint": resigned(f"\n{size_line}\n{root_line}\n"),
        "two-lines.checkpoint": resigned(f"{origin_line}\n{size_line}\n"),
        "no-signature.checkpoint": text.encode() + b"\n",
        "no-final-newline.checkpoint": plain[:-1],
        "hyphen-for-dash.checkpoint": replaced(plain, "—".encode(), b"-"),
        "signature-line-with-two-spaces.checkpoint": replaced(plain, "— ".encode(), "—  ".encode()),
        "signature-line-with-trailing-space.checkpoint": plain[:-1] + b" \n",
        "unknown-signature-not-base64.checkpoint": plain + "— stranger.example AAAA!AAA\n".encode(),
        "key-name-with-plus.checkpoint": plain + "— stranger+x.example AAAAAAAA\n".encode(),
        "not-utf-8.checkpoint": plain + "— stranger.example ".encode() + b"\xff\n",
    }


def proofs(checkpoint: bytes) -> dict[str, bytes]:
    path = prove_inclusion(INDEX, LEAVES)
    good = build_log_proof(INDEX, path, checkpoint)
    index_line = f"index {INDEX}\n".encode()
    return {
        "good.tlog-proof": good,
        "good-with-extra.tlog-proof": build_log_proof(INDEX, path, checkpoint, extra=b"opaque"),
        "hash-flipped.tlog-proof": build_log_proof(INDEX, [bytes(32), *path[1:]], checkpoint),
        "hash-missing.tlog-proof": build_log_proof(INDEX, path[:-1], checkpoint),
        "hash-too-many.tlog-proof": build_log_proof(INDEX, [*path, path[0]], checkpoint),
        "index-of-another-leaf.tlog-proof": build_log_proof(INDEX + 1, path, checkpoint),
        "index-past-the-tree.tlog-proof": build_log_proof(SIZE, path, checkpoint),
        "index-with-leading-zero.tlog-proof": replaced(good, index_line, b"index 0258\n"),
        "index-with-sign.tlog-proof": replaced(good, index_line, b"index -258\n"),
        "index-missing.tlog-proof": replaced(good, index_line, b""),
        "index-twice.tlog-proof": replaced(good, index_line, index_line * 2),
        "extra-empty.tlog-proof": replaced(good, index_line, b"extra \n" + index_line),
        "extra-not-base64.tlog-proof": replaced(good, index_line, b"extra b3BhcXVl=\n" + index_line),
        "extra-after-index.tlog-proof": replaced(good, index_line, index_line + b"extra b3BhcXVl\n"),
        "header-of-version-2.tlog-proof": replaced(good, b"@v1", b"@v2"),
        "hash-of-31-bytes.tlog-proof": replaced(good, index_line, index_line + b"A" * 40 + b"AA==\n"),
        "carriage-return.tlog-proof": replaced(good, index_line, index_line[:-1] + b"\r\n"),
        "no-checkpoint.tlog-proof": good.partition(b"\n\n")[0] + b"\n\n",
        "no-empty-line.tlog-proof": replaced(good, b"\n\n", b"\n"),
    }


def policies() -> dict[str, bytes]:
    witness_line = f"witness w1 {WITNESS.vkey}\n".encode()
    return {
        "good.policy": POLICY,
        "good-with-tabs-and-comments.policy": replaced(POLICY, b"quorum all", b"\t # note\n \tquorum\t all"),
        "good-without-witnesses.policy": f"log {LOG.vkey}\nquorum none\n".encode(),
        "carriage-returns.policy": POLICY.replace(b"\n", b"\r\n"),
        "no-quorum.policy": replaced(POLICY, b"quorum all-witnesses\n", b""),
        "two-quorums.policy": POLICY + b"quorum none\n",
        "quorum-undefined.policy": replaced(POLICY, b"quorum all-witnesses", b"quorum w2"),
        "no-final-newline.policy": POLICY[:-1],
        "witness-twice.policy": replaced(POLICY, witness_line, witness_line + witness_line.replace(b"w1 ", b"w2 ", 1)),
        "member-twice.policy": replaced(POLICY, b"all w1", b"all w1 w1"),
        "member-defined-later.policy": replaced(POLICY, witness_line, b"") + witness_line,
        "threshold-zero.policy": replaced(POLICY, b"all w1", b"0 w1"),
        "threshold-past-members.policy": replaced(POLICY, b"all w1", b"2 w1"),
        "threshold-with-leading-zero.policy": replaced(POLICY, b"all w1", b"01 w1"),
        "group-without-members.policy": replaced(POLICY, b"all w1", b"all"),
        "group-named-none.policy": replaced(POLICY, b"group all-witnesses", b"group none"),
        "name-taken.policy": replaced(POLICY, b"group all-witnesses", b"group w1"),
        "log-with-witness-key.policy": replaced(POLICY, LOG.vkey.encode(), WITNESS.vkey.encode()),
        "witness-with-log-key.policy": replaced(POLICY, WITNESS.vkey.encode(), STRANGER.vkey.encode()),
        "log-twice.policy": replaced(POLICY, b"\n\n", f"\nlog {LOG.vkey}\n".encode()),
        "vkey-with-wrong-id.policy": replaced(POLICY, f"+{parse_vkey(LOG.vkey).id:08x}+".encode(), b"+00000000+"),
        "unknown-keyword.policy": POLICY + b"mirror m1\n",
    }


def reason(name: str, raw: bytes) -> str | None:
    """The reason of the error that a verifier gives for a file, None if it accepts it."""
    try:
        match name.rpartition(".")[2]:
            case "checkpoint" if name.startswith(("not-cosigned", "signed-by-witness")):
                verify_under_policy(raw, parse_policy(POLICY))
            case "checkpoint":
                verify_checkpoint(raw, ORIGIN, [LOG.vkey, LOG_ML_DSA.vkey], witness_vkeys=[WITNESS.vkey])
            case "tlog-proof":
                verify_log_proof(raw, LEAVES[INDEX], ORIGIN, [LOG.vkey, LOG_ML_DSA.vkey], witness_vkeys=[WITNESS.vkey])
            case _:
                parse_policy(raw)
    except CellcustodyError as refusal:
        return refusal.reason
    return None


def tree() -> dict[str, object]:
    """Roots and proofs of the tree over ENTRIES, and every tile and bundle at its full size."""
    sizes = [0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 300]
    edge = RightEdge()
    tiles = {tile_path(tile.level, tile.index, tile.width): tile.hashes.hex() for tile in edge.extend(LEAVES)}
    return {
        "entries": "entry 0 to entry 299, ASCII decimal",
        "roots": {str(size): root_of(LEAVES[:size]).hex() for size in sizes},
        "inclusion": {
            f"{index} of {size}": [step.hex() for step in prove_inclusion(index, LEAVES[:size])]
            for index, size in [(0, 1), (0, 8), (6, 7), (255, 256), (256, 257), (INDEX, SIZE)]
        },
        "consistency": {
            f"{size1} to {size2}": [step.hex() for step in prove_consistency(size1, LEAVES[:size2])]
            for size1, size2 in [(1, 1), (1, 8), (6, 8), (256, 257), (255, 300)]
        },
        "tiles_sha256": {path: sha256(bytes.fromhex(hashes)).hexdigest() for path, hashes in tiles.items()},
        "tile/1/000.p/1": tiles["tile/1/000.p/1"],
        "bundles_sha256": {
            "tile/entries/000": sha256(encode_bundle(ENTRIES[:256])).hexdigest(),
            "tile/entries/001.p/44": sha256(encode_bundle(ENTRIES[256:])).hexdigest(),
        },
    }


def keys() -> dict[str, object]:
    """Every key by what it is for; seeds are SHA-256 of `cellcustody golden vectors: <name>`."""
    return {
        "origin": ORIGIN,
        "log": LOG.vkey,
        "log ml-dsa": LOG_ML_DSA.vkey,
        "witness 1": WITNESS.vkey,
        "stranger": STRANGER.vkey,
        "leaf of the proofs": LEAVES[INDEX].hex(),
    }


def built() -> dict[str, bytes]:
    """Every file of this folder that is rebuilt, by name."""
    notes = checkpoints()
    files = {**notes, **proofs(notes["good.checkpoint"]), **policies()}
    assert parse_note(files["good.checkpoint"]).signatures[1].signature == ML_DSA_SIGNATURE.read_bytes()
    verdicts = {name: reason(name, raw) for name, raw in sorted(files.items())}
    for name, content in (("verdicts.json", verdicts), ("tree.json", tree()), ("keys.json", keys())):
        files[name] = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def main() -> int:
    """Writes the files, or with --check says which differ."""
    files = built()
    if "--check" not in sys.argv[1:]:
        for name, raw in files.items():
            (FOLDER / name).write_bytes(raw)
        return 0
    present = {file.name for file in FOLDER.iterdir() if file.is_file() and file.suffix} - {
        Path(__file__).name,
        ML_DSA_SIGNATURE.name,
    }
    differing = sorted(
        name
        for name in present | files.keys()
        if name not in files or name not in present or (FOLDER / name).read_bytes() != files[name]
    )
    for name in differing:
        print(f"differs from what is built: {name}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
