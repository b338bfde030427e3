//! One logical request on its way: what both sessions do around each attempt, whatever the client's types.
//!
//! Authorize, send, judge, again? The sending and the waiting is the session's; all else is here, so that the async and
//! the blocking session are the same loop written down twice in a dozen lines.

use std::mem;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::cache::lease::Lease;
use crate::client::authenticator::Authenticator;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::exchange::exchange::{Exchange, Outcome, Step};
use crate::exchange::redirect;
use crate::exchange::redirect::{HopBody, follow};
use crate::observe::events;
use crate::origin::origin::Origin;

/// A client's request, as far as a journey changes it.
pub(crate) trait Outgoing: Sized {
    fn method(&self) -> &Method;
    fn url(&self) -> &Url;
    fn method_mut(&mut self) -> &mut Method;
    fn url_mut(&mut self) -> &mut Url;
    fn headers_mut(&mut self) -> &mut HeaderMap;
    fn drop_body(&mut self);
    /// The same request again; `None` if the body can be read only once.
    fn try_clone(&self) -> Option<Self>;
    /// The same request again, less its body.
    fn clone_without_body(&self) -> Self;
}

/// A request, its credential, and where it has got to.
pub(crate) struct Journey<R> {
    /// What further attempts are copied from: the request without the credential.
    template: R,
    /// The body could be sent once only, with the first attempt: the template has none.
    body_gone: bool,
    exchange: Exchange,
    credential: Credential,
    /// `None` where a redirect is an answer like others.
    hops_left: Option<u32>,
}

/// Whether the request may carry the session's credential.
enum Credential {
    /// It may; this is the one it was last sent with.
    Carried(Option<Lease>),
    /// A redirect led to another origin, and what was taken off is not put back (R1).
    LeftBehind,
}

/// What the session has to do next.
pub(crate) enum Next {
    /// Give the caller what is in hand.
    Done,
    /// Pause, then send again.
    Wait(Duration),
    /// Have this lease replaced, and send again if it can be; otherwise give the caller what is in hand.
    Replace(Lease, Challenges, Duration),
    /// Send to where the answer led.
    Follow,
}

impl<R: Outgoing> Journey<R> {
    /// Begins with a first attempt, unless the credential may not go where the request is to go.
    pub(crate) fn begin(
        attempt: &mut R,
        exchange: Exchange,
        authenticator: &Authenticator,
        redirects: u32,
    ) -> Result<Self, Error> {
        let origins = authenticator.origins();
        if !origins.are_plainly_of_url(attempt.url()) {
            drop_userinfo(attempt.url_mut())?;
            origins.check_url(attempt.url())?;
        }
        let copy = attempt.try_clone();
        let body_gone = copy.is_none();
        Ok(Self {
            template: copy.unwrap_or_else(|| attempt.clone_without_body()),
            body_gone,
            exchange,
            credential: Credential::Carried(None),
            hops_left: (redirects > 0).then_some(redirects),
        })
    }

    /// Whether the next attempt carries the credential.
    pub(crate) fn wants_lease(&self) -> bool {
        matches!(self.credential, Credential::Carried(_))
    }

    /// Puts the credential on an attempt (R7).
    pub(crate) fn authorize(
        &mut self,
        attempt: &mut R,
        lease: Option<Lease>,
        authenticator: &Authenticator,
    ) -> Result<(), Error> {
        if let Some(lease) = &lease {
            let url = || attempt.url().as_str();
            let credential = authenticator.credential(lease, attempt.method(), url)?;
            credential.apply(attempt.headers_mut());
        }
        if let Credential::Carried(carried) = &mut self.credential {
            *carried = lease;
        }
        Ok(())
    }

    /// A further attempt.
    pub(crate) fn again(&self) -> R {
        let copy = self.template.try_clone();
        copy.expect("what is kept of a request has no body that can be read only once")
    }

    /// The time that is left for further attempts.
    pub(crate) fn max_wait(&self, authenticator: &Authenticator) -> Duration {
        self.exchange.max_wait(authenticator.clock().elapsed())
    }

