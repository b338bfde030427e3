"""What every test may ask for, and what none shall depend on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from outside import Outside


@pytest.fixture
def outside() -> Iterator[Outside]:
    """An issuer and an API for one test; use :meth:`Outside.start` to set more."""
    with Outside.start() as outside:
        yield outside


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["all_proxy", "http_proxy", "https_proxy", "no_proxy"]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
