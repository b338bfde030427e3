"""Keeps token caches usable when the process forks, and when it exits."""

from __future__ import annotations

import atexit
import os
from typing import TypeVar
from weakref import WeakSet

from keyfob import _core, _event_loop

_Cache = TypeVar("_Cache", _core.TokenCache, _core.TokenPool)
_caches: WeakSet[_core.TokenCache | _core.TokenPool] = WeakSet()


def watch(cache: _Cache) -> _Cache:
    """Has the cache renewed in a forked child, where a lock or a renewal of the parent would never end."""
    _caches.add(cache)
    return cache


def _after_fork_in_child() -> None:
    _core.after_fork_in_child()
    _event_loop.after_fork_in_child()
    for cache in _caches:
        cache.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_core.before_fork,
        after_in_parent=_core.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_core.before_exit)
