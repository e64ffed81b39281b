"""Checkpoints, receipts and witness policies: who must have signed, and what is exactly the form."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.errors import CellcustodyError, MalformedError, VerificationError
from cellcustody.ledger.transparency import (
    EMPTY_ROOT,
    Checkpoint,
    Ed25519Cosigner,
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSigner,
    build_checkpoint_text,
    build_log_proof,
    leaf_hash,
    parse_checkpoint,
    parse_checkpoint_text,
    parse_log_proof,
    parse_note,
    parse_policy,
    prove_inclusion,
    root_of,
    sign_checkpoint,
    sign_note,
    verify_checkpoint,
    verify_log_proof,
    verify_under_policy,
)
from cellcustody.ledger.transparency.errors import (
    CheckpointMalformedError,
    CheckpointOriginError,
    CheckpointRootError,
    CheckpointUnsignedError,
    InclusionProofError,
    LogProofMalformedError,
    NoteSignatureError,
    NoteUnsignedError,
    PolicyMalformedError,
    QuorumUnmetError,
    VerifierKeyMalformedError,
)

ORIGIN = "ledger.example/log"
NOW_SECONDS = 1_767_225_600
LEAVES = [leaf_hash(bytes([index])) for index in range(7)]
ROOT = root_of(LEAVES)
LOG = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
LOG_ML_DSA = MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32))
LOG_KEYS = [LOG.vkey, LOG_ML_DSA.vkey]
CHECKPOINT = sign_checkpoint(ORIGIN, 7, ROOT, [LOG, LOG_ML_DSA], timestamp_seconds=NOW_SECONDS)


def witness(number: int) -> Ed25519Cosigner:
    return Ed25519Cosigner(f"w{number}.example", Ed25519PrivateKey.from_private_bytes(bytes([10 + number]) * 32))


def ml_dsa_witness(number: int) -> MlDsa44NoteSigner:
    return MlDsa44NoteSigner(f"w{number}.example", MLDSA44PrivateKey.from_seed_bytes(bytes([10 + number]) * 32))


WITNESSES: list[NoteSigner] = [witness(1), witness(2), ml_dsa_witness(3), witness(4)]


def cosigned(*signers: NoteSigner) -> bytes:
    text = build_checkpoint_text(ORIGIN, 7, ROOT)
    return sign_note(text, signers, timestamp_seconds=NOW_SECONDS)


def resigned(text: str) -> bytes:
    return sign_note(text, [LOG], timestamp_seconds=NOW_SECONDS)


def test_the_log_signs_with_both_keys_and_both_verify() -> None:
    """Size and root come back as they were signed, by both keys, at the time given."""
    verified = verify_checkpoint(CHECKPOINT, ORIGIN, LOG_KEYS, required_vkeys=LOG_KEYS)
    assert (verified.origin, verified.size, verified.root) == (ORIGIN, 7, ROOT)
    assert [signature.timestamp_seconds for signature in verified.log_signatures] == [None, NOW_SECONDS]
    assert verified.witness_signatures == ()
    assert parse_checkpoint(CHECKPOINT) == Checkpoint(ORIGIN, 7, ROOT)


@pytest.mark.parametrize(
    "text", ["", "a\n1\n", "\n\n\n", f"a\n1\n{'A' * 43}=", f"a\n1\n{'A' * 43}=\n\n", f"\ud800\n1\n{'A' * 43}=\n"]
)
def test_texts_that_are_no_checkpoint_are_refused(text: str) -> None:
    """Three non-empty lines, each ended by a newline, and no empty line behind them."""
    with pytest.raises(CheckpointMalformedError):
        parse_checkpoint_text(text)


@pytest.mark.parametrize(
    "size",
    ["", " 7", "7 ", "+7", "-7", "07", "00", "7.0", "7e0", "0x7", "7_0", "٧", "７", "²", "7\r", "7\t", str(2**64)],
)
def test_sizes_in_other_spellings_are_refused(size: str) -> None:
    """A size is plain decimal in 64 bits."""
    with pytest.raises(CheckpointMalformedError):
        parse_checkpoint_text(f"{ORIGIN}\n{size}\n{'A' * 43}=\n")


@pytest.mark.parametrize(
    "root",
    [
        "",
        "A" * 43,
        "A" * 44,
        "A" * 43 + "==",
        "A" * 42 + "B=",
        "A" * 40 + "AA==",
        "A" * 42 + "-=",
        " " + "A" * 43 + "=",
        "A" * 43 + "= ",
        "A" * 20 + " " + "A" * 23 + "=",
        "A" * 42 + "Ａ=",
        "A" * 47 + "=",
    ],
)
def test_roots_in_other_spellings_or_lengths_are_refused(root: str) -> None:
    """A root is the one base64 of 32 bytes."""
    with pytest.raises(CheckpointMalformedError):
        parse_checkpoint_text(f"{ORIGIN}\n7\n{root}\n")


def test_bounds_of_the_size_are_accepted() -> None:
    """Zero and the largest 64-bit number are sizes."""
    for size in (0, 2**64 - 1):
        assert parse_checkpoint_text(build_checkpoint_text(ORIGIN, size, ROOT)).size == size


@given(st.text(min_size=1), st.integers(), st.binary(max_size=40))
def test_what_is_built_is_read_back(origin: str, size: int, root: bytes) -> None:
    """Whatever is written as a checkpoint is read as the same, and the rest is refused."""
    try:
        text = build_checkpoint_text(origin, size, root)
    except CheckpointMalformedError:
        return
    assert parse_checkpoint_text(text) == Checkpoint(origin, size, root)


def test_origins_are_any_line() -> None:
    """Clients make no assumption about an origin's form; line separators of Unicode do not end a line."""
    for origin in ("two words", "a+b", "log\u2028log", "ß"):
        assert parse_checkpoint_text(build_checkpoint_text(origin, 7, ROOT)).origin == origin


