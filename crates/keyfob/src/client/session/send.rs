//! How a session sends a request, async or blocking.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::Either;
use http::{HeaderName, HeaderValue};
use url::{Position, Url};

use crate::cache::cache::TokenCache;
use crate::cache::lease::Lease;
use crate::client::retry_loop;
use crate::client::retry_loop::Attempts;
use crate::client::session::http_client::{
    HttpClient, HttpRequest, RemakeBody, Resendable, drop_userinfo,
};
use crate::client::settings::ClientRules;
use crate::error::error::Error;
use crate::exchange::exchange::Exchange;
use crate::exchange::outcome::{Idempotency, Outcome, Replay};
use crate::exchange::redirect::{OnRedirect, Redirect};
use crate::exchange::reqwest_failure::Fault;
use crate::exchange::reqwest_failure::proxy::ProxiesFrom;
use crate::exchange::retry::RetryPolicy;
use crate::origin::certified_client::CertifiedClient;
use crate::origin::loopback::is_plain_loopback;
use crate::origin::origin::parse_url;

/// What all clones of a session share.
pub(crate) struct Sender<C> {
    pub(crate) client: C,
    /// A client that uses no proxy, for plain http to this machine.
    pub(crate) direct: Option<C>,
    /// A client that presents a certificate, for requests with the credential.
    pub(crate) certified: Option<CertifiedClient<C>>,
    pub(crate) proxies: ProxiesFrom,
    pub(crate) rules: ClientRules,
    pub(crate) base: Option<Url>,
    pub(crate) redirects: u32,
}

/// The settings of one request that differ from those of its session.
pub(crate) struct Options<R> {
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) tokens: Option<TokenCache>,
    pub(crate) remake_body: Option<RemakeBody<R>>,
}

// Not derived, because a request has no default and no clone.
impl<R> Default for Options<R> {
    fn default() -> Self {
        Self {
            retry: None,
            idempotency: None,
            tokens: None,
            remake_body: None,
        }
    }
}

impl<R> Clone for Options<R> {
    fn clone(&self) -> Self {
        Self {
            retry: self.retry.clone(),
            idempotency: self.idempotency,
            tokens: self.tokens.clone(),
            remake_body: self.remake_body.clone(),
        }
    }
}

impl<R> fmt::Debug for Options<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("retry", &self.retry)
            .field("idempotency", &self.idempotency)
            .finish_non_exhaustive()
    }
}

impl<C> Sender<C> {
    pub(crate) fn tokens(&self) -> &TokenCache {
        self.rules.authenticator.tokens()
    }

    /// Resolves a URL against the base URL, if it is relative (RFC 3986 §5).
    pub(crate) fn resolve(&self, url: &str) -> Result<Url, Error> {
        let mut url = match &self.base {
            Some(base) => base
                .join(path_on(base, url).unwrap_or(url))
                .map_err(|error| Error::input("the URL cannot be parsed").caused_by(error)),
            None => match Url::parse(url) {
                Err(url::ParseError::RelativeUrlWithoutBase) => Err(Error::input(
                    "the URL is relative and there is no base URL; give it in full, such as https://api.example.com/path, or set \
                     `base_url`",
                )),
                _ => parse_url(url),
            },
        }?;
        // Before the client's builder makes a header field of it.
        drop_userinfo(&mut url)?;
        Ok(url)
    }
}

impl<C: HttpClient + Clone> Sender<C> {
    /// Sends a request until its exchange is done.
    ///
    /// Requests are boxed, so that the future has less than 1 KiB. An allocation of more cost 2 % of a request (bench
    /// `request_cpu`, goal 1.03).
    pub(crate) async fn send(
        self: Arc<Self>,
        request: Result<Box<C::Request>, Error>,
        mut options: Options<C::Request>,
    ) -> Result<C::Response, Error> {
        let rules = &self.rules.authenticator;
        let of_request = options.tokens.take();
        let of_request = of_request.map(|tokens| Box::new(rules.with_tokens(tokens)));
        let mut attempts = self.begin(request?, options)?;
        let authenticator = of_request.as_deref().unwrap_or(rules);
        let (exchange, attempts) = &mut *attempts;
        let result = retry_loop::run(authenticator, exchange, None, attempts).await;
        result.map_err(|fault| fault.report(&attempts.request.destination()))
    }

