"""Sources of tokens that an OAuth authorization server issues without a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from keyfob import _certificates
from keyfob._certificates import Cert, Verify
from keyfob._core import Source, grant_source
from keyfob._source_arguments import checked_source, key_of
from keyfob._values import ClientSettings, GrantSettings


class Client:
    """A client of an authorization server: which server, and how the client authenticates (RFC 6749 §2.3).

    Without ``client_secret``, ``private_key`` and ``client_assertion`` it is a public client.

    Args:
        client_id: The identifier of the client. A client with an assertion may do without.
        issuer: The issuer of the server, whose endpoints are then discovered (RFC 8414).
        token_endpoint: The URL of the token endpoint, for servers without metadata.
        client_secret: The secret, for ``Authorization: Basic``.
        secret_post: Whether the secret is sent in the form instead.
        private_key: The private key that signs client assertions (RFC 7523 §2.2), as PEM or a JWK: the text, not the name of a
            file.
        key_id: The ``kid`` of the key.
        algorithm: The ``alg`` with which it signs; only RSA keys have a choice.
        passphrase: The passphrase of an encrypted key.
        client_assertion: The source of the client assertion, such as ``sources.file`` for a token that the platform projects.
            If the server refuses the assertion, the source is asked for another one, and the request is sent once more.
        timeout: The limit of one request, in seconds; 20 unless given.
        verify: A file with certificate authorities (PEM) for the server; see :func:`keyfob.session`.
        cert: The client certificate for the server: a file (PEM) with certificate and key, or the two files.
        allow_plain_http: The origin of the server if it is on another machine and has no ``https``.

    Raises:
        TypeError: There is no server, or more than one way to authenticate; or the assertion is no source.
        ValueError: The key cannot be used.

    >>> Client("reports", issuer="https://login.example.com", client_secret="s3cret")
    <keyfob client: reports>
    """

    __slots__ = ("_settings", "_transport")

    def __init__(
        self,
        client_id: str | None = None,
        *,
        issuer: str | None = None,
        token_endpoint: str | None = None,
        client_secret: str | None = None,
        secret_post: bool = False,
        private_key: str | bytes | None = None,
        key_id: str | None = None,
        algorithm: str | None = None,
        passphrase: str | None = None,
        client_assertion: Source | None = None,
        timeout: float | None = None,
        verify: Verify = None,
        cert: Cert = None,
        allow_plain_http: str | None = None,
    ) -> None:
        if issuer is None and token_endpoint is None:
            raise TypeError("give the `issuer` of the server or its `token_endpoint`")
        proofs = (client_secret, private_key, client_assertion)
        if sum(proof is not None for proof in proofs) > 1:
            raise TypeError(
                "`client_secret`, `private_key` and `client_assertion` exclude each other"
            )
        if client_assertion is not None:
            checked_source("client_assertion", client_assertion)
        key = None if private_key is None else key_of(private_key, passphrase, key_id, algorithm)
        self._settings = ClientSettings(
            issuer, token_endpoint, client_id, client_secret, secret_post, key, client_assertion
        )
        self._transport = _certificates.transport(verify, cert, allow_plain_http, timeout)

    def __repr__(self) -> str:
        return f"<keyfob client: {self._settings.client_id or 'without an identifier'}>"


def client_credentials(
    client: Client,
    *,
    scopes: Iterable[str] = (),
    audience: str | None = None,
    resource: str | None = None,
    parameters: Mapping[str, str] | None = None,
    use_id_token: bool = False,
    default_lifetime: float | None = None,
) -> Source:
    """Requests tokens for the client itself (RFC 6749 §4.4).

    Args:
        client: The client.
        scopes: The scopes to request.
        audience: The name of the API at the server, as some servers want it.
        resource: The URL of the API (RFC 8707).
        parameters: Other parameters of the request. Their values may be secret.
        use_id_token: Whether the ID token of the response is the token, in place of the access token. Request the scope
            ``openid``.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A URL or the key cannot be used, or a number is negative.
        OriginError: The server has plain ``http`` and is on another machine.

    >>> platform = Client("reports", issuer="https://login.example.com", client_assertion=keyfob.sources.file("/run/token"))
    >>> client_credentials(platform, scopes=["reports.read"])
    <keyfob source: client_credentials>
    """
    grant = _grant(scopes, audience, resource, parameters)
    return _source(client, grant, use_id_token, default_lifetime)


def jwt_bearer(
    client: Client,
    assertion: Source,
    *,
    scopes: Iterable[str] = (),
    audience: str | None = None,
    resource: str | None = None,
    parameters: Mapping[str, str] | None = None,
    use_id_token: bool = False,
    default_lifetime: float | None = None,
) -> Source:
    """Requests tokens with an assertion of another source (RFC 7523 §2.1), such as ``sources.signed_jwt``.

    Args:
        client: The client.
        assertion: The source of the assertion.
        scopes: The scopes to request.
        audience: The name of the API at the server, as some servers want it.
        resource: The URL of the API (RFC 8707).
        parameters: Other parameters of the request. Their values may be secret.
        use_id_token: Whether the ID token of the response is the token, in place of the access token.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A URL or the key cannot be used, or a number is negative.
        OriginError: The server has plain ``http`` and is on another machine.

    >>> server = Client(token_endpoint="https://login.example.com/token")
    >>> jwt_bearer(server, keyfob.sources.file("/run/assertion"))
    <keyfob source: jwt_bearer>
    """
    grant = _grant(scopes, audience, resource, parameters)
    grant = grant._replace(assertion=checked_source("assertion", assertion))
    return _source(client, grant, use_id_token, default_lifetime)


def token_exchange(
    client: Client,
    subject_token: Source,
    subject_token_type: str = "jwt",  # noqa: S107 — the name of a type.
    *,
    requested_token_type: str | None = None,
    scopes: Iterable[str] = (),
    audience: str | None = None,
    resource: str | None = None,
    parameters: Mapping[str, str] | None = None,
    use_id_token: bool = False,
    default_lifetime: float | None = None,
) -> Source:
    """Exchanges the token of another source for a token of this server (RFC 8693).

    Args:
        client: The client.
        subject_token: The source of the token that says in whose name the new one acts.
        subject_token_type: ``access_token``, ``jwt``, ``id_token``, ``saml2`` or a URI.
        requested_token_type: The type of the new token, in the same words; the server chooses unless given.
        scopes: The scopes to request.
        audience: The name of the API at the server.
        resource: The URL of the API (RFC 8707).
        parameters: Other parameters of the request. Their values may be secret.
        use_id_token: Whether the ID token of the response is the token, in place of the access token.
        default_lifetime: How long to use a token without an expiry, in seconds; until a server rejects it unless given.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A URL or the key cannot be used, or a number is negative.
        OriginError: The server has plain ``http`` and is on another machine.

    >>> backend = Client("backend", issuer="https://login.example.com")
    >>> token_exchange(backend, keyfob.sources.file("/run/workload"), audience="billing")
    <keyfob source: token_exchange>
    """
    subject = (checked_source("subject_token", subject_token), subject_token_type)
    grant = _grant(scopes, audience, resource, parameters)
    grant = grant._replace(subject=subject, requested_type=requested_token_type)
    return _source(client, grant, use_id_token, default_lifetime)


def _grant(
    scopes: Iterable[str],
    audience: str | None,
    resource: str | None,
    parameters: Mapping[str, str] | None,
) -> GrantSettings:
    if isinstance(scopes, (str, bytes)):
        raise TypeError('`scopes` must be several texts, such as ["reports.read"]')
    return GrantSettings(
        assertion=None,
        subject=None,
        requested_type=None,
        scopes=list(scopes),
        audience=audience,
        resource=resource,
        parameters=list((parameters or {}).items()),
        use_id_token=False,
        default_lifetime=None,
    )


def _source(
    client: Client, grant: GrantSettings, use_id_token: bool, default_lifetime: float | None
) -> Source:
    if not isinstance(client, Client):
        kind = type(client).__name__
        raise TypeError(f"`client` must be a keyfob.sources.Client, not {kind}")
    grant = grant._replace(use_id_token=use_id_token, default_lifetime=default_lifetime)
    return grant_source(client._settings, grant, client._transport)
