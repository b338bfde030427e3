"""Sources that request a token with an HTTP request, or sign it here."""

from __future__ import annotations

import json as json_text
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from keyfob import _certificates
from keyfob._certificates import Cert, Verify
from keyfob._core import Source, http_source, signed_jwt_source
from keyfob._source_arguments import key_of, kind_of
from keyfob._values import HttpSettings, JwtTimes

Text = str | Source | tuple[str, Source]
"""A text, which may be secret; or a source, whose token is sent; or both: ``("Bearer ", source)``."""


def http(
    url: str,
    *,
    method: str | None = None,
    headers: Mapping[str, Text] | None = None,
    json: Mapping[str, Any] | None = None,
    form: Mapping[str, Text] | None = None,
    token: str | None = None,
    expiry: str | None = None,
    expiry_form: str | None = None,
    refused: Collection[int] | None = None,
    default_lifetime: float | None = None,
    timeout: float | None = None,
    verify: Verify = None,
    cert: Cert = None,
    allow_plain_http: str | None = None,
) -> Source:
    """Reads the token from the response to an HTTP request, such as that of a login endpoint.

    One request is sent for each token. A redirect is not followed. Nothing of a response is shown in errors. Values of ``headers``,
    ``json`` and ``form`` may be secret. Such a value may also be another source, whose token is then sent, or a text and a source:
    ``("Bearer ", source)``. If the server refuses that token, its source is asked for another one, and the request is sent once
    more.

    Args:
        url: The URL: ``https``, or ``http`` to this machine.
        method: ``POST`` with a body and ``GET`` without one, unless given.
        headers: The headers of the request.
        json: The JSON object that is the body. Objects in it may hold sources too, but lists may not.
        form: The fields of a form that is the body.
        token: Where in the JSON of the response the token is: a JSON pointer (RFC 6901) such as ``/data/token``. Without one,
            the response may have any format that a command may print.
        expiry: Where the expiry is. Unless given, it is looked for in the object that holds the token.
        expiry_form: ``seconds``, ``seconds_or_never``, ``rfc3339``, ``unix_seconds`` or ``unix_milliseconds``; detected unless
            given.
        refused: The statuses that mean that the server refuses the credential, so that the request is not repeated; 400, 401,
            403 and 404 unless given.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.
        timeout: The limit of the request, in seconds; 20 unless given.
        verify: A file with certificate authorities (PEM) for the server; see :func:`keyfob.session`.
        cert: The client certificate for the server: a file (PEM) with certificate and key, or the two files.
        allow_plain_http: The origin of the server if it is on another machine and has no ``https``.

    Raises:
        TypeError: A value is neither a text nor a source.
        ValueError: A value cannot be used, such as a pointer without ``/``.
        OriginError: The URL has plain ``http`` to another machine.

    >>> login = http("https://api.example.com/login", json={"user": "me", "password": "s3cret"}, token="/token")
    >>> reports = http("https://api.example.com/reports/token", headers={"Authorization": ("Bearer ", login)}, token="/token")
    >>> handler = GenericExternallyManagedJWTHandler(None, None, reports)
    """
    for name, pointer in (("token", token), ("expiry", expiry)):
        _check_pointer(name, pointer)
    if json is not None and form is not None:
        raise TypeError("`json` and `form` exclude each other: a request has one body")
    settings = HttpSettings(
        url=url,
        method=method,
        headers=_texts("headers", headers),
        form=_texts("form", form),
        json=[] if json is None else list(_leaves(_mapping("json", json), "")),
        token=token,
        expiry=expiry,
        expiry_form=expiry_form,
        refused=refused,
        default_lifetime=default_lifetime,
    )
    return http_source(settings, _certificates.transport(verify, cert, allow_plain_http, timeout))


