"""Fixtures of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from keyfob import _pytest_plugin
from servers import Servers


def pytest_configure(config: pytest.Config) -> None:
    # An installed package registers its fixtures by itself.
    if not config.pluginmanager.has_plugin("keyfob"):
        config.pluginmanager.register(_pytest_plugin, "keyfob")


@pytest.fixture
def servers() -> Iterator[Servers]:
    """An issuer and an API for one test; :meth:`Servers.start` has more settings."""
    with Servers.start() as servers:
        yield servers


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides proxies and netrc of the machine from all tests."""
    for name in ["all_proxy", "http_proxy", "https_proxy", "no_proxy"]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
