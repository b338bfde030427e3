"""A prepared request sent more than once: copied, its body wound back, its cookies brought up to date."""

from __future__ import annotations

from typing import Any, TypeVar

from requests import PreparedRequest
from requests.cookies import RequestsCookieJar, get_cookie_header, merge_cookies
from requests.exceptions import UnrewindableBodyError
from requests.structures import CaseInsensitiveDict
from requests.utils import rewind_body

T = TypeVar("T")


def shallow_copy(thing: T) -> T:
    """As ``copy.copy`` for an object with plain attributes, but in a tenth of the time."""
    copy = object.__new__(type(thing))
    copy.__dict__.update(thing.__dict__)
    return copy


def copied(request: PreparedRequest) -> PreparedRequest:
    """The request with headers of its own; quicker than ``copy()``, which copies the cookies as well."""
    copy = shallow_copy(request)
    copy.headers = _copied_headers(request.headers)
    return copy


def has_field(request: PreparedRequest, name: str) -> bool:
    """Whether the request has a header field of this name."""
    # As `name in headers`, which raises an exception and catches it.
    store = getattr(request.headers, "_store", request.headers)
    return name.lower() in store


def replayable(request: PreparedRequest) -> bool:
    """Whether the body is in memory, or a file that knows where it began."""
    unseen: Any = request
    return _in_memory(request) or isinstance(unseen._body_position, int)


def rewound(request: PreparedRequest) -> bool:
    """Goes back to where the body began; says whether that was possible."""
    if _in_memory(request):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # The latter of a file that was closed meanwhile.
        return False
    return True


def with_cookies(request: PreparedRequest, cookies: RequestsCookieJar) -> PreparedRequest:
    """The request with these cookies besides its own; as it is, if its ``Cookie`` is not from a jar but the caller's (R9)."""
    unseen: Any = request
    copy = copied(request)
    given = copy.headers.pop("Cookie", None)
    if given is not None and given != get_cookie_header(unseen._cookies, copy):
        return request
    copy.prepare_cookies(merge_cookies(unseen._cookies.copy(), cookies))
    return copy


def _copied_headers(headers: Any) -> Any:
    if type(headers) is not CaseInsensitiveDict:
        return headers.copy()
    # As `headers.copy()`, without setting each field anew: the dearest part of a session's own work.
    copy = shallow_copy(headers)
    vars(copy)["_store"] = vars(headers)["_store"].copy()
    return copy


def _in_memory(request: PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, (bytes, str, bytearray, memoryview))
