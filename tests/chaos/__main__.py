"""``python -m tests.chaos``: every fault under every load, each with its ledger."""

import json
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tests.chaos.evidence import gather
from tests.chaos.load import QUICK, SHAPES, Kind
from tests.chaos.matrix import FAULTS
from tests.chaos.page import page
from tests.chaos.play import play_named
from tests.chaos.table import plain
from tests.support.postgresql import find_programs
from tests.support.small_disk import cannot_mount

if TYPE_CHECKING:
    from tests.chaos.ledger import Ledger


@click.command()
@click.option("--list", "listed", is_flag=True, help="Name every fault and end.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this fault; may be given several times.")
@click.option("--load", type=click.Choice([kind.value for kind in Kind]), help="Only this load; else steady and burst.")
@click.option("--quick", is_flag=True, help="Only the rows that run with the tests, with less traffic.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Rows at the same time; with more than one, limits of time do not count.",
)
@click.option("--repeat", type=click.IntRange(1, 100), default=1, show_default=True, help="Runs of the whole.")
@click.option("--seed", type=int, help="Of the traffic; random if not given. Each row prints the same traffic again.")
@click.option("--json", "as_json", is_flag=True, help="One object a row.")
@click.option(
    "--page",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run drills and tests too, and write the page.",
)
@click.option("--keep", is_flag=True, help="Keep each row's logs and data; a row that fails keeps them anyway.")
def main(
    *,
    only: tuple[str, ...],
    load: str | None,
    jobs: int,
    repeat: int,
    seed: int | None,
    file: Path | None,
    listed: bool,
    quick: bool,
    as_json: bool,
    keep: bool,
) -> None:
    """Bring about every fault under steady load and in a burst, and prove that nothing acknowledged was lost.

    Exits with 1 when a row does not hold.
    """
    if unknown := set(only) - {fault.name for fault in FAULTS}:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: no such fault; --list names them", param_hint="--only")
    faults = [fault for fault in FAULTS if (not only or fault.name in only) and (fault.quick or not quick)]
    if listed:
        for fault in faults:
            click.echo(f"{fault.name:<26} {fault.about}")
        return
    if (reason := cannot_mount()) and (skipped := [fault.name for fault in faults if fault.disk]):
        click.echo(f"skipped: {', '.join(skipped)}: {reason}", err=True)
        faults = [fault for fault in faults if not fault.disk]
    if find_programs() is None and (skipped := [fault.name for fault in faults if fault.store == "postgresql"]):
        click.echo(f"skipped: {', '.join(skipped)}: no PostgreSQL server is installed", err=True)
        faults = [fault for fault in faults if fault.store != "postgresql"]
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    kinds = [Kind(load)] if load else list(Kind)
    good = True
    shapes = QUICK if quick else SHAPES
    for _ in range(repeat):
        began = time.monotonic()
        rows: list[Ledger] = []
        # Rows with a clock that can be set come last and alone, as those that use all CPUs. The library that sets the
        # clock makes threads spin while they wait for the interpreter; two such rows starve each other.
        alone = [one for one in faults if one.clock or one.alone]
        groups = (([one for one in faults if one not in alone], jobs), (alone, 1))
        for group, at_once in groups:
            # Processes of their own: two simulators in one interpreter would wait for each other.
            with ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) as pool:
                playing = [
                    pool.submit(play_named, fault.name, kind, shapes[kind], seed=seed, keep=keep, timed=jobs == 1)
                    for fault in group
                    for kind in kinds
                ]
                for future in playing:
                    row = future.result()
                    rows.append(row)
                    click.echo(json.dumps(row.as_dict()) if as_json else plain(row))
        seconds = time.monotonic() - began
        bad = sum(not row.holds for row in rows)
        good = good and not bad
        summary = f"{len(rows)} rows, {bad} do not hold, {sum(len(row.missing) for row in rows)} missing"
        click.echo(f"{summary}, {seconds:.0f} s, seed {seed}, {jobs} at a time", err=as_json)
        if file:
            click.echo("drills and tests of the promises", err=True)
            text = page(gather(rows, seed), seconds=seconds, seed=seed, jobs=jobs, quick=quick)
            file.write_text(text, encoding="utf-8")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
