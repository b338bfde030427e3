"""A hook that a test controls, and helpers for times and threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone


class Hook:
    """Returns ``token-1``, ``token-2`` and so on, or fails; waits while it is held."""

    def __init__(self, lifetime: float = 3600) -> None:
        self.lifetime = lifetime
        self.failure: BaseException | None = None
        self.calls = 0
        self.most_at_once = 0
        self._at_once = 0
        self._counting = threading.Lock()
        self._free = threading.Event()
        self._free.set()

    def __call__(self) -> tuple[str, datetime]:
        with self._counting:
            self.calls += 1
            number = self.calls
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            assert self._free.wait(TIMEOUT)
            if self.failure is not None:
                raise self.failure
            return f"token-{number}", ahead(self.lifetime)
        finally:
            with self._counting:
                self._at_once -= 1

    def hold(self) -> None:
        """Makes calls wait before they return."""
        self._free.clear()

    def release(self) -> None:
        """Lets the waiting calls return."""
        self._free.set()


def ahead(seconds: float) -> datetime:
    """The time this many seconds from now."""
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until other threads have made the condition true."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.002)


def together(works: Sequence[Callable[[], object]]) -> list[object]:
    """Calls these at once, each on a thread of its own; returns their results and exceptions."""
    outcomes: list[object] = [None] * len(works)
    start = threading.Barrier(len(works))

    def work(index: int) -> None:
        start.wait(TIMEOUT)
        try:
            outcomes[index] = works[index]()
        except BaseException as raised:
            outcomes[index] = raised

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive(), "a thread is still running"
    return outcomes


TIMEOUT = 45.0
"""The limit of steps that take no time on an idle machine, in seconds."""
