"""The issuer and the API of the test kit, as a program that runs next to a test.

docs/how-to/testing.md says what the program can do. Everything here is ``urllib``, so that tests may patch ``requests``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest


@dataclass(frozen=True)
class Received:
    """A request that the API received. The body of a 200 from the API is its JSON."""

    method: str
    path: str
    query: str | None
    headers: Mapping[str, list[str]]
    """By lower-case name; a header that was sent twice has two values."""
    body: str | None
    """``None`` if it is not text, or larger than 64 KiB."""
    body_length: int
    checksum: str
    """The result of :func:`checksum` for the body."""
    connection: int

    @property
    def authorization(self) -> str | None:
        """The only ``Authorization``, or ``None`` if there is not exactly one."""
        values = self.headers.get("authorization", [])
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class Counts:
    """The counters of the issuer and the API."""

    token_requests: int
    tokens: int
    """Tokens that were issued."""
    requests: int
    """All requests to the API, whatever their outcome."""
    statuses: Mapping[int, int]
    faults: int
    """Requests that ended without a status."""
    connections: int


@dataclass(frozen=True)
class Servers:
    """An issuer of tokens and an API that checks them.

    The tokens are ``token-1``, ``token-2`` and so on. With a valid token, the API returns 200 and the JSON of a
    :class:`Received` at every path; otherwise it returns 401.
    """

    token_url: str
    api_url: str
    control_url: str

    @classmethod
    @contextmanager
    def start(
        cls,
        *,
        lifetime: int | None = None,
        issuing_takes: float = 0,
        every: Mapping[int, int | str] | None = None,
    ) -> Iterator[Servers]:
        """Starts both. They end with the ``with`` statement, and with this process, even if it is killed.

        Args:
            lifetime: The lifetime of tokens in seconds; an hour unless given.
            issuing_takes: How long the issuer takes for a token, in seconds.
            every: The response to every nth request to the API: a status or a fault.
        """
        command = [_program(), f"--issuing-takes={issuing_takes}"]
        if lifetime is not None:
            command.append(f"--lifetime={lifetime}")
        command += [f"--every={nth}={response}" for nth, response in (every or {}).items()]
        with Popen(command, stdin=PIPE, stdout=PIPE) as program:
            assert program.stdout is not None
            try:
                yield cls(**json.loads(program.stdout.readline()))
                # Closes the standard input of the program, which ends it, and waits.
                program.communicate(timeout=TIMEOUT)
            finally:
                program.kill()

    def token(self) -> str:
        """Fetches a new token, like the hook of a program."""
        form = b"grant_type=client_credentials"
        token: str = _fetch(self.token_url, form)["access_token"]
        return token

    def revoke(self) -> str | None:
        """Revokes the newest token; returns it if it was still valid."""
        revoked: str | None = self._tell("revoke")["revoked"]
        return revoked

    def counts(self) -> Counts:
        """The current counters."""
        counts = self._see("counts")
        statuses = {int(status): count for status, count in counts.pop("statuses").items()}
        return Counts(statuses=statuses, **counts)

    def received(self) -> list[Received]:
        """The newest 256 requests to the API, oldest first, whatever the response."""
        return [Received(**received) for received in self._see("received")]

    def next(self, status: int | None = None, **response: Any) -> None:
        """Scripts the response to the next request to the API, with or without a valid token; later calls queue up.

        Args:
            status: The status of the response.
            response: ``fault`` instead of a status: ``reset``, ``close``, ``garbage`` or ``hang``.
                ``headers``, a mapping. ``body``, one of ``{"text": …}``, ``{"json": …}`` and ``{"zeros": LENGTH}``.
                ``cut_body_after``, in bytes. ``after``, in seconds. ``held``, until :meth:`release`. ``times``.
        """
        self._tell("next", {"status": status, **response})

    def next_token(self, status: int | None = None, **response: Any) -> None:
        """Scripts the response to the next token request, like :meth:`next`; a token if there is no status and no fault."""
        self._tell("next-token", {"status": status, **response})

    def release(self) -> None:
        """Sends the responses that are held."""
        self._tell("release")

    def _see(self, what: str) -> Any:
        return _fetch(f"{self.control_url}/{what}", None)

    def _tell(self, what: str, value: Any = None) -> Any:
        return _fetch(f"{self.control_url}/{what}", json.dumps(value).encode())


def checksum(body: bytes) -> str:
    """Computes the same checksum as :attr:`Received.checksum`."""
    state = 0xCBF29CE484222325
    # The rest is padded with zeros, even if it is empty.
    words = [body[start : start + 8] for start in range(0, len(body) + 1, 8)]
    for word in [*(int.from_bytes(word, "little") for word in words), len(body)]:
        state = ((state ^ word) * 0x100000001B3) & (2**64 - 1)
        state = ((state << 29) | (state >> 35)) & (2**64 - 1)
    return f"{state:016x}"


def _program() -> str:
    program = os.environ.get("KEYFOB_TESTKIT")
    if program is None:
        pytest.fail("KEYFOB_TESTKIT does not name the program; `cargo xtask test python` builds it")
    return program


def _fetch(url: str, body: bytes | None) -> Any:
    with _opener.open(Request(url, body), timeout=TIMEOUT) as response:
        return json.load(response)


# Ignores any proxy of the machine, because the program runs on it.
_opener = build_opener(ProxyHandler({}))

TIMEOUT = 30.0
