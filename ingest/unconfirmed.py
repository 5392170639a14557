"""Track accounts whose callbacks cannot be confirmed, and since when. Pure: times come in, changes come out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ackfirst.ingest.request_log import CLAIM_LIMIT
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope_builder import plain_text
from ackfirst.shared.verification import Verification

#: Seconds without a confirmed callback before an unconfirmed one raises the alarm: a forger who knows an API key can
#: send those at any time, and must not make the alarm flap between two genuine callbacks.
QUIET_SECONDS: Final = 30.0

#: Most accounts that are not ours and are remembered by the name that they claim. Beyond it no further one is named.
UNKNOWN_LIMIT: Final = 16

#: Seconds after which an account that is not ours and sends nothing more is forgotten.
UNKNOWN_MEMORY_SECONDS: Final = 3600.0

#: Stands for callbacks that name no account, as many of the SMS API do.
NO_ACCOUNT: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """An account whose callbacks are all unconfirmed."""

    account: str
    ours: bool
    """False for an account that is not configured: its name is any sender's text."""
    since: float
    """Unix seconds at which the first of them was received."""
    callbacks: int
    reason: str
    """The check that failed last."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm that began or ended."""

    suspect: Suspect
    is_well: bool
    """Whether the trouble is over."""


@dataclass(slots=True)
class _Trouble:
    since: float
    seen: float
    callbacks: int = 0
    reason: str = ""
    is_announced: bool = False

    def add(self, reason: str, now: float) -> None:
        self.callbacks += 1
        self.reason, self.seen = reason, now


@dataclass(slots=True)
class UnconfirmedAccounts:
    """The state of each account; bounded whatever unknown senders send."""

    ours: frozenset[str]
    """The API keys that are configured."""
    _confirmed_at: dict[str, float] = field(default_factory=dict)
    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _unknown: dict[str, _Trouble] = field(default_factory=dict)

    def observe(self, verification: Verification, now: float) -> list[Change]:
        """Take one callback into account at Unix time ``now``; return what changed by it."""
        if verification.verdict is Verdict.SUSPECT:
            return self._doubt(verification, now)
        if verification.secret is not None:  # verified, or unreadable with a good signature
            return self._confirm(verification, now)
        return []

    def all(self) -> list[Suspect]:
        """Return the accounts whose alarm is on."""
        return [*self._suspects(self._troubles, ours=True), *self._suspects(self._unknown, ours=False)]

    def _confirm(self, verification: Verification, now: float) -> list[Change]:
        changes = self._well(verification.account or NO_ACCOUNT, now)
        return changes + self._well(NO_ACCOUNT, now) if verification.claimed_account is None else changes

    def _well(self, name: str, now: float) -> list[Change]:
        self._confirmed_at[name] = now
        trouble = self._troubles.pop(name, None)
        return [Change(_suspect(name, trouble, ours=True), is_well=True)] if trouble and trouble.is_announced else []

    def _doubt(self, verification: Verification, now: float) -> list[Change]:
        claimed = verification.account or verification.claimed_account
        if claimed and claimed not in self.ours:
            return self._doubt_unknown((plain_text(claimed) or "")[:CLAIM_LIMIT], verification.reason, now)
        name = claimed or NO_ACCOUNT
        trouble = self._troubles.setdefault(name, _Trouble(now, now))
        trouble.add(verification.reason, now)
        if trouble.is_announced or abs(now - self._confirmed_at.get(name, float("-inf"))) < QUIET_SECONDS:
            return []
        trouble.is_announced = True
        return [Change(_suspect(name, trouble, ours=True), is_well=False)]

    def _doubt_unknown(self, name: str, reason: str, now: float) -> list[Change]:
        trouble = self._unknown.get(name)
        if trouble is None:
            self.forget_silent(now)
            if len(self._unknown) >= UNKNOWN_LIMIT:
                return []
            trouble = self._unknown[name] = _Trouble(now, now, is_announced=True)
            trouble.add(reason, now)
            return [Change(_suspect(name, trouble, ours=False), is_well=False)]
        trouble.add(reason, now)
        return []

    def forget_silent(self, now: float) -> bool:
        """Forget accounts that are not ours and have been silent for long; return whether there was one."""
        if not self._unknown:  # asked for each callback
            return False
        silent = [name for name, trouble in self._unknown.items() if abs(now - trouble.seen) > UNKNOWN_MEMORY_SECONDS]
        for name in silent:
            del self._unknown[name]
        return bool(silent)

    def _suspects(self, troubles: dict[str, _Trouble], *, ours: bool) -> Iterable[Suspect]:
        return (_suspect(name, trouble, ours=ours) for name, trouble in troubles.items() if trouble.is_announced)


def _suspect(name: str, trouble: _Trouble, *, ours: bool) -> Suspect:
    return Suspect(account=name, ours=ours, since=trouble.since, callbacks=trouble.callbacks, reason=trouble.reason)
