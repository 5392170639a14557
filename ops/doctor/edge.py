"""Check the way in: ingest's own report, the certificate, and the public URL from outside."""

import asyncio
import hashlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import jwt
import redis

from ackfirst.shared.accounts import Account
from ackfirst.shared.findings import Finding, Findings, Level, error, warning
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.plural import plural
from ackfirst.shared.queue import keys
from ackfirst.shared.self_test import FIELD
from ackfirst.shared.settings import Address, Settings
from ackfirst.shared.version import installed_version

#: Seconds for one request.
REQUEST_SECONDS: Final = 10.0
#: Seconds that the self-test's event may take from the answer to its end.
HANDLED_SECONDS: Final = 15.0
#: Days before a certificate's end from which it should be renewed.
RENEWAL_DAYS: Final = 14

#: OpenSSL's codes (X509_V_ERR_…) of a chain that ends before a known authority: an intermediate is missing, or private.
_ISSUER_UNKNOWN: Final = (2, 19, 20, 21)
_ADMIN_PATHS: Final = ("/readyz", "/metrics")
_PROBE_PATH: Final = "/webhooks/inbound-message"
_SELF_TEST_PATH: Final = "/webhooks/message-status"
_OK: Final = 200


async def ingest_findings(admin: Address) -> Findings:
    """Ask ingest's admin port what it thinks of itself."""
    url = f"http://{admin.local()}/readyz"
    try:
        async with _session() as session, session.get(url) as response:
            ready = await response.json()
            reasons = [_reason(reason) for reason in ready["reasons"]]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as problem:
        what = f"no ingest answers {url}: {str(problem) or type(problem).__name__}"
        fix = "ackfirst ingest, or docker compose up -d ingest; run doctor where its admin port can be reached"
        return iter([error("ingest-down", what, fix)])
    return iter([*reasons, *version_findings({str(ready.get("version"))}, "ingest")])


def version_findings(versions: Iterable[str], role: str) -> Findings:
    """Yield releases of running processes that are not the one of this command."""
    if others := sorted({*versions} - {installed_version()}):
        yield warning(
            "version-mixed",
            f"{role} runs release {', '.join(others)}, this command is of {installed_version()}",
            "finish the update: restart what is still of the older release",
        )


def _reason(found: dict[str, str]) -> Finding:
    return Finding(found["id"], Level(found["level"]), found["what"], found["fix"])


def certificate_findings(public_url: str, *, now: datetime, context: ssl.SSLContext | None = None) -> Findings:
    """Check the certificate of the public URL as a sender would."""
    parts = urlsplit(public_url)
    if parts.scheme != "https" or not parts.hostname:
        yield warning(
            "tls-none",
            f"{public_url} is not https: messages of people cross the network in the open",
            "put a certificate on the edge (docs/deployment.md)",
        )
        return
    context = context or ssl.create_default_context()
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), timeout=REQUEST_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
        ):
            found = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as problem:
        yield _refused_certificate(parts.hostname, problem)
        return
    except OSError as problem:
        yield _unreachable(public_url, str(problem))
        return
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
    if (days := (end - now).days) < RENEWAL_DAYS:
        yield warning(
            "tls-expires",
            f"the certificate of {parts.hostname} ends in {plural(days, 'day')}",
            "renew it, then reload the edge",
        )


def _refused_certificate(host: str, problem: ssl.SSLCertVerificationError) -> Finding:
    if problem.verify_code in _ISSUER_UNKNOWN:
        return error(
            "tls-chain",
            f"the chain of the certificate of {host} leads to no authority that is known: Nexmo delivers nothing",
            "let the edge send the intermediate certificates, too (fullchain.pem); a private authority cannot be used",
        )
    return error(
        "tls-invalid",
        f"the certificate of {host} is refused ({problem.verify_message}): Nexmo delivers nothing",
        "renew it, and check that it is for this host",
    )


async def ports_findings(settings: Settings, *, is_ingest_up: bool) -> Findings:
    """Check that ingest, and nothing else, answers at each address of ``ACKFIRST_LISTEN`` on this machine."""
    findings = []
    for address in settings.listen:
        status = await _status(f"http://{address.local()}/healthz")
        if is_ingest_up and status != _OK:
            what = f"ingest runs, but does not answer at {address}: callbacks that go there get no answer"
            findings.append(error("port-closed", what, "check ACKFIRST_LISTEN, and restart ingest"))
        elif not is_ingest_up and status is not None:
            what = f"something else than our ingest answers at {address}: ingest cannot start there"
            findings.append(
                error("port-taken", what, f"end it (ss -ltnp 'sport = :{address.port}'), or change ACKFIRST_LISTEN")
            )
    return iter(findings)


