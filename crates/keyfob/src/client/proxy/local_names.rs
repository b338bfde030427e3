//! The resolver of the proxy, in which the names of this machine lead nowhere else (R1, RFC 6761 §6.3).

use std::future::ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::{io, vec};

use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, FutureExt};
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use crate::origin::loopback::LOOPBACK;

/// Resolves `localhost` and each name below it to the loopback addresses, and other names as the system does.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

impl Default for Resolver {
    fn default() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_local(name.as_str()) {
            return ready(Ok(LOOPBACK.to_vec().into_iter())).boxed();
        }
        let found = self.0.call(name);
        found
            .map_ok(|found| found.collect::<Vec<_>>().into_iter())
            .boxed()
    }
}

fn is_local(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}
