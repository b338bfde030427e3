"""The issuer and the API of the test kit, run as a program beside a test.

docs/testing.md says what the program can do. Everything here is ``urllib``, so that tests may patch ``requests``.
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
    """A request as it reached the API; what the API answers with 200 is its JSON."""

    method: str
    path: str
    query: str | None
    headers: Mapping[str, list[str]]
    """By lower-case name; a field that came twice has two values."""
    body: str | None
    """``None`` if it is not text, or larger than 64 KiB."""
    body_length: int
    checksum: str
    """As :func:`checksum` has it."""
    connection: int

    @property
    def authorization(self) -> str | None:
        """The only ``Authorization``, or ``None`` if there is not exactly one."""
        values = self.headers.get("authorization", [])
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True)
class Counts:
    """What issuer and API have counted."""

    token_requests: int
    tokens: int
    """Issued; a refused request gets none."""
    requests: int
    """To the API, whatever became of them."""
    statuses: Mapping[int, int]
    faults: int
    """Requests that ended without a status."""
    connections: int


@dataclass(frozen=True)
class Outside:
    """An issuer of tokens and an API that checks them.

    The tokens are ``token-1``, ``token-2`` and so on. Whoever has a valid one gets 200 from the API at every path, with the
    JSON of a :class:`Received`; others get 401.
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
    ) -> Iterator[Outside]:
        """Starts both; they end with the ``with`` statement, and with this process, however it ends.

        Args:
            lifetime: How many seconds tokens live; an hour if it is not said.
            issuing_takes: How many seconds the issuer takes for a token.
            every: Which answer every nth request to the API gets: a status or a fault.
        """
        command = [_program(), f"--issuing-takes={issuing_takes}"]
        if lifetime is not None:
            command.append(f"--lifetime={lifetime}")
        command += [f"--every={nth}={answer}" for nth, answer in (every or {}).items()]
        with Popen(command, stdin=PIPE, stdout=PIPE) as program:
            assert program.stdout is not None
            try:
                yield cls(**json.loads(program.stdout.readline()))
                # Closes its standard input, which ends it, and waits.
                program.communicate(timeout=PATIENCE)
            finally:
                program.kill()

    def token(self) -> str:
        """A new token, as a program's hook would get it."""
        form = b"grant_type=client_credentials"
        token: str = _fetch(self.token_url, form)["access_token"]
        return token

    def revoke(self) -> str | None:
        """Revokes the newest token; says which, if it was still good."""
        revoked: str | None = self._tell("revoke")["revoked"]
        return revoked

    def counts(self) -> Counts:
        """What was counted so far."""
        counts = self._see("counts")
        statuses = {int(status): count for status, count in counts.pop("statuses").items()}
        return Counts(statuses=statuses, **counts)

    def received(self) -> list[Received]:
        """The newest 256 requests to the API, oldest first, whatever was answered."""
        return [Received(**received) for received in self._see("received")]

    def next(self, status: int | None = None, **answer: Any) -> None:
        """Answers the next request to the API so, token or not, after those that are answered already.

        Args:
            status: The status of the answer.
            answer: ``fault`` instead of a status: ``reset``, ``close``, ``garbage`` or ``hang``.
                ``headers``, a mapping. ``body``, one of ``{"text": …}``, ``{"json": …}`` and ``{"zeros": LENGTH}``.
                ``cut_body_after``, in bytes. ``after``, in seconds. ``held``, until :meth:`release`. ``times``.
        """
        self._tell("next", {"status": status, **answer})

    def next_token(self, status: int | None = None, **answer: Any) -> None:
        """Answers the next request to the issuer so, as :meth:`next`; with a token, if there is no status and no fault."""
        self._tell("next-token", {"status": status, **answer})

    def release(self) -> None:
        """Lets go the answers that are held."""
        self._tell("release")

    def _see(self, what: str) -> Any:
        return _fetch(f"{self.control_url}/{what}", None)

    def _tell(self, what: str, value: Any = None) -> Any:
        return _fetch(f"{self.control_url}/{what}", json.dumps(value).encode())


def checksum(body: bytes) -> str:
    """The checksum that :attr:`Received.checksum` has for this body."""
    state = 0xCBF29CE484222325
    # What is left over is padded with zeros, and there may be nothing left over.
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
    with _opener.open(Request(url, body), timeout=PATIENCE) as answer:
        return json.load(answer)


# Whatever proxy the machine uses, this goes to the machine itself.
_opener = build_opener(ProxyHandler({}))

PATIENCE = 10.0
