"""``ackfirst simulate``: send callbacks as Nexmo does, and report whether the answers are right."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, Final, get_args

import click
from click.core import ParameterSource
from rich.console import Console
from yarl import URL

from ackfirst.shared.nexmo.family import WEBHOOKS, Family
from ackfirst.shared.nexmo.sms_signature import SmsMethod
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.settings.accounts_file import load_accounts
from ackfirst.simulator.account import AccountOptions, SigningAccount, signing_account
from ackfirst.simulator.client import UnreachableError
from ackfirst.simulator.content import Selection
from ackfirst.simulator.course import Course, draw_courses
from ackfirst.simulator.ledger import as_lines, entry
from ackfirst.simulator.planned import Planned
from ackfirst.simulator.recording import read, written
from ackfirst.simulator.rules import RETRY_DELAYS_SECONDS, Pace, ProviderPolicy
from ackfirst.simulator.run import Plan, Result, run, traffic
from ackfirst.simulator.screen import Show, live, plain, show_report
from ackfirst.simulator.traffic import Shares

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as in a shell."""

#: What may stand in place of a target → module of its command.
_OTHER_COMMANDS: Final = {"stall-demo": "stall_demo", "nexmo-api": "nexmo_api_command"}
_SHARE: Final = click.FloatRange(0, 1)
_OTHER_OPTIONS: Final = "Other"


