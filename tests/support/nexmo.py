"""Send signed callbacks as Nexmo does. Signs with ``hmac`` and ``hashlib`` alone: a second opinion on our own code."""

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tests.support.factories import API_KEY, APPLICATION, SECRET


def segment(part: Any) -> str:
    """Base64url without padding, of bytes as they are or of anything else as JSON."""
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compose(header: Any, claims: Any, *, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token put together by hand, signed whatever it says."""
    signing_input = f"{segment(header)}.{segment(claims)}"
    return f"{signing_input}.{segment(hmac.digest(secret.encode(), signing_input.encode(), digest))}"


def token(body: bytes, *, secret: str = SECRET, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A Messages API token over ``body``; a claim given as None is left out."""
    said = {
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": API_KEY,
        "application_id": APPLICATION,
        **claims,
    }
    said = {name: value for name, value in said.items() if value is not None}
    return compose(header or {"alg": "HS256", "typ": "JWT"}, said, secret=secret)


def signed_headers(body: bytes, **claims: Any) -> dict[str, str]:
    """The headers of a signed Messages API callback."""
    return {"Authorization": f"Bearer {token(body, **claims)}", "Content-Type": "application/json"}


def sig(parameters: Mapping[str, str], *, secret: str = SECRET) -> str:
    """The SMS API's default signature, "MD5 hash": MD5 of the sorted parameters and the secret."""
    base = "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(parameters.items()))
    return hashlib.md5((base + secret).encode()).hexdigest()


def signed(parameters: Mapping[str, str], *, secret: str = SECRET) -> dict[str, str]:
    """The parameters with what signing adds."""
    complete = {**parameters, "timestamp": str(int(time.time())), "nonce": str(uuid.uuid4())}
    return {**complete, "sig": sig(complete, secret=secret)}


class Nexmo:
    """Posts to one ingest; each method returns the status of the answer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> int:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def post_json(self, payload: Any, path: str = "/webhooks/inbound-message", **claims: Any) -> int:
        """A signed Messages API callback."""
        body = json.dumps(payload).encode()
        return self.request("POST", path, body, signed_headers(body, **claims))

    def get_sms(self, parameters: Mapping[str, str], path: str = "/webhooks/inbound-sms") -> int:
        """A signed SMS API callback in the query."""
        return self.request("GET", f"{path}?{urlencode(signed(parameters))}")

    def form_sms(self, parameters: Mapping[str, str], path: str = "/webhooks/inbound-sms") -> int:
        """The same as a form."""
        content_type = "application/x-www-form-urlencoded; charset=UTF-8"
        body = urlencode(signed(parameters)).encode()
        return self.request("POST", path, body, {"Content-Type": content_type})

    def json_sms(self, parameters: Mapping[str, str], path: str = "/webhooks/inbound-sms") -> int:
        """The same as a JSON object, without a content type, as it was once captured."""
        return self.request("POST", path, json.dumps(signed(parameters)).encode())
