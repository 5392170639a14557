"""``ackfirst simulate``: send callbacks as Nexmo would, and say whether the answers are right."""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, get_args

import click
from click.core import ParameterSource
from rich.console import Console
from yarl import URL

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.simulator import account
from ackfirst.simulator.content import Wanted
from ackfirst.simulator.ledger import as_lines, entry
from ackfirst.simulator.options import Command, under
from ackfirst.simulator.pace import RETRY_DELAYS, Pace
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.plot import draw
from ackfirst.simulator.provider import ProviderPolicy
from ackfirst.simulator.recording import read, written
from ackfirst.simulator.run import Plan, Result, run, traffic
from ackfirst.simulator.screen import Show, live, plain
from ackfirst.simulator.sender import Unreachable
from ackfirst.simulator.snapshot import Course
from ackfirst.simulator.tables import show
from ackfirst.simulator.traffic import Shares

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


class _Simulate(Command):
    words = MappingProxyType({"stall-demo": "ackfirst.simulator.stall.command:command"})


_traffic, _trouble, _provider, _account_of, _output = map(
    under, ("Traffic", "Trouble", "The provider", "The account", "Output")
)


@click.command(cls=_Simulate)
@click.argument("url", type=_Target(), required=False)
@_traffic("--count", type=click.IntRange(1, 500_000), default=1000, show_default=True, help="Callbacks to send.")
@_traffic("--rate", type=click.FloatRange(0), default=200.0, show_default=True, help="Per second; 0: no limit.")
@_traffic("--burst", type=click.IntRange(1, 100_000), default=1, show_default=True, help="So many come at once.")
@_traffic("--concurrency", type=click.IntRange(1, 5000), default=100, show_default=True, help="Most in flight.")
@_traffic("--seed", type=int, help="The same seed sends the same messages again. [default: another each time]")
@_traffic(
    "--family",
    "families",
    type=click.Choice([family.value for family in Family]),
    multiple=True,
    help="Only of this family. [repeatable]",
)
@_traffic("--channel", "channels", multiple=True, help="Only of this channel, such as whatsapp. [repeatable]")
@_traffic("--record", type=click.File("w", encoding="utf-8", lazy=False), help="Write the traffic to a file.")
@_traffic("--from", "source", type=click.File(encoding="utf-8"), help="Send the traffic of such a file, at its pace.")
@_trouble("--duplicates", type=_SHARE, default=0.05, show_default=True, help="Share that is sent twice.")
@_trouble("--wrong-secret", type=_SHARE, default=0.02, show_default=True, help="Share signed by a stranger.")
@_trouble("--unsigned", type=_SHARE, default=0.02, show_default=True, help="Share without signature.")
@_trouble("--tampered", type=_SHARE, default=0.02, show_default=True, help="Share changed after signing.")
@_trouble("--disorder", type=_SHARE, default=0.1, show_default=True, help="Share that comes out of order.")
@_trouble("--slow", type=_SHARE, default=0.0, show_default=True, help="Share whose bytes take two seconds to come.")
@_trouble("--clock-skew", "skew", type=float, default=0.0, show_default=True, help="Seconds by which tokens are ahead.")
@_provider(
    "--provider-policy",
    "policy",
    type=click.Choice([policy.value for policy in ProviderPolicy]),
    default=ProviderPolicy.PER_MESSAGE.value,
    show_default=True,
    help="What waits behind a callback that nobody takes: nothing, or all of its account.",
)
@_provider(
    "--speed",
    type=click.FloatRange(0.1, 100_000),
    help="Keep Nexmo's own schedules (24 and 72 hours), so many times faster. [default: 5 retries in 16 s]",
)
@_provider("--retry-unsigned/--no-retry-unsigned", default=True, help="Send signed what was answered 503 unsigned.")
@_provider("--keep-token", is_flag=True, help="A retry keeps its signature; else it is signed afresh.")
@_account_of("--api-key", help="Account to sign for. [default: the first that is configured]")
@_account_of("--secret", help="Its signature secret. [default: the configured one]")
@_account_of("--sms-method", type=click.Choice(get_args(SmsMethod)), help="How its SMS callbacks are signed.")
@_account_of("--application", "applications", multiple=True, help="Application id. [repeatable]")
@_output("--ledger", type=click.File("w", encoding="utf-8", lazy=False), help="Write a JSON line per callback.")
@_output("--plot", type=click.File("w", encoding="utf-8", lazy=False), help="Draw the queue over time, as SVG.")
@_output("--plain", is_flag=True, help="A line a second instead of a live view.")
@_output("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.pass_context
def command(context: click.Context, /, url: URL | None, **options: Any) -> None:
    """Pretend to be Nexmo: send signed callbacks of every family to URL, and keep what is not taken.

    URL is the server's, without a path; when it is not given, ingest on this machine at ACKFIRST_LISTEN.
    "stall-demo" instead of a URL shows what a broken test application does to production, with and without ackfirst.

    Exits with 1 when an answer is not what that kind of callback should get, or when nobody answers.
    """
    plan = _plan(url, options, os.environ)
    callbacks, moments = _callbacks(plan, options)
    if context.get_parameter_source("rate") is ParameterSource.DEFAULT:
        plan = replace(plan, moments=moments)
    if options["record"]:
        options["record"].writelines(written(callbacks, plan.moments or plan.pace.moments(len(callbacks))))
    course = Course()
    result = _run(plan, callbacks, course, options)
    _write(result, course, options)
    sys.exit(_exit_code(result))


def _callbacks(plan: Plan, options: Mapping[str, Any]) -> tuple[list[Planned], list[float] | None]:
    """What is to be sent; and when, where a file says it."""
    if options["source"]:
        return read(options["source"], plan.account, name=options["source"].name)
    made = traffic(plan, start=time.time())
    if not made:
        raise click.UsageError("no callback is of such a family and such a channel: check --family and --channel")
    return made, None


def _write(result: Result, course: Course, options: Mapping[str, Any]) -> None:
    if options["ledger"]:
        options["ledger"].write(as_lines(entry(delivery) for delivery in result.deliveries))
    if options["plot"]:
        ended = result.report.provider
        title = f"Nexmo's queue, {ended.policy}{_hurry(ended.speed)}"
        options["plot"].write(draw(title, {"waiting": course.moments}))
    if options["as_json"]:
        click.echo(json.dumps(result.report.as_dict()))
    else:
        show(result.report, Console())


def _plan(url: URL | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> Plan:
    settings = load_settings(environ)
    shares = ("duplicates", "wrong_secret", "unsigned", "tampered", "disorder", "slow")
    speed = options["speed"]
    return Plan(
        target=url or URL(f"http://{settings.listen[0].local()}"),
        account=_account(options, settings),
        count=options["count"],
        seed=secrets.randbelow(2**32) if options["seed"] is None else options["seed"],
        shares=_shares(**{name: options[name] for name in shares}),
        wanted=Wanted(families=frozenset(map(Family, options["families"])), channels=frozenset(options["channels"])),
        must_answer=speed is None,
        pace=Pace(
            **{name: options[name] for name in ("rate", "burst", "concurrency", "keep_token", "skew")},
            policy=ProviderPolicy(options["policy"]),
            sign_unsigned=options["retry_unsigned"],
            speed=speed or 1.0,
            retry_delays=RETRY_DELAYS if speed is None else None,
        ),
    )


def _account(options: Mapping[str, Any], settings: Settings) -> account.SigningAccount:
    wanted = account.Wanted(**{name: options[name] for name in ("api_key", "secret", "sms_method", "applications")})
    return account.signing_account(wanted, load_accounts(settings))


def _run(plan: Plan, callbacks: list[Planned], course: Course, options: Mapping[str, Any]) -> Result:
    title = f"Nexmo → {plan.target}  {plan.pace.policy}{_hurry(plan.pace.speed)}"
    with ExitStack() as stack:
        views: list[Show] = [course.add] if options["plot"] else []
        if options["plain"]:
            views.append(stack.enter_context(plain(title)))
        elif not options["as_json"]:
            views.append(stack.enter_context(live(title)))
        try:
            return run(plan, callbacks, on_look=lambda snapshot: [view(snapshot) for view in views])
        except Unreachable as error:
            raise click.ClickException(f"{error}; is ingest running there (ackfirst dev)?") from error


def _hurry(speed: float) -> str:
    return "" if speed == 1 else f", {speed:g} times as fast"


def _exit_code(result: Result) -> int:
    if result.report.interrupted:
        return INTERRUPTED
    return 1 if result.report.unexpected else 0
