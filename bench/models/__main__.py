"""``python -m bench.models overload|shards``: print what a model computes, as a table."""

import click

from bench.models import overload

_SEED = click.option("--seed", type=int, default=1, show_default=True, help="The same seed prints the same table.")


@click.group()
def main() -> None:
    """Compute what cannot be measured on one machine."""


@main.command("overload")
@_SEED
def print_overload(*, seed: int) -> None:
    """Compare which callbacks an ingest that is behind should answer."""
    click.echo("| load | a turn takes | answered at the first try | p50 ms | p99 ms | requests a callback |")
    click.echo("| --- | --- | ---: | ---: | ---: | ---: |")
    for load, found in overload.table(seed):
        click.echo(
            f"| {load} | {found.policy} | {found.first_try:.1%} | {found.p50:,.0f} | {found.p99:,.0f} "
            f"| {found.requests:.2f} |"
        )


if __name__ == "__main__":
    main()
