"""What putting a token on a request takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from keyfob._core import Lease, TokenCache
from keyfob._hook import Hook


class Holder(Protocol):
    """A handler, as far as an auth object knows it."""

    _tokens: TokenCache
    _hook: Hook | None

    def _fields(self, lease: Lease) -> Mapping[str, str]:
        """The fields that carry a token."""
        ...
