//! The first token of each route, which is fetched before a request needs it.

use std::time::Duration;

use keyfob::error::printable;
use tokio::task::JoinSet;

use crate::commands::proxy::plan::Plan;
use crate::output::error::with_causes;
use crate::output::print::print_stderr;

/// The fetches of the first tokens. They go on if this is dropped.
pub(super) struct FirstTokens(JoinSet<()>);

impl FirstTokens {
    /// Fetches the tokens of all routes. A route without one is reported, and the others are served.
    pub(super) fn fetch(plan: &Plan) -> Self {
        let mut fetches = JoinSet::new();
        // A route with a pool gets the token of a client with the client's first request.
        let routes = plan.proxy.routes();
        for route in routes.filter(|route| route.pool().is_none()) {
            let (name, tokens) = (route.name().to_owned(), route.tokens().clone());
            fetches.spawn(async move {
                if let Err(error) = tokens.lease(None).await {
                    let error = with_causes(error.to_string(), std::error::Error::source(&error));
                    print_stderr(format!(
                        "keyfob: the route {name} has no token, so its requests fail: {}\n",
                        printable(error)
                    ));
                }
            });
        }
        Self(fetches)
    }

    /// Waits until all have ended, or for this time.
    pub(super) async fn wait(mut self, timeout: Duration) {
        let all = async { while self.0.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(timeout, all).await;
    }
}

impl Drop for FirstTokens {
    fn drop(&mut self) {
        self.0.detach_all();
    }
}
