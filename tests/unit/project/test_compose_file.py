"""The compose file and what is said about it agree with the settings; what runs it for real is ``tests.compose``."""

import re
from pathlib import Path

import pytest
import yaml

from ackfirst.ops.init_stack import layout
from ackfirst.shared.settings import SECRETS, Settings
from ackfirst.shared.settings.environment import variable
from ackfirst.shared.settings.types import seconds
from tools.env_example import FIXED, ROOT, STACK, compose_defaults, example
from tools.settings_table import default

#: Settings that the stack gives to its containers as files.
AS_FILES = {"ACKFIRST_REDIS_URL", "ACKFIRST_STORE_URL", "ACKFIRST_WEB_PASSWORD"}

COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_every_setting_is_passed_on_or_decided_by_the_file() -> None:
    named = set(re.findall(r"^ +(ACKFIRST_\w+):", COMPOSE, re.MULTILINE))
    files = {f"{variable(name)}_FILE" for name in SECRETS}
    settings = {variable(name) for name in Settings.model_fields}
    inside_the_image = {"ACKFIRST_DATA_DIR", "ACKFIRST_LISTEN", "ACKFIRST_CONFIG"}
    assert named - files - settings == set(), "names that ackfirst would refuse"
    assert settings - named - inside_the_image == AS_FILES


def test_a_setting_that_is_passed_on_keeps_its_name() -> None:
    pairs = re.findall(r"^ +(ACKFIRST_\w+): \$\{(\w+)", COMPOSE, re.MULTILINE)
    assert pairs
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_the_example_of_an_env_file_is_what_the_settings_and_the_file_say() -> None:
    assert (ROOT / ".env.example").read_text() == example(), "run make docs"


def test_the_example_explains_every_variable_of_the_file() -> None:
    explained = {name for names in STACK.values() for name in names}
    others = {name for name in compose_defaults() if not name.startswith("ACKFIRST_") or name == "ACKFIRST_IMAGE"}
    assert others - explained == set()


def test_what_the_file_decides_is_not_offered() -> None:
    assert [name for name in FIXED if f"\n#{variable(name)}=" in example()] == []


def test_whatever_has_begun_comes_to_its_end_before_a_container_is_killed() -> None:
    given = compose_defaults()
    grace, stop = seconds(given["STOP_GRACE_PERIOD"]), seconds(given["ACKFIRST_STOP_GRACE"])
    margin = 5.0  # of a supervisor over the grace of its children
    assert grace > stop + margin
    assert stop > seconds(default("handler_timeout"))


def test_every_container_runs_as_the_image_user_without_capabilities_on_a_read_only_root() -> None:
    owner = re.search(r"^ARG UID=(\d+)", DOCKERFILE, re.MULTILINE)
    assert owner is not None
    users = set(re.findall(r'user: "(\d+):\d+"', COMPOSE))
    assert users == {"0", owner[1]}, "root only for init"
    assert COMPOSE.count('user: "0:0"') == 1
    for line in ("read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"'):
        assert line in COMPOSE.partition("x-ackfirst:")[0]
    services = COMPOSE.partition("\nservices:")[2].partition("\nnetworks:")[0]
    names = re.findall(r"^  (\w+):$", services, re.MULTILINE)
    assert len(names) >= 6
    assert services.count("<<: *container") + services.count("<<: *ackfirst") == len(names)


def test_what_an_answer_waits_for_comes_before_everything_else_where_cpus_are_short() -> None:
    services = re.split(
        r"^  (\w+):$", COMPOSE.partition("\nservices:")[2].partition("\nnetworks:")[0], flags=re.MULTILINE
    )
    weights = {
        name: int(found[1])
        for name, text in zip(services[1::2], services[2::2], strict=True)
        if (found := re.search(r"^    cpu_shares: (\d+)$", text, re.MULTILINE))
    }
    others = re.search(r"^  cpu_shares: (\d+)$", COMPOSE, re.MULTILINE)
    assert others is not None
    assert set(weights) == {"redis", "ingest", "edge"}
    assert min(weights.values()) >= 8 * int(others[1])


def test_only_the_edge_listens_to_the_world() -> None:
    published = re.findall(r'- "\$\{(\w+):-([\w.:]+)\}:\d+"', COMPOSE)
    to_the_world = {name for name, place in published if not place.startswith("127.0.0.1:")}
    assert to_the_world == {"HTTP_LISTEN", "HTTPS_LISTEN"}


def test_no_password_stands_in_any_file_of_the_stack() -> None:
    files = [ROOT / "docker-compose.yml", ROOT / ".env.example", *(ROOT / "deploy").rglob("*")]
    text = "\n".join(file.read_text() for file in files if file.is_file())
    assert re.findall(r"^\s*(?:requirepass|masterauth|.*nopass)\b", text, re.MULTILINE) == []
    assert re.findall(r"redis(?:s)?://[^\s\"'$]*:[^\s\"'$@*…]+@", text) == []


def test_the_first_container_mounts_a_folder_for_each_role_that_it_serves() -> None:
    mounted = set(re.findall(r":/out/(\w+)$", COMPOSE, re.MULTILINE))
    wanted = {role for roles in layout.PLACES.values() for role in roles}
    assert wanted <= mounted


@pytest.mark.parametrize("script", ["deploy/rolling-restart", "deploy/edge/start.sh"])
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111 == 0o111


def test_ignored_files_of_an_installation_never_get_into_git() -> None:
    ignored = (ROOT / "config" / ".gitignore").read_text().split("\n")
    assert {"*", "!.gitignore", "!README.md"} <= set(ignored)
    assert ".env" in (ROOT / ".gitignore").read_text().split("\n")


def test_the_image_is_made_of_every_package_of_the_distribution() -> None:
    rooms = {link.name for link in (ROOT / "src" / "ackfirst").iterdir() if link.is_symlink()}
    packages = rooms | {"src"}
    assert packages == set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    assert packages <= set((ROOT / ".dockerignore").read_text().replace("!", "").split("\n"))


def test_the_build_takes_nothing_that_an_installation_keeps_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in lines, "what is not named does not get in"
    taken = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert not taken & {"config", ".env", ".git", "tests", "examples"}
    assert all((Path(ROOT) / name).exists() for name in taken)


def test_what_the_file_for_sentinel_adds_to_are_services_of_the_stack() -> None:
    added = yaml.safe_load((ROOT / "deploy" / "compose.sentinel.yml").read_text())["services"]
    without_image = {name for name, service in added.items() if not {"image", "build", "extends"} & set(service)}
    assert without_image
    assert without_image <= set(yaml.safe_load(COMPOSE)["services"])
