"""Run the first container of ``docker-compose.yml``: create passwords, and give each container the files it reads."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from ackfirst.ops.init_stack import generated, layout, volume
from ackfirst.shared.settings.accounts_toml import parse_accounts

#: The user that every container of the stack runs as (``Dockerfile``).
OWNER: Final = 10001

_DATA_MODE: Final = 0o700

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--given", type=_FOLDER, default=Path("/given"), help="The operator's files.")
@click.option(
    "--shipped",
    type=_FOLDER,
    default=Path("/shipped"),
    help="A folder of shipped configuration for each role that has any.",
)
@click.option("--kept", type=_FOLDER, default=Path("/kept"), help="What the first start created.")
@click.option("--out", type=_FOLDER, default=Path("/out"), help="A folder for each role, to be filled.")
@click.option("--data", type=_FOLDER, default=Path("/data"), help="The data folder of each role that has one.")
@click.option("--owner", type=int, default=OWNER, show_default=True, help="User that the containers run as.")
def command(*, given: Path, shipped: Path, kept: Path, out: Path, data: Path, owner: int) -> None:
    """Create passwords at the first start, and give each container its files (docker compose).

    Runs before everything else at each start, so that changes in config/ take effect then.
    """
    # Without root rights files already belong to the one user that there is: as in tests.
    new_owner = owner if os.geteuid() == 0 else None
    files = layout.given(given)
    if "ackfirst.toml" in files:  # checked before a running container could read it at its restart
        parse_accounts(files["ackfirst.toml"], file="config/ackfirst.toml")
    has_account = "ackfirst.toml" in files or bool(os.environ.get("ACKFIRST_API_KEY"))
    profiles = os.environ.get("COMPOSE_PROFILES", "").split(",")
    demo = "demo" in profiles
    own = generated.load_or_create(volume.read(kept), demo=demo and not has_account)
    kept.mkdir(exist_ok=True)
    volume.write(kept, own, owner=new_owner)
    former = _password(out / "redis")
    for folder in sorted(out.iterdir()):
        mine = {**layout.shipped(shipped, folder.name), **_files_of(folder.name, {**own, **files})}
        volume.write(folder, mine, owner=new_owner)
    for folder in sorted(data.iterdir()) if data.exists() else ():
        volume.own(folder, new_owner, _DATA_MODE)
    click.echo(_summary(has_account=has_account, demo=demo, grafana="observability" in profiles))
    if former not in (None, _password(out / "redis")):
        click.echo(
            "The password of Redis has changed; the other containers read it at a restart: docker compose restart"
        )


def _password(folder: Path) -> bytes | None:
    """Read the password that Redis was given last; None at the first start."""
    file = folder / "redis-password"
    return file.read_bytes() if file.exists() else None


def _files_of(role: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    password = files["redis-password"]
    everything = {
        "redis-url": generated.redis_url(password, os.environ.get("SENTINELS", "")),
        "store-url": generated.store_url(files["postgres-password"]),
        **files,
    }
    mine = layout.shares(everything, role)
    if role == "ingest":
        mine["store-url"] = generated.store_switch(everything["store-url"])
    return {**mine, "users.acl": generated.redis_users(password)} if role == "redis" else mine


def _summary(*, has_account: bool, demo: bool, grafana: bool) -> str:
    lines = [
        "Passwords and configuration are in place. To read the passwords:",
        "  the page   docker compose exec web cat /etc/ackfirst/web-password   (user ackfirst)",
        "  Redis      docker compose exec redis cat /etc/ackfirst/redis-password",
        "  PostgreSQL docker compose exec postgres cat /etc/ackfirst/postgres-password   (user ackfirst)",
    ]
    if grafana:
        place = "/etc/grafana/provisioning/grafana-password"
        lines.append(f"  Grafana    docker compose exec grafana cat {place}   (user ackfirst)")
    if demo and not has_account:
        lines.append(
            "The simulator signs with an account made for the demo. Callbacks of Nexmo are quarantined as suspect."
        )
    elif not has_account:
        lines += [
            "No Nexmo account is configured: signed callbacks are answered 200 and quarantined as suspect.",
            "  Put an account into .env (see .env.example) or config/ackfirst.toml, then: docker compose up -d,",
            "  docker compose restart ingest, docker compose exec ingest ackfirst quarantine recheck",
        ]
    return "\n".join(lines)
