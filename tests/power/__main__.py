"""``python -m tests.power``: Redis and ingest on a disk that forgets what was not synced, and power that goes away."""

import json
import random
import sys
from dataclasses import asdict

import click

from tests.power.machine import Part
from tests.power.rounds import play
from tests.support.forgetful_fs import cannot_forget


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=10_000, help="Power losses; else as many as fit.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="No round begins later.")
@click.option("--seed", type=int, help="Of every choice; random if not given.")
@click.option(
    "--careless",
    type=click.Choice(["redis", "ingest"]),
    multiple=True,
    help="Take its syncs away (libeatmydata): exits with 0 when a loss is found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one object.")
def main(*, rounds: int, seconds: float, seed: int | None, careless: tuple[Part, ...], as_json: bool) -> None:
    """Lose power at random moments; every event that was answered 200 must be in Redis or in the spool.

    Exits with 1 when one is missing (or, with --careless, when none is), and with 2 where it cannot be played.
    """
    if reason := cannot_forget():
        click.echo(f"skipped: {reason}", err=True)
        sys.exit(2)
    tally = play(
        seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
        rounds=rounds,
        seconds=seconds,
        careless=frozenset(careless),
        until_missing=bool(careless),
        report=lambda text: click.echo(text, err=True),
    )
    click.echo(json.dumps(asdict(tally)) if as_json else str(tally))
    sys.exit(bool(tally.missing) is not bool(careless))


if __name__ == "__main__":
    main()