    /// Says what to do with what came of the attempt.
    pub(crate) fn judge(
        &mut self,
        outcome: Outcome<'_>,
        authenticator: &Authenticator,
    ) -> Result<Next, Error> {
        let now = || authenticator.now();
        let step = match &self.credential {
            Credential::Carried(_) => {
                if let Outcome::Response(status, headers) = outcome {
                    authenticator.record_nonce(|| self.template.url().as_str(), status, headers);
                }
                self.exchange.judge(outcome, now)
            }
            Credential::LeftBehind => self.exchange.judge_without_credential(outcome, now),
        };
        match step {
            Step::Done => match outcome {
                Outcome::Response(status, headers) if status.is_redirection() => {
                    self.redirect(status, headers)
                }
                _ => Ok(Next::Done),
            },
            Step::Wait(pause, cause) => {
                authenticator.will_retry(cause, pause);
                Ok(Next::Wait(pause))
            }
            Step::Renew(challenges) => Ok(match self.carried() {
                Some(lease) => Next::Replace(lease, challenges, self.max_wait(authenticator)),
                None => Next::Done,
            }),
            Step::Reject(challenges) => {
                if let Some(lease) = self.carried() {
                    authenticator.tokens().reject(&lease, &challenges);
                }
                Ok(Next::Done)
            }
        }
    }

    /// Where the request goes, as an error may show it: without path, query or userinfo.
    pub(crate) fn destination(&self) -> String {
        let origin = self.template.url().origin().ascii_serialization();
        format!("{} {origin}", self.template.method())
    }

    fn carried(&self) -> Option<Lease> {
        match &self.credential {
            Credential::Carried(lease) => lease.clone(),
            Credential::LeftBehind => None,
        }
    }

