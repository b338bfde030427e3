//! middle: its authorizer for client credentials, which fetches a token at the start and renews it in a task.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use keyfob_testkit::Server;
use middle::{Authorizer, BasicClientCredentialAuthorizer};

use crate::peers::{Due, Peer, said};
use crate::source::Source;

pub struct Middle {
    authorizer: BasicClientCredentialAuthorizer,
    _endpoint: Server,
}

impl Peer for Middle {
    const NAME: &'static str = "middle";
    // A task replaces tokens 30 s before they expire.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(31), Duration::ZERO)];
    const EAGER: bool = true;

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let endpoint = source.endpoint();
        let url = endpoint.url().parse().map_err(said)?;
        let builder = BasicClientCredentialAuthorizer::basic_builder("client", "secret", url);
        Ok(Self {
            authorizer: builder.build().await.map_err(said)?,
            _endpoint: endpoint,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let header = self.authorizer.authorization_header().map_err(said)?;
        Ok(HeaderValue::clone(&header))
    }
}
