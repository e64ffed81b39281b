"""Signed notes and the keys that sign them: outside examples, exact forms, and what a known key's failure does."""

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    Ed25519NoteSigner,
    MlDsa44NoteSigner,
    NoteKeyType,
    NoteSignature,
    build_checkpoint_text,
    cosignature_v1_message,
    format_note,
    format_vkey,
    key_id,
    parse_note,
    parse_vkey,
    sign_note,
    subtree_v1_message,
    verify_note,
)
from cellcustody.ledger.transparency.errors import (
    CheckpointMalformedError,
    NoteMalformedError,
    NoteSignatureError,
    NoteUnsignedError,
    VerifierKeyMalformedError,
)

# The example of C2SP signed-note, and those of golang.org/x/mod/sumdb/note.
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
COSIGNATURE_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"

ORIGIN = "ledger.example/log"
NOW_SECONDS = 1_767_225_600
ROOT = bytes(range(32))
TEXT = build_checkpoint_text(ORIGIN, 7, ROOT)
LOG = Ed25519NoteSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))
LOG_ML_DSA = MlDsa44NoteSigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32))
WITNESS = Ed25519Cosigner("witness.example", Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32))
STRANGER = Ed25519NoteSigner("stranger.example", Ed25519PrivateKey.from_private_bytes(bytes([4]) * 32))
NOTE = sign_note(TEXT, [LOG, LOG_ML_DSA, WITNESS], timestamp_seconds=NOW_SECONDS)
ALL = [LOG.vkey, LOG_ML_DSA.vkey, WITNESS.vkey]


def line(signature: NoteSignature) -> bytes:
    return signature.line().encode()


@pytest.mark.parametrize(("note", "vkey"), [(SPEC_NOTE, SPEC_VKEY), (GO_NOTE, GO_VKEY)], ids=["c2sp", "go"])
def test_outside_examples_verify(note: bytes, vkey: str) -> None:
    """Notes signed by other implementations are read, verified and written back byte for byte."""
    verified = verify_note(note, [vkey])
    assert verified.text.encode() == note.rpartition(b"\n\n")[0] + b"\n"
    parsed = parse_note(note)
    assert format_note(parsed.text, parsed.signatures) == note


@pytest.mark.parametrize("vkey", [SPEC_VKEY, GO_VKEY, COSIGNATURE_VKEY, LOG_ML_DSA.vkey], ids=lambda v: str(v)[:20])
def test_verifier_keys_have_one_spelling(vkey: str) -> None:
    """A key is read and written back byte for byte."""
    key = parse_vkey(vkey)
    assert format_vkey(key.name, key.type, key.public_key) == vkey
    assert key_id(key.name, key.type, key.public_key) == key.id == int(vkey.split("+")[1], 16)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        SPEC_VKEY.replace("530d903a", "530D903A"),
        SPEC_VKEY.replace("530d903a", "530d903"),
        SPEC_VKEY.replace("530d903a", "0530d903a"),
        SPEC_VKEY.replace("530d903a", "530d903b"),
        SPEC_VKEY.replace("example.com", "example.org"),
        SPEC_VKEY.replace("example.com/foo", ""),
        SPEC_VKEY.replace("example", "exam ple"),
        SPEC_VKEY.replace("example", "exam\u2003ple"),
        SPEC_VKEY.replace("example", "exam\ud800ple"),
        SPEC_VKEY + "\n",
        SPEC_VKEY + "=",
        SPEC_VKEY[:-1],
        SPEC_VKEY.replace("Aeky", "Ae ky"),
        f"a+{key_id('a', 1, b''):08x}+AQ==",
        "a+00000000+",
        f"a+{key_id('a', 1, bytes(31)):08x}+{base64.b64encode(bytes([1]) + bytes(31)).decode()}",
        f"a+{key_id('a', 2, bytes([9] * 32)):08x}+{base64.b64encode(bytes([2]) + bytes([9] * 32)).decode()}",
        f"a+{key_id('a', 6, bytes(1311)):08x}+{base64.b64encode(bytes([6]) + bytes(1311)).decode()}",
        # A key of low order: the neutral element, under which one signature fits every note.
        f"a+{key_id('a', 1, bytes([1, *bytes(31)])):08x}+{base64.b64encode(bytes([1, 1, *bytes(31)])).decode()}",
    ],
)
def test_other_verifier_keys_are_refused(vkey: str) -> None:
    """A key in another spelling, of another id or type, or unsafe, is refused before any note is read."""
    with pytest.raises(VerifierKeyMalformedError):
        parse_vkey(vkey)
    with pytest.raises(VerifierKeyMalformedError):
        verify_note(SPEC_NOTE, [SPEC_VKEY, vkey])


