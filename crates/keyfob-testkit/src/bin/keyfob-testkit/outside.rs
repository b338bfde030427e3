//! The issuer and the API that the program starts.

use std::time::Duration;

use keyfob_testkit::{Api, ScriptedResponse, Server, TokenEndpoint, TokenResponse};

use crate::echo::echo;
use crate::options::Options;

/// An issuer of tokens, and an API that lets them in and tells what it received.
pub(crate) struct Outside {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) api: Api,
}

impl Outside {
    pub(crate) fn start(options: &Options) -> Self {
        let endpoint = TokenEndpoint::start();
        if let Some(seconds) = options.lifetime {
            endpoint.issuer().set_lifetime(Duration::from_secs(seconds));
        }
        endpoint.always(TokenResponse::token().after(options.issuing_takes));
        let server = Server::builder().kept(Api::KEPT).body_limit(BODY_LIMIT);
        let api = Api::start_on(server, endpoint.issuer().clone());
        for every in &options.every {
            api.every(every.nth.get(), every.answer.clone());
        }
        api.respond_with(|received| ScriptedResponse::json(echo(received)));
        Self { endpoint, api }
    }
}

/// Larger bodies are told by their length and checksum alone.
const BODY_LIMIT: usize = 64 << 10;
