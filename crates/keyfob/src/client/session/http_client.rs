//! A client of HTTP as a session uses it, and the async client of `reqwest`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Body;
use url::Url;

use crate::cache::lease::Lease;
use crate::client::idle_timeout::{IdleTimeout, Progress};
use crate::client::session::moving_body::{Counted, PART};
use crate::client::session::response_body::limit_body;
use crate::client::settings::ClientRules;
use crate::error::error::Error;
use crate::exchange::outcome::Replay;
use crate::exchange::redirect::{OnRedirect, Redirect, RedirectBody};
use crate::exchange::reqwest_failure::Fault;
use crate::observe::events;

/// A client that sends one attempt.
pub(crate) trait HttpClient: Send + Sync {
    type Request: HttpRequest;
    type Response: Send;

    /// Sends an attempt. Without `timeout`, the request has one of its own.
    fn execute(
        &self,
        attempt: Self::Request,
        timeout: Option<&IdleTimeout>,
    ) -> impl Future<Output = Result<Self::Response, Fault>> + Send;

    fn head(response: &Self::Response) -> (StatusCode, &HeaderMap);
}

/// A request of `reqwest`, async or blocking.
pub(crate) trait HttpRequest: Sized + Send {
    fn method(&self) -> &Method;
    fn url(&self) -> &Url;
    fn url_mut(&mut self) -> &mut Url;
    fn headers(&self) -> &HeaderMap;
    fn headers_mut(&mut self) -> &mut HeaderMap;
    fn timeout(&self) -> Option<&Duration>;
    fn replay(&self) -> Replay;
    /// The same request, without a body that can be read only once.
    fn copy(&self) -> Self;
    fn redirect(&mut self, redirect: &Redirect, credential: &[(HeaderName, HeaderValue)]);
}

impl HttpClient for reqwest::Client {
    type Request = reqwest::Request;
    type Response = reqwest::Response;

    fn execute(
        &self,
        mut attempt: reqwest::Request,
        timeout: Option<&IdleTimeout>,
    ) -> impl Future<Output = Result<reqwest::Response, Fault>> + Send {
        let progress = timeout.and_then(|_| count_parts(&mut attempt));
        // Not in the future, so that this has no room for the request.
        let response = self.execute(attempt);
        async move {
            let Some(timeout) = timeout else {
                return response.await.map_err(Fault::Client);
            };
            let response = timeout.wait(response, progress.as_ref()).await;
            let response = response.ok_or(Fault::Stalled)?.map_err(Fault::Client)?;
            Ok(limit_body(response, timeout))
        }
    }

    fn head(response: &reqwest::Response) -> (StatusCode, &HeaderMap) {
        (response.status(), response.headers())
    }
}

/// Counts the parts of a request body as they are sent, unless the body is so short that it is one part.
pub(crate) fn count_parts(attempt: &mut reqwest::Request) -> Option<Progress> {
    let body = attempt.body_mut().take()?;
    if body.as_bytes().is_some_and(|bytes| bytes.len() <= PART) {
        *attempt.body_mut() = Some(body);
        return None;
    }
    let progress = Progress::default();
    *attempt.body_mut() = Some(Body::wrap(Counted::new(body, progress.clone())));
    Some(progress)
}

/// R9: removes the user name and password of a URL, which would become a second credential.
pub(crate) fn drop_userinfo(url: &mut Url) -> Result<(), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    events::credential_overridden(&http::header::AUTHORIZATION);
    url.set_username("")
        .and_then(|()| url.set_password(None))
        .map_err(|()| Error::input("the URL has a user name but no host; give it in full"))
}

/// A request that may be sent several times.
pub(crate) struct Resendable<R> {
    /// The request without the credential. The attempts after the first are copies of it.
    template: R,
    /// The only one that has a body that can be read only once.
    first: Option<Box<R>>,
    /// Gives a copy its body, if that is streamed and can be made again.
    remake_body: Option<RemakeBody<R>>,
}

/// Puts the body on a request once more.
pub(crate) type RemakeBody<R> = Arc<dyn Fn(&mut R) + Send + Sync>;

impl<R: HttpRequest> Resendable<R> {
    pub(crate) fn new(request: Box<R>, remake_body: Option<RemakeBody<R>>) -> Self {
        Self {
            template: request.copy(),
            first: Some(request),
            remake_body,
        }
    }

    pub(crate) fn template(&self) -> &R {
        &self.template
    }

    /// The next attempt, with its credential (R7).
    pub(crate) fn authorized(
        &mut self,
        rules: &ClientRules,
        lease: Option<&Lease>,
    ) -> Result<R, Error> {
        let first = self.first.take().map(|first| *first);
        let mut attempt = first.unwrap_or_else(|| self.copy());
        if let Some(lease) = lease {
            if let Some(proxies) = &rules.proxies {
                proxies.refuse(attempt.url())?;
            }
            let url = || attempt.url().as_str();
            let credential = rules
                .authenticator
                .credential(lease, attempt.method(), url)?;
            credential.apply(attempt.headers_mut());
        }
        Ok(attempt)
    }

    fn copy(&self) -> R {
        let mut copy = self.template.copy();
        if let Some(remake_body) = &self.remake_body {
            remake_body(&mut copy);
        }
        copy
    }

    pub(crate) fn on_redirect(&self) -> OnRedirect<'_> {
        OnRedirect::Follow(self.template.method(), self.template.url())
    }

    pub(crate) fn redirect(
        &mut self,
        redirect: &Redirect,
        credential: &[(HeaderName, HeaderValue)],
    ) {
        self.template.redirect(redirect, credential);
        if redirect.body() == RedirectBody::Dropped {
            self.remake_body = None;
        }
    }

    /// The method and origin of the request, for errors. The rest of the URL may be confidential.
    pub(crate) fn destination(&self) -> String {
        let origin = self.template.url().origin().ascii_serialization();
        format!("{} {origin}", self.template.method())
    }
}

macro_rules! http_request {
    ($request:ty) => {
        impl HttpRequest for $request {
            fn method(&self) -> &Method {
                self.method()
            }

            fn url(&self) -> &Url {
                self.url()
            }

            fn url_mut(&mut self) -> &mut Url {
                self.url_mut()
            }

            fn headers(&self) -> &HeaderMap {
                self.headers()
            }

            fn headers_mut(&mut self) -> &mut HeaderMap {
                self.headers_mut()
            }

            fn timeout(&self) -> Option<&Duration> {
                self.timeout()
            }

            fn replay(&self) -> Replay {
                match self.body() {
                    Some(body) if body.as_bytes().is_none() => Replay::Impossible,
                    _ => Replay::Possible,
                }
            }

            fn copy(&self) -> Self {
                // `try_clone` costs more than the rest of this, and returns nothing for a body that can be read only once.
                if self.body().is_some()
                    && let Some(copy) = self.try_clone()
                {
                    return copy;
                }
                let mut copy = Self::new(self.method().clone(), self.url().clone());
                copy.headers_mut().clone_from(self.headers());
                if let Some(timeout) = self.timeout() {
                    *copy.timeout_mut() = Some(*timeout);
                }
                *copy.version_mut() = self.version();
                copy
            }

            fn redirect(&mut self, redirect: &Redirect, credential: &[(HeaderName, HeaderValue)]) {
                *self.method_mut() = redirect.method().clone();
                *self.url_mut() = redirect.url().clone();
                if redirect.body() == RedirectBody::Dropped {
                    *self.body_mut() = None;
                }
                redirect.apply(self.headers_mut(), credential);
            }
        }
    };
}

http_request!(reqwest::Request);
pub(crate) use http_request;
