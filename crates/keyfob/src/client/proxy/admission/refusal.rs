//! Why a request is refused, and the response that says so.

use http::header::{CONNECTION, PROXY_AUTHENTICATE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use crate::client::proxy::body::ProxyBody;
use crate::client::proxy::problem;

/// Why a request is refused. It does not say which clients exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It names no host, or one that is not this proxy.
    Host,
    /// A web page of another site has caused it.
    Browser,
    /// A field that counts for admission is there twice.
    Twice,
    /// It has no secret.
    NoSecret,
    /// Its secret is that of no client.
    WrongSecret,
    /// As the two before, from a client of a forward proxy.
    NoProxySecret,
    /// The client is not one of those that the route is for.
    Client,
    /// It names no subject, although its client must, or one that cannot be used.
    Subject,
}

impl Refusal {
    /// Every reason.
    pub(crate) const ALL: [Self; 8] = [
        Self::Host,
        Self::Browser,
        Self::Twice,
        Self::NoSecret,
        Self::WrongSecret,
        Self::NoProxySecret,
        Self::Client,
        Self::Subject,
    ];

    pub(super) fn of_forward_proxy(self) -> Self {
        match self {
            Self::NoSecret | Self::WrongSecret => Self::NoProxySecret,
            other => other,
        }
    }

    /// The reason in one word, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Browser => "browser",
            Self::Twice => "twice",
            Self::NoSecret => "no_secret",
            Self::WrongSecret => "wrong_secret",
            Self::NoProxySecret => "proxy_secret",
            Self::Client => "client",
            Self::Subject => "subject",
        }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Browser | Self::Client => StatusCode::FORBIDDEN,
            Self::Twice | Self::Subject => StatusCode::BAD_REQUEST,
            Self::NoSecret | Self::WrongSecret => StatusCode::UNAUTHORIZED,
            Self::NoProxySecret => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    /// The response, after which the connection is closed.
    #[must_use]
    pub fn response(self, version: Version) -> Response<ProxyBody> {
        let mut response = problem::response(self.status(), self.name(), self.detail());
        let headers = response.headers_mut();
        match self {
            // Not `Basic`, for which a browser would ask its user.
            Self::NoSecret | Self::WrongSecret => _ = headers.insert(WWW_AUTHENTICATE, BEARER),
            Self::NoProxySecret => {
                headers.insert(PROXY_AUTHENTICATE, BEARER);
                headers.append(PROXY_AUTHENTICATE, BASIC);
            }
            _ => {}
        }
        // HTTP/2 has no such field (RFC 9113 §8.2.2).
        if version < Version::HTTP_2 {
            headers.insert::<HeaderName>(CONNECTION, CLOSE);
        }
        response
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Host => {
                "the request names another host than this proxy; use its address, or declare the name in the proxy's `hosts`"
            }
            Self::Browser => {
                "a web page of another site has caused this request, and such requests are refused"
            }
            Self::Twice => "a header field is there twice that may be there once",
            Self::NoSecret | Self::WrongSecret => {
                "the proxy needs a client's secret, in `Keyfob-Client-Secret` or as the bearer token in `Authorization`"
            }
            Self::NoProxySecret => "the proxy needs a client's secret, in `Proxy-Authorization`",
            Self::Client => "the route is not for this client",
            Self::Subject => {
                "the request has to name the user whose token it carries, in the header that `subjects` of the route says: not \
                 empty, without control characters, and not too long"
            }
        }
    }
}

/// The only value of a field. Two could be read in two ways.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<&'h HeaderValue, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Refusal::Twice),
    }
}

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"keyfob\"");
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"keyfob\"");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