def test_all_three_signature_types_verify_and_tell_their_time() -> None:
    """The plain signature has no time; both cosignatures say when they were made."""
    verified = verify_note(NOTE, ALL)
    assert verified.text == TEXT
    assert [(signature.key.type, signature.timestamp_seconds) for signature in verified.signatures] == [
        (NoteKeyType.ED25519, None),
        (NoteKeyType.ML_DSA_44_COSIGNATURE, NOW_SECONDS),
        (NoteKeyType.ED25519_COSIGNATURE, NOW_SECONDS),
    ]


def test_the_ml_dsa_message_is_the_specifications_structure() -> None:
    """Label, name, time, origin, start 0, end = size, root: each byte where tlog-cosignature puts it."""
    name = "witness.example/ß".encode()
    expected = b"subtree/v1\n\x00" + bytes([len(name)]) + name + struct.pack(">Q", NOW_SECONDS)
    expected += bytes([len(ORIGIN)]) + ORIGIN.encode() + struct.pack(">QQ", 0, 7) + ROOT
    assert subtree_v1_message("witness.example/ß", TEXT, NOW_SECONDS) == expected
    signature = LOG_ML_DSA.sign(TEXT, NOW_SECONDS).signature
    assert len(signature) == 8 + 2420
    public_key = MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32).public_key()
    public_key.verify(signature[8:], subtree_v1_message(ORIGIN, TEXT, NOW_SECONDS))


def test_the_ed25519_cosignature_covers_header_time_and_whole_body() -> None:
    """The specification's example of what is signed."""
    body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert cosignature_v1_message(body, 1679315147) == b"cosignature/v1\ntime 1679315147\n" + body.encode()


def test_names_in_the_ml_dsa_message_have_up_to_255_bytes() -> None:
    """Their length is one byte; a longer origin or key name cannot be signed so, and no signature over it verifies."""
    longest = build_checkpoint_text("o" * 255, 7, ROOT)
    assert verify_note(sign_note(longest, [LOG_ML_DSA], timestamp_seconds=1), ALL).text == longest
    too_long = build_checkpoint_text("o" * 256, 7, ROOT)
    with pytest.raises(VerifierKeyMalformedError):
        LOG_ML_DSA.sign(too_long, NOW_SECONDS)
    with pytest.raises(NoteSignatureError):
        verify_note(format_note(too_long, [LOG_ML_DSA.sign(longest, NOW_SECONDS)]), ALL)


def test_ml_dsa_does_not_cover_extension_lines_and_ed25519_does() -> None:
    """An extension line added after signing breaks the plain signature only."""
    changed = TEXT + "added later\n"
    verify_note(format_note(changed, [LOG_ML_DSA.sign(TEXT, NOW_SECONDS)]), ALL)
    for signer in (LOG, WITNESS):
        with pytest.raises(NoteSignatureError):
            verify_note(format_note(changed, [signer.sign(TEXT, NOW_SECONDS)]), ALL)


@pytest.mark.parametrize("signer", [LOG_ML_DSA, WITNESS])
def test_cosigners_refuse_to_sign_no_time_and_no_checkpoint(signer: MlDsa44NoteSigner | Ed25519Cosigner) -> None:
    """A cosignature speaks of a checkpoint, as of a time."""
    assert signer.sign(TEXT, 2**63 - 1).signature.startswith(b"\x7f")
    for seconds in (0, -1, 2**63):
        with pytest.raises((NoteMalformedError, OverflowError)):
            signer.sign(TEXT, seconds)
    with pytest.raises(CheckpointMalformedError):
        signer.sign("no checkpoint\n", NOW_SECONDS)


def test_a_time_past_the_limit_is_refused() -> None:
    """A timestamp is at most 2^63 - 1, whatever was signed under it."""
    private_key = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32)
    witness = parse_vkey(WITNESS.vkey)
    for seconds, accepted in [(2**63 - 1, True), (2**63, False)]:
        inner = private_key.sign(cosignature_v1_message(TEXT, seconds))
        note = format_note(TEXT, [NoteSignature(witness.name, witness.id, struct.pack(">Q", seconds) + inner)])
        if accepted:
            assert verify_note(note, ALL).signatures[0].timestamp_seconds == seconds
        else:
            with pytest.raises(NoteSignatureError):
                verify_note(note, ALL)


