"""Format values for the pages: times, durations, numbers. Every result is text or escaped markup."""

from datetime import UTC, datetime
from typing import Final

from flask import Flask
from markupsafe import Markup

from ackfirst.shared.plural import plural

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: From here on a decimal says nothing more.
_TEN: Final = 10
_THOUSAND: Final = 1000

#: State of an event, verdict or replay → colour of its badge.
TONES: Final = {
    "processed": "good",
    "verified": "good",
    "queued": "good",
    "done": "good",
    "delivered": "good",
    "read": "good",
    "running": "accent",
    "waiting": "accent",
    "retrying": "warn",
    "retry": "warn",
    "paused": "warn",
    "doubtful": "warn",
    "quarantined": "warn",
    "suspect": "warn",
    "unsigned-again": "warn",
    "unreadable": "warn",
    "dead": "bad",
    "rejected": "bad",
    "failed": "bad",
    "undeliverable": "bad",
    "refused": "bad",
}

_UTC_FORMATS: Final = {
    "clock": "%H:%M:%S UTC",
    "minute": "%d %b, %H:%M UTC",
    "full": "%d %b, %H:%M:%S UTC",
}


def moment(seconds: float | None, style: str = "full") -> Markup:
    """Format Unix seconds as ``<time>``: UTC here, the reader's zone once the script has run; UTC on hover.

    Args:
        seconds: Unix seconds; None is a dash.
        style: ``clock`` (time, with the day if it is not today), ``minute`` (the same without seconds) or ``full``.
    """
    if seconds is None:
        return Markup('<span class="muted">\N{EN DASH}</span>')
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return Markup('<span class="muted">no time</span>')
    text = at.strftime(_UTC_FORMATS["full" if style == "clock" and _is_old(at) else style])
    return Markup('<time datetime="{}" data-style="{}" title="{}" class="nowrap">{}</time>').format(
        at.isoformat(timespec="milliseconds"), style, at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC", text
    )


def _is_old(at: datetime) -> bool:
    return at.date() != datetime.now(UTC).date()


def iso_moment(text: str) -> Markup:
    """Format an ISO 8601 time as ``moment`` does."""
    return moment(datetime.fromisoformat(text).timestamp())


def utc_day(seconds: float) -> str:
    """Format the day of Unix seconds, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def duration(seconds: float | None) -> str:
    """Format a duration with two digits that count: ``3.2 ms``, ``1.4 s``, ``3 h 20 m``."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms" if milliseconds >= _TEN or milliseconds == 0 else f"{milliseconds:.1f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s".replace(".0 s", " s") if seconds < _TEN else f"{seconds:.0f} s"
    for unit, letter, smaller, next_letter in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "m"),
        (_MINUTE, "m", 1, "s"),
    ):
        if seconds >= unit:
            rest = int(seconds % unit // smaller)
            return f"{int(seconds // unit)} {letter}" + (f" {rest} {next_letter}" if rest else "")
    raise AssertionError(seconds)


def age(seconds: float) -> str:
    """Format how long ago something was, in whole seconds at the least."""
    return duration(float(max(1, round(seconds))) if seconds < _TEN else seconds)


def number(value: float | None) -> str:
    """Format a count or a rate: thousands in groups, decimals only below ten."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, int) or value >= _TEN or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}"


def size(count: int | None) -> str:
    """Format a number of bytes."""
    if count is None:
        return "\N{EN DASH}"
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < _THOUSAND or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= _TEN else f"{value:.1f} {unit}"
        value /= _THOUSAND
    raise AssertionError(count)


def sentence(text: str) -> str:
    """Write an error's message as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def tone(state: str | None) -> str:
    """Return the class of a state's badge."""
    return TONES.get(state or "", "")


def register(app: Flask) -> None:
    """Give the templates these filters."""
    functions = (moment, iso_moment, utc_day, duration, age, number, size, plural, sentence, tone)
    app.jinja_env.filters.update({function.__name__: function for function in functions})
