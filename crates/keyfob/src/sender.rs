//! What a session is made of, whether it is async or blocking.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::Method;
use url::Url;

use crate::alarm::Alarm;
use crate::authenticator::Authenticator;
use crate::cache::TokenCache;
use crate::error::Error;
use crate::exchange::Effect;
use crate::exchange::Exchange;
use crate::exchange::Replay;
use crate::journey::drop_userinfo;
use crate::origin::is_loopback;
use crate::origin::parse_url;
use crate::retry::RetryPolicy;

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
    pub(crate) effect: Option<Effect>,
}

impl<C> Sender<C> {
    pub(crate) fn tokens(&self) -> &TokenCache {
        self.authenticator.tokens()
    }

    /// An absolute URL as it is, a relative one against the base (RFC 3986 §5).
    pub(crate) fn resolve(&self, url: &str) -> Result<Url, Error> {
        let mut url = match &self.base {
            Some(base) => base
                .join(url)
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
            .unwrap_or_else(|| Effect::of(method, headers));
        let now = self.authenticator.clock().elapsed();
        self.authenticator
            .exchange(Arc::clone(policy), effect, body, now)
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