def test_no_time_under_ml_dsa_is_accepted_and_told() -> None:
    """Zero is the specification's way to say nothing about time."""
    message = subtree_v1_message(ORIGIN, TEXT, 0)
    signature = bytes(8) + MLDSA44PrivateKey.from_seed_bytes(bytes([2]) * 32).sign(message)
    key = parse_vkey(LOG_ML_DSA.vkey)
    verified = verify_note(format_note(TEXT, [NoteSignature(key.name, key.id, signature)]), ALL)
    assert verified.signatures[0].timestamp_seconds == 0


def test_unknown_keys_are_ignored_even_with_a_known_name_or_id() -> None:
    """A key is known by name and id together; what strangers sign neither helps nor harms."""
    log = parse_vkey(LOG.vkey)
    for stranger in [
        STRANGER.sign(TEXT, NOW_SECONDS),
        NoteSignature(log.name, log.id ^ 1, bytes(64)),
        NoteSignature("other.example", log.id, bytes(64)),
    ]:
        assert len(verify_note(NOTE + line(stranger), ALL).signatures) == 3
        with pytest.raises(NoteUnsignedError):
            verify_note(format_note(TEXT, [stranger]), ALL)


def test_a_failing_signature_of_a_known_key_refuses_the_whole_note() -> None:
    """One bad line of a known key outweighs every good one, before or behind it, even the key's own."""
    for vkey in ALL:
        key = parse_vkey(vkey)
        for garbage in (b"\x00", bytes(64), bytes(72), bytes(2428)):
            bad = line(NoteSignature(key.name, key.id, garbage))
            body, _, lines = NOTE.rpartition(b"\n\n")
            for note in (NOTE + bad, body + b"\n\n" + bad + lines):
                with pytest.raises(NoteSignatureError):
                    verify_note(note, ALL)


def test_a_signature_by_one_key_is_none_by_another_type_of_it() -> None:
    """The same Ed25519 key as note key and as witness key has two ids and two messages."""
    private_key = Ed25519PrivateKey.from_private_bytes(bytes([5]) * 32)
    plain, cosigner = Ed25519NoteSigner("one.example", private_key), Ed25519Cosigner("one.example", private_key)
    note = sign_note(TEXT, [plain], timestamp_seconds=NOW_SECONDS)
    with pytest.raises(NoteUnsignedError):
        verify_note(note, [cosigner.vkey])
    verify_note(note, [plain.vkey, cosigner.vkey])


def test_sixteen_signatures_are_accepted_and_a_hundred_and_one_are_not() -> None:
    """The specification demands room for sixteen; there is a bound above it."""
    stranger = STRANGER.sign(TEXT, NOW_SECONDS)
    signature = LOG.sign(TEXT, NOW_SECONDS)
    verify_note(format_note(TEXT, [stranger] * 15 + [signature]), ALL)
    verify_note(format_note(TEXT, [stranger] * 99 + [signature]), ALL)
    with pytest.raises(NoteMalformedError):
        format_note(TEXT, [stranger] * 100 + [signature])


def test_the_last_empty_line_divides_text_and_signatures() -> None:
    """A text may hold empty lines and even signature lines; only what follows the last empty line signs."""
    inner = "first\n\n" + LOG.sign("first\n", NOW_SECONDS).line() + "\nlast\n"
    note = sign_note(inner, [LOG], timestamp_seconds=NOW_SECONDS)
    assert verify_note(note, ALL).text == inner
    assert len(parse_note(note).signatures) == 1


