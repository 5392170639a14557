"""Settings from an environment: values, defaults, and one sentence for each mistake."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.policy import Policy
from ackfirst.shared.settings import SECRETS, Address, Settings, load_settings
from ackfirst.shared.settings.environment import variable


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({f"ACKFIRST_{name}": value for name, value in environ.items()})
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load_settings({})
    assert settings.listen == (Address("0.0.0.0", 8080),)
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.policy is Policy.NEVER_STALL
    assert settings.retry_schedule == (5, 30, 120, 600, 3600, 21600)
    assert settings.max_age is None


def test_every_value_is_read_as_its_type() -> None:
    settings = load_settings(
        {
            "ACKFIRST_LISTEN": "127.0.0.1:9000, [::1]:9000",
            "ACKFIRST_POLICY": "strict",
            "ACKFIRST_ACK_DEADLINE": "150ms",
            "ACKFIRST_HANDLERS": "myapp.callbacks, myapp.more",
            "ACKFIRST_RETRY_SCHEDULE": "1s, 2m,10",
            "ACKFIRST_LOG_PERSONAL": "1",
            "ACKFIRST_LOG_LEVEL": "WARNING",
            "ACKFIRST_MAX_AGE": "1d",
            "ACKFIRST_FAILURE_TTL": "90",
        }
    )
    assert settings.listen == (Address("127.0.0.1", 9000), Address("::1", 9000))
    assert settings.policy is Policy.STRICT
    assert settings.ack_deadline == 0.15
    assert settings.handlers == ("myapp.callbacks", "myapp.more")
    assert settings.retry_schedule == (1, 120, 10)
    assert settings.log_personal is True
    assert settings.log_level == "warning"
    assert settings.max_age == 86400.0
    assert settings.failure_ttl == 90


def test_the_process_environment_itself_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACKFIRST_POLICY", "strict")
    assert load_settings({}).policy is Policy.NEVER_STALL
    assert Settings().policy is Policy.NEVER_STALL


def test_a_leading_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/mara")
    assert load_settings({"ACKFIRST_DATA_DIR": "~/data"}).data_dir == Path("/home/mara/data")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).policy = Policy.STRICT  # type: ignore[misc]


def test_names_of_others_are_ignored() -> None:
    assert load_settings({"PATH": "/bin", "ackfirst_policy": "lax", "XACKFIRST_POLICY": "lax"}) == load_settings({})


def test_an_empty_value_counts_as_not_set() -> None:
    settings = load_settings({"ACKFIRST_REDIS_URL": "", "ACKFIRST_API_KEY": "", "ACKFIRST_SIGNATURE_SECRET": ""})
    assert not settings.redis_url_given
    assert settings.signature_secret is None


def test_it_is_known_whether_somebody_chose_the_redis() -> None:
    assert not load_settings({}).redis_url_given
    assert load_settings({"ACKFIRST_REDIS_URL": "redis://127.0.0.1:6379/0"}).redis_url_given


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ACKFIRST_REDISURL", "ACKFIRST_REDIS_URL"),
        ("ACKFIRST_SIGNATURE_SECRETS", "ACKFIRST_SIGNATURE_SECRET"),
        ("ACKFIRST_CONFIG_FILE", "ACKFIRST_CONFIG"),
        ("ACKFIRST_REDIS_URL_FIL", "ACKFIRST_REDIS_URL_FILE"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({name: "x"})
    assert str(caught.value) == f"{name} is not a setting: did you mean {nearest}?"


def test_a_name_like_no_other_is_refused_with_the_place_that_lists_them() -> None:
    assert refusal(ZZZZZZZZZZZZZZZZZZZZZZZZ="1").endswith("docs/settings.md lists all names")


def test_an_unknown_name_is_refused_even_when_it_is_empty() -> None:
    assert "did you mean ACKFIRST_POLICY?" in refusal(POLICI="")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("LISTEN", "8080", "use HOST:PORT"),
        ("LISTEN", "::1:8080", "use HOST:PORT"),
        ("LISTEN", "127.0.0.1:99999", "0 to 65535"),
        ("ACK_DEADLINE", "soon", "use seconds"),
        ("ACK_DEADLINE", "0", "greater than 0"),
        ("ACK_DEADLINE", "-1", "use seconds"),
        ("LISTEN", ",", "use HOST:PORT"),
        ("LISTEN", ":80,:80", "stands in the list twice"),
        ("HANDLER_TIMEOUT", "nan", "use seconds"),
        ("HANDLER_TIMEOUT", "inf", "use seconds"),
        ("FAILURE_TTL", "180.5", "fractional"),
        ("FAILURE_TTL", "9" * 12, "less than or equal to"),
        ("FAILURE_TTL", "9" * 400, "finite"),
        ("SPOOL_MAX_BYTES", "1MB", "use a whole number"),
        ("SPOOL_MAX_BYTES", "0", "greater than or equal to 1"),
        ("POLICY", "lax", "'never-stall' or 'strict'"),
        ("SMS_SIGNATURE_METHOD", "md4", "'md5hash', 'md5', 'sha1', 'sha256' or 'sha512'"),
        ("LOG_FORMAT", "xml", "'json' or 'console'"),
        ("LOG_PERSONAL", "perhaps", "use 1 or 0"),
        ("HANDLERS", "myapp/callbacks.py", "dotted name of a module"),
        ("RETRY_SCHEDULE", "5s,x", "use seconds"),
        ("RETRY_SCHEDULE", ",", "at least 1 item"),
        ("DATA_DIR", "~nobody-of-that-name/x", "home folder"),
    ],
)
def test_an_impossible_value_is_refused_in_one_sentence_that_names_it(name: str, value: str, problem: str) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"ACKFIRST_{name} is '{value[:60]}")
    assert problem in message
    assert "\n" not in message


def test_every_impossible_value_is_named_at_once() -> None:
    message = refusal(POLICY="lax", LISTEN="here")
    assert "ACKFIRST_POLICY" in message
    assert "ACKFIRST_LISTEN" in message


def test_a_secret_for_no_account_is_refused() -> None:
    assert "ACKFIRST_API_KEY is not" in refusal(SIGNATURE_SECRET="orchid")


def test_a_blank_secret_is_refused() -> None:
    assert refusal(API_KEY="k", SIGNATURE_SECRET="  ") == "ACKFIRST_SIGNATURE_SECRET: the value is blank"


def test_an_event_may_take_as_long_as_six_handlers() -> None:
    assert load_settings({}).job_timeout == 180
    assert load_settings({"ACKFIRST_HANDLER_TIMEOUT": "250ms"}).job_timeout == 2
    assert load_settings({"ACKFIRST_HANDLER_TIMEOUT": "250ms"}).job_options.timeout == 2


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://cache/queue", "the database after the host must be a number"),
        ("redis://:hunter2@cache?decode_responses=true", "'decode_responses' is not an option of a redis:// URL"),
        ("rediss://cache?ssl_cert_reqs=CERT_NONE", "'ssl_cert_reqs' must be required or none"),
    ],
)
def test_a_redis_url_that_is_not_supported_is_refused_without_being_repeated(url: str, problem: str) -> None:
    message = refusal(REDIS_URL=url)
    assert message.startswith(f"ACKFIRST_REDIS_URL: {problem}")
    assert "hunter2" not in message


@pytest.mark.parametrize("value", ["strict\r", "\ufeffstrict", " strict ", "strict\r\n"])
def test_spaces_line_ends_and_a_byte_order_mark_around_a_value_do_not_count(value: str) -> None:
    assert load_settings({"ACKFIRST_POLICY": value}).policy is Policy.STRICT


def test_line_ends_and_a_byte_order_mark_around_a_secret_do_not_count_but_its_spaces_do() -> None:
    settings = load_settings({"ACKFIRST_API_KEY": "abcd1234\r", "ACKFIRST_SIGNATURE_SECRET": "\ufeff orchid \r\n"})
    assert settings.api_key == "abcd1234"
    assert settings.signature_secret is not None
    assert settings.signature_secret.get_secret_value() == " orchid "


def test_spaces_around_a_redis_url_do_not_count() -> None:
    assert load_settings({"ACKFIRST_REDIS_URL": " redis://cache \r\n"}).redis_url.get_secret_value() == "redis://cache"


def test_a_redis_url_of_an_unknown_kind_is_refused_without_being_repeated() -> None:
    message = refusal(REDIS_URL="http://user:hunter2@cache")
    assert "hunter2" not in message
    assert "redis+sentinel://" in message


def outcome(environ: dict[str, str]) -> Settings | ConfigurationError:
    try:
        return load_settings(environ)
    except ConfigurationError as error:
        return error


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(max_size=40))
def test_whatever_a_value_is_it_is_taken_or_refused_in_one_sentence(field: str, value: str) -> None:
    result = outcome({variable(field): value})
    assert isinstance(result, Settings) or (variable(field) in str(result) and "\n" not in str(result))


@given(st.sampled_from(SECRETS), st.text(max_size=40).map("<§{}§>".format))
def test_a_secret_is_neither_shown_by_its_settings_nor_by_their_refusal(field: str, value: str) -> None:
    result = outcome({variable(field): value})
    assert value not in repr(result)
    assert value not in str(result)
