//! What a session is made of, whether it is async or blocking.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method};
use url::{Position, Url};

use crate::cache::cache::TokenCache;
use crate::client::authenticator::Authenticator;
use crate::client::session::attempts::drop_userinfo;
use crate::client::shared_timer::Alarm;
use crate::error::error::Error;
use crate::exchange::exchange::{Exchange, Idempotency, Replay};
use crate::exchange::retry::RetryPolicy;
use crate::origin::origin::{is_loopback, parse_url};

/// A client and how it is used, shared by all clones of a session.
pub(crate) struct Sender<C> {
    pub(crate) client: C,
    /// One that uses no proxy, for plain http to this machine.
    pub(crate) direct: Option<C>,
    pub(crate) authenticator: Authenticator,
    pub(crate) base: Option<Url>,
    pub(crate) policy: Arc<RetryPolicy>,
    /// Keeps the limit on how long nothing may move.
    pub(crate) alarm: Alarm,
    pub(crate) redirects: u32,
}

/// How one request differs from the session's defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) effect: Option<Idempotency>,
}

impl<C> Sender<C> {
    pub(crate) fn tokens(&self) -> &TokenCache {
        self.authenticator.tokens()
    }

    /// An absolute URL as it is, a relative one against the base (RFC 3986 §5).
    pub(crate) fn resolve(&self, url: &str) -> Result<Url, Error> {
        let mut url = match &self.base {
            Some(base) => base
                .join(path_on(base, url).unwrap_or(url))
                .map_err(|fault| Error::input("the URL cannot be read").caused_by(fault)),
            None => parse_url(url),
        }?;
        // Here already, for the client's builder would make a header of it.
        drop_userinfo(&mut url)?;
        Ok(url)
    }

    /// R1: plain http to this machine must not leave it, and so not go through a proxy that the environment names.
    pub(crate) fn client_for(&self, url: &Url) -> &C {
        match &self.direct {
            Some(direct)
                if url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host)) =>
            {
                direct
            }
            _ => &self.client,
        }
    }

    pub(crate) fn exchange(
        &self,
        options: &Options,
        method: &Method,
        headers: &HeaderMap,
        body: Replay,
    ) -> Exchange {
        let policy = options.retry.as_ref().unwrap_or(&self.policy);
        let effect = options
            .effect
            .unwrap_or_else(|| Idempotency::of(method, headers));
        let now = self.authenticator.clock().elapsed();
        self.authenticator
            .exchange(Arc::clone(policy), effect, body, now)
    }
}

/// The path and the rest of an absolute URL of the base's origin, as its text alone tells: joined to the base, it is the same
/// URL, and the host, which is the dearest part to read, is not read again.
fn path_on<'a>(base: &Url, url: &'a str) -> Option<&'a str> {
    let path = url.strip_prefix(&base[..Position::BeforePath])?;
    match path.as_bytes() {
        [] => Some("/"),
        // A second slash, or what the WHATWG's parser takes for one or skips before one, would make the path a host.
        [b'/', b'/' | b'\\' | b'\t' | b'\n' | b'\r', ..] => None,
        [b'/', ..] => Some(path),
        _ => None,
    }
}

impl<C> fmt::Debug for Sender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("authenticator", &self.authenticator)
            .field("policy", &self.policy)
            .field("timeout", &self.alarm.limit())
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASES: [&str; 4] = [
        "https://a.example/v1/",
        "https://a.example:8443/v1/x?y#z",
        "http://127.0.0.1:8080/",
        "http://[::1]/v1/",
    ];

    fn on(base: &Url, rest: &str) -> (Option<Url>, Url) {
        let text = format!("{}{rest}", &base[..Position::BeforePath]);
        let path = path_on(base, &text);
        let whole = Url::parse(&text).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
        (path.map(|path| base.join(path).unwrap()), whole)
    }

    #[test]
    fn a_url_of_the_base_is_told_by_its_text() {
        let base = Url::parse(BASES[1]).unwrap();
        for rest in ["", "/", "/x", "/x/../y?q#f", "/?q", "/#f", "/ ", "/%2f/"] {
            let (short, whole) = on(&base, rest);
            assert_eq!(short.as_ref(), Some(&whole), "{rest:?}");
        }
    }

    #[test]
    fn r1_a_path_is_not_taken_for_a_host() {
        let base = Url::parse(BASES[0]).unwrap();
        for rest in ["//evil", "/\\evil", "/\t/evil", "/\n\\evil", "/\r\n/evil"] {
            let (short, whole) = on(&base, rest);
            assert_eq!(
                (short, whole.host_str()),
                (None, Some("a.example")),
                "{rest:?}"
            );
        }
        for other in [
            "https://a.example.evil/",
            "https://a.example@evil/",
            "https://a.example:8443/",
            "HTTPS://a.example/",
        ] {
            assert_eq!(path_on(&base, other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn r1_what_is_read_in_short_is_the_same_url(
            base in prop::sample::select(&BASES[..]),
            rest in "/[/\\\\\t\n\r .%?#@:a-c\\x00\\x7fé]{0,12}",
        ) {
            let base = Url::parse(base).unwrap();
            if let (Some(short), whole) = on(&base, &rest) {
                prop_assert_eq!(short, whole);
            }
        }
    }
}