SIGNATURE = line(LOG.sign(TEXT, NOW_SECONDS))
BODY = TEXT.encode() + b"\n"


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT.encode(),
        BODY,
        BODY + b"\n",
        TEXT.encode() + SIGNATURE,
        b"x" + SIGNATURE,  # No empty line at all, and a line that would pass for a signature from its second byte on.
        BODY + SIGNATURE[:-1],
        BODY + SIGNATURE + b"\n",
        BODY + SIGNATURE + b"text behind\n",
        BODY + SIGNATURE.replace("—".encode(), b"-"),
        BODY + SIGNATURE.replace("—".encode(), "–".encode()),
        BODY + SIGNATURE.replace("— ".encode(), "—".encode()),
        BODY + SIGNATURE.replace("— ".encode(), "—  ".encode()),
        BODY + SIGNATURE.replace("— ".encode(), "—\u00a0".encode()),
        BODY + b" " + SIGNATURE,
        BODY + SIGNATURE[:-1] + b" \n",
        BODY + SIGNATURE[:-1] + b"\r\n",
        (BODY + SIGNATURE).replace(b"\n", b"\r\n"),
        BODY + SIGNATURE[:-1] + b"=\n",
        BODY + SIGNATURE.replace(b"=", b""),
        BODY + SIGNATURE[:-2] + b"-\n",
        BODY + SIGNATURE[:60] + b" " + SIGNATURE[60:],
        BODY + "— log.example\n".encode(),
        BODY + "— log.example \n".encode(),
        BODY + "—  AAAAAAAA\n".encode(),
        BODY + "— log.example AAAAAA==\n".encode(),  # A key id and nothing behind it.
        BODY + "— log.example AAAAAAB=\n".encode(),  # Spare bits that are not zero.
        BODY + "— log+.example AAAAAAA=\n".encode(),
        BODY + "— log\u2003.example AAAAAAA=\n".encode(),
        BODY + "— log\u0085.example AAAAAAA=\n".encode(),
        BODY + "— log\t.example AAAAAAA=\n".encode(),
        BODY + b"\xe2\x80 log.example AAAAAAA=\n",
        b"\x00" + BODY + SIGNATURE,
        b"tab\there\n\n" + SIGNATURE,
        b"\xff\n\n" + SIGNATURE,
        b"\xed\xa0\x80\n\n" + SIGNATURE,  # A surrogate is no UTF-8.
        b"x" * 1_000_001,
    ],
)
def test_what_is_not_exactly_a_note_is_refused(note: bytes) -> None:
    """Every other form is malformed, whether or not a signature in it would verify."""
    with pytest.raises(NoteMalformedError):
        verify_note(note, ALL)


def test_keys_that_cannot_be_told_apart_are_refused() -> None:
    """The same key twice is one key; two keys under one name and id would make a verdict depend on order."""
    assert len(verify_note(NOTE, ALL * 2).signatures) == 3
    seen: dict[int, bytes] = {}
    for number in range(2, 2**20):  # 32-bit ids meet after some 2^16 keys.
        public_key = number.to_bytes(32, "little")
        met = seen.setdefault(key_id("met.example", 1, public_key), public_key)
        if met != public_key:
            break
    vkeys = [format_vkey("met.example", 1, key) for key in (met, public_key)]
    assert parse_vkey(vkeys[0]).id == parse_vkey(vkeys[1]).id
    with pytest.raises(VerifierKeyMalformedError, match="share name and id"):
        verify_note(NOTE, [*ALL, *vkeys])


def test_a_note_that_would_be_read_differently_is_not_written() -> None:
    """Writing checks what reading would find."""
    signature = LOG.sign(TEXT, NOW_SECONDS)
    for text, signatures in [
        ("no newline", [signature]),
        (TEXT, []),
        (TEXT, [NoteSignature("two words", 1, b"x")]),
        ("carriage\r\n", [signature]),
    ]:
        with pytest.raises(NoteMalformedError):
            format_note(text, signatures)


@given(st.data())
def test_damage_to_a_note_is_found_and_never_crashes(data: st.DataObject) -> None:
    """Any change of bytes is refused with an error of ours, or only drops lines of keys that are unknown by then."""
    start = data.draw(st.integers(0, len(NOTE)))
    end = data.draw(st.integers(start, min(len(NOTE), start + 8)))
    damaged = NOTE[:start] + data.draw(st.binary(max_size=8)) + NOTE[end:]
    try:
        verified = verify_note(damaged, ALL)
    except CellcustodyError:
        return
    assert verified.text == TEXT
    assert damaged == NOTE or len(verified.signatures) < 3


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_crash_the_note_reader(raw: bytes) -> None:
    """Nothing but our own errors leaves the parser, on stranger's bytes with a valid frame around them too."""
    for candidate in (raw, BODY + raw, BODY + "— a ".encode() + raw + b"\n"):
        try:
            note = parse_note(candidate)
        except NoteMalformedError:
            continue
        assert format_note(note.text, note.signatures) == candidate
