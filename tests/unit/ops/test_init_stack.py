"""What the first container of the compose stack creates, keeps and distributes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ackfirst.ops.init_stack import generated, layout
from ackfirst.ops.init_stack.command import command
from ackfirst.shared.settings import load_settings
from ackfirst.shared.settings.accounts_file import load_accounts

ROLES = ("redis", "postgres", "ingest", "worker", "web", "edge", "simulator")

ACCOUNT = '[accounts.abcd1234]\nsecrets = ["x"]\n'


class Volumes:
    """The folders that the container sees."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for role in ROLES:
            (top / "out" / role).mkdir(parents=True)
        for name in ("given", "shipped/redis", "data/redis"):
            (top / name).mkdir(parents=True)

    def init(self) -> Result:
        options = [f"--{name}={self.top / name}" for name in ("given", "shipped", "kept", "out", "data")]
        return CliRunner().invoke(command, options, catch_exceptions=False)

    def give(self, name: str, text: str) -> None:
        path = self.top / "given" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def names(self, role: str) -> set[str]:
        folder = self.top / "out" / role
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def text(self, role: str, name: str) -> str:
        return (self.top / "out" / role / name).read_text()


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    return Volumes(tmp_path)


def test_the_first_start_makes_passwords_and_says_where_to_read_them_but_not_what_they_are(volumes: Volumes) -> None:
    said = volumes.init().output
    password = volumes.text("web", "web-password").strip()
    assert len(password) >= 32
    assert "exec web cat /etc/ackfirst/web-password" in said
    assert password not in said
    assert volumes.text("redis", "redis-password").strip() not in said


