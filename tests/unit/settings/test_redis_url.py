"""Redis URLs: what each form stands for, and one sentence for whatever is not supported."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.redis.url import RedisUrlError, parse


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://cache", {"host": "cache", "port": 6379}),
        ("redis://cache:6380/3", {"host": "cache", "port": 6380, "db": 3}),
        ("redis://cache/?db=2", {"host": "cache", "port": 6379, "db": 2}),
        ("redis://[::1]:6380", {"host": "::1", "port": 6380}),
        ("redis://app:p%40ss%2Fw@cache", {"host": "cache", "port": 6379, "username": "app", "password": "p@ss/w"}),
        ("redis://:pw@cache?client_name=x", {"host": "cache", "port": 6379, "password": "pw", "client_name": "x"}),
        ("unix:///run/r.sock?db=1&password=p%26w", {"path": "/run/r.sock", "db": 1, "password": "p&w"}),
        ("unix:///a%20folder/s", {"path": "/a folder/s"}),
        (
            "rediss://cache?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none&ssl_check_hostname=false&socket_timeout=1.5",
            {
                "host": "cache",
                "port": 6379,
                "ssl_ca_certs": "/ca.pem",
                "ssl_cert_reqs": "none",
                "ssl_check_hostname": False,
                "socket_timeout": 1.5,
            },
        ),
    ],
)
def test_a_url_stands_for_connection_arguments(url: str, server: dict[str, object]) -> None:
    assert parse(url).server == server


def test_sentinels_service_and_database_are_read() -> None:
    url = parse("redis+sentinel://one:26380,two,[::1]:26381/mymaster/3")
    assert url.sentinels == (("one", 26380), ("two", 26379), ("::1", 26381))
    assert url.service == "mymaster"
    assert url.server == {"db": 3}
    assert url.sentinel == {}


def test_user_and_password_before_the_sentinels_are_the_masters() -> None:
    url = parse("redis+sentinel://app:p%40ss%2Fw@one/mymaster")
    assert url.server == {"username": "app", "password": "p@ss/w", "db": 0}
    assert url.sentinel == {}


def test_the_sentinels_may_have_a_password_of_their_own() -> None:
    url = parse("redis+sentinel://one/m?sentinel_username=s&sentinel_password=p%26w")
    assert url.sentinel == {"username": "s", "password": "p&w"}
    assert url.server == {"db": 0}


def test_tls_is_for_the_sentinels_and_the_master() -> None:
    url = parse("redis+sentinel://one/m?ssl=true&ssl_ca_certs=%2Fca.pem")
    assert url.sentinel == {"ssl": True, "ssl_ca_certs": "/ca.pem"}
    assert url.server == {"ssl": True, "ssl_ca_certs": "/ca.pem", "db": 0}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://cache", "must begin with redis://, rediss://, unix://, redis\\+sentinel://"),
        ("redis:/cache", "must begin with"),
        ("redis://cache/queue", "the database after the host must be a number"),
        ("redis://cache/0/1", "must be a number"),
        ("redis://cache/-1", "must be a number"),
        ("redis://cache:port", "host and port cannot be read"),
        ("redis://cache:99999", "host and port cannot be read"),
        ("redis://cache/1?db=2", "'db' stands in the URL twice"),
        ("redis://cache?db=1&db=2", "'db' stands in the URL twice"),
        ("redis://:a@cache?password=b", "'password' stands in the URL twice"),
        ("redis://cache?db=queue", "'db' must be a number"),
        ("redis://cache?decode_responses=true", "'decode_responses' is not an option .*supported are db, username"),
        ("redis://cache?max_connections=1", "'max_connections' is not an option"),
        ("redis://cache?protocol=3", "'protocol' is not an option"),
        ("redis://cache?ssl_ca_certs=/ca.pem", "'ssl_ca_certs' is not an option of a redis:// URL"),
        ("rediss://cache?ssl_cert_reqs=CERT_NONE", "'ssl_cert_reqs' must be required or none"),
        ("rediss://cache?ssl_check_hostname=maybe", "'ssl_check_hostname' must be true or false"),
        ("redis://cache?socket_timeout=soon", "'socket_timeout' must be seconds"),
        ("redis://cache?socket_timeout=0", "'socket_timeout' must be seconds"),
        ("redis://cache?socket_timeout=nan", "'socket_timeout' must be seconds"),
        ("redis://cache?client_name=two%20words", "'client_name' must be a name without spaces"),
        ("unix://run/s", "three slashes"),
        ("unix:///", "names the socket"),
        ("redis://:p#w@cache", "percent-encoded"),
        ("redis://:p?w@cache", "percent-encoded"),
        ("redis+sentinel://one", "names the service"),
        ("redis+sentinel://one/", "names the service"),
        ("redis+sentinel:///m", "lists its hosts"),
        ("redis+sentinel://one,,two/m", "lists its hosts"),
        ("redis+sentinel://one:port/m", "lists its hosts"),
        ("redis+sentinel://one/m/x", "must be a number"),
        ("redis+sentinel://one/m?sslx=1", "'sslx' is not an option"),
        ("redis+sentinel://one/m?ssl=maybe", "'ssl' must be true or false"),
        ("redis+sentinel://one/m?ssl_ca_certs=/ca.pem", "'ssl_ca_certs' has no effect without ssl=true"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_sentence(url: str, problem: str) -> None:
    with pytest.raises(RedisUrlError, match=problem) as caught:
        parse(url)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(["redis://", "rediss://", "unix://", "redis+sentinel://", ""]), st.text())
def test_whatever_the_url_only_one_kind_of_error_comes_out(scheme: str, rest: str) -> None:
    with suppress(RedisUrlError):
        parse(scheme + rest)


@given(st.sampled_from(["redis://", "rediss://", "redis+sentinel://"]), st.text(min_size=1))
def test_no_refusal_repeats_a_password_however_badly_it_is_written(scheme: str, password: str) -> None:
    secret = f"<{password}>"
    with pytest.raises(RedisUrlError) as caught:
        parse(f"{scheme}user:{secret}@cache:port/m/x")
    assert secret not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    for url in ("redis+sentinel://:orchid@one/m?sentinel_password=lantern", "redis://:orchid@cache"):
        shown = repr(parse(url))
        assert "orchid" not in shown
        assert "lantern" not in shown