class _Target(click.ParamType[URL]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> URL:
        """Accept a base URL only: the path of each callback's family is appended to it."""
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
            self.fail(f"{value!r} is not a base URL such as http://127.0.0.1:8080", param, ctx)
        for path in WEBHOOKS.values():
            if url.path.rstrip("/").endswith(path):
                base = url.with_path(url.path.rstrip("/").removesuffix(path))
                self.fail(f"{value!r} names one webhook; give the base URL, {str(base).rstrip('/')}", param, ctx)
        return url


class _Option(click.Option):
    """An option that is listed under a heading."""

    def __init__(self, *args: Any, heading: str = _OTHER_OPTIONS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading


def _under(heading: str) -> Callable[..., Callable[[Any], Any]]:
    return partial(click.option, cls=_Option, heading=heading)


class _Simulate(click.Command):
    """Groups its options under headings, and runs another command when that is named instead of a target."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the other command if one is the first argument."""
        module = _OTHER_COMMANDS.get(args[0]) if args else None
        if module is None:
            return super().make_context(info_name, args, parent, **extra)
        # Imported only here: the stall demo imports this module, and starts a stack that a plain run does not need.
        other: click.Command = import_module(f"ackfirst.simulator.{module}").command
        return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List every way to call the command."""
        super().format_usage(ctx, formatter)
        for name in _OTHER_COMMANDS:
            formatter.write_text(f"       {ctx.command_path} {name} [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options under their headings, in the order of definition."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                headings.setdefault(getattr(parameter, "heading", _OTHER_OPTIONS), []).append(record)
        for heading, records in headings.items():
            with formatter.section(heading):
                formatter.write_dl(records)


_traffic, _trouble, _provider, _account, _output = map(_under, ("Traffic", "Trouble", "Nexmo", "Account", "Output"))


@click.command(cls=_Simulate)
@click.argument("url", type=_Target(), required=False)
@_traffic("--count", type=click.IntRange(1, 500_000), default=1000, show_default=True, help="Callbacks to send.")
@_traffic("--rate", type=click.FloatRange(0), default=200.0, show_default=True, help="Per second; 0: unlimited.")
@_traffic("--burst", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Callbacks sent at once.")
@_traffic("--concurrency", type=click.IntRange(1, 5000), default=100, show_default=True, help="Most in flight.")
@_traffic("--seed", type=int, help="Repeat the messages of an earlier run. [default: random]")
@_traffic(
    "--family",
    "families",
    type=click.Choice([family.value for family in Family]),
    multiple=True,
    help="Send only this family. [repeatable]",
)
@_traffic("--channel", "channels", multiple=True, help="Send only this channel, such as whatsapp. [repeatable]")
@_traffic("--record", type=click.File("w", encoding="utf-8", lazy=False), help="Write the traffic to a file.")
@_traffic("--from", "source", type=click.File(encoding="utf-8"), help="Send the traffic of such a file, at its pace.")
@_trouble("--duplicates", type=_SHARE, default=0.05, show_default=True, help="Share that is sent twice.")
@_trouble("--wrong-secret", type=_SHARE, default=0.02, show_default=True, help="Share signed with a wrong secret.")
@_trouble("--unsigned", type=_SHARE, default=0.02, show_default=True, help="Share without signature.")
@_trouble("--tampered", type=_SHARE, default=0.02, show_default=True, help="Share changed after signing.")
@_trouble("--disorder", type=_SHARE, default=0.1, show_default=True, help="Share that arrives out of order.")
@_trouble("--slow", type=_SHARE, default=0.0, show_default=True, help="Share of POSTs with a two-second body.")
@_trouble("--clock-skew", "skew", type=float, default=0.0, show_default=True, help="Seconds that tokens are ahead.")
@_provider(
    "--provider-policy",
    "policy",
    type=click.Choice([policy.value for policy in ProviderPolicy]),
    default=ProviderPolicy.PER_MESSAGE.value,
    show_default=True,
    help="What waits behind a callback that is not accepted: nothing, or all of its account.",
)
@_provider(
    "--speed",
    type=click.FloatRange(0.1, 100_000),
    help="Use Nexmo's own schedules (24 and 72 hours), this many times faster. [default: 5 retries in 16 s]",
)
@_provider("--retry-unsigned/--no-retry-unsigned", default=True, help="Sign what was answered 503 unsigned.")
@_provider("--keep-token", is_flag=True, help="Repeat the signature in retries instead of signing afresh.")
@_account("--api-key", help="Account to sign for. [default: the first configured one]")
@_account("--secret", help="Its signature secret. [default: the configured one]")
@_account("--sms-method", type=click.Choice(get_args(SmsMethod)), help="How its SMS callbacks are signed.")
@_account("--application", "applications", multiple=True, help="Application id. [repeatable]")
@_output("--ledger", type=click.File("w", encoding="utf-8", lazy=False), help="Write a JSON line per callback.")
@_output("--plot", type=click.File("w", encoding="utf-8", lazy=False), help="Draw the queue over time, as SVG.")
@_output("--plain", is_flag=True, help="Print a line a second instead of a live view.")
@_output("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.pass_context
def command(context: click.Context, /, url: URL | None, **options: Any) -> None:
    """Simulate Nexmo: send signed callbacks of every family to URL, and retry those that are not accepted.

    URL is the receiver's base URL, to which the path of each webhook is added; by default ingest on this machine at
    ACKFIRST_LISTEN. "stall-demo" instead of a URL shows what a broken test application does to production, with and
    without ackfirst; "nexmo-api" plays Nexmo's management APIs, for webhooks and doctor.

    Exits with 1 when an answer is wrong for its kind of callback, or when the receiver does not answer.
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
    if result.report.interrupted:
        sys.exit(INTERRUPTED)
    sys.exit(1 if result.report.unexpected else 0)


def _plan(url: URL | None, options: Mapping[str, Any], environ: Mapping[str, str]) -> Plan:
    settings = load_settings(environ)
    shares = Shares(
        **{name: options[name] for name in ("duplicates", "wrong_secret", "unsigned", "tampered", "disorder", "slow")}
    )
    if not shares.leave_something_genuine:
        raise click.UsageError("--duplicates, --wrong-secret, --unsigned and --tampered leave nothing that is genuine")
    speed = options["speed"]
    return Plan(
        target=url or URL(f"http://{settings.listen[0].local()}"),
        account=_signing_account(options, settings),
        count=options["count"],
        seed=secrets.randbelow(2**32) if options["seed"] is None else options["seed"],
        shares=shares,
        selection=Selection(
            families=frozenset(map(Family, options["families"])), channels=frozenset(options["channels"])
        ),
        must_answer=speed is None,
        pace=Pace(
            **{name: options[name] for name in ("rate", "burst", "concurrency", "keep_token", "skew")},
            policy=ProviderPolicy(options["policy"]),
            sign_unsigned=options["retry_unsigned"],
            speed=speed or 1.0,
            retry_delays=RETRY_DELAYS_SECONDS if speed is None else None,
        ),
    )


def _signing_account(options: Mapping[str, Any], settings: Settings) -> SigningAccount:
    chosen = AccountOptions(**{name: options[name] for name in ("api_key", "secret", "sms_method", "applications")})
    return signing_account(chosen, load_accounts(settings))


def _callbacks(plan: Plan, options: Mapping[str, Any]) -> tuple[list[Planned], list[float] | None]:
    """Return the callbacks, and the seconds at which they are created if a file says so."""
    if options["source"]:
        return read(options["source"], plan.account, name=options["source"].name)
    made = traffic(plan, start=time.time())
    if not made:
        raise click.UsageError("no callback is of such a family and such a channel: check --family and --channel")
    return made, None


def _run(plan: Plan, callbacks: list[Planned], course: Course, options: Mapping[str, Any]) -> Result:
    title = f"Nexmo → {plan.target}  {plan.pace.policy}{_faster(plan.pace.speed)}"
    with ExitStack() as stack:
        views: list[Show] = [course.add] if options["plot"] else []
        if options["plain"]:
            views.append(stack.enter_context(plain(title)))
        elif not options["as_json"]:
            views.append(stack.enter_context(live(title)))
        try:
            return run(plan, callbacks, on_snapshot=lambda snapshot: [view(snapshot) for view in views])
        except UnreachableError as error:
            raise click.ClickException(f"{error}; check the URL, and that ingest runs there (ackfirst dev)") from error


def _write(result: Result, course: Course, options: Mapping[str, Any]) -> None:
    if options["ledger"]:
        options["ledger"].write(as_lines(entry(delivery) for delivery in result.deliveries))
    if options["plot"]:
        provider = result.report.provider
        title = f"Nexmo's queue, {provider.policy}{_faster(provider.speed)}"
        options["plot"].write(draw_courses(title, {"waiting": course.snapshots}))
    if options["as_json"]:
        click.echo(json.dumps(result.report.as_dict()))
    else:
        show_report(result.report, Console())


def _faster(speed: float) -> str:
    return "" if speed == 1 else f", {speed:g} times as fast"
