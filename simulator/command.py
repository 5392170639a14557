"""``ackfirst simulate``: send callbacks as Nexmo would, and say whether the answers are right."""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, TextIO, get_args

import click
from rich.console import Console
from yarl import URL

from shared.accounts_file import load_accounts
from shared.nexmo.sms_signature import SmsMethod
from shared.settings import Settings, load_settings
from simulator.account import SigningAccount, Wanted, signing_account
from simulator.ledger import as_lines, entry
from simulator.pace import Pace
from simulator.planned import Planned
from simulator.progress import progress
from simulator.run import Plan, Result, run, traffic
from simulator.sender import Unreachable
from simulator.tables import show
from simulator.traffic import Shares

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells count it."""

_SHARE: Final = click.FloatRange(0, 1)


class _Target(click.ParamType[URL]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> URL:
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
            self.fail(f"{value!r} is not a base URL such as http://127.0.0.1:8080", param, ctx)
        return url


def _shares(**options: float) -> Shares:
    shares = Shares(**options)
    if not shares.leave_something_genuine:
        raise click.UsageError("--duplicates, --wrong-secret, --unsigned and --tampered leave nothing that is genuine")
    return shares


@click.command()
@click.argument("url", type=_Target(), required=False)
@click.option("--count", type=click.IntRange(1, 500_000), default=1000, show_default=True, help="Callbacks to send.")
@click.option("--rate", type=click.FloatRange(0), default=200.0, show_default=True, help="Per second; 0: no limit.")
@click.option("--concurrency", type=click.IntRange(1, 5000), default=100, show_default=True, help="Most in flight.")
@click.option("--seed", type=int, help="The same seed sends the same messages again. [default: another each time]")
@click.option("--duplicates", type=_SHARE, default=0.05, show_default=True, help="Share that is sent twice.")
@click.option("--wrong-secret", type=_SHARE, default=0.02, show_default=True, help="Share signed by a stranger.")
@click.option("--unsigned", type=_SHARE, default=0.02, show_default=True, help="Share without signature.")
@click.option("--tampered", type=_SHARE, default=0.02, show_default=True, help="Share changed after signing.")
@click.option("--disorder", type=_SHARE, default=0.1, show_default=True, help="Share that comes out of order.")
@click.option("--retry-unsigned/--no-retry-unsigned", default=True, help="Send signed what was answered 503 unsigned.")
@click.option("--api-key", help="Account to sign for. [default: the first that is configured]")
@click.option("--secret", help="Its signature secret. [default: the configured one]")
@click.option("--sms-method", type=click.Choice(get_args(SmsMethod)), help="How its SMS callbacks are signed.")
@click.option("--application", "applications", multiple=True, help="Application id; may be given several times.")
@click.option("--ledger", type=click.File("w", encoding="utf-8", lazy=False), help="Write a JSON line per callback.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(url: URL | None, *, ledger: TextIO | None, as_json: bool, **options: Any) -> None:
    """Send callbacks of every family to URL, signed as Nexmo signs them.

    URL is the server's, without a path; when it is not given, ingest on this machine at ACKFIRST_LISTEN.

    Exits with 1 when an answer is not what that kind of callback should get, or when nobody answers.
    """
    plan = _plan(url, options, os.environ)
    callbacks = traffic(plan, start=time.time())
    result = _run(plan, callbacks)
    if ledger:
        ledger.write(as_lines(entry(delivery) for delivery in result.deliveries))
    if as_json:
        click.echo(json.dumps(result.report.as_dict()))
    else:
        show(result.report, Console())
    sys.exit(_exit_code(result))


def _plan(url: URL | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> Plan:
    settings = load_settings(environ)
    shares = ("duplicates", "wrong_secret", "unsigned", "tampered", "disorder")
    return Plan(
        target=url or URL(f"http://{settings.listen.local()}"),
        account=_account(options, settings),
        count=options["count"],
        seed=secrets.randbelow(2**32) if options["seed"] is None else options["seed"],
        shares=_shares(**{name: options[name] for name in shares}),
        pace=Pace(rate=options["rate"], concurrency=options["concurrency"], sign_unsigned=options["retry_unsigned"]),
    )


def _account(options: Mapping[str, Any], settings: Settings) -> SigningAccount:
    wanted = Wanted(**{name: options[name] for name in ("api_key", "secret", "sms_method", "applications")})
    return signing_account(wanted, load_accounts(settings))


def _run(plan: Plan, callbacks: list[Planned]) -> Result:
    try:
        with progress(len(callbacks)) as advance:
            return run(plan, callbacks, on_answer=advance)
    except Unreachable as error:
        raise click.ClickException(f"{error}; is ingest running there (ackfirst dev)?") from error


def _exit_code(result: Result) -> int:
    if result.report.interrupted:
        return INTERRUPTED
    return 1 if result.report.unexpected else 0
