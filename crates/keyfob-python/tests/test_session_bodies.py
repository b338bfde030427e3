"""A body is sent again in full or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outside import Outside, checksum
from signed_in import fixed

BODY = b"all of it, twice" * 1000


def test_r4_a_file_is_sent_again_from_where_it_began(outside: Outside, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"not this" + BODY)
    outside.next(503)
    with path.open("rb") as body:
        body.seek(len(b"not this"))
        answer = fixed(outside).put(outside.api_url, data=body).json()
    assert [each.body_length for each in outside.received()] == [len(BODY)] * 2
    assert answer["checksum"] == checksum(BODY)


def test_r4_files_are_sent_again_in_full(outside: Outside) -> None:
    outside.next(fault="reset")
    fixed(outside).put(outside.api_url, files={"report": io.BytesIO(BODY)})
    first, second = outside.received()
    assert (first.body_length, first.checksum) == (second.body_length, second.checksum)
    assert second.body_length > len(BODY)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_r4_bytes_of_other_types_are_sent_again_in_full(
    outside: Outside, kind: Callable[[bytes], Any]
) -> None:
    outside.next(503)
    answer = fixed(outside).put(outside.api_url, data=kind(BODY))
    assert answer.status_code == 200
    assert {each.checksum for each in outside.received()} == {checksum(BODY)}
    assert outside.counts().requests == 2


def test_r4_a_pipe_is_sent_once(outside: Outside) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"once")
    os.close(writer)
    outside.next(503)
    with open(reader, "rb") as body:  # noqa: PTH123 - a pipe has no path
        answer = fixed(outside).put(outside.api_url, data=body)
    assert answer.status_code == 503
    assert outside.counts().requests == 1


def test_r6_a_file_that_was_closed_meanwhile_leaves_the_answer_in_hand(outside: Outside) -> None:
    body = io.BytesIO(BODY)
    outside.next(503, body={"text": "busy"})
    session = fixed(outside)
    send_once = session._send_once

    def closes(*arguments: Any) -> Any:
        answer = send_once(*arguments)
        body.close()
        return answer

    session._send_once = closes  # type: ignore[method-assign]
    answer = session.put(outside.api_url, data=body)
    assert (answer.status_code, answer.text) == (503, "busy")


def test_r4_a_redirect_that_asks_again_for_a_body_that_is_gone_is_the_callers(
    outside: Outside,
) -> None:
    def body() -> Iterator[bytes]:
        yield b"once"

    outside.next(307, headers={"location": "/there"})
    answer = fixed(outside).put(outside.api_url, data=body())
    assert answer.status_code == 307
    assert outside.counts().requests == 1


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_takes_a_file_with_it(outside: Outside, status: int) -> None:
    outside.next(status, headers={"location": "/there"})
    answer = fixed(outside).put(outside.api_url, data=io.BytesIO(BODY)).json()
    assert (answer["path"], answer["checksum"]) == ("/there", checksum(BODY))
