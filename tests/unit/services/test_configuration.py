"""The configuration: what is written is what is meant, and whatever is not understood is refused by name."""

from pathlib import Path

import pytest

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.services.configuration import (
    ListenAddress,
    Secret,
    StoreKind,
    load_configuration,
    parse_configuration,
)

BASE = Path("/srv/ledger")
WHOLE = """
[ledger]
data_directory = "data"
key_store_directory = "vault-keys"
journal_directory = "/var/journal"
store = "sqlite"
anchor = "anchor.json"

[keys]
log = ["keys/a.json", "keys/b.json"]
service = "keys/service.json"
passphrase_file = "secrets/passphrase"
master_key_environment = "MASTER"

[tls]
certificate = "tls/server.pem"
key = "tls/server.key"
client_ca = "tls/ca.pem"
operator_key_ids = ["{operator}"]

[grpc]
listen = "[::1]:8443"
threads = 20

[http]
listen = "127.0.0.1:0"
entries_open = true
""".replace("{operator}", "ab" * 32)


def test_a_whole_configuration_reads_as_written() -> None:
    read = parse_configuration(WHOLE, BASE)

    assert read.ledger.database == BASE / "data" / "ledger.sqlite"
    assert read.ledger.journal == Path("/var/journal/heads.journal")
    assert read.ledger.store is StoreKind.SQLITE
    assert read.grpc.listen == ListenAddress("::1", 8443)
    assert str(read.grpc.listen) == "[::1]:8443"
    assert (read.grpc.threads, read.grpc.message_bytes_max) == (20, 4 * 1024 * 1024)
    assert read.http is not None and read.http.entries_open and read.http.listen.port == 0
    assert read.tls.operator_key_ids == {b"\xab" * 32}
    assert read.keys.master_key_variable == "MASTER"


@pytest.mark.parametrize(
    ("written", "instead", "key"),
    [
        ('store = "sqlite"', 'store = "oracle"', "ledger.store"),
        ('store = "sqlite"', 'store = "postgres"', "ledger.store"),
        ('data_directory = "data"\n', "", "ledger.data_directory"),
        ('data_directory = "data"', 'data_directory = "vault-keys"', "ledger.data_directory"),
        ("threads = 20", "threads = 3", "grpc.threads"),
        ("threads = 20", "threads = true", "grpc.threads"),
        ("threads = 20", 'threads = "20"', "grpc.threads"),
        ("threads = 20", "threads = 20\nstreams_max = 20", "grpc.streams_max"),
        ("threads = 20", "thread = 20", "grpc.thread"),
        ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1"', "http.listen"),
        ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1:99999"', "http.listen"),
        ('listen = "127.0.0.1:0"', 'listen = ":8480"', "http.listen"),
        ("entries_open = true", 'entries_open = "yes"', "http.entries_open"),
        ("ab" * 32, "AB" * 32, "tls.operator_key_ids"),
        ('log = ["keys/a.json", "keys/b.json"]', "log = []", "keys.log"),
        ('log = ["keys/a.json", "keys/b.json"]', "log = [1]", "keys.log"),
        (
            'passphrase_file = "secrets/passphrase"',
            "",
            "keys.passphrase_file or keys.passphrase_environment",
        ),
        (
            'passphrase_file = "secrets/passphrase"',
            'passphrase_file = "a"\npassphrase_environment = "B"',
            "keys.passphrase_file or keys.passphrase_environment",
        ),
        ("[http]", "[web]\n[http]", "web"),
    ],
)
def test_what_is_wrong_is_named(written: str, instead: str, key: str) -> None:
    assert written in WHOLE

    with pytest.raises(ConfigurationError) as refused:
        parse_configuration(WHOLE.replace(written, instead), BASE)

    assert refused.value.values["key"] == key


def test_what_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[ledger")

    with pytest.raises(ConfigurationError, match="not TOML"):
        load_configuration(tmp_path / "c.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_configuration(tmp_path / "absent.toml")


class TestASecret:
    def test_it_comes_from_a_file_of_its_owners_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "passphrase"
        path.write_text("horse\n")
        path.chmod(0o600)
        assert Secret("keys.passphrase", path, None).read({}) == "horse"

        path.chmod(0o644)

        with pytest.raises(ConfigurationError, match="open to others"):
            Secret("keys.passphrase", path, None).read({})

    def test_it_comes_from_the_environment(self) -> None:
        assert Secret("keys.passphrase", None, "WORD").read({"WORD": "horse"}) == "horse"

        with pytest.raises(ConfigurationError) as refused:
            Secret("keys.passphrase", None, "WORD").read({})

        assert refused.value.values["variable"] == "WORD"

    def test_an_empty_file_holds_none(self, tmp_path: Path) -> None:
        path = tmp_path / "passphrase"
        path.touch(0o600)

        with pytest.raises(ConfigurationError, match="empty"):
            Secret("keys.passphrase", path, None).read({})
