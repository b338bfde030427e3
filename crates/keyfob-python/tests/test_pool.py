"""T10: a token for each of many users."""

from __future__ import annotations

import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import keyfob
import pytest
import requests
from keyfob import AuthenticationError, PoolKey, TokenPool
from servers import Servers
from tokens import together


class Users:
    """Returns the hook of each user, which counts its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, key: PoolKey) -> Callable[[], tuple[str, int]]:
        def hook() -> tuple[str, int]:
            self.calls[key.subject] += 1
            if key.subject == "broken":
                raise RuntimeError("no token for this user")
            return f"{key.subject}-{self.calls[key.subject]}", 3600

        return hook


def token_of(pool: TokenPool, key: str) -> str:
    return pool.handler(key).get_valid_token()


def test_t10_each_user_has_a_token_of_their_own_that_is_fetched_once() -> None:
    users = Users()
    pool = TokenPool(users)
    names = ["alice", "bob"] * 8
    tokens = together([partial(token_of, pool, name) for name in names])
    assert tokens == [f"{name}-1" for name in names]
    assert users.calls == {"alice": 1, "bob": 1}
    assert pool.status()["entries"] == 2


def test_t10_a_user_whose_hook_fails_affects_no_other() -> None:
    pool = TokenPool(Users())
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            pool.handler("broken").get_valid_token()
    assert pool.handler("alice").get_valid_token() == "alice-1"
    assert pool.handler("broken").status()["failures"] == 1


def test_t10_at_most_so_many_hooks_run_at_once() -> None:
    running, most = 0, 0
    lock = threading.Lock()
    gate = threading.Event()

    def hook() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.05)
        with lock:
            running -= 1
        return "t0ken"

    pool = TokenPool(lambda _: hook, fetches_at_once=3)
    together([partial(token_of, pool, f"user-{number}") for number in range(20)])
    assert most == 3


def test_a_hook_of_a_pool_sees_no_context_of_a_caller() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="none")
    pool = TokenPool(lambda key: lambda: f"{key.subject}-for-{user.get()}")
    user.set("alice")
    assert pool.handler("alice").get_valid_token() == "alice-for-none"


@pytest.mark.parametrize("subject", ["", " ", "a\nb", "a\x00", "a\x1f"])
def test_an_empty_subject_and_control_characters_are_errors(subject: str) -> None:
    pool = TokenPool(Users())
    with pytest.raises(ValueError, match="pool's key"):
        pool.handler(subject)


@pytest.mark.parametrize(
    "parts", [(None,), (b"alice",), ("alice", "read write"), ("alice", [1]), ("alice", (), 1)]
)
def test_a_key_of_another_type_is_an_error_that_names_the_part(parts: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="of a pool's key must be"):
        TokenPool(Users()).handler(PoolKey(*parts))


def test_the_scopes_of_a_key_may_be_a_set() -> None:
    scopes: Any = {"b", "a"}
    pool = TokenPool(lambda key: lambda: "-".join(key.scopes))
    assert pool.handler(PoolKey("alice", scopes)).get_valid_token() == "a-b"


@pytest.mark.parametrize("limit", ["max_entries", "fetches_at_once", "max_queued"])
def test_a_limit_below_zero_is_an_error_that_names_it(limit: str) -> None:
    with pytest.raises(ValueError, match=f"`{limit}` of the pool is -1"):
        TokenPool(Users(), **{limit: -1})


@pytest.mark.parametrize("made", [None, "t0ken", 1])
def test_a_function_that_returns_no_hook_is_told_so(made: Any) -> None:
    pool = TokenPool(lambda _: made)
    with pytest.raises(AuthenticationError, match=f"not {type(made).__name__}"):
        pool.handler("alice")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_the_function_reaches_the_caller(interrupt: type[BaseException]) -> None:
    def source_of(_: PoolKey) -> NoReturn:
        raise interrupt

    pool = TokenPool(source_of)
    for _ in range(2):
        with pytest.raises(interrupt):
            pool.handler("alice")


def test_keys_with_different_scopes_differ_and_their_order_does_not_matter() -> None:
    pool = TokenPool(lambda key: lambda: "-".join(key.scopes) or "none")
    assert pool.handler(PoolKey("alice", ["b", "a"])).get_valid_token() == "a-b"
    pool.handler(PoolKey("alice", ["a", "b"])).get_valid_token()
    assert pool.handler("alice").get_valid_token() == "none"
    assert pool.status()["created"] == 2


def test_a_removed_user_is_fetched_again() -> None:
    users = Users()
    pool = TokenPool(users)
    pool.handler("alice").get_valid_token()
    assert pool.remove("alice")
    assert not pool.remove("alice")
    assert pool.handler("alice").get_valid_token() == "alice-2"


def test_s1_a_pool_shows_no_user() -> None:
    pool = TokenPool(Users())
    pool.handler("alice").get_valid_token()
    assert "alice" not in repr(pool)
    assert repr(pool) == "<TokenPool: 1 entries>"


def test_a_source_of_keyfob_is_a_source_of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_ALICE", "t0ken")
    pool = TokenPool(lambda key: keyfob.sources.env(f"TOKEN_OF_{key.subject.upper()}"))
    assert pool.handler("alice").get_valid_token() == "t0ken"


def test_r3_a_rejected_token_is_renewed_for_its_user_alone(servers: Servers) -> None:
    pool = TokenPool(lambda _: servers.token)
    assert [token_of(pool, name) for name in ("bob", "alice")] == ["token-1", "token-2"]
    servers.revoke()
    auth = pool.auth("alice", servers.api_url)
    assert requests.get(servers.api_url, auth=auth, timeout=10).status_code == 200
    sent = [one.authorization for one in servers.received()]
    assert sent == ["Bearer token-2", "Bearer token-3"]
    assert pool.handler("bob").jwt == "token-1"
