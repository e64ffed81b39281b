"""Parsers against the letter of the C2SP texts: what is not the one form is refused, whatever it resembles.

Every case is made from a good one by one change, so that nothing else can be the reason.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cellcustody.ledger.errors import CellcustodyError, MalformedError, VerificationError
from cellcustody.ledger.transparency import (
    EMPTY_ROOT,
    Ed25519Cosigner,
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteSignature,
    build_add_checkpoint,
    build_checkpoint_text,
    build_fork_proof,
    build_log_proof,
    format_note,
    format_vkey,
    leaf_hash,
    parse_add_checkpoint,
    parse_checkpoint,
    parse_cosignatures,
    parse_log_proof,
    parse_note,
    parse_policy,
    parse_size,
    parse_vkey,
    prove_inclusion,
    read_cosignatures,
    root_of,
    sign_checkpoint,
    sign_note,
    verify_checkpoint,
    verify_consistency,
    verify_fork_proof,
    verify_inclusion,
    verify_log_proof,
    verify_note,
)
from cellcustody.ledger.transparency.errors import (
    CheckpointMalformedError,
    ForkProofMalformedError,
    ForkUnprovenError,
    LogProofMalformedError,
    NoteMalformedError,
    NoteSignatureError,
    NoteUnsignedError,
    PolicyMalformedError,
    VerifierKeyMalformedError,
    WitnessRequestMalformedError,
)

ORIGIN = "letter.example/log"
NOW = 1_767_225_600
LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(7)]
ROOT = root_of(LEAVES)
LOG = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
LOG_PQ = MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes([8]) * 32))
WITNESS = Ed25519Cosigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
WITNESS_PQ = MlDsa44NoteSigner("witness.example/w", MLDSA44PrivateKey.from_seed_bytes(bytes([10]) * 32))
STRANGER = Ed25519NoteSigner("stranger.example", Ed25519PrivateKey.from_private_bytes(bytes([11]) * 32))
NOTE = sign_checkpoint(ORIGIN, 7, ROOT, [LOG, LOG_PQ], timestamp_seconds=NOW)
TEXT = build_checkpoint_text(ORIGIN, 7, ROOT)
PROOF = build_log_proof(3, prove_inclusion(3, LEAVES), NOTE)
REQUEST = build_add_checkpoint(3, [bytes(32)], NOTE)
B64 = base64.b64encode(ROOT).decode()

SPELLINGS = {
    # Numbers that are none: signs, zeros, spaces, other digits, other bases, nothing.
    "a plus": "+7",
    "a minus": "-7",
    "a leading zero": "07",
    "two zeros": "00",
    "a space before": " 7",
    "a space after": "7 ",
    "a tab": "\t7",
    "a carriage return": "7\r",
    "an underscore": "1_0",
    "a point": "7.0",
    "an exponent": "7e0",
    "hexadecimal": "0x7",
    "Arabic-Indic digits": "٧",
    "full-width digits": "７",
    "Devanagari digits": "७",
    "a superscript": "⁷",
    "a thin space": "7\u2009",
    "a no-break space": "\u00a07",
    "a zero-width space": "7\u200b",
    "a byte order mark": "\ufeff7",
    "2^64": str(2**64),
    "many digits": "9" * 40,
    "nothing": "",
}

ENCODINGS: dict[str, Callable[[str], str]] = {
    # Base64 that is none, made from good text of 32 bytes.
    "without padding": lambda text: text.rstrip("="),
    "with too much padding": lambda text: text + "=",
    "padding in the middle": lambda text: text[:8] + "=" + text[9:],
    "URL-safe": lambda text: "-_" + text[2:],
    "a space": lambda text: text[:8] + " " + text[8:],
    "a space after": lambda text: text + " ",
    "a carriage return": lambda text: text + "\r",
    "spare bits set": lambda text: text[:-2] + chr(ord(text[-2]) + 1) + "=",
    "31 bytes": lambda text: base64.b64encode(bytes(31)).decode(),
    "33 bytes": lambda text: base64.b64encode(bytes(33)).decode(),
    "a letter of another script": lambda text: "А" + text[1:],
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_number_has_one_spelling(spelling: str) -> None:
    """In checkpoints, proofs, requests to witnesses and their answers alike."""
    with pytest.raises(MalformedError):
        parse_checkpoint(format_note(f"{ORIGIN}\n{spelling}\n{B64}\n", [NoteSignature("a", 1, b"x")]))
    with pytest.raises(MalformedError):
        parse_log_proof(PROOF.replace(b"index 3\n", f"index {spelling}\n".encode()))
    with pytest.raises(MalformedError):
        parse_add_checkpoint(REQUEST.replace(b"old 3\n", f"old {spelling}\n".encode()))
    with pytest.raises(MalformedError):
        parse_size(f"{spelling}\n".encode())
    with pytest.raises(MalformedError):
        parse_policy(policy(f"group g {spelling} w\nquorum g\n"))


@pytest.mark.parametrize("spoil", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_a_hash_has_one_spelling(spoil: Callable[[str], str]) -> None:
    """Root hashes, inclusion hashes, consistency hashes."""
    step = base64.b64encode(prove_inclusion(3, LEAVES)[0]).decode()
    assert spoil(step) != step
    with pytest.raises(MalformedError):
        parse_log_proof(PROOF.replace(step.encode(), spoil(step).encode(), 1))
    with pytest.raises(MalformedError):
        parse_checkpoint(format_note(f"{ORIGIN}\n7\n{spoil(B64)}\n", [NoteSignature("a", 1, b"x")]))
    zero = base64.b64encode(bytes(32)).decode()
    if spoil(zero) != zero:
        with pytest.raises(MalformedError):
            parse_add_checkpoint(REQUEST.replace(zero.encode(), spoil(zero).encode(), 1))


@pytest.mark.parametrize("size", [0, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_sizes_reach_to_64_bits(size: int) -> None:
    root = EMPTY_ROOT if size == 0 else ROOT
    note = sign_checkpoint(ORIGIN, size, root, [LOG, LOG_PQ], timestamp_seconds=NOW)
    assert verify_checkpoint(note, ORIGIN, [LOG.vkey, LOG_PQ.vkey]).size == size
    assert parse_size(f"{size}\n".encode()) == size
    assert parse_add_checkpoint(build_add_checkpoint(size, [], note)).old_size == size


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw + b"\n",
        lambda raw: raw[:-1],
        lambda raw: raw.replace("— ".encode(), b"- ", 1),
        lambda raw: raw.replace("— ".encode(), "– ".encode(), 1),
        lambda raw: raw.replace("— ".encode(), "—".encode(), 1),
        lambda raw: raw.replace("— ".encode(), "—  ".encode(), 1),
        lambda raw: raw.replace("— ".encode(), "—\u00a0".encode(), 1),
        lambda raw: raw.replace("— ".encode(), " — ".encode(), 1),
        lambda raw: raw.replace(ORIGIN.encode() + b" ", ORIGIN.encode() + b"\t", 1),
        lambda raw: raw.replace(b"\n\n", b"\n", 1),
        lambda raw: b"\xef\xbb\xbf" + raw.replace(b"\n\n", b"\n\0\n"),
        lambda raw: raw.replace(b"example", b"exa\x00mple", 1),
        lambda raw: raw.replace(b"example", b"exa\x1fmple", 1),
        lambda raw: raw.replace(b"example", b"exa\xffmple", 1),
        lambda raw: raw.replace(b"example", b"exa\xed\xa0\x80mple", 1),
        lambda raw: raw.replace(b"example", b"exa\xc0\x80mple", 1),
    ],
)
def test_a_note_has_one_form(change: Callable[[bytes], bytes]) -> None:
    changed = change(NOTE)
    assert changed != NOTE
    with pytest.raises(MalformedError):
        parse_note(changed)


def test_control_characters_end_below_space() -> None:
    """DEL and those above are text (signed-note names those below U+0020 alone)."""
    note = sign_note("a text\x7f with \u0085 these \u2028 too\n", [LOG], timestamp_seconds=NOW)
    assert verify_note(note, [LOG.vkey]).text.endswith("too\n")


def test_the_last_empty_line_divides() -> None:
    text = "with\n\nempty\n\n\nlines\n"
    note = sign_note(text, [LOG], timestamp_seconds=NOW)
    assert verify_note(note, [LOG.vkey]).text == text


@pytest.mark.parametrize("material", ["", "AA==", "AAAA", "AAAAAA=="])
def test_a_signature_is_longer_than_its_key_id(material: str) -> None:
    with pytest.raises(NoteMalformedError):
        parse_note(f"a text\n\n— a {material}\n".encode())
    assert parse_note(b"a text\n\n" + "— a AAAAAAA=\n".encode()).signatures[0].signature == b"\0"


def test_sixteen_signatures_are_taken_and_floods_are_not() -> None:
    strangers = [NoteSignature(f"s{number}", number, bytes(2428)) for number in range(15)]
    signed = parse_note(sign_note(TEXT, [LOG], timestamp_seconds=NOW)).signatures
    assert len(verify_note(format_note(TEXT, [*strangers, *signed]), [LOG.vkey]).signatures) == 1
    with pytest.raises(NoteMalformedError):
        parse_note(NOTE + "".join(one.line() for one in strangers * 10).encode())


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a\u00a0b", "a\u1680b", "a\u2003b", "a\u2028b", "a\u2029b", "a\u202fb", "a\u205fb", "a\u3000b",
     "a\u0085b", "a+b", "+", "a\tb", "a\nb", "a\x00b", "\ud800"],
)  # fmt: skip
def test_a_key_name_has_no_space_and_no_plus(name: str) -> None:
    with pytest.raises(VerifierKeyMalformedError):
        format_vkey(name, 1, parse_vkey(LOG.vkey).public_key)
    with pytest.raises(CellcustodyError):
        parse_note(f"a text\n\n— {name} AAAAAAA=\n".encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", ["a", "é", "a\u200bb", "例え", "a/b:c@d", "a\u2060b", "-", "—"])
def test_a_key_name_may_be_anything_else(name: str) -> None:
    signer = Ed25519NoteSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([12]) * 32))
    assert (
        verify_note(sign_note("a text\n", [signer], timestamp_seconds=NOW), [signer.vkey]).signatures[0].key.name
        == name
    )


def vkey_cases() -> list[str]:
    """Verifier keys that are none, each by one change of a good one."""
    name, key_id, material = LOG.vkey.split("+", 2)
    raw = base64.b64decode(material)

    def with_type(kind: int) -> str:
        return base64.b64encode(bytes([kind]) + raw[1:]).decode()

    return [
        f"{name}+{key_id.upper()}+{material}" if key_id.upper() != key_id else f"{name}+{key_id}0+{material}",
        f"{name}+0x{key_id}+{material}",
        f"{name}+{key_id[1:]}+{material}",
        f"{name}+{int(key_id, 16) ^ 1:08x}+{material}",
        f"{name}+{key_id}+{material[:-1]}",
        f"{name}+{key_id}+{material}=",
        f"{name}+{key_id}+{material}\n",
        f" {name}+{key_id}+{material}",
        f"{name}+ {key_id}+{material}",
        f"{name}{key_id}+{material}",
        f"+{key_id}+{material}",
        f"{name}+{key_id}+",
        f"{name}+{key_id}+{with_type(0)}",
        f"{name}+{key_id}+{with_type(2)}",
        f"{name}+{key_id}+{with_type(5)}",
        f"{name}+{key_id}+{with_type(255)}",
        f"{name}+{key_id}+{base64.b64encode(raw[:-1]).decode()}",
        f"{name}+{key_id}+{base64.b64encode(raw + bytes(1)).decode()}",
        "",
    ]


@pytest.mark.parametrize("vkey", vkey_cases())
def test_a_verifier_key_has_one_form(vkey: str) -> None:
    with pytest.raises(VerifierKeyMalformedError):
        parse_vkey(vkey)


def test_unknown_keys_are_ignored_and_a_known_one_that_fails_refuses_the_note() -> None:
    with_stranger = sign_note(TEXT, [STRANGER, LOG], timestamp_seconds=NOW)
    assert [one.key.name for one in verify_note(with_stranger, [LOG.vkey]).signatures] == [ORIGIN]
    signature = parse_note(NOTE).signatures[0]
    broken = NoteSignature(
        signature.name, signature.key_id, signature.signature[:-1] + bytes([signature.signature[-1] ^ 1])
    )
    for lines in ([broken, signature], [signature, broken], [broken]):
        with pytest.raises(NoteSignatureError):
            verify_note(format_note(TEXT, lines), [LOG.vkey])
    # The same name with another id, or the same id with another name, is another key.
    for other in (
        NoteSignature(signature.name, signature.key_id ^ 1, signature.signature),
        NoteSignature("another", signature.key_id, signature.signature),
    ):
        with pytest.raises(NoteUnsignedError):
            verify_note(format_note(TEXT, [other]), [LOG.vkey])
        assert len(verify_note(format_note(TEXT, [other, signature]), [LOG.vkey]).signatures) == 1


def test_a_signature_given_twice_is_verified_twice() -> None:
    signature = parse_note(NOTE).signatures[0]
    assert len(verify_note(format_note(TEXT, [signature, signature]), [LOG.vkey]).signatures) == 2


def test_types_do_not_stand_in_for_each_other() -> None:
    """The same Ed25519 key as a log's and as a witness's has two ids, and signs two messages."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([13]) * 32)
    as_log, as_witness = Ed25519NoteSigner(ORIGIN, private), Ed25519Cosigner(ORIGIN, private)
    assert parse_vkey(as_log.vkey).id != parse_vkey(as_witness.vkey).id
    note = sign_note(TEXT, [as_witness], timestamp_seconds=NOW)
    with pytest.raises(NoteUnsignedError):
        verify_note(note, [as_log.vkey])
    line = parse_note(note).signatures[0]
    disguised = NoteSignature(line.name, parse_vkey(as_log.vkey).id, line.signature[8:])
    with pytest.raises(NoteSignatureError):
        verify_note(format_note(TEXT, [disguised]), [as_log.vkey])