def test_extension_lines_are_accepted_and_marked_by_who_signed_them() -> None:
    """Ed25519 covers extension lines, ML-DSA-44 does not, and the result says so."""
    text = build_checkpoint_text(ORIGIN, 7, ROOT) + "one\ntwo\n"
    cases: list[tuple[NoteSigner, bool]] = [(LOG, True), (LOG_ML_DSA, False)]
    for signer, signed in cases:
        raw = sign_note(text, [signer], timestamp_seconds=NOW_SECONDS)
        verified = verify_checkpoint(raw, ORIGIN, LOG_KEYS)
        assert verified.extension_lines == ("one", "two")
        assert verified.extension_lines_signed is signed


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """A key trusted for one log says nothing about another."""
    with pytest.raises(CheckpointOriginError):
        verify_checkpoint(resigned(build_checkpoint_text("other.example", 7, ROOT)), ORIGIN, LOG_KEYS)


def test_a_required_key_that_did_not_sign_is_missed() -> None:
    """One signature of the log is enough unless more are demanded."""
    raw = cosigned(LOG)
    verify_checkpoint(raw, ORIGIN, LOG_KEYS)
    with pytest.raises(CheckpointUnsignedError):
        verify_checkpoint(raw, ORIGIN, LOG_KEYS, required_vkeys=[LOG_ML_DSA.vkey])


def test_witnesses_never_stand_in_for_the_log() -> None:
    """A checkpoint that witnesses signed and the log did not is nobody's."""
    raw = cosigned(*WITNESSES)
    vkeys = [signer.vkey for signer in WITNESSES]
    with pytest.raises(CheckpointUnsignedError):
        verify_checkpoint(raw, ORIGIN, LOG_KEYS, witness_vkeys=vkeys)
    with pytest.raises(NoteUnsignedError):
        verify_checkpoint(raw, ORIGIN, LOG_KEYS)


def test_the_logs_own_key_is_never_a_witness() -> None:
    """Listed as a witness too, under any name, the log's signature still counts once, as the log's."""
    alias = MlDsa44NoteSigner("alias.example", MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32))
    raw = cosigned(LOG, LOG_ML_DSA, alias)
    verified = verify_checkpoint(raw, ORIGIN, LOG_KEYS, witness_vkeys=[LOG_ML_DSA.vkey, alias.vkey])
    assert verified.witness_signatures == ()
    assert len(verified.log_signatures) == 2


