"""Sessions by name, from a ``keyfob.toml``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest, Request

from keyfob._core import Profile, profile_names
from keyfob._handler.handler import GenericExternallyManagedJWTHandler
from keyfob._requests import shallow_copy
from keyfob._session.externally_managed import ExternallyManagedJWTSession


def session(name: str, *, config: str | os.PathLike[str] | None = None) -> ProfileSession:
    """A ``requests`` session with the settings of a profile in a ``keyfob.toml``: token, origins, base URL, retries.

    This neither fetches a token nor sends a request. Each call reads the file and makes a session with a token of its own. If
    the profile has a store, all sessions and other processes share one token; OAuth grants have one by default.

    Args:
        name: The name of the profile.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the default one.

    Raises:
        ProfileError: The file has errors or has no such profile, or its tokens are bound to a key (``dpop_key``): the Python
            package cannot send the proof of possession.

    >>> keyfob.session("ehr", config=config).get("reports")
    <Response [200]>
    """
    return ProfileSession(Profile.named(name, _path(config)))


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


class ProfileSession(ExternallyManagedJWTSession):
    """A ``requests.Session`` with the settings of a profile; made by :func:`keyfob.session`.

    It is bound to the origins of the profile, and URLs may be relative to its base URL. Other sessions over its
    ``authentication_handler`` share its token.

    >>> reports = keyfob.session("ehr", config=config)
    >>> reports.get("reports", params={"year": 2026})
    <Response [200]>
    >>> reports.authenticated
    True
    """

    base_url: str | None
    """The URL that relative URLs are resolved against, if the profile has one. Its path ends with a slash."""

    max_redirects: int
    """How many redirects are followed: the limit of the profile, or else of ``requests``. If the profile says ``redirects = 0``, a
    redirect is returned."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(GenericExternallyManagedJWTHandler(None, None, profile.source()))
        self.base_url = profile.base_url
        self.retry = profile.retry
        if profile.timeout is not None:
            self.timeout = profile.timeout
        # With a `max_redirects` of zero, `requests` would raise an error instead of returning the redirect.
        self._follows_redirects = profile.redirects != 0
        if profile.redirects:
            self.max_redirects = profile.redirects

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Like ``requests.Session.prepare_request``, with the URL resolved against the base URL.

        >>> prepared = keyfob.session("ehr", config=config).prepare_request(requests.Request("GET", "reports"))
        >>> prepared.url == api + "/reports"
        True
        """
        if self.base_url is not None:
            request = shallow_copy(request)
            request.url = _resolved(self.base_url, request.url)
        return super().prepare_request(request)


def _path(config: str | os.PathLike[str] | None) -> str | None:
    return None if config is None else os.fspath(config)


def _resolved(base: str, url: Any) -> str:
    text = url.decode() if isinstance(url, bytes) else str(url)
    try:
        return urljoin(base, text)
    except ValueError:  # It is not a URL, and `requests` raises the right error for that.
        return text
