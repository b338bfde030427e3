"""Sessions by name, from a ``keyfob.toml``."""

from __future__ import annotations

import os

from keyfob._certificates import Cert, EncryptedKey, Verify
from keyfob._core import Profile, profile_names
from keyfob._session.front import Session
from keyfob.sources import named


def session(
    name: str,
    *,
    config: str | os.PathLike[str] | None = None,
    verify: Verify = None,
    cert: Cert = None,
) -> ProfileSession:
    """A ``requests`` session with the settings of a profile in a ``keyfob.toml``: token, origins, base URL, retries.

    This neither fetches a token nor sends a request. Each call reads the file and makes a session with a token of its own. If
    the profile has a store, all sessions and other processes share one token; OAuth grants have one by default.

    Args:
        name: The name of the profile.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.
        verify: A file with certificate authorities (PEM), which are trusted in place of the system's: for the API, and for the
            server that issues the token. It takes precedence over ``ca_file`` in the profile, which takes precedence over
            ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE``.
        cert: The client certificate for the API and for the server that issues the token: a file (PEM) with certificate and key,
            or the two files. It takes precedence over ``client_certificate`` in the profile.

    Raises:
        ProfileError: The file has errors or has no such profile; or the CA file, the client certificate or the key of the profile cannot be used.

    >>> keyfob.session("ehr", config=config).get("reports")
    <Response [200]>
    """
    return ProfileSession(named(name, config, verify, cert))


def profiles(*, config: str | os.PathLike[str] | None = None) -> list[str]:
    """The sorted names of the profiles in a ``keyfob.toml``; empty if the default file does not exist.

    Args:
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.

    Raises:
        ProfileError: The file has errors, or was named and does not exist.

    >>> keyfob.profiles(config=config)
    ['ehr']
    """
    return profile_names(_path(config))


class ProfileSession(Session):
    """A ``requests.Session`` with the settings of a profile; made by :func:`keyfob.session`.

    It is bound to the origins of the profile, and URLs may be relative to its base URL. Other sessions over its
    ``authentication_handler`` share its token.

    >>> reports = keyfob.session("ehr", config=config)
    >>> reports.get("reports", params={"year": 2026})
    <Response [200]>
    >>> reports.authenticated
    True
    """

    def __init__(self, profile: Profile) -> None:
        super().__init__(
            profile.source(),
            base_url=profile.base_url,
            timeout=profile.timeout,
            retry=profile.retry,
            redirects=profile.redirects,
            verify=profile.ca_file,
            cert=_certificate(profile),
        )


def _certificate(profile: Profile) -> tuple[str, str] | None:
    found = profile.client_certificate()
    if found is None:
        return None
    key = EncryptedKey(found[1])
    key.passphrase = found[2]
    return str(found[0]), key


def _path(config: str | os.PathLike[str] | None) -> str | None:
    return None if config is None else os.fspath(config)