def test_keys_of_types_unfit_for_their_part_are_refused() -> None:
    """A witness's key signs as no log, and a plain key cosigns nothing."""
    with pytest.raises(VerifierKeyMalformedError):
        verify_checkpoint(CHECKPOINT, ORIGIN, [WITNESSES[0].vkey])
    with pytest.raises(VerifierKeyMalformedError):
        verify_checkpoint(CHECKPOINT, ORIGIN, LOG_KEYS, witness_vkeys=[LOG.vkey])
    strangers: list[NoteSigner] = [WITNESSES[0], Ed25519NoteSigner("other.example", Ed25519PrivateKey.generate())]
    for signer in strangers:
        with pytest.raises(VerifierKeyMalformedError):
            sign_checkpoint(ORIGIN, 7, ROOT, [signer], timestamp_seconds=NOW_SECONDS)


def test_an_empty_tree_has_only_the_empty_root() -> None:
    """Size 0 with another root can be true of no log."""
    verify_checkpoint(resigned(build_checkpoint_text(ORIGIN, 0, EMPTY_ROOT)), ORIGIN, LOG_KEYS)
    with pytest.raises(CheckpointRootError):
        verify_checkpoint(resigned(build_checkpoint_text(ORIGIN, 0, ROOT)), ORIGIN, LOG_KEYS)


def test_a_receipt_shows_where_a_leaf_stands() -> None:
    """Index, checkpoint and extra data come back; another leaf is not there."""
    for extra in (b"", b"\x00opaque"):
        raw = build_log_proof(5, prove_inclusion(5, LEAVES), CHECKPOINT, extra=extra)
        verified = verify_log_proof(raw, LEAVES[5], ORIGIN, LOG_KEYS)
        assert (verified.index, verified.checkpoint.size, verified.extra) == (5, 7, extra)
        assert (b"extra" in raw) is bool(extra)
        with pytest.raises(InclusionProofError):
            verify_log_proof(raw, LEAVES[4], ORIGIN, LOG_KEYS)


def test_a_receipt_of_a_tree_of_one_has_no_hashes() -> None:
    """The first leaf is its own root; the empty line still comes."""
    checkpoint = sign_checkpoint(ORIGIN, 1, LEAVES[0], [LOG], timestamp_seconds=NOW_SECONDS)
    raw = build_log_proof(0, [], checkpoint)
    assert raw.startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\nledger.example/log\n1\n")
    verify_log_proof(raw, LEAVES[0], ORIGIN, LOG_KEYS)


def test_every_bit_of_a_receipt_counts() -> None:
    """Flip any one bit of a receipt without extra data and it is refused, with an error of ours."""
    raw = build_log_proof(5, prove_inclusion(5, LEAVES), cosigned(LOG))
    verify_log_proof(raw, LEAVES[5], ORIGIN, LOG_KEYS)
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((MalformedError, VerificationError)):
            verify_log_proof(bytes(flipped), LEAVES[5], ORIGIN, LOG_KEYS)


RECEIPT = build_log_proof(5, prove_inclusion(5, LEAVES), CHECKPOINT, extra=b"extra data")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"c2sp.org/tlog-proof@v1\n", b""),
        (b"c2sp.org/tlog-proof@v1\n", b"\nc2sp.org/tlog-proof@v1\n"),
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1 \n"),
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\r\n"),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra "),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra"),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra  ZXh0cmEgZGF0YQ=="),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra ZXh0cmEgZGF0YQ"),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra ZXh0cmEgZGF0YR=="),
        (b"extra ZXh0cmEgZGF0YQ==", b"extra ZXh0cmEgZGF0YQ==\nextra ZXh0cmEgZGF0YQ=="),
        (b"extra ZXh0cmEgZGF0YQ==", b"Extra ZXh0cmEgZGF0YQ=="),
        (b"index 5\n", b""),
        (b"index 5\n", b"index\n"),
        (b"index 5\n", b"index 05\n"),
        (b"index 5\n", b"index +5\n"),
        (b"index 5\n", b"index -5\n"),
        (b"index 5\n", b"index 5 \n"),
        (b"index 5\n", b"index  5\n"),
        (b"index 5\n", b"index 5\r\n"),
        (b"index 5\n", "index ٥\n".encode()),
        (b"index 5\n", b"index 18446744073709551616\n"),
        (b"index 5\n", b"index 5\nindex 5\n"),
        (b"index 5\n", b"index 5\nAAAA\n"),
        (b"index 5\n", b"index 5\n" + (b"A" * 43 + b"=\n") * 64),
        (b"index 5\n", b"index 5\n\n"),
        (b"extra ZXh0cmEgZGF0YQ==\nindex 5\n", b"\n"),
        (b"index 5\n", b"\n"),
        (b"index 5\n", b"5\n"),
    ],
)
def test_receipts_in_other_forms_are_refused(old: bytes, new: bytes) -> None:
    """Every other spelling of the lines before the checkpoint is malformed."""
    assert RECEIPT.count(old) == 1
    with pytest.raises((LogProofMalformedError, CheckpointMalformedError)):
        parse_log_proof(RECEIPT.replace(old, new))


