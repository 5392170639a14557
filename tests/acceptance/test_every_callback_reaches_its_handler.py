"""Every family and channel, signed, over HTTP, through Redis and a worker, to a handler that a user wrote."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.factories import APPLICATION
from tests.support.nexmo import Nexmo
from tests.support.stack import ingest, settings, work_until_empty

# Written to the text of the handler documentation alone.
HANDLERS = f"""
import json
from pathlib import Path

from ackfirst import on, RetryLater, Discard


def note(file, event, **more):
    with Path(file).open("a") as lines:
        lines.write(json.dumps({{**event.as_dict(), **more}}) + "\\n")


@on()
def everything(event):
    note("everything.jsonl", event)


@on("message-status", status={{"rejected", "undeliverable"}})
def alert(event):
    note("alerts.jsonl", event)


@on("inbound-message", channel="whatsapp", application="{APPLICATION}")
async def reply(event, context):
    note("replies.jsonl", event, attempt=context.attempt)
"""

US, THEM, TIME = "12015550142", "447700900417", "2026-03-04T09:15:27Z"


class Case(NamedTuple):
    """One callback and the event that it must become."""

    sent: dict[str, Any]
    family: str
    channel: str | None
    text: str | None
    sender: str | None = THEM
    recipient: str | None = US
    status: str | None = None
    how: str = "post_json"


def uuid(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def v1(channel: str, to: str = US, sender: str = THEM, **content: Any) -> dict[str, Any]:
    return {"channel": channel, "to": to, "from": sender, "timestamp": TIME, **content}


def v1_status(channel: str, status: str, to: str = THEM, sender: str = US, **more: Any) -> dict[str, Any]:
    return {"channel": channel, "to": to, "from": sender, "timestamp": TIME, "status": status, **more}


def v0(kind: str, to: dict[str, str], sender: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"timestamp": TIME, "to": {"type": kind, **to}, "from": {"type": kind, **sender}, **more}


def said(**content: Any) -> dict[str, Any]:
    return {"content": content}


IN, ST, SMS, DLR = "inbound-message", "message-status", "inbound-sms", "delivery-receipt"
MO = {"msisdn": THEM, "to": US, "type": "text", "keyword": "MOOR", "message-timestamp": "2026-03-04 09:15:27"}
RECEIPT = {
    "msisdn": THEM,
    "to": "HARBOUR",
    "network-code": "23433",
    "price": "0.03330000",
    "scts": "2603040915",
    "err-code": "0",
    "message-timestamp": "2026-03-04 09:15:30",
}

CASES = [
    Case(v1("sms", text="Berth 7?", sms={"num_messages": "1", "keyword": "BERTH"}), IN, "sms", "Berth 7?"),
    Case(v1("sms", text="café", message_type="text"), IN, "sms", "café"),
    Case(v1("mms", message_type="image", image={"url": "https://m/1.jpg", "caption": "Hull"}), IN, "mms", "Hull"),
    Case(v1("rcs", to="HarbourAgent", message_type="text", text="Hi"), IN, "rcs", "Hi", recipient="HarbourAgent"),
    Case(v1("rcs", message_type="location", location={"lat": 52.5, "long": 13.4}), IN, "rcs", None),
    Case(v1("whatsapp", sender="DE.90417733021845", message_type="text", text="Ahoy", profile={"name": "Ilse"}),
         IN, "whatsapp", "Ahoy", sender="DE.90417733021845"),
    Case(v1("whatsapp", message_type="button", button={"payload": {"choice": "north"}, "text": "sent"}),
         IN, "whatsapp", "sent"),
    Case(v1("whatsapp", message_type="reply", reply={"id": "r1", "title": "North"}), IN, "whatsapp", "North"),
    Case(v1("whatsapp", message_type="unsupported"), IN, "whatsapp", None),
    Case(v1("messenger", to="107083064136738", sender="1122334455", message_type="text", text="Yo"),
         IN, "messenger", "Yo", sender="1122334455", recipient="107083064136738"),
    Case(v1("viber_service", to="70021", message_type="text", text="Tide?"), IN, "viber_service", "Tide?",
         recipient="70021"),
    Case(v1("pigeon", message_type="text", text="coo"), IN, "pigeon", "coo"),
    Case(v0("sms", {"number": US}, {"number": THEM}, message=said(type="text", text="old")), IN, "sms", "old"),
    Case(v0("mms", {"number": US}, {"number": THEM}, message=said(type="image", image={"url": "https://m/2.jpg"})),
         IN, "mms", None),
    Case(v0("whatsapp", {"number": US}, {"number": THEM}, message=said(type="text", text="wa")), IN, "whatsapp", "wa"),
    Case(v0("messenger", {"id": "77"}, {"id": "88"}, message=said(type="text", text="fb")), IN, "messenger", "fb",
         sender="88", recipient="77"),
    Case(v0("viber_service_msg", {"id": "70021"}, {"number": THEM}, message=said(type="text", text="vb")),
         IN, "viber_service", "vb", recipient="70021"),
    *[Case(v1_status(channel, status), ST, channel, None, US, THEM, status)
      for channel in ("sms", "mms", "rcs", "whatsapp", "messenger", "viber_service")
      for status in ("submitted", "delivered", "rejected")],
    Case(v1_status("whatsapp", "read"), ST, "whatsapp", None, US, THEM, "read"),
    Case(v1_status("email", "undeliverable", to="ilse@example.com", sender="post@example.com"), ST, "email", None,
         "post@example.com", "ilse@example.com", "undeliverable"),
    Case(v0("viber_service_msg", {"number": THEM}, {"id": "70021"}, status="delivered"), ST, "viber_service", None,
         "70021", THEM, "delivered"),
    Case(v0("sms", {"number": THEM}, {"number": US}, status="rejected", error={"code": 1300, "reason": "no"}),
         ST, "sms", None, US, THEM, "rejected"),
    *[Case({**MO, "text": f"{how} berth & quay = 7?"}, SMS, "sms", f"{how} berth & quay = 7?", how=how)
      for how in ("get_sms", "form_sms", "json_sms")],
    Case({**MO, "type": "binary", "data": "0011", "udh": "0500"}, SMS, "sms", None, how="form_sms"),
    *[Case({**RECEIPT, "status": status}, DLR, "sms", None, "HARBOUR", THEM, status, how)
      for status in ("accepted", "buffered", "delivered", "expired", "failed", "rejected", "unknown")
      for how in ("get_sms", "form_sms", "json_sms")],
    Case({"dispatch_uuid": "d-1", "template": "failover", "status": "completed"}, "other", None, None, None, None),
]  # fmt: skip


def numbered(number: int, case: Case) -> Case:
    """The case with a message id of its own."""
    if case.family in (SMS, DLR):
        return case._replace(sent={**case.sent, "messageId": f"0C{number:014X}"})
    return case if case.family == "other" else case._replace(sent={"message_uuid": uuid(number), **case.sent})


ALL = [numbered(number, case) for number, case in enumerate(CASES)]


def message_id(case: Case) -> str | None:
    sent: dict[str, str] = case.sent
    return sent.get("message_uuid") or sent.get("messageId")


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a user's own project")
    (folder / "myapp").mkdir()
    (folder / "myapp" / "callbacks.py").write_text(HANDLERS)
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path, redis_server: Any) -> list[int]:
    """Every case sent to any URL (classified by content), then worked off; the statuses of the answers."""
    with redis_server.client() as client:
        client.flushall()
    env = settings(redis_server.url, folder, ACKFIRST_HANDLERS="myapp.callbacks", ACKFIRST_ACK_DEADLINE="5")
    with ingest(folder, env) as nexmo:
        statuses = [send(nexmo, case) for case in ALL]
    work_until_empty(folder, env)
    return statuses


def send(nexmo: Nexmo, case: Case) -> int:
    return int(getattr(nexmo, case.how)(case.sent, path="/webhooks/message-status"))


@pytest.fixture
def events(answers: list[int], folder: Path) -> dict[tuple[str | None, str | None], dict[str, Any]]:
    return {(event["message_id"], event["status"]): event for event in lines(folder / "everything.jsonl")}


def test_every_callback_is_answered_200(answers: list[int]) -> None:
    assert answers == [200] * len(ALL)


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.family}-{case.channel}-{case.status}-{case.how}")
def test_the_handler_receives_the_event_that_was_sent(case: Case, events: dict[Any, dict[str, Any]]) -> None:
    event = events[message_id(case), case.status or ("completed" if case.family == "other" else None)]
    for name in ("family", "channel", "text", "sender", "recipient"):
        assert event[name] == getattr(case, name), name
    assert event["message_id"] == message_id(case)
    assert case.sent.items() <= event["payload"].items()


def test_each_event_is_handled_once(answers: list[int], folder: Path) -> None:
    assert len(lines(folder / "everything.jsonl")) == len(ALL)


def test_filters_choose_what_a_handler_sees(answers: list[int], folder: Path) -> None:
    expected = sum(case.family == ST and case.status in ("rejected", "undeliverable") for case in ALL)
    assert len(lines(folder / "alerts.jsonl")) == expected
    replies = lines(folder / "replies.jsonl")
    assert len(replies) == sum(case.family == IN and case.channel == "whatsapp" for case in ALL)
    assert {reply["attempt"] for reply in replies} == {1}