def signed_jwt(
    private_key: str | bytes,
    *,
    issuer: str | None = None,
    subject: str | None = None,
    audience: str | None = None,
    claims: Mapping[str, Any] | None = None,
    lifetime: float | None = None,
    key_id: str | None = None,
    algorithm: str | None = None,
    passphrase: str | None = None,
    backdate: float | None = None,
    not_before: bool = False,
    unique_id: bool = False,
) -> Source:
    """Signs a JWT with a private key (RFC 7519); it is the token itself, and no server is called.

    Args:
        private_key: The key, as PEM or as a JWK (RFC 7517): the text, not the name of a file.
        issuer: The claim ``iss``.
        subject: The claim ``sub``.
        audience: The claim ``aud``.
        claims: Other claims, of any JSON type. ``iat`` and ``exp`` are always set.
        lifetime: How long the JWT is valid, in seconds; 300 unless given.
        key_id: The ``kid`` in its header.
        algorithm: The ``alg`` in its header, such as ``PS256``; only RSA keys have a choice.
        passphrase: The passphrase of an encrypted key.
        backdate: How long before now ``iat`` is, in seconds, for servers whose clock may be behind; 0 unless given.
        not_before: Whether there is a claim ``nbf``, with the time of ``iat``.
        unique_id: Whether there is a claim ``jti``, which is different in each JWT.

    Raises:
        TypeError: A claim has no JSON type.
        ValueError: The key cannot be used, or not with the algorithm; or a number is negative.

    >>> source = signed_jwt(private_key, issuer="my-app", audience="https://api.example.com", lifetime=600)
    >>> GenericExternallyManagedJWTHandler(None, None, source).get_valid_token().count(".")
    2
    """
    named = {"iss": issuer, "sub": subject, "aud": audience}
    all_claims = dict({} if claims is None else _mapping("claims", claims))
    all_claims |= {name: value for name, value in named.items() if value is not None}
    for name in ("iat", "exp", "nbf", "jti"):
        if name in all_claims:
            raise ValueError(
                f"`claims` has {name!r}, which `lifetime`, `backdate`, `not_before` and `unique_id` set"
            )
    times = JwtTimes(lifetime, backdate, not_before, unique_id)
    key = key_of(private_key, passphrase, key_id, algorithm)
    return signed_jwt_source(key, _json("claims", all_claims), times)


def _texts(keyword: str, texts: Mapping[str, Text] | None) -> list[tuple[str, str, Any, bool]]:
    given = {} if texts is None else _mapping(keyword, texts)
    return [(name, *_text(f"{keyword}[{name!r}]", value)) for name, value in given.items()]


def _text(keyword: str, value: object) -> tuple[str, Source | None, bool]:
    if isinstance(value, str):
        return value, None, False
    if isinstance(value, Source):
        return "", value, False
    if isinstance(value, tuple) and list(map(type, value)) == [str, Source]:
        return *value, False
    raise TypeError(
        f"`{keyword}` must be a text, one of keyfob.sources, or both as in ('Bearer ', source), not {kind_of(value)}"
    )


def _leaves(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, Any, bool]]:
    """The values in a JSON object, each with a JSON pointer to it."""
    for name, inner in value.items():
        if not isinstance(name, str):
            raise TypeError(f"a name in `json` must be a text, not {kind_of(name)}")
        pointer = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, pointer)
        elif isinstance(inner, (str, Source, tuple)):
            yield pointer, *_text("json", inner)
        else:
            yield pointer, _json("json", inner), None, True


def _json(keyword: str, value: object) -> str:
    try:
        return json_text.dumps(value, allow_nan=False)
    except TypeError:
        raise TypeError(
            f"`{keyword}` holds a value that has no type of JSON; a source in it must be the value of an object"
        ) from None
    except ValueError:
        raise ValueError(f"`{keyword}` holds a number that JSON cannot express") from None


def _mapping(keyword: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"`{keyword}` must be a mapping, not {kind_of(value)}")
    return value


def _check_pointer(keyword: str, pointer: object) -> None:
    if pointer is None:
        return
    if not isinstance(pointer, str):
        raise TypeError(f"`{keyword}` must be a JSON pointer, not {kind_of(pointer)}")
    if not pointer.startswith("/"):
        raise ValueError(f"`{keyword}` must be a JSON pointer such as /data/token (RFC 6901)")
