"""A hook that a test looks into, and times for its tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone


class Hook:
    """Gives ``token-1``, ``token-2`` and so on, unless it is to fail, and waits while it is held."""

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
            assert self._free.wait(PATIENCE)
            if self.failure is not None:
                raise self.failure
            return f"token-{number}", ahead(self.lifetime)
        finally:
            with self._counting:
                self._at_once -= 1

    def hold(self) -> None:
        """Lets calls begin, but not end."""
        self._free.clear()

    def release(self) -> None:
        """Lets the calls end."""
        self._free.set()


def ahead(seconds: float) -> datetime:
    """The time so many seconds from now."""
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what other threads do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


def together(works: Sequence[Callable[[], object]]) -> list[object]:
    """What these give or raise, each begun on a thread of its own and all at once."""
    outcomes: list[object] = [None] * len(works)
    start = threading.Barrier(len(works))

    def work(index: int) -> None:
        start.wait(PATIENCE)
        try:
            outcomes[index] = works[index]()
        except BaseException as raised:
            outcomes[index] = raised

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread still waits"
    return outcomes


PATIENCE = 20.0
"""For what takes no time on a machine that does nothing else."""
