"""Traffic that was written down is the same traffic when it is read."""

import json

import pytest

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.simulator.content import RECIPES, Selection, choose
from ackfirst.simulator.planned import Kind
from ackfirst.simulator.recording import read, written
from tests.support.factories import SECRET
from tests.support.simulated import MIXED, make_signing_account, plan

ACCOUNT = make_signing_account()


def test_what_was_written_is_read_again_byte_for_byte() -> None:
    traffic = plan(800, MIXED)
    again, moments = read(written(traffic, (n / 100 for n in range(800))), ACCOUNT, name="f")
    assert again == traffic
    assert moments[:3] == [0.0, 0.01, 0.02]


def test_no_secret_and_no_signature_is_written() -> None:
    text = "".join(written(plan(300, MIXED), None))
    assert SECRET not in text
    assert "Bearer" not in text
    assert '"sig":' not in text


def test_a_line_can_be_written_by_hand() -> None:
    lines = ['{"fields": {"messageId": "0C", "msisdn": "447700900417", "to": "12015550142", "text": "hi"}}\n', "\n"]
    (planned,), moments = read(lines, ACCOUNT, name="f")
    assert planned.content.family is Family.INBOUND_SMS
    assert (planned.kind, planned.verdict, moments) == (Kind.GENUINE, Verdict.VERIFIED, [0.0])


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", "{}", '{"fields": 3}', json.dumps({"fields": {}, "transport": "fax"}), '{"body": "x"}']
)
def test_a_line_that_is_no_callback_is_named(line: str) -> None:
    with pytest.raises(ConfigurationError, match=r"line 1 of traffic\.jsonl"):
        read([line], ACCOUNT, name="traffic.jsonl")


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="holds no callback"):
        read([], ACCOUNT, name="f")


@pytest.mark.parametrize("channel", ["sms", "mms", "rcs", "whatsapp", "messenger", "viber_service"])
def test_a_choice_of_channel_and_family_holds(channel: str) -> None:
    wanted = Selection(channels=frozenset({channel}), families=frozenset({Family.INBOUND_MESSAGE}))
    traffic = plan(50, recipes=choose(RECIPES, wanted))
    assert {(one.content.channel, one.content.family) for one in traffic} == {(channel, Family.INBOUND_MESSAGE)}


def test_nothing_is_chosen_where_nothing_is_such() -> None:
    assert choose(RECIPES, Selection(channels=frozenset({"pigeon"}))) == ()


def test_in_a_conversation_the_answer_goes_to_who_wrote() -> None:
    by_parties: dict[str, set[str]] = {}
    for one in plan(4000):
        fields = one.content.fields
        if one.content.channel == "messenger" and isinstance(fields.get("to"), str):
            pair = "-".join(sorted((fields["to"], fields["from"])))
            by_parties.setdefault(pair, set()).add(one.content.family)
    assert {Family.INBOUND_MESSAGE, Family.MESSAGE_STATUS} in by_parties.values()
