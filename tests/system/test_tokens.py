"""Keys on a software token (SoftHSM2): enrolled with their proof, signing through the wire, by library and program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cellcustody.clients import LocalStore, Session, SiteClient, enrolled_key
from cellcustody.clients.session import Identity
from cellcustody.clients.signers import PIN_VARIABLE, open_signer
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry.anchor import parse_anchor
from cellcustody.ledger.statements import KeyAlgorithm, parse_public_key
from cellcustody.ledger.statements.key_files import read_key_file
from cellcustody.ledger.statements.pkcs11_signers import PinWrongError, TokenError
from cellcustody.ledger.statements.signatures import verify
from cellcustody.services.open_ledger import load_log_signer
from cellcustody.v1 import registry_pb2, statement_pb2

pytestmark = pytest.mark.system

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.clients.client_world import World, running_world  # noqa: E402 - found on the path just set.
from tests.e2e.clients.test_log_keys_over_the_wire import profile_of, restarted, run  # noqa: E402
from tests.e2e.clients.test_two_sites import opened  # noqa: E402

PIN = "123456"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
P256 = bytes.fromhex("06082a8648ce3d030107")
ED25519 = bytes.fromhex("130c656477617264733235353139")
RUN_SECONDS_MAX = 60


@dataclass(frozen=True)
class Token:
    """A token with one P-256 and one Ed25519 key."""

    module: str
    label: str

    def uri(self, key: str, more: str = "") -> str:
        """Returns the address of a key."""
        return f"pkcs11:token={self.label};object={key};type=private?module-path={self.module}{more}"


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """Makes the token, and its keys on it; the private halves are never outside."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    module = next(path for path in LIBRARIES if Path(path).exists())
    made = Token(module, "ward")
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", made.label, "--pin", PIN, "--so-pin", "87654321"],
        check=True,
        capture_output=True,
    )
    import pkcs11

    with pkcs11.lib(module).get_token(token_label=made.label).open(rw=True, user_pin=PIN) as session:
        for number, (name, kind, parameters, mechanism) in enumerate(
            (
                ("card", pkcs11.KeyType.EC, P256, pkcs11.Mechanism.EC_KEY_PAIR_GEN),
                ("edwards", pkcs11.KeyType.EC_EDWARDS, ED25519, pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
            )
        ):
            domain = session.create_domain_parameters(kind, {pkcs11.Attribute.EC_PARAMS: parameters}, local=True)
            domain.generate_keypair(mechanism=mechanism, store=True, label=name, id=bytes((number + 1,)))
    os.environ[PIN_VARIABLE] = PIN
    yield made
    del os.environ[PIN_VARIABLE]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running ledger."""
    with running_world(tmp_path_factory.mktemp("ledger")) as running:
        yield running


@pytest.mark.parametrize(("key", "algorithm"), [("card", KeyAlgorithm.P256), ("edwards", KeyAlgorithm.ED25519)])
def test_a_token_signs_in_the_form_of_the_profile(token: Token, key: str, algorithm: KeyAlgorithm) -> None:
    """Forty signatures, of which about half would have a high s: every one verifies."""
    signer = open_signer(token.uri(key))
    public = parse_public_key(signer.public_key_spki)
    assert public.algorithm is algorithm
    for number in range(40):
        message = number.to_bytes(2, "big") * 100
        verify(public, signer.sign(message), message)


def test_two_signers_share_a_token(token: Token) -> None:
    """The process is logged in once; each key has its session."""
    one, other = open_signer(token.uri("card")), open_signer(token.uri("edwards"))
    assert one.key_id != other.key_id
    assert len(one.sign(b"a")) == len(other.sign(b"a")) == 64


def test_what_is_not_there_is_told(token: Token, tmp_path: Path) -> None:
    """Library, token, key and PIN: each refused by name."""
    with pytest.raises(TokenError):
        open_signer(token.uri("nobody"))
    with pytest.raises(TokenError):
        open_signer(Token(token.module, "elsewhere").uri("card"))
    with pytest.raises(TokenError):
        open_signer(Token(str(tmp_path / "no.so"), "ward").uri("card"))


def test_a_wrong_pin_is_told(token: Token, tmp_path: Path) -> None:
    """In a process of its own, for this one is logged in already."""
    pin = tmp_path / "pin"
    pin.write_text("999999")
    pin.chmod(0o600)
    program = (
        "from cellcustody.clients.signers import open_signer\n"
        "import sys\n"
        "try: open_signer(sys.argv[1])\n"
        "except Exception as refused: print(refused.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, token.uri("card", f"&pin-source=file:{pin}")],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
    )
    assert done.stdout.strip() == PinWrongError.reason


@pytest.mark.parametrize("key", ["card", "edwards"])
def test_a_person_signs_with_a_card_through_the_wire(token: Token, world: World, key: str) -> None:
    """The card proves its possession at enrolment, and what it signs conforms; it may be one key of two."""
    signer = open_signer(token.uri(key))
    desk = world.desks["hospital/cell_lab_technician"]
    with world.site("hospital/administrator") as administrator:
        now = administrator.session.clock()
        proof = enrolled_key(
            signer,
            ledger_id=world.founded.ledger_id,
            holder=desk.person,
            signed_at=int(now.timestamp() * 1_000_000),
        )
        administrator.add_key(registry_pb2.KeyAdded(holder=desk.person, key=proof))
    for signers in ([signer], [signer, desk.signer]):
        session = Session(
            Identity(
                world.founded.ledger_id,
                desk.person,
                desk.device,
                desk.role,
                "technician",
                desk.site,
                authentication=statement_pb2.AUTHENTICATION_METHOD_TOKEN,
            ),
            signers,
            "Europe/Berlin",
            LocalStore(":memory:"),
        )
        with SiteClient(world.connect(desk.tls), session) as client:
            recorded = client.open_consignment(world.new_consignment(), opened(world))
        assert recorded.status is Status.CONFORMING, recorded.findings


def test_the_program_shows_and_proves_a_key_on_a_token(token: Token) -> None:
    """`key show` and `key prove` take the address of a key where they take a file."""
    program = str(Path(sys.executable).with_name("cellcustody"))

    def shows(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = json.loads(shows("key", "show", token.uri("card"), "--json"))
    assert shown["algorithm"] == "P256"
    proof = json.loads(shows("key", "prove", token.uri("card"), "--holder", "11" * 16, "--ledger", "22" * 16))
    assert set(proof) >= {"spki", "possession"}


def test_the_ledgers_own_keys_lie_on_a_token(token: Token, tmp_path: Path) -> None:
    """Log and service are rotated to keys on a token; the ledger signs with them, and an old anchor leads there."""
    with running_world(tmp_path) as world:
        pass
    configuration = world.founded.configuration
    config = ("--config", str(configuration))
    log_key, service_key = token.uri("edwards"), token.uri("card")
    service_device = read_key_file(configuration.parent / "keys" / "service.json").holder.hex()
    _, kept = parse_anchor(world.founded.anchor.read_bytes()).log_keys
    vkey = load_log_signer(log_key, "localhost/log", "", os.environ).vkey
    proof = run("key", "prove", service_key, "--holder", service_device, "--ledger", world.founded.ledger_id.hex())
    bodies = (
        ("rotate-log-keys", {"log_keys": [vkey, kept]}),
        ("rotate-service-key", {"service_key": json.loads(proof)}),
    )
    first, second = (str(profile_of(world, number)) for number in range(2))
    files: list[str] = []
    for act, body in bodies:
        signed, joined = str(tmp_path / act), str(tmp_path / f"{act}-joined")
        run("--profile", first, "offline", "sign", act, "--body", json.dumps(body), "--to", signed, "--yes")
        run("--profile", second, "offline", "join", signed, "--to", joined, "--yes")
        files += [signed, joined]

    text = configuration.read_text()
    text = text.replace('"keys/log-ed25519.json"', json.dumps(log_key))
    text = text.replace('"keys/service.json"', f'{json.dumps(service_key)}\nservice_device = "{service_device}"')
    configuration.write_text(text)
    run("log-keys", "install", *files, *config)

    again = restarted(world)
    with again.exits:
        auditor = again.auditor("hospital/administrator", tmp_path / "believed")
        checkpoint, _ = auditor.checkpoint()
        assert vkey in auditor.renewed_anchor().log_keys
        with again.site("hospital/cell_lab_technician") as client:
            recorded = client.open_consignment(again.new_consignment(), opened(again))
        assert recorded.position > checkpoint.size
        assert auditor.receipt(leaf_index=recorded.leaf_index).leaf_index == recorded.leaf_index