@pytest.mark.parametrize("signer", [WITNESS, WITNESS_PQ])
def test_times_of_cosignatures(signer: Ed25519Cosigner | MlDsa44NoteSigner) -> None:
    """Up to 2^63 - 1; the time signed is the time shown; zero is taken, and never written."""
    latest = sign_note(TEXT, [signer], timestamp_seconds=2**63 - 1)
    assert verify_note(latest, [signer.vkey]).signatures[0].timestamp_seconds == 2**63 - 1
    line = parse_note(latest).signatures[0]
    for time in (2**63, 2**64 - 1, NOW, 0):
        moved = NoteSignature(line.name, line.key_id, time.to_bytes(8, "big") + line.signature[8:])
        with pytest.raises(NoteSignatureError):
            verify_note(format_note(TEXT, [moved]), [signer.vkey])
    for time in (0, -1, 2**63):
        with pytest.raises(NoteMalformedError):
            signer.sign(TEXT, time)


@pytest.mark.parametrize("length", [0, 7, 8, 63, 71, 73, 2427, 2429])
def test_timestamped_signatures_have_one_length(length: int) -> None:
    for signer in (WITNESS, WITNESS_PQ):
        line = parse_note(sign_note(TEXT, [signer], timestamp_seconds=NOW)).signatures[0]
        cut = NoteSignature(line.name, line.key_id, (line.signature + bytes(3000))[:length] or b"\0")
        with pytest.raises(NoteSignatureError):
            verify_note(format_note(TEXT, [cut]), [signer.vkey])


