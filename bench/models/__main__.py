"""``python -m bench.models overload|shards``: print what a model computes, as a table."""

import click

from bench.models import overload, shards

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


@main.command("shards")
@_SEED
def print_shards(*, seed: int) -> None:
    """Play a day of a hundred times today's load on several stacks, with one hot account."""
    click.echo("| placed are | stacks | busiest | longest wait s | apart from the hot one s | events delayed |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: |")
    for found in shards.table(seed):
        click.echo(
            f"| {found.placement} | {found.stacks} | {found.busiest:.0%} | {found.longest_wait:,.0f} "
            f"| {found.others_wait:,.0f} | {found.delayed:.2%} |"
        )


if __name__ == "__main__":
    main()
