"""A long body costs time to read: only one with a confirmed token is read."""

import json

from ackfirst.shared.nexmo.reading import MAX_PARAMETERS, MAX_PARAMETERS_LENGTH
from ackfirst.shared.policy import Verdict
from tests.support.callbacks import callback, json_callback
from tests.support.factories import inbound_message
from tests.support.nexmo import signed as with_sig
from tests.support.signing import judge, signed, with_token

LONG = json.dumps(inbound_message(text="x" * MAX_PARAMETERS_LENGTH)).encode()
SMS = {"messageId": "0C1", "msisdn": "447700900417", "type": "text"}


def test_a_long_body_that_the_token_covers_is_read() -> None:
    found = judge(with_token(signed(LONG), LONG))
    assert (found.verdict, found.reading is not None) == (Verdict.VERIFIED, True)


def test_a_long_body_with_an_unconfirmed_token_is_not_read() -> None:
    found = judge(with_token(signed(LONG, secret="another-secret"), LONG))
    assert (found.verdict, found.reason, found.reading) == (Verdict.SUSPECT, "signature-mismatch", None)


def test_json_with_a_sig_may_be_as_long_as_a_form() -> None:
    fits, too_long = (json_callback(with_sig({**SMS, "text": "x" * length})) for length in (120_000, 140_000))
    assert judge(fits).verdict is Verdict.VERIFIED
    assert (judge(too_long).verdict, judge(too_long).reading) == (Verdict.UNSIGNED, None)


def test_json_of_more_values_than_parameters_may_be_is_not_read_unless_its_token_is_confirmed() -> None:
    body = json.dumps({**SMS, "numbers": [1.5] * (MAX_PARAMETERS + 1)}).encode()
    assert judge(callback(body, content_type="application/json")).reading is None
    assert judge(with_token(signed(body), body)).verdict is Verdict.VERIFIED
