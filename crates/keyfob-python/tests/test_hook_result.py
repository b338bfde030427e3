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


def in_an_hour() -> dict[str, Any]:
    """The results that a hook may return for a token of an hour."""
    return {
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
        "timestamp as text": {
            "accessToken": "t0ken",
            "expires_on": f"{ahead(3600).timestamp():.0f}",
        },
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
        "response of a vault": {"data": {"token": "t0ken", "ttl": 3600}},
        "irrelevant fields": {
            "access_token": "t0ken",
            "expires_in": 3600,
            "raw": object(),
            (1, 2): 3,
        },
        "jwt with a lifetime": JWT("t0ken", timedelta(hours=1)),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("kind", in_an_hour())
def test_a_hook_may_return_a_lifetime_or_the_dict_of_a_token_endpoint(kind: str) -> None:
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: in_an_hour()[kind])
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
        ("token", "token t0ken"),
    ],
)
def test_the_token_type_of_a_dict_is_the_scheme(kind: str, header: str) -> None:
    answer = {"access_token": "t0ken", "token_type": kind, "expires_in": 60}
    handler = GenericExternallyManagedJWTHandler(get_token=lambda: answer)
    handler.authenticate()
    assert dict(handler.request_headers) == {"authorization": header}


WRONG: list[tuple[Any, str]] = [
    ({}, "an empty dict"),
    ({"value": "s3cret", "s3cret!": 1}, "with the fields `value`"),
    ({"access_token": 42}, "field `access_token` has the wrong type"),
    ({"access_token": b"s3cret"}, "field `access_token` has the wrong type"),
    ({"access_token": "s3cret\n"}, "line end"),
    ({"access_token": "s3cret", "expires_sometime": 60}, "has the field `expires_sometime`"),
    ({"access_token": "s3cret", "expires_in": "soon"}, "expiry in `expires_in` that cannot"),
    ({"access_token": "s3cret", "expires_in": True}, "expiry in `expires_in` that cannot"),
    ({"access_token": "s3cret", "expires_in": [60]}, "expiry in `expires_in` that cannot"),
    ({"access_token": "s3cret", "expires_in": float("nan")}, "nan|Out of range float"),
    ({"access_token": "s3cret", "expires_at": "tomorrow"}, "expiry in `expires_at` that cannot"),
    ({"access_token": "s3cret", "expires_at": datetime(2030, 1, 1)}, "no time zone"),
    ({"access_token": "s3cret", "expires_at": object()}, "expiry in `expires_at` that cannot"),
    ({"access_token": "s3cret", "token_type": 7}, "field `token_type` has the wrong type"),
    ({"access_token": "s3cret", "token_type": "two words"}, "not the name of a scheme"),
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
