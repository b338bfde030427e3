"""The two dataclasses: a token with its expiry, and the settings of a handler."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from datetime import datetime, timezone
from typing import Any, get_type_hints

import pytest
from keyfob import JWT, ExternallyManagedJWT, GenericExternallyManagedJWTHandler
from keyfob._handler import externally_managed_jwt
from tokens import Hook, ahead, together

EXPIRES = datetime(2030, 1, 1, tzinfo=timezone.utc)


def never() -> Any:
    raise AssertionError("the hook was called")


def test_jwts_are_equal_if_their_fields_are() -> None:
    assert JWT("a", EXPIRES) == JWT(jwt="a", expires=EXPIRES)
    assert JWT("a", EXPIRES) != JWT("b", EXPIRES)
    assert JWT("a", EXPIRES) != JWT("a", EXPIRES.replace(year=2031))


def test_a_jwt_is_mutable_and_therefore_not_hashable() -> None:
    jwt = JWT("a", EXPIRES)
    jwt.jwt = "b"
    assert jwt == JWT("b", EXPIRES)
    with pytest.raises(TypeError, match="unhashable"):
        hash(jwt)


def test_a_jwt_is_a_dataclass_of_two_fields() -> None:
    jwt = JWT("a", EXPIRES)
    assert [field.name for field in dataclasses.fields(jwt)] == ["jwt", "expires"]
    assert dataclasses.asdict(jwt) == {"jwt": "a", "expires": EXPIRES}
    assert dataclasses.replace(jwt, jwt="b") == JWT("b", EXPIRES)


def test_a_jwt_can_be_copied_and_pickled() -> None:
    jwt = JWT("a", EXPIRES)
    assert copy.deepcopy(jwt) == jwt
    assert pickle.loads(pickle.dumps(jwt)) == jwt


def test_the_type_hints_of_both_classes_resolve() -> None:
    assert get_type_hints(JWT) == {"jwt": str, "expires": datetime}
    assert get_type_hints(ExternallyManagedJWT)["jwt"] == str | None


def test_the_settings_are_recognized_by_an_attribute_and_in_a_union() -> None:
    managed = ExternallyManagedJWT(get_token=never)
    assert hasattr(managed, "jwt")
    assert isinstance(managed, str | ExternallyManagedJWT)
    assert managed
    assert (managed.jwt, managed.expires, managed.get_token) == (None, None, never)


def test_the_settings_are_keyword_arguments_only() -> None:
    anything: Any = ExternallyManagedJWT
    with pytest.raises(TypeError, match="positional"):
        anything("a", EXPIRES, never)
    with pytest.raises(TypeError, match="get_token"):
        anything(jwt="a", expires=EXPIRES)


def test_the_settings_are_equal_if_their_fields_are() -> None:
    managed = ExternallyManagedJWT(jwt="a", expires=EXPIRES, get_token=never)
    assert managed == ExternallyManagedJWT(jwt="a", expires=EXPIRES, get_token=never)
    managed.handler()
    assert managed == ExternallyManagedJWT(jwt="a", expires=EXPIRES, get_token=never)
    assert managed != ExternallyManagedJWT(get_token=never)


def test_the_settings_have_three_fields_even_with_a_handler() -> None:
    managed = ExternallyManagedJWT(jwt="a", expires=EXPIRES, get_token=never)
    for _ in range(2):
        assert [field.name for field in dataclasses.fields(managed)] == [
            "jwt",
            "expires",
            "get_token",
        ]
        assert dataclasses.asdict(managed) == {"jwt": "a", "expires": EXPIRES, "get_token": never}
        managed.handler()


def test_t1_threads_that_ask_for_the_handler_at_once_get_the_same_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = threading.Barrier(8)

    class Slow(GenericExternallyManagedJWTHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            # At this point all threads have found that there is no handler yet.
            made.wait(20)

    monkeypatch.setattr(externally_managed_jwt, "GenericExternallyManagedJWTHandler", Slow)
    managed = ExternallyManagedJWT(get_token=never)
    assert len(set(map(id, together([managed.handler] * 8)))) == 1


def test_replaced_settings_have_a_handler_of_their_own() -> None:
    managed = ExternallyManagedJWT(jwt="a", expires=ahead(3600), get_token=never)
    assert managed.handler().get_valid_token() == "a"
    other = dataclasses.replace(managed, jwt="b")
    assert other.handler().get_valid_token() == "b"
    assert managed.handler().get_valid_token() == "a"


def test_t1_the_settings_always_return_the_same_handler() -> None:
    hook = Hook()
    managed = ExternallyManagedJWT(get_token=hook)
    assert isinstance(managed.handler(), GenericExternallyManagedJWTHandler)
    tokens = {managed.handler().get_valid_token() for _ in range(3)}
    assert (tokens, hook.calls) == ({"token-1"}, 1)


def test_the_settings_can_be_unpacked_into_a_handler() -> None:
    managed = ExternallyManagedJWT(jwt="a", expires=ahead(3600), get_token=never)
    handler = GenericExternallyManagedJWTHandler(
        jwt=managed.jwt, expires=managed.expires, get_token=managed.get_token
    )
    assert handler.get_valid_token() == "a"