async def exposure_findings(public_url: str, *, connector: aiohttp.BaseConnector | None = None) -> Findings:
    """Check from outside that the edge does not pass on what is for operators only."""
    exposed = [path for path in _ADMIN_PATHS if await _status(public_url + path, connector) == _OK]
    if not exposed:
        return iter(())
    what = f"{', '.join(exposed)} of ingest's admin port can be read by everyone at {public_url}"
    return iter([error("edge-exposes-admin", what, "let the edge pass /webhooks/ only")])


async def _status(url: str, connector: aiohttp.BaseConnector | None = None) -> int | None:
    """Return the status that a GET is answered; None if there is no answer of HTTP."""
    try:
        async with _session(connector) as session, session.get(url, allow_redirects=False) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


async def public_url_findings(public_url: str, *, connector: aiohttp.BaseConnector | None = None) -> Findings:
    """Check from outside that the public URL answers as Nexmo's check of a saved URL wants it: 200."""
    url = public_url + _PROBE_PATH
    try:
        async with _session(connector) as session, session.get(url, allow_redirects=False) as response:
            if response.status == _OK:
                return iter(())
            what = f"{url} answers an empty request with {response.status}: Nexmo refuses to save such a URL"
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        return iter([_unreachable(public_url, str(problem) or type(problem).__name__)])
    fix = "let the edge pass every path under /webhooks/ to ingest, and check ACKFIRST_PUBLIC_URL"
    return iter([error("edge-wrong", what, fix)])


async def self_test(
    public_url: str,
    account: Account,
    client: redis.Redis,
    *,
    nonce: str,
    now: float,
    say: Callable[[str], None],
    connector: aiohttp.BaseConnector | None = None,
) -> Findings:
    """Send a signed callback through the public URL and wait for its event to end in a worker.

    Handlers do not see it: workers know a self-test by its body.

    Args:
        public_url: Base URL.
        account: Signs with its first secret.
        client: The queue's Redis.
        nonce: Makes this event another one than all before.
        now: Unix seconds, for the token.
        say: Is given the seconds that each step took.
        connector: For https to a host that tests have made up.
    """
    body = json.dumps({FIELD: nonce}).encode()
    claims = {"iss": "Vonage", "iat": int(now), "jti": nonce, "api_key": account.api_key}
    claims["payload_hash"] = hashlib.sha256(body).hexdigest()
    token = jwt.encode(claims, account.secrets[0], algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    started = time.monotonic()
    try:
        async with (
            _session(connector) as session,
            session.post(public_url + _SELF_TEST_PATH, data=body, headers=headers, allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        return iter([_unreachable(public_url, str(problem) or type(problem).__name__)])
    answered = time.monotonic() - started
    if status != _OK:
        what = f"a callback signed with the secret of {account.api_key} was answered {status}"
        return iter([error("self-test", what, "look for callback.received in the log of ingest: it names the check")])
    say(f"self-test: answered 200 in {answered:.3f} s")
    job = keys.job(event_id(Family.OTHER, account.api_key, {FIELD: nonce}, body))
    deadline = started + HANDLED_SECONDS
    while time.monotonic() < deadline:
        try:
            state: Any = await asyncio.to_thread(client.hget, job, "status")
        except redis.RedisError as problem:
            what = f"the self-test's callback was answered 200; then Redis did not answer ({problem})"
            return iter([error("self-test", what, "run doctor again once Redis answers")])
        if state == b"finished":
            say(f"self-test: processed by a worker after {time.monotonic() - started:.3f} s")
            return iter(())
        await asyncio.sleep(0.05)
    what = f"the self-test's callback was answered 200, but no worker has ended its event in {HANDLED_SECONDS:.0f} s"
    return iter([error("self-test", what, "see the findings on workers and lanes; ackfirst quarantine list")])


def _session(connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS), connector=connector)


def _unreachable(public_url: str, why: str) -> Any:
    return error(
        "edge-unreachable",
        f"{public_url} cannot be reached from here ({why}): nor, probably, by Nexmo",
        "check DNS, the firewall and the edge",
    )
