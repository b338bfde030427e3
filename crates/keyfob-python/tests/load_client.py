"""The client of the load test in Python: many threads, one session, tokens of a second, an API that fails in every way.

``cargo xtask soak requests`` starts the servers, runs this with their addresses, and judges the report. The numbers of the
requests decide which of them fail, by the rules of ``crates/keyfob/tests/soak/load_server.rs``.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import requests.adapters
from keyfob import ExternallyManagedJWTSession, GenericExternallyManagedJWTHandler

BODY = 1024
"""The size of a whole response body, in bytes."""


class Load:
    """What all threads share."""

    def __init__(self, token_url: str, api_url: str, requests_in_all: int) -> None:
        self._token_url = token_url
        self._api_url = api_url
        self._all = requests_in_all
        self._numbers = itertools.count(1)
        self._counting = threading.Lock()
        self._local = threading.local()
        self.session = ExternallyManagedJWTSession(
            GenericExternallyManagedJWTHandler(jwt=None, expires=None, get_token=self.fetch)
        )
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=64)
        self.session.mount("http://", adapter)
        self.done = 0
        self.failed = 0
        self.reasons: list[str] = []
        self.wrongly_ok = 0
        self.memory = [0, 0]

    def fetch(self) -> tuple[str, datetime]:
        """Fetches a token, as the hook of a program does."""
        asked = datetime.now(timezone.utc)
        form = {"grant_type": "client_credentials"}
        response = requests.post(self._token_url, data=form, timeout=10).json()
        return response["access_token"], asked + timedelta(seconds=response["expires_in"])

    def work(self) -> None:
        """Sends requests until all are sent."""
        while (number := next(self._numbers)) <= self._all:
            failure = self.send(number)
            with self._counting:
                self.count(number, failure)

    def send(self, number: int) -> str | None:
        """Sends one request. Returns why it failed, or ``None``."""
        url = f"{self._api_url}/{number}"
        try:
            if number % 10 == 0:
                response = self.session.post(url, data=b"some content")
            else:
                response = self.session.get(url)
        except requests.RequestException as error:
            return repr(error)
        if response.status_code != 200 or len(response.content) != BODY:
            return f"{response.status_code}, {len(response.content)} bytes"
        return None

    def count(self, number: int, failure: str | None) -> None:
        """Compares the outcome with what the rules allow."""
        self.done += 1
        if self.done == self._all // 10:
            self.memory[0] = resident_memory()
        if fails(number) and failure is None:
            self.wrongly_ok += 1
        elif failure is not None and not fails(number):
            self.failed += 1
            self.reasons.append(f"{number}: {failure}")

    def report(self) -> dict[str, Any]:
        """The report that the load test reads."""
        self.memory[1] = resident_memory()
        return {
            "requests": self.done,
            "failed": self.failed,
            "reasons": self.reasons[:5],
            "wrongly_ok": self.wrongly_ok,
            "memory": self.memory,
        }


def fails(number: int) -> bool:
    """Whether a request fails, because the rules forbid to send it again (R4, R6)."""
    if number % 997 == 0 or number % 97 == 0:
        return False
    if number % 89 == 0:
        return number % 10 == 0
    return number % 83 == 0


def resident_memory() -> int:
    """The memory of this process in KiB."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def main() -> None:
    """Sends all requests and prints the report."""
    token_url, api_url, requests_in_all, threads = sys.argv[1:]
    load = Load(token_url, api_url, int(requests_in_all))
    workers = [threading.Thread(target=load.work) for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    json.dump(load.report(), sys.stdout)


if __name__ == "__main__":
    main()
