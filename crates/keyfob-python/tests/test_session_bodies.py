"""A body is sent again in full, or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Servers, checksum
from sessions import fixed

BODY = b"all of it, twice" * 1000


def test_r4_a_file_is_sent_again_from_its_start_position(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"skipped!" + BODY)
    servers.next(503)
    with path.open("rb") as body:
        body.seek(len(b"skipped!"))
        response = fixed(servers).put(servers.api_url, data=body).json()
    assert [each.body_length for each in servers.received()] == [len(BODY)] * 2
    assert response["checksum"] == checksum(BODY)


def test_r4_files_are_sent_again_in_full(servers: Servers) -> None:
    servers.next(fault="reset")
    fixed(servers).put(servers.api_url, files={"report": io.BytesIO(BODY)})
    first, second = servers.received()
    assert (first.body_length, first.checksum) == (second.body_length, second.checksum)
    assert second.body_length > len(BODY)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_r4_bytes_of_other_types_are_sent_again_in_full(
    servers: Servers, kind: Callable[[bytes], Any]
) -> None:
    servers.next(503)
    response = fixed(servers).put(servers.api_url, data=kind(BODY))
    assert response.status_code == 200
    assert {each.checksum for each in servers.received()} == {checksum(BODY)}
    assert servers.counts().requests == 2


def test_r4_a_pipe_is_sent_once(servers: Servers) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"once")
    os.close(writer)
    servers.next(503)
    with open(reader, "rb") as body:  # noqa: PTH123 - a pipe has no path
        response = fixed(servers).put(servers.api_url, data=body)
    assert response.status_code == 503
    assert servers.counts().requests == 1


def test_r6_a_file_closed_in_the_meantime_returns_the_last_response(servers: Servers) -> None:
    body = io.BytesIO(BODY)
    servers.next(503, body={"text": "busy"})
    session = fixed(servers)
    send = session.send

    def closes(*arguments: Any, **more: Any) -> Any:
        response = send(*arguments, **more)
        body.close()
        return response

    session.send = closes  # type: ignore[method-assign]
    response = session.put(servers.api_url, data=body)
    assert (response.status_code, response.text) == (503, "busy")


def test_r4_a_redirect_that_needs_a_consumed_body_is_returned(
    servers: Servers,
) -> None:
    def body() -> Iterator[bytes]:
        yield b"once"

    servers.next(307, headers={"location": "/there"})
    response = fixed(servers).put(servers.api_url, data=body())
    assert response.status_code == 307
    assert servers.counts().requests == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_sends_a_file_again(servers: Servers, status: int) -> None:
    servers.next(status, headers={"location": "/there"})
    response = fixed(servers).put(servers.api_url, data=io.BytesIO(BODY)).json()
    assert (response["path"], response["checksum"]) == ("/there", checksum(BODY))


@pytest.mark.parametrize("code", [307, 308])
def test_r6_a_redirect_of_a_pipe_is_returned(servers: Servers, code: int) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"once")
    os.close(writing)
    seen: list[int] = []
    servers.next(code, headers={"location": "/there"}, body={"text": "moved"})
    with os.fdopen(reading, "rb") as pipe:
        response = fixed(servers).put(
            servers.api_url,
            data=pipe,
            hooks={"response": lambda response, **_: seen.append(response.status_code)},
        )
    assert (response.status_code, response.text, seen) == (code, "moved", [code])
    assert [each.body for each in servers.received()] == ["once"]
