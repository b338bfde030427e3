"""What a hook may return, and what it may not."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest
from keyfob import JWT, AuthenticationError, GenericExternallyManagedJWTHandler
from tokens import ahead


class AccessToken(NamedTuple):
    """The result of ``azure.identity``: its second field is a POSIX timestamp."""

    token: str
    expires_on: int


class Plain(NamedTuple):
    """A pair whose names say nothing."""

    text: str
    until: datetime


IN_AN_HOUR: dict[str, Any] = {
    "seconds": ("t0ken", 3600),
    "seconds as a float": ("t0ken", 3600.0),
    "timedelta": ("t0ken", timedelta(hours=1)),
    "list with seconds": ["t0ken", 3600],
    "named tuple with a timestamp": AccessToken("t0ken", int(ahead(3600).timestamp())),
    "named tuple with other fields": Plain("t0ken", ahead(3600)),
    "token response": {"access_token": "t0ken", "token_type": "bearer", "expires_in": 3600},
    "seconds as text": {"access_token": "t0ken", "expires_in": "3600"},
    "seconds and a timedelta": {"access_token": "t0ken", "expires_in": timedelta(hours=1)},
    "timestamp": {"access_token": "t0ken", "expires_at": ahead(3600).timestamp()},
    "timestamp as text": {"accessToken": "t0ken", "expires_on": f"{ahead(3600).timestamp():.0f}"},
    "a kept response": {
        "access_token": "t0ken",
        "expires_in": 9,
        "expires_at": ahead(3600).timestamp(),
    },
    "datetime": {"token": "t0ken", "expiry": ahead(3600)},
    "text": {"token": "t0ken", "expires_at": ahead(3600).isoformat()},
    "text with Z": {"token": "t0ken", "expires_at": f"{ahead(3600):%Y-%m-%dT%H:%M:%SZ}"},
    "other expiries": {
        "access_token": "t0ken",
        "expires_in": 3600,
        "ext_expires_in": 7200,
        "refresh_token_expires_in": 9,
        "refresh_expires_in": 9,
        "id_token_expires_in": 9,
        "expires_at": None,
    },
    "mapping": OrderedDict(jwt="t0ken", expires_in=3600),
    "jwt with a lifetime": JWT("t0ken", timedelta(hours=1)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", IN_AN_HOUR)
def test_a_hook_may_return_a_lifetime_or_the_dict_of_a_token_endpoint(kind: str) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: IN_AN_HOUR[kind])
    token, expires = handler.get_valid_token_with_expiry()
    assert token == "t0ken"
    assert expires is not None
    assert abs(expires - ahead(3600)) < timedelta(seconds=120)


def test_a_hook_may_return_the_token_alone() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: "t0ken")
    assert handler.get_valid_token_with_expiry() == ("t0ken", None)
    without = GenericExternallyManagedJWTHandler(get_token=lambda: {"access_token": "t0ken"})
    assert without.get_valid_token_with_expiry() == ("t0ken", None)


def test_t4_a_lifetime_counts_from_the_call_of_the_hook() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: ("t0ken", 100))
    handler.authenticate()
    left = handler.status()["next_renewal_in"]
    # Due when a quarter to a third of a known lifetime is left.
    assert left is not None
    assert 60 < left < 76


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("Bearer", "Bearer t0ken"),
        ("bearer", "Bearer t0ken"),
        ("BearerToken", "Bearer t0ken"),
        ("token", "token t0ken"),
    ],
)
def test_the_token_type_of_a_dict_is_the_scheme(kind: str, header: str) -> None:
    answer = {"access_token": "t0ken", "token_type": kind, "expires_in": 60}
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: answer)
    handler.authenticate()
    assert dict(handler.request_headers) == {"authorization": header}


WRONG: list[tuple[Any, str]] = [
    ({}, "a dict without a token: it has none of `access_token`"),
    ({"value": "s3cret", "s3cret!": 1}, "but `value`"),
    ({"access_token": 42}, "`access_token` of get_token's dict must be a str, not int"),
    ({"access_token": b"s3cret"}, "`access_token` of get_token's dict must be a str, not bytes"),
    (
        {"access_token": "s3cret", "expires_sometime": 60},
        "may be in `expires_sometime`.*one of `expires_at`",
    ),
    ({"access_token": "s3cret", "expireTime": "x"}, "may be in `expireTime`"),
    ({"access_token": "s3cret", "ttl": 60}, "may be in `ttl`"),
    (
        {"access_token": "s3cret", "expires_in": "soon"},
        "`expires_in` .* is not a number of seconds",
    ),
    ({"access_token": "s3cret", "expires_in": True}, "`expires_in` .* wrong type: bool"),
    ({"access_token": "s3cret", "expires_in": [60]}, "`expires_in` .* wrong type: list"),
    (
        {"access_token": "s3cret", "expires_in": float("nan")},
        "`expires_in` must be a finite number",
    ),
    (
        {"access_token": "s3cret", "expires_at": "tomorrow"},
        "`expires_at` .* neither a POSIX timestamp nor",
    ),
    ({"access_token": "s3cret", "expires_at": "2030-01-01T00:00:00"}, "`expires_at` .* time zone"),
    ({"access_token": "s3cret", "expires_at": datetime(2030, 1, 1)}, "no time zone"),
    ({"access_token": "s3cret", "expires_at": 3600}, "`expires_at` .* name the field `expires_in`"),
    ({"access_token": "s3cret", "expires_at": 1.9e12}, "`expires_at` .* milliseconds"),
    ({"access_token": "s3cret", "expires_at": {}}, "`expires_at` .* wrong type: dict"),
    ({"access_token": "s3cret", "token_type": 7}, "`token_type` .* must be a str, not int"),
    ({"access_token": "s3cret", "token_type": "two words"}, "scheme has a character"),
    (("s3cret", ahead(3600).timestamp()), r"looks like a point in time.*fromtimestamp"),
    (("s3cret", float("inf")), "must be a finite number"),
    (("s3cret", True), "expires must be .* not bool"),
    (b"s3cret", "must return a token: .* not bytes"),
    ({"s3cret"}, "must return a token: .* not set"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[f"{text:.40}" for _, text in WRONG])
def test_s1_t5_a_result_that_cannot_be_read_is_an_error_without_a_value(
    wrong: Any, message: str
) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: wrong)
    with pytest.raises(AuthenticationError, match=message) as raised:
        handler.get_valid_token()
    assert "s3cr" not in str(raised.value)


def test_t2_an_error_response_is_a_failure_with_its_code() -> None:
    calls = []

    def refused() -> Any:
        calls.append(1)
        return json.loads('{"error": "invalid_grant", "error_description": "s3cret"}')

    handler = GenericExternallyManagedJWTHandler(get_token=refused)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="token endpoint: `invalid_grant`") as raised:
            handler.authenticate()
        assert raised.value.permanent
        assert "s3cr" not in str(raised.value)
    assert len(calls) == 1


def test_a_lifetime_that_is_over_is_that_of_an_expired_token() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: ("t0ken", timedelta(seconds=-1)))
    with pytest.raises(AuthenticationError, match="expired"):
        handler.authenticate()


def test_the_hook_is_passed_by_name() -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: "t0ken")
    assert handler.get_valid_token() == "t0ken"
    with pytest.raises(TypeError, match="get_token=hook"):
        GenericExternallyManagedJWTHandler(lambda: "t0ken")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="get_token is missing"):
        GenericExternallyManagedJWTHandler()
    first = GenericExternallyManagedJWTHandler(
        jwt="first",
        expires=datetime.now(timezone.utc) + timedelta(hours=1),
        get_token=lambda: "t0ken",
    )
    assert first.get_valid_token() == "first"
