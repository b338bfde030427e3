//! What a program may take to have a fresh token at hand, each as its documentation says and with its own settings.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;

use crate::service::Service;
use crate::source::Source;

pub mod azure;
pub mod gcp;
pub mod google;
pub mod huskarl;
pub mod keyfob;
pub mod middle;
pub mod object_store;
pub mod smithy;

/// One way to have a fresh token at hand.
pub trait Peer: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// Tokens that it would have replaced by its own rules.
    const DUE: &'static [Due];

    /// Set up, perhaps without a token yet.
    fn start(source: Arc<Source>) -> impl Future<Output = Result<Self, String>>;

    /// The header that carries the token.
    fn header(&self) -> impl Future<Output = Result<HeaderValue, String>> + Send;

    /// Whether it has a token as soon as it is set up, so that it is never missing.
    const EAGER: bool = false;
}

/// A token that is due within seconds, and valid for more than 3 s.
pub struct Due {
    pub lives: Duration,
    /// How old it is then.
    pub aged: Duration,
    /// Said behind the name, where one token does not show all of the rules.
    pub rule: &'static str,
}

impl Due {
    pub const fn new(lives: Duration, aged: Duration) -> Self {
        let rule = "";
        Self { lives, aged, rule }
    }

    pub const fn rule(mut self, rule: &'static str) -> Self {
        self.rule = rule;
        self
    }
}

/// One that learns of a 401: by itself, or from the program through what it makes public.
pub trait Told: Peer {
    /// Requests to this service, each sent as its documentation says and once again after a 401. They say whether they succeeded.
    fn client(
        self: Arc<Self>,
        service: Arc<Service>,
    ) -> Result<impl Fn() -> BoxFuture<'static, bool>, String>;
}

/// `Bearer` and a token, as most make it for each request.
pub fn bearer(token: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(said)?;
    value.set_sensitive(true);
    Ok(value)
}

pub fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Calls a generic function once for each of them.
#[macro_export]
macro_rules! each_peer {
    ($call:ident ( $($argument:expr),* )) => {{
        $call::<$crate::peers::keyfob::Keyfob>($($argument),*).await;
        $call::<$crate::peers::google::Google>($($argument),*).await;
        $call::<$crate::peers::azure::Azure>($($argument),*).await;
        $call::<$crate::peers::smithy::Smithy>($($argument),*).await;
        $call::<$crate::peers::object_store::ObjectStore>($($argument),*).await;
        $call::<$crate::peers::gcp::Gcp>($($argument),*).await;
        $call::<$crate::peers::huskarl::Huskarl>($($argument),*).await;
        $call::<$crate::peers::middle::Middle>($($argument),*).await;
    }};
}
