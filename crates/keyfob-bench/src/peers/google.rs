//! google-cloud-auth: user credentials, whose token endpoint can be set.

use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::user_account::Builder;
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue};
use keyfob_testkit::Server;
use serde_json::json;

use crate::peers::{Due, Peer, said};
use crate::source::Source;

pub struct Google {
    credentials: Credentials,
    _endpoint: Server,
}

impl Peer for Google {
    const NAME: &'static str = "google-cloud-auth";
    // A task replaces tokens 240 s before they expire.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(241), Duration::ZERO)];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let endpoint = source.endpoint();
        let user = json!({
            "client_id": "id", "client_secret": "secret", "refresh_token": "refresh", "type": "authorized_user",
        });
        let builder = Builder::new(user).with_token_uri(endpoint.url());
        Ok(Self {
            credentials: builder.build().map_err(said)?,
            _endpoint: endpoint,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let headers = self.credentials.headers(Extensions::new()).await;
        let CacheableResource::New { mut data, .. } = headers.map_err(said)? else {
            return Err("nothing new".to_owned());
        };
        data.remove(AUTHORIZATION)
            .ok_or_else(|| "no header".to_owned())
    }
}
