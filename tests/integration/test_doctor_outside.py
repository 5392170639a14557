"""Each finding of ``ackfirst doctor`` about the way in and about Nexmo, brought about for real."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from ackfirst.ops.doctor.edge import (
    certificate_findings,
    exposure_findings,
    ingest_findings,
    ports_findings,
    public_url_findings,
)
from ackfirst.ops.doctor.nexmo import Traffic, nexmo_findings
from ackfirst.ops.nexmo_api import Credentials, NexmoApi
from ackfirst.shared.accounts import Account
from ackfirst.shared.findings import Finding
from ackfirst.shared.settings import Address, load_settings
from ackfirst.shared.version import installed_version
from ackfirst.simulator.nexmo_api import NexmoAccount, NexmoApis, serve
from tests.support.certificates import Authority
from tests.support.nexmo_apis import PUBLIC_URL


def ids(findings: Iterable[Finding]) -> list[str]:
    return [finding.id for finding in findings]


# The way in


@asynccontextmanager
async def served(
    status: int = 200, said: object = None, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.json_response(said, status=status)

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_an_ingest_that_does_not_answer_is_found() -> None:
    assert ids(await ingest_findings(Address("127.0.0.1", 1))) == ["ingest-down"]


async def test_what_ingest_says_of_itself_is_found() -> None:
    reason = {"id": "ingest-not-ready", "level": "error", "what": "503", "fix": "make room"}
    async with served(503, {"ready": False, "reasons": [reason], "version": installed_version()}) as port:
        [finding] = await ingest_findings(Address("127.0.0.1", port))
    assert finding.as_dict() == reason
    async with served(said={"ready": True, "reasons": [], "version": "0.0.9"}) as port:
        assert ids(await ingest_findings(Address("127.0.0.1", port))) == ["version-mixed"]
    async with served(said={"ready": True, "reasons": [], "version": installed_version()}) as port:
        assert ids(await ingest_findings(Address("127.0.0.1", port))) == []
    async with served(said={"hello": "I am no ingest"}) as port:
        assert ids(await ingest_findings(Address("127.0.0.1", port))) == ["ingest-down"]


async def test_a_public_url_that_leads_elsewhere_or_nowhere_is_found() -> None:
    async with served(404) as port:
        assert ids(await public_url_findings(f"http://127.0.0.1:{port}")) == ["edge-wrong"]
    async with served() as port:
        assert ids(await public_url_findings(f"http://127.0.0.1:{port}")) == []
    assert ids(await public_url_findings("http://127.0.0.1:1")) == ["edge-unreachable"]


@asynccontextmanager
async def served_with(certificate: Path, key: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with served(context=context) as port:
        yield f"https://127.0.0.1:{port}"


async def found_of_certificate(
    url: str, trusted: Path | None, *, later: timedelta = timedelta(), host: str = "127.0.0.1"
) -> list[str]:
    context = ssl.create_default_context(cafile=None if trusted is None else str(trusted))
    place = url.replace("127.0.0.1", host)
    return ids(
        await asyncio.to_thread(
            lambda: list(certificate_findings(place, now=datetime.now(UTC) + later, context=context))
        )
    )


async def test_certificates_are_judged_as_a_sender_would(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    async with served_with(*authority.certificate(days=30)) as url:
        assert await found_of_certificate(url, authority.file) == []
        assert await found_of_certificate(url, authority.file, later=timedelta(days=20)) == ["tls-expires"]
        assert await found_of_certificate(url, authority.file, host="localhost") == ["tls-invalid"]
        assert await found_of_certificate(url, None) == ["tls-chain"]
    now = datetime.now(UTC)
    assert ids(certificate_findings("https://127.0.0.1:1", now=now)) == ["edge-unreachable"]
    assert ids(certificate_findings("http://hooks.example.com", now=now)) == ["tls-none"]


async def test_an_edge_that_sends_no_intermediate_certificate_is_found(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    leaf, key, intermediate = authority.certificate_by_intermediate()
    async with served_with(leaf, key) as url:
        assert await found_of_certificate(url, authority.file) == ["tls-chain"]
    chain = tmp_path / "fullchain.pem"
    chain.write_text(leaf.read_text() + intermediate.read_text())
    async with served_with(chain, key) as url:
        assert await found_of_certificate(url, authority.file) == []


async def test_ports_that_do_not_answer_or_are_taken_are_found() -> None:
    async with served(404) as port:
        settings = load_settings({"ACKFIRST_LISTEN": f"127.0.0.1:{port}"})
        assert ids(await ports_findings(settings, is_ingest_up=False)) == ["port-taken"]
        assert ids(await ports_findings(settings, is_ingest_up=True)) == ["port-closed"]
    assert ids(await ports_findings(settings, is_ingest_up=True)) == ["port-closed"]
    assert ids(await ports_findings(settings, is_ingest_up=False)) == []
    async with served() as port:
        settings = load_settings({"ACKFIRST_LISTEN": f"127.0.0.1:{port}"})
        assert ids(await ports_findings(settings, is_ingest_up=True)) == []


async def test_an_edge_that_shows_the_admin_port_is_found() -> None:
    async with served() as port:
        assert ids(await exposure_findings(f"http://127.0.0.1:{port}")) == ["edge-exposes-admin"]
    async with served(404) as port:
        assert ids(await exposure_findings(f"http://127.0.0.1:{port}")) == []


# Nexmo


SET_FOR_US = {
    "mo-callback-url": f"{PUBLIC_URL}/webhooks/inbound-sms",
    "dr-callback-url": f"{PUBLIC_URL}/webhooks/delivery-receipt",
}
NO_TRAFFIC = Traffic({}, None)


async def found_at_nexmo(
    apis: NexmoApis,
    public_url: str | None = PUBLIC_URL,
    *,
    secret: str = "right",
    ahead: float = 0.0,
    traffic: Traffic = NO_TRAFFIC,
) -> list[str]:
    runner, port = await serve(apis, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    credentials = Credentials(api_key="abcd1234", api_secret=secret)
    try:
        async with NexmoApi(credentials, api_url=url, rest_url=url, clock=lambda: time.time() + ahead) as api:
            account = Account(api_key="abcd1234", secrets=(b"s",), api_secret=secret)
            findings = nexmo_findings(api, account, public_url, traffic, now=time.time())
            return ids([finding async for finding in findings])
    finally:
        await runner.cleanup()


async def test_everything_that_is_wrong_at_nexmo_is_found() -> None:
    account = NexmoAccount(api_key="abcd1234", api_secret="right", balance=0.5)
    account.add_application("harbour", capabilities={"messages": {"webhooks": {}}})
    account.numbers = [{"msisdn": "15550001", "moHttpUrl": "https://laptop.example.com"}]
    assert await found_at_nexmo(NexmoApis(account), ahead=60) == [
        "balance-low",
        "clock-nexmo",
        *["webhook-differs"] * 4,
        "number-overrides",
    ]
    assert await found_at_nexmo(NexmoApis(account), None) == ["balance-low", "public-url-none"]
    assert await found_at_nexmo(NexmoApis(account), secret="wrong") == ["nexmo-api"]


async def test_an_account_that_is_set_for_us_has_no_findings() -> None:
    account = NexmoAccount(api_key="abcd1234", api_secret="right", settings=dict(SET_FOR_US))
    assert await found_at_nexmo(NexmoApis(account)) == []


async def test_a_webhook_with_another_method_and_a_silent_application_are_found() -> None:
    account = NexmoAccount(api_key="abcd1234", api_secret="right", settings=dict(SET_FOR_US))
    webhooks = {
        name: {"address": f"{PUBLIC_URL}/webhooks/{path}", "http_method": "POST"}
        for name, path in (("inbound_url", "inbound-message"), ("status_url", "message-status"))
    }
    id_ = account.add_application("harbour", capabilities={"messages": {"webhooks": webhooks}})
    now = time.time()
    week = 7 * 86_400
    for traffic, silent in (
        (Traffic({("abcd1234", id_): now - week + 60}, now - 2 * week), False),
        (Traffic({("abcd1234", id_): now - week - 60}, now - 2 * week), True),
        (Traffic({}, now - week + 60), False),
        (Traffic({}, now - week - 60), True),
    ):
        assert await found_at_nexmo(NexmoApis(account), traffic=traffic) == ["application-silent"] * silent
    account.applications[id_]["capabilities"]["messages"]["webhooks"]["status_url"]["http_method"] = "GET"
    assert await found_at_nexmo(NexmoApis(account)) == ["webhook-method"]
