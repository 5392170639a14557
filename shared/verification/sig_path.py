"""Callbacks of the SMS API that bring a ``sig``, which covers the parameters of the one transport used."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.callback import Callback, Family
from ackfirst.shared.nexmo.reading import Reading, literal_parameters
from ackfirst.shared.nexmo.sms_signature import base_matches, base_string, fits, is_well_formed
from ackfirst.shared.nexmo.values import given
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification.result import Verification

#: The parameter of the webhook URL that may hold an account's ``url_token``: the operator added it, not Nexmo.
URL_TOKEN: Final = "token"  # noqa: S105 - the name of a parameter

_Confirmation = tuple[Account, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigPath:
    """Judges a callback by its ``sig``."""

    accounts: Accounts

    def verify(self, callback: Callback, reading: Reading, family: Family, sig: str) -> Verification:
        """The verdict on a callback in the shape of the SMS API.

        Many name no ``api-key``: then whichever account's secret confirms the callback is its account.
        """
        claimed = given(reading.fields.get("api-key"))
        account = self.accounts.get(claimed) if claimed else None
        found = partial(Verification, claimed_account=claimed, reading=reading, family=family)
        if not is_well_formed(sig):
            return found(verdict=Verdict.FORGED, reason="sig-not-hex")
        if claimed and account is None:
            return found(verdict=Verdict.SUSPECT, reason="unknown-api-key")
        candidates = [account] if account else list(self.accounts)
        confirmation = _confirm(literal_parameters(callback, reading), sig, candidates)
        if confirmation is None:
            reason = _why_not(reading, sig, candidates)
            return found(verdict=Verdict.SUSPECT, reason=reason, account=account.api_key if account else None)
        confirmed, secret = confirmation
        return found(verdict=Verdict.VERIFIED, reason="sig", account=confirmed.api_key, secret=secret)


def _is_ambiguous(name: str) -> bool:
    """The scheme does not delimit keys: with ``&`` or ``=`` in one, a captured ``sig`` would fit other parameters.

    No parameter of Nexmo's holds either.
    """
    return "&" in name or "=" in name


def _confirm(parameters: Mapping[str, str], sig: str, accounts: Iterable[Account]) -> _Confirmation | None:
    """The account and the number of its secret that signed these parameters."""
    if any(map(_is_ambiguous, parameters)):
        return None
    bases = list(_bases(parameters))
    return next(
        (
            (account, index)
            for base in bases
            for account in accounts
            for index, secret in enumerate(account.secrets)
            if base_matches(base, sig, secret=secret, method=account.sms_signature_method)
        ),
        None,
    )


def _bases(parameters: Mapping[str, str]) -> Iterator[bytes]:
    """Without the URL's own parameter first: whether Nexmo signs those is not documented."""
    yield base_string({name: value for name, value in parameters.items() if name != URL_TOKEN})
    if URL_TOKEN in parameters:
        yield base_string(parameters)


def _why_not(reading: Reading, sig: str, candidates: Iterable[Account]) -> str:
    if any(map(_is_ambiguous, reading.fields)):
        return "ambiguous-parameter"
    able = [account for account in candidates if account.secrets]
    if not able:
        return "no-secret"
    return "signature-mismatch" if any(fits(sig, account.sms_signature_method) for account in able) else "other-method"
