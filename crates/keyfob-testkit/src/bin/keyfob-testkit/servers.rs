//! The issuer and the API that the program starts.

use std::time::Duration;

use keyfob_testkit::{Api, ScriptedResponse, Server, TokenEndpoint, TokenResponse};

use crate::echo::echo;
use crate::options::Options;

/// A token endpoint, and an API that accepts its tokens and returns what it received.
pub(crate) struct TestServers {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) api: Api,
}

impl TestServers {
    pub(crate) fn start(options: &Options) -> Self {
        let endpoint = TokenEndpoint::start();
        if let Some(seconds) = options.lifetime {
            endpoint.issuer().set_lifetime(Duration::from_secs(seconds));
        }
        endpoint.always(TokenResponse::token().after(options.issuing_takes));
        let server = Server::builder()
            .request_limit(Api::REQUEST_LIMIT)
            .body_limit(BODY_LIMIT);
        let api = Api::start_on(server, endpoint.issuer().clone());
        for every in &options.every {
            api.every(every.nth.get(), every.response.clone());
        }
        api.respond_with(|received| ScriptedResponse::json(echo(received)));
        Self { endpoint, api }
    }
}

/// For larger bodies only the length and the checksum are reported.
const BODY_LIMIT: usize = 64 << 10;