    fn redirect(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<Next, Error> {
        let Some(hops_left) = self.hops_left else {
            return Ok(Next::Done);
        };
        let (method, url) = (self.template.method(), self.template.url());
        let Some(hop) = follow(method, url, status, headers) else {
            return Ok(Next::Done);
        };
        if self.body_gone && hop.body == HopBody::Kept {
            // An answer that asks for the body again is the caller's.
            return Ok(Next::Done);
        }
        let hops_left = hops_left.checked_sub(1).ok_or_else(|| {
            Error::new(
                ErrorKind::Redirect,
                "the server redirects again and again; check the URL, or allow more with `redirects`",
            )
        })?;
        self.hops_left = Some(hops_left);
        let origin = Origin::from_url(&hop.url)?;
        if origin != Origin::from_url(url)? {
            self.leave_credential(&origin);
        }
        if hop.body == HopBody::Dropped {
            self.template.drop_body();
            redirect::strip_body_headers(self.template.headers_mut());
            self.body_gone = false;
            self.exchange.downgrade_to_get();
        }
        *self.template.method_mut() = hop.method;
        *self.template.url_mut() = hop.url;
        Ok(Next::Follow)
    }

    /// R1: whatever field carries the credential, it does not go to another origin, and is not put back.
    fn leave_credential(&mut self, origin: &Origin) {
        let headers = self.template.headers_mut();
        redirect::strip_for_other_origin(headers);
        let Credential::Carried(lease) = mem::replace(&mut self.credential, Credential::LeftBehind)
        else {
            return;
        };
        events::credential_withheld(origin);
        for (name, _) in lease.iter().flat_map(|lease| lease.headers()) {
            // The caller's own value in a field of this name was hidden so far; it was meant for the first origin.
            headers.remove(name);
        }
    }
}

/// R9: a name and password in the URL would become a second credential.
pub(crate) fn drop_userinfo(url: &mut Url) -> Result<(), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    events::credential_overridden(&http::header::AUTHORIZATION);
    url.set_username("")
        .and_then(|()| url.set_password(None))
        .map_err(|()| Error::input("the URL has a user name but no host; give it in full"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::header::{AUTHORIZATION, COOKIE, LOCATION};
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::cache::cache::TokenCache;
    use crate::exchange::exchange::{Idempotency, Replay};
    use crate::exchange::retry::RetryPolicy;
    use crate::origin::origin::Origins;
    use crate::source::fixed::FixedToken;
    use crate::token::token::Token;

    #[derive(Clone)]
    struct Sent {
        method: Method,
        url: Url,
        headers: HeaderMap,
    }

    impl Outgoing for Sent {
        fn method(&self) -> &Method {
            &self.method
        }

        fn url(&self) -> &Url {
            &self.url
        }

        fn method_mut(&mut self) -> &mut Method {
            &mut self.method
        }

        fn url_mut(&mut self) -> &mut Url {
            &mut self.url
        }

        fn headers_mut(&mut self) -> &mut HeaderMap {
            &mut self.headers
        }

        fn drop_body(&mut self) {}

        fn try_clone(&self) -> Option<Self> {
            Some(self.clone())
        }

        fn clone_without_body(&self) -> Self {
            self.clone()
        }
    }

    /// What is sent on the way over these URLs, whatever the client.
    fn sent_along(token: &Token, urls: &[&str]) -> Vec<Sent> {
        let tokens = TokenCache::builder(FixedToken::new(token.clone()))
            .token(token.clone())
            .build()
            .unwrap();
        let authenticator = Authenticator::new(tokens, Origins::default());
        let (start, hops) = urls.split_first().unwrap();
        let request = Sent {
            method: Method::GET,
            url: Url::parse(start).unwrap(),
            headers: HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("c=1"))]),
        };
        let policy = Arc::new(RetryPolicy::default());
        let now = authenticator.clock().elapsed();
        let exchange = Exchange::new(policy, Idempotency::Idempotent, Replay::Possible, now);
        let mut attempt = request;
        let mut journey = Journey::begin(&mut attempt, exchange, &authenticator, 10).unwrap();
        let mut sent = Vec::new();
        for location in hops.iter().map(Some).chain([None]) {
            let wanted = journey.wants_lease().then_some(());
            let lease = wanted.map(|_| authenticator.tokens().ready().unwrap());
            journey
                .authorize(&mut attempt, lease, &authenticator)
                .unwrap();
            sent.push(attempt);
            let Some(location) = location else {
                break;
            };
            let location = (LOCATION, HeaderValue::from_str(location).unwrap());
            let outcome = (StatusCode::FOUND, HeaderMap::from_iter([location]));
            let outcome = Outcome::Response(outcome.0, &outcome.1);
            let next = journey.judge(outcome, &authenticator).unwrap();
            assert!(matches!(next, Next::Follow));
            attempt = journey.again();
        }
        sent
    }

    fn carried(sent: &[Sent], name: &HeaderName) -> Vec<bool> {
        let carried = |sent: &Sent| sent.headers.contains_key(name);
        sent.iter().map(carried).collect()
    }

    #[test]
    fn r1_a_downgrade_to_plain_http_loses_the_credential_and_an_upgrade_does_not_bring_it_back() {
        let token = Token::new("t0ken").unwrap();
        let way = [
            "https://a.test:8443/1",
            "http://a.test:8443/2",
            "https://a.test:8443/3",
        ];
        let sent = sent_along(&token, &way);
        assert_eq!(carried(&sent, &AUTHORIZATION), [true, false, false]);
        assert_eq!(carried(&sent, &COOKIE), [true, false, false]);
    }

    #[test]
    fn r1_the_default_port_is_the_same_origin() {
        let token = Token::new("t0ken").unwrap();
        let way = ["https://a.test/1", "https://A.TEST:443/2", "/3"];
        let sent = sent_along(&token, &way);
        assert_eq!(carried(&sent, &AUTHORIZATION), [true, true, true]);
    }

    #[test]
    fn r1_a_subdomain_or_another_port_loses_a_credential_of_any_name() {
        let field = HeaderName::from_static("x-api-key");
        let token = Token::new("t0ken").unwrap().header_name(field.clone());
        for other in ["https://b.a.test/", "https://a.test:8443/", "https://test/"] {
            let sent = sent_along(&token, &["https://a.test/", other, "https://a.test/"]);
            assert_eq!(carried(&sent, &field), [true, false, false], "{other}");
        }
    }
}