@given(st.data())
def test_damage_to_a_receipt_never_crashes(data: st.DataObject) -> None:
    """Whatever bytes change, the reader answers with the same parts or an error of ours."""
    start = data.draw(st.integers(0, len(RECEIPT)))
    end = data.draw(st.integers(start, min(len(RECEIPT), start + 8)))
    damaged = RECEIPT[:start] + data.draw(st.binary(max_size=8)) + RECEIPT[end:]
    try:
        proof = parse_log_proof(damaged)
    except CellcustodyError:
        return
    rebuilt = build_log_proof(proof.index, proof.hashes, proof.checkpoint, extra=proof.extra)
    assert rebuilt == damaged


def test_the_longest_path_is_accepted() -> None:
    """A tree of 2^64 leaves has 64 hashes on a path."""
    path = [bytes([index]) * 32 for index in range(64)]
    assert parse_log_proof(build_log_proof(5, path, CHECKPOINT)).hashes == tuple(path)
    assert parse_log_proof(build_log_proof(2**64 - 1, path, CHECKPOINT)).index == 2**64 - 1


def test_out_of_bounds_receipts_are_not_built() -> None:
    """No receipt is written that could not be read."""
    for index, hashes in [(-1, []), (2**64, []), (0, [bytes(31)]), (0, [bytes(32)] * 65)]:
        with pytest.raises(LogProofMalformedError):
            build_log_proof(index, hashes, CHECKPOINT)


def policy_of(*lines: str) -> bytes:
    logs = [f"log {LOG.vkey}", f"log {LOG_ML_DSA.vkey} https://ledger.example"]
    named = [f"witness w{number} {signer.vkey}" for number, signer in enumerate(WITNESSES, start=1)]
    return "".join(line + "\n" for line in (*logs, *named, *lines)).encode()


TWO_ORGANISATIONS = policy_of("group x 2 w1 w2 w3", "group y any w4", "group both all x y", "quorum both")


@pytest.mark.parametrize(
    ("signed", "met"),
    [("124", True), ("134", True), ("1234", True), ("12", False), ("14", False), ("123", False), ("", False)],
)
def test_a_quorum_of_groups_is_met_or_not(signed: str, met: bool) -> None:
    """Two of the first organisation and one of the second, or nothing."""
    raw = cosigned(LOG, *(WITNESSES[int(number) - 1] for number in signed))
    policy = parse_policy(TWO_ORGANISATIONS)
    if met:
        assert len(verify_under_policy(raw, policy).witness_signatures) == len(signed)
    else:
        with pytest.raises(QuorumUnmetError):
            verify_under_policy(raw, policy)


def test_a_policy_accepts_any_of_its_logs_and_no_other() -> None:
    """Either key of the log will do; a log that is not listed will not, however many witnesses signed."""
    policy = parse_policy(policy_of("quorum w1"))
    for signer in (LOG, LOG_ML_DSA):
        verify_under_policy(cosigned(signer, WITNESSES[0]), policy)
    with pytest.raises(CheckpointUnsignedError):
        verify_under_policy(cosigned(WITNESSES[0]), policy)
    other = Ed25519NoteSigner("other.example", Ed25519PrivateKey.generate())
    foreign = sign_checkpoint("other.example", 7, ROOT, [other], timestamp_seconds=NOW_SECONDS)
    with pytest.raises(CheckpointUnsignedError):
        verify_under_policy(foreign, policy)


