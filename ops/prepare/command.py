"""``ackfirst prepare``: the first container of ``docker-compose.yml``, which prepares the files of the others."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from ackfirst.ops.prepare import layout, made, volume
from ackfirst.shared.settings.accounts_toml import parse_accounts

#: The user that every container of the stack runs as (``Dockerfile``).
OWNER: Final = 10001

_DATA_MODE: Final = 0o700

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--given", type=_FOLDER, default=Path("/given"), help="Files of the operator.")
@click.option("--shipped", type=_FOLDER, default=Path("/shipped"), help="Shipped configuration, in a folder per role.")
@click.option("--kept", type=_FOLDER, default=Path("/kept"), help="Passwords that were made at the first start.")
@click.option("--out", type=_FOLDER, default=Path("/out"), help="Output, in a folder per role.")
@click.option("--data", type=_FOLDER, default=Path("/data"), help="Data folders, one per role.")
@click.option("--owner", type=int, default=OWNER, show_default=True, help="Numeric user of the containers.")
def command(*, given: Path, shipped: Path, kept: Path, out: Path, data: Path, owner: int) -> None:
    """Make passwords at the first start, and copy to each container its files (docker compose).

    Runs before the other containers at each start, so a change in config/ takes effect at a restart.
    """
    # Where we are not root, what we write is ours already: so it is in tests.
    new_owner = owner if os.geteuid() == 0 else None
    files = layout.given(given)
    if "ackfirst.toml" in files:  # before any container that already runs could find it at its next start
        parse_accounts(files["ackfirst.toml"], file="config/ackfirst.toml")
    has_account = "ackfirst.toml" in files or bool(os.environ.get("ACKFIRST_API_KEY"))
    profiles = os.environ.get("COMPOSE_PROFILES", "").split(",")
    demo = "demo" in profiles
    own = made.make(volume.read(kept), demo=demo and not has_account)
    kept.mkdir(exist_ok=True)
    volume.write(kept, own, owner=new_owner)
    former = _password(out / "redis")
    for folder in sorted(out.iterdir()):
        mine = {**layout.shipped(shipped, folder.name), **_files_of(folder.name, {**own, **files})}
        volume.write(folder, mine, owner=new_owner)
    for folder in sorted(data.iterdir()) if data.exists() else ():
        volume.own(folder, new_owner, _DATA_MODE)
    click.echo(_say(has_account=has_account, demo=demo, grafana="observability" in profiles))
    if former not in (None, _password(out / "redis")):
        click.echo("The password of Redis has changed. Run docker compose restart, so that every container uses it.")


def _password(folder: Path) -> bytes | None:
    """Of Redis, as it was handed on; None at the first start."""
    file = folder / "redis-password"
    return file.read_bytes() if file.exists() else None


def _files_of(role: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    password = files["redis-password"]
    everything = {"redis-url": made.redis_url(password), **files}
    mine = layout.shares(everything, role)
    if role == "dashboard" and "ackfirst.toml" in files:
        mine["ackfirst.toml"] = layout.names_only(files["ackfirst.toml"])
    return {**mine, "users.acl": made.redis_users(password)} if role == "redis" else mine


def _say(*, has_account: bool, demo: bool, grafana: bool) -> str:
    lines = [
        "Passwords and configuration are ready. To read the passwords:",
        "  dashboard  docker compose exec dashboard cat /etc/ackfirst/dashboard-password   (user ackfirst)",
        "  Redis      docker compose exec redis cat /etc/ackfirst/redis-password",
    ]
    if grafana:
        place = "/etc/grafana/provisioning/grafana-password"
        lines.append(f"  Grafana    docker compose exec grafana cat {place}   (user ackfirst)")
    if demo and not has_account:
        lines.append(
            "The simulator signs with an account made for the demo. Callbacks of Nexmo are kept in quarantine."
        )
    elif not has_account:
        lines += [
            "No Nexmo account is configured: signed callbacks are kept in quarantine, and answered 200.",
            "  Put an account into .env (see .env.example) or config/ackfirst.toml, then: docker compose up -d,",
            "  docker compose restart ingest, docker compose exec ingest ackfirst quarantine recheck",
        ]
    return "\n".join(lines)
