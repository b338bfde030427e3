"""Sessions by name, from a ``keyfob.toml``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest, Request, Response

from keyfob._core import Profile, profile_names
from keyfob._handler import GenericExternallyManagedJWTHandler
from keyfob._jwt_session import ExternallyManagedJWTSession
from keyfob._prepared import shallow_copy


def session(name: str, *, config: str | os.PathLike[str] | None = None) -> ProfileSession:
    """A ``requests`` session as a profile of a ``keyfob.toml`` describes it: token, origins, base URL, retries.

    Nothing is fetched or sent yet. Each call reads the file and makes a session with a token of its own; a store, which grants
    have unless the file says otherwise, makes it one token for all of them and for other processes.

    Args:
        name: The profile's name.
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the usual one.

    Raises:
        ProfileError: The file has faults, or no such profile; or its tokens are bound to a key (``dpop_key``), of which Python
            sends no proof.

    >>> keyfob.session("ehr", config=config).get("reports")
    <Response [200]>
    """
    return ProfileSession(Profile.named(name, _path(config)))


def profiles(*, config: str | os.PathLike[str] | None = None) -> list[str]:
    """The names of the profiles in a ``keyfob.toml``, sorted; none if the usual file is not there.

    Args:
        config: The file; unless given, the one that ``KEYFOB_CONFIG`` names or the usual one.

    Raises:
        ProfileError: The file has faults, or is named and not there.

    >>> keyfob.profiles(config=config)
    ['ehr']
    """
    return profile_names(_path(config))


class ProfileSession(ExternallyManagedJWTSession):
    """A ``requests.Session`` as a profile describes it; made by :func:`keyfob.session`.

    It is bound to the origins of the profile, and URLs may be relative to its base URL. Other sessions over its
    ``authentication_handler`` share its token.

    >>> reports = keyfob.session("ehr", config=config)
    >>> reports.get("reports", params={"year": 2026})
    <Response [200]>
    >>> reports.authenticated
    True
    """

    base_url: str | None
    """The URL against which relative ones are resolved, if the profile has one; its path ends with a slash."""

    max_redirects: int
    """How many redirects are followed: as many as the profile says, or as ``requests`` does."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(GenericExternallyManagedJWTHandler(None, None, profile.source()))
        self.base_url = profile.base_url
        self.retry = profile.retry
        if profile.timeout is not None:
            self.timeout = profile.timeout
        self._follows = profile.redirects != 0
        if profile.redirects:
            self.max_redirects = profile.redirects

    def prepare_request(self, request: Request) -> PreparedRequest:
        """As ``requests.Session.prepare_request``, with the URL resolved against the base URL.

        >>> prepared = keyfob.session("ehr", config=config).prepare_request(requests.Request("GET", "reports"))
        >>> prepared.url == api + "/reports"
        True
        """
        if self.base_url is not None:
            request = shallow_copy(request)
            request.url = _resolved(self.base_url, request.url)
        return super().prepare_request(request)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """As the other sessions do; but where the profile says ``redirects = 0``, a redirect is an answer.

        >>> reports = keyfob.session("ehr", config=config)
        >>> reports.send(reports.prepare_request(requests.Request("GET", "reports")))
        <Response [200]>
        """
        # With `max_redirects` of zero, `requests` would raise instead.
        if not self._follows:
            kwargs["allow_redirects"] = False
        return super().send(request, **kwargs)


def _path(config: str | os.PathLike[str] | None) -> str | None:
    return None if config is None else os.fspath(config)


def _resolved(base: str, url: Any) -> str:
    text = url.decode() if isinstance(url, bytes) else str(url)
    try:
        return urljoin(base, text)
    except ValueError:  # It is no URL, as `requests` will say.
        return text