def test_a_witness_whose_signature_fails_refuses_the_checkpoint() -> None:
    """Even where the quorum would be met without it."""
    good = cosigned(LOG, WITNESSES[0], WITNESSES[1])
    name = parse_note(good).signatures[2].name.encode()
    line = good.splitlines(keepends=True)[-1]
    damaged = good.replace(line, line[:-10] + b"AAAAAAAA=\n"[-10:])
    assert name in damaged
    with pytest.raises(NoteSignatureError):
        verify_under_policy(damaged, parse_policy(policy_of("quorum w1")))


def test_no_witness_is_needed_under_quorum_none() -> None:
    """The policy of a ledger without witnesses."""
    verify_under_policy(cosigned(LOG), parse_policy(policy_of("quorum none")))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["quorum w1", "quorum w1"],
        ["quorum w5"],
        ["quorum"],
        ["quorum w1 w2"],
        ["Quorum w1"],
        ["group none all w1", "quorum none"],
        ["group g all none", "quorum g"],
        ["group w1 all w2", "quorum w1"],
        ["group g all", "quorum g"],
        ["group g 0 w1", "quorum g"],
        ["group g 2 w1", "quorum g"],
        ["group g -1 w1", "quorum g"],
        ["group g +1 w1", "quorum g"],
        ["group g 01 w1", "quorum g"],
        ["group g ١ w1", "quorum g"],
        ["group g w1 w2", "quorum g"],
        ["group g any w1 w1", "quorum g"],
        ["group g any w1", "group h any w1", "quorum g"],
        ["group g any g", "quorum g"],
        ["group g any h", "group h any w1", "quorum g"],
        ["quorum g", "group g any w1"],
        [f"log {LOG.vkey}", "quorum none"],
        [f"log {WITNESSES[0].vkey}", "quorum none"],
        ["log", "quorum none"],
        [f"log {LOG.vkey} url surplus", "quorum none"],
        [f"witness w5 {LOG.vkey}", "quorum none"],
        [f"witness w5 {WITNESSES[0].vkey}", "quorum none"],
        [f"witness w1 {witness(9).vkey}", "quorum none"],
        [f"witness none {witness(9).vkey}", "quorum none"],
        [f"witness {witness(9).vkey}", "quorum none"],
        ["log x\r", "quorum none"],
        ["# \x00", "quorum none"],
        ["# \x7f", "quorum none"],
        ["quorum none\r"],
        ["quorum none\x0b"],
        ["quorum none\x7f"],
        ["quorum\u00a0none"],
    ],
)
def test_policies_in_other_forms_are_refused(lines: list[str]) -> None:
    """Each breaks one rule of the format."""
    with pytest.raises(PolicyMalformedError):
        parse_policy(policy_of(*lines))


@pytest.mark.parametrize(
    ("group", "signed", "met"), [("1 w1 w2", "2", True), ("2 w1 w2", "12", True), ("2 w1 w2", "1", False)]
)
def test_numeric_thresholds_run_from_one_to_all(group: str, signed: str, met: bool) -> None:
    """A threshold may be one, all, and what lies between."""
    policy = parse_policy(policy_of(f"group g {group}", "quorum g"))
    assert policy.is_met_by(frozenset(f"w{number}".encode() for number in signed)) is met


def test_a_policy_beyond_bounds_is_refused() -> None:
    """A million bytes are enough for any policy."""
    with pytest.raises(PolicyMalformedError, match="too large"):
        parse_policy(b"#" * 999_988 + b"\nquorum none\n")
    parse_policy(b"#" * 999_987 + b"\nquorum none\n")


def test_space_comments_and_opaque_names_are_accepted() -> None:
    """Tabs and spaces part items, # begins a comment line, and names are bytes of any script."""
    vkey = witness(9).vkey.encode()
    raw = b"# \xff comment\n\n \t \n\twitness \t \xff\xfe  " + vkey + b"  https://w.example\t\nquorum \xff\xfe\n"
    policy = parse_policy(raw)
    assert policy.quorum == b"\xff\xfe"
    assert policy.logs == ()
    with pytest.raises(PolicyMalformedError):
        parse_policy(raw[:-1])


@given(st.binary(max_size=60))
def test_arbitrary_lines_never_crash_the_policy_reader(raw: bytes) -> None:
    """Nothing but our own error leaves the parser."""
    for candidate in (raw, policy_of() + raw + b"\n", b"log " + raw + b"\nquorum none\n"):
        try:
            parse_policy(candidate)
        except PolicyMalformedError:
            continue
