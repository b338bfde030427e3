"""The sessions against an independent server, with and without TLS."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from sessions import with_token

TOKEN = "s3cret"


def test_the_token_arrives(httpbin: Any) -> None:
    response = with_token(TOKEN).get(f"{httpbin.url}/bearer").json()
    assert response == {"authenticated": True, "token": TOKEN}


@pytest.mark.usefixtures("httpbin_ca_bundle")
def test_the_token_arrives_over_verified_tls(httpbin_secure: Any) -> None:
    response = with_token(TOKEN).get(f"{httpbin_secure.url}/bearer")
    assert response.json()["token"] == TOKEN


def test_r4_an_untrusted_certificate_is_not_retried(httpbin_secure: Any) -> None:
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


def test_verification_can_be_turned_off_as_in_a_plain_session(httpbin_secure: Any) -> None:
    with pytest.warns(match="Unverified HTTPS request"):
        response = with_token(TOKEN).get(f"{httpbin_secure.url}/bearer", verify=False)
    assert response.json()["token"] == TOKEN


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
    with session.get(f"{httpbin.url}/stream/5", stream=True) as response:
        assert len(list(response.iter_lines())) == 5