    fn begin(
        &self,
        mut request: Box<C::Request>,
        options: Options<C::Request>,
    ) -> Result<Box<(Exchange, SessionAttempts<'_, C>)>, Error> {
        drop_userinfo(request.url_mut())?;
        let authenticator = &self.rules.authenticator;
        let policy = options.retry.as_ref().unwrap_or(&self.rules.policy);
        let idempotency = options
            .idempotency
            .unwrap_or_else(|| Idempotency::of(request.method(), request.headers()));
        let body = match options.remake_body {
            Some(_) => Replay::Possible,
            None => request.replay(),
        };
        let exchange = authenticator.begin(request.url(), policy, idempotency, body)?;
        let attempts = SessionAttempts {
            sender: self,
            request: Resendable::new(request, options.remake_body),
        };
        Ok(Box::new((exchange.redirects(self.redirects), attempts)))
    }

    /// R1: plain http to this machine must not leave it, and so does not use a proxy of the environment.
    fn client_for(&self, url: &Url) -> &C {
        match &self.direct {
            Some(direct) if is_plain_loopback(url) => direct,
            _ => &self.client,
        }
    }
}

/// The attempts of one request of a session.
struct SessionAttempts<'a, C: HttpClient> {
    sender: &'a Sender<C>,
    request: Resendable<C::Request>,
}

impl<C: HttpClient + Clone> Attempts for SessionAttempts<'_, C> {
    type Response = C::Response;
    type Failure = Fault;

    fn send(
        &mut self,
        lease: Option<&Lease>,
    ) -> impl Future<Output = Result<C::Response, Fault>> + Send {
        let rules = &self.sender.rules;
        let response = self.request.authorized(rules, lease).map(|attempt| {
            let timeout = attempt.timeout().is_none().then_some(&rules.timeout);
            // R1: a server that does not get the credential does not get the certificate.
            let presents = lease.is_some() && attempt.url().scheme() == "https";
            match self.sender.certified.as_ref().filter(|_| presents) {
                None => {
                    let client = self.sender.client_for(attempt.url());
                    Either::Left(client.execute(attempt, timeout))
                }
                // Boxed, because it has room for the request.
                Some(certified) => {
                    let client = certified.current();
                    let response = async move { client.execute(attempt, timeout).await };
                    Either::Right(Box::pin(response))
                }
            }
        });
        let proxies = self.sender.proxies;
        async move {
            match response?.await {
                Err(Fault::Client(error)) if error.is_connect() => {
                    Err(Box::pin(Fault::of_client(error, proxies)).await)
                }
                result => result,
            }
        }
    }

    fn outcome<'a>(&self, result: &'a Result<C::Response, Fault>) -> Outcome<'a> {
        match result {
            Ok(response) => {
                let (status, headers) = C::head(response);
                Outcome::Response(status, headers)
            }
            Err(fault) => Outcome::Failure(fault.failure()),
        }
    }

    fn url(&self) -> Cow<'_, str> {
        self.request.template().url().as_str().into()
    }

    fn on_redirect(&self) -> OnRedirect<'_> {
        self.request.on_redirect()
    }

    fn redirect(&mut self, redirect: &Redirect, credential: &[(HeaderName, HeaderValue)]) {
        self.request.redirect(redirect, credential);
    }
}

/// The path and the rest of an absolute URL, if a comparison of text shows that it has the base's origin.
///
/// Joined to the base, it is the same URL, but its host is not parsed again. That saves 5,100 of the 75,000 instructions of a
/// request (bench `request_cpu`, goal 1.03).
fn path_on<'a>(base: &Url, url: &'a str) -> Option<&'a str> {
    let path = url.strip_prefix(&base[..Position::BeforePath])?;
    match path.as_bytes() {
        [] => Some("/"),
        // After a second slash, a host would follow. The parser of WHATWG reads these bytes as slashes, or skips them.
        [b'/', b'/' | b'\\' | b'\t' | b'\n' | b'\r', ..] => None,
        [b'/', ..] => Some(path),
        _ => None,
    }
}

impl<C> fmt::Debug for Sender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("rules", &self.rules)
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
    fn a_url_of_the_base_is_recognized_by_its_text() {
        let base = Url::parse(BASES[1]).unwrap();
        for rest in ["", "/", "/x", "/x/../y?q#f", "/?q", "/#f", "/ ", "/%2f/"] {
            let (short, whole) = on(&base, rest);
            assert_eq!(short.as_ref(), Some(&whole), "{rest:?}");
        }
    }

    #[test]
    fn r1_a_path_is_not_read_as_a_host() {
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
        fn r1_the_short_way_gives_the_same_url(
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
