"""``python -m bench``: run every measurement in one go; print the table, or write it to a page."""

import json
from pathlib import Path

import click

from bench import report, rows
from bench.peers.install import install


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Times each pair is measured, in turns.")
@click.option("--count", default=10_000, show_default=True, help="Callbacks or jobs a round; slow rivals get fewer.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="Install and measure other people's queues.")
@click.option("--only", multiple=True, type=click.Choice(sorted(rows.SECTIONS)), help="Only these; again for more.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row instead of the table.")
@click.option("--page", type=click.Path(path_type=Path), help="Write the table to this Markdown file as well.")
def main(*, rounds: int, count: int, peers: bool, only: tuple[str, ...], as_json: bool, page: Path | None) -> None:
    """Measure ingest and worker against their references on this machine."""
    plan = rows.Plan(rounds=rounds, count=count, peers=install() if peers else None)
    measured = {name: section(plan) for name, section in rows.SECTIONS.items() if not only or name in only}
    if as_json:
        for section in measured.values():
            for row in section:
                click.echo(json.dumps(row))
    else:
        report.show(measured)
    if page:
        page.write_text(report.page(measured, rounds=rounds, count=count))


if __name__ == "__main__":
    main()
