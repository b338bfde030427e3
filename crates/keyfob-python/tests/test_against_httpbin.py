"""The sessions against a server that knows nothing of them, with TLS and without."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from signed_in import with_token

TOKEN = "s3cret"


def test_the_token_arrives(httpbin: Any) -> None:
    answer = with_token(TOKEN).get(f"{httpbin.url}/bearer").json()
    assert answer == {"authenticated": True, "token": TOKEN}


@pytest.mark.usefixtures("httpbin_ca_bundle")
def test_it_arrives_over_tls_that_is_verified(httpbin_secure: Any) -> None:
    answer = with_token(TOKEN).get(f"{httpbin_secure.url}/bearer")
    assert answer.json()["token"] == TOKEN


def test_r4_a_certificate_that_is_not_trusted_is_not_tried_again(httpbin_secure: Any) -> None:
    class Counting(HTTPAdapter):
        sent = 0

        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            Counting.sent += 1
            return super().send(request, **kwargs)

    session = with_token(TOKEN)
    session.mount("https://", Counting())
    with pytest.raises(requests.exceptions.SSLError):
        session.get(httpbin_secure.url)
    assert Counting.sent == 1


def test_it_may_be_left_unverified_as_with_a_plain_session(httpbin_secure: Any) -> None:
    with pytest.warns(match="Unverified HTTPS request"):
        answer = with_token(TOKEN).get(f"{httpbin_secure.url}/bearer", verify=False)
    assert answer.json()["token"] == TOKEN


def test_bodies_of_all_kinds_arrive(httpbin: Any) -> None:
    session, url = with_token(TOKEN), f"{httpbin.url}/post"
    assert session.post(url, json={"a": 1}).json()["json"] == {"a": 1}
    assert session.post(url, data={"a": "1"}).json()["form"] == {"a": "1"}
    assert session.post(url, files={"f": io.BytesIO(b"content")}).json()["files"] == {
        "f": "content"
    }
    assert session.post(url, params={"q": "1"}).json()["args"] == {"q": "1"}


def test_cookies_are_kept(httpbin: Any) -> None:
    session = with_token(TOKEN)
    session.get(f"{httpbin.url}/cookies/set", params={"a": "1"})
    assert session.get(f"{httpbin.url}/cookies").json()["cookies"] == {"a": "1"}


def test_redirects_and_compression_and_streams_work(httpbin: Any) -> None:
    session = with_token(TOKEN)
    assert len(session.get(f"{httpbin.url}/redirect/3").history) == 3
    assert session.get(f"{httpbin.url}/gzip").json()["gzipped"] is True
    with session.get(f"{httpbin.url}/stream/5", stream=True) as answer:
        assert len(list(answer.iter_lines())) == 5
