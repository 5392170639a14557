"""``python -m tests.drills``: lose power, or a machine, and count what is missing."""

import json
import random
import sys
from dataclasses import asdict

import click

from tests.drills import lost_machine, power_loss
from tests.drills.powered import Part
from tests.support.forgetful_fs import cannot_forget

_SEED = click.option("--seed", type=int, help="Of every choice; random if not given.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print each result as one object.")


def _seed(given: int | None) -> int:
    return random.SystemRandom().randrange(2**31) if given is None else given


@click.group()
def main() -> None:
    """Print what was sent, acknowledged and missing; exit with 1 when that is not as it should be."""


@main.command("power-loss")
@click.option("--rounds", type=click.IntRange(1), default=10_000, help="Power losses; else as many as fit.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="No round begins later.")
@click.option(
    "--careless",
    type=click.Choice(["redis", "ingest"]),
    multiple=True,
    help="Take its syncs away (libeatmydata): exits with 0 when a loss is found.",
)
@_SEED
@_JSON
def lose_power(*, rounds: int, seconds: float, seed: int | None, careless: tuple[Part, ...], as_json: bool) -> None:
    """Lose power at random moments, on a disk that forgets what was not synced.

    Every event that was answered 200 must be in Redis or in the spool. Exits with 2 where it cannot be played.
    """
    if reason := cannot_forget():
        click.echo(f"skipped: {reason}", err=True)
        sys.exit(2)
    tally = power_loss.play(
        seed=_seed(seed),
        rounds=rounds,
        seconds=seconds,
        careless=frozenset(careless),
        until_missing=bool(careless),
        report=lambda text: click.echo(text, err=True),
    )
    click.echo(json.dumps(asdict(tally)) if as_json else str(tally))
    sys.exit(bool(tally.missing) is not bool(careless))


@main.command("lost-machine")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True, help="Machines a guard.")
@_SEED
@_JSON
def lose_machine(*, rounds: int, seed: int | None, as_json: bool) -> None:
    """Destroy Redis's master and its disk under load: without a guard, with min-replicas-to-write, with WAIT."""
    first, missing = _seed(seed), 0
    for number in range(rounds):
        for guard in lost_machine.Guard:
            outcome = lost_machine.play(guard, seed=first + number)
            click.echo(json.dumps(asdict(outcome)) if as_json else str(outcome))
            missing += outcome.missing if guard is lost_machine.Guard.WAIT else 0
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()
