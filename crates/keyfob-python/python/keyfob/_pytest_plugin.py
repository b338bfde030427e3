"""The fixtures that ``pytest`` finds by itself; see :mod:`keyfob.testing`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyfob.testing import Clock, Issuer


@pytest.fixture
def keyfob_clock() -> Iterator[Clock]:
    """The clock of all handlers and sessions, which the test moves."""
    with Clock() as clock:
        yield clock


@pytest.fixture
def keyfob_issuer() -> Iterator[Issuer]:
    """A token endpoint on loopback, whose responses the test scripts; it is a hook too."""
    with Issuer() as issuer:
        yield issuer
