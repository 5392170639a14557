"""``python -m bench``: run the measurements; print the tables, or write them to a page."""

import json
import signal
from pathlib import Path

import click

from bench import report
from bench.peers.install import Peers, install
from bench.plan import Plan, say
from bench.sections import SECTIONS


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Times each pair is measured, in turns."
)
@click.option(
    "--count",
    type=click.IntRange(500),
    default=10_000,
    show_default=True,
    help="Callbacks or events a round; slow peers get fewer.",
)
@click.option("--peers/--no-peers", default=True, show_default=True, help="Install and measure other people's queues.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="Only this section. [repeatable]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row instead of the tables.")
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the tables to this Markdown file as well, and charts into a folder beside it that is named like it. "
    "Sections that --only leaves out stay as they are.",
)
def main(*, rounds: int, count: int, peers: bool, only: tuple[str, ...], as_json: bool, page: Path | None) -> None:
    """Measure ingest and worker against their references on this machine.

    Starts everything that it needs on loopback, ends it again, and prints its progress to stderr.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started
    names = [name for name in SECTIONS if not only or name in only]
    needed = peers and any(SECTIONS[name].needs_peers for name in names)
    plan = Plan(rounds=rounds, count=count, peers=_peers() if needed else None)
    measured = {}
    for number, name in enumerate(names, 1):
        say(f"{name}: section {number} of {len(names)}")
        measured[name] = SECTIONS[name].measure(plan)
        if page:
            report.write(page, measured, count=count)
    if as_json:
        for name, rows in measured.items():
            for row in rows:
                click.echo(json.dumps({"section": name, **row}, ensure_ascii=False))
    else:
        report.show(measured)


def _peers() -> Peers:
    say("peers: installing what is missing (the first time takes minutes)")
    return install()


if __name__ == "__main__":
    main()
