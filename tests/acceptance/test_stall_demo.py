"""``ackfirst simulate stall-demo``: production waits behind a plain test application, and not behind ackfirst."""

import re
import signal
from pathlib import Path

from tests.support.processes import Cli, run_cli
from tests.support.waiting import wait_until


def test_only_the_plain_application_holds_up_production(tmp_path: Path) -> None:
    picture = tmp_path / "stall.svg"
    args = ("simulate", "stall-demo", "--minutes", "8", "--seed", "7", "--plain", "--plot", str(picture))
    cli = run_cli(*args, cwd=tmp_path, timeout=150)

    assert cli.process.returncode == 0, cli.output
    assert re.search(r"ledger\s+balances\s+balances", cli.output)
    longest = re.search(r"longest queue at Nexmo\s+(\d+)\s+(\d+)", cli.output)
    assert longest
    plain, ours = map(int, longest.groups())
    assert plain > 3 * ours
    assert picture.read_text().startswith("<svg")
    assert re.search(r"while it was broken: .*not deleted: .* is not quiet", cli.output), "the seed is refused"
    assert re.search(r"after the end: application .* is deleted", cli.output), "and the cure goes through"


def test_ctrl_c_shows_the_ledgers_so_far(tmp_path: Path) -> None:
    with Cli("simulate", "stall-demo", "--plain", "--plot", str(tmp_path / "p.svg"), cwd=tmp_path) as cli:
        wait_until(lambda: bool(re.search(r"created \d\d", cli.output)), timeout=60)
        cli.process.send_signal(signal.SIGINT)
        assert cli.wait(60) == 130, cli.output
    assert "production waited up to" in cli.output
    assert re.search(r"events of production +[1-9]\d* of ", cli.output), cli.output
