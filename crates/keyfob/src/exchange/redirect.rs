//! Redirects: which request follows on a response that points elsewhere.
//!
//! These are the rules of [RFC 9110 §15.4] as functions of values. [`Exchange`](crate::exchange::Exchange) decides
//! whether a redirect is followed, and whether the credential goes along.
//!
//! [RFC 9110 §15.4]: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4

use std::str;

use http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

#[cfg(test)]
mod tests;

use crate::exchange::proof::DPOP;
use crate::origin::origin::Origin;

/// What a client does with a redirect.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug)]
pub enum OnRedirect<'a> {
    /// It returns the redirect to the caller, like any other response.
    Return,
    /// It follows the redirect; the attempt was sent with this method to this URL.
    Follow(&'a Method, &'a Url),
}

/// The request that follows on a redirect.
///
/// Set [`method`](Self::method) and [`url`](Self::url), remove the body if it is [dropped](RedirectBody::Dropped), and
/// [`apply`](Self::apply) it to the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    method: Method,
    url: Url,
    body: RedirectBody,
    from: Origin,
    to: Origin,
    authority: Authority,
}

/// What becomes of the body of a redirected request.
///
/// [`custom_client`](crate::custom_client) shows its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectBody {
    /// The next request carries the same body.
    Kept,
    /// The next request has no body, and its method is GET or HEAD.
    Dropped,
}

/// Whether the host and port in the URL change, and with them the `Host` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    Same,
    Other,
}

impl Redirect {
    /// The method of the next request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL of the next request.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the next request carries the same body.
    #[must_use]
    pub fn body(&self) -> RedirectBody {
        self.body
    }

    /// The origin of the request that was redirected.
    #[must_use]
    pub fn from(&self) -> &Origin {
        &self.from
    }

    /// The origin of the next request.
    #[must_use]
    pub fn to(&self) -> &Origin {
        &self.to
    }

    /// Removes the header fields that must not go with the next request.
    ///
    /// `credential` names the fields of the credential that the last attempt carried, such as
    /// [`Lease::headers`](crate::cache::Lease::headers). They are removed if the redirect leads to another origin. The
    /// caller's own value in such a field goes too: it was meant for the first origin (R1).
    pub fn apply(&self, headers: &mut HeaderMap, credential: &[(HeaderName, HeaderValue)]) {
        if self.body == RedirectBody::Dropped {
            for name in BODY_FIELDS {
                headers.remove(name);
            }
        }
        if self.from != self.to {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, DPOP] {
                headers.remove(name);
            }
            for (name, _) in credential {
                headers.remove(name);
            }
        }
        if self.authority == Authority::Other {
            headers.remove(HOST);
        }
    }
}

/// Returns the request that follows on this response, or `None` if the response is not followed.
///
/// Only 301, 302, 303, 307 and 308 with one readable `Location` are followed, and only to `http` and `https`. The
/// new URL has no userinfo, because that would become Basic credentials of another server's choice. It inherits the
/// fragment of `url` if the `Location` has none ([RFC 9110 §10.2.2]).
///
/// [RFC 9110 §10.2.2]: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.2
pub(crate) fn follow(
    method: &Method,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Redirect> {
    let (method, body) = rewrite(method, status)?;
    let target = target(url, headers)?;
    let authority = match (url.host(), url.port()) == (target.host(), target.port()) {
        true => Authority::Same,
        false => Authority::Other,
    };
    Some(Redirect {
        method,
        body,
        from: Origin::from_url(url).ok()?,
        to: Origin::from_url(&target).ok()?,
        authority,
        url: target,
    })
}

fn rewrite(method: &Method, status: StatusCode) -> Option<(Method, RedirectBody)> {
    match status {
        // "a user agent MAY change the request method from POST to GET for the subsequent request"
        // https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4.2
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => {
            Some((Method::GET, RedirectBody::Dropped))
        }
        // "a retrieval request targeting that URI (a GET or HEAD request if using HTTP)"
        // https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4.4
        StatusCode::SEE_OTHER if method == Method::HEAD => {
            Some((Method::HEAD, RedirectBody::Dropped))
        }
        StatusCode::SEE_OTHER => Some((Method::GET, RedirectBody::Dropped)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), RedirectBody::Kept)),
        _ => None,
    }
}

fn target(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let mut locations = headers.get_all(LOCATION).iter();
    let location = locations.next()?;
    // If the fields differ, it is unknown which one the server meant.
    if locations.any(|other| other != location) {
        return None;
    }
    let location = str::from_utf8(location.as_bytes()).ok()?;
    let mut target = url.join(location).ok()?;
    if !matches!(target.scheme(), "http" | "https") {
        return None;
    }
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    if target.fragment().is_none() {
        target.set_fragment(url.fragment());
    }
    Some(target)
}

/// The fields of a request that have no meaning without its body.
///
/// The list of [RFC 9110 §15.4](https://www.rfc-editor.org/rfc/rfc9110.html#section-15.4), the digests of
/// [RFC 9530](https://www.rfc-editor.org/rfc/rfc9530.html), and the fields that frame or announce a body.
const BODY_FIELDS: [&str; 15] = [
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "expect",
    "last-modified",
    "repr-digest",
    "trailer",
    "transfer-encoding",
];
