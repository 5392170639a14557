"""Sign a planned callback for one attempt: with a token, or with a ``sig`` among the parameters."""

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import WEBHOOKS, Family
from ackfirst.shared.nexmo.sms_signature import sign_parameters
from ackfirst.shared.nexmo.token import sign_token
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.planned import Kind, Planned, Tampering

#: Dispatch reports and Verify events go to the application's status URL.
PATHS: Final = {**WEBHOOKS, Family.OTHER: WEBHOOKS[Family.MESSAGE_STATUS]}

_NO_SIGNATURE_HEADER: Final = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, exactly as it is sent."""

    method: str
    path: str
    query: str = ""
    """Percent-encoded, without ``?``."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """``Content-Type``, where Nexmo sends one; ``Authorization`` with the token."""
    body: bytes = b""

    def received(self, at: float) -> Callback:
        """Return the callback that a server has read at ``at`` (Unix seconds)."""
        return Callback(
            method=self.method,
            path=self.path,
            query=self.query,
            content_type=self.headers.get("Content-Type", ""),
            authorization=self.headers.get("Authorization", ""),
            body=self.body,
            received_at=at,
        )


class Signer:
    """Signs as Nexmo does, or as a forger does; ``rng`` makes ids and nonces."""

    def __init__(self, account: SigningAccount, rng: Random) -> None:
        self._account = account
        self._rng = rng
        self._wrong_secret = f"{rng.getrandbits(256):064x}".encode()

    @property
    def api_key(self) -> str:
        """The account that it signs for."""
        return self._account.api_key

    def request(self, planned: Planned, *, signed: bool, now: float) -> Request:
        """Return the request of an attempt at ``now`` (Unix seconds), with or without a signature."""
        if planned.content.has_token:
            return self._with_token(planned, signed=signed, now=now)
        return self._with_parameters(planned, signed=signed, now=now)

    def _with_token(self, planned: Planned, *, signed: bool, now: float) -> Request:
        headers = self._headers(planned)
        if signed:
            headers["Authorization"] = f"Bearer {self._token(planned, int(now))}"
        return Request(
            method="POST",
            path=PATHS[planned.content.family],
            query=self._own_query(),
            headers=headers,
            body=planned.body,
        )

    def _token(self, planned: Planned, iat: int) -> str:
        match planned.tampering:
            case Tampering.BODY:
                return self._sign(planned, planned.body + b" ", iat)
            case Tampering.CLAIMS:
                header, payload, _ = self._sign(planned, planned.body, iat).split(".")
                return f"{header}.{payload}.{self._sign(planned, planned.body + b' ', iat).rpartition('.')[2]}"
            case Tampering.ALGORITHM:
                return f"{_NO_SIGNATURE_HEADER}.{self._sign(planned, planned.body, iat).split('.')[1]}."
            case _:
                return self._sign(planned, planned.body, iat)

    def _sign(self, planned: Planned, body: bytes, iat: int) -> str:
        return sign_token(
            secret=self._secret(planned),
            body=body,
            api_key=self._account.api_key,
            application_id=planned.application_id,
            iat=iat,
            jti=self._uuid(),
        )

    def _with_parameters(self, planned: Planned, *, signed: bool, now: float) -> Request:
        content = planned.content
        parameters: dict[str, Any] = dict(content.fields)
        if signed:
            # A fixture of one official client has the timestamp as a JSON number.
            moment: int | str = (
                int(now) if content.transport == "json" and self._rng.random() < 1 / 4 else str(int(now))
            )
            parameters |= {"timestamp": moment, "nonce": self._uuid()}
            parameters["sig"] = self._sig(planned, parameters)
        path = PATHS[content.family]
        if content.transport == "query":
            return Request(method="GET", path=path, query=self._own_query(urlencode(parameters)))
        encoded = json.dumps(parameters) if content.transport == "json" else urlencode(parameters)
        return Request(
            method="POST", path=path, query=self._own_query(), headers=self._headers(planned), body=encoded.encode()
        )

    def _sig(self, planned: Planned, parameters: dict[str, Any]) -> str:
        if planned.tampering is Tampering.SIG:
            return "not-" + self._uuid()
        signed = {name: str(value) for name, value in parameters.items()}
        if planned.tampering is Tampering.PARAMETER:
            signed["msisdn"] += "0"
        return sign_parameters(signed, secret=self._secret(planned), method=self._account.sms_method)

    def _secret(self, planned: Planned) -> bytes:
        return self._wrong_secret if planned.kind is Kind.WRONG_SECRET else self._account.secret

    def _own_query(self, parameters: str = "") -> str:
        """Return the query: the account's ``token`` parameter, if it has one, then what Nexmo appends to the URL."""
        if self._account.url_token is None:
            return parameters
        return "&".join(filter(None, (urlencode({"token": self._account.url_token}), parameters)))

    @staticmethod
    def _headers(planned: Planned) -> dict[str, str]:
        return {} if planned.content_type is None else {"Content-Type": planned.content_type}

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))
