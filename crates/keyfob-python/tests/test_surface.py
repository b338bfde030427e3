"""The names of the API reference and their signatures."""

from __future__ import annotations

import importlib
import inspect
from inspect import Parameter
from typing import Any, get_type_hints

import keyfob
import pytest
import requests
from keyfob import authentication
from tokens import Hook

NAMES = [
    "JWT",
    "AuthenticationError",
    "BearerAuthSession",
    "ExternallyManagedJWT",
    "ExternallyManagedJWTSession",
    "GenericExternallyManagedJWTHandler",
]
POSITIONAL = Parameter.POSITIONAL_OR_KEYWORD
KEYWORD = Parameter.KEYWORD_ONLY
REST = Parameter.VAR_KEYWORD
REQUIRED = Parameter.empty


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    signature = inspect.signature(function)
    return [(name, one.kind, one.default) for name, one in signature.parameters.items()]


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_in_both_places_and_is_the_same(name: str) -> None:
    assert getattr(keyfob, name) is getattr(authentication, name)
    assert name in keyfob.__all__
    assert name in authentication.__all__


@pytest.mark.parametrize("module", ["keyfob", "keyfob.authentication", "keyfob.sources"])
def test_each_name_in_all_exists_and_is_documented(module: str) -> None:
    imported = importlib.import_module(module)
    for name in imported.__all__:
        assert inspect.getdoc(getattr(imported, name)), name


def test_a_bearer_session_takes_the_token() -> None:
    assert parameters(keyfob.BearerAuthSession) == [("bearer_token", POSITIONAL, REQUIRED)]


def test_a_jwt_takes_the_text_and_its_expiry() -> None:
    assert parameters(keyfob.JWT) == [
        ("jwt", POSITIONAL, REQUIRED),
        ("expires", POSITIONAL, REQUIRED),
    ]


def test_the_settings_of_a_handler_are_passed_by_name() -> None:
    assert parameters(keyfob.ExternallyManagedJWT) == [
        ("jwt", KEYWORD, None),
        ("expires", KEYWORD, None),
        ("get_token", KEYWORD, REQUIRED),
    ]


def test_a_handler_takes_three_arguments_and_keyword_arguments() -> None:
    assert parameters(keyfob.GenericExternallyManagedJWTHandler) == [
        ("jwt", POSITIONAL, None),
        ("expires", POSITIONAL, None),
        ("get_token", POSITIONAL, None),
        ("fetch_timeout", KEYWORD, None),
        ("default_lifetime", KEYWORD, None),
        ("header", KEYWORD, None),
        ("scheme", KEYWORD, None),
        ("rejected_statuses", KEYWORD, None),
        ("kwargs", REST, REQUIRED),
    ]


def test_a_jwt_session_takes_a_handler() -> None:
    assert parameters(keyfob.ExternallyManagedJWTSession) == [
        ("authentication_handler", POSITIONAL, REQUIRED)
    ]


@pytest.mark.parametrize("name", ["BearerAuthSession", "ExternallyManagedJWTSession"])
def test_a_session_is_a_requests_session_and_takes_its_arguments(name: str) -> None:
    session = getattr(keyfob, name)
    assert issubclass(session, requests.Session)
    taken = parameters(session.request)
    # The reference names these, and takes the others by name.
    assert taken[:6] == [
        ("self", POSITIONAL, REQUIRED),
        ("method", POSITIONAL, REQUIRED),
        ("url", POSITIONAL, REQUIRED),
        ("params", POSITIONAL, None),
        ("data", POSITIONAL, None),
        ("headers", POSITIONAL, None),
    ]
    assert taken[:17] == parameters(requests.Session.request)
    assert taken[17:] == [("do_not_retry_codes", KEYWORD, None), ("idempotent", KEYWORD, False)]


@pytest.mark.parametrize(
    "name", ["ExternallyManagedJWTSession", "GenericExternallyManagedJWTHandler"]
)
def test_properties_cannot_be_assigned(name: str) -> None:
    kind = getattr(keyfob, name)
    for attribute in ["authenticated", "request_headers"]:
        described = inspect.getattr_static(kind, attribute)
        assert isinstance(described, property)
        assert described.fset is None


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("ExternallyManagedJWTSession", "authenticate"),
        ("GenericExternallyManagedJWTHandler", "authenticate"),
        ("GenericExternallyManagedJWTHandler", "get_valid_token"),
    ],
)
def test_methods_need_no_argument(name: str, method: str) -> None:
    beyond_self = parameters(getattr(getattr(keyfob, name), method))[1:]
    assert beyond_self == [("force", POSITIONAL, False)]


def test_methods_return_what_the_reference_says() -> None:
    handler = keyfob.GenericExternallyManagedJWTHandler(None, None, Hook())
    assert handler.authenticated is False
    assert handler.authenticate() is None
    assert handler.authenticated is True
    assert type(handler.request_headers) is dict
    assert isinstance(handler.get_valid_token(), str)


def test_an_authentication_error_is_a_value_error() -> None:
    assert issubclass(keyfob.AuthenticationError, ValueError)
    with pytest.raises(ValueError, match="to say more"):
        raise keyfob.AuthenticationError("to say more")


def test_an_authentication_error_has_the_text_it_was_given() -> None:
    plain = keyfob.AuthenticationError("it failed")
    assert (plain.kind, plain.permanent, plain.retry_after) == ("unavailable", False, None)
    final = keyfob.AuthenticationError("locked", permanent=True)
    assert (final.kind, final.permanent) == ("refused", True)
    later = keyfob.AuthenticationError("busy", retry_after=7)
    assert later.retry_after == 7


def test_an_origin_error_is_an_invalid_url_of_requests() -> None:
    assert issubclass(keyfob.OriginError, requests.exceptions.InvalidURL)


@pytest.mark.parametrize("name", ["JWT", "ExternallyManagedJWT"])
def test_the_type_hints_of_the_dataclasses_resolve_at_run_time(name: str) -> None:
    # Libraries that read configuration into dataclasses do this.
    hints = get_type_hints(getattr(keyfob, name))
    assert {"jwt", "expires"} <= hints.keys()