def test_with_the_profile_observability_it_says_where_grafanas_password_is(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "grafana" not in volumes.init().output
    monkeypatch.setenv("COMPOSE_PROFILES", "observability")
    assert "exec grafana cat /etc/grafana/provisioning/grafana-password" in volumes.init().output


def test_a_later_start_keeps_the_passwords(volumes: Volumes) -> None:
    volumes.init()
    before = volumes.text("web", "web-password"), volumes.text("ingest", "redis-url")
    volumes.init()
    assert (volumes.text("web", "web-password"), volumes.text("ingest", "redis-url")) == before


def test_two_installations_have_different_passwords(tmp_path: Path) -> None:
    passwords = set()
    for name in ("one", "two"):
        volumes = Volumes(tmp_path / name)
        volumes.init()
        passwords |= {volumes.text("web", "web-password"), volumes.text("redis", "redis-password")}
    assert len(passwords) == 4


def test_each_container_gets_what_it_reads_and_nothing_else(volumes: Volumes) -> None:
    for name in ("signature-secret", "redis-ca.pem", "tls/fullchain.pem", "tls/privkey.pem"):
        volumes.give(name, "x")
    volumes.give("ackfirst.toml", ACCOUNT)
    (volumes.top / "shipped" / "redis" / "redis.conf").write_text("port 6379\n")
    volumes.init()
    assert volumes.names("ingest") == {"ackfirst.toml", "signature-secret", "redis-url", "redis-ca.pem", "store-url"}
    assert volumes.names("simulator") == {"ackfirst.toml", "signature-secret"}
    assert volumes.names("worker") == {"redis-url", "redis-ca.pem", "store-url"}
    everything = {"redis-url", "redis-ca.pem", "store-url", "web-password", "ackfirst.toml", "signature-secret"}
    assert volumes.names("web") == everything, "it rechecks the quarantine with today's secrets"
    assert volumes.names("redis") == {"redis-password", "users.acl", "redis.conf"}
    assert volumes.names("edge") == {"tls/fullchain.pem", "tls/privkey.pem"}


def test_the_record_has_a_password_that_ingest_does_not_get(volumes: Volumes) -> None:
    volumes.init()
    password = volumes.text("postgres", "postgres-password").strip()
    assert volumes.text("worker", "store-url") == f"postgresql://ackfirst:{password}@postgres:5432/ackfirst\n"
    assert password not in volumes.text("ingest", "store-url")
    assert load_settings({"ACKFIRST_STORE_URL": volumes.text("ingest", "store-url").strip()}).is_recorded


def test_switched_off_the_record_is_off_for_everybody(volumes: Volumes) -> None:
    volumes.give("store-url", "off")
    volumes.init()
    assert {volumes.text(role, "store-url") for role in ("ingest", "worker", "web")} == {"off\n"}


def test_files_can_be_read_by_their_owner_alone(volumes: Volumes) -> None:
    volumes.init()
    modes = {path.stat().st_mode & 0o777 for path in (volumes.top / "out").rglob("*") if path.is_file()}
    assert modes == {0o400}


def test_the_operators_own_password_and_redis_come_before_made_ones(volumes: Volumes) -> None:
    volumes.give("web-password", "my own\n")
    volumes.give("redis-url", "rediss://cache.example:6380/0\n")
    volumes.init()
    assert volumes.text("web", "web-password") == "my own\n"
    assert {volumes.text(role, "redis-url") for role in ("ingest", "worker", "web")} == {
        "rediss://cache.example:6380/0\n"
    }


def test_what_the_operator_takes_away_is_gone_at_the_next_start(volumes: Volumes) -> None:
    volumes.give("tls/privkey.pem", "x")
    volumes.init()
    (volumes.top / "given" / "tls" / "privkey.pem").unlink()
    volumes.init()
    assert volumes.names("edge") == set()


def test_a_file_that_no_container_reads_is_named_before_anything_starts(volumes: Volumes) -> None:
    volumes.give("signature_secret", "x")
    with pytest.raises(
        Exception, match=r"config/signature_secret is a file that no container reads: the names are ackfirst\.toml"
    ):
        volumes.init()


@pytest.mark.parametrize("content", ["hunter2", "hunter2\r\n", "\ufeffhunter2\r\n", "\nhunter2\n\n"])
def test_a_password_of_one_line_has_no_byte_order_mark_and_one_line_end(volumes: Volumes, content: str) -> None:
    volumes.give("redis-password", content)
    volumes.init()
    assert (volumes.top / "out" / "redis" / "redis-password").read_bytes() == b"hunter2\n"


@pytest.mark.parametrize("name", ["ackfirst.toml~", ".DS_Store", ".ackfirst.toml.swp", "redis-url.bak"])
def test_what_an_editor_leaves_behind_is_passed_over(volumes: Volumes, name: str) -> None:
    volumes.give(name, "x")
    assert volumes.init().exit_code == 0


def test_accounts_that_cannot_be_read_are_never_handed_on_to_a_container_that_runs(volumes: Volumes) -> None:
    volumes.give("ackfirst.toml", ACCOUNT)
    volumes.init()
    volumes.give("ackfirst.toml", "nonsense = 1\n")
    with pytest.raises(Exception, match=r"config/ackfirst\.toml.*nonsense"):
        volumes.init()
    assert volumes.text("ingest", "ackfirst.toml") == ACCOUNT


def test_a_secret_from_a_windows_editor_has_no_carriage_return_for_anybody(volumes: Volumes) -> None:
    volumes.give("redis-password", "chosen\r\n")
    volumes.init()
    assert volumes.text("redis", "redis-password") == "chosen\n"
    assert volumes.text("ingest", "redis-url") == "redis://:chosen@redis:6379/0\n"


def test_a_changed_password_of_redis_asks_for_a_new_start_once(volumes: Volumes) -> None:
    assert "has changed" not in volumes.init().output
    volumes.give("redis-password", "chosen")
    assert "docker compose restart" in volumes.init().output
    assert "has changed" not in volumes.init().output


def test_redis_knows_a_password_only_by_its_hash(volumes: Volumes) -> None:
    volumes.init()
    users = volumes.text("redis", "users.acl")
    assert volumes.text("redis", "redis-password").strip() not in users
    assert users.startswith("user default on sanitize-payload #")
    assert "nopass" not in users


def test_a_password_with_special_characters_arrives_in_the_url() -> None:
    assert generated.redis_url(b"a/b@c:d\n") == b"redis://:a%2Fb%40c%3Ad@redis:6379/0\n"


def _set_nothing(_volumes: Volumes, _monkeypatch: pytest.MonkeyPatch) -> None:
    return


def _set_in_the_environment(_volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACKFIRST_API_KEY", "abcd1234")


def _set_in_the_file(volumes: Volumes, _monkeypatch: pytest.MonkeyPatch) -> None:
    volumes.give("ackfirst.toml", ACCOUNT)


@pytest.mark.parametrize(
    ("configure", "is_warned"), [(_set_nothing, True), (_set_in_the_environment, False), (_set_in_the_file, False)]
)
def test_without_an_account_it_says_what_becomes_of_callbacks_and_what_to_do(
    volumes: Volumes,
    monkeypatch: pytest.MonkeyPatch,
    configure: Callable[[Volumes, pytest.MonkeyPatch], None],
    is_warned: bool,
) -> None:
    configure(volumes, monkeypatch)
    said = volumes.init().output
    assert ("answered 200 and quarantined as suspect" in said) == is_warned
    assert ("quarantine recheck" in said) == is_warned


def test_the_demo_profile_brings_an_account_that_stays_the_same(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "observability,demo")
    volumes.init()
    text = volumes.text("ingest", "ackfirst.toml")
    volumes.init()
    assert volumes.text("ingest", "ackfirst.toml") == text
    file = volumes.top / "out" / "ingest" / "ackfirst.toml"
    accounts = load_accounts(load_settings({"ACKFIRST_CONFIG": str(file)}))
    assert [(account.api_key, len(account.secrets)) for account in accounts] == [("demo", 1)]


def test_the_demo_uses_the_operators_account_where_there_is_one(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "demo")
    monkeypatch.setenv("ACKFIRST_API_KEY", "abcd1234")
    volumes.init()
    assert "ackfirst.toml" not in volumes.names("ingest")


def test_without_the_profile_the_demos_account_is_gone_again(volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "demo")
    volumes.init()
    monkeypatch.delenv("COMPOSE_PROFILES")
    volumes.init()
    assert "ackfirst.toml" not in volumes.names("ingest")


def test_every_name_is_described_where_the_operator_puts_the_files() -> None:
    page = (Path(__file__).parents[3] / "config" / "README.md").read_text()
    assert [name for name in layout.PLACES if f"`{name}`" not in page] == []
