"""``ackfirst webhooks`` against Nexmo's management APIs: nothing is lost, and nothing is half done."""

import copy
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.nexmo_apis import EVERYTHING, PUBLIC_URL, nexmo, not_the_api, nothing

INBOUND, STATUS = f"{PUBLIC_URL}/webhooks/inbound-message", f"{PUBLIC_URL}/webhooks/message-status"
SMS = {
    "mo-callback-url": f"{PUBLIC_URL}/webhooks/inbound-sms",
    "dr-callback-url": f"{PUBLIC_URL}/webhooks/delivery-receipt",
}
MESSAGES = {"messages": {"webhooks": {"inbound_url": {"address": "https://old.example.com", "http_method": "POST"}}}}

Hook = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def with_our_urls(application: dict[str, Any]) -> dict[str, Any]:
    wanted = copy.deepcopy(application)
    webhooks = wanted["capabilities"]["messages"]["webhooks"]
    webhooks["inbound_url"]["address"], webhooks["status_url"]["address"] = INBOUND, STATUS
    return wanted


async def test_no_field_is_lost_when_a_url_is_set_and_restored(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        before = copy.deepcopy(apis.account.applications[id_])
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 0, done.output
        assert "inbound_url.address: https://old.example.com/in → " + INBOUND in done.output
        assert apis.account.applications[id_] == with_our_urls(before)

        [saved] = operator.backups()
        assert saved.stat().st_mode & 0o777 == 0o600
        assert saved.parent.stat().st_mode & 0o777 == 0o700
        done = await operator.run("webhooks", "restore", str(saved))
        assert done.code == 0, done.output
        assert apis.account.applications[id_] == before


async def test_setting_twice_writes_once(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        for _ in range(2):
            done = await operator.run("webhooks", "set", id_)
            assert done.code == 0, done.output
        assert "as wanted already" in done.output
        assert [method for method, _ in apis.requests].count("PUT") == 1
        assert len(operator.backups()) == 1


async def test_a_dry_run_prints_the_difference_and_writes_nothing(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", capabilities=MESSAGES)
        before = copy.deepcopy(apis.account)
        done = await operator.run("webhooks", "set", "--all", "--dry-run")
        assert done.code == 0, done.output
        assert INBOUND in done.output
        assert SMS["mo-callback-url"] in done.output
        assert id_ in done.output
        assert apis.account == before
        assert operator.backups() == []


async def test_all_sets_every_application_with_messages_and_the_sms_urls(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        with_messages = [apis.account.add_application(f"a{n}", capabilities=MESSAGES) for n in range(3)]
        voice_only = apis.account.add_application("calls", capabilities={"voice": {}})
        done = await operator.run("webhooks", "set", "--all")
        assert done.code == 0, done.output
        for id_ in with_messages:
            webhooks = apis.account.applications[id_]["capabilities"]["messages"]["webhooks"]
            assert {name: webhook["address"] for name, webhook in webhooks.items()} == {
                "inbound_url": INBOUND,
                "status_url": STATUS,
            }
        assert apis.account.applications[voice_only]["capabilities"] == {"voice": {}}
        assert "Nexmo filled in capabilities.messages.version: (not set) → v1" in done.output
        assert apis.account.settings == SMS


async def test_show_marks_what_differs_and_what_overrides_it(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        apis.account.add_application("harbour", capabilities=MESSAGES)
        linked = {"msisdn": "15550001", "app_id": "some-app", "moHttpUrl": "https://laptop.example.com/sms?key=secret"}
        apis.account.numbers = [linked, {"msisdn": "15550002"}]
        done = await operator.run("webhooks", "show", "--json")
        assert done.code == 1, "something differs"
        rows = [json.loads(line) for line in done.output.splitlines()]
        assert [(row["where"].split()[0], row["webhook"], row["differs"]) for row in rows] == [
            ("application", "inbound_url", True),
            ("application", "status_url", True),
            ("account", "inbound SMS", True),
            ("account", "delivery receipt", True),
            ("number", "inbound SMS", True),
            ("number", "application", False),
        ]
        assert "secret" not in done.output
        apis.account.numbers.clear()
        assert (await operator.run("webhooks", "set", "--all")).code == 0
        done = await operator.run("webhooks", "show")
        assert done.code == 0, done.output
        assert "differs" not in done.output


async def test_every_page_of_applications_is_read(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        for number in range(205):
            apis.account.add_application(f"a{number}", capabilities=MESSAGES)
        apis.account.numbers = [{"msisdn": str(number), "moHttpUrl": "https://x.test"} for number in range(101)]
        done = await operator.run("webhooks", "show", "--json")
        assert len(done.output.splitlines()) == 205 * 2 + 2 + 101


async def test_what_someone_else_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)

        async def rename(_: web.Request) -> None:
            apis.account.applications[id_]["name"] = "renamed by a colleague"

        apis.hooks.extend([nothing, rename])
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 1
        assert "changed by someone else just now, nothing was written: try again" in done.output
        assert str(operator.backups()[0]) in done.output, "the copy is named"
        assert "PUT" not in [method for method, _ in apis.requests]
        assert apis.account.applications[id_]["name"] == "renamed by a colleague"


async def bad_gateway(_: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="<html>Bad gateway</html>")


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("no_answer", [bad_gateway, hang_up])
async def test_a_write_without_an_answer_is_not_sent_again_and_what_became_of_it_is_read(
    no_answer: Hook, tmp_path: Path
) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        apis.hooks.extend([nothing, nothing, no_answer])
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 1
        [saved] = operator.backups()
        assert "not as it was sent" in done.output
        assert f"ackfirst webhooks restore {saved}" in done.output
        assert [method for method, _ in apis.requests].count("PUT") == 1


async def test_a_write_whose_answer_was_lost_has_been_carried_out_if_it_reads_so(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)

        async def done_but_lost(request: web.Request) -> web.StreamResponse:
            apis.account.applications[id_] = {**await request.json(), "id": id_}
            return await bad_gateway(request)

        apis.hooks.extend([nothing, nothing, done_but_lost])
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 0, done.output
        assert "written, read again and equal" in done.output


async def html(_: web.Request) -> web.StreamResponse:
    return web.Response(status=200, text="<html>Log in to the hotel's network</html>")


async def forbidden(_: web.Request) -> web.StreamResponse:
    return web.json_response({"title": "Forbidden", "detail": "Not for sub-accounts."}, status=403)


async def broken(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503, text="down")


async def much_later(_: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "1800"})


async def elsewhere(_: web.Request) -> web.StreamResponse:
    return web.Response(status=301, headers={"Location": "https://other.example.com/"})


@pytest.mark.parametrize(
    ("hook", "times", "sentence"),
    [
        (html, 3, "answered with something else than a JSON object"),
        (forbidden, 1, "answered 403: Forbidden; Not for sub-accounts.; this API key may not do that"),
        (broken, 3, "answered 503: try again later"),
        (much_later, 1, "limits the rate of requests (429): try again in 1800 s"),
        (elsewhere, 1, "answered 301: this address has no such API: check ACKFIRST_NEXMO_API_URL"),
        (not_the_api, 1, "answered 404: this address has no such API: check ACKFIRST_NEXMO_API_URL"),
    ],
)
async def test_trouble_of_the_api_is_one_sentence(hook: Hook, times: int, sentence: str, tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        apis.hooks.extend([hook] * times)
        done = await operator.run("webhooks", "set", "--all")
        assert done.code == 1
        assert sentence in " ".join(done.output.split())
        assert "Traceback" not in done.output
        assert operator.backups() == []


async def test_a_short_outage_and_a_short_limit_are_waited_for(tmp_path: Path) -> None:
    async with nexmo(tmp_path, allowed=1) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        apis.hooks.append(broken)
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 0, done.output


async def test_a_wrong_account_secret_names_the_setting(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (_, operator):
        done = await operator.run("webhooks", "show", ACKFIRST_API_SECRET="the-signature-secret-instead")
        assert done.code == 1
        assert "check ACKFIRST_API_KEY and ACKFIRST_API_SECRET: the account secret, not the signature" in done.output
        assert "instead" not in done.output


async def test_without_network_the_host_is_named(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (_, operator):
        done = await operator.run("webhooks", "show", ACKFIRST_NEXMO_API_URL="http://127.0.0.1:1")
        assert done.code == 1
        assert "127.0.0.1:1 cannot be reached" in done.output


async def test_an_sms_url_that_does_not_answer_is_refused_by_nexmo_and_nothing_changes(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):

        async def no_answer(_: str) -> bool:
            return False

        apis.account.check_url = no_answer
        before = dict(apis.account.settings)
        done = await operator.run("webhooks", "set", "--sms")
        assert done.code == 1
        assert "answered 420" in done.output
        assert "Nothing was changed" in done.output
        assert str(operator.backups()[0]) in done.output, "the copy is named"
        assert apis.account.settings == before


async def test_sms_urls_go_back_to_what_they_were(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        apis.account.settings["mo-callback-url"] = "https://old.example.com/sms"
        before = dict(apis.account.settings)
        assert (await operator.run("webhooks", "set", "--sms")).code == 0
        assert apis.account.settings == SMS
        listed = await operator.run("webhooks", "restore")
        [saved] = operator.backups()
        assert listed.output.strip() == str(saved)
        done = await operator.run("webhooks", "restore", str(saved))
        assert done.code == 0, done.output
        assert apis.account.settings == before


async def test_an_application_that_is_not_ours_or_has_no_messages_is_refused(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        done = await operator.run("webhooks", "set", "not-an-application")
        assert (done.code, "no account of ours has application not-an-application" in done.output) == (1, True)
        id_ = apis.account.add_application("calls", capabilities={"voice": {}})
        done = await operator.run("webhooks", "set", id_)
        assert (done.code, "cannot do messages" in done.output) == (1, True)


async def test_a_404_of_anything_else_than_the_api_says_nothing_about_an_application(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        apis.hooks.append(not_the_api)
        done = await operator.run("webhooks", "set", id_)
        assert done.code == 1
        assert "answered 404: this address has no such API: check ACKFIRST_NEXMO_API_URL" in done.output


async def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (_, operator):
        done = await operator.run("webhooks", "set", "--all", ACKFIRST_PUBLIC_URL="")
        assert (done.code, "set ACKFIRST_PUBLIC_URL" in done.output) == (2, True)
        done = await operator.run("webhooks", "show", ACKFIRST_API_SECRET="")
        assert (done.code, "ACKFIRST_API_SECRET" in done.output) == (2, True)
        done = await operator.run("webhooks", "restore", "no-such-file")
        assert (done.code, "no-such-file cannot be read" in done.output) == (2, True)


async def test_without_a_backup_nothing_is_written(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("harbour", **EVERYTHING)
        (tmp_path / "data").write_text("a file where the folder should be")
        done = await operator.run("webhooks", "set", id_)
        assert (done.code, "so nothing was changed" in done.output) == (2, True)
        assert "PUT" not in [method for method, _ in apis.requests]


@pytest.mark.parametrize("answer", [b'{"a":' * 20_000, b"[]", b'{"_embedded":{"applications":["x"]}}'])
async def test_an_answer_of_an_unknown_shape_is_one_sentence(tmp_path: Path, answer: bytes) -> None:
    async with nexmo(tmp_path) as (apis, operator):

        async def odd(_: web.Request) -> web.StreamResponse:
            return web.Response(body=answer, content_type="application/json")

        apis.hooks.append(odd)
        done = await operator.run("webhooks", "show")
        assert done.code == 1
        assert "Traceback" not in done.output


async def test_a_path_is_no_application_id(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (_, operator):
        done = await operator.run("webhooks", "set", "../../account/numbers?x")
        assert (done.code, "is no application id" in done.output) == (1, True)


@pytest.mark.parametrize("url", ["http://nexmo.example.com", "api.nexmo.com", "https://", "http://h:99999999"])
async def test_the_account_secret_is_not_sent_in_the_open(tmp_path: Path, url: str) -> None:
    async with nexmo(tmp_path) as (_, operator):
        done = await operator.run("webhooks", "show", ACKFIRST_NEXMO_API_URL=url)
        assert (done.code, "is no base URL of an API" in done.output) == (2, True)


async def test_names_at_nexmo_do_not_control_the_terminal(tmp_path: Path) -> None:
    async with nexmo(tmp_path) as (apis, operator):
        id_ = apis.account.add_application("\x1b[2J", **MESSAGES)
        for command in (["show"], ["set", id_, "--dry-run"]):
            assert "\x1b[2J" not in (await operator.run("webhooks", *command)).output
