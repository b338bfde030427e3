"""The examples in docstrings run, against the test kit's API."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import keyfob
import pytest
import requests
from profile_files import client_credentials, token_exchange, written
from servers import Servers


def module_names() -> list[str]:
    modules = pkgutil.walk_packages(keyfob.__path__, "keyfob.")
    return ["keyfob", *(module.name for module in modules)]


@pytest.mark.parametrize("name", module_names())
def test_the_examples_of_a_module_run(name: str, servers: Servers, tmp_path: Path) -> None:
    examples = doctest.testmod(
        importlib.import_module(name),
        extraglobs=what_examples_know(servers, tmp_path),
        optionflags=doctest.ELLIPSIS,
    )
    assert examples.failed == 0


@pytest.mark.parametrize("name", sorted(set(keyfob.__all__) - {"sources", "__version__"}))
def test_each_public_class_has_an_example(name: str) -> None:
    assert ">>>" in (getattr(keyfob, name).__doc__ or "")


def what_examples_know(servers: Servers, folder: Path) -> dict[str, Any]:
    def ask_the_vault() -> tuple[str, datetime]:
        return servers.token(), datetime.now(timezone.utc) + timedelta(minutes=5)

    handler = keyfob.GenericExternallyManagedJWTHandler(None, None, ask_the_vault)
    handler.authenticate()
    known = {
        "api": servers.api_url,
        "config": written(folder, client_credentials(servers, folder) + token_exchange(servers)),
        "keyfob": keyfob,
        "private_key": PRIVATE_KEY,
        "ask_the_vault": ask_the_vault,
        "get_a_token": servers.token,
        "handler": handler,
        "pool": keyfob.TokenPool(lambda _: ask_the_vault),
        "session": keyfob.ExternallyManagedJWTSession(handler),
        "datetime": datetime,
        "timedelta": timedelta,
        "timezone": timezone,
        "httpx": httpx,
        "requests": requests,
    }
    return {each: getattr(keyfob, each) for each in keyfob.__all__} | known


PRIVATE_KEY = """{"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"""
"""The example of RFC 8037, appendix A.1."""
