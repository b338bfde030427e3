"""Defaults that docstrings, the stub and the README repeat are those of the Rust core."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from keyfob import (
    BearerAuthSession,
    GenericExternallyManagedJWTHandler,
    RetryPolicy,
    Session,
    _core,
    sources,
)

PACKAGE = Path(__file__).parents[1]


def policy_defaults(source: str) -> dict[str, Any]:
    """The defaults in the signature of ``RetryPolicy``."""
    function = ast.parse(f"def f{source}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    names = [each.arg for each in function.args.kwonlyargs]
    values = [ast.literal_eval(each) for each in function.args.kw_defaults if each is not None]
    return dict(zip(names, values, strict=True))


def test_the_timeout_is_that_of_the_core() -> None:
    assert BearerAuthSession("t0ken").timeout == _core.TIMEOUT
    documented = inspect.getdoc(BearerAuthSession.timeout) or ""
    assert f"{_core.TIMEOUT:.0f} unless set" in documented
    assert f"the default is {_core.TIMEOUT:.0f}" in readme()


def test_the_documented_defaults_of_the_session_are_those_of_the_core() -> None:
    documented = inspect.getdoc(Session) or ""
    policy = _core.RETRY_DEFAULTS
    for words in [
        f"in seconds; {_core.TIMEOUT:.0f} unless given. See :attr:`timeout`",
        f"sent again at most; {policy['attempts'] - 1} unless given",
        f"from the call; {policy['total']:.0f} unless given",
        f"call of the hook, in seconds; {_core.FETCH_TIMEOUT:.0f} unless given",
    ]:
        assert words in documented


def test_the_fetch_timeout_is_that_of_the_core() -> None:
    assert GenericExternallyManagedJWTHandler.fetch_timeout == _core.FETCH_TIMEOUT
    assert f"It may take {_core.FETCH_TIMEOUT:.0f} seconds" in readme()


def test_the_command_timeout_is_that_of_the_core() -> None:
    assert f"{_core.COMMAND_TIMEOUT:.0f} unless given" in (inspect.getdoc(sources.command) or "")


def test_the_signature_of_the_retry_policy_has_the_defaults_of_the_core() -> None:
    stub = (PACKAGE / "python/keyfob/_core.pyi").read_text()
    written = re.search(r"class RetryPolicy:.*?__new__\((.*?)\) -> RetryPolicy", stub, re.DOTALL)
    assert written is not None
    in_stub = policy_defaults(f"({written[1].replace('cls,', '')})")
    shown = policy_defaults(str(inspect.signature(RetryPolicy)))
    assert in_stub == shown == _core.RETRY_DEFAULTS


def test_the_documented_statuses_are_those_of_the_core() -> None:
    *most, last = map(str, _core.RETRY_STATUSES)
    assert f"{', '.join(most)} or {last}" in " ".join((RetryPolicy.__doc__ or "").split())
    assert f"{', '.join(most)}, {last}" in readme()


def readme() -> str:
    return " ".join((PACKAGE / "README.md").read_text().split())