def test_extension_lines_are_taken_and_never_empty() -> None:
    text = TEXT + "an extension\nanother — with anything\n"
    note = sign_note(text, [LOG], timestamp_seconds=NOW)
    found = verify_checkpoint(note, ORIGIN, [LOG.vkey])
    assert (found.extension_lines, found.extension_lines_signed) == (("an extension", "another — with anything"), True)
    with pytest.raises(CheckpointMalformedError):
        parse_checkpoint(sign_note(TEXT + "\nan extension\n", [LOG], timestamp_seconds=NOW))


@pytest.mark.parametrize("text", ["", "\n", f"{ORIGIN}\n", f"{ORIGIN}\n7\n", f"\n7\n{B64}\n", f"{ORIGIN}\n\n{B64}\n"])
def test_a_checkpoint_has_three_lines_at_least(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_checkpoint(f"{text}\n— a AAAAAAA=\n".encode())


@pytest.mark.parametrize("origin", ["a b", "a+b", "with spaces and + signs", "例え", "\u00a0"])
def test_an_origin_may_be_any_line(origin: str) -> None:
    """Clients must not assume that it looks like a URL (tlog-checkpoint)."""
    note = sign_note(f"{origin}\n7\n{B64}\n", [LOG], timestamp_seconds=NOW)
    assert verify_checkpoint(note, origin, [LOG.vkey]).origin == origin


@pytest.mark.parametrize(
    "change",
    [
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v2\n"),
        (b"c2sp.org/tlog-proof@v1\n", b"C2SP.org/tlog-proof@v1\n"),
        (b"c2sp.org/tlog-proof@v1\n", b" c2sp.org/tlog-proof@v1\n"),
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1 \n"),
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\r\n"),
        (b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\n\n"),
        (b"index 3\n", b"Index 3\n"),
        (b"index 3\n", b"index  3\n"),
        (b"index 3\n", b"index\t3\n"),
        (b"index 3\n", b"index 3\nindex 3\n"),
        (b"index 3\n", b"extra \nindex 3\n"),
        (b"index 3\n", b"extra\nindex 3\n"),
        (b"index 3\n", b"extra AAA\nindex 3\n"),
        (b"index 3\n", b"extra AAAA\nextra AAAA\nindex 3\n"),
        (b"index 3\n", b"index 3\nextra AAAA\n"),
        (b"index 3\n", b""),
    ],
)
def test_a_receipt_has_one_form(change: tuple[bytes, bytes]) -> None:
    changed = PROOF.replace(*change, 1)
    assert changed != PROOF
    with pytest.raises(LogProofMalformedError):
        parse_log_proof(changed)


def test_extra_data_are_shown_and_prove_nothing() -> None:
    proof = build_log_proof(3, prove_inclusion(3, LEAVES), NOTE, extra=b"anything")
    assert verify_log_proof(proof, LEAVES[3], ORIGIN, [LOG.vkey]).extra == b"anything"
    with pytest.raises(VerificationError):
        verify_log_proof(proof, LEAVES[4], ORIGIN, [LOG.vkey])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_of_another_length_are_no_hashes(length: int) -> None:
    wrong = bytes(length)
    proof = prove_inclusion(3, LEAVES)
    for arguments in ((wrong, proof, ROOT), (LEAVES[3], [wrong, *proof[1:]], ROOT), (LEAVES[3], proof, wrong)):
        with pytest.raises(VerificationError):
            verify_inclusion(3, 7, *arguments)
    with pytest.raises(VerificationError):
        verify_inclusion(0, 1, wrong, [], wrong)
    with pytest.raises(VerificationError):
        verify_consistency(7, 7, wrong, wrong, [])


def policy(rest: str, *, logs: str = "") -> bytes:
    """A policy with one witness, and these lines after it."""
    return f"{logs}witness w {WITNESS.vkey}\n{rest}".encode()


@pytest.mark.parametrize(
    "rest",
    [
        "quorum w",
        "quorum w\nquorum w\n",
        "quorum none\nquorum none\n",
        "quorum\n",
        "quorum w w\n",
        "Quorum w\n",
        "quorum W\n",
        "quorum x\n",
        "quorum w\r\n",
        "quorum w\x0b\n",
        "quorum w\x7f\n",
        "quorum\u00a0w\n",
        "group g all w w\nquorum g\n",
        "group g all\nquorum g\n",
        "group g 0 w\nquorum g\n",
        "group g 2 w\nquorum g\n",
        "group g any x\nquorum g\n",
        "group g any none\nquorum g\n",
        "group none any w\nquorum none\n",
        "group w any w\nquorum w\n",
        "group g any g\nquorum g\n",
        "group g any w\ngroup h any w\nquorum h\n",
        "group g ALL w\nquorum g\n",
        f"witness w {WITNESS_PQ.vkey}\nquorum w\n",
        f"witness v {WITNESS.vkey}\nquorum w\n",
        f"witness none {WITNESS_PQ.vkey}\nquorum w\n",
        f"witness v {LOG.vkey}\nquorum w\n",
        f"log {WITNESS.vkey}\nquorum w\n",
        f"log {LOG.vkey}\nlog {LOG.vkey} https://a\nquorum w\n",
        f"log {LOG.vkey} a b\nquorum w\n",
        f"witness v {WITNESS_PQ.vkey} a b\nquorum w\n",
        "quorum w # a comment\n",
        "",
    ],
)
def test_a_policy_says_one_thing(rest: str) -> None:
    with pytest.raises(PolicyMalformedError):
        parse_policy(policy(rest))


@pytest.mark.parametrize(
    "rest",
    [
        "quorum w\n",
        "  quorum \t w  \n",
        "quorum none\n",
        "# quorum x\n\t# another\n \t \n\nquorum w\n",
        "group all any w\nquorum all\n",
        "group any 1 w\nquorum any\n",
        "group none2 all w\nquorum none2\n",
        f"log {LOG.vkey}\nlog {LOG_PQ.vkey} https://é.example/\nquorum w\n",
        f"witness é\u00a0 {WITNESS_PQ.vkey}\ngroup g 2 w é\u00a0\nquorum g\n",
        "quorum w\ngroup later all w\n",
    ],
)
def test_a_policy_may_be_written_so(rest: str) -> None:
    """Names are opaque bytes, gaps are spaces and tabs, what is not used is no fault."""
    assert parse_policy(policy(rest)).witnesses[b"w"] == WITNESS.vkey


def test_names_of_a_policy_are_bytes() -> None:
    """K and the Kelvin sign are two names; bytes that are no UTF-8 are a name too (tlog-policy)."""
    kelvin = "\u212a".encode()
    raw = b"witness K " + WITNESS.vkey.encode() + b"\nwitness " + kelvin + b" " + WITNESS_PQ.vkey.encode()
    found = parse_policy(raw + b"\ngroup \xff\xfe 2 K " + kelvin + b"\nquorum \xff\xfe\n")
    assert (set(found.witnesses), found.quorum) == ({b"K", kelvin}, b"\xff\xfe")


@pytest.mark.parametrize(
    "spoilt",
    [b"", b"\n", "— a AAAAAAA=".encode(), "— a AAAAAAA=\n\n".encode(), "\n— a AAAAAAA=\n".encode(), b"- a AAAAAAA=\n"],
)
def test_a_witness_answers_in_lines(spoilt: bytes) -> None:
    with pytest.raises(NoteMalformedError):
        parse_cosignatures(spoilt)


def test_a_witnesses_answer_counts_for_its_own_keys_and_this_text() -> None:
    lines = b"".join(sign_note(TEXT, [one], timestamp_seconds=NOW).split(b"\n\n")[1] for one in (WITNESS, STRANGER))
    assert [line.name for line in read_cosignatures(lines, TEXT, [WITNESS.vkey])] == ["witness.example/w"]
    with pytest.raises(NoteUnsignedError):
        read_cosignatures(lines, TEXT, [WITNESS_PQ.vkey])
    with pytest.raises(NoteSignatureError):
        read_cosignatures(lines, build_checkpoint_text(ORIGIN, 8, ROOT), [WITNESS.vkey])
    assert len(read_cosignatures(lines + lines, TEXT, [WITNESS.vkey])) == 1


def test_a_request_to_a_witness_is_bounded() -> None:
    with pytest.raises(WitnessRequestMalformedError):
        build_add_checkpoint(1, [bytes(32)] * 64, NOTE)
    assert len(parse_add_checkpoint(build_add_checkpoint(1, [bytes(32)] * 63, NOTE)).proof) == 63


OTHER = sign_checkpoint(ORIGIN, 7, bytes(32), [LOG, LOG_PQ], timestamp_seconds=NOW)


@pytest.mark.parametrize(
    "change",
    [
        (b'"format_version": 1', b'"format_version": 2'),
        (b'"format_version": 1', b'"format_version": true'),
        (b'"format_version": 1', b'"format_version": 1, "more": 1'),
        (b'"format_version": 1', b'"format_version": 1, "format_version": 1'),
        (b'"proof": []', b'"proof": null'),
        (b'"proof": []', b'"proof": [""]'),
        (b'"prefix_root": ""', b'"prefix_root": "AAAA"'),
    ],
)
def test_a_proof_of_a_fork_has_one_form(change: tuple[bytes, bytes]) -> None:
    proof = build_fork_proof(NOTE, OTHER)
    verify_fork_proof(proof, ORIGIN, [LOG.vkey])
    assert change[0] in proof
    with pytest.raises(ForkProofMalformedError):
        verify_fork_proof(proof.replace(*change, 1), ORIGIN, [LOG.vkey])


def test_what_is_no_fork_is_not_proven_to_be_one() -> None:
    """The same twice, a log that grew, others' signatures, the larger first."""
    smaller = sign_checkpoint(ORIGIN, 3, root_of(LEAVES[:3]), [LOG], timestamp_seconds=NOW)
    from cellcustody.ledger.transparency import prove_consistency

    grown = build_fork_proof(smaller, NOTE, prefix_root=root_of(LEAVES[:3]), proof=prove_consistency(3, LEAVES))
    for proof in (build_fork_proof(NOTE, NOTE), grown, build_fork_proof(NOTE, smaller)):
        with pytest.raises((ForkUnprovenError, VerificationError)):
            verify_fork_proof(proof, ORIGIN, [LOG.vkey])
    other_prefix = sign_checkpoint(ORIGIN, 3, bytes(32), [LOG], timestamp_seconds=NOW)
    proof = build_fork_proof(other_prefix, NOTE, prefix_root=root_of(LEAVES[:3]), proof=prove_consistency(3, LEAVES))
    assert verify_fork_proof(proof, ORIGIN, [LOG.vkey]).first.size == 3
    with pytest.raises(VerificationError):
        verify_fork_proof(proof, ORIGIN, [STRANGER.vkey])
    with pytest.raises(VerificationError):
        verify_fork_proof(proof, "another.example/log", [LOG.vkey])
