//! The libraries that keep a token fresh for a program, each used as documented and with its default settings.

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

/// A library that keeps a token fresh.
pub trait Peer: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// Tokens that the library would replace by its own rules.
    const DUE: &'static [Due];

    /// Sets the library up, perhaps without a token yet.
    fn start(source: Arc<Source>) -> impl Future<Output = Result<Self, String>>;

    /// The header that carries the token.
    fn header(&self) -> impl Future<Output = Result<HeaderValue, String>> + Send;

    /// Whether the library has a token as soon as it is set up, so that no caller finds it missing.
    const EAGER: bool = false;
}

/// A token that is due within seconds, and valid for more than 3 s.
pub struct Due {
    pub lives: Duration,
    /// The age of the token.
    pub aged: Duration,
    /// A note after the name, if one token does not show all of the rules.
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

/// A library that reacts to a 401, by itself or through its public API.
pub trait RejectionAware: Peer {
    /// Sends requests to this service as documented, and once more after a 401. Returns whether each succeeded.
    fn client(
        self: Arc<Self>,
        service: Arc<Service>,
    ) -> Result<impl Fn() -> BoxFuture<'static, bool>, String>;
}

/// Formats `Bearer` and a token, as most libraries do for each request.
pub fn bearer(token: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(said)?;
    value.set_sensitive(true);
    Ok(value)
}

pub fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Calls a generic function once for each library.
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
