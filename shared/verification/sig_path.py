"""Verify callbacks that bring a ``sig``, which covers the parameters of the one transport used."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.classify import classify_parameters
from ackfirst.shared.nexmo.reading import Reading, parameters
from ackfirst.shared.nexmo.sms import PARAMETERS
from ackfirst.shared.nexmo.sms_signature import SignatureCheck, base_string, fits, is_well_formed
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification
from ackfirst.shared.verification.secret_search import Found, SecretSearch, try_secrets

#: The parameter of the webhook URL that may hold an account's ``url_token``.
URL_TOKEN: Final = "token"  # noqa: S105 - the name of a parameter


class SigPath:
    """Judges a callback by its ``sig``.

    Args:
        accounts: Whose secrets are tried.
        clock: Monotonic seconds, by which the work for callbacks that name no account is bounded; None: no bound.
    """

    def __init__(self, accounts: Accounts, *, clock: Callable[[], float] | None) -> None:
        self._accounts = accounts
        self._search = SecretSearch(accounts, clock)

    def verify(self, reading: Reading, sig: str) -> Verification:
        """Judge a callback whose fields hold ``sig``, whatever else they hold.

        Many name no ``api-key``: then the account whose secret confirms the callback is its account.
        """
        texts = reading.fields
        if reading.encoding == "json":
            texts = parameters(reading.fields)
            reading = Reading("json", texts)
        claimed = given(texts.get("api-key"))
        account = self._accounts.get(claimed) if claimed else None
        suspect = partial(
            Verification,
            verdict=Verdict.SUSPECT,
            account=account.api_key if account else None,
            claimed_account=claimed,
            reading=reading,
            family=classify_parameters(reading),
        )
        if not is_well_formed(sig):
            return suspect(verdict=Verdict.FORGED, reason="sig-not-hex", account=None)
        if claimed and account is None:
            return suspect(reason="unknown-api-key")
        signable = [candidate for candidate in candidates(reading) if not any(map(_is_ambiguous, candidate))]
        if not signable:
            return suspect(reason="ambiguous-parameter")
        checks = [SignatureCheck(base_string(candidate), sig) for candidate in signable]
        all_tried = account is not None or self._search.tries_all(checks)
        found = try_secrets(account, checks) if account else self._search.find(checks)
        if found is None:
            tried = [account] if account else list(self._accounts)
            return suspect(reason=_why_not(sig, tried) if all_tried else "secrets-not-tried")
        return _confirmed(Reading(reading.encoding, signable[found.check]), found, claimed)


def candidates(reading: Reading) -> Sequence[dict[str, str]]:
    """List the sets of parameters that Nexmo may have sent, the likeliest first.

    A query also holds the parameters of the webhook's own URL. Whether Nexmo signs those is not documented, so the
    signature is tried with and without them: without all that are no parameters of the SMS API, and, since Nexmo may
    add new parameters of its own after the URL's, without those that precede the first known one. A body holds nothing
    of the URL.
    """
    fields = reading.fields
    if reading.encoding != "query" or fields.keys() <= PARAMETERS:
        return [fields]
    known = {name: value for name, value in fields.items() if name in PARAMETERS}
    sets = [known, without_leading_unknown(fields), fields]
    return [one for number, one in enumerate(sets) if one not in sets[:number]]


def without_leading_unknown(fields: dict[str, str]) -> dict[str, str]:
    """Drop what precedes the first parameter of the SMS API in a query: it comes from the webhook's own URL."""
    names = list(fields)
    first = next((number for number, name in enumerate(names) if name in PARAMETERS), len(names))
    return {name: fields[name] for name in names[first:]}


def without_url_token(reading: Reading) -> Reading:
    """Drop the webhook URL's own secret: handlers and dashboards must not see it."""
    if URL_TOKEN not in reading.fields or reading.encoding != "query":
        return reading
    return Reading("query", {name: value for name, value in reading.fields.items() if name != URL_TOKEN})


def _confirmed(signed: Reading, found: Found, claimed: str | None) -> Verification:
    """Accept the parameters that the signature covers, and only those."""
    reading = without_url_token(signed)
    return Verification(
        verdict=Verdict.VERIFIED,
        reason="sig",
        account=found.account.api_key,
        claimed_account=claimed,
        reading=reading,
        family=classify_parameters(reading),
        secret=found.secret,
    )


def _is_ambiguous(name: str) -> bool:
    """True for a name that the scheme does not delimit: with ``&`` or ``=`` in it, a captured ``sig`` fits others.

    No parameter of Nexmo's holds either.
    """
    return "&" in name or "=" in name


def _why_not(sig: str, tried: Iterable[Account]) -> str:
    able = [account for account in tried if account.secrets]
    if not able:
        return "no-secret"
    return "signature-mismatch" if any(fits(sig, account.sms_signature_method) for account in able) else "other-method"
